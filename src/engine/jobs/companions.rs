//! Which details go with which structure, for the brush.

use std::sync::Arc;

use serde_json::json;

use crate::document::{Codebooks, Codes};
use crate::engine::companions;
use crate::engine::event::{Outcome, Product};
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::error::Result;

/// Finds the table for a document: the project's, where its pictures were counted with the document's model, else
/// the document's own.
pub struct CompanionsJob {
    pub project: Storage,
    pub model_hash: String,
    pub codebooks: Codebooks,
    /// The document's codes as encoded.
    pub codes: Arc<Codes>,
}

impl CompanionsJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let (project, model) = (Some(&self.project), self.model_hash.as_str());
        let table = companions::best(project, model, self.codebooks, &self.codes)?;
        Ok(
            Outcome::new(format!("Textures come from {}.", table.origin))
                .with_report(json!({ "origin": table.origin, "codes": table.known() }))
                .with_product(Product::Companions(Arc::new(table))),
        )
    }
}
