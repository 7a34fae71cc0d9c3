//! What belongs to one project. It comes when a project is opened and goes as a whole when another one is, so that nothing of
//! one is ever shown in, or written into, the other.
//!
//! Jobs, textures, replies and answers on their way are of the session that asked for them: they are dropped when it has gone. Jobs
//! that are left go on, are paused or are stopped, as [`WhenLeft`] says.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::App;
use super::command::Command;
use super::state::{
    Canvas, Gallery, JobKey, LeftJob, OpenProject, PaletteView, RunningJob, Tabs, TrainForm,
    Training,
};
use crate::document::tools::brushes::{BrushPack, SavedBrush};
use crate::document::{Alphabet, Companions, Selection};
use crate::engine::{Imported, OpenDocument, Storage, WhenLeft};
use crate::progress::Stop;
use crate::project::DocumentId;
use crate::render::{Compare, Surface};

/// Tells sessions apart, also two of the same project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionId(u64);

/// The open project with all that the window knows of it.
pub struct Session {
    pub id: SessionId,
    /// `None` only until the first one is open.
    pub project: Option<OpenProject>,
    pub canvas: Option<Canvas>,
    pub tabs: Tabs,
    pub palette: Option<PaletteView>,
    pub gallery: Gallery,
    pub training: Training,
    /// What the newest import found.
    pub import_report: Option<Imported>,
    /// The file written last.
    pub last_export: Option<PathBuf>,
    /// Jobs that wait or run for it.
    pub jobs: BTreeMap<JobKey, RunningJob>,
    /// Named brushes.
    pub brushes: Vec<SavedBrush>,
    /// A pack that was made for another codebook, and why that is so: the user is asked.
    pub waiting_pack: Option<(Arc<BrushPack>, String)>,
    /// For the picture on the canvas, once it is known.
    pub companions: Option<Arc<Companions>>,
    /// Of the codes on the screen, with the hash of their model.
    pub(super) alphabet: Option<(String, Alphabet)>,
    pub(super) selections: HashMap<DocumentId, Arc<Selection>>,
    /// The last one that was let go, of the same document.
    pub(super) let_go: Option<(DocumentId, Arc<Selection>)>,
    /// The picture on the canvas, and its revision, when another one was asked for last.
    pub(super) asked_at: Option<(DocumentId, u64)>,
    /// The document that is encoded anew and may not change until it is on the canvas again.
    pub(super) being_encoded: Option<DocumentId>,
    /// Pictures that have been opened and wait until no stroke is in progress.
    pub(super) opened: Vec<(Arc<OpenDocument>, Surface)>,
    /// Drawn codes of models whose pictures are not on the canvas, oldest first.
    pub(super) palettes: Vec<PaletteView>,
    /// The model whose codes are being drawn.
    pub(super) drawing_palette: Option<String>,
    /// To be done when the desk has done what it was told.
    pub(super) after_desk: Vec<Command>,
    /// Whether the first list is still to come, and with it a document to show.
    pub(super) needs_document: bool,
    /// When the pictures' files were looked for last.
    pub(super) files_checked: Option<Instant>,
}

impl Session {
    pub(super) fn new(id: SessionId, project: Option<OpenProject>, form: TrainForm) -> Self {
        Self {
            id,
            needs_document: project.is_some(),
            project,
            canvas: None,
            tabs: Tabs::default(),
            palette: None,
            gallery: Gallery::default(),
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
            after_desk: Vec::new(),
            files_checked: None,
        }
    }

    /// What restricts the tools on a document.
    pub fn selection(&self, document: DocumentId) -> Option<&Arc<Selection>> {
        self.selections.get(&document)
    }
}

impl App {
    /// Leaves the project that is open, if any, for another one.
    pub(super) fn project_opened(&mut self, storage: Storage) {
        // What is being painted is of the project that is left.
        self.close_gesture();
        self.store_what_waits();
        let path = storage.path().to_path_buf();
        self.known_projects.retain(|known| !known.is_closed());
        self.known_projects.push(storage.downgrade());
        let project = OpenProject {
            path: path.clone(),
            storage: storage.clone(),
            overview: None,
            marks: Default::default(),
        };
        let before = &self.state.session;
        let id = SessionId(before.id.0 + 1);
        let session = Session::new(id, Some(project), before.training.form.for_next_project());
        let before = std::mem::replace(&mut self.state.session, session);
        self.lanes.desk.turn_to(Some(storage));
        self.leave(before);
        self.state.settings.remember_project(&path);
        self.save_settings();
        self.forget_rows();
        self.check_files();
    }

    fn leave(&mut self, mut before: Session) {
        if let Some(project) = before.project.take() {
            for (key, job) in std::mem::take(&mut before.jobs) {
                match job.when_left {
                    WhenLeft::Cancel => self.lanes.stop(key, Stop::Cancel),
                    WhenLeft::Pause => self.lanes.stop(key, Stop::Pause),
                    WhenLeft::Finish => {}
                }
                self.state
                    .left_jobs
                    .insert(key, LeftJob::new(job, &project.path));
            }
            // The last handle closes the file, which is disk work.
            self.lanes.desk.run(move || {
                drop(project.storage);
                Ok(())
            });
        }
        let state = &mut self.state;
        state.tools.leave_project();
        state.paint.leave_project();
        state.look.compare = Compare::Now;
        state.look.is_where_used_on = false;
        if state.overlay.is_some_and(|overlay| overlay.is_of_project()) {
            state.overlay = None;
        }
    }
}
