//! The layers of the open document, the topmost first.

use eframe::egui::{
    self, Align, CornerRadius, CursorIcon, Layout, Rect, Response, RichText, Role, ScrollArea,
    Sense, Slider, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use crate::app::command::LayerCommand;
use crate::app::state::{Canvas, State};
use crate::document::{Layer, LayerId, LayerLook, Target};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, heading, possible_icon, sized_icon_button, small};

const ROW_POINTS: f32 = 28.0;

/// The list of layers.
#[derive(Default)]
pub struct LayersPanel {
    /// The layer that is being renamed, with the text so far.
    renamed: Option<(LayerId, String)>,
    /// The layer that is being dragged.
    dragged: Option<LayerId>,
}

impl LayersPanel {
    /// Above the history, at the lower end of the dock.
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(canvas) = &state.session.canvas else {
            return;
        };
        egui::Panel::bottom("layers")
            .resizable(true)
            .default_size(150.0)
            .size_range(104.0..=360.0)
            .frame(egui::Frame::new().inner_margin(egui::Margin {
                top: 8,
                bottom: 4,
                ..Default::default()
            }))
            .show(ui, |ui| {
                header(ui, state, canvas, out);
                opacity(ui, canvas, out);
                ui.add_space(theme::GAP_XS);
                let area = ScrollArea::vertical().auto_shrink(false);
                area.show(ui, |ui| self.rows(ui, canvas, out));
            });
    }

    fn rows(&mut self, ui: &mut Ui, canvas: &Canvas, out: &mut Commands) {
        ui.spacing_mut().item_spacing.y = 1.0;
        let layers = canvas.document.layers().layers();
        let mut rects = Vec::new();
        for layer in layers.iter().rev() {
            let response = self.row(ui, canvas.document.active(), layer, out);
            rects.push(response.rect);
        }
        let Some(dragged) = self.dragged else { return };
        let is_over = ui.input(|input| !input.pointer.any_down());
        let pointer = ui.input(|input| input.pointer.latest_pos());
        if let (Some(at), Some(first)) = (pointer, rects.first()) {
            // The gap that is nearest, counted from above.
            let step = ROW_POINTS + 1.0;
            let gap = ((at.y - first.top()) / step)
                .round()
                .clamp(0.0, rects.len() as f32) as usize;
            let from = layers
                .iter()
                .position(|layer| layer.id() == dragged)
                .unwrap_or_default();
            let above = layers.len() - 1 - from;
            let to_above = if gap > above { gap - 1 } else { gap };
            if is_over {
                let to = layers.len() - 1 - to_above.min(layers.len() - 1);
                if to != from {
                    out.push(LayerCommand::MoveTo(dragged, to));
                }
            } else {
                let y = first.top() + gap as f32 * step - 0.5;
                let line =
                    Rect::from_min_max(pos2(first.left(), y - 1.0), pos2(first.right(), y + 1.0));
                ui.painter().rect_filled(line, 0, tokens(ui).accent);
                ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
            }
        }
        if is_over {
            self.dragged = None;
        }
    }

    fn row(&mut self, ui: &mut Ui, active: Target, layer: &Layer, out: &mut Commands) -> Response {
        let tokens = tokens(ui);
        let look = layer.look();
        let is_active = active.layer == layer.id();
        let (rect, response) = ui.allocate_exact_size(
            vec2(ui.available_width(), ROW_POINTS),
            Sense::click_and_drag(),
        );
        let name = look.name.clone();
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_active, &name));
        let fill = if is_active {
            tokens.accent_soft
        } else if response.hovered() || response.has_focus() {
            tokens.control_hover
        } else {
            egui::Color32::TRANSPARENT
        };
        ui.painter()
            .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
        if response.clicked() {
            out.push(LayerCommand::Select(layer.id()));
        }
        if response.drag_started() {
            self.dragged = Some(layer.id());
        }
        if response.double_clicked() {
            self.renamed = Some((layer.id(), name));
        }
        let builder = egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(2.0, 1.0)))
            .layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            switches(ui, layer, out);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_space(4.0);
                if look.opacity_percent < 100 {
                    small(ui, format!("{} %", look.opacity_percent));
                }
                mask_mark(ui, active, layer, out);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    self.name(ui, layer, out);
                });
            });
        });
        response.on_hover_text("Double-click to rename, drag to reorder")
    }

    fn name(&mut self, ui: &mut Ui, layer: &Layer, out: &mut Commands) {
        let look = layer.look();
        if let Some((id, text)) = &mut self.renamed
            && *id == layer.id()
        {
            let edit = TextEdit::singleline(text)
                .char_limit(80)
                .desired_width(f32::INFINITY);
            let response = ui.add(edit);
            response
                .widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Name of the layer"));
            let is_cancelled = ui.input(|input| input.key_pressed(egui::Key::Escape));
            if response.lost_focus() {
                let name = std::mem::take(text);
                self.renamed = None;
                if !is_cancelled && !name.trim().is_empty() {
                    let look = LayerLook {
                        name,
                        ..look.clone()
                    };
                    out.push(LayerCommand::SetLook(layer.id(), look));
                }
            } else {
                response.request_focus();
            }
            return;
        }
        let tokens = tokens(ui);
        let colour = if look.is_visible {
            tokens.text
        } else {
            tokens.text_weak
        };
        let text = RichText::new(&look.name).color(colour);
        ui.add(egui::Label::new(text).truncate().selectable(false));
    }
}

