//! Fine-tuning and its runs.

use super::super::command::Command;
use super::super::state::{Lane, PaletteView, Purpose, Workspace};
use super::super::{App, Severity};
use crate::engine::{
    Budget, CheckpointChoice, Model, ModelSource, PaletteJob, TrainJob, TrainStart,
};
use crate::error::Notice;
use crate::progress::Stop;

/// Drawn codes of models that are not on the canvas.
const MAX_PALETTES: usize = 4;

impl App {
    pub(super) fn apply_training(&mut self, command: Command) {
        match command {
            Command::SetTraining(form) => self.state.training.form = form,
            Command::SetPreset(preset) => {
                self.state.training.form.preset = preset;
                self.state.training.form.minutes = None;
            }
            Command::StartTraining => self.start_training(),
            Command::ResumeTraining => self.train(TrainStart::Resume { budget: None }),
            Command::PauseTraining => self.stop_training(Stop::Pause),
            Command::CancelTraining => self.stop_training(Stop::Cancel),
            Command::SelectRun(run) => {
                self.state.training.selected_run = Some(run);
                self.lanes.desk.read_metrics(run);
            }
            Command::RenameRun(run, name) => {
                self.write(move |project| project.rename_run(run, &name));
            }
            Command::DeleteRun(run) => {
                if self.state.training.selected_run == Some(run) {
                    self.state.training.selected_run = None;
                }
                self.state.training.metrics.remove(&run);
                self.write(move |project| project.delete_run(run));
            }
            Command::PinCheckpoint(checkpoint, pinned) => {
                self.write(move |project| project.pin_checkpoint(checkpoint, pinned));
            }
            Command::UseModel(choice) => {
                self.state.training.model = choice;
                self.state.training.form.starts_from = choice;
                self.state.notices.say(
                    Severity::Success,
                    "Pictures are opened with this model from now on",
                );
            }
            Command::CountUsage if self.state.has_job(Purpose::CountUsage) => {}
            Command::CountUsage => {
                if let (Some(model), Some(storage)) = (self.model_in_hand(), self.storage()) {
                    self.submit(
                        Lane::Background,
                        Purpose::CountUsage,
                        PaletteJob {
                            model,
                            count: Some(storage),
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn model_in_hand(&self) -> Option<Model> {
        self.state.canvas.as_ref().map(|c| c.model.clone())
    }

    fn start_training(&mut self) {
        if let Some(why) = self.state.why_no_training() {
            self.state.notices.push(
                Severity::Warning,
                Notice::new("fine-tuning cannot start", why, ""),
            );
            return;
        }
        let form = self.state.training.form;
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
        if self.state.training.is_running() {
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
        let key = self.submit(Lane::Training, Purpose::Train, job);
        let training = &mut self.state.training;
        training.job = key;
        training.started = key.map(|_| std::time::Instant::now());
        training.is_stopping = false;
        training.selected_run = None;
        training.figures.clear();
        training.previews.clear();
        self.state.workspace = Workspace::FineTune;
    }

    fn stop_training(&mut self, stop: Stop) {
        if let Some(key) = self.state.training.job {
            self.lanes.stop(key, stop);
            self.state.training.is_stopping = true;
        }
    }

    /// Shows the codes of the picture on the canvas; those of another model never stand beside it.
    pub(in crate::app) fn draw_palette(&mut self) {
        let Some(model) = self.model_in_hand() else {
            return;
        };
        let is_of = |view: &PaletteView| view.palette.model_hash == model.hash;
        if self.state.palette.as_ref().is_some_and(is_of) {
            return;
        }
        if let Some(other) = self.state.palette.take() {
            self.keep_palette(other);
        }
        if let Some(place) = self.palettes.iter().position(is_of) {
            let view = self.palettes.remove(place);
            self.choose_code(&view.palette);
            self.know_codes(&view.palette);
            self.state.palette = Some(view);
            self.show_exemplars();
        } else if self.drawing_palette.as_ref() != Some(&model.hash) {
            let hash = model.hash.clone();
            let job = PaletteJob { model, count: None };
            let job = self.submit(Lane::Foreground, Purpose::Palette, job);
            self.drawing_palette = job.map(|_| hash);
        }
    }

    /// Keeps drawn codes for a picture that shows them now or later.
    pub(in crate::app) fn keep_palette(&mut self, view: PaletteView) {
        let is_same = |other: &PaletteView| other.palette.model_hash == view.palette.model_hash;
        if self.drawing_palette.as_ref() == Some(&view.palette.model_hash) {
            self.drawing_palette = None;
        }
        self.palettes.retain(|other| !is_same(other));
        self.state.palette.take_if(|shown| is_same(shown));
        self.palettes.push(view);
        if self.palettes.len() > MAX_PALETTES {
            self.palettes.remove(0);
        }
    }

    /// After a run: what it learned is what new pictures are opened with.
    pub(in crate::app) fn use_best_model(&mut self) {
        self.state.training.model = CheckpointChoice::Best;
        self.state.training.form.starts_from = CheckpointChoice::Best;
    }
}
