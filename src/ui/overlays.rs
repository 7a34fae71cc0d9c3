//! What lies over the page: welcome, command palette, messages, preferences, keys, about.

use std::path::PathBuf;

use eframe::egui::{
    self, Align, Grid, Id, Key, Layout, Modal, RichText, ScrollArea, TextEdit, Ui, vec2,
};
use lucide_icons::Icon;

use super::canvas_forms::CanvasForms;
use super::theme::{self, tokens};
use super::toasts;
use super::widgets::{
    Commands, command_button, glyph, heading, icon_button, icon_text, list_row, named, named_field,
    primary_button, segmented, small, title, tooltip, weak,
};
use crate::app::command::{
    BrushCommand, Command, DatasetCommand, FileCommand, WindowCommand, conflicts, keys_of,
    keys_text, parse_keys, text_of_keys,
};
use crate::app::state::{Overlay, SAMPLES, State, name_of};
use crate::document::tools::brushes::count_text;
use crate::foundation::typed;
use crate::settings::{Settings, ThemeChoice};
use crate::version;

/// What the overlays remember between frames.
#[derive(Default)]
pub struct Overlays {
    text: String,
    chosen: usize,
    /// The command whose keys are being changed, and the text so far.
    rebinding: Option<(&'static str, String)>,
    shown: Option<Overlay>,
    canvas: CanvasForms,
}

impl Overlays {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let has_changed = self.shown != state.overlay;
        self.shown = state.overlay;
        let Some(overlay) = state.overlay else { return };
        if has_changed {
            self.text.clear();
            self.chosen = 0;
            self.rebinding = None;
        }
        let width = match overlay {
            Overlay::Commands | Overlay::OpenPath | Overlay::BrushPack => 520.0,
            Overlay::NewCanvas | Overlay::CanvasSize => 440.0,
            Overlay::Welcome => 620.0,
            _ => 600.0,
        };
        let tokens = tokens(ui);
        let frame = egui::Frame::window(ui.style())
            .fill(tokens.panel)
            .inner_margin(egui::Margin::same(20));
        let response = Modal::new(Id::unique(("overlay", format!("{overlay:?}"))))
            .frame(frame)
            .show(ui.ctx(), |ui| {
                ui.set_width(width);
                match overlay {
                    Overlay::Welcome => welcome(ui, state, out),
                    Overlay::Commands => self.commands(ui, state, has_changed, out),
                    Overlay::NewCanvas => self.canvas.new_canvas(ui, state, out),
                    Overlay::CanvasSize => self.canvas.canvas_size(ui, state, has_changed, out),
                    Overlay::OpenPath => self.open_path(ui, has_changed, out),
                    Overlay::BrushPack => brush_pack(ui, state, out),
                    Overlay::Notices => notices(ui, state, out),
                    Overlay::Settings => self.settings(ui, state, out),
                    Overlay::Help => help(ui, state, out),
                    Overlay::About => about(ui, state, out),
                }
            });
        if response.should_close() {
            out.push(WindowCommand::CloseOverlay);
        }
    }

