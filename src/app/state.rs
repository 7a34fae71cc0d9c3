//! What the window knows. `ui` reads it; only `app` changes it.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use eframe::egui::TextureHandle;

use super::code_marks::CodeMarks;
use super::document_command::TimelapseForm;
use super::durations::Durations;
pub(super) use super::gallery::Exclusion;
pub use super::gallery::{CropsView, Gallery, Thumbnail};
use super::history_pictures::HistoryPictures;
use super::jobs::AtItsEnd;
use super::notices::Notices;
pub use super::paint::{Paint, PerLevel};
use super::session::Session;
use super::thumb::Thumb;
use super::tools::ToolBox;
use crate::codec::Codec;
use crate::document::{Document, Level};
use crate::engine::{
    CheckpointChoice, DeviceInUse, Existing, JobId, Journal, Lane, Model, Overview, Palette,
    Preset, Reskin, Storage, WhenLeft, Writer,
};
use crate::project::{DocumentId, MetricRow, NamedState, RunId};
use crate::render::{Compare, Surface, View};
use crate::settings::{Folders, Settings};

/// The pages of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workspace {
    Dataset,
    FineTune,
    Codebook,
    Paint,
    Export,
}

impl Workspace {
    pub const ALL: [Workspace; 5] = [
        Workspace::Dataset,
        Workspace::FineTune,
        Workspace::Codebook,
        Workspace::Paint,
        Workspace::Export,
    ];
}

/// What lies over the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    Welcome,
    Commands,
    OpenPath,
    /// A pack of brushes was made for another codebook.
    BrushPack,
    NewCanvas,
    CanvasSize,
    Notices,
    Settings,
    Help,
    About,
}

impl Overlay {
    /// Whether it asks about something of the open project.
    pub(super) fn is_of_project(self) -> bool {
        matches!(self, Self::BrushPack | Self::CanvasSize | Self::NewCanvas)
    }
}

/// Jobs are numbered per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    pub lane: Lane,
    pub id: JobId,
}

/// A job that waits or runs.
pub struct RunningJob {
    pub(super) kind: TypeId,
    pub title: String,
    /// Upkeep that nobody asked for.
    pub is_quiet: bool,
    pub(super) when_left: WhenLeft,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
    pub eta_secs: Option<f64>,
    pub warnings: usize,
    pub(super) at_its_end: AtItsEnd,
}

/// A job whose project was left for another one. Its output is for nobody.
#[derive(Debug)]
pub struct LeftJob {
    /// With the project's name.
    pub title: String,
    pub is_quiet: bool,
    pub(super) when_left: WhenLeft,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
    pub(super) project: PathBuf,
}

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
    /// `None` until it is known.
    pub device: Option<DeviceInUse>,
    /// What draws the window, in words.
    pub renderer: String,
    /// Deciding and drawing, per frame.
    pub frames: Durations,
    /// The same with the work of the graphics driver on the window's thread.
    pub whole_frames: Durations,
    /// From one frame to the next, while something moves.
    pub intervals: Durations,
    /// From a dab to the frame that shows its pixels.
    pub dabs: Durations,
    /// That the program uses; `None` until it is known.
    pub memory_bytes: Option<u64>,
}

/// The project that is open.
pub struct OpenProject {
    pub path: PathBuf,
    pub(super) storage: Storage,
    /// As it was read last; `None` until the first time.
    pub overview: Option<Overview>,
    /// Names, tags and favourites of codes, as the project keeps them.
    pub marks: CodeMarks,
}

