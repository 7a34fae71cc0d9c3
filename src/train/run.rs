//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::codec::Codec;
use crate::codec::checkpoint::Precision;
use crate::dataset::{BatchSource, Crops, CropsConfig, Source, Window};
use crate::error::{Error, Kind, Notice, Result};
use crate::kernels::AdamW;
use crate::progress::{Observer, Stop};

use super::config::{EarlyStop, TrainConfig};
use super::critic::Critic;
use super::evaluate::evaluate;
use super::prefetch::Batches;
use super::report::Report;
use super::schedule::Budget;
use super::sink::{Checkpoint, CheckpointKind, Evaluation, ReseededCodes, StateWanted, TrainSink};
use super::state::{self, Progress};
use super::step;

/// A state that is due waits for an evaluation, but no longer than this many times [`TrainConfig::checkpoint_seconds`].
const CHECKPOINT_PATIENCE: f64 = 1.5;

/// The pictures of a run, split by the caller ([`crate::dataset::split_held_out`]).
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    pub train: Vec<Source>,
    pub held_out: Vec<Source>,
    /// False where `held_out` repeats training pictures.
    pub is_separate: bool,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The budget is used up.
    Finished,
    /// The held-out score no longer rose.
    NoMoreGain,
    /// Its state was handed out.
    Paused,
    /// Likewise: what was learned so far is kept.
    Cancelled,
}

/// A training run: new, continued from a model, or resumed from a state.
pub struct Run {
    config: TrainConfig,
    codec: Codec,
    optimizer: AdamW,
    /// While sharpening.
    critic: Option<Critic>,
    progress: Progress,
    batches: Arc<dyn BatchSource>,
    pictures: Pictures,
    pictures_blake3: String,
    /// What the run began with, to be shown before the first step.
    before: Option<Arc<Codec>>,
}

impl Run {
    /// A run that trains new codebooks with the network: `codec` has random weights.
    ///
    /// # Errors
    /// `Usage` for settings that make no sense, `NoPictures` without a picture to train on.
    pub fn from_scratch(codec: Codec, config: TrainConfig, pictures: Pictures) -> Result<Self> {
        Self::new(codec, config, pictures, Progress::default(), None)
    }

    /// A run that goes on from a trained model and keeps its codebooks.
    ///
    /// # Errors
    /// As [`Self::from_scratch`].
    pub fn fine_tune(codec: Codec, config: TrainConfig, pictures: Pictures) -> Result<Self> {
        let progress = Progress {
            has_codebooks: true,
            ..Progress::default()
        };
        Self::new(codec, config, pictures, progress, None)
    }