    fn commands(&mut self, ui: &mut Ui, state: &State, is_new: bool, out: &mut Commands) {
        let field = TextEdit::singleline(&mut self.text)
            .hint_text("What do you want to do?")
            .desired_width(f32::INFINITY);
        let response = named_field(ui.add(field), "What do you want to do?");
        if is_new {
            response.request_focus();
        }
        if response.changed() {
            self.chosen = 0;
        }
        let wanted = self.text.to_lowercase();
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let mut found: Vec<Command> = Command::all()
            .into_iter()
            .filter(|command| {
                command.spec().is_some_and(|spec| {
                    let text = format!("{} {}", spec.label, spec.tooltip).to_lowercase();
                    words.iter().all(|word| text.contains(word))
                })
            })
            .collect();
        // What is called so stands before what only mentions it.
        found.sort_by_cached_key(|command| {
            let label = command.spec().map_or("", |spec| spec.label).to_lowercase();
            !words.iter().all(|word| label.contains(word))
        });
        let (down, up, enter) = ui.input(|input| {
            (
                input.key_pressed(Key::ArrowDown),
                input.key_pressed(Key::ArrowUp),
                input.key_pressed(Key::Enter),
            )
        });
        let last = found.len().saturating_sub(1);
        if down {
            self.chosen = (self.chosen + 1).min(last);
        }
        if up {
            self.chosen = self.chosen.saturating_sub(1);
        }
        ui.add_space(theme::GAP_S);
        if found.is_empty() {
            weak(ui, "No command is called that.");
        }
        let mut run = None;
        ScrollArea::vertical()
            .max_height(360.0)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                for (index, command) in found.iter().enumerate() {
                    let Some(spec) = command.spec() else { continue };
                    let is_on = index == self.chosen;
                    ui.add_enabled_ui(command.is_possible(state), |ui| {
                        let response = list_row(ui, is_on, spec.label, |ui| {
                            ui.label(icon_text(spec.icon));
                            ui.label(spec.label);
                            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                                let keys = keys_text(command, &state.settings);
                                small(ui, keys.unwrap_or_default());
                                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                                    small(ui, spec.tooltip);
                                });
                            });
                        });
                        if is_on && (down || up) {
                            response.scroll_to_me(None);
                        }
                        if response.clicked() || (is_on && enter && response.enabled()) {
                            run = Some(command.clone());
                        }
                    });
                }
            });
        if let Some(command) = run {
            out.push(WindowCommand::CloseOverlay);
            out.push(command);
        }
    }

    fn open_path(&mut self, ui: &mut Ui, is_new: bool, out: &mut Commands) {
        heading(ui, "Open by path");
        weak(ui, "A picture, a folder of pictures, or a .tessera project");
        let field = TextEdit::singleline(&mut self.text).desired_width(f32::INFINITY);
        let response = named_field(ui.add(field), "Path");
        if is_new {
            response.request_focus();
        }
        let enter = ui.input(|input| input.key_pressed(Key::Enter));
        ui.add_space(theme::GAP_S);
        if (primary_button(ui, Icon::FolderOpen, "Open").clicked() || enter)
            && !self.text.trim().is_empty()
        {
            out.push(FileCommand::OpenTyped(typed::path(&self.text)));
        }
    }

    fn settings(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        title(ui, "Preferences");
        ui.add_space(theme::GAP_S);
        Grid::new("preferences")
            .num_columns(2)
            .spacing(vec2(theme::GAP_L, theme::GAP_S))
            .show(ui, |ui| {
                ui.label("Theme");
                let themes = [
                    (ThemeChoice::Dark, "Dark", ""),
                    (ThemeChoice::Light, "Light", ""),
                    (ThemeChoice::System, "As the system", ""),
                ];
                if let Some(theme) = segmented(ui, state.settings.theme, &themes) {
                    out.push(WindowCommand::SetTheme(theme));
                }
                ui.end_row();
                ui.label("Size of the interface");
                ui.horizontal(|ui| {
                    if icon_button(ui, Icon::Minus, "Smaller interface", false).clicked() {
                        out.push(WindowCommand::ScaleDown);
                    }
                    ui.label(format!("{:.0} %", state.settings.ui_scale * 100.0));
                    if icon_button(ui, Icon::Plus, "Larger interface", false).clicked() {
                        out.push(WindowCommand::ScaleUp);
                    }
                });
                ui.end_row();
                ui.label("Computes on");
                let mut devices = vec![("auto", "Automatic"), ("cpu", "Processor")];
                if cfg!(feature = "cuda") {
                    devices.push(("cuda", "NVIDIA graphics"));
                }
                if cfg!(feature = "metal") {
                    devices.push(("metal", "Apple graphics"));
                }
                let choices: Vec<_> = devices
                    .iter()
                    .map(|(id, label)| (*id, *label, ""))
                    .collect();
                if let Some(device) = segmented(ui, state.settings.device.as_str(), &choices) {
                    out.push(WindowCommand::SetDevice(device.to_owned()));
                }
                ui.end_row();
            });
        ui.add_space(theme::GAP_M);
        heading(ui, "Keys");
        for (keys, labels) in conflicts(&state.settings) {
            let colour = tokens(ui).warning;
            let text = format!("{keys} is taken twice: {}", labels.join(" and "));
            ui.label(RichText::new(text).color(colour));
        }
        ScrollArea::vertical()
            .max_height(280.0)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                Grid::new("keys")
                    .num_columns(3)
                    .min_col_width(180.0)
                    .striped(true)
                    .show(ui, |ui| {
                        for command in Command::all() {
                            self.key_row(ui, &command, &state.settings, out);
                        }
                    });
            });
    }

    fn key_row(&mut self, ui: &mut Ui, command: &Command, settings: &Settings, out: &mut Commands) {
        let Some(spec) = command.spec() else { return };
        ui.label(spec.label).on_hover_text(spec.tooltip);
        match &mut self.rebinding {
            Some((id, text)) if *id == spec.id => {
                let field = TextEdit::singleline(text)
                    .hint_text("Ctrl+Shift+K")
                    .desired_width(130.0);
                let response = named_field(ui.add(field), "New keys");
                response.request_focus();
                let is_valid = text.trim().is_empty() || parse_keys(text).is_some();
                let enter = ui.input(|input| input.key_pressed(Key::Enter));
                if ui.add_enabled(is_valid, egui::Button::new("Use")).clicked()
                    || (enter && is_valid)
                {
                    out.push(WindowCommand::BindKey(
                        spec.id.to_owned(),
                        Some(text.trim().to_owned()),
                    ));
                    self.rebinding = None;
                }
            }
            _ => {
                let keys = keys_of(&spec, settings).map_or("–".into(), text_of_keys);
                let name = format!("Keys of {}: {keys}", spec.label);
                if named(ui.button(keys.clone()), &name)
                    .on_hover_text("Change")
                    .clicked()
                {
                    self.rebinding =
                        Some((spec.id, if keys == "–" { String::new() } else { keys }));
                }
                if settings.key_bindings.contains_key(spec.id) {
                    if ui.button("Usual").clicked() {
                        out.push(WindowCommand::BindKey(spec.id.to_owned(), None));
                    }
                } else {
                    ui.label("");
                }
            }
        }
        ui.end_row();
    }
}

