//! The desktop window: decides what happens. `ui` draws the state and asks for commands; nothing else connects
//! the two.

mod apply;
mod code_marks;
mod command;
mod command_words;
mod dialogs;
mod document_command;
mod durations;
mod events;
mod gallery;
mod history_pictures;
mod jobs;
mod lanes;
mod layer_command;
#[cfg(target_os = "linux")]
mod libraries;
mod notices;
mod pace;
mod paint;
mod place;
mod run;
mod session;
mod shortcuts;
mod spec;
mod state;
mod textures;
mod thumb;
mod tool_command;
mod tools;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use eframe::egui;

pub use apply::export_path;
pub use code_marks::CodeMarks;
pub use command::Command;
pub use dialogs::{Picker, Question, system_picker};
pub use document_command::{DocumentCommand, NewCanvas, TimelapseForm};
pub use durations::Durations;
pub use jobs::ShownJob;
pub use layer_command::LayerCommand;
pub use notices::{Entry, Notices, Severity};
pub use run::run;
pub use session::{Session, SessionId};
pub use shortcuts::{conflicts, of as shortcut_of, parse as parse_shortcut, text_for, text_of};
pub use spec::Spec;
pub use state::{
    Canvas, CanvasLook, CropsView, ExemplarView, ExportForm, Gallery, JobKey, LeftJob, OpenProject,
    Overlay, Paint, PaletteView, PerLevel, PreviewView, RunningJob, State, Thumbnail, TrainForm,
    Training, ViewWish, Workspace, name_of,
};
pub use tools::{Gesture, Hold, StrokeStep, TintKind, Tool, ToolBox, ToolOption};

// What the panels name of the layers below.
pub use crate::engine::{
    ANIMATION_WRITERS, AnimationWriter, CheckpointChoice, CountUsageJob, DeviceInUse, Existing,
    ImportJob, Imported, Lane, OpenProjectJob, Overview, Palette, PaletteLevel, PictureRole,
    Preset, Reframe, Reskin, ReskinJob, RewrapJob, SAMPLES, WRITERS, Writer,
};
pub use crate::project::{
    CheckpointKind, CheckpointRow, DocumentRow, MetricRow, PictureCounts, PictureFilter, PictureId,
    PictureRow, RunRow, RunStatus,
};

use crate::document::History;
use crate::engine::{ProjectFile, Wake, WeakStorage};
use crate::error::Result;
use crate::progress::Stop;
use crate::render::{Compare, Gpu};
use crate::settings::{Folders, Settings, ThemeChoice};
use crate::ui::Shell;
use dialogs::Dialogs;
use jobs::Ended;
use lanes::Lanes;
use pace::Pace;
use textures::Wanted;

/// The sample that a first start opens.
const FIRST_SAMPLE: &str = "kitten-on-lawn.jpg";
/// Replies of the desk taken in per frame: each may be a thumbnail that goes to the graphics driver.
const MAX_REPLIES: usize = 12;
/// How long closing waits for a fine-tune to write down where it stands.
const PAUSE_ON_EXIT: std::time::Duration = std::time::Duration::from_secs(30);

/// What the window starts with.
pub struct Options {
    pub folders: Folders,
    /// Pictures, folders and projects from the command line.
    pub files: Vec<PathBuf>,
    pub picker: Picker,
}

pub struct App {
    ctx: egui::Context,
    pub state: State,
    lanes: Lanes,
    dialogs: Dialogs,
    shell: Shell,
    /// Asked for while drawing.
    pending: Vec<Command>,
    /// Named before a project was open.
    waiting_files: Vec<PathBuf>,
    applied_look: Option<(ThemeChoice, f32)>,
    /// The preferences as this window read or wrote them last; others may have written since.
    saved_settings: Arc<Mutex<Settings>>,
    openings: u64,
    pace: Pace,
    /// Projects that may still be open here, though another one is shown.
    known_projects: Vec<WeakStorage>,
}

