//! The codes beside the canvas: a click puts one on the brush.

use std::collections::BTreeSet;

use eframe::egui::{
    self, Align, Color32, CornerRadius, Layout, Pos2, Rect, Response, Role, ScrollArea, Sense,
    Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use lucide_icons::Icon;

use super::brushes::BrushesPanel;
use crate::app::command::{DocumentCommand, ToolCommand, TrainCommand, ViewCommand};
use crate::app::state::{PaletteView, State};
use crate::document::Level;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, card, command_icon, glyph, heading, primary_button, segmented, sized_icon_button,
    small,
};

const SWATCH_POINTS: f32 = 30.0;
const MAX_SWATCH_POINTS: f32 = 64.0;

/// In which order codes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Hue,
    /// Alike codes beside each other.
    Like,
    /// Most used in the open picture first.
    Used,
    /// Most used in the counted pictures first.
    UsedInPictures,
    Number,
}

/// An order that is worked out only when what it depends on has changed.
#[derive(Default)]
pub struct Sorted {
    of: Option<(String, Level, Order, u64)>,
    codes: Vec<u16>,
    is_resorted: bool,
    /// The muted ones that `offered` is without.
    without: Option<BTreeSet<String>>,
    offered: Vec<u16>,
}

impl Sorted {
    pub fn codes(&mut self, order: Order, state: &State, view: &PaletteView) -> &[u16] {
        let level = state.paint.level;
        // Use changes with every stroke; the other orders only with the model and the count.
        let changes = match (order, &state.session.canvas) {
            (Order::Used, Some(canvas)) => {
                canvas.opening << 32 | canvas.document.history().cursor() as u64
            }
            _ => view.palette.counted_pictures,
        };
        let of = Some((view.palette.model_hash.clone(), level, order, changes));
        if self.of != of {
            self.codes = codes_in(order, state, view, level);
            self.of = of;
            self.is_resorted = true;
        }
        &self.codes
    }

    /// Those that are not muted.
    pub fn offered(&mut self, order: Order, state: &State, view: &PaletteView) -> &[u16] {
        let level = state.paint.level;
        self.codes(order, state, view);
        let muted = state.marks().map(|marks| &marks.muted);
        if std::mem::take(&mut self.is_resorted) || self.without.as_ref() != muted {
            self.without = muted.cloned();
            self.offered.clone_from(&self.codes);
            self.offered.retain(|&code| !state.is_muted(level, code));
        }
        &self.offered
    }
}

/// The codes beside the canvas.
#[derive(Default)]
pub struct PalettePanel {
    order: Order,
    sorted: Sorted,
    brushes: BrushesPanel,
}

impl PalettePanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(view) = &state.session.palette else {
            heading(ui, "Codes");
            small(ui, "The codes appear as soon as a picture is open.");
            return;
        };
        let level = state.paint.level;
        news(ui, state, out);
        current(ui, state, view, out);
        recent(ui, state, view, out);
        ui.add_space(theme::GAP_XS);
        self.brushes.show(ui, state, view, out);
        ui.add_space(theme::GAP_S);
        let orders = [
            (Order::Hue, "Colour", "By colour"),
            (Order::Like, "Alike", "Alike codes beside each other"),
            (Order::Used, "In use", "Most used in this picture first"),
            (Order::Number, "Number", "By number"),
        ];
        if let Some(order) = segmented(ui, self.order, &orders) {
            self.order = order;
        }
        ui.add_space(theme::GAP_XS);
        let codes = self.sorted.offered(self.order, state, view);
        let chosen = state.paint.code.get(level);
        swatch_grid(ui, state, view, codes, chosen, |code| {
            out.push(ToolCommand::SelectCode(level, code));
        });
    }
}

/// Codes that were fine-tuned and are not on the canvas yet.
fn news(ui: &mut Ui, state: &State, out: &mut Commands) {
    if !state.has_news() {
        return;
    }
    card(&tokens(ui)).show(ui, |ui| {
        ui.horizontal(|ui| {
            heading(ui, "Your codes are ready");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let close = sized_icon_button(ui, Icon::X, "Not now", false, 22.0);
                if close.on_hover_text("Not now").clicked() {
                    out.push(TrainCommand::DismissNews);
                }
            });
        });
        small(
            ui,
            "This picture has the codes it was opened with. The copy takes your edits along, with the nearest new codes.",
        );
        if primary_button(ui, Icon::RefreshCw, "Open a copy with the new codes").clicked() {
            out.push(DocumentCommand::ReopenWithModel);
        }
    });
    ui.add_space(theme::GAP_S);
}

/// The codes painted with lately.
fn recent(ui: &mut Ui, state: &State, view: &PaletteView, out: &mut Commands) {
    let level = state.paint.level;
    let used = (state.paint.recent.iter())
        .filter(|(l, code)| *l == level && !state.is_muted(level, *code));
    let codes: Vec<u16> = used.map(|(_, code)| *code).take(9).collect();
    if codes.len() < 2 {
        return;
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 3.0;
        for code in codes {
            let is_chosen = code == state.paint.current_code();
            if swatch(ui, view, level, code, 24.0, is_chosen).clicked() {
                out.push(ToolCommand::SelectCode(level, code));
            }
        }
    });
}

/// The codes of a level in an order.
pub fn codes_in(order: Order, state: &State, view: &PaletteView, level: Level) -> Vec<u16> {
    let palette = view.palette.level(level);
    let colours = &palette.colours;
    let mut codes: Vec<u16> = (0..colours.len() as u16).collect();
    match order {
        Order::Number => {}
        Order::Hue => codes.sort_by_cached_key(|&code| hue_key(colours[usize::from(code)])),
        Order::Like => codes.clone_from(&palette.by_likeness),
        Order::Used => {
            let counts = counts_here(state, level, colours.len());
            codes.sort_by_key(|&code| std::cmp::Reverse(counts[usize::from(code)]));
        }
        Order::UsedInPictures => {
            codes.sort_by_key(|&code| std::cmp::Reverse(palette.counts.get(usize::from(code))));
        }
    }
    codes
}

