//! What each command does, and what comes back from the lanes.
//!
//! One file for each group of commands; beside them what several need (strokes, pixels, what lies over the canvas), jobs, and
//! events. All of it is `impl App`: whoever looks for what a command does finds it in the file of the same name as the group's.
//!
//! # Limitations
//! Nothing here draws or waits: work on files and models is handed to the lanes, and goes on in what happens at its end. Nothing
//! returns an error: there is nobody else to handle it, so it is told as a notice.

mod brush;
mod code;
mod dataset;
mod document;
mod events;
mod export;
mod file;
mod fill;
mod generate;
mod history;
mod jobs;
mod layer;
mod overlay;
mod pixels;
mod project;
mod replace;
mod selection;
mod stroke;
mod texture;
mod tool;
mod train;
mod view;
mod window;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use eframe::egui;

use super::command::Command;
use super::lanes::{Dialogs, Lanes, Picker, TextureRequest};
use super::state::{Gesture, JobKey, Severity, State};
use crate::engine::{Wake, WeakStorage};
use crate::error::{Error, Result};
use crate::render::{CellOverlay, Gpu};
use crate::settings::{Folders, Settings};
use jobs::AtItsEnd;

/// What the window starts with.
pub struct Options {
    /// Where preferences and the first project lie.
    pub folders: Folders,
    /// Pictures, folders and projects from the command line.
    pub files: Vec<PathBuf>,
    /// Who answers the questions of file dialogs.
    pub picker: Picker,
}

/// The state of the window and the threads behind it. Commands change it.
pub struct App {
    ctx: egui::Context,
    pub state: State,
    lanes: Lanes,
    dialogs: Dialogs,
    /// What happens at the end of jobs that wait or run.
    at_their_end: HashMap<JobKey, AtItsEnd>,
    /// To be done when the desk has done what it was told; of the open project.
    after_desk: Vec<Command>,
    /// Files that were named before a project was open.
    waiting_files: Vec<PathBuf>,
    /// The preferences as this window read or wrote them last; others may have written since.
    saved_settings: Arc<Mutex<Settings>>,
    /// Counts how often a picture came to the canvas.
    openings: u64,
    /// Projects that may still be open here, though another one is shown.
    known_projects: Vec<WeakStorage>,
}

impl App {
    /// Starts the threads and opens the files that were named, with the project that they go into.
    ///
    /// # Errors
    /// `Io` where the system gives no threads.
    pub(in crate::app) fn new(
        ctx: &egui::Context,
        gpu: Option<&Gpu>,
        options: Options,
    ) -> Result<Self> {
        let wake: Wake = Arc::new({
            let ctx = ctx.clone();
            move || ctx.request_repaint()
        });
        let settings = Settings::load(&options.folders.settings_file());
        let renderer = gpu.map_or_else(
            || "plain textures".to_owned(),
            |gpu| format!("wgpu, {}", gpu.name),
        );
        let saved_settings = Arc::new(Mutex::new(settings.clone()));
        let mut app = Self {
            lanes: Lanes::start(ctx, gpu, &wake)?,
            dialogs: Dialogs::new(options.picker, wake),
            state: State::new(options.folders, settings, renderer),
            ctx: ctx.clone(),
            at_their_end: HashMap::new(),
            after_desk: Vec::new(),
            waiting_files: Vec::new(),
            saved_settings,
            openings: 0,
            known_projects: Vec::new(),
        };
        app.state.tools.overlay = CellOverlay::new(gpu);
        app.start(options.files);
        Ok(app)
    }

    /// Does what was asked. What goes wrong is told and not returned.
    pub fn apply(&mut self, command: impl Into<Command>) {
        match command.into() {
            Command::File(command) => self.apply_file(command),
            Command::Dataset(command) => self.apply_dataset(command),
            Command::Export(command) => self.apply_export(command),
            Command::History(command) => self.apply_history(command),
            Command::Tool(command) => self.apply_tool(command),
            Command::Selection(command) => self.apply_selection(command),
            Command::Brush(command) => self.apply_brush(command),
            Command::View(command) => self.apply_view(command),
            Command::Code(command) => self.apply_code(command),
            Command::Train(command) => self.apply_train(command),
            Command::Window(command) => self.apply_window(command),
            Command::Layer(command) => self.apply_layer(command),
            Command::Document(command) => self.apply_document(command),
            Command::Generate(command) => self.apply_generate(command),
        }
    }

    /// Whether all that was done so far has reached the screen and the project's file.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state.tools.gesture, Some(Gesture::Texture { .. }))
            && self.lanes.decode.is_settled()
            && self.lanes.desk.is_settled()
            && self.after_desk.is_empty()
    }

    /// Has the figure of the memory in use read anew.
    pub(in crate::app) fn read_memory(&self) {
        self.lanes.desk.read_memory();
    }

    /// Has something made ready for the screen, for the open project.
    fn request_texture(&mut self, request: TextureRequest) {
        let session = self.state.session.id;
        if let Err(failed) = self.lanes.textures.request(session, request) {
            self.take_loaded(*failed);
        }
    }

    fn tell(&mut self, error: Error) {
        self.state.notices.push(Severity::Error, *error.notice);
    }

    fn tell_failure(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = work(self) {
            self.tell(error);
        }
    }
}