impl App {
    /// # Errors
    /// `Io` where the system gives no threads.
    pub fn new(cc: &eframe::CreationContext<'_>, options: Options) -> Result<Self> {
        let ctx = cc.egui_ctx.clone();
        crate::ui::theme::install(&ctx);
        // Ctrl with + and − are commands like any other here.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let wake: Wake = Arc::new({
            let ctx = ctx.clone();
            move || ctx.request_repaint()
        });
        let gpu = cc.wgpu_render_state.as_ref().map(Gpu::new);
        let settings = Settings::load(&options.folders.settings_file());
        let renderer = gpu.as_ref().map_or_else(
            || "plain textures".to_owned(),
            |gpu| format!("wgpu, {}", gpu.name),
        );
        let saved_settings = Arc::new(Mutex::new(settings.clone()));
        let mut app = Self {
            lanes: Lanes::start(&ctx, gpu.as_ref(), &wake)?,
            dialogs: Dialogs::new(options.picker, wake),
            state: State::new(options.folders, settings, renderer),
            ctx,
            shell: Shell::default(),
            pending: Vec::new(),
            waiting_files: Vec::new(),
            applied_look: None,
            saved_settings,
            openings: 0,
            pace: Pace::default(),
            known_projects: Vec::new(),
        };
        app.state.tools.overlay = crate::render::CellOverlay::new(gpu.as_ref());
        app.start(options.files);
        Ok(app)
    }

    /// Opens the project named, or the last one, or the first.
    fn start(&mut self, files: Vec<PathBuf>) {
        self.find_device();
        if !files.is_empty() {
            self.apply(Command::OpenFiles(files));
        }
        if self.state.has_job::<OpenProjectJob>() {
            return;
        }
        match self.state.settings.recent_projects.first().cloned() {
            Some(path) => self.open_project(path, ProjectFile::Open),
            None => self.open_first_project(),
        }
    }

    /// Opens the project of somebody who chose none, or a new one where that is not to be had.
    fn open_first_project(&mut self) {
        let first = self.state.folders.first_project();
        self.open_at_start(first, |app| {
            // Another window may hold it.
            let name = format!("Project {}.tessera", std::process::id());
            app.open_at_start(app.state.folders.data.join(name), |_| {});
        });
    }

    fn open_at_start(&mut self, path: PathBuf, otherwise: impl FnOnce(&mut Self) + 'static) {
        let job = OpenProjectJob {
            path,
            file: ProjectFile::OpenOrCreate,
            known: self.known_projects.clone(),
        };
        self.submit_for_window(job, |app, ended| match ended {
            Ended::Finished(storage) => app.project_opened(storage),
            Ended::Failed if app.state.session.project.is_none() => otherwise(app),
            Ended::Failed | Ended::Cancelled => {}
        });
    }

    /// Has something made ready for the screen, for the open project.
    fn want(&self, wanted: Wanted) {
        self.lanes.textures.want(self.state.session.id, wanted);
    }

    /// Whether all that was done so far has reached the screen and the project's file.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state.tools.gesture, Some(Gesture::Texture { .. }))
            && self.lanes.decode.is_settled()
            && self.lanes.desk.is_settled()
            && self.state.session.after_desk.is_empty()
            && self.pending.is_empty()
    }

    /// Takes in what came back and what was pressed, and does it.
    fn decide(&mut self, ctx: &egui::Context) {
        for (key, event) in self.lanes.events() {
            self.take_event(key, event);
        }
        self.pace.did("events");
        for (session, loaded) in self.lanes.textures.take() {
            if session == self.state.session.id {
                self.take_loaded(loaded);
            }
        }
        // No picture takes the pointer away from a stroke.
        let is_pressed = ctx.input(|input| input.pointer.any_down()) || self.is_stroke_open();
        if !is_pressed || self.state.session.canvas.is_none() {
            for (opened, surface) in std::mem::take(&mut self.state.session.opened) {
                self.document_opened(&opened, surface);
            }
        }
        self.pace.did("textures");
        let (replies, has_more) = self.lanes.desk.take(MAX_REPLIES);
        for reply in replies {
            self.take_reply(reply);
        }
        if has_more {
            ctx.request_repaint();
        }
        self.pace.did("replies");
        for (number, reply) in self.lanes.texture.take() {
            self.take_texture(number, reply);
        }
        self.pace.did("texture");
        for patch in self.lanes.decode.take() {
            self.take_patch(patch);
        }
        self.pace.did("patches");
        let mut commands = self.dialogs.take(self.state.session.id);
        commands.extend(shortcuts::pressed(
            ctx,
            &self.state.settings,
            self.state.workspace,
        ));
        let dropped: Vec<PathBuf> = ctx.input(|input| {
            (input.raw.dropped_files.iter())
                .map(|file| file.path().to_path_buf())
                .collect()
        });
        if !dropped.is_empty() {
            commands.push(Command::OpenFiles(dropped));
        }
        let after_desk = &mut self.state.session.after_desk;
        if !after_desk.is_empty() && self.lanes.desk.is_settled() {
            commands.append(after_desk);
        }
        for command in commands {
            self.apply(command);
        }
        self.pace.did("commands");
        if self.pace.wants_memory() {
            self.lanes.desk.read_memory();
        }
        self.refresh_reskin();
        let look = (self.state.settings.theme, self.state.settings.ui_scale);
        if self.applied_look != Some(look) {
            self.applied_look = Some(look);
            crate::ui::theme::choose(ctx, look.0);
            ctx.set_zoom_factor(look.1);
        }
        if let Some(wait) = self.state.notices.next_change() {
            ctx.request_repaint_after(wait);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.pace.begin(&mut self.state, frame.info().cpu_usage);
        let _drawing = crate::window_thread::mark();
        self.decide(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let _drawing = crate::window_thread::mark();
        self.shell.show(ui, &self.state, &mut self.pending);
        self.pace.did("drawing");
        // What was asked for while drawing is done before the frame ends: a dab must not wait for the next one.
        let mut shows_something_new = false;
        for command in std::mem::take(&mut self.pending) {
            // The gallery says in every frame what it shows; what it lacks wakes the window when it has come.
            shows_something_new |= !matches!(
                command,
                Command::ShowRows(_) | Command::LookAt(_) | Command::ShowHistory(_)
            );
            self.apply(command);
        }
        if shows_something_new {
            ui.ctx().request_repaint();
        }
        self.pace.did("what was asked for");
        self.pace.watch(&self.state);
        self.pace.end(&mut self.state);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        let state = &self.state;
        for (what, durations) in [
            ("frames decided and drawn", &state.frames),
            (
                "frames with the graphics driver's part",
                &state.whole_frames,
            ),
            ("intervals between moving frames", &state.intervals),
            ("dabs to their pixels", &state.dabs),
        ] {
            log::info!("{} {what}: {}", durations.count(), durations.summary());
        }
        // A run that is only paused goes on at the next start.
        let left = state
            .left_jobs
            .keys()
            .filter(|key| key.lane == Lane::Training);
        let runs = state.session.training.job.iter().chain(left);
        let mut runs: BTreeSet<JobKey> = runs.copied().collect();
        for run in &runs {
            self.lanes.stop(*run, Stop::Pause);
        }
        let deadline = Instant::now() + PAUSE_ON_EXIT;
        while !runs.is_empty() && Instant::now() < deadline {
            for (key, event) in self.lanes.events() {
                if event.kind.is_final() {
                    runs.remove(&key);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn auto_save_interval(&self) -> std::time::Duration {
        // Only the window's place is saved this way.
        std::time::Duration::from_secs(300)
    }
}

impl State {
    fn new(folders: Folders, settings: Settings, renderer: String) -> Self {
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
            window_jobs: Default::default(),
            left_jobs: Default::default(),
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
}
