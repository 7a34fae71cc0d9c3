//! The tool rail beside the canvas and the strip with the tool's options above it.

use eframe::egui::{self, Frame, Margin, Slider, Ui};

use crate::app::{Command, Paint, State, Tool};
use crate::document::{DetailPolicy, Level, Shape};
use crate::render::Compare;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, command_icon, segmented, sized_icon_button, small, tooltip};

pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    rail(ui, state, out);
    strip(ui, state, out);
}

fn rail(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::left("tools")
        .exact_size(46.0)
        .resizable(false)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(6, 8)),
        )
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            for tool in Tool::ALL {
                let command = Command::SetTool(tool);
                let Some(spec) = command.spec() else { continue };
                let is_on = state.paint.tool == tool;
                let response = sized_icon_button(ui, spec.icon, spec.label, is_on, 34.0)
                    .on_hover_text(format!("{}\n{}", spec.label, tooltip(&command, state)));
                if response.clicked() {
                    out.push(command);
                }
            }
            ui.separator();
            for (command, is_on) in [
                (Command::ToggleGrid, state.look.has_grid),
                (
                    Command::ToggleSplit,
                    matches!(state.look.compare, Compare::Split(_)),
                ),
                (
                    Command::ToggleDifference,
                    state.look.compare == Compare::Difference,
                ),
                (Command::ToggleWhereUsed, state.look.is_where_used_on),
            ] {
                let Some(spec) = command.spec() else { continue };
                let response = sized_icon_button(ui, spec.icon, spec.label, is_on, 34.0)
                    .on_hover_text(format!("{}\n{}", spec.label, tooltip(&command, state)));
                if response.clicked() {
                    out.push(command);
                }
            }
        });
}

fn strip(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    let paint = &state.paint;
    egui::Panel::top("tool options")
        .exact_size(38.0)
        .resizable(false)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(10, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP_S;
                ui.spacing_mut().slider_width = 90.0;
                let levels = [
                    (
                        Level::Structure,
                        "Structure",
                        "Layout and colour: cells of 16 px (D)",
                    ),
                    (Level::Detail, "Detail", "Texture: cells of 4 px (D)"),
                ];
                if let Some(level) = segmented(ui, paint.level, &levels) {
                    out.push(Command::SetLevel(level));
                }
                ui.add_space(theme::GAP_XS);
                let mut size = paint.size.get(paint.level);
                small(ui, "Size");
                let slider = Slider::new(&mut size, 1..=Paint::MAX_SIZE).logarithmic(true);
                if ui
                    .add(slider)
                    .on_hover_text("In cells  ([ and ])")
                    .changed()
                {
                    out.push(Command::SetBrushSize(size));
                }
                let mut scatter = paint.scatter_percent;
                small(ui, "Scatter");
                let slider = Slider::new(&mut scatter, 0..=95).suffix(" %");
                if ui
                    .add(slider)
                    .on_hover_text("Cells that a dab leaves as they are")
                    .changed()
                {
                    out.push(Command::SetScatter(scatter));
                }
                let shapes = [(Shape::Round, "Round", ""), (Shape::Square, "Square", "")];
                if let Some(shape) = segmented(ui, paint.shape, &shapes) {
                    out.push(Command::SetShape(shape));
                }
                if paint.level == Level::Structure && ui.available_width() > 150.0 {
                    let mut keeps = paint.detail_policy == DetailPolicy::Keep;
                    let response = ui.checkbox(&mut keeps, "Keep texture").on_hover_text(
                        "New layout under the old detail. Off: the code shows as it is",
                    );
                    if response.changed() {
                        out.push(Command::SetDetailPolicy(if keeps {
                            DetailPolicy::Keep
                        } else {
                            DetailPolicy::Empty
                        }));
                    }
                }
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    for command in [Command::ZoomFit, Command::Redo, Command::Undo] {
                        ui.add_enabled_ui(crate::ui::bars::is_possible(state, &command), |ui| {
                            command_icon(ui, state, out, command, false);
                        });
                    }
                });
            });
        });
}
