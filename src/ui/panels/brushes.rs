//! The project's named brushes, beside the codes: a click takes one in hand.

use eframe::egui::{self, Rect, Role, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, vec2};
use lucide_icons::Icon;

use super::palette::paint_swatch;
use crate::app::command::BrushCommand;
use crate::app::state::{PaletteView, State};
use crate::document::Block;
use crate::document::tools::brushes::{BrushInk, SavedBrush};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, command_icon, glyph, heading, small};

const TILE: f32 = 34.0;

/// The brushes, and the one whose name is being typed.
#[derive(Default)]
pub struct BrushesPanel {
    /// The name being typed, of the brush with this number.
    naming: Option<(usize, String)>,
}

impl BrushesPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, view: &PaletteView, out: &mut Commands) {
        ui.horizontal(|ui| {
            heading(ui, "Brushes");
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                for command in [
                    BrushCommand::Import,
                    BrushCommand::Export,
                    BrushCommand::Save,
                ] {
                    command_icon(ui, state, out, command, false);
                }
            });
        });
        let brushes = &state.session.brushes;
        if brushes.is_empty() {
            small(ui, "None yet: save the code or block in hand");
            return;
        }
        ScrollArea::vertical()
            .id_salt("brushes")
            .max_height(2.0 * TILE + 6.0)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                ui.horizontal_wrapped(|ui| {
                    ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
                    for (index, brush) in brushes.iter().enumerate() {
                        self.tile(ui, view, index, brush, out);
                    }
                });
            });
    }

    fn tile(
        &mut self,
        ui: &mut Ui,
        view: &PaletteView,
        index: usize,
        brush: &SavedBrush,
        out: &mut Commands,
    ) {
        let (rect, response) = ui.allocate_exact_size(vec2(TILE, TILE), Sense::click());
        let name = format!("Brush: {}", brush.name);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
        let tokens = tokens(ui);
        match &brush.ink {
            BrushInk::Code(code) => paint_swatch(ui, view, brush.level, *code, rect),
            BrushInk::Block { block, turn, .. } => {
                ui.painter().rect_filled(rect, 4, tokens.control);
                paint_block(ui, view, &block.turned(*turn), rect)
            }
            BrushInk::Smudge { .. } => {
                ui.painter().rect_filled(rect, 4, tokens.control);
                ui.painter().text(
                    rect.center(),
                    egui::Align2::CENTER_CENTER,
                    glyph(Icon::Droplets),
                    theme::icons(18.0),
                    tokens.text,
                );
            }
        }
        if response.hovered() || response.has_focus() {
            let line = egui::Stroke::new(1.0, tokens.text);
            ui.painter()
                .rect_stroke(rect, 4, line, egui::StrokeKind::Inside);
        }
        if response.clicked() {
            out.push(BrushCommand::Use(index));
        }
        response.context_menu(|ui| {
            ui.set_min_width(180.0);
            let naming = match &mut self.naming {
                Some((of, name)) if *of == index => name,
                other => &mut other.insert((index, brush.name.clone())).1,
            };
            let field = ui.add(TextEdit::singleline(naming).desired_width(170.0));
            if field.lost_focus() && *naming != brush.name {
                out.push(BrushCommand::Rename(index, naming.clone()));
                ui.close();
            }
            if ui.button("Delete").clicked() {
                out.push(BrushCommand::Delete(index));
                self.naming = None;
                ui.close();
            }
        });
        let detail = format!(
            "{}\n{}, {} cells. Right-click: rename or delete",
            brush.name, brush.level, brush.size
        );
        response.on_hover_text(detail);
    }
}

/// A block's codes in their places, within a rectangle.
pub fn paint_block(ui: &Ui, view: &PaletteView, block: &Block, within: Rect) {
    let longest = block.width.max(block.height).max(1) as f32;
    let side = within.width().min(within.height()) / longest;
    let size = vec2(block.width as f32, block.height as f32) * side;
    let corner = within.center() - size / 2.0;
    // Cells smaller than a point are not told apart anyway.
    let step = (1.0 / side).ceil().max(1.0) as usize;
    for y in (0..block.height).step_by(step) {
        for x in (0..block.width).step_by(step) {
            if let Some(code) = block.at(x, y) {
                let at = corner + vec2(x as f32, y as f32) * side;
                let cell = Rect::from_min_size(at, vec2(side, side) * step as f32);
                paint_swatch(ui, view, block.level, code, cell);
            }
        }
    }
}