fn welcome(ui: &mut Ui, state: &State, out: &mut Commands) {
    title(ui, "Welcome to Tessera");
    weak(
        ui,
        "Paint with an alphabet learned from your own pictures. Everything happens on this computer.",
    );
    ui.add_space(theme::GAP_M);
    let steps = [
        (
            Icon::Images,
            "Import",
            "Give it a folder of your pictures. They are only read.",
        ),
        (
            Icon::Sparkles,
            "Fine-tune",
            "It learns the fragments they are made of: the codes.",
        ),
        (
            Icon::Brush,
            "Paint",
            "Choose a code and paint; the picture follows. The eraser brings the original back.",
        ),
        (
            Icon::Download,
            "Export",
            "Write a PNG. Drop it on Tessera later, and your edits are there again.",
        ),
    ];
    for (icon, name, text) in steps {
        ui.horizontal(|ui| {
            let accent = tokens(ui).accent;
            ui.label(
                RichText::new(glyph(icon))
                    .font(theme::icons(22.0))
                    .color(accent),
            );
            ui.add_space(theme::GAP_S);
            ui.vertical(|ui| {
                heading(ui, name);
                weak(ui, text);
            });
        });
        ui.add_space(theme::GAP_XS);
    }
    let others: Vec<&PathBuf> = state
        .settings
        .recent_projects
        .iter()
        .skip(1)
        .take(4)
        .collect();
    if !others.is_empty() {
        ui.add_space(theme::GAP_S);
        heading(ui, "Recent projects");
        for path in others {
            if ui
                .link(name_of(path))
                .on_hover_text(path.display().to_string())
                .clicked()
            {
                out.push(WindowCommand::CloseOverlay);
                out.push(FileCommand::OpenProjectAt(path.clone()));
            }
        }
    }
    ui.add_space(theme::GAP_M);
    ui.horizontal(|ui| {
        if primary_button(ui, Icon::Brush, "Start painting").clicked() {
            out.push(WindowCommand::CloseOverlay);
        }
        if ui.button("Import a folder…").clicked() {
            out.push(WindowCommand::CloseOverlay);
            out.push(DatasetCommand::ImportFolder);
        }
        small(ui, "The picture behind this is ready to paint on.");
    });
}

fn notices(ui: &mut Ui, state: &State, _out: &mut Commands) {
    title(ui, "Messages");
    let tokens = tokens(ui);
    let mut is_empty = true;
    ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
        for entry in state.notices.history() {
            is_empty = false;
            ui.horizontal_top(|ui| toasts::row(ui, &tokens, entry));
            let age = entry.at.elapsed().map_or(0.0, |age| age.as_secs_f64());
            small(ui, format!("{} ago", super::widgets::duration_text(age)));
            ui.separator();
        }
    });
    if is_empty {
        weak(ui, "Nothing has happened yet.");
    }
}

