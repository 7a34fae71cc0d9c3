//! The same codes seen through another checkpoint: fine-tuning changes what codes look like, not which they are.

use serde_json::json;

use super::edit::ExportTarget;
use super::session::file_name;
use crate::canvas::Chain;
use crate::document::{Document, Raster};
use crate::engine::device::{DeviceChoice, open_device};
use crate::engine::event::{Outcome, Product};
use crate::engine::model::{CheckpointChoice, ModelSource};
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::error::{Error, Kind, Result};
use crate::export::Provenance;
use crate::project::DocumentId;

/// A picture's codes through another model.
pub struct Reskin {
    pub document: DocumentId,
    pub choice: CheckpointChoice,
    /// In words.
    pub model: String,
    /// Of the document that was decoded.
    pub revision: u64,
    /// The codec's picture alone: of a source, the other model knows nothing.
    pub picture: Raster,
}

/// Decodes all codes of a document, under all shown layers, through another checkpoint.
pub struct ReskinJob {
    pub project: Storage,
    pub id: DocumentId,
    pub document: Box<Document>,
    pub checkpoint: CheckpointChoice,
    /// Written to a file instead of handed over.
    pub out: Option<ExportTarget>,
    pub device: DeviceChoice,
}

impl ReskinJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
        let source = ModelSource::Project(self.project, self.checkpoint);
        let model = source.load(&open_device(self.device)?.device)?;
        let document = *self.document;
        let codes = document.edited();
        let fits = codes.check(document.geometry(), Some(model.codebooks()));
        fits.map_err(|e| {
            Error::new(
                Kind::Unsupported,
                format!("could not look through {}", model.name),
                format!("its codes are others: {}", e.notice.why),
                "Choose a checkpoint that was fine-tuned from the same model",
            )
        })?;
        let chain = Chain::new(&model.codec, document.geometry(), document.wrap())?;
        let picture = chain.decode_raster(codes, context)?;
        let report = json!({ "model": model.hash });
        let Some(out) = self.out else {
            let reskin = Reskin {
                document: self.id,
                choice: self.checkpoint,
                model: model.name,
                revision: document.revision(),
                picture,
            };
            return Ok(Outcome::new(format!("Seen through {}.", reskin.model))
                .with_report(report)
                .with_product(Product::Reskin(reskin.into())));
        };
        let out = out.made_free()?;
        out.write(&picture, Some(Provenance::Generated), None)?;
        Ok(Outcome::new(format!("Exported {}.", file_name(&out.path)))
            .with_report(report)
            .with_file(&out.path))
    }
}
