//! What the window knows.
//!
//! `ui` reads it; only `app::apply` changes it. All that belongs to one project is a [`Session`], which goes as a whole when another
//! project is opened.
//!
//! # Limitations
//! Nothing here does anything: no thread is started, no file is read and no job is queued. Textures are held, not made.

mod canvas;
mod code_marks;
mod durations;
mod export;
mod gallery;
mod generate;
mod history_pictures;
mod jobs;
mod notices;
mod pages;
mod paint;
mod palette;
mod project;
mod session;
mod thumb;
mod tools;
mod training;

use std::collections::BTreeMap;

pub use canvas::{Canvas, CanvasLook, ViewRequest};
pub use code_marks::CodeMarks;
pub use durations::Durations;
pub use export::{ExportForm, TimelapseForm};
pub use gallery::{CropsView, Gallery, Thumbnail};
pub use generate::{ChosenPicture, Feed, Generate, GenerateForm, Making, ResultView};
pub use jobs::{JobKey, LeftJob, RunningJob, ShownJob};
pub use notices::{Entry, Notices, Severity};
pub use pages::{Overlay, Workspace};
pub use paint::Paint;
pub use palette::{ExemplarView, PaletteView};
pub use project::{OpenProject, name_of};
pub use session::{Session, SessionId};
pub use tools::{
    FillFrom, Gesture, LegendEntry, StrokeInput, StrokeStep, TintKind, Tool, ToolBox, ToolOption,
};
pub use training::{PreviewView, TrainForm, Training};

pub(in crate::app) use gallery::Exclusion;
pub(in crate::app) use history_pictures::HistoryPictures;
pub(in crate::app) use project::file_name;
pub(in crate::app) use thumb::Thumb;

// What the panels name of the layers below.
pub use crate::engine::{
    ANIMATION_WRITERS, CheckpointChoice, CountUsageJob, DeviceInUse, Existing, ImportJob,
    MadeFacts, OpenProjectJob, Overview, PictureRole, Preset, Reframe, ReskinJob, SAMPLES, WRITERS,
    What,
};
pub use crate::project::{
    CheckpointKind, CheckpointRow, DocumentId, DocumentRow, PictureCounts, PictureFilter,
    PictureRow, RunRow, RunStatus,
};

use crate::document::{History, Level};
use crate::render::Compare;
use crate::settings::{Folders, Settings};

/// All that the window knows.
pub struct State {
    pub folders: Folders,
    pub settings: Settings,
    pub workspace: Workspace,
    pub overlay: Option<Overlay>,
    /// All that belongs to the open project.
    pub session: Session,
    pub look: CanvasLook,
    pub paint: Paint,
    pub tools: ToolBox,
    pub export: ExportForm,
    pub timelapse: TimelapseForm,
    /// Jobs that belong to no project.
    pub window_jobs: BTreeMap<JobKey, RunningJob>,
    /// Jobs of projects that were left.
    pub left_jobs: BTreeMap<JobKey, LeftJob>,
    pub notices: Notices,
    /// Cell changes that each open document's history keeps in memory.
    pub most_history_cells: usize,
    /// What jobs compute on; `None` until it is known.
    pub device: Option<DeviceInUse>,
    /// What draws the window, in words.
    pub renderer: String,
    /// How long deciding and drawing took, per frame.
    pub frames: Durations,
    /// How long frames took with the work of the graphics driver on the window's thread.
    pub whole_frames: Durations,
    /// How long it was from one frame to the next, while something moved.
    pub intervals: Durations,
    /// How long it was from a dab to the frame that shows its pixels.
    pub dabs: Durations,
    /// Memory that the program uses, in bytes; `None` until it is known.
    pub memory_bytes: Option<u64>,
}

