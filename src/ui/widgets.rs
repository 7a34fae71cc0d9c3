//! Controls that several panels share.

use eframe::egui::{
    self, Align, Align2, Button, Color32, CornerRadius, Frame, Layout, Margin, Response, RichText,
    Role, Sense, Stroke, Ui, WidgetInfo, vec2,
};
use lucide_icons::Icon;

use super::theme::{self, Tokens, tokens};
use crate::app::command::{Command, keys_text};
use crate::app::state::State;

/// What panels ask for while they are drawn, in order.
#[derive(Debug, Default)]
pub struct Commands(Vec<Command>);

impl Commands {
    /// Asks for one more.
    pub fn push(&mut self, command: impl Into<Command>) {
        self.0.push(command.into());
    }
}

impl IntoIterator for Commands {
    type Item = Command;
    type IntoIter = std::vec::IntoIter<Command>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The icon's character, for painting with [`theme::icons`].
pub fn glyph(icon: Icon) -> String {
    char::from(icon).to_string()
}

/// The icon as text that stands beside a label. It has its own font: others use the same characters.
pub fn icon_text(icon: Icon) -> RichText {
    RichText::new(glyph(icon)).font(theme::icons(theme::TEXT_BODY + 2.0))
}

/// The tooltip of a command, with its keys.
pub fn tooltip(command: &Command, state: &State) -> String {
    let Some(spec) = command.spec() else {
        return String::new();
    };
    match keys_text(command, &state.settings) {
        Some(keys) => format!("{} ({keys})", spec.tooltip),
        None => spec.tooltip.to_owned(),
    }
}

/// Gives a response the name that screen readers and tests know it by.
pub fn named(response: Response, name: &str) -> Response {
    let enabled = response.enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    response
}

/// A button with a command's icon and label.
pub fn command_button(
    ui: &mut Ui,
    state: &State,
    out: &mut Commands,
    command: impl Into<Command>,
) -> Response {
    let command = command.into();
    let Some(spec) = command.spec() else {
        return ui.label("");
    };
    let button = ui.button((icon_text(spec.icon), spec.label));
    let response = named(button, spec.label).on_hover_text(tooltip(&command, state));
    if response.clicked() {
        out.push(command);
    }
    response
}

/// A button with an icon and words of its own.
pub fn icon_text_button(ui: &mut Ui, icon: Icon, label: &str) -> Response {
    named(ui.button((icon_text(icon), label)), label)
}

/// A box to tick: framed, so that an empty one does not look like a filled one.
pub fn check_box(ui: &mut Ui, is_on: &mut bool, label: &str) -> Response {
    let tokens = tokens(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        for widget in [&mut widgets.inactive, &mut widgets.hovered] {
            widget.bg_fill = tokens.raised;
            widget.bg_stroke = Stroke::new(1.0, tokens.mark);
        }
        ui.checkbox(is_on, label)
    })
    .inner
}

/// Says that something goes on whose end is not known. A few frames a second: a smooth wheel would take whole cores
/// where the processor draws.
pub fn waiting(ui: &mut Ui) {
    const DOTS: u32 = 8;
    const STEPS_PER_SECOND: f64 = 4.0;
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, "Working"));
    let bright = (ui.input(|input| input.time) * STEPS_PER_SECOND) as u32 % DOTS;
    for dot in 0..DOTS {
        let angle = dot as f32 / DOTS as f32 * std::f32::consts::TAU;
        let age = (bright + DOTS - dot) % DOTS;
        let colour = tokens.accent.gamma_multiply(1.0 - age as f32 / DOTS as f32);
        let at = rect.center() + egui::Vec2::angled(angle) * 5.0;
        ui.painter().circle_filled(at, 1.5, colour);
    }
    let pause = std::time::Duration::from_secs_f64(1.0 / STEPS_PER_SECOND);
    ui.ctx().request_repaint_after(pause);
}

/// Gives a text field the name that screen readers and tests know it by.
pub fn named_field(response: Response, name: &str) -> Response {
    response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, name));
    response
}

/// The one button of a page that matters most.
pub fn primary_button(ui: &mut Ui, icon: Icon, label: &str) -> Response {
    let tokens = tokens(ui);
    let text = RichText::new(label)
        .font(theme::medium(theme::TEXT_BODY))
        .color(tokens.on_accent);
    let button = Button::new((icon_text(icon).color(tokens.on_accent), text))
        .fill(tokens.accent)
        .min_size(vec2(0.0, 30.0));
    named(ui.add(button), label)
}

/// A square button with only an icon; `is_on` shows that what it switches is on.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str, is_on: bool) -> Response {
    sized_icon_button(ui, icon, name, is_on, theme::CONTROL)
}

pub fn sized_icon_button(ui: &mut Ui, icon: Icon, name: &str, is_on: bool, side: f32) -> Response {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, is_on, name));
    let fill = if is_on {
        tokens.accent_soft
    } else if response.is_pointer_button_down_on() {
        tokens.control_active
    } else if response.hovered() || response.has_focus() {
        tokens.control_hover
    } else {
        Color32::TRANSPARENT
    };
    let ink = if is_on { tokens.accent } else { tokens.text };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        glyph(icon),
        theme::icons((side * 0.55).min(18.0)),
        ink,
    );
    response
}

