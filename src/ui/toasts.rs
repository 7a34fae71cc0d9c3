//! Notices for a moment, in the lower right corner.

use eframe::egui::{Align2, Area, Color32, Id, Order, RichText, Ui, vec2};
use lucide_icons::Icon;

use super::theme::{self, Tokens, tokens};
use super::widgets::{Commands, card, glyph, icon_button, small};
use crate::app::command::WindowCommand;
use crate::app::state::{Entry, Overlay, Severity, State};

/// At most this many at once; the history has the rest.
const MAX_SHOWN: usize = 4;

/// Draws the newest notices that are still to be seen.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    if state.overlay == Some(Overlay::Notices) {
        return;
    }
    let shown: Vec<&Entry> = state.notices.shown().collect();
    if shown.is_empty() {
        return;
    }
    let tokens = tokens(ui);
    Area::new(Id::unique("toasts"))
        .order(Order::Tooltip)
        .anchor(Align2::RIGHT_BOTTOM, vec2(-16.0, -40.0))
        .show(ui.ctx(), |ui| {
            ui.spacing_mut().item_spacing.y = theme::GAP_S;
            for entry in shown.iter().rev().take(MAX_SHOWN).rev() {
                card(&tokens).show(ui, |ui| {
                    ui.set_width(340.0);
                    ui.horizontal_top(|ui| {
                        row(ui, &tokens, entry);
                        if icon_button(ui, Icon::X, "Dismiss", false).clicked() {
                            out.push(WindowCommand::DismissNotice(entry.id));
                        }
                    });
                });
            }
        });
}

/// Draws icon and text of one notice; the list of messages has the same rows.
pub fn row(ui: &mut Ui, tokens: &Tokens, entry: &Entry) {
    let (icon, colour) = look_of(entry.severity, tokens);
    ui.label(
        RichText::new(glyph(icon))
            .font(theme::icons(16.0))
            .color(colour),
    );
    ui.vertical(|ui| {
        ui.set_width(ui.available_width() - 36.0);
        ui.label(RichText::new(entry.text()).color(tokens.text));
        if let Some(path) = &entry.notice.path {
            small(ui, path);
        }
    });
}

fn look_of(severity: Severity, tokens: &Tokens) -> (Icon, Color32) {
    match severity {
        Severity::Success => (Icon::CircleCheck, tokens.good),
        Severity::Info => (Icon::Info, tokens.text_weak),
        Severity::Warning => (Icon::TriangleAlert, tokens.warning),
        Severity::Error => (Icon::CircleX, tokens.error),
    }
}
