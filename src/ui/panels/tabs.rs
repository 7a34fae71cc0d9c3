//! The pictures that are open, side by side above the canvas.

use eframe::egui::{
    self, Align, CornerRadius, Frame, Layout, Margin, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2,
};
use lucide_icons::Icon;

use crate::app::command::DocumentCommand;
use crate::app::state::{Canvas, State};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, sized_icon_button};

const TAB_POINTS: f32 = 168.0;

/// Draws the tabs; none where only one picture is open.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    if state.session.tabs.order.len() < 2 {
        return;
    }
    let tokens = tokens(ui);
    let frame = Frame::new()
        .fill(tokens.panel)
        .inner_margin(Margin::symmetric(8, 4));
    egui::Panel::top("tabs")
        .exact_size(44.0)
        .resizable(false)
        .frame(frame)
        .show(ui, |ui| {
            ScrollArea::horizontal().auto_shrink(false).show(ui, |ui| {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    for id in &state.session.tabs.order {
                        let current = state
                            .session
                            .canvas
                            .as_ref()
                            .filter(|canvas| canvas.id == *id);
                        if let Some(canvas) = current.or_else(|| state.session.tabs.parked(*id)) {
                            tab(ui, canvas, current.is_some(), out);
                        }
                    }
                });
            });
        });
}

fn tab(ui: &mut Ui, canvas: &Canvas, is_on: bool, out: &mut Commands) {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(TAB_POINTS, 36.0), Sense::click());
    let name = format!("Tab {}", canvas.name);
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, is_on, &name));
    let fill = if is_on {
        tokens.accent_soft
    } else if response.hovered() || response.has_focus() {
        tokens.control_hover
    } else {
        tokens.control
    };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
    let builder = egui::UiBuilder::new()
        .max_rect(rect.shrink2(vec2(4.0, 2.0)))
        .layout(Layout::left_to_right(Align::Center));
    ui.scope_builder(builder, |ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Truncate);
        let size = canvas.thumb.texture.size_vec2();
        let scale = 30.0 / size.max_elem().max(1.0);
        let (room, _) = ui.allocate_exact_size(vec2(30.0, 30.0), Sense::hover());
        let place = egui::Rect::from_center_size(room.center(), size * scale);
        let whole = egui::Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
        ui.painter().image(
            canvas.thumb.texture.id(),
            place,
            whole,
            egui::Color32::WHITE,
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let close = format!("Close {}", canvas.name);
            let button = sized_icon_button(ui, Icon::X, &close, false, 22.0);
            if button
                .on_hover_text("Close; every stroke is saved")
                .clicked()
            {
                out.push(DocumentCommand::CloseTab(canvas.id));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(egui::Label::new(&canvas.name).truncate().selectable(false));
            });
        });
    });
    if response.on_hover_text(&canvas.name).clicked() && !is_on {
        out.push(DocumentCommand::SwitchTo(canvas.id));
    }
}