/// An icon button for a command.
pub fn command_icon(
    ui: &mut Ui,
    state: &State,
    out: &mut Commands,
    command: impl Into<Command>,
    is_on: bool,
) -> Response {
    let command = command.into();
    let Some(spec) = command.spec() else {
        return ui.label("");
    };
    let response = icon_button(ui, spec.icon, spec.label, is_on).on_hover_text(format!(
        "{}\n{}",
        spec.label,
        tooltip(&command, state)
    ));
    if response.clicked() {
        out.push(command);
    }
    response
}

/// An icon button for a command, grey while it can do nothing.
pub fn possible_icon(
    ui: &mut Ui,
    state: &State,
    out: &mut Commands,
    command: impl Into<Command>,
    is_on: bool,
) {
    let command = command.into();
    ui.add_enabled_ui(command.is_possible(state), |ui| {
        command_icon(ui, state, out, command, is_on);
    });
}

/// Two or more choices in one strip.
pub fn segmented<T: PartialEq + Copy>(
    ui: &mut Ui,
    current: T,
    choices: &[(T, &str, &str)],
) -> Option<T> {
    let tokens = tokens(ui);
    let mut chosen = None;
    Frame::new()
        .fill(tokens.control)
        .corner_radius(CornerRadius::same(theme::RADIUS + 1))
        .inner_margin(Margin::same(2))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            ui.horizontal(|ui| {
                for (value, label, hint) in choices {
                    let is_on = *value == current;
                    let text = RichText::new(*label).color(if is_on {
                        tokens.on_accent
                    } else {
                        tokens.text
                    });
                    let mut button = Button::new(text).min_size(vec2(0.0, 22.0));
                    button = if is_on {
                        button.fill(tokens.accent)
                    } else {
                        button.frame_when_inactive(false)
                    };
                    let response = ui.add(button);
                    response.widget_info(|| {
                        WidgetInfo::selected(Role::RadioButton, true, is_on, *label)
                    });
                    let response = if hint.is_empty() {
                        response
                    } else {
                        response.on_hover_text(*hint)
                    };
                    if response.clicked() {
                        chosen = Some(*value);
                    }
                }
            });
        });
    chosen
}

/// The heading of a part of a panel.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).font(theme::semibold(theme::TEXT_BODY)));
}

pub fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).font(theme::semibold(theme::TEXT_TITLE)));
}

/// Text that matters less.
pub fn weak(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = tokens(ui).text_weak;
    ui.label(RichText::new(text).color(colour))
}

pub fn small(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = tokens(ui).text_weak;
    ui.label(RichText::new(text).small().color(colour))
}

/// A raised area.
pub fn card(tokens: &Tokens) -> Frame {
    Frame::new()
        .fill(tokens.raised)
        .stroke(Stroke::new(1.0, tokens.line))
        .corner_radius(CornerRadius::same(theme::RADIUS_CARD))
        .inner_margin(Margin::same(12))
}

/// What stands where nothing is yet: an icon, what it is about, and what to do.
pub fn empty_state(ui: &mut Ui, icon: Icon, heading: &str, text: &str, add: impl FnOnce(&mut Ui)) {
    let tokens = tokens(ui);
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        ui.add_space((ui.available_height() * 0.28).clamp(theme::GAP_M, 180.0));
        ui.label(
            RichText::new(glyph(icon))
                .font(theme::icons(44.0))
                .color(tokens.text_weak),
        );
        ui.add_space(theme::GAP_S);
        ui.label(RichText::new(heading).font(theme::semibold(theme::TEXT_HEADING)));
        ui.add_space(theme::GAP_XS);
        ui.scope(|ui| {
            ui.set_max_width(420.0);
            ui.label(RichText::new(text).color(tokens.text_weak));
        });
        ui.add_space(theme::GAP_M);
        add(ui);
    });
}

/// "2 min 05 s", "under a second".
pub fn duration_text(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0 => "under a second".into(),
        1..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A line that looks and clicks like a list entry; `is_on` marks the chosen one.
pub fn list_row(ui: &mut Ui, is_on: bool, name: &str, add: impl FnOnce(&mut Ui)) -> Response {
    let tokens = tokens(ui);
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, theme::CONTROL), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_on, name));
    let fill = if is_on {
        tokens.accent_soft
    } else if response.hovered() || response.has_focus() {
        tokens.control_hover
    } else {
        Color32::TRANSPARENT
    };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
    let inner = rect.shrink2(vec2(theme::GAP_S, 0.0));
    let builder = egui::UiBuilder::new()
        .max_rect(inner)
        .layout(Layout::left_to_right(Align::Center));
    ui.scope_builder(builder, |ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Truncate);
        add(ui);
    });
    response
}

/// What a list to choose from is called where it is not seen.
pub fn name_choice(response: &Response, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [
            (0.2, "under a second"),
            (59.0, "59 s"),
            (125.0, "2 min 05 s"),
            (3720.0, "1 h 02 min"),
            (f64::NAN, "–"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration_text(seconds), text);
        }
    }
}
