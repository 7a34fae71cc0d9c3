//! Making the base model from its recipe, in pieces: each goes on where the last one stopped.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use serde::Serialize;
use serde_json::json;

use crate::codec::Codec;
use crate::codec::checkpoint::Precision;
use crate::engine::device::choice::{DeviceChoice, open_device, reduced_precision};
use crate::engine::lanes::background::in_background;
use crate::engine::lanes::event::Metrics;
use crate::engine::lanes::job::{Job, Lane, Report};
use crate::engine::lanes::worker::JobContext;
use crate::error::{Error, Notice, Result};
use crate::export::{Existing, check_writable, write_bytes};
use crate::progress::{Observer, Stop};
use crate::train::base::recipe::{GroupCount, Prepared, Recipe};
use crate::train::{
    Checkpoint, CheckpointKind, Ended, Evaluation, Pictures, Run, StepFigures, TrainConfig,
    TrainSink, train_embedding,
};

/// Steps of the embedding's training between two lines of its figures.
const FIGURES_EVERY: u64 = 20;

/// Trains the base model. Beside `out` stand the state of each stage (`.state`, what the next piece goes on from) and its
/// figures (`.jsonl`); with further stages also the models before the last (`.stage1.safetensors` and so on).
pub struct TrainBaseJob {
    pub recipe: PathBuf,
    /// The folder that holds the recipe's picture folders.
    pub data: PathBuf,
    /// The model file, `f16`: the best so far by held-out score; of a sharpening stage, the last.
    pub out: PathBuf,
    /// Length of this piece; `None` trains to the end.
    pub minutes: Option<f64>,
    pub device: DeviceChoice,
}

/// What a piece of the base training came to.
#[derive(Debug, Serialize)]
pub struct BaseTrained {
    pub stages: Vec<StageReport>,
    pub device: String,
    pub groups: Vec<GroupCount>,
    /// Percent of the last stage's budget that is used up, where the recipe goes on.
    #[serde(skip)]
    pub left_at_percent: Option<f64>,
    /// The model, once the recipe has come to its end.
    #[serde(skip)]
    pub model: Option<PathBuf>,
}

/// How far a stage is.
#[derive(Debug, Serialize)]
pub struct StageReport {
    /// `training` or `sharpening`.
    pub stage: &'static str,
    pub steps: u64,
    /// Time spent training, in all pieces, s.
    pub seconds: f64,
    /// The best scores on held-out pictures.
    pub best: Option<Evaluation>,
}

impl fmt::Display for BaseTrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.left_at_percent, self.stages.last()) {
            (Some(percent), Some(last)) => write!(
                f,
                "Trained {} steps, {percent:.1} % of the {} stage; run the same command to go on.",
                last.steps, last.stage
            ),
            _ => f.write_str("Trained to the end of the recipe."),
        }
    }
}

impl Report for BaseTrained {
    fn files(&self) -> Vec<&Path> {
        self.model.iter().map(PathBuf::as_path).collect()
    }
}

impl Job for TrainBaseJob {
    type Output = BaseTrained;
    const LANE: Lane = Lane::Training;