/// How many cells of the open picture hold each code.
pub fn counts_here(state: &State, level: Level, codes: usize) -> Vec<u32> {
    let mut counts = vec![0u32; codes];
    if let Some(canvas) = &state.session.canvas {
        for &code in canvas.document.edited().level(level).cells() {
            if let Some(count) = counts.get_mut(usize::from(code)) {
                *count += 1;
            }
        }
    }
    counts
}

/// Colours by hue in steps, each by lightness; then greys; then codes that show nothing.
pub fn hue_key([r, g, b, alpha]: [u8; 4]) -> (u8, u16) {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let lightness = (r + g + b) as u16;
    let chroma = high - low;
    if alpha < 64 {
        return (u8::MAX, lightness);
    }
    if chroma < 40 {
        return (200, lightness);
    }
    let sixth = if high == r {
        (g - b) * 60 / chroma
    } else if high == g {
        120 + (b - r) * 60 / chroma
    } else {
        240 + (r - g) * 60 / chroma
    };
    let hue = (sixth.rem_euclid(360) / 20) as u8;
    (hue, lightness)
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
            out.push(ToolCommand::SwapCodes);
        }
        ui.vertical(|ui| {
            let name = (state.session.project.as_ref())
                .and_then(|project| project.marks.name(level, first))
                .map_or_else(|| format!("Code {first}"), str::to_owned);
            heading(ui, &name);
            let counts = counts_here(state, level, view.palette.level(level).codes());
            let used = counts.get(usize::from(first)).copied().unwrap_or(0);
            if state.is_muted(level, first) {
                small(ui, format!("{level}, muted"));
            } else {
                small(ui, format!("{level}, {used} cells here"));
            }
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let is_on = state.look.is_where_used_on;
            command_icon(ui, state, out, ViewCommand::ToggleWhereUsed, is_on);
        });
    });
}

/// All codes as swatches to click; only those on the screen are drawn.
pub fn swatch_grid(
    ui: &mut Ui,
    state: &State,
    view: &PaletteView,
    codes: &[u16],
    chosen: u16,
    mut choose: impl FnMut(u16),
) {
    let level = state.paint.level;
    let gap = 3.0;
    // A little less than there is: content that fills a panel to the last fraction of a point widens it.
    let width = ui.available_width() - 8.0;
    // Where there is room they grow, as long as all of them stay in sight.
    let share = width * ui.available_height() / codes.len().max(1) as f32;
    let wanted = (share.sqrt() - gap - 1.0).clamp(SWATCH_POINTS, MAX_SWATCH_POINTS);
    let columns = ((width + gap) / (wanted + gap)).floor().max(1.0) as usize;
    // The columns share the width that whole swatches leave over.
    let side = ((width + gap) / columns as f32 - gap).floor();
    let rows = codes.len().div_ceil(columns);
    ui.spacing_mut().item_spacing = vec2(gap, gap);
    ScrollArea::vertical()
        .id_salt(("swatches", level))
        .auto_shrink(false)
        .show_rows(ui, side, rows, |ui, range| {
            for row in range {
                ui.horizontal(|ui| {
                    for &code in codes.iter().skip(row * columns).take(columns) {
                        let response = swatch(ui, view, level, code, side, code == chosen);
                        if state.is_muted(level, code) {
                            mute_mark(ui, response.rect);
                        }
                        if response.clicked() {
                            choose(code);
                        }
                    }
                });
            }
        });
}

/// Lies over the swatch of a muted code.
pub fn mute_mark(ui: &Ui, rect: Rect) {
    let tokens = tokens(ui);
    let corner = CornerRadius::same(4);
    let veil = tokens.panel.gamma_multiply(0.75);
    ui.painter().rect_filled(rect, corner, veil);
    ui.painter().text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        glyph(Icon::EyeOff),
        theme::icons((rect.height() * 0.4).min(16.0)),
        tokens.text,
    );
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
    if codes
        .colours
        .get(usize::from(code))
        .is_none_or(|c| c[3] < 250)
    {
        checker(ui, rect);
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
    .corner_radius(CornerRadius::same((rect.width() / 7.0).min(4.0) as u8))
    .tint(Color32::WHITE)
    .paint_at(ui, rect);
}

/// What shines through a code that is not opaque.
fn checker(ui: &Ui, rect: Rect) {
    let colours = tokens(ui).canvas;
    let corner = CornerRadius::same(4);
    ui.painter()
        .rect_filled(rect, corner, colours.checker_light);
    let half = rect.size() / 2.0;
    for offset in [vec2(0.0, 0.0), half] {
        let quarter = Rect::from_min_size(rect.min + offset, half);
        ui.painter().rect_filled(quarter, 0, colours.checker_dark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_go_round_and_greys_and_empty_codes_come_last() {
        let opaque = |r, g, b| hue_key([r, g, b, 255]);
        assert!(opaque(10, 10, 10) < opaque(200, 201, 199));
        assert!(opaque(255, 0, 0) < opaque(0, 255, 0));
        assert!(opaque(0, 255, 0) < opaque(0, 0, 255));
        assert!(opaque(0, 0, 255) < opaque(0, 0, 0));
        assert!(opaque(90, 0, 0) < opaque(250, 100, 100));
        assert!(opaque(255, 255, 255) < hue_key([255, 0, 0, 0]));
    }
}
