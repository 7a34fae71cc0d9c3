//! The same codes seen through another checkpoint: fine-tuning changes what codes look like, not which they are.

use std::path::PathBuf;

use crate::canvas::Chain;
use crate::document::{Document, Raster};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::jobs::document::edit::ExportTarget;
use crate::engine::lanes::job::{Job, WhenLeft};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::error::{Error, Kind, Result};
use crate::export::Provenance;
use crate::project::DocumentId;

/// A picture's codes through another model.
pub struct Reskin {
    pub document: DocumentId,
    pub choice: CheckpointChoice,
    /// In words.
    pub model: String,
    /// [`crate::document::Document::revision`] of the document that was decoded.
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
    pub device: DeviceChoice,
}

impl Job for ReskinJob {
    type Output = Reskin;

    fn title(&self) -> &'static str {
        "Looking through another model"
    }

    fn run(self, context: &JobContext) -> Result<Reskin> {
        let source = ModelSource::Project(self.project, self.checkpoint);
        let model = source.load(&open_device(self.device)?.device)?;
        Ok(Reskin {
            document: self.id,
            choice: self.checkpoint,
            picture: seen_through(&model, &self.document, context)?,
            model: model.name,
            revision: self.document.revision(),
        })
    }
}

/// Writes what [`ReskinJob`] shows to a file, and gives the file.
pub struct ExportReskinJob {
    pub reskin: ReskinJob,
    pub out: ExportTarget,
}

impl Job for ExportReskinJob {
    type Output = PathBuf;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Exporting a picture"
    }

    fn run(self, context: &JobContext) -> Result<PathBuf> {
        let reskin = self.reskin.run(context)?;
        let out = self.out.made_free()?;
        out.write(&reskin.picture, Some(Provenance::Generated), None)?;
        Ok(out.path)
    }
}

fn seen_through(model: &Model, document: &Document, context: &JobContext) -> Result<Raster> {
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
    chain.decode_raster(codes, context)
}
