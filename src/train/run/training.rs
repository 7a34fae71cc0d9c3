//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;

use crate::codec::Codec;
use crate::dataset::{BatchSource, CropSource, Crops, CropsConfig, PixelWindow};
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::{Observer, Stop};

use crate::train::run::codec_task::CodecTask;
use crate::train::run::config::{EarlyStop, TrainConfig};
use crate::train::run::eta::Eta;
use crate::train::run::prefetch::Batches;
use crate::train::run::schedule::Budget;
use crate::train::run::sink::{Checkpoint, CheckpointKind, Ended, StateWanted, TrainSink};
use crate::train::run::state::{self, Progress, StateHeader};
use crate::train::run::sync::{Alone, GradSync};
use crate::train::run::task::{Origin, Pacing, Score, Settings, StepInput, Task, Told};

/// A state that is due waits for an evaluation, but no longer than this many times [`TrainConfig::checkpoint_seconds`].
const CHECKPOINT_PATIENCE: f64 = 1.5;

/// The pictures of a run, split by the caller ([`crate::dataset::split_held_out`]).
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    pub train: Vec<CropSource>,
    pub held_out: Vec<CropSource>,
    /// False where `held_out` repeats training pictures.
    pub is_separate: bool,
}

/// A training run: new, continued from a model, or resumed from a state.
///
/// It keeps time: budget, learning rate, evaluations, early stop, states, and the batch that is made ahead. What is trained is
/// its [`Task`].
pub struct Run<T: Task = CodecTask> {
    task: T,
    progress: Progress<T::Evaluation>,
    batches: Arc<dyn BatchSource>,
    pictures: Pictures,
    pictures_blake3: String,
    /// What the run began with, to be shown before the first step.
    before: Option<Arc<T::Model>>,
    sync: Box<dyn GradSync>,
}

impl Run {
    /// A run that trains new codebooks with the network: `codec` has random weights.
    ///
    /// # Errors
    /// `Usage` for settings that make no sense, `NoPictures` without a picture to train on.
    pub fn from_scratch(codec: Codec, config: TrainConfig, pictures: Pictures) -> Result<Self> {
        config.validate()?;
        let task = CodecTask::new(codec, config)?;
        Self::new(task, pictures, Progress::default(), None)
    }

    /// A run that goes on from a trained model and keeps its codebooks.
    ///
    /// # Errors
    /// As [`Self::from_scratch`].
    pub fn fine_tune(codec: Codec, config: TrainConfig, pictures: Pictures) -> Result<Self> {
        config.validate()?;
        let progress = Progress {
            has_begun: true,
            ..Progress::default()
        };
        Self::new(CodecTask::new(codec, config)?, pictures, progress, None)
    }

    /// [`Self::resume_task`] of a codec.
    ///
    /// # Errors
    /// As there.
    pub fn resume(
        state: &[u8],
        model: Option<&[u8]>,
        pictures: Pictures,
        budget: Option<Budget>,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        Self::resume_task(state, model, pictures, budget, device, observer)
    }
}

impl<T: Task> Run<T> {
    /// Takes a run up where [`Checkpoint::state`] left it; on the same machine with the same pictures it goes on bit for
    /// bit (with a budget in steps). `model` is [`Checkpoint::model`] of the same checkpoint, needed for a state that was
    /// kept beside it. `budget` replaces the run's own, to train longer. If the pictures changed, the observer is
    /// warned and the run goes on with the new ones.
    ///
    /// # Errors
    /// `Damaged`, `Foreign` or `Newer` for bytes that are no such state; `Usage` and `NoPictures` as a new run.
    pub fn resume_task(
        state: &[u8],
        model: Option<&[u8]>,
        pictures: Pictures,
        budget: Option<Budget>,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (header, tensors) = state::unpack::<T>(state, model)?;
        let mut config = header.config;
        config.set_budget(budget.unwrap_or(config.pacing().budget));
        config.validate()?;
        let task = T::restore(config, header.layout, tensors, device)?;
        let run = Self::new(
            task,
            pictures,
            header.progress,
            Some(header.working_side_px),
        )?;
        if run.pictures_blake3 != header.pictures_blake3 {
            observer.warning(Notice::new(
                "the run goes on with other pictures",
                "pictures were added, removed or changed since it was paused",
                "Start a new run if its scores must stay comparable",
            ));
        }
        Ok(run)
    }

    /// A run of any task; `working_side_px` is that of a resumed run's pictures.
    ///
    /// # Errors
    /// `Usage` for settings that make no sense, `NoPictures` without a picture to train on.
    pub fn new(
        task: T,
        pictures: Pictures,
        progress: Progress<T::Evaluation>,
        working_side_px: Option<u32>,
    ) -> Result<Self> {
        task.config().validate()?;
        let crops = Crops::new(pictures.train.clone(), task.config().crops(working_side_px))?;
        Ok(Self {
            task,
            progress,
            batches: Arc::new(crops),
            pictures_blake3: pictures_hash(&pictures.train),
            pictures,
            before: None,
            sync: Box::new(Alone),
        })
    }

