//! Fine-tuning and its runs, and the codes of the model in hand.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::App;
use super::jobs::Ended;
use crate::app::command::TrainCommand;
use crate::app::lanes::TextureRequest;
use crate::app::state::{JobKey, PaletteView, Severity, Workspace};
use crate::engine::{
    Budget, CheckpointChoice, Lane, Model, ModelSource, PaletteJob, TrainJob, TrainStart, Trained,
};
use crate::error::Notice;
use crate::progress::Stop;

/// Drawn codes of models that are not on the canvas.
const MAX_PALETTES: usize = 4;
/// How long closing waits for a fine-tune to write down where it stands.
const PAUSE_ON_EXIT: Duration = Duration::from_secs(30);

impl App {
    pub(super) fn apply_train(&mut self, command: TrainCommand) {
        match command {
            TrainCommand::SetForm(form) => self.state.session.training.form = form,
            TrainCommand::SetPreset(preset) => {
                self.state.session.training.form.preset = preset;
                self.state.session.training.form.minutes = None;
            }
            TrainCommand::Start => self.start_training(),
            TrainCommand::Resume => self.train(TrainStart::Resume { budget: None }),
            TrainCommand::Pause => self.stop_training(Stop::Pause),
            TrainCommand::Cancel => self.stop_training(Stop::Cancel),
            TrainCommand::SelectRun(run) => {
                self.state.session.training.selected_run = Some(run);
                self.lanes.desk.read_metrics(run);
            }
            TrainCommand::RenameRun(run, name) => {
                self.write(move |project| project.rename_run(run, &name));
            }
            TrainCommand::DeleteRun(run) => {
                if self.state.session.training.selected_run == Some(run) {
                    self.state.session.training.selected_run = None;
                }
                self.state.session.training.metrics.remove(&run);
                self.write(move |project| project.delete_run(run));
            }
            TrainCommand::PinCheckpoint(checkpoint, pinned) => {
                self.write(move |project| project.pin_checkpoint(checkpoint, pinned));
            }
            TrainCommand::UseModel(choice) => {
                self.state.session.training.model = choice;
                self.state.session.training.form.starts_from = choice;
                self.state.notices.say(
                    Severity::Success,
                    "Pictures are opened with this model from now on",
                );
                self.state.session.is_indexing_unwanted = false;
                self.fill_index();
            }
            TrainCommand::DismissNews => self.state.session.training.has_news = false,
        }
    }

    /// Pauses every run, also those of projects that were left: each goes on at the next start. Waits until it is stored, but not
    /// for ever.
    pub(in crate::app) fn pause_runs_for_exit(&mut self) {
        let left = self.state.left_jobs.keys();
        let left = left.filter(|key| key.lane == Lane::Training);
        let runs = self.state.session.training.job.iter().chain(left);
        let mut runs: BTreeSet<JobKey> = runs.copied().collect();
        for run in &runs {
            self.lanes.stop(*run, Stop::Pause);
        }
        let deadline = Instant::now() + PAUSE_ON_EXIT;
        while !runs.is_empty() && Instant::now() < deadline {
            for (key, event) in self.lanes.events() {
                if event.kind.is_final() {
                    runs.remove(&key);
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn model_in_hand(&self) -> Option<Model> {
        self.state.session.canvas.as_ref().map(|c| c.model.clone())
    }

    fn start_training(&mut self) {
        if let Some(why) = self.state.why_no_training() {
            self.state.notices.push(
                Severity::Warning,
                Notice::new("fine-tuning cannot start", why, ""),
            );
            return;
        }
        let form = self.state.session.training.form;
        let mut config = form.preset.config(form.seed);
        if let Some(minutes) = form.minutes {
            config.budget = Budget::Minutes(minutes);
        }
        let Some(project) = self.storage() else {
            return;
        };
        self.train(TrainStart::New {
            config: Box::new(config),
            model: Some(ModelSource::Project(project, form.starts_from)),
        });
    }

    fn train(&mut self, start: TrainStart) {
        if self.state.session.training.is_running() {
            return;
        }
        let device = self.device();
        let Some(project) = self.storage() else {
            return;
        };
        let job = TrainJob {
            project,
            start,
            device,
        };
        let key = self.submit_to_its_end(job, Self::training_ended);
        if key.is_some() {
            self.pause_index();
        }
        let training = &mut self.state.session.training;
        training.job = key;
        training.started = key.map(|_| Instant::now());
        training.is_stopping = false;
        training.selected_run = None;
        training.figures.clear();
        training.previews.clear();
        self.state.workspace = Workspace::FineTune;
    }

    fn training_ended(&mut self, ended: Ended<Trained>) {
        self.state.session.training.job = None;
        self.state.session.training.is_stopping = false;
        self.lanes.desk.read_overview();
        // A run that found its pictures gone should not be all that says so.
        self.check_files();
        if let Ended::Finished(trained) = ended {
            (self.state.notices).say(Severity::Success, trained.to_string());
            self.use_best_model();
            self.state.session.training.has_news = true;
            self.state.session.is_indexing_unwanted = false;
        }
        self.fill_index();
    }

    fn stop_training(&mut self, stop: Stop) {
        if let Some(key) = self.state.session.training.job {
            self.lanes.stop(key, stop);
            self.state.session.training.is_stopping = true;
        }
    }

    /// Shows the codes of the picture on the canvas; those of another model never stand beside it.
    pub(in crate::app) fn draw_palette(&mut self) {
        let Some(model) = self.model_in_hand() else {
            return;
        };
        let is_of = |view: &PaletteView| view.palette.model_hash == model.hash;
        if self.state.session.palette.as_ref().is_some_and(is_of) {
            return;
        }
        if let Some(other) = self.state.session.palette.take() {
            self.keep_palette(other);
        }
        let session = &mut self.state.session;
        if let Some(place) = session.palettes.iter().position(is_of) {
            let view = session.palettes.remove(place);
            self.choose_code(&view.palette);
            self.know_codes(&view.palette);
            self.state.session.palette = Some(view);
            self.show_exemplars();
        } else if session.drawing_palette.as_ref() != Some(&model.hash) {
            session.drawing_palette = Some(model.hash.clone());
            let key = self.submit_to_its_end(PaletteJob { model }, |app, ended| match ended {
                Ended::Finished(palette) => {
                    app.request_texture(TextureRequest::Palette(palette.into()))
                }
                Ended::Cancelled | Ended::Failed => app.state.session.drawing_palette = None,
            });
            if key.is_none() {
                self.state.session.drawing_palette = None;
            }
        }
    }

    /// Keeps drawn codes for a picture that shows them now or later.
    pub(in crate::app) fn keep_palette(&mut self, view: PaletteView) {
        let session = &mut self.state.session;
        let is_same = |other: &PaletteView| other.palette.model_hash == view.palette.model_hash;
        if session.drawing_palette.as_ref() == Some(&view.palette.model_hash) {
            session.drawing_palette = None;
        }
        session.palettes.retain(|other| !is_same(other));
        session.palette.take_if(|shown| is_same(shown));
        session.palettes.push(view);
        if session.palettes.len() > MAX_PALETTES {
            session.palettes.remove(0);
        }
    }

    /// After a run: what it learned is what new pictures are opened with.
    fn use_best_model(&mut self) {
        self.state.session.training.model = CheckpointChoice::Best;
        self.state.session.training.form.starts_from = CheckpointChoice::Best;
    }
}
