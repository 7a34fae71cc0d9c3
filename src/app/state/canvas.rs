//! The pictures that are open, and how they are looked at.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use super::history_pictures::HistoryPictures;
use super::thumb::Thumb;
use crate::codec::Codec;
use crate::document::Document;
use crate::engine::{Journal, Model, Reskin};
use crate::project::{DocumentId, NamedState};
use crate::render::{Compare, Surface, View};

/// A picture that is open, with what the window keeps for it.
pub struct Canvas {
    pub id: DocumentId,
    pub name: String,
    pub document: Document,
    /// States that were given a name, oldest first.
    pub snapshots: Vec<NamedState>,
    pub(in crate::app) model: Model,
    pub surface: Surface,
    /// The small picture on its tab.
    pub thumb: Thumb,
    /// The small picture of how it came in, for the history.
    pub as_opened: TextureHandle,
    /// The small pictures of its strokes.
    pub pictures: HistoryPictures,
    /// The same codes through another model, in place of the source.
    pub reskin: Option<Arc<Reskin>>,
    /// Whether another model's picture is still wanted; one that comes after it was closed is not shown.
    pub(in crate::app) wants_reskin: bool,
    /// Where its view should be.
    pub view: ViewRequest,
    /// The number of this opening, so that the panel knows when to forget what it kept of the last one.
    pub opening: u64,
    /// The newest revision of the document whose pixels have arrived.
    pub shown_revision: u64,
    /// The arrangement of its layers that the decode lane was told last.
    pub(in crate::app) asked_arrangement: u64,
    /// The revision that could not be decoded, until its pixels have arrived after all.
    pub(in crate::app) failed_at: Option<u64>,
    /// The strokes that the project's file still lacks.
    pub(in crate::app) journal: Arc<Journal>,
}

impl Canvas {
    /// The model that decodes this document, in words.
    pub fn model_name(&self) -> &str {
        &self.model.name
    }

    /// The hash of the model that decodes this document.
    pub fn model_hash(&self) -> &str {
        &self.model.hash
    }

    /// What decodes this document.
    pub fn codec(&self) -> &Codec {
        &self.model.codec
    }

    /// Whether strokes wait to be written to the project's file, or could not be.
    pub fn is_unstored(&self) -> bool {
        self.journal.is_behind()
    }
}

/// The pictures that are open.
#[derive(Default)]
pub struct Tabs {
    /// The pictures that are open, from left to right.
    pub order: Vec<DocumentId>,
    /// The open pictures that are not on the canvas.
    pub(in crate::app) parked: Vec<Canvas>,
}

impl Tabs {
    /// A picture that is not on the canvas.
    pub fn parked(&self, id: DocumentId) -> Option<&Canvas> {
        self.parked.iter().find(|canvas| canvas.id == id)
    }

    pub(in crate::app) fn take_parked(&mut self, id: DocumentId) -> Option<Canvas> {
        let place = self.parked.iter().position(|canvas| canvas.id == id)?;
        Some(self.parked.remove(place))
    }
}

/// Where the view should be. The panel, which knows its size, works out the view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewRequest {
    /// The whole picture in the panel.
    Fit,
    /// This many screen pixels per picture pixel, around what is in the middle.
    Zoom(f32),
    /// This many times closer than now.
    Step(f32),
    /// Exactly there.
    At(View),
}

/// How the canvas shows a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasLook {
    /// Whether the cells of the level in hand are outlined.
    pub has_grid: bool,
    pub compare: Compare,
    /// Whether all cells but those with the code in hand are dimmed.
    pub is_where_used_on: bool,
    /// Whether copies of the picture are shown around it.
    pub is_wrap_preview_on: bool,
}