    /// Hands out previews and, at the start of the run, scores of `before` as those of step 0: the model that the run
    /// goes on from.
    #[must_use]
    pub fn with_first_look(mut self, before: Arc<T::Model>) -> Self {
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

    /// Trains as one of several processes, each with its own part of every batch.
    #[must_use]
    pub fn with_sync(mut self, sync: Box<dyn GradSync>) -> Self {
        self.sync = sync;
        self
    }

    pub fn config(&self) -> &T::Config {
        self.task.config()
    }

    pub fn progress(&self) -> &Progress<T::Evaluation> {
        &self.progress
    }

    /// The model with averaged weights, as it would be published now.
    ///
    /// # Errors
    /// `Internal` if tensors cannot be copied.
    pub fn model(&self) -> Result<T::Model> {
        self.task.model(&Origin {
            steps: self.progress.step,
            pictures: self.pictures.train.len(),
            pictures_blake3: &self.pictures_blake3,
            evaluation: self.progress.latest.as_ref(),
        })
    }

    /// Everything needed to go on later, but for the averaged weights where the model is kept beside it (`has_model`).
    fn state(&self, has_model: bool) -> Result<Vec<u8>> {
        let header = StateHeader {
            format: 0,
            task: T::NAME.to_owned(),
            config: self.task.config().clone(),
            layout: self.task.layout().clone(),
            progress: self.progress.clone(),
            pictures_blake3: self.pictures_blake3.clone(),
            working_side_px: self.batches.working_side_px(),
        };
        state::pack::<T>(has_model, header, &self.task.state()?)
    }

    /// Trains until the budget is used up, the held-out score stops rising, or the observer asks to stop.
    ///
    /// # Errors
    /// `NotFinite` when the numbers get out of hand (checkpoints handed out before stay good), `NoPictures` when no
    /// picture can be read any more, and what the sink returns for a checkpoint it could not keep.
    pub fn run(
        &mut self,
        sink: &mut dyn TrainSink<T::Evaluation, T::Figures>,
        observer: &dyn Observer,
    ) -> Result<Ended> {
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
            steps: Eta::default(),
            clock: Instant::now(),
            kept: Instant::now(),
        };
        round.run(&mut batches)
    }

    fn first_look(
        &mut self,
        before: &T::Model,
        held_out: &[PixelWindow],
        sink: &mut dyn TrainSink<T::Evaluation, T::Figures>,
    ) -> Result<()> {
        let (evaluation, previews) = self.task.evaluate(before, held_out)?;
        if self.progress.step == 0 {
            let evaluation = evaluation.at(0, self.pictures.is_separate);
            sink.evaluation(&evaluation);
            self.progress.first = Some(evaluation);
        }
        sink.previews(0, &previews);
        Ok(())
    }

