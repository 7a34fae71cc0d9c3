//! Brush packs as files.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::codes::read_text;
use super::session::file_name;
use crate::document::brushes::{BrushPack, MAX_PACK_BYTES, count_text};
use crate::engine::event::{Outcome, Product};
use crate::engine::worker::JobContext;
use crate::error::Result;
use crate::export::{Existing, write_bytes};

/// Reads a pack and checks it.
pub struct ImportBrushesJob {
    pub path: PathBuf,
}

impl ImportBrushesJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let text = read_text(
            &self.path,
            MAX_PACK_BYTES as u64,
            "could not read the brushes",
        )?;
        let pack = BrushPack::from_json(&text).map_err(|error| error.at(&self.path))?;
        let count = pack.brushes.len();
        Ok(Outcome::new(format!(
            "Read {} from {}.",
            count_text(count),
            file_name(&self.path)
        ))
        .with_report(json!({ "brushes": count }))
        .with_product(Product::Brushes(Arc::new(pack))))
    }
}

/// Writes a pack.
pub struct ExportBrushesJob {
    pub pack: BrushPack,
    pub path: PathBuf,
}

impl ExportBrushesJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let text = self.pack.to_json()?;
        // The file dialog has asked before replacing anything.
        write_bytes(&self.path, Existing::Replace, text.as_bytes())?;
        Ok(Outcome::new(format!(
            "Wrote {} to {}.",
            count_text(self.pack.brushes.len()),
            file_name(&self.path)
        ))
        .with_file(&self.path))
    }
}
