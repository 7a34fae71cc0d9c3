//! A picture once more under another model, its edits carried over.

use crate::canvas;
use crate::document::{Document, LayerStack, Level};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::jobs::document::session::OpenDocument;
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::engine::pictures::documents;
use crate::error::{Error, Kind, Result};
use crate::project::DocumentId;

/// Makes a new document of a document's source under another model. Its layers come along as one stroke, each code
/// replaced by the nearest one; the document itself stays.
pub struct CarryOverJob {
    pub project: Storage,
    pub id: DocumentId,
    pub name: String,
    pub document: Box<Document>,
    /// The model of the document.
    pub from: Model,
    pub to: CheckpointChoice,
    pub device: DeviceChoice,
}

impl Job for CarryOverJob {
    type Output = OpenDocument;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Opening a picture with other codes"
    }

    fn run(self, context: &JobContext) -> Result<OpenDocument> {
        let (id, document) = (self.id, *self.document);
        let source = ModelSource::Project(self.project.clone(), self.to);
        let model = source.load(&open_device(self.device)?.device)?;
        let layers = carried(document.layers(), &self.from, &model)?;
        let bytes = self.project.call(move |project| {
            let row = project.document(id)?;
            documents::source_bytes(project, &row)
        })?;
        let (picture, wrap) = (document.source().clone(), document.wrap());
        let fresh = canvas::open(&model.codec, picture, wrap, context)?;
        let checkpoint = model.keep_in(&self.project)?;
        let mut stored =
            documents::store(&self.project, &self.name, fresh, bytes, &model, checkpoint)?;
        let label = format!("Edits of {}", self.name);
        stored.document.list_sources_of(&document);
        if let Some(stroke) = stored.document.replace_layers(label, layers)? {
            let id = stored.id;
            (self.project).call(move |p| p.append_stroke(id, &stroke).map(drop))?;
        }
        Ok(OpenDocument::new(stored, model))
    }
}

/// Layers with each code of `from` replaced by the one of `to` whose vector is nearest.
fn carried(layers: &LayerStack, from: &Model, to: &Model) -> Result<LayerStack> {
    if from.hash == to.hash {
        return Ok(layers.clone());
    }
    let (old, new) = (from.alphabet()?, to.alphabet()?);
    let nearest = |level: Level| -> Result<Vec<u16>> {
        let (old, new) = (old.vectors(level)?, new.vectors(level)?);
        if old.width() != new.width() {
            let why = format!(
                "the {level} vectors of {} have {} numbers, those of {} {}",
                from.name,
                old.width(),
                to.name,
                new.width()
            );
            return Err(Error::new(
                Kind::Unsupported,
                "could not carry the edits over",
                why,
                "Open the picture again and paint on it there",
            ));
        }
        let vectors = old.values().chunks_exact(old.width());
        Ok(vectors.map(|vector| new.nearest(vector)).collect())
    };
    let tables = [nearest(Level::Structure)?, nearest(Level::Detail)?];
    Ok(layers.recoded(|level, code| {
        let table = match level {
            Level::Structure => &tables[0],
            Level::Detail => &tables[1],
        };
        table.get(usize::from(code)).copied().unwrap_or(code)
    }))
}
