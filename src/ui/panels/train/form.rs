//! What a fine-tune is started with, and how far the one that runs has come.

use eframe::egui::{self, ComboBox, DragValue, ProgressBar, RichText, Ui};
use lucide_icons::Icon;

use crate::app::command::TrainCommand;
use crate::app::state::{
    CheckpointChoice, CheckpointKind, CheckpointRow, Overview, Preset, State, TrainForm,
};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, command_button, duration_text, heading, primary_button, segmented, small, weak,
};

pub(super) fn form(ui: &mut Ui, state: &State, out: &mut Commands) {
    let mut form = state.session.training.form;
    let presets = [
        (
            Preset::Quick,
            "Quick look",
            "3 minutes: is this folder worth it?",
        ),
        (
            Preset::Standard,
            "Standard",
            "15 minutes: good for most folders",
        ),
        (Preset::Thorough, "Thorough", "An hour: the best it can do"),
    ];
    if let Some(preset) = segmented(ui, form.preset, &presets) {
        form.preset = preset;
        form.minutes = None;
    }
    let hint = presets.iter().find(|(preset, ..)| *preset == form.preset);
    match (form.minutes, hint) {
        (Some(minutes), _) => weak(ui, format!("Takes about {}", duration_text(minutes * 60.0))),
        (None, Some((_, _, hint))) => weak(ui, *hint),
        (None, None) => weak(ui, ""),
    };
    ui.collapsing("Advanced", |ui| advanced(ui, state, &mut form));
    ui.add_space(theme::GAP_XS);
    let why = state.why_no_training();
    let overview = state
        .session
        .project
        .as_ref()
        .and_then(|p| p.overview.as_ref());
    let resumable = overview.and_then(|overview| {
        (overview.runs.iter()).find(|run| Some(run.id) == overview.resumable_run)
    });
    ui.horizontal(|ui| {
        ui.add_enabled_ui(why.is_none(), |ui| {
            if primary_button(ui, Icon::Play, "Start").clicked() {
                out.push(TrainCommand::Start);
            }
        });
        if resumable.is_some() {
            command_button(ui, state, out, TrainCommand::Resume);
        }
    });
    if let Some(run) = resumable {
        let text = format!(
            "{} was interrupted: Resume goes on with it, Start begins anew.",
            run.name
        );
        weak(ui, text);
    }
    if let Some(why) = why {
        weak(ui, format!("Not yet: {why}."));
    } else if let Some(overview) = overview {
        let counts = &overview.counts;
        let mut text = format!("Learns from {} pictures", counts.usable);
        if counts.missing > 0 {
            text.push_str(&format!("; {} are missing and left out", counts.missing));
        }
        small(ui, text);
    }
    if form != state.session.training.form {
        out.push(TrainCommand::SetForm(form));
    }
}

fn advanced(ui: &mut Ui, state: &State, form: &mut TrainForm) {
    egui::Grid::new("advanced").num_columns(2).show(ui, |ui| {
        ui.label("Minutes");
        let mut minutes = form.minutes.unwrap_or(form.preset.minutes());
        if ui
            .add(DragValue::new(&mut minutes).range(0.1..=1440.0).speed(0.2))
            .changed()
        {
            form.minutes = Some(minutes);
        }
        ui.end_row();
        ui.label("Starts from");
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        let checkpoints = overview.map_or(&[][..], |overview| &overview.checkpoints);
        let name = |choice: CheckpointChoice| match choice {
            CheckpointChoice::Best => "The best so far".to_owned(),
            CheckpointChoice::Last => "The last so far".to_owned(),
            CheckpointChoice::Id(id) => {
                let row = checkpoints.iter().find(|row| row.id == id);
                row.map_or_else(|| format!("Model {id}"), |row| model_name(row, overview))
            }
        };
        ComboBox::from_id_salt("starts from")
            .selected_text(name(form.starts_from))
            .width(150.0)
            .show_ui(ui, |ui| {
                let mut choices = vec![CheckpointChoice::Best];
                choices.extend(
                    (checkpoints.iter())
                        .filter(|row| row.weights_bytes > 0 && row.kind != CheckpointKind::Last)
                        .map(|row| CheckpointChoice::Id(row.id)),
                );
                for choice in choices {
                    ui.selectable_value(&mut form.starts_from, choice, name(choice));
                }
            });
        ui.end_row();
        ui.label("Seed");
        ui.add(DragValue::new(&mut form.seed));
        ui.end_row();
    });
}

fn model_name(row: &CheckpointRow, overview: Option<&Overview>) -> String {
    if !row.name.is_empty() {
        return row.name.clone();
    }
    let run = overview
        .into_iter()
        .flat_map(|overview| &overview.runs)
        .find(|run| Some(run.id) == row.run);
    run.map_or_else(
        || format!("Model {}", row.id),
        |run| format!("{} ({})", run.name, row.kind.as_str()),
    )
}

pub(super) fn running(ui: &mut Ui, state: &State, out: &mut Commands) {
    let Some(job) = (state.session.training.job).and_then(|key| state.session.jobs.get(&key))
    else {
        return;
    };
    let share = if job.total > 0 {
        job.done as f32 / job.total as f32
    } else {
        0.0
    };
    ui.horizontal(|ui| {
        heading(ui, "Learning");
        let eta = job.eta_secs.map_or_else(
            || "working out the time".to_owned(),
            |seconds| format!("{} left", duration_text(seconds)),
        );
        weak(ui, eta);
    });
    ui.add(
        ProgressBar::new(share)
            .fill(tokens(ui).accent)
            .desired_height(8.0)
            .desired_width(ui.available_width()),
    );
    let last = |name: &str| -> Option<[f64; 2]> {
        state.session.training.figures.get(name)?.last().copied()
    };
    if let Some([step, _]) = last("train.loss") {
        let mut text = format!("Step {step:.0}");
        if let Some([_, speed]) = last("train.pictures_per_second") {
            text.push_str(&format!(", {speed:.0} crops a second"));
        }
        if let Some([_, quality]) = last("eval.psnr_db") {
            text.push_str(&format!(", {quality:.2} dB"));
        }
        small(ui, text);
    }
    ui.add_space(theme::GAP_XS);
    ui.horizontal(|ui| {
        ui.add_enabled_ui(!state.session.training.is_stopping, |ui| {
            command_button(ui, state, out, TrainCommand::Pause);
            command_button(ui, state, out, TrainCommand::Cancel);
        });
    });
    if state.session.training.is_stopping {
        let text = RichText::new("Writing down where it stands…");
        ui.label(text.color(tokens(ui).text_weak));
    }
}