    /// Takes a run up where [`Checkpoint::state`] left it; on the same machine with the same pictures it goes on bit for
    /// bit (with a budget in steps). `model` is [`Checkpoint::model`] of the same checkpoint, needed for a state that was
    /// kept beside it. `budget` replaces the run's own, to train longer. If the pictures changed, the observer is
    /// warned and the run goes on with the new ones.
    ///
    /// # Errors
    /// `Damaged`, `Foreign` or `Newer` for bytes that are no such state; as [`Self::from_scratch`].
    pub fn resume(
        state: &[u8],
        model: Option<&[u8]>,
        pictures: Pictures,
        budget: Option<Budget>,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (header, mut tensors) = state::unpack(state, model)?;
        let mut part = |prefix: &str| {
            let (found, rest) = std::mem::take(&mut tensors)
                .into_iter()
                .partition(|(name, _)| name.starts_with(prefix));
            tensors = rest;
            let found: std::collections::BTreeMap<String, Tensor> = found;
            found
                .into_iter()
                .map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor))
                .collect()
        };
        let mut codec = Codec::from_tensors(header.codec, part("model."), device)?;
        let codebooks = part("codebook.");
        codec.structure.restore(&codebooks)?;
        codec.detail.restore(&codebooks)?;
        let mut config = header.config;
        config.budget = budget.unwrap_or(config.budget);
        let working_side_px = Some(header.working_side_px);
        let mut run = Self::new(codec, config, pictures, header.progress, working_side_px)?;
        run.optimizer
            .restore(part("optimizer."))
            .map_err(|error| state::damaged(error.to_string()))?;
        if let Some(settings) = run.config.sharpening {
            let (parameters, optimizer) = (part("critic."), part("critic_optimizer."));
            let seed = run.config.seed;
            let critic = Critic::restore(settings, seed, parameters, optimizer, device);
            run.critic = Some(critic.map_err(|error| state::damaged(error.to_string()))?);
        }
        if run.pictures_blake3 != header.pictures_blake3 {
            observer.warning(Notice::new(
                "the run goes on with other pictures",
                "pictures were added, removed or changed since it was paused",
                "Start a new run if its scores must stay comparable",
            ));
        }
        Ok(run)
    }

    fn new(
        codec: Codec,
        config: TrainConfig,
        pictures: Pictures,
        progress: Progress,
        working_side_px: Option<u32>,
    ) -> Result<Self> {
        config.validate()?;
        let crops = Crops::new(pictures.train.clone(), config.crops(working_side_px))?;
        let critic = (config.sharpening)
            .map(|settings| Critic::new(settings, config.seed, codec.device()))
            .transpose()?;
        Ok(Self {
            optimizer: AdamW::new(codec.params(), &config.optimizer.adamw())?,
            critic,
            pictures_blake3: pictures_hash(&pictures.train),
            config,
            codec,
            progress,
            batches: Arc::new(crops),
            pictures,
            before: None,
        })
    }

    /// Hands out previews and, at the start of the run, scores of `before` as those of step 0: the model that the run
    /// goes on from.
    #[must_use]
    pub fn with_first_look(mut self, before: Arc<Codec>) -> Self {
        self.before = Some(before);
        self
    }

    /// Takes the pixels of each step from elsewhere than [`Pictures::train`], which then only says what they are made of.
    /// A resumed run needs the same source again.
    #[must_use]
    pub fn with_batches(mut self, batches: Arc<dyn BatchSource>) -> Self {
        self.batches = batches;
        self
    }

    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The model with averaged weights, as it would be published now.
    ///
    /// # Errors
    /// `Internal` if tensors cannot be copied.
    pub fn model(&self) -> Result<Codec> {
        let mut codec = self.codec.with_parameters(self.optimizer.ema_tensors()?)?;
        codec.info.training = serde_json::json!({
            "steps": self.progress.step,
            "pictures": self.pictures.train.len(),
            "pictures_blake3": self.pictures_blake3,
            "config": self.config,
        });
        codec.info.metrics = serde_json::json!(self.progress.latest);
        Ok(codec)
    }

    /// Everything needed to go on later, but for the averaged weights where the model is kept beside it (`has_model`).
    fn state(&self, has_model: bool) -> Result<Vec<u8>> {
        let mut tensors = std::collections::BTreeMap::new();
        let mut put = |prefix: &str, part: std::collections::BTreeMap<String, Tensor>| {
            tensors.extend(
                part.into_iter()
                    .map(|(name, t)| (format!("{prefix}.{name}"), t)),
            );
        };
        put("model", self.codec.tensors());
        put("codebook", self.codec.structure.state_tensors()?);
        put("codebook", self.codec.detail.state_tensors()?);
        put("optimizer", self.optimizer.state_tensors()?);
        if let Some(critic) = &self.critic {
            let [parameters, optimizer] = critic.state_tensors()?;
            put("critic", parameters);
            put("critic_optimizer", optimizer);
        }
        state::pack(
            has_model,
            &self.config,
            self.codec.config(),
            &self.progress,
            &self.pictures_blake3,
            self.batches.working_side_px(),
            &tensors,
        )
    }

    /// Trains until the budget is used up, the held-out score stops rising, or the observer asks to stop.
    ///
    /// # Errors
    /// `NotFinite` when the numbers get out of hand (checkpoints handed out before stay good), `NoPictures` when no
    /// picture can be read any more, and what the sink returns for a checkpoint it could not keep.
    pub fn run(&mut self, sink: &mut dyn TrainSink, observer: &dyn Observer) -> Result<Ended> {
        let held_out = self.load_held_out(observer)?;
        if let Some(before) = self.before.take() {
            self.first_look(&before, &held_out, sink)?;
        }
        let source = Arc::clone(&self.batches);
        let mut batches = Batches::starting_at(self.progress.step, Arc::clone(&source));
        let mut round = Round {
            run: self,
            source: &*source,
            held_out: &held_out,
            sink,
            observer,
            report: Report::default(),
            clock: Instant::now(),
            kept: Instant::now(),
        };
        round.run(&mut batches)
    }

    fn first_look(
        &mut self,
        before: &Codec,
        held_out: &[Window],
        sink: &mut dyn TrainSink,
    ) -> Result<()> {
        let scores = evaluate(before, held_out, self.config.evaluation.previews, &())?;
        if self.progress.step == 0 {
            let evaluation = Evaluation {
                is_held_out: self.pictures.is_separate,
                ..scores.evaluation
            };
            sink.evaluation(&evaluation);
            self.progress.first = Some(evaluation);
        }
        sink.previews(0, &scores.previews);
        Ok(())
    }

    /// The windows that are scored. A picture that cannot be read any more is left out with a warning.
    fn load_held_out(&self, observer: &dyn Observer) -> Result<Vec<Window>> {
        let evaluation = &self.config.evaluation;
        let sources = if self.pictures.held_out.is_empty() {
            &self.pictures.train
        } else {
            &self.pictures.held_out
        };
        let crops = Crops::new(sources.clone(), CropsConfig::default())?;
        let mut windows = Vec::new();
        for index in 0..sources.len() {
            if windows.len() == evaluation.pictures {
                break;
            }
            match crops.centre(index, evaluation.side_px) {
                Ok(window) => windows.push(window),
                Err(error) => observer.warning(*error.notice),
            }
        }
        if windows.is_empty() {
            return Err(Error::new(
                Kind::NoPictures,
                "could not start the training run",
                "none of the pictures to measure with can be read",
                "Check that the pictures are still where they were, and import them again",
            ));
        }
        Ok(windows)
    }
}