/// Eye and lock.
fn switches(ui: &mut Ui, layer: &Layer, out: &mut Commands) {
    let look = layer.look();
    let name = &look.name;
    let mut change = |response: Response, hint: String, look: LayerLook| {
        if response.on_hover_text(hint).clicked() {
            out.push(LayerCommand::SetLook(layer.id(), look));
        }
    };
    let (icon, verb) = if look.is_visible {
        (Icon::Eye, "Hide")
    } else {
        (Icon::EyeOff, "Show")
    };
    let label = format!("{verb} {name}");
    let response = sized_icon_button(ui, icon, &label, false, 24.0);
    let shown = LayerLook {
        is_visible: !look.is_visible,
        ..look.clone()
    };
    change(response, label, shown);
    let (icon, verb) = if look.is_locked {
        (Icon::Lock, "Unlock")
    } else {
        (Icon::LockOpen, "Lock")
    };
    let label = format!("{verb} {name}");
    let response = sized_icon_button(ui, icon, &label, look.is_locked, 24.0);
    let locked = LayerLook {
        is_locked: !look.is_locked,
        ..look.clone()
    };
    change(response, label, locked);
}

/// Where strokes go to the mask, or a mask hides something.
fn mask_mark(ui: &mut Ui, active: Target, layer: &Layer, out: &mut Commands) {
    let is_painted_on = active.layer == layer.id() && active.is_mask;
    if !layer.has_mask() && !is_painted_on {
        return;
    }
    let look = layer.look();
    let verb = if look.is_mask_on {
        "Turn off"
    } else {
        "Turn on"
    };
    let label = format!("{verb} the mask of {}", look.name);
    let icon = if look.is_mask_on {
        Icon::SquareDashed
    } else {
        Icon::SquareDashedX
    };
    let response = sized_icon_button(ui, icon, &label, is_painted_on, 24.0).on_hover_text(&label);
    if response.clicked() {
        let look = LayerLook {
            is_mask_on: !look.is_mask_on,
            ..look.clone()
        };
        out.push(LayerCommand::SetLook(layer.id(), look));
    }
}

fn header(ui: &mut Ui, state: &State, canvas: &Canvas, out: &mut Commands) {
    ui.horizontal(|ui| {
        heading(ui, "Layers");
        if canvas.document.active().is_mask {
            small(ui, "mask");
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 1.0;
            for (command, is_on) in [
                (LayerCommand::Delete, false),
                (LayerCommand::MergeDown, false),
                (LayerCommand::EditMask, canvas.document.active().is_mask),
                (LayerCommand::Duplicate, false),
                (LayerCommand::Add, false),
            ] {
                possible_icon(ui, state, out, command, is_on);
            }
        });
    });
}

/// Of the active layer. The picture follows the slider; the history gets where it ends.
fn opacity(ui: &mut Ui, canvas: &Canvas, out: &mut Commands) {
    let id = canvas.document.active().layer;
    let Some(layer) = canvas.document.layers().get(id) else {
        return;
    };
    ui.horizontal(|ui| {
        let label = small(ui, "Opacity");
        ui.spacing_mut().slider_width = (ui.available_width() - 62.0).max(60.0);
        let mut percent = layer.look().opacity_percent;
        let slider = Slider::new(&mut percent, 0..=100).suffix(" %");
        let response = ui.add(slider).labelled_by(label.id);
        if response.drag_stopped() || (response.changed() && !response.dragged()) {
            let look = LayerLook {
                opacity_percent: percent,
                ..layer.look().clone()
            };
            out.push(LayerCommand::SetLook(id, look));
        } else if response.changed() {
            out.push(LayerCommand::TryOpacity(id, percent));
        }
    });
}
