//! Fine-tuning: start it, watch it, keep what it made.

use eframe::egui::{ProgressBar, ScrollArea, Slider, Ui, vec2};
use egui_plot::{Line, Plot, PlotPoints};
use lucide_icons::Icon;

use crate::app::{Command, Preset, State};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, card, command_button, duration_text, heading, primary_button, segmented, small,
    title, weak,
};

#[derive(Default)]
pub struct TrainPanel {
    /// Which held-out preview is shown, counted from the newest.
    back: usize,
}

impl TrainPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        title(ui, "Fine-tune");
        weak(
            ui,
            "The model learns the fragments that your pictures are made of. Painting goes on meanwhile.",
        );
        ui.add_space(theme::GAP_M);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let tokens = tokens(ui);
            card(&tokens).show(ui, |ui| {
                ui.set_width(ui.available_width());
                if state.training.is_running() {
                    running(ui, state, out);
                } else {
                    form(ui, state, out);
                }
            });
            ui.add_space(theme::GAP_M);
            if !state.training.figures.is_empty() {
                plots(ui, state);
            }
            self.previews(ui, state);
        });
    }

    fn previews(&mut self, ui: &mut Ui, state: &State) {
        let previews = &state.training.previews;
        if previews.is_empty() {
            return;
        }
        ui.add_space(theme::GAP_M);
        heading(ui, "Pictures it has not learned from");
        small(ui, "Original, layout alone, and as the codes show it");
        let last = previews.len() - 1;
        let mut at = last - self.back.min(last);
        if last > 0
            && ui
                .add(Slider::new(&mut at, 0..=last).show_value(false))
                .changed()
        {
            self.back = last - at;
        }
        if let Some(preview) = previews.get(at) {
            small(ui, format!("Step {}", preview.step));
            ui.image((preview.texture.id(), preview.texture.size_vec2()));
        }
    }
}

fn form(ui: &mut Ui, state: &State, out: &mut Commands) {
    let presets = [
        (
            Preset::Quick,
            "Quick look",
            "Is this folder worth it? About 3 minutes",
        ),
        (Preset::Standard, "Standard", "About 15 minutes"),
        (Preset::Thorough, "Thorough", "About an hour"),
    ];
    ui.horizontal(|ui| {
        if let Some(preset) = segmented(ui, state.training.form.preset, &presets) {
            out.push(Command::SetPreset(preset));
        }
        let hint = presets
            .iter()
            .find(|(preset, ..)| *preset == state.training.form.preset);
        if let Some((_, _, hint)) = hint {
            weak(ui, *hint);
        }
    });
    ui.add_space(theme::GAP_S);
    ui.horizontal(|ui| {
        let why = state.why_no_training();
        ui.add_enabled_ui(why.is_none(), |ui| {
            if primary_button(ui, Icon::Play, "Start").clicked() {
                out.push(Command::StartTraining);
            }
        });
        let can_resume = (state.project.as_ref())
            .and_then(|project| project.overview.as_ref())
            .is_some_and(|overview| overview.resumable_run.is_some());
        if can_resume {
            command_button(ui, state, out, Command::ResumeTraining);
        }
        if let Some(why) = why {
            weak(ui, format!("Not yet: {why}."));
        }
    });
}

fn running(ui: &mut Ui, state: &State, out: &mut Commands) {
    let Some(job) = state.training.job.and_then(|key| state.jobs.get(&key)) else {
        return;
    };
    let share = if job.total > 0 {
        job.done as f32 / job.total as f32
    } else {
        0.0
    };
    ui.horizontal(|ui| {
        heading(ui, "Learning");
        let eta = job.eta_secs.map_or("–".into(), duration_text);
        weak(ui, format!("{eta} left"));
    });
    ui.add(ProgressBar::new(share).desired_height(8.0));
    ui.add_space(theme::GAP_XS);
    ui.horizontal(|ui| {
        ui.add_enabled_ui(!state.training.is_stopping, |ui| {
            command_button(ui, state, out, Command::PauseTraining);
            command_button(ui, state, out, Command::CancelTraining);
        });
        if state.training.is_stopping {
            weak(ui, "Writing down where it stands…");
        }
    });
}

fn plots(ui: &mut Ui, state: &State) {
    let width = (ui.available_width() - theme::GAP_M) / 2.0;
    ui.horizontal_top(|ui| {
        for (name, label) in [
            ("train.loss", "Loss (lower is better)"),
            (
                "eval.psnr_db",
                "Quality on held-out pictures, dB (higher is better)",
            ),
        ] {
            ui.allocate_ui(vec2(width, 190.0), |ui| {
                ui.vertical(|ui| {
                    heading(ui, label);
                    let colour = tokens(ui).plot[0];
                    Plot::new(name)
                        .height(160.0)
                        .allow_scroll(false)
                        .allow_drag(false)
                        .allow_zoom(false)
                        .show(ui, |plot| {
                            if let Some(points) = state.training.figures.get(name) {
                                let points = PlotPoints::from(points.clone());
                                plot.line(Line::new(label, points).color(colour).width(2.0));
                            }
                        });
                });
            });
        }
    });
}