impl OpenProject {
    /// The project's file.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// The file name without its extension.
pub fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(
        || path.display().to_string(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// The last part of a path, for messages.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The document on the canvas.
pub struct Canvas {
    pub id: DocumentId,
    pub name: String,
    pub document: Document,
    /// States that were given a name, oldest first.
    pub snapshots: Vec<NamedState>,
    pub(super) model: Model,
    pub surface: Surface,
    /// For its tab.
    pub thumb: Thumb,
    /// As it came in, for the history.
    pub as_opened: TextureHandle,
    pub pictures: HistoryPictures,
    /// The same codes through another model, in place of the source.
    pub reskin: Option<Arc<Reskin>>,
    /// What was still being made when the other model was closed is not shown.
    pub(super) wants_reskin: bool,
    pub view: ViewWish,
    /// Counts openings, so that the panel knows when to forget what it kept of the last one.
    pub opening: u64,
    /// The newest revision whose pixels have arrived.
    pub shown_revision: u64,
    /// The arrangement of its layers that the decode lane was told last.
    pub(super) asked_arrangement: u64,
    /// The revision at which it could not be decoded, until pixels of it have arrived after all.
    pub(super) failed_at: Option<u64>,
    /// What the project's file lacks of its history.
    pub(super) journal: Arc<Journal>,
}

impl Canvas {
    /// The model that decodes this document, in words.
    pub fn model_name(&self) -> &str {
        &self.model.name
    }

    pub fn model_hash(&self) -> &str {
        &self.model.hash
    }

    /// What decodes this document.
    pub fn codec(&self) -> &Codec {
        &self.model.codec
    }

    /// Whether the project's file lacks strokes of it: they wait to be written, or could not be.
    pub fn is_unstored(&self) -> bool {
        self.journal.is_behind()
    }
}

/// The pictures that are open.
#[derive(Default)]
pub struct Tabs {
    /// All of them, from left to right.
    pub order: Vec<DocumentId>,
    /// Those that are not on the canvas.
    pub(super) parked: Vec<Canvas>,
}

impl Tabs {
    /// A picture that is not on the canvas.
    pub fn parked(&self, id: DocumentId) -> Option<&Canvas> {
        self.parked.iter().find(|canvas| canvas.id == id)
    }

    pub(super) fn take_parked(&mut self, id: DocumentId) -> Option<Canvas> {
        let place = self.parked.iter().position(|canvas| canvas.id == id)?;
        Some(self.parked.remove(place))
    }
}

/// Where the view should be; the panel knows its size and settles it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewWish {
    Fit,
    /// This many screen pixels per picture pixel, around what is in the middle.
    Zoom(f32),
    /// This many times closer than now.
    Step(f32),
    At(View),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasLook {
    pub has_grid: bool,
    pub compare: Compare,
    pub is_where_used_on: bool,
    /// Whether copies of the picture are shown around it.
    pub is_wrap_preview_on: bool,
}

/// The codes of the model in hand, as swatches.
pub struct PaletteView {
    pub palette: Arc<Palette>,
    pub(super) structure: TextureHandle,
    pub(super) detail: TextureHandle,
    /// Of the code in hand.
    pub exemplars: Option<ExemplarView>,
}

/// Where in the artist's pictures a code stands.
pub struct ExemplarView {
    pub level: Level,
    pub code: u16,
    pub textures: Vec<TextureHandle>,
}

impl PaletteView {
    /// All swatches of a level in one texture.
    pub fn atlas(&self, level: Level) -> &TextureHandle {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }
}

/// What a fine-tune is started with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainForm {
    pub preset: Preset,
    /// Minutes instead of the preset's.
    pub minutes: Option<f64>,
    pub seed: u64,
    pub starts_from: CheckpointChoice,
}

pub struct Training {
    pub form: TrainForm,
    /// The job, while one runs.
    pub job: Option<JobKey>,
    pub started: Option<Instant>,
    /// Whether pause or cancel has been asked for already.
    pub is_stopping: bool,
    /// Figures of the run shown, by name, as (step, value).
    pub figures: BTreeMap<String, Vec<[f64; 2]>>,
    /// Held-out pictures over the run.
    pub previews: Vec<PreviewView>,
    /// The run whose figures are shown.
    pub selected_run: Option<RunId>,
    /// Figures of runs read from the project.
    pub metrics: BTreeMap<RunId, Vec<MetricRow>>,
    /// Which model new documents get.
    pub model: CheckpointChoice,
    /// Whether a run has ended since the user was told of the last one: see [`State::has_news`].
    pub has_news: bool,
}

/// Source, structure alone and reconstruction of each held-out picture at one step.
pub struct PreviewView {
    pub step: u64,
    pub texture: TextureHandle,
}

impl TrainForm {
    /// The same, but for what it starts from, which is the project's.
    pub(super) fn for_next_project(self) -> Self {
        Self {
            starts_from: CheckpointChoice::Best,
            ..self
        }
    }
}

impl Default for TrainForm {
    fn default() -> Self {
        Self {
            preset: Preset::Quick,
            minutes: None,
            seed: 0,
            starts_from: CheckpointChoice::Best,
        }
    }
}

impl Training {
    pub(super) fn new(form: TrainForm) -> Self {
        Self {
            form,
            job: None,
            started: None,
            is_stopping: false,
            figures: BTreeMap::new(),
            previews: Vec::new(),
            selected_run: None,
            metrics: BTreeMap::new(),
            model: CheckpointChoice::Best,
            has_news: false,
        }
    }

    pub const MAX_PREVIEWS: usize = 60;

    pub fn is_running(&self) -> bool {
        self.job.is_some()
    }
}

/// How a picture is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportForm {
    pub folder: PathBuf,
    pub writer: &'static Writer,
    /// With `{name}`, `{date}`, `{time}`, `{model}`. A name that is taken gets a number behind it.
    pub pattern: String,
    /// A folder of its own for each day's exports.
    pub has_dated_folder: bool,
    /// Whether a PNG carries what brings the document back.
    pub has_restore_data: bool,
    pub existing: Existing,
}

impl State {
    /// Whether a fine-tune has ended whose codes the picture on the canvas does not have.
    pub fn has_news(&self) -> bool {
        let session = &self.session;
        let overview = session.project.as_ref().and_then(|p| p.overview.as_ref());
        let newest = overview.and_then(Overview::best_model_hash);
        let shown = session.canvas.as_ref().map(Canvas::model_hash);
        session.training.has_news && newest.is_some() && shown.is_some() && newest != shown
    }

    /// Why fine-tuning cannot start now, in words; `None` where it can.
    pub fn why_no_training(&self) -> Option<String> {
        if self.session.training.is_running() {
            return Some("a fine-tune is running".into());
        }
        let Some(overview) = self
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref())
        else {
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
    pub(super) fn canvases_mut(&mut self) -> impl Iterator<Item = &mut Canvas> {
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
        let Some(canvas) = self
            .session
            .canvas
            .as_ref()
            .filter(|_| self.marks().is_some())
        else {
            return Vec::new();
        };
        let codes = canvas
            .model
            .codebooks()
            .size(level)
            .min(u32::from(u16::MAX)) as u16;
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