    /// The windows that are scored. A picture that cannot be read any more is left out with a warning.
    fn load_held_out(&self, observer: &dyn Observer) -> Result<Vec<PixelWindow>> {
        let evaluation = self.task.config().pacing().evaluation;
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
struct Round<'a, T: Task> {
    run: &'a mut Run<T>,
    source: &'a dyn BatchSource,
    held_out: &'a [PixelWindow],
    sink: &'a mut dyn TrainSink<T::Evaluation, T::Figures>,
    observer: &'a dyn Observer,
    steps: Eta,
    /// When [`Progress::seconds`] was last brought up to date.
    clock: Instant,
    /// When the last state was handed out.
    kept: Instant,
}

impl<T: Task> Round<'_, T> {
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
            if !self.run.progress.has_begun {
                let begun = self.run.task.begin(step, done, self.source);
                self.run.progress.has_begun = begun.map_err(|error| explain(step, error))?;
            }
            let started = Instant::now();
            let pixels = batches.next()?;
            self.step(step, done, pixels)
                .map_err(|error| explain(step, error))?;
            self.steps.record(started.elapsed());
            self.run.progress.step += 1;
            self.tell()?;
            if self.after_step(done)? {
                return self.finish(Ended::NoMoreGain);
            }
        }
    }

    fn pacing(&self) -> Pacing {
        self.run.task.config().pacing()
    }

    /// Share of the budget that is used up; also keeps the clock.
    fn spent(&mut self) -> f64 {
        let budget = self.pacing().budget;
        let now = Instant::now();
        let progress = &mut self.run.progress;
        progress.seconds += (now - self.clock).as_secs_f64();
        self.clock = now;
        budget.progress(progress.step, progress.seconds)
    }

    fn step(&mut self, step: u64, share: f64, pixels: Vec<f32>) -> Result<()> {
        let rate_factor = self.pacing().schedule.factor(step, share);
        let run = &mut *self.run;
        let mut found = run.task.step(StepInput {
            step,
            rate_factor,
            has_begun: run.progress.has_begun,
            pixels,
        })?;
        run.sync.reduce(run.task.shared(&mut found))?;
        run.task.apply(found)
    }

    fn tell(&mut self) -> Result<()> {
        let (pacing, progress) = (self.pacing(), &self.run.progress);
        let (done, total, remaining) = match pacing.budget {
            Budget::Steps(total) => {
                let left = total.saturating_sub(progress.step);
                (progress.step, total, self.steps.remaining(left))
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
        if progress.step.is_multiple_of(pacing.report_every) {
            let told = Told {
                step: progress.step,
                share: pacing.budget.progress(progress.step, progress.seconds),
                remaining,
            };
            let figures = self.run.task.figures(told)?;
            self.sink.figures(&figures);
        }
        Ok(())
    }

    /// Evaluations and checkpoints that are due. True if the run should end because nothing is gained any more.
    /// `before` is the share of the run that was used up before the step.
    fn after_step(&mut self, before: f64) -> Result<bool> {
        let now = self.spent();
        let pacing = self.pacing();
        let step = self.run.progress.step;
        let is_due = step.is_multiple_of(pacing.evaluate_every)
            || (pacing.evaluation).is_between(before, now.min(1.0 - f64::EPSILON));
        let is_evaluated = self.run.progress.has_begun && is_due;
        if is_evaluated {
            self.evaluate()?;
        }
        let without_gain = self.run.progress.without_gain;
        let is_stale = |stop: EarlyStop| without_gain >= stop.patience && now >= stop.not_before;
        let is_over = is_evaluated && pacing.early_stop.is_some_and(is_stale);
        let waited = self.kept.elapsed().as_secs_f64() / pacing.checkpoint_seconds;
        let is_time = waited
            >= if is_evaluated {
                1.0
            } else {
                CHECKPOINT_PATIENCE
            };
        let is_due = is_time || (pacing.checkpoint_every).is_some_and(|n| step.is_multiple_of(n));
        // The end keeps its own.
        if is_due && !is_over {
            self.keep_last(None)?;
        }
        Ok(is_over)
    }

    fn evaluate(&mut self) -> Result<()> {
        let run = &mut *self.run;
        let step = run.progress.step;
        let model = run.model()?;
        let (evaluation, previews) =
            (run.task.evaluate(&model, self.held_out)).map_err(|error| explain(step, error))?;
        drop(model);
        let evaluation = evaluation.at(step, run.pictures.is_separate);
        self.sink.evaluation(&evaluation);
        self.sink.previews(step, &previews);

        let min_gain = run.task.config().pacing().early_stop;
        let min_gain = min_gain.map_or(0.0, |stop| stop.min_gain_db);
        let progress = &mut run.progress;
        progress.first.get_or_insert_with(|| evaluation.clone());
        progress.latest = Some(evaluation.clone());
        let score = evaluation.score();
        if progress
            .gain_from
            .is_none_or(|from| score >= from + min_gain)
        {
            progress.gain_from = Some(score);
            progress.without_gain = 0;
        } else {
            progress.without_gain += 1;
        }
        let is_best =
            (progress.best.as_ref()).is_none_or(|best| run.task.is_better(score, best.score()));
        if is_best {
            progress.best = Some(evaluation.clone());
            // With this evaluation in it.
            let model = run.model()?;
            self.sink.checkpoint(Checkpoint {
                kind: CheckpointKind::Best,
                step,
                ended: None,
                model: Some(run.task.publish(&model)?),
                state: None,
                evaluation: Some(evaluation),
                remarks: run.task.remarks(),
            })?;
        }
        Ok(())
    }

    fn keep_last(&mut self, ended: Option<Ended>) -> Result<()> {
        self.spent();
        self.kept = Instant::now();
        let run = &*self.run;
        let model = if run.progress.has_begun {
            Some(run.task.publish(&run.model()?)?)
        } else {
            None
        };
        let state = match self.sink.state_wanted(ended) {
            StateWanted::Nothing => None,
            StateWanted::BesideModel => Some(run.state(model.is_some())?),
            StateWanted::Whole => Some(run.state(false)?),
        };
        self.sink.checkpoint(Checkpoint {
            kind: CheckpointKind::Last,
            step: run.progress.step,
            ended,
            model,
            state,
            evaluation: run.progress.latest.clone(),
            remarks: run.task.remarks(),
        })
    }

    fn finish(&mut self, ended: Ended) -> Result<Ended> {
        let progress = &self.run.progress;
        let is_scored = progress.latest.as_ref().map(Score::step) == Some(progress.step);
        if progress.has_begun && !is_scored {
            self.evaluate()?;
        }
        self.keep_last(Some(ended))?;
        Ok(ended)
    }
}

/// Says at which step the numbers got out of hand, and what is left.
fn explain(step: u64, error: Error) -> Error {
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

fn pictures_hash(sources: &[CropSource]) -> String {
    let mut hasher = blake3::Hasher::new();
    for source in sources {
        hasher.update(&source.content_hash);
    }
    hasher.finalize().to_hex().to_string()
}
