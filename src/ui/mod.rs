//! Draws the state and asks for commands.
//!
//! A panel is one file in `panels/` with `fn show(&mut self, ui, &State, &mut Commands)`; what it keeps for
//! itself (a filter's text, a scroll place) is its own struct in [`Shell`].
//!
//! # Limitations
//! Nothing here decides, changes the state, or touches a disk, a thread or a model. Everything is drawn anew in every frame; long
//! lists draw only the rows that are seen.

mod bars;
mod canvas_forms;
mod menus;
mod overlays;
mod panels;
pub(crate) mod theme;
mod toasts;
mod widgets;

use eframe::egui::{self, CentralPanel, Frame};

use crate::app::state::{SessionId, State, Workspace};
pub(crate) use widgets::Commands;

/// Everything on the screen, with what each part remembers between frames.
#[derive(Default)]
pub(crate) struct Shell {
    /// What is remembered is of this session: names being typed, rows chosen.
    session: SessionId,
    dataset: panels::dataset::DatasetPanel,
    train: panels::train::TrainPanel,
    codebook: panels::codebook::CodebookPanel,
    canvas: panels::canvas::CanvasPanel,
    palette: panels::palette::PalettePanel,
    history: panels::history::HistoryPanel,
    layers: panels::layers::LayersPanel,
    export: panels::export::ExportPanel,
    generate: panels::generate::GeneratePanel,
    overlays: overlays::Overlays,
}

impl Shell {
    /// Draws the whole window; what was pressed is in `out` afterwards.
    pub fn show(&mut self, ui: &mut egui::Ui, state: &State, out: &mut Commands) {
        if self.session != state.session.id {
            *self = Self {
                session: state.session.id,
                overlays: std::mem::take(&mut self.overlays),
                ..Self::default()
            };
        }
        let is_alone = state.workspace == Workspace::Paint && !state.settings.panels.dock;
        if !is_alone {
            bars::top(ui, state, out);
        }
        let has_canvas = matches!(state.workspace, Workspace::Paint | Workspace::Export);
        let hovered = self.canvas.hovered().filter(|_| has_canvas);
        bars::status(ui, state, hovered, out);
        let tokens = theme::tokens(ui);
        match state.workspace {
            Workspace::Dataset => page(ui, |ui| self.dataset.show(ui, state, out)),
            Workspace::FineTune => page(ui, |ui| self.train.show(ui, state, out)),
            Workspace::Codebook => page(ui, |ui| self.codebook.show(ui, state, out)),
            Workspace::Generate => page(ui, |ui| self.generate.show(ui, state, out)),
            Workspace::Paint | Workspace::Export => {
                let is_export = state.workspace == Workspace::Export;
                if !is_alone {
                    let dock = egui::Panel::right(if is_export {
                        "export dock"
                    } else {
                        "paint dock"
                    })
                    .resizable(true)
                    .default_size(300.0)
                    .size_range(240.0..=460.0)
                    .frame(Frame::new().fill(tokens.panel).inner_margin(theme::GAP_M));
                    dock.show(ui, |ui| {
                        if is_export {
                            self.export.show(ui, state, out);
                        } else {
                            if state.settings.panels.history {
                                self.history.show(ui, state, out);
                            }
                            if state.settings.panels.layers {
                                self.layers.show(ui, state, out);
                            }
                            self.palette.show(ui, state, out);
                        }
                    });
                }
                if !is_export && !is_alone {
                    panels::tools::show(ui, state, out);
                }
                if !is_alone {
                    panels::tabs::show(ui, state, out);
                    panels::reskin::show(ui, state, out);
                }
                let canvas = CentralPanel::default()
                    .frame(Frame::new().fill(tokens.ground))
                    .show(ui, |ui| self.canvas.show(ui, state, out));
                panels::legend::show(ui, state, canvas.response.rect);
            }
        }
        drop_hint(ui);
        self.overlays.show(ui, state, out);
        toasts::show(ui, state, out);
    }
}

/// Files are held over the window.
fn drop_hint(ui: &egui::Ui) {
    if ui.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let tokens = theme::tokens(ui);
    let screen = ui.ctx().content_rect();
    let painter = ui.ctx().layer_painter(egui::LayerId::new(
        egui::Order::Foreground,
        egui::Id::unique("drop hint"),
    ));
    painter.rect_filled(screen, 0, tokens.ground.gamma_multiply(0.8));
    painter.rect_stroke(
        screen.shrink(12.0),
        10,
        egui::Stroke::new(2.0, tokens.accent),
        egui::StrokeKind::Inside,
    );
    painter.text(
        screen.center(),
        egui::Align2::CENTER_CENTER,
        "Drop a picture to paint on it, a folder to learn from it, or a project to open it",
        theme::semibold(theme::TEXT_HEADING),
        tokens.text,
    );
}

/// A page without a canvas.
fn page(ui: &mut egui::Ui, add: impl FnOnce(&mut egui::Ui)) {
    let tokens = theme::tokens(ui);
    CentralPanel::default()
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(egui::Margin::symmetric(20, 16)),
        )
        .show(ui, add);
}
