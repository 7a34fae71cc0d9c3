//! What belongs to one project. It comes when a project is opened and goes as a whole when another one is, so that nothing of
//! one is ever shown in, or written into, the other.
//!
//! Jobs, textures, replies and answers on their way are of the session that asked for them: they are dropped when it has gone. Jobs
//! that are left go on, are paused or are stopped, as [`WhenLeft`](crate::engine::WhenLeft) says.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::canvas::{Canvas, Tabs};
use super::gallery::Gallery;
use super::generate::Generate;
use super::jobs::{JobKey, RunningJob};
use super::palette::PaletteView;
use super::project::OpenProject;
use super::training::{TrainForm, Training};
use crate::document::tools::brushes::{BrushPack, SavedBrush};
use crate::document::{Alphabet, Companions, Selection};
use crate::engine::{Imported, OpenDocument};
use crate::project::DocumentId;
use crate::render::Surface;

/// Tells sessions apart, also two of the same project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionId(u64);

impl SessionId {
    pub(in crate::app) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The open project with all that the window knows of it.
pub struct Session {
    pub id: SessionId,
    /// The project itself; `None` only until the first one is open.
    pub project: Option<OpenProject>,
    /// The picture on the canvas.
    pub canvas: Option<Canvas>,
    pub tabs: Tabs,
    /// The codes of the model of the picture on the canvas, once they are drawn.
    pub palette: Option<PaletteView>,
    pub gallery: Gallery,
    /// New pictures from existing ones.
    pub generate: Generate,
    pub training: Training,
    /// What the newest import found.
    pub import_report: Option<Imported>,
    /// The file written last.
    pub last_export: Option<PathBuf>,
    /// Jobs that wait or run for this project.
    pub jobs: BTreeMap<JobKey, RunningJob>,
    /// The project's named brushes.
    pub brushes: Vec<SavedBrush>,
    /// A pack that was made for another codebook, and why that is so: the user is asked.
    pub waiting_pack: Option<(Arc<BrushPack>, String)>,
    /// Which details go with which structure code in the picture on the canvas, once it is known.
    pub companions: Option<Arc<Companions>>,
    /// What tools know of the codes on the screen, with the hash of their model.
    pub(in crate::app) alphabet: Option<(String, Alphabet)>,
    /// What the tools are restricted to, of each open picture that has a selection.
    pub(in crate::app) selections: HashMap<DocumentId, Arc<Selection>>,
    /// The selection that was let go last, with its picture.
    pub(in crate::app) let_go: Option<(DocumentId, Arc<Selection>)>,
    /// The picture on the canvas, and its revision, when another one was asked for last.
    pub(in crate::app) asked_at: Option<(DocumentId, u64)>,
    /// The document that is encoded anew and may not change until it is on the canvas again.
    pub(in crate::app) being_encoded: Option<DocumentId>,
    /// Pictures that have been opened and wait until no stroke is in progress.
    pub(in crate::app) opened: Vec<(Arc<OpenDocument>, Surface)>,
    /// Drawn codes of models whose pictures are not on the canvas, oldest first.
    pub(in crate::app) palettes: Vec<PaletteView>,
    /// The model whose codes are being drawn.
    pub(in crate::app) drawing_palette: Option<String>,
    /// Whether the first list is still to come, and with it a document to show.
    pub(in crate::app) needs_document: bool,
    /// When the pictures' files were looked for last.
    pub(in crate::app) files_checked: Option<Instant>,
    /// Whether the user stopped the encoding of the pictures; it is not begun again until there is something new.
    pub(in crate::app) is_indexing_unwanted: bool,
}

impl Session {
    pub(in crate::app) fn new(
        id: SessionId,
        project: Option<OpenProject>,
        form: TrainForm,
    ) -> Self {
        Self {
            id,
            needs_document: project.is_some(),
            project,
            canvas: None,
            tabs: Tabs::default(),
            palette: None,
            gallery: Gallery::default(),
            generate: Generate::default(),
            training: Training::new(form),
            import_report: None,
            last_export: None,
            jobs: BTreeMap::new(),
            brushes: Vec::new(),
            waiting_pack: None,
            companions: None,
            alphabet: None,
            selections: HashMap::new(),
            let_go: None,
            asked_at: None,
            being_encoded: None,
            opened: Vec::new(),
            palettes: Vec::new(),
            drawing_palette: None,
            files_checked: None,
            is_indexing_unwanted: false,
        }
    }

    /// What restricts the tools on a document.
    pub fn selection(&self, document: DocumentId) -> Option<&Arc<Selection>> {
        self.selections.get(&document)
    }
}
