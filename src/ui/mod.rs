//! Draws the state and asks for commands. Nothing here decides, and nothing here touches a disk or a model.
//!
//! A panel is one file in `panels/` with `fn show(&mut self, ui, &State, &mut Commands)`; what it keeps for
//! itself (a filter's text, a scroll place) is its own struct in [`Shell`].

mod bars;
mod overlays;
mod panels;
pub mod theme;
mod toasts;
mod widgets;

use eframe::egui::{self, CentralPanel, Frame};

use crate::app::{State, Workspace};
use widgets::Commands;

/// Everything on the screen, with what each part remembers between frames.
#[derive(Default)]
pub struct Shell {
    dataset: panels::dataset::DatasetPanel,
    train: panels::train::TrainPanel,
    codebook: panels::codebook::CodebookPanel,
    canvas: panels::canvas::CanvasPanel,
    palette: panels::palette::PalettePanel,
    history: panels::history::HistoryPanel,
    export: panels::export::ExportPanel,
    overlays: overlays::Overlays,
}

impl Shell {
    pub fn show(&mut self, ui: &mut egui::Ui, state: &State, out: &mut Commands) {
        let is_alone = state.workspace == Workspace::Paint && !state.settings.panels.dock;
        if !is_alone {
            bars::top(ui, state, out);
        }
        bars::status(ui, state, self.canvas.hovered(), out);
        let tokens = theme::tokens(ui);
        match state.workspace {
            Workspace::Dataset => page(ui, |ui| self.dataset.show(ui, state, out)),
            Workspace::FineTune => page(ui, |ui| self.train.show(ui, state, out)),
            Workspace::Codebook => page(ui, |ui| self.codebook.show(ui, state, out)),
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
                            self.palette.show(ui, state, out);
                        }
                    });
                }
                if !is_export && !is_alone {
                    panels::tools::show(ui, state, out);
                }
                CentralPanel::default()
                    .frame(Frame::new().fill(tokens.ground))
                    .show(ui, |ui| self.canvas.show(ui, state, out));
            }
        }
        self.overlays.show(ui, state, out);
        toasts::show(ui, state, out);
    }
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
