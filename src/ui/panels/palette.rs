//! The codes beside the canvas: a click puts one on the brush.

use eframe::egui::{
    self, Color32, CornerRadius, Pos2, Rect, Response, Role, ScrollArea, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};

use crate::app::{Command, PaletteView, State};
use crate::document::Level;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, command_icon, heading, segmented, small};

const SWATCH_POINTS: f32 = 34.0;

/// In which order codes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Hue,
    Used,
    Number,
}

#[derive(Default)]
pub struct PalettePanel {
    order: Order,
    sorted: Option<Sorted>,
}

/// An order that was worked out, and for what.
struct Sorted {
    model_hash: String,
    level: Level,
    order: Order,
    revision: u64,
    codes: Vec<u16>,
}

impl PalettePanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(view) = &state.palette else {
            heading(ui, "Codes");
            small(ui, "The codes appear as soon as a picture is open.");
            return;
        };
        let level = state.paint.level;
        current(ui, state, view, out);
        ui.add_space(theme::GAP_S);
        ui.horizontal(|ui| {
            let orders = [
                (Order::Hue, "Colour", "Alike colours together"),
                (Order::Used, "In use", "Most used in this picture first"),
                (Order::Number, "Number", ""),
            ];
            if let Some(order) = segmented(ui, self.order, &orders) {
                self.order = order;
            }
        });
        ui.add_space(theme::GAP_XS);
        let codes = self.sorted(state, view, level);
        let chosen = state.paint.code.get(level);
        swatch_grid(ui, view, level, codes, chosen, |code| {
            out.push(Command::SelectCode(level, code));
        });
    }

    fn sorted(&mut self, state: &State, view: &PaletteView, level: Level) -> &[u16] {
        // Use changes with every stroke; the other orders do not.
        let revision = match (self.order, &state.canvas) {
            (Order::Used, Some(canvas)) => canvas.document.history().cursor() as u64 + 1,
            _ => 0,
        };
        let is_fresh = self.sorted.as_ref().is_some_and(|sorted| {
            sorted.model_hash == view.palette.model_hash
                && (sorted.level, sorted.order, sorted.revision) == (level, self.order, revision)
        });
        if !is_fresh {
            self.sorted = Some(Sorted {
                model_hash: view.palette.model_hash.clone(),
                level,
                order: self.order,
                revision,
                codes: codes_in(self.order, state, view, level),
            });
        }
        self.sorted.as_ref().map_or(&[], |sorted| &sorted.codes)
    }
}

fn codes_in(order: Order, state: &State, view: &PaletteView, level: Level) -> Vec<u16> {
    let colours = &view.palette.level(level).colours;
    let mut codes: Vec<u16> = (0..colours.len() as u16).collect();
    match order {
        Order::Number => {}
        Order::Hue => codes.sort_by_cached_key(|&code| hue_key(colours[usize::from(code)])),
        Order::Used => {
            let mut counts = vec![0u32; colours.len()];
            if let Some(canvas) = &state.canvas {
                for &code in canvas.document.edited().level(level).cells() {
                    if let Some(count) = counts.get_mut(usize::from(code)) {
                        *count += 1;
                    }
                }
            }
            codes.sort_by_key(|&code| std::cmp::Reverse(counts[usize::from(code)]));
        }
    }
    codes
}

/// Greys first by lightness, then colours by hue in steps, each by lightness.
pub fn hue_key([r, g, b]: [u8; 3]) -> (u8, u16) {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let lightness = (r + g + b) as u16;
    let chroma = high - low;
    if chroma < 22 {
        return (0, lightness);
    }
    let sixth = if high == r {
        (g - b) * 60 / chroma
    } else if high == g {
        120 + (b - r) * 60 / chroma
    } else {
        240 + (r - g) * 60 / chroma
    };
    let hue = (sixth.rem_euclid(360) / 20) as u8;
    (1 + hue, lightness)
}

