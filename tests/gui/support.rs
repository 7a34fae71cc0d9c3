//! A window in a folder of its own, driven step by step. After each step it is looked over: see [`Sweep`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eframe::egui::{self, Pos2, Rect, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use tessera::app::{
    App, Canvas, Command, MainWindow, Options, Picker, Question, State, WindowCommand,
};
use tessera::document::Level;
use tessera::settings::{Folders, Settings};

mod sweep;

use sweep::Sweep;

/// Enough for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Window {
    pub harness: Harness<'static, MainWindow>,
    sweep: Sweep,
    /// What the file dialogs answer next, newest last.
    pub answers: Arc<Mutex<Vec<PathBuf>>>,
}

impl Window {
    /// A window whose user has seen the welcome.
    pub fn open(folder: &Path, files: &[PathBuf]) -> Self {
        let folders = Folders::within(folder);
        let mut settings = Settings::load(&folders.settings_file());
        settings.welcome_seen = true;
        settings
            .save(&folders.settings_file())
            .expect("a folder to write to");
        Self::first_start(folder, files)
    }

    pub fn first_start(folder: &Path, files: &[PathBuf]) -> Self {
        let answers: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
        let picker: Picker = {
            let answers = answers.clone();
            Arc::new(move |_: &Question| answers.lock().ok()?.pop().map(|path| vec![path]))
        };
        let options = Options {
            folders: Folders::within(folder),
            files: files.to_vec(),
            picker,
        };
        let harness = Harness::builder()
            .with_size(Vec2::new(1280.0, 720.0))
            .build_eframe(|cc| MainWindow::new(cc, options).expect("threads can be started"));
        let sweep = Sweep::default();
        Self {
            harness,
            sweep,
            answers,
        }
    }

    pub fn state(&self) -> &State {
        &self.harness.state().app.state
    }

    /// What does commands.
    pub fn app(&mut self) -> &mut App {
        &mut self.harness.state_mut().app
    }