impl State {
    /// The state of a window that has no project open yet. `renderer` says in words what draws it.
    pub(in crate::app) fn new(folders: Folders, settings: Settings, renderer: String) -> Self {
        let export = ExportForm {
            folder: (settings.export_folder.clone())
                .unwrap_or_else(|| folders.data.join("Exports")),
            writer: &WRITERS[0],
            pattern: "{name}".into(),
            has_dated_folder: false,
            has_restore_data: true,
            existing: Existing::Refuse,
        };
        Self {
            overlay: (!settings.welcome_seen).then_some(Overlay::Welcome),
            folders,
            settings,
            workspace: Workspace::Paint,
            session: Session::new(SessionId::default(), None, TrainForm::default()),
            look: CanvasLook {
                has_grid: false,
                compare: Compare::Now,
                is_where_used_on: false,
                is_wrap_preview_on: false,
            },
            paint: Paint::default(),
            tools: ToolBox::default(),
            export,
            timelapse: TimelapseForm {
                writer: &ANIMATION_WRITERS[0],
                longest_px: 720,
                frames_per_second: 12.0,
            },
            window_jobs: BTreeMap::new(),
            left_jobs: BTreeMap::new(),
            notices: Notices::default(),
            most_history_cells: History::MAX_CELLS,
            device: None,
            renderer,
            frames: Durations::default(),
            whole_frames: Durations::default(),
            intervals: Durations::default(),
            dabs: Durations::default(),
            memory_bytes: None,
        }
    }

    /// What the open project's file holds, as it was read last; `None` until the first time.
    pub fn overview(&self) -> Option<&Overview> {
        self.session.project.as_ref()?.overview.as_ref()
    }

    /// Whether a fine-tune has ended whose codes the picture on the canvas does not have.
    pub fn has_news(&self) -> bool {
        let session = &self.session;
        let newest = self.overview().and_then(Overview::best_model_hash);
        let shown = session.canvas.as_ref().map(Canvas::model_hash);
        session.training.has_news && newest.is_some() && shown.is_some() && newest != shown
    }

    /// Why fine-tuning cannot start now, in words; `None` where it can.
    pub fn why_no_training(&self) -> Option<String> {
        if self.session.training.is_running() {
            return Some("a fine-tune is running".into());
        }
        let Some(overview) = self.overview() else {
            return Some("no project is open yet".into());
        };
        match overview.counts.usable {
            0 if overview.counts.missing > 0 => Some(
                "the pictures are no longer where they were: find them on the Pictures page".into(),
            ),
            0 if overview.counts.total > 0 => {
                Some("all pictures are excluded: include some on the Pictures page".into())
            }
            0 => Some("the project has no pictures: import a folder on the Pictures page".into()),
            _ => None,
        }
    }

    /// All pictures that are open; the one on the canvas, where there is one, first.
    pub(in crate::app) fn canvases_mut(&mut self) -> impl Iterator<Item = &mut Canvas> {
        self.session
            .canvas
            .iter_mut()
            .chain(&mut self.session.tabs.parked)
    }

    /// What the artist said about the open project's codes.
    pub fn marks(&self) -> Option<&CodeMarks> {
        self.session.project.as_ref().map(|project| &project.marks)
    }

    /// Codes of a level that are not to be offered, by number; empty where none are.
    pub fn muted(&self, level: Level) -> Vec<bool> {
        let canvas = self.session.canvas.as_ref();
        let Some(canvas) = canvas.filter(|_| self.marks().is_some()) else {
            return Vec::new();
        };
        let codes = canvas.model.codebooks().size(level);
        let codes = codes.min(u32::from(u16::MAX)) as u16;
        let muted: Vec<bool> = (0..codes).map(|code| self.is_muted(level, code)).collect();
        if muted.contains(&true) {
            muted
        } else {
            Vec::new()
        }
    }

    /// Whether a code is not to be offered.
    pub fn is_muted(&self, level: Level, code: u16) -> bool {
        (self.marks()).is_some_and(|marks| marks.is_muted(level, code))
    }
}
