//! The strokes of the open document and its snapshots; a click goes to that state.

use std::time::Duration;

use eframe::egui::{
    self, Align, Color32, CornerRadius, Image, Layout, Rect, RichText, Role, ScrollArea, Sense,
    TextEdit, TextureHandle, Ui, Vec2, WidgetInfo,
};
use lucide_icons::Icon;

use crate::app::command::HistoryCommand;
use crate::app::state::{Canvas, State};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, command_icon, heading, icon_text, list_row, sized_icon_button, small,
};

/// Seconds without a movement of the pointer before pictures are made.
const REST_S: f32 = 0.7;
/// Side of the picture of a stroke, points.
const PICTURE: f32 = 22.0;

/// The list of strokes and snapshots.
#[derive(Default)]
pub struct HistoryPanel {
    last_cursor: usize,
    /// Frames for which the list still moves to the cursor: in the first, it is bounded by the rows of the frame before.
    moves: u8,
    /// The snapshot that is being renamed, with the text so far.
    renamed: Option<(u32, String)>,
}

impl HistoryPanel {
    /// At the lower end of the dock.
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(canvas) = &state.session.canvas else {
            return;
        };
        egui::Panel::bottom("history")
            .resizable(true)
            .default_size(150.0)
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
                        match history.older() + history.strokes().len() as u64 {
                            0 => String::new(),
                            1 => "1 stroke".into(),
                            count => format!("{count} strokes"),
                        },
                    );
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        command_icon(ui, state, out, HistoryCommand::TakeSnapshot, false);
                    });
                });
                ui.spacing_mut().item_spacing.y = 1.0;
                for snapshot in 0..canvas.snapshots.len().min(4) {
                    self.snapshot(ui, canvas, canvas.snapshots.len() - 1 - snapshot, out);
                }
                if canvas.snapshots.len() > 4 {
                    ui.menu_button("Older snapshots", |ui| {
                        for snapshot in canvas.snapshots.iter().rev().skip(4) {
                            if ui.button(&snapshot.name).clicked() {
                                out.push(HistoryCommand::BackToSnapshot(snapshot.number));
                                ui.close();
                            }
                        }
                    });
                }
                self.strokes(ui, canvas, out);
            });
    }

    fn strokes(&mut self, ui: &mut Ui, canvas: &Canvas, out: &mut Commands) {
        let tokens = tokens(ui);
        let history = canvas.document.history();
        let cursor = history.cursor();
        if std::mem::replace(&mut self.last_cursor, cursor) != cursor {
            self.moves = 2;
        }
        let rows = history.strokes().len() + 1;
        let row_height = theme::CONTROL;
        let mut area = ScrollArea::vertical().auto_shrink(false);
        if self.moves > 0 {
            self.moves -= 1;
            ui.ctx().request_repaint();
            let step = row_height + 1.0;
            let room = (ui.available_height() - step).max(0.0);
            area = area.vertical_scroll_offset((cursor as f32 * step - room).max(0.0));
        }
        area.show_rows(ui, row_height, rows, |ui, range| {
            let strokes = range.start.saturating_sub(1)..range.end.saturating_sub(1);
            let lacks = |stroke| !canvas.pictures.knows(stroke);
            if history.strokes()[strokes.clone()].iter().any(lacks) {
                // Pictures can wait until the hand rests: strokes need the processor more.
                let rest = ui.input(|input| input.pointer.time_since_last_movement());
                if rest >= REST_S {
                    out.push(HistoryCommand::ShowStrokes(strokes));
                } else {
                    let wait = Duration::from_secs_f32(REST_S - rest);
                    ui.ctx().request_repaint_after(wait);
                }
            }
            for index in range {
                let label = match (index, history.older()) {
                    (0, 0) => "As opened".into(),
                    (0, 1) => "After 1 older stroke".into(),
                    (0, older) => format!("After {older} older strokes"),
                    _ => history.strokes()[index - 1].label.clone(),
                };
                let colour = if index > cursor {
                    tokens.text_weak
                } else {
                    tokens.text
                };
                let picture = match index {
                    0 => (history.older() == 0).then_some(&canvas.as_opened),
                    _ => canvas.pictures.of(&history.strokes()[index - 1]),
                };
                let response = list_row(ui, index == cursor, &label, |ui| {
                    picture_of(ui, picture, index > cursor);
                    ui.label(RichText::new(&label).color(colour));
                });
                if response.clicked() {
                    out.push(HistoryCommand::GoTo(index));
                }
            }
        });
    }

    /// A state with a name: a click goes back to it, a double click renames it.
    fn snapshot(&mut self, ui: &mut Ui, canvas: &Canvas, place: usize, out: &mut Commands) {
        let Some(snapshot) = canvas.snapshots.get(place) else {
            return;
        };
        let number = snapshot.number;
        if let Some((renamed, text)) = &mut self.renamed
            && *renamed == number
        {
            let edit = TextEdit::singleline(text)
                .char_limit(80)
                .desired_width(f32::INFINITY);
            let response = ui.add(edit);
            response
                .widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Name of the snapshot"));
            if response.lost_focus() {
                let name = std::mem::take(text);
                self.renamed = None;
                if !ui.input(|input| input.key_pressed(egui::Key::Escape)) {
                    out.push(HistoryCommand::RenameSnapshot(number, name));
                }
            } else {
                response.request_focus();
            }
            return;
        }
        let label = format!("Back to {}", snapshot.name);
        let colour = tokens(ui).accent;
        let response = list_row(ui, false, &label, |ui| {
            ui.label(icon_text(Icon::Bookmark).color(colour));
            ui.label(&snapshot.name);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let name = format!("Delete {}", snapshot.name);
                let delete = sized_icon_button(ui, Icon::X, &name, false, 22.0);
                if delete.on_hover_text(&name).clicked() {
                    out.push(HistoryCommand::DeleteSnapshot(number));
                }
            });
        });
        let response = response.on_hover_text("Click: back to this state. Double-click: rename");
        if response.double_clicked() {
            self.renamed = Some((number, snapshot.name.clone()));
        } else if response.clicked() {
            out.push(HistoryCommand::BackToSnapshot(number));
        }
    }
}

/// What a stroke made of its place; room for it where it is not known.
fn picture_of(ui: &mut Ui, picture: Option<&TextureHandle>, is_undone: bool) {
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(PICTURE), Sense::hover());
    let Some(picture) = picture else { return };
    let size = picture.size_vec2();
    let rect = Rect::from_center_size(rect.center(), size * (PICTURE / size.max_elem()));
    let tint = Color32::WHITE.gamma_multiply(if is_undone { 0.5 } else { 1.0 });
    Image::new(picture)
        .corner_radius(CornerRadius::same(3))
        .tint(tint)
        .paint_at(ui, rect);
}