/// The code in hand, large, with the second one behind it.
fn current(ui: &mut Ui, state: &State, view: &PaletteView, out: &mut Commands) {
    let level = state.paint.level;
    let (first, second) = (
        state.paint.code.get(level),
        state.paint.second_code.get(level),
    );
    ui.horizontal(|ui| {
        let (rect, response) = ui.allocate_exact_size(vec2(66.0, 56.0), Sense::click());
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Button, true, format!("Code in hand: {first}"))
        });
        let back = Rect::from_min_size(rect.min + vec2(30.0, 22.0), vec2(34.0, 34.0));
        let front = Rect::from_min_size(rect.min, vec2(48.0, 48.0));
        paint_swatch(ui, view, level, second, back);
        paint_swatch(ui, view, level, first, front);
        let line = Stroke::new(1.5, tokens(ui).panel);
        ui.painter()
            .rect_stroke(front, CornerRadius::same(4), line, StrokeKind::Outside);
        if response.on_hover_text("Click to exchange (X)").clicked() {
            out.push(Command::SwapCodes);
        }
        ui.vertical(|ui| {
            let name = (state.project.as_ref())
                .and_then(|project| project.marks.name(level, first))
                .map_or_else(|| format!("Code {first}"), str::to_owned);
            heading(ui, &name);
            let used = state.canvas.as_ref().map_or(0, |canvas| {
                let cells = canvas.document.edited().level(level).cells();
                cells.iter().filter(|&&code| code == first).count()
            });
            small(ui, format!("{level}, {used} cells here"));
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let is_on = state.look.is_where_used_on;
            command_icon(ui, state, out, Command::ToggleWhereUsed, is_on);
        });
    });
}

/// All codes as swatches to click; only those on the screen are drawn.
pub fn swatch_grid(
    ui: &mut Ui,
    view: &PaletteView,
    level: Level,
    codes: &[u16],
    chosen: u16,
    mut choose: impl FnMut(u16),
) {
    let gap = 3.0;
    let columns = ((ui.available_width() + gap) / (SWATCH_POINTS + gap))
        .floor()
        .max(1.0) as usize;
    // The columns share the width that whole swatches leave over.
    let side = (ui.available_width() + gap) / columns as f32 - gap;
    let rows = codes.len().div_ceil(columns);
    ui.spacing_mut().item_spacing = vec2(gap, gap);
    ScrollArea::vertical()
        .id_salt(("swatches", level))
        .auto_shrink(false)
        .show_rows(ui, side, rows, |ui, range| {
            for row in range {
                ui.horizontal(|ui| {
                    for &code in codes.iter().skip(row * columns).take(columns) {
                        if swatch(ui, view, level, code, side, code == chosen).clicked() {
                            choose(code);
                        }
                    }
                });
            }
        });
}

pub fn swatch(
    ui: &mut Ui,
    view: &PaletteView,
    level: Level,
    code: u16,
    side: f32,
    is_chosen: bool,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(
            Role::Button,
            true,
            is_chosen,
            format!("{level} code {code}"),
        )
    });
    paint_swatch(ui, view, level, code, rect);
    let tokens = tokens(ui);
    if is_chosen {
        let line = Stroke::new(2.0, tokens.accent);
        ui.painter()
            .rect_stroke(rect, CornerRadius::same(4), line, StrokeKind::Inside);
    } else if response.hovered() || response.has_focus() {
        let line = Stroke::new(1.0, tokens.text);
        ui.painter()
            .rect_stroke(rect, CornerRadius::same(4), line, StrokeKind::Inside);
    }
    response.on_hover_text(format!("{level} {code}"))
}

/// One code's picture from the level's atlas.
pub fn paint_swatch(ui: &Ui, view: &PaletteView, level: Level, code: u16, rect: Rect) {
    let codes = view.palette.level(level);
    let [width, height] = codes.atlas_size();
    if width == 0 || height == 0 {
        return;
    }
    let side = codes.swatch_px as f32;
    let (column, row) = (
        u32::from(code) % codes.columns,
        u32::from(code) / codes.columns,
    );
    let (x, y) = (column as f32 * side, row as f32 * side);
    let uv = |x: f32, y: f32| -> Pos2 { pos2(x / width as f32, y / height as f32) };
    egui::Image::from_texture(egui::load::SizedTexture::new(
        view.atlas(level).id(),
        rect.size(),
    ))
    .uv(Rect::from_min_max(uv(x, y), uv(x + side, y + side)))
    .corner_radius(CornerRadius::same(4))
    .tint(Color32::WHITE)
    .paint_at(ui, rect);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greys_come_before_colours_and_hues_go_round() {
        assert!(hue_key([10, 10, 10]) < hue_key([200, 201, 199]));
        assert!(hue_key([250, 250, 250]) < hue_key([255, 0, 0]));
        assert!(hue_key([255, 0, 0]) < hue_key([0, 255, 0]));
        assert!(hue_key([0, 255, 0]) < hue_key([0, 0, 255]));
        assert!(hue_key([90, 0, 0]) < hue_key([250, 100, 100]));
    }
}
