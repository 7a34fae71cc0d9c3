//! The bar at the top (menus, pages) and the one at the bottom (device, jobs, the cell under the cursor).

use eframe::egui::{self, Align, Button, Frame, Layout, Margin, ProgressBar, RichText, Ui, vec2};

use super::menus;
use super::panels::canvas::HoveredCell;
use super::theme::{self, tokens};
use super::widgets::{
    Commands, command_icon, duration_text, icon_text, named, small, tooltip, waiting,
};
use crate::app::command::{Command, WindowCommand};
use crate::app::state::{Overlay, ShownJob, State, Workspace};

/// The tabs of all pages are written out in a window of this width, in points.
const WRITTEN_OUT: f32 = 1120.0;

/// Draws the bar at the top.
pub fn top(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::top("top bar")
        .exact_size(42.0)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(10, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                menus::show(ui, state, out);
                ui.add_space(theme::GAP_M);
                // In a narrow window only the page that is shown is written out.
                let is_narrow = ui.max_rect().width() < WRITTEN_OUT;
                for workspace in Workspace::all() {
                    let is_written = !is_narrow || workspace == state.workspace;
                    tab(ui, state, out, workspace, is_written);
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 2.0;
                    for command in [
                        WindowCommand::ToggleTheme,
                        WindowCommand::Open(Overlay::Settings),
                        WindowCommand::Open(Overlay::Notices),
                        WindowCommand::Open(Overlay::Commands),
                    ] {
                        command_icon(ui, state, out, command, false);
                    }
                    ui.add_space(theme::GAP_S);
                    if let Some(project) = &state.session.project {
                        ui.add(
                            egui::Label::new(
                                RichText::new(project.name())
                                    .small()
                                    .color(tokens.text_weak),
                            )
                            .truncate(),
                        )
                        .on_hover_text(project.path.display().to_string());
                    }
                });
            });
        });
}

fn tab(ui: &mut Ui, state: &State, out: &mut Commands, workspace: Workspace, is_written: bool) {
    let command = Command::from(WindowCommand::Show(workspace));
    let Some(spec) = command.spec() else { return };
    let tokens = tokens(ui);
    let is_on = state.workspace == workspace;
    let colour = if is_on { tokens.text } else { tokens.text_weak };
    let text = RichText::new(spec.label)
        .font(theme::medium(theme::TEXT_BODY))
        .color(colour);
    let icon = icon_text(spec.icon).color(colour);
    let button = match is_written {
        true => Button::new((icon, text)),
        false => Button::new(icon),
    };
    let button = button
        .frame_when_inactive(false)
        .min_size(vec2(0.0, 42.0))
        .corner_radius(0);
    let response = named(ui.add(button), spec.label).on_hover_text(match is_written {
        true => tooltip(&command, state),
        false => format!("{}\n{}", spec.label, tooltip(&command, state)),
    });
    if is_on {
        let mut line = response.rect;
        line.min.y = line.max.y - 2.0;
        ui.painter().rect_filled(line, 0.0, tokens.accent);
    }
    if response.clicked() {
        out.push(command);
    }
}

/// Draws the bar at the bottom; `hovered` is the cell under the pointer.
pub fn status(ui: &mut Ui, state: &State, hovered: Option<HoveredCell>, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::bottom("status bar")
        .exact_size(28.0)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(12, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP_M;
                document_status(ui, state, hovered);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = theme::GAP_M;
                    device_status(ui, state, out);
                    let jobs = state.shown_jobs();
                    if let Some((job, others)) = jobs.split_first() {
                        job_status(ui, state, job, others.len(), out);
                    }
                });
            });
        });
}

/// What is computed on, and the memory in use; a click shows the messages.
fn device_status(ui: &mut Ui, state: &State, out: &mut Commands) {
    if let Some(bytes) = state.memory_bytes {
        small(ui, format!("{} MB", bytes / 1_000_000)).on_hover_text("Memory that Tessera uses");
    }
    let (name, reason, falls_back) = match &state.device {
        Some(device) => (
            device.name.as_str(),
            device.reason.as_str(),
            device.falls_back,
        ),
        None => (
            state.settings.device.as_str(),
            "it is being looked for",
            false,
        ),
    };
    let tokens = tokens(ui);
    let (text, colour) = if falls_back {
        (format!("{name}: {reason}"), tokens.warning)
    } else {
        (name.to_owned(), tokens.text_weak)
    };
    let text = RichText::new(text).small().color(colour);
    let button = Button::new(text).frame_when_inactive(false).truncate();
    let response = ui.add(button).on_hover_text(format!(
        "Computes on {name}: {reason}. The window is drawn by {}. A click shows the messages.",
        state.renderer
    ));
    if response.clicked() {
        out.push(WindowCommand::Open(Overlay::Notices));
    }
}

fn document_status(ui: &mut Ui, state: &State, hovered: Option<HoveredCell>) {
    let Some(canvas) = &state.session.canvas else {
        small(ui, "No picture is open");
        return;
    };
    small(
        ui,
        format!(
            "{}  ·  {} × {} px",
            canvas.name,
            canvas.document.width(),
            canvas.document.height()
        ),
    );
    if let Some(cell) = hovered {
        let code = match cell.code {
            Some(code) => format!("{} {code}", cell.level),
            None => format!("{} empty", cell.level),
        };
        small(ui, format!("{code}  ·  cell {}, {}", cell.column, cell.row));
    }
    if state.workspace == Workspace::Paint {
        small(ui, state.paint.tool.hint());
    }
}

fn job_status(ui: &mut Ui, state: &State, job: &ShownJob<'_>, others: usize, out: &mut Commands) {
    if job.can_be_stopped {
        let command = WindowCommand::CancelJob;
        if command_icon(ui, state, out, command, false).hovered() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::PointingHand);
        }
    }
    let mut text = job.title.to_owned();
    if let Some(eta) = job.eta_secs {
        text.push_str(&format!(", {} left", duration_text(eta)));
    }
    if others > 0 {
        text.push_str(&format!("  (+{others})"));
    }
    if job.total > 0 {
        let share = job.done as f32 / job.total as f32;
        ui.add(
            ProgressBar::new(share)
                .fill(tokens(ui).accent)
                .desired_width(120.0)
                .desired_height(6.0)
                .corner_radius(3),
        )
        .on_hover_text(format!("{} of {}", job.done, job.total));
    } else {
        waiting(ui);
    }
    small(ui, text).on_hover_text(format!("Job {:?}", job.key.id.0));
}
