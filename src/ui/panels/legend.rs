//! Over the canvas: what the colours over the cells stand for.

use eframe::egui::{
    self, Align2, Area, Color32, CornerRadius, Frame, Margin, Order, Rect, Sense, Ui, vec2,
};

use crate::app::state::{LegendEntry, State, TintKind};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::small;

/// Colours that are told one by one.
const MAX_ENTRIES: usize = 8;

/// Draws it into a corner of the canvas, where its tint has one.
pub fn show(ui: &Ui, state: &State, canvas: Rect) {
    if state.tools.tint != Some(TintKind::Sources) || state.session.canvas.is_none() {
        return;
    }
    let tokens = tokens(ui);
    let place = canvas.left_bottom() + vec2(12.0, -12.0);
    Area::new(egui::Id::unique("legend"))
        .order(Order::Middle)
        .interactable(false)
        .pivot(Align2::LEFT_BOTTOM)
        .fixed_pos(place)
        .show(ui.ctx(), |ui| {
            Frame::new()
                .fill(tokens.panel)
                .corner_radius(CornerRadius::same(theme::RADIUS_CARD))
                .inner_margin(Margin::symmetric(12, 8))
                .show(ui, |ui| {
                    ui.set_max_width((canvas.width() - 60.0).clamp(120.0, 320.0));
                    entries(ui, &state.tools.legend);
                });
        });
}

fn entries(ui: &mut Ui, legend: &[LegendEntry]) {
    if legend.is_empty() {
        small(ui, "Nothing here was copied or painted.");
        return;
    }
    ui.spacing_mut().item_spacing.y = 3.0;
    for entry in legend.iter().take(MAX_ENTRIES) {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
            let [r, g, b, _] = entry.rgba;
            (ui.painter()).rect_filled(rect, CornerRadius::same(3), Color32::from_rgb(r, g, b));
            let share = match entry.share {
                share if share < 0.005 => "less than 1 %".into(),
                share => format!("{:.0} %", share * 100.0),
            };
            ui.add(egui::Label::new(format!("{}  {share}", entry.name)).truncate());
        });
    }
    if let Some(more) = legend
        .len()
        .checked_sub(MAX_ENTRIES)
        .filter(|more| *more > 0)
    {
        small(ui, format!("and {more} more"));
    }
}