/// A pack of brushes for another codebook: what is to be done with it.
fn brush_pack(ui: &mut Ui, state: &State, out: &mut Commands) {
    let Some((pack, why)) = &state.session.waiting_pack else {
        out.push(WindowCommand::CloseOverlay);
        return;
    };
    heading(ui, "These brushes were made for another codebook");
    ui.add_space(theme::GAP_XS);
    weak(
        ui,
        format!(
            "The file has {}, but {why}. They can be carried over: each code becomes the one \
             here that is most like it.",
            count_text(pack.brushes.len())
        ),
    );
    ui.add_space(theme::GAP_M);
    ui.horizontal(|ui| {
        let command = Command::from(BrushCommand::MapToNearest);
        if let Some(spec) = command.spec()
            && primary_button(ui, spec.icon, spec.label)
                .on_hover_text(tooltip(&command, state))
                .clicked()
        {
            out.push(command);
        }
        if ui.button("Do not import").clicked() {
            out.push(WindowCommand::CloseOverlay);
        }
    });
}

fn help(ui: &mut Ui, state: &State, out: &mut Commands) {
    title(ui, "Keys");
    ScrollArea::vertical().max_height(440.0).show(ui, |ui| {
        Grid::new("help")
            .num_columns(2)
            .striped(true)
            .min_col_width(280.0)
            .show(ui, |ui| {
                for (keys, what) in [
                    ("Wheel", "Zoom at the cursor"),
                    ("Ctrl + wheel", "Brush size"),
                    ("Space or middle button, drag", "Pan"),
                    (
                        "Ctrl or Alt with the brush",
                        "Take the code under the cursor",
                    ),
                    (
                        "Ctrl+Shift, drag",
                        "Take a block of codes for the pattern brush",
                    ),
                    ("Shift with a brush", "A straight line"),
                    (
                        "Shift, Alt, Shift+Alt with a selection tool",
                        "Add, subtract, intersect",
                    ),
                    ("Alt with Move", "A copy of what is selected"),
                    ("Ctrl-click with Clone", "Where to clone from"),
                    ("C, held", "See the picture as it came in"),
                    ("Esc while painting", "Take the stroke back"),
                ] {
                    ui.label(RichText::new(keys).font(theme::medium(theme::TEXT_BODY)));
                    ui.label(what);
                    ui.end_row();
                }
                for command in Command::all() {
                    if let Some(spec) = command.spec()
                        && let Some(keys) = keys_text(&command, &state.settings)
                    {
                        ui.label(RichText::new(keys).font(theme::medium(theme::TEXT_BODY)));
                        ui.label(spec.label).on_hover_text(spec.tooltip);
                        ui.end_row();
                    }
                }
            });
    });
    ui.add_space(theme::GAP_S);
    command_button(ui, state, out, WindowCommand::Open(Overlay::Settings))
        .on_hover_text("Keys can be changed there");
}

fn about(ui: &mut Ui, state: &State, _out: &mut Commands) {
    title(ui, &format!("Tessera {}", version::version()));
    weak(
        ui,
        "Paint with a codebook learned from your own pictures. No picture leaves this computer.",
    );
    ui.add_space(theme::GAP_S);
    small(
        ui,
        format!(
            "Accelerators this build can use: {}. Drawn by {}",
            version::accelerators(),
            state.renderer
        ),
    );
    if let Some(canvas) = &state.session.canvas {
        small(
            ui,
            format!(
                "Model in use: {} ({:.12})",
                canvas.model_name(),
                canvas.model_hash()
            ),
        );
    }
    small(
        ui,
        format!(
            "{} frames drawn, {}",
            state.frames.count(),
            state.frames.summary()
        ),
    );
    ui.add_space(theme::GAP_M);
    heading(ui, "Licences");
    ui.label("Tessera: MIT or Apache-2.0, at your choice.");
    ui.label(format!("{} sample pictures: CC0.", SAMPLES.len()));
    ui.label("Typeface Inter: SIL Open Font License 1.1. Icons Lucide: ISC.");
    ui.label("Libraries: candle, egui, wgpu, SQLite and others; each under its own free licence, listed in Cargo.lock.");
    ui.add_space(theme::GAP_S);
    ui.collapsing("The base model", |ui| {
        ScrollArea::vertical().max_height(220.0).show(ui, |ui| {
            ui.label(include_str!("../../models/README.md"));
        });
    });
}
