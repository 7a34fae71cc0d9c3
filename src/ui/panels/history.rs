//! The strokes of the open document; a click goes to that state.

use eframe::egui::{self, RichText, ScrollArea, Ui};

use crate::app::{Command, State};
use crate::ui::theme::tokens;
use crate::ui::widgets::{Commands, heading, list_row, small};

#[derive(Default)]
pub struct HistoryPanel {
    last_cursor: usize,
}

impl HistoryPanel {
    /// At the lower end of the dock.
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(canvas) = &state.canvas else { return };
        let tokens = tokens(ui);
        egui::Panel::bottom("history")
            .resizable(true)
            .default_size(180.0)
            .size_range(90.0..=420.0)
            .frame(egui::Frame::new().inner_margin(egui::Margin {
                top: 10,
                ..Default::default()
            }))
            .show(ui, |ui| {
                let history = canvas.document.history();
                ui.horizontal(|ui| {
                    heading(ui, "History");
                    small(
                        ui,
                        match history.strokes().len() {
                            0 => String::new(),
                            1 => "1 stroke".into(),
                            count => format!("{count} strokes"),
                        },
                    );
                });
                let cursor = history.cursor();
                let has_moved = std::mem::replace(&mut self.last_cursor, cursor) != cursor;
                let rows = history.strokes().len() + 1;
                let row_height = crate::ui::theme::CONTROL;
                let mut area = ScrollArea::vertical().auto_shrink(false);
                if has_moved {
                    let step = row_height + 1.0;
                    let room = (ui.available_height() - step).max(0.0);
                    area = area.vertical_scroll_offset((cursor as f32 * step - room).max(0.0));
                }
                ui.spacing_mut().item_spacing.y = 1.0;
                area.show_rows(ui, row_height, rows, |ui, range| {
                    for index in range {
                        let label = match index {
                            0 => "As opened",
                            _ => history.strokes()[index - 1].label.as_str(),
                        };
                        let colour = if index > cursor {
                            tokens.text_weak
                        } else {
                            tokens.text
                        };
                        let response = list_row(ui, index == cursor, label, |ui| {
                            ui.label(RichText::new(label).color(colour));
                        });
                        if response.clicked() {
                            out.push(Command::GoToHistory(index));
                        }
                    }
                });
            });
    }
}
