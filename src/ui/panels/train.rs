//! Fine-tuning: start it, watch it, keep what it made.

mod form;

use std::collections::BTreeSet;
use std::path::PathBuf;

use eframe::egui::{
    self, CornerRadius, Panel, ProgressBar, ScrollArea, Slider, TextEdit, Ui, vec2,
};
use egui_plot::{Legend, Line, Plot, PlotPoints};
use lucide_icons::Icon;

use crate::app::command::{DatasetCommand, TrainCommand};
use crate::app::state::{
    CheckpointChoice, CheckpointKind, CheckpointRow, Overview, PreviewView, RunRow, RunStatus,
    State,
};
use crate::foundation::time::local_text;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, card, check_box, command_button, empty_state, heading, icon_button, named_field,
    small, title, weak,
};

use form::{form, running};

/// Columns of a preview: source, structure alone, all codes.
const PREVIEW_COLUMNS: f32 = 3.0;

/// The page for fine-tuning.
#[derive(Default)]
pub struct TrainPanel {
    /// Which held-out preview is shown, counted from the newest.
    back: usize,
    /// Runs whose figures are drawn.
    compared: BTreeSet<i64>,
    renamed: Option<(i64, String)>,
    /// The run whose deletion was asked for once.
    doomed: Option<i64>,
    /// The project that all this belongs to.
    project: Option<PathBuf>,
}

