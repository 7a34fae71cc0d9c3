//! Which details go with which structure, for the brush.

use std::sync::Arc;

use crate::document::{Codebooks, Codes, Companions};
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::companions;
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

impl Job for CompanionsJob {
    type Output = Companions;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Finding textures for structure codes"
    }

    fn run(self, _: &JobContext) -> Result<Companions> {
        let (project, model) = (Some(&self.project), self.model_hash.as_str());
        companions::best(project, model, self.codebooks, &self.codes)
    }
}
