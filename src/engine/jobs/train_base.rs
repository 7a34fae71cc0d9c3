//! Making the base model from its recipe, in pieces: each goes on where the last one stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::Device;
use serde_json::json;

use crate::codec::Codec;
use crate::codec::checkpoint::Precision;
use crate::engine::device::{DeviceChoice, open_device};
use crate::engine::event::{Metrics, Outcome};
use crate::engine::worker::JobContext;
use crate::error::{Error, Notice, Result};
use crate::export::{Existing, write_bytes};
use crate::progress::{Observer, Stop};
use crate::train::recipe::{GroupCount, Recipe};
use crate::train::{Checkpoint, CheckpointKind, Ended, Evaluation, Run, StepFigures, TrainSink};

/// Trains the base model. Beside `out` stand its state (`.state`, what the next piece goes on from) and its figures
/// (`.jsonl`).
pub struct TrainBaseJob {
    pub recipe: PathBuf,
    /// The folder that holds the recipe's picture folders.
    pub data: PathBuf,
    /// The model file, `f16`: the best so far by held-out score.
    pub out: PathBuf,
    /// Length of this piece; `None` trains to the end.
    pub minutes: Option<f64>,
    pub device: DeviceChoice,
}

impl TrainBaseJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
        let recipe = Recipe::read(&self.recipe)?;
        let device = open_device(self.device)?;
        let prepared = recipe.prepare(&self.data, context)?;
        let files = Files::beside(&self.out);
        let run = if files.state.exists() {
            resume(&files, &recipe, prepared.pictures, &device.device, context)?
        } else {
            let seed = recipe.training.seed;
            let codec = Codec::new(recipe.codec.clone(), seed, &device.device)?;
            Run::from_scratch(codec, recipe.training.clone(), prepared.pictures)?
        };
        let mut run = run.with_batches(prepared.batches);
        let piece = Piece {
            context,
            until: (self.minutes)
                .and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok())
                .and_then(|length| Instant::now().checked_add(length)),
        };
        let mut sink = FileSink {
            files: &files,
            recipe: &recipe,
            counts: &prepared.counts,
            context,
        };
        let ended = run.run(&mut sink, &piece)?;
        let is_over = matches!(ended, Ended::Finished | Ended::NoMoreGain);
        if is_over && !files.model.exists() {
            // The state came from elsewhere, with its best model already scored there.
            sink.publish(run.model()?)?;
        }
        let progress = run.progress();
        let share = recipe
            .training
            .budget
            .progress(progress.step, progress.seconds);
        let summary = match ended {
            Ended::Finished | Ended::NoMoreGain => format!("Trained {} steps.", progress.step),
            Ended::Paused | Ended::Cancelled => format!(
                "Trained {} steps, {:.1} % of the recipe; run the same command to go on.",
                progress.step,
                share * 100.0
            ),
        };
        Ok(Outcome::new(summary)
            .with_report(json!({
                "steps": progress.step,
                "seconds": progress.seconds,
                "device": device.name,
                "groups": prepared.counts,
                "best": progress.best,
            }))
            .with_file(&files.model))
    }
}

/// What one run keeps.
struct Files {
    model: PathBuf,
    state: PathBuf,
    figures: PathBuf,
}

impl Files {
    fn beside(model: &Path) -> Self {
        Self {
            model: model.to_path_buf(),
            state: model.with_extension("state"),
            figures: model.with_extension("jsonl"),
        }
    }
}

fn resume(
    files: &Files,
    recipe: &Recipe,
    pictures: crate::train::Pictures,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Run> {
    let bytes = std::fs::read(&files.state)
        .map_err(|source| Error::io("could not read the run's state", &files.state, &source))?;
    let budget = Some(recipe.training.budget);
    let run = Run::resume(&bytes, pictures, budget, device, observer)
        .map_err(|error| error.at(&files.state))?;
    if *run.config() != recipe.training {
        observer.warning(
            Notice::new(
                "the run keeps the settings that it began with",
                "the recipe's training settings changed since, and only its budget is taken over",
                "Move the state file away to begin anew",
            )
            .at(&files.state),
        );
    }
    Ok(run)
}

/// Pauses when the piece's time is over.
struct Piece<'a> {
    context: &'a JobContext,
    until: Option<Instant>,
}

impl Observer for Piece<'_> {
    fn stop(&self) -> Option<Stop> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        // Cancelling a base training keeps its state too.
        self.context.stop().or(is_over.then_some(Stop::Pause))
    }

    fn progress(&self, done: u64, total: u64) {
        self.context.progress(done, total);
    }

    fn warning(&self, notice: Notice) {
        self.context.warning(notice);
    }
}

struct FileSink<'a> {
    files: &'a Files,
    recipe: &'a Recipe,
    counts: &'a [GroupCount],
    context: &'a JobContext,
}

impl FileSink<'_> {
    /// Writes the model file, with what it was trained on.
    fn publish(&self, mut codec: Codec) -> Result<()> {
        if let Some(training) = codec.info.training.as_object_mut() {
            training.insert("recipe".into(), json!(self.recipe.name));
            training.insert("groups".into(), json!(self.counts));
            training.insert("data".into(), json!(self.recipe.data));
        }
        let bytes = codec.save_bytes(Precision::F16)?;
        write_bytes(&self.files.model, Existing::Replace, &bytes)
    }

    /// Adds a line to the figures. Losing one is no reason to stop: it is said and left at that.
    fn note(
        &self,
        phase: &'static str,
        step: u64,
        values: std::collections::BTreeMap<String, f64>,
    ) {
        let line = json!({ "phase": phase, "step": step, "values": values });
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.files.figures)
            .and_then(|mut file| writeln!(file, "{line}"));
        if let Err(source) = written {
            let error = Error::io("could not note the figures", &self.files.figures, &source);
            self.context.warning(*error.notice);
        }
        self.context.metrics(Metrics {
            step,
            phase,
            values,
        });
    }
}

impl TrainSink for FileSink<'_> {
    fn figures(&mut self, figures: &StepFigures) {
        self.note("train", figures.step, figures.values());
    }

    fn evaluation(&mut self, evaluation: &Evaluation) {
        self.note("eval", evaluation.step, evaluation.values());
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        if let (CheckpointKind::Best, Some(model)) = (checkpoint.kind, &checkpoint.model) {
            self.publish(Codec::load_bytes(model, &Device::Cpu)?)?;
        }
        if let Some(state) = &checkpoint.state {
            write_bytes(&self.files.state, Existing::Replace, state)?;
        }
        Ok(())
    }
}