impl TrainPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        self.turn_to(state, overview, out);
        Panel::left("fine-tune form")
            .exact_size(348.0)
            .resizable(false)
            .show_separator_line(false)
            .frame(egui::Frame::new().inner_margin(egui::Margin {
                right: 16,
                ..Default::default()
            }))
            .show(ui, |ui| {
                title(ui, "Fine-tune");
                weak(ui, "The model learns the fragments your pictures are made of. You can paint meanwhile.");
                ui.add_space(theme::GAP_S);
                card(&tokens(ui)).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    if state.session.training.is_running() {
                        running(ui, state, out);
                    } else {
                        form(ui, state, out);
                    }
                });
                ui.add_space(theme::GAP_M);
                if let Some(overview) = overview {
                    self.runs(ui, state, overview, out);
                }
            });
        ScrollArea::vertical()
            .id_salt("run shown")
            .auto_shrink(false)
            .show(ui, |ui| self.run_shown(ui, state, overview, out));
    }

    /// Another project has other runs; its newest is shown first.
    fn turn_to(&mut self, state: &State, overview: Option<&Overview>, out: &mut Commands) {
        let path = state.session.project.as_ref().map(|project| &project.path);
        let (Some(overview), Some(path)) = (overview, path) else {
            return;
        };
        if self.project.as_ref() == Some(path) {
            return;
        }
        *self = Self {
            project: Some(path.clone()),
            ..Self::default()
        };
        if let Some(newest) = overview.runs.iter().max_by_key(|run| run.id) {
            self.compared.insert(newest.id);
            out.push(TrainCommand::SelectRun(newest.id));
        }
    }

    fn run_shown(
        &mut self,
        ui: &mut Ui,
        state: &State,
        overview: Option<&Overview>,
        out: &mut Commands,
    ) {
        let has_live = !state.session.training.figures.is_empty();
        if !has_live && self.compared.is_empty() {
            let is_starting = state.session.training.is_running();
            let has_runs = overview.is_some_and(|overview| !overview.runs.is_empty());
            let text = if is_starting {
                "The first figures come after some steps."
            } else if has_runs {
                "Tick a run on the left to see how it went, or start another."
            } else {
                "How well the model redraws pictures that it has not learned from is shown here while it learns."
            };
            empty_state(ui, Icon::ChartSpline, "Nothing to show yet", text, |ui| {
                if !is_starting && state.why_no_training().is_some() {
                    command_button(ui, state, out, DatasetCommand::ImportFolder);
                }
            });
            return;
        }
        let plots = [
            (
                "eval.psnr_db",
                "Quality on pictures it has not learned from, dB",
            ),
            ("train.loss", "Loss"),
        ];
        let names = |run: i64| -> String {
            (overview.into_iter().flat_map(|overview| &overview.runs))
                .find(|row| row.id == run)
                .map_or_else(|| format!("Run {run}"), |row| row.name.clone())
        };
        let width = (ui.available_width() - theme::GAP_M) / 2.0;
        // The held-out pictures below take what their width needs; on a large screen the rest is the plots'.
        let height = (ui.available_height() * 0.32).clamp(170.0, 420.0);
        ui.horizontal_top(|ui| {
            for (name, label) in plots {
                ui.allocate_ui(vec2(width, height + 40.0), |ui| {
                    ui.vertical(|ui| {
                        heading(ui, label);
                        self.plot(ui, state, (name, height), &names);
                    });
                });
            }
        });
        usage(ui, state, self.compared.first().copied());
        self.previews(ui, state);
    }

    fn plot(
        &self,
        ui: &mut Ui,
        state: &State,
        (name, height): (&str, f32),
        run_name: &dyn Fn(i64) -> String,
    ) {
        let colours = tokens(ui).plot;
        // Grid and numbers are drawn in the text's colour.
        ui.visuals_mut().override_text_color = Some(tokens(ui).text_weak);
        let mut lines: Vec<(String, Vec<[f64; 2]>)> = Vec::new();
        if let Some(points) = state.session.training.figures.get(name) {
            lines.push(("This run".into(), points.clone()));
        }
        for run in &self.compared {
            if let Some(points) = points_of(state, *run, name) {
                lines.push((run_name(*run), points));
            }
        }
        if lines.iter().all(|(_, points)| points.is_empty()) {
            weak(ui, "Comes after some steps.");
            return;
        }
        let mut plot = Plot::new(name)
            .height(height)
            .allow_scroll(false)
            .allow_drag(false)
            .allow_zoom(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .set_margin_fraction(vec2(0.02, 0.12));
        if lines.len() > 1 {
            plot = plot.legend(Legend::default());
        }
        plot.show(ui, |plot| {
            for (index, (label, points)) in lines.into_iter().enumerate() {
                let line = Line::new(label, PlotPoints::from(points))
                    .color(colours[index % colours.len()])
                    .width(2.0);
                plot.line(line);
            }
        });
    }

    fn previews(&mut self, ui: &mut Ui, state: &State) {
        let previews = &state.session.training.previews;
        let (Some(first), Some(last)) = (previews.first(), previews.len().checked_sub(1)) else {
            return;
        };
        ui.add_space(theme::GAP_M);
        ui.horizontal(|ui| {
            heading(ui, "Pictures it has not learned from");
            if last > 0 {
                let mut at = last - self.back.min(last);
                ui.spacing_mut().slider_width = 200.0;
                let slider = Slider::new(&mut at, 0..=last).show_value(false);
                if ui.add(slider).on_hover_text("Through the run").changed() {
                    self.back = last - at;
                }
            }
            if let Some(shown) = previews.get(last - self.back.min(last)) {
                small(ui, format!("step {}", shown.step));
            }
        });
        let Some(shown) = previews.get(last - self.back.min(last)) else {
            return;
        };
        // The model that the run goes on from is shown as step 0.
        let before = (first.step == 0).then_some(first);
        let is_before = shown.step == 0;
        let columns = 2 + usize::from(before.is_some()) + usize::from(!is_before);
        let [width, height] = shown.texture.size().map(|v| v as f32);
        let cell = vec2(width / PREVIEW_COLUMNS, height);
        let side = (ui.available_width() / columns as f32 - theme::GAP_S).min(260.0);
        let size = cell * (side / cell.x.max(1.0));
        ui.horizontal_top(|ui| {
            column(ui, shown, 0, size, "Original");
            if let Some(first) = before {
                column(ui, first, 2, size, "Before");
            }
            if !is_before {
                let now = if self.back == 0 {
                    "Now"
                } else {
                    "At this step"
                };
                column(ui, shown, 2, size, now);
            }
            column(ui, shown, 1, size, "Structure alone");
        });
    }

    fn runs(&mut self, ui: &mut Ui, state: &State, overview: &Overview, out: &mut Commands) {
        if overview.runs.is_empty() {
            return;
        }
        heading(ui, "Runs");
        ScrollArea::vertical()
            .id_salt("runs")
            .auto_shrink([false, false])
            .show(ui, |ui| {
                for run in overview.runs.iter().rev() {
                    self.run(ui, state, overview, run, out);
                    ui.add_space(theme::GAP_XS);
                }
            });
    }

    fn run(
        &mut self,
        ui: &mut Ui,
        state: &State,
        overview: &Overview,
        run: &RunRow,
        out: &mut Commands,
    ) {
        let best = best_of(overview, run.id);
        let is_running = run.status == RunStatus::Running && state.session.training.is_running();
        card(&tokens(ui)).inner_margin(8).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let mut is_shown = self.compared.contains(&run.id);
                let response = check_box(ui, &mut is_shown, "");
                response.widget_info(|| {
                    let name = format!("Compare {}", run.name);
                    egui::WidgetInfo::selected(egui::Role::CheckBox, true, is_shown, name)
                });
                if response.on_hover_text("Show its figures").changed() {
                    if is_shown {
                        self.compared.insert(run.id);
                        out.push(TrainCommand::SelectRun(run.id));
                    } else {
                        self.compared.remove(&run.id);
                    }
                }
                match &mut self.renamed {
                    Some((id, text)) if *id == run.id => {
                        let response = ui.add(TextEdit::singleline(text).desired_width(130.0));
                        let response = named_field(response, "Name of the run");
                        if response.lost_focus() {
                            let name = text.trim().to_owned();
                            let is_given_up = ui.input(|i| i.key_pressed(egui::Key::Escape));
                            if !name.is_empty() && !is_given_up {
                                out.push(TrainCommand::RenameRun(run.id, name));
                            }
                            self.renamed = None;
                        } else {
                            response.request_focus();
                        }
                    }
                    _ => heading(ui, &run.name),
                }
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 0.0;
                    self.run_buttons(ui, run, best, is_running, out);
                });
            });
            let quality = best.and_then(quality_db);
            let quality = quality.map_or(String::new(), |db| format!(", {db:.2} dB"));
            small(
                ui,
                format!(
                    "{}{quality}, {}",
                    status_text(run.status, is_running),
                    local_text(run.created_ms)
                ),
            );
            if let Some(best) = best {
                let choice = CheckpointChoice::Id(best.id);
                if state.session.training.model == choice {
                    small(ui, "New pictures are opened with this one");
                } else if ui
                    .button("Use this one")
                    .on_hover_text("Open pictures with the codes of this run from now on")
                    .clicked()
                {
                    out.push(TrainCommand::UseModel(choice));
                }
            }
        });
    }

    fn run_buttons(
        &mut self,
        ui: &mut Ui,
        run: &RunRow,
        best: Option<&CheckpointRow>,
        is_running: bool,
        out: &mut Commands,
    ) {
        let is_doomed = self.doomed == Some(run.id);
        ui.add_enabled_ui(!is_running, |ui| {
            let hint = if is_doomed {
                "Click once more to delete the run; documents opened with it keep their codes"
            } else {
                "Delete the run"
            };
            if icon_button(ui, Icon::Trash2, "Delete the run", is_doomed)
                .on_hover_text(hint)
                .clicked()
            {
                if is_doomed {
                    self.compared.remove(&run.id);
                    out.push(TrainCommand::DeleteRun(run.id));
                    self.doomed = None;
                } else {
                    self.doomed = Some(run.id);
                }
            }
        });
        if icon_button(ui, Icon::Pencil, "Rename the run", false)
            .on_hover_text("Rename")
            .clicked()
        {
            self.renamed = Some((run.id, run.name.clone()));
        }
        if let Some(best) = best
            && icon_button(ui, Icon::Pin, "Keep its model", best.pinned)
                .on_hover_text("Keep its model for good")
                .clicked()
        {
            out.push(TrainCommand::PinCheckpoint(best.id, !best.pinned));
        }
    }
}