/// One call of [`Run::run`].
struct Round<'a> {
    run: &'a mut Run,
    source: &'a dyn BatchSource,
    held_out: &'a [Window],
    sink: &'a mut dyn TrainSink,
    observer: &'a dyn Observer,
    report: Report,
    /// When [`Progress::seconds`] was last brought up to date.
    clock: Instant,
    /// When the last state was handed out.
    kept: Instant,
}

impl Round<'_> {
    fn run(&mut self, batches: &mut Batches) -> Result<Ended> {
        loop {
            let step = self.run.progress.step;
            let done = self.spent();
            if done >= 1.0 {
                return self.finish(Ended::Finished);
            }
            if let Some(stop) = self.observer.stop() {
                let ended = match stop {
                    Stop::Pause => Ended::Paused,
                    Stop::Cancel => Ended::Cancelled,
                };
                self.keep_last(Some(ended))?;
                return Ok(ended);
            }
            let config = &self.run.config;
            if !self.run.progress.has_codebooks && config.codebook_start.is_due(step, done) {
                self.start_codebooks()?;
            }
            let started = Instant::now();
            let pixels = batches.next()?;
            self.step(step, done, pixels)?;
            self.report.steps.record(started.elapsed());
            self.run.progress.step += 1;
            self.tell()?;
            if self.after_step(done)? {
                return self.finish(Ended::NoMoreGain);
            }
        }
    }

    /// Share of the budget that is used up; also keeps the clock.
    fn spent(&mut self) -> f64 {
        let now = Instant::now();
        let progress = &mut self.run.progress;
        progress.seconds += (now - self.clock).as_secs_f64();
        self.clock = now;
        let budget = self.run.config.budget;
        budget.progress(progress.step, progress.seconds)
    }

    fn step(&mut self, step: u64, progress: f64, pixels: Vec<f32>) -> Result<()> {
        let run = &mut *self.run;
        let outcome = step::train_step(
            &mut run.codec,
            &mut run.optimizer,
            run.critic.as_mut(),
            &run.config,
            step::Input {
                step,
                rate_factor: run.config.schedule.factor(step, progress),
                quantize: run.progress.has_codebooks,
                pixels,
            },
        )
        .map_err(|error| self.explain(step, error))?;
        self.report.add(&outcome, self.run.codec.config())
    }

    /// Says at which step the numbers got out of hand, and what is left.
    fn explain(&self, step: u64, error: Error) -> Error {
        if error.kind != Kind::NotFinite {
            return error;
        }
        let why = error.notice.why.clone();
        Error::new(
            Kind::NotFinite,
            "training stopped because the model's numbers got out of hand",
            format!("at step {}: {why}", step + 1),
            "The last checkpoint is kept. Resume from it with a lower learning rate",
        )
    }

    fn start_codebooks(&mut self) -> Result<()> {
        let start = self.run.config.codebook_start;
        let side = self.run.config.crop_px as usize;
        let first = self.run.progress.step;
        let shape = (self.run.config.batch as usize, side, side, 4);
        let batches = (first..first + start.batches)
            .map(|step| {
                let pixels = self.source.batch(step)?;
                Ok(Tensor::from_vec(pixels, shape, self.run.codec.device())?)
            })
            .collect::<Result<Vec<_>>>()?;
        // It takes seconds, and half a start is none: it is not interrupted.
        self.run
            .codec
            .start_codebooks(&batches, start.iterations, &())
            .map_err(|error| self.explain(first, error))?;
        self.run.progress.has_codebooks = true;
        Ok(())
    }

    fn tell(&mut self) -> Result<()> {
        let (config, progress) = (&self.run.config, &self.run.progress);
        let (done, total, remaining) = match config.budget {
            Budget::Steps(total) => {
                let left = total.saturating_sub(progress.step);
                (progress.step, total, self.report.steps.remaining(left))
            }
            Budget::Minutes(minutes) => {
                let total = minutes * 60.0;
                let left = std::time::Duration::try_from_secs_f64(total - progress.seconds);
                (progress.seconds as u64, total as u64, left.ok())
            }
        };
        self.observer.progress(done, total);
        for notice in self.source.take_warnings() {
            self.observer.warning(notice);
        }
        if progress.step.is_multiple_of(config.report_every) {
            let share = config.budget.progress(progress.step, progress.seconds);
            let codec = self.run.codec.config();
            let figures = self
                .report
                .take(progress.step, share, remaining, config, codec)?;
            self.sink.figures(&figures);
        }
        Ok(())
    }

    /// Evaluations and checkpoints that are due. True if the run should end because nothing is gained any more.
    /// `before` is the share of the run that was used up before the step.
    fn after_step(&mut self, before: f64) -> Result<bool> {
        let now = self.spent();
        let (config, progress) = (&self.run.config, &self.run.progress);
        let step = progress.step;
        let is_due = step.is_multiple_of(config.evaluate_every)
            || config
                .evaluation
                .is_between(before, now.min(1.0 - f64::EPSILON));
        let is_evaluated = progress.has_codebooks && is_due;
        if is_evaluated {
            self.evaluate()?;
        }
        let Run {
            config, progress, ..
        } = &*self.run;
        let is_stale =
            |stop: EarlyStop| progress.without_gain >= stop.patience && now >= stop.not_before;
        let is_over = is_evaluated && config.early_stop.is_some_and(is_stale);
        let waited = self.kept.elapsed().as_secs_f64() / config.checkpoint_seconds;
        let is_time = waited
            >= if is_evaluated {
                1.0
            } else {
                CHECKPOINT_PATIENCE
            };
        let is_due = is_time || (config.checkpoint_every).is_some_and(|n| step.is_multiple_of(n));
        // The end keeps its own.
        if is_due && !is_over {
            self.keep_last(None)?;
        }
        Ok(is_over)
    }

    fn evaluate(&mut self) -> Result<()> {
        let model = self.run.model()?;
        let previews = self.run.config.evaluation.previews;
        let step = self.run.progress.step;
        let scores = evaluate(&model, self.held_out, previews, &())
            .map_err(|error| self.explain(step, error))?;
        let mut evaluation = scores.evaluation;
        evaluation.step = step;
        evaluation.is_held_out = self.run.pictures.is_separate;
        self.sink.evaluation(&evaluation);
        self.sink.previews(step, &scores.previews);

        let min_gain = (self.run.config.early_stop).map_or(0.0, |stop| stop.min_gain_db);
        let progress = &mut self.run.progress;
        progress.first.get_or_insert_with(|| evaluation.clone());
        progress.latest = Some(evaluation.clone());
        let score = evaluation.psnr_db;
        if progress
            .gain_from_db
            .is_none_or(|from| score >= from + min_gain)
        {
            progress.gain_from_db = Some(score);
            progress.without_gain = 0;
        } else {
            progress.without_gain += 1;
        }
        // Sharpening pays with PSNR: what it gains shows at its end.
        let is_best = match self.run.config.sharpening {
            Some(_) => true,
            None => (progress.best.as_ref()).is_none_or(|best| score > best.psnr_db),
        };
        if is_best {
            progress.best = Some(evaluation.clone());
            let mut model = model;
            model.info.metrics = serde_json::json!(evaluation);
            self.sink.checkpoint(Checkpoint {
                kind: CheckpointKind::Best,
                step,
                reseeded: reseeded(&model),
                model: Some(model.save_bytes(Precision::F32)?),
                state: None,
                evaluation: Some(evaluation),
            })?;
        }
        Ok(())
    }

    fn keep_last(&mut self, ended: Option<Ended>) -> Result<()> {
        self.spent();
        self.kept = Instant::now();
        let progress = &self.run.progress;
        let model = if progress.has_codebooks {
            Some(self.run.model()?.save_bytes(Precision::F32)?)
        } else {
            None
        };
        let state = match self.sink.state_wanted(ended) {
            StateWanted::Nothing => None,
            StateWanted::BesideModel => Some(self.run.state(model.is_some())?),
            StateWanted::Whole => Some(self.run.state(false)?),
        };
        self.sink.checkpoint(Checkpoint {
            kind: CheckpointKind::Last,
            step: progress.step,
            model,
            state,
            evaluation: progress.latest.clone(),
            reseeded: reseeded(&self.run.codec),
        })
    }

    fn finish(&mut self, ended: Ended) -> Result<Ended> {
        let progress = &self.run.progress;
        let is_scored = progress.latest.as_ref().map(|e| e.step) == Some(progress.step);
        if progress.has_codebooks && !is_scored {
            self.evaluate()?;
        }
        self.keep_last(Some(ended))?;
        Ok(ended)
    }
}

fn reseeded(codec: &Codec) -> ReseededCodes {
    ReseededCodes {
        structure: codec.structure.reseeded(),
        detail: codec.detail.reseeded(),
    }
}

fn pictures_hash(sources: &[Source]) -> String {
    let mut hasher = blake3::Hasher::new();
    for source in sources {
        hasher.update(&source.content_hash);
    }
    hasher.finalize().to_hex().to_string()
}
