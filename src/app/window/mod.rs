//! The window itself: takes in what came back, draws with `ui`, and does what was asked for.
//!
//! # Limitations
//! One window per process, and one project in it. On Linux the window needs libraries that are opened by name at run time; where one
//! is missing the program says which (`libraries.rs`).

mod frame_times;
#[cfg(target_os = "linux")]
mod libraries;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use eframe::egui;

pub use run::run;

use super::apply::{App, Options};
use super::command::{
    Command, DatasetCommand, FileCommand, GenerateCommand, HistoryCommand, ViewCommand, pressed,
};
use crate::error::Result;
use crate::render::Gpu;
use crate::settings::ThemeChoice;
use crate::ui::{Commands, Shell, theme};
use frame_times::FrameTimes;

/// How often the window's place on the screen is kept: all else is stored as it is done.
const AUTO_SAVE: Duration = Duration::from_secs(300);

/// The window, as the system runs it.
pub struct MainWindow {
    /// What is decided, and the threads that do it.
    pub app: App,
    shell: Shell,
    frame_times: FrameTimes,
    /// The theme and the size of the interface that are in effect.
    applied_look: Option<(ThemeChoice, f32)>,
}

impl MainWindow {
    /// Prepares what draws, starts the threads, and opens the project and the files that were asked for.
    ///
    /// # Errors
    /// `Io` where the system gives no threads.
    pub fn new(cc: &eframe::CreationContext<'_>, options: Options) -> Result<Self> {
        let ctx = &cc.egui_ctx;
        theme::install(ctx);
        // Ctrl with + and − are commands like any other here.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let gpu = cc.wgpu_render_state.as_ref().map(Gpu::new);
        Ok(Self {
            app: App::new(ctx, gpu.as_ref(), options)?,
            shell: Shell::default(),
            frame_times: FrameTimes::default(),
            applied_look: None,
        })
    }

    /// Takes in what came back and what was pressed, and does it.
    fn decide(&mut self, ctx: &egui::Context) {
        let Self {
            app, frame_times, ..
        } = self;
        app.take_events();
        frame_times.did("events");
        app.take_textures(ctx.input(|input| input.pointer.any_down()));
        frame_times.did("textures");
        if app.take_replies() {
            ctx.request_repaint();
        }
        frame_times.did("replies");
        app.take_new_texture();
        frame_times.did("new texture");
        app.take_patches();
        frame_times.did("patches");
        let mut commands = app.take_answers();
        commands.extend(pressed(ctx, &app.state.settings, app.state.workspace));
        commands.extend(dropped(ctx));
        commands.extend(app.take_after_desk());
        for command in commands {
            app.apply(command);
        }
        frame_times.did("commands");
        if frame_times.is_memory_due() {
            app.read_memory();
        }
        app.refresh_reskin();
        let look = (app.state.settings.theme, app.state.settings.ui_scale);
        if self.applied_look != Some(look) {
            self.applied_look = Some(look);
            theme::choose(ctx, look.0);
            ctx.set_zoom_factor(look.1);
        }
        if let Some(wait) = app.state.notices.next_change() {
            ctx.request_repaint_after(wait);
        }
    }
}

impl eframe::App for MainWindow {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        let state = &mut self.app.state;
        self.frame_times.begin(state, frame.info().cpu_usage);
        let _drawing = crate::window_thread::mark();
        self.decide(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let _drawing = crate::window_thread::mark();
        let mut asked = Commands::default();
        self.shell.show(ui, &self.app.state, &mut asked);
        self.frame_times.did("drawing");
        // What was asked for while drawing is done before the frame ends: a dab must not wait for the next one.
        let mut shows_something_new = false;
        for command in asked {
            shows_something_new |= !is_said_every_frame(&command);
            self.app.apply(command);
        }
        if shows_something_new {
            ui.ctx().request_repaint();
        }
        self.frame_times.did("what was asked for");
        self.frame_times.watch(&self.app.state);
        self.frame_times.end(&mut self.app.state);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        frame_times::log_summary(&self.app.state);
        self.app.pause_runs_for_exit();
    }

    fn auto_save_interval(&self) -> Duration {
        AUTO_SAVE
    }
}

/// Whether it only says what is on the screen: what that lacks wakes the window when it has come.
fn is_said_every_frame(command: &Command) -> bool {
    matches!(
        command,
        Command::Dataset(DatasetCommand::ShowRows(_))
            | Command::Generate(GenerateCommand::ShowResults(_))
            | Command::View(ViewCommand::LookAt(_))
            | Command::History(HistoryCommand::ShowStrokes(_))
    )
}

/// Files that were dropped on the window.
fn dropped(ctx: &egui::Context) -> Option<Command> {
    let files: Vec<PathBuf> = ctx.input(|input| {
        (input.raw.dropped_files.iter())
            .map(|file| file.path().to_path_buf())
            .collect()
    });
    (!files.is_empty()).then(|| FileCommand::OpenFiles(files).into())
}