/// One column of a preview's picture.
fn column(ui: &mut Ui, preview: &PreviewView, index: u8, size: egui::Vec2, label: &str) {
    let (left, right) = (
        f32::from(index) / PREVIEW_COLUMNS,
        f32::from(index + 1) / PREVIEW_COLUMNS,
    );
    ui.vertical(|ui| {
        small(ui, label);
        ui.add(
            egui::Image::from_texture((preview.texture.id(), size))
                .fit_to_exact_size(size)
                .uv(egui::Rect::from_min_max(
                    egui::pos2(left, 0.0),
                    egui::pos2(right, 1.0),
                ))
                .corner_radius(CornerRadius::same(4)),
        );
    });
}

fn status_text(status: RunStatus, is_running: bool) -> &'static str {
    match status {
        RunStatus::Running if is_running => "Learning now",
        RunStatus::Running | RunStatus::Paused => "Paused",
        RunStatus::Finished => "Finished",
        RunStatus::Cancelled => "Stopped",
        RunStatus::Failed => "Failed",
    }
}

/// The run's best model, or where there is none its last.
fn best_of(overview: &Overview, run: i64) -> Option<&CheckpointRow> {
    let of_run = |kind| {
        (overview.checkpoints.iter())
            .find(|row| row.run == Some(run) && row.kind == kind && row.weights_bytes > 0)
    };
    of_run(CheckpointKind::Best).or_else(|| of_run(CheckpointKind::Last))
}

fn quality_db(checkpoint: &CheckpointRow) -> Option<f64> {
    checkpoint
        .metrics
        .get("evaluation")?
        .get("psnr_db")?
        .as_f64()
}

fn points_of(state: &State, run: i64, name: &str) -> Option<Vec<[f64; 2]>> {
    let rows = state.session.training.metrics.get(&run)?;
    Some(
        rows.iter()
            .filter_map(|row| Some([row.step as f64, *row.numbers.get(name)?]))
            .filter(|point| point[1].is_finite())
            .collect(),
    )
}

/// How many of the codes the held-out pictures use.
fn usage(ui: &mut Ui, state: &State, compared: Option<i64>) {
    let last = |name: &str| -> Option<f64> {
        let live = state
            .session
            .training
            .figures
            .get(name)
            .and_then(|points| points.last());
        let stored = || points_of(state, compared?, name)?.last().copied();
        live.copied().or_else(stored).map(|point| point[1])
    };
    let shares = [
        ("Structure codes in use", last("eval.structure_usage")),
        ("Detail codes in use", last("eval.detail_usage")),
    ];
    if shares.iter().all(|(_, share)| share.is_none()) {
        return;
    }
    ui.add_space(theme::GAP_S);
    ui.horizontal(|ui| {
        for (label, share) in shares {
            if let Some(share) = share {
                small(ui, label);
                ui.add(
                    ProgressBar::new(share as f32)
                        .fill(tokens(ui).accent)
                        .desired_width(120.0)
                        .desired_height(8.0),
                )
                .on_hover_text("Share of the codebook that the held-out pictures need");
                small(ui, format!("{:.0} %", share * 100.0));
                ui.add_space(theme::GAP_S);
            }
        }
    });
}