    fn title(&self) -> &'static str {
        "Training the base model"
    }

    fn run(self, context: &JobContext) -> Result<BaseTrained> {
        check_writable(&self.out, Existing::Replace)?;
        let recipe = Recipe::read(&self.recipe)?;
        let device = open_device(self.device)?;
        let prepared = in_background(|| recipe.prepare(&self.data, context))?;
        let piece = Piece {
            context,
            until: (self.minutes)
                .and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok())
                .and_then(|length| Instant::now().checked_add(length)),
        };
        let _precision = reduced_precision(&device);
        let stages = Stage::all(&recipe, &self.out);
        let mut reports = Vec::new();
        let mut before: Option<&Stage<'_>> = None;
        let mut is_new = false;
        for stage in &stages {
            let run = stage.open(before, &recipe, &prepared, &device.device, context)?;
            let mut run = run.with_batches(Arc::clone(&prepared.batches));
            let mut sink = FileSink {
                files: &stage.files,
                recipe: &recipe,
                counts: &prepared.counts,
                context,
            };
            let begun_at = run.progress().step;
            let ended = in_background(|| run.run(&mut sink, &piece))?;
            let progress = run.progress();
            is_new |= progress.step > begun_at;
            reports.push(StageReport {
                stage: stage.name,
                steps: progress.step,
                seconds: progress.seconds,
                best: progress.best.clone(),
            });
            if matches!(ended, Ended::Paused | Ended::Cancelled) {
                let budget = stage.config.budget;
                let share = budget.progress(progress.step, progress.seconds);
                return Ok(BaseTrained {
                    stages: reports,
                    device: device.name,
                    groups: prepared.counts,
                    left_at_percent: Some(share * 100.0),
                    model: None,
                });
            }
            if !stage.files.model.exists() {
                // The state came from elsewhere, with its best model already scored there.
                sink.publish(run.model()?)?;
            }
            before = Some(stage);
        }
        if let (Some(settings), Some(batches), Some(before)) =
            (&recipe.embedding, &prepared.embedding_batches, before)
            && (is_new || !self.out.exists())
        {
            let files = Files::of(&self.out);
            let sink = FileSink {
                files: &files,
                recipe: &recipe,
                counts: &prepared.counts,
                context,
            };
            let codec = before.model(&device.device)?;
            let told = |step: u64, loss| {
                if step.is_multiple_of(FIGURES_EVERY) {
                    sink.note("embedding", step, [("loss".to_owned(), loss)].into());
                }
            };
            // A few minutes, which are not paused.
            let codec = in_background(|| {
                train_embedding(&codec, settings, Arc::clone(batches), context, told)
            })?;
            sink.publish(codec)?;
        }
        Ok(BaseTrained {
            stages: reports,
            device: device.name,
            groups: prepared.counts,
            left_at_percent: None,
            model: Some(self.out),
        })
    }
}

struct Stage<'a> {
    name: &'static str,
    config: &'a TrainConfig,
    files: Files,
}

impl<'a> Stage<'a> {
    fn all(recipe: &'a Recipe, out: &Path) -> Vec<Self> {
        let configs = std::iter::once(&recipe.training).chain(&recipe.sharpening);
        // The embedding's stage has no state, only the model.
        let last = recipe.sharpening.len() + usize::from(recipe.embedding.is_some());
        let stage = |(number, config): (usize, &'a TrainConfig)| {
            let model = match number {
                number if number == last => out.to_path_buf(),
                _ => out.with_extension(format!("stage{}.safetensors", number + 1)),
            };
            Self {
                name: if config.sharpening.is_some() {
                    "sharpening"
                } else {
                    "training"
                },
                config,
                files: Files::of(&model),
            }
        };
        configs.enumerate().map(stage).collect()
    }

    /// A new run, or the one that was left.
    fn open(
        &self,
        before: Option<&Stage<'_>>,
        recipe: &Recipe,
        prepared: &Prepared,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Run> {
        let (config, pictures) = (self.config.clone(), prepared.pictures.clone());
        if self.files.state.exists() {
            return self.resume(pictures, device, observer);
        }
        let Some(before) = before else {
            let codec = Codec::new(recipe.codec.clone(), config.seed, device)?;
            return Run::from_scratch(codec, config, pictures);
        };
        Run::fine_tune(before.model(device)?, config, pictures)
    }

    /// What came of it.
    fn model(&self, device: &Device) -> Result<Codec> {
        let model = &self.files.model;
        let bytes = std::fs::read(model)
            .map_err(|source| Error::io("could not read the model", model, &source))?;
        Codec::load_bytes(&bytes, device).map_err(|error| error.at(model))
    }

    fn resume(&self, pictures: Pictures, device: &Device, observer: &dyn Observer) -> Result<Run> {
        let state = &self.files.state;
        let bytes = std::fs::read(state)
            .map_err(|source| Error::io("could not read the run's state", state, &source))?;
        let budget = Some(self.config.budget);
        let run = Run::resume(&bytes, None, pictures, budget, device, observer)
            .map_err(|error| error.at(state))?;
        if run.config() != self.config {
            observer.warning(
                Notice::new(
                    "the run keeps the settings that it began with",
                    "the recipe's training settings changed since, and only its budget is taken over",
                    "Move the state file away to begin anew",
                )
                .at(state),
            );
        }
        Ok(run)
    }
}

/// What a stage keeps.
struct Files {
    model: PathBuf,
    state: PathBuf,
    figures: PathBuf,
}

impl Files {
    fn of(model: &Path) -> Self {
        Self {
            model: model.to_path_buf(),
            state: model.with_extension("state"),
            figures: model.with_extension("jsonl"),
        }
    }
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
