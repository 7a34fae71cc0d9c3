//! Below the canvas while the picture is seen through another model.

use eframe::egui::{self, Frame, Margin, Slider, Ui};

use crate::app::command::{DocumentCommand, ExportCommand, ViewCommand};
use crate::app::state::{ReskinJob, State};
use crate::render::Compare;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, command_button, segmented, small};

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Split,
    Blend,
}

/// Draws the strip, while there is another model's picture to compare with.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    let Some(canvas) = &state.session.canvas else {
        return;
    };
    let Some(reskin) = &canvas.reskin else { return };
    let tokens = tokens(ui);
    let frame = Frame::new()
        .fill(tokens.panel)
        .inner_margin(Margin::symmetric(10, 4));
    egui::Panel::bottom("reskin")
        .exact_size(40.0)
        .resizable(false)
        .frame(frame)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP_S;
                ui.label(format!("Seen through {}", reskin.model));
                if state.has_job::<ReskinJob>() {
                    ui.spinner();
                }
                let how = match state.look.compare {
                    Compare::Blend(_) => Comparison::Blend,
                    _ => Comparison::Split,
                };
                let choices = [
                    (
                        Comparison::Split,
                        "Split",
                        "A line to drag: the other model on the left",
                    ),
                    (
                        Comparison::Blend,
                        "Blend",
                        "Both over each other, by the slider",
                    ),
                ];
                if let Some(how) = segmented(ui, how, &choices) {
                    let middle = canvas.document.width() as f32 / 2.0;
                    out.push(ViewCommand::SetCompare(match how {
                        Comparison::Split => Compare::Split(middle),
                        Comparison::Blend => Compare::Blend(0.5),
                    }));
                }
                // Before the slider, not at the right end: that is where notifications come up.
                command_button(ui, state, out, ExportCommand::ExportReskin);
                command_button(ui, state, out, DocumentCommand::CloseReskin);
                if let Compare::Blend(share) = state.look.compare {
                    let mut percent = (share * 100.0).round();
                    let label = small(ui, "Other model");
                    let slider = Slider::new(&mut percent, 0.0..=100.0)
                        .suffix(" %")
                        .fixed_decimals(0);
                    if ui.add(slider).labelled_by(label.id).changed() {
                        out.push(ViewCommand::SetCompare(Compare::Blend(percent / 100.0)));
                    }
                }
            });
        });
}