    /// Steps frames until `done`, and tells what the window says where that takes too long.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self.state()) {
            if Instant::now() > deadline {
                let notices: Vec<String> =
                    self.state().notices.history().map(|n| n.text()).collect();
                panic!(
                    "{what} did not come; jobs {:?}; notices {notices:?}",
                    self.state().jobs().collect::<Vec<_>>()
                );
            }
            self.harness.step();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.steps(3);
    }

    /// Draws frames, then looks whether everything agrees.
    pub fn steps(&mut self, frames: usize) {
        self.harness.run_steps(frames);
        self.sweep();
    }

    /// Does a command as a menu would.
    pub fn apply(&mut self, command: impl Into<Command>) {
        self.app().apply(command);
        self.steps(3);
    }

    /// Waits until all that was done has reached the screen and the file.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.harness.state().app.is_settled() {
            assert!(Instant::now() < deadline, "it does not come to rest");
            self.harness.step();
            std::thread::sleep(Duration::from_millis(2));
        }
        // What came back with it is taken in.
        self.harness.step();
    }

    /// What must hold whatever was done: see [`Sweep`].
    pub fn sweep(&mut self) {
        let mut sweep = std::mem::take(&mut self.sweep);
        sweep.look(self);
        self.sweep = sweep;
    }

    /// From here on strokes may fail to reach the file.
    pub fn allow_unstored(&mut self, allowed: bool) {
        self.sweep.may_be_unstored = allowed;
    }

    /// A document is open and its codes are drawn.
    pub fn until_paintable(&mut self) {
        self.until("a picture to paint on", |state| {
            state.session.canvas.is_some() && state.session.palette.is_some()
        });
    }

    pub fn click(&mut self, label: &str) {
        // A list row is found before the text inside it.
        let found = self.harness.get_all_by_label(label).next();
        found.expect("something is called so").click();
        self.steps(3);
    }

    pub fn key(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.steps(3);
    }

    /// What the next file dialog gives.
    pub fn answer(&self, path: &Path) {
        let mut answers = self.answers.lock().expect("no test panics with it");
        answers.push(path.to_path_buf());
    }

    /// Takes what was told off the screen: it lies over other things.
    pub fn dismiss_notices(&mut self) {
        let shown: Vec<u64> = self.state().notices.shown().map(|entry| entry.id).collect();
        for id in shown {
            self.app().apply(WindowCommand::DismissNotice(id));
        }
        self.steps(3);
    }

    /// Types into the field of this name, in place of what stands there.
    pub fn write(&mut self, field: &str, text: &str) {
        self.harness.get_by_label(field).focus();
        self.harness.run_steps(2);
        self.key(egui::Modifiers::COMMAND, egui::Key::A);
        self.key(egui::Modifiers::NONE, egui::Key::Backspace);
        if !text.is_empty() {
            self.harness.get_by_label(field).type_text(text);
        }
        self.harness.run_steps(2);
        self.key(egui::Modifiers::NONE, egui::Key::Enter);
    }

    pub fn canvas_rect(&self) -> Rect {
        self.harness.get_by_label("Canvas").rect()
    }

    /// The screen point of a point of the picture, given as shares of its size, while it is fitted.
    pub fn on_picture(&self, x: f32, y: f32) -> Pos2 {
        let canvas = self
            .state()
            .session
            .canvas
            .as_ref()
            .expect("a document is open");
        let size = Vec2::new(
            canvas.document.width() as f32,
            canvas.document.height() as f32,
        );
        let panel = self.canvas_rect();
        let view = tessera::render::View::fit(size, panel, 1.0);
        panel.center() + (Vec2::new(x, y) * size - size / 2.0) * view.zoom
    }

    /// A stroke through these points of the picture.
    pub fn drag(&mut self, points: &[(f32, f32)]) {
        let points: Vec<Pos2> = points.iter().map(|&(x, y)| self.on_picture(x, y)).collect();
        self.harness.hover_at(points[0]);
        self.harness.run_steps(2);
        self.harness.drag_at(points[0]);
        self.harness.run_steps(2);
        for &point in &points[1..] {
            self.harness.hover_at(point);
            self.harness.run_steps(1);
        }
        self.harness.drop_at(points[points.len() - 1]);
        self.steps(2);
    }

    pub fn canvas(&self) -> &Canvas {
        self.state()
            .session
            .canvas
            .as_ref()
            .expect("a document is open")
    }

    /// Columns and rows of the structure grid.
    pub fn cells(&self) -> (u32, u32) {
        let geometry = self.canvas().document.geometry();
        let bounds = geometry.grid_bounds(Level::Structure);
        (bounds.width, bounds.height)
    }

    /// The screen point of the middle of a structure cell, while the picture is fitted.
    pub fn on_cell(&self, (x, y): (u32, u32)) -> Pos2 {
        let document = &self.canvas().document;
        let share = |cell: u32, size: u32| (cell as f32 * 16.0 + 8.0) / size as f32;
        self.on_picture(share(x, document.width()), share(y, document.height()))
    }

    /// Press, drag and release from cell to cell, with keys held.
    pub fn drag_cells(&mut self, modifiers: egui::Modifiers, cells: &[(u32, u32)]) {
        let points: Vec<Pos2> = cells.iter().map(|&cell| self.on_cell(cell)).collect();
        let held = |modifiers| egui::Event::ModifiersChanged(modifiers);
        self.harness.event(held(modifiers));
        self.harness.hover_at(points[0]);
        self.harness.run_steps(1);
        self.harness.drag_at(points[0]);
        self.harness.run_steps(1);
        for &point in &points[1..] {
            self.harness.hover_at(point);
            self.harness.run_steps(1);
        }
        self.harness.drop_at(points[points.len() - 1]);
        self.harness.run_steps(1);
        self.harness.event(held(egui::Modifiers::NONE));
        self.steps(2);
    }

    /// A code that the open picture does not use.
    pub fn unused_code(&self, level: Level) -> u16 {
        let cells = self.canvas().document.edited().level(level).cells();
        let unused = (0u16..).find(|code| !cells.contains(code));
        unused.expect("more codes than cells")
    }

    pub fn strokes(&self) -> usize {
        let canvas = self
            .state()
            .session
            .canvas
            .as_ref()
            .expect("a document is open");
        canvas.document.history().cursor()
    }

    /// Closes as the title bar's button does.
    pub fn close(mut self) {
        self.sweep();
        let mut window = self.harness.into_state();
        eframe::App::on_exit(&mut window, None);
        drop(window);
    }
}
