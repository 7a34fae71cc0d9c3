//! Fine-tuning: frozen settings → training loop → metrics and checkpoints in the project.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use candle_core::Device;
use serde::Serialize;
use serde_json::json;

use crate::codec::checkpoint::FILE_KIND;
use crate::codec::{Codec, CodecConfig};
use crate::dataset::{CropSource, Fingerprint};
use crate::engine::device::choice::{DeviceChoice, open_device, reduced_precision};
use crate::engine::lanes::background::in_background;
use crate::engine::lanes::event::{Metrics, Preview};
use crate::engine::lanes::job::{Job, Lane, Report, WhenLeft};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::{JobContext, from_panic};
use crate::engine::models::loading::{CheckpointChoice, MODEL_HASH, ModelSource};
use crate::engine::pictures::held_out;
use crate::error::{Error, Kind, Notice, Result};
use crate::model::ModelHeader;
use crate::progress::Observer;
use crate::project::{
    CheckpointKind, MetricRow, NewCheckpoint, NewRun, PictureFilter, PictureId, PictureRow, RunId,
    RunStatus,
};
use crate::train::{
    self, Budget, Checkpoint, Ended, Evaluation, Pictures, Run, StateWanted, StepFigures,
    TrainConfig, TrainSink,
};

/// Rows of the dataset index read at a time.
const PAGE: u64 = 1000;

/// Trains on a project's pictures.
pub struct TrainJob {
    pub project: Storage,
    pub start: TrainStart,
    pub device: DeviceChoice,
}

pub enum TrainStart {
    /// A new run from a model, or from random weights where there is none.
    New {
        config: Box<TrainConfig>,
        model: Option<ModelSource>,
    },
    /// Goes on with the newest unfinished run; another budget replaces its own.
    Resume { budget: Option<Budget> },
}

/// A fine-tune that came to its end.
#[derive(Debug, Serialize)]
pub struct Trained {
    pub run: RunId,
    pub steps: u64,
    pub device: String,
    /// Why this device, in words.
    pub device_reason: String,
    /// Scores on held-out pictures before the first step, and the best ones.
    pub first: Option<Evaluation>,
    pub best: Option<Evaluation>,
    /// Whether it stopped before its budget was used up because the scores no longer rose.
    #[serde(skip)]
    pub is_early: bool,
}

impl fmt::Display for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trained {} steps", self.steps)?;
        if self.is_early {
            f.write_str(" and stopped because the held-out score no longer rose")?;
        }
        if let (Some(first), Some(best)) = (&self.first, &self.best) {
            write!(
                f,
                "; held-out PSNR {:.2} dB, from {:.2} dB at the start",
                best.psnr_db, first.psnr_db
            )?;
        }
        f.write_str(".")
    }
}

impl Report for Trained {}

impl Job for TrainJob {
    type Output = Trained;
    const LANE: Lane = Lane::Training;
    const WHEN_LEFT: WhenLeft = WhenLeft::Pause;

    fn title(&self) -> &'static str {
        "Fine-tuning"
    }

    fn run(self, context: &JobContext) -> Result<Trained> {
        let chosen = open_device(self.device)?;
        let pictures = usable_pictures(&self.project)?;
        if !pictures.is_separate {
            context.warning(Notice::new(
                "no pictures are held out",
                "the project has fewer than 8 usable ones",
                "The scores are measured on training pictures and say less; import more if you can",
            ));
        }
        let (id, mut run) = match self.start {
            TrainStart::New { config, model } => {
                start(&self.project, *config, model, pictures, &chosen.device)?
            }
            TrainStart::Resume { budget } => {
                resume(&self.project, budget, pictures, &chosen.device, context)?
            }
        };
        let mut sink = ProjectSink {
            project: &self.project,
            context,
            run: id,
            metrics: Vec::new(),
            best: None,
            writing: None,
        };
        let _precision = reduced_precision(&chosen);
        let ended = in_background(|| run.run(&mut sink, context));
        // A run that failed still keeps the best model it had.
        let kept = sink.store_rest();
        let ended = settle(
            &self.project,
            id,
            ended.and_then(|ended| kept.map(|()| ended)),
        )?;
        let progress = run.progress();
        let step = progress.step;
        let stopped = |kept: String| {
            let mut error = Error::cancelled();
            error.notice.next = kept;
            Err(error)
        };
        match ended {
            Ended::Paused => stopped(format!("Step {step} is kept; resuming goes on from it")),
            Ended::Cancelled => stopped(format!("The model of step {step} is kept")),
            Ended::Finished | Ended::NoMoreGain => Ok(Trained {
                run: id,
                steps: step,
                device: chosen.name,
                device_reason: chosen.reason,
                first: progress.first.clone(),
                best: progress.best.clone(),
                is_early: ended == Ended::NoMoreGain,
            }),
        }
    }
}

/// The pictures of a project that are not excluded or missing, split by content into those to train on and those held out.
///
/// # Errors
/// `NoPictures` where there are none; those of reading the project.
pub fn usable_pictures(project: &Storage) -> Result<Pictures> {
    let mut found = Vec::new();
    for_each_picture(project, &PictureFilter::usable(), |row| {
        let print = row.phash.as_deref().and_then(Fingerprint::from_bytes);
        if let Some(print) = print {
            let source = CropSource {
                path: row.path,
                content_hash: row.blake3.0,
                width: row.width,
                height: row.height,
            };
            found.push((source, print));
        }
        Ok(())
    })?;
    // A run that goes on finds its pictures in the order it began with.
    found.sort_unstable_by(|(a, _), (b, _)| a.path.as_os_str().cmp(b.path.as_os_str()));
    let (sources, prints): (Vec<CropSource>, Vec<_>) = found
        .into_iter()
        .map(|(source, print)| {
            let print = (source.content_hash, print);
            (source, print)
        })
        .unzip();
    if sources.is_empty() {
        return Err(Error::new(
            Kind::NoPictures,
            "could not start training",
            "the project has no usable pictures",
            "Import a folder of pictures, or include some that are excluded",
        ));
    }
    let split = held_out::split(project, &prints)?;
    let pick = |indices: &[usize]| indices.iter().map(|&i| sources[i].clone()).collect();
    Ok(Pictures {
        train: pick(&split.train),
        held_out: pick(&split.held_out),
        is_separate: split.is_separate,
    })
}

/// Hands over each picture of the dataset index once, by id, also while an import writes.
fn for_each_picture(
    project: &Storage,
    filter: &PictureFilter,
    mut take: impl FnMut(PictureRow) -> Result<()>,
) -> Result<()> {
    let mut after = PictureId::MIN;
    loop {
        let filter = filter.clone();
        let rows = project.call(move |project| project.pictures_after(&filter, after, PAGE))?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.id;
        for row in rows {
            take(row)?;
        }
    }
}

fn start(
    project: &Storage,
    config: TrainConfig,
    model: Option<ModelSource>,
    pictures: Pictures,
    device: &Device,
) -> Result<(RunId, Run)> {
    let settings = serde_json::to_value(&config).map_err(|source| {
        Error::new(
            Kind::Internal,
            "could not keep the settings",
            source.to_string(),
            "",
        )
    })?;
    let seed = config.seed;
    let (run, base) = match model {
        None => {
            let codec = Codec::new(CodecConfig::default(), seed, device)?;
            (Run::from_scratch(codec, config, pictures)?, None)
        }
        Some(model) => {
            let base = model.load(device)?;
            let hash = base.keep_in(project)?;
            // Training changes its weights, so it gets a copy of its own.
            let codec = Codec::load_bytes(&base.bytes, device)?;
            let run = Run::fine_tune(codec, config, pictures)?;
            (run.with_first_look(base.codec), Some(hash))
        }
    };
    let device = format!("{:?}", device.location());
    let id = project.call(move |project| {
        let base_checkpoint = match base {
            Some(hash) => project.checkpoint_by_hash(hash)?.map(|row| row.id),
            None => None,
        };
        let row = project.create_run(&NewRun {
            name: String::new(),
            settings,
            base_checkpoint,
            seed,
            device,
        })?;
        Ok(row.id)
    })?;
    Ok((id, run))
}

fn resume(
    project: &Storage,
    budget: Option<Budget>,
    pictures: Pictures,
    device: &Device,
    observer: &dyn Observer,
) -> Result<(RunId, Run)> {
    let (id, base, checkpoint, state, model) = project.call(|project| {
        let nothing = || {
            Error::new(
                Kind::NotFound,
                "there is no run to go on with",
                "no run of this project was interrupted after its first checkpoint",
                "Start a new one",
            )
        };
        let row = project.resumable_run()?.ok_or_else(nothing)?;
        let checkpoint = project.resumable_checkpoint(row.id)?.ok_or_else(nothing)?;
        let state = project
            .checkpoint_training_state(checkpoint.id)?
            .ok_or_else(nothing)?;
        let model = project.checkpoint_weights(checkpoint.id)?;
        Ok((row.id, row.base_checkpoint, checkpoint, state, model))
    })?;
    let mut run = Run::resume(&state, Some(&model), pictures, budget, device, observer)?;
    if let Some(base) = base.map(CheckpointChoice::Id) {
        let base = ModelSource::Project(project.clone(), base).load(device)?;
        run = run.with_first_look(base.codec);
    }
    // Nothing can go wrong any more: until here the run is paused, as it was.
    project.call(move |project| {
        // What was noted after this state will be measured again.
        project.delete_metrics_after(id, checkpoint.step)?;
        project.set_run_status(id, RunStatus::Running, None)
    })?;
    Ok((id, run))
}

/// Writes into the project how the run ended.
fn settle(project: &Storage, id: RunId, ended: Result<Ended>) -> Result<Ended> {
    let (status, notice) = match &ended {
        Ok(Ended::Finished) => (RunStatus::Finished, None),
        Ok(Ended::NoMoreGain) => (
            RunStatus::Finished,
            Some(Notice::new(
                "training stopped early",
                "the held-out score no longer rose",
                "",
            )),
        ),
        Ok(Ended::Paused) => (RunStatus::Paused, None),
        Ok(Ended::Cancelled) => (RunStatus::Cancelled, None),
        Err(error) => (RunStatus::Failed, Some((*error.notice).clone())),
    };
    if let Err(error) = project.give_space_back() {
        log::warn!("{error}");
    }
    let stored = project.call(move |project| project.set_run_status(id, status, notice.as_ref()));
    // The run's own error tells more than one about noting it.
    let ended = ended?;
    stored?;
    Ok(ended)
}

/// Sends what a run gives out to the window and into the project.
struct ProjectSink<'a> {
    project: &'a Storage,
    context: &'a JobContext,
    run: RunId,
    /// Figures since the last checkpoint: they are stored with it, so that a run that is resumed has
    /// exactly the figures of its steps.
    metrics: Vec<MetricRow>,
    /// The best model since then. Scores rise every minute, and each model is 24 MB: it is written when the run's state is.
    best: Option<Checkpoint>,
    /// Checkpoints on their way into the project.
    writing: Option<Writing>,
}

struct Writing {
    thread: JoinHandle<Result<()>>,
    /// Set when somebody waits for it.
    hurry: Arc<AtomicBool>,
}

impl Writing {
    fn finish(self) -> Result<()> {
        self.hurry.store(true, Ordering::Relaxed);
        (self.thread.join()).unwrap_or_else(|panic| Err(from_panic(panic.as_ref())))
    }
}

/// The storage lane gets finished bytes, in pieces.
fn store_one(
    project: &Storage,
    run: RunId,
    checkpoint: Checkpoint,
    hurry: &AtomicBool,
) -> Result<()> {
    let (config, hash) = match &checkpoint.model {
        Some(bytes) => {
            let header = ModelHeader::read(bytes, FILE_KIND)?;
            (header.config, header.blake3)
        }
        // Before the codebooks exist there is a state to go on from, but nothing to paint with.
        None => (serde_json::Value::Null, String::new()),
    };
    let mut metrics = checkpoint.remarks;
    metrics.insert(MODEL_HASH, json!(hash));
    metrics.insert("evaluation", json!(checkpoint.evaluation));
    let new = NewCheckpoint {
        run: Some(run),
        kind: match checkpoint.kind {
            train::CheckpointKind::Best => CheckpointKind::Best,
            train::CheckpointKind::Last => CheckpointKind::Last,
        },
        step: checkpoint.step,
        name: "",
        config,
        metrics: json!(metrics),
        weights: checkpoint.model.unwrap_or_default().into(),
        training_state: checkpoint.state.map(Into::into),
    };
    project.save_checkpoint(new, hurry).map(drop)
}

impl ProjectSink<'_> {
    /// Stores what waits for the next state.
    fn store_rest(&mut self) -> Result<()> {
        self.note_metrics()?;
        let best = self.best.take();
        self.store(best.into_iter().collect(), true)
    }

    fn note_metrics(&mut self) -> Result<()> {
        let (metrics, run) = (std::mem::take(&mut self.metrics), self.run);
        (self.project).call(move |project| project.add_metrics(run, &metrics))
    }

    /// Stores checkpoints in order: `now`, or aside while training goes on. The ones before are in the project then.
    fn store(&mut self, checkpoints: Vec<Checkpoint>, now: bool) -> Result<()> {
        if let Some(writing) = self.writing.take() {
            writing.finish()?;
        }
        let (project, run) = (self.project.clone(), self.run);
        let hurry = Arc::new(AtomicBool::new(now));
        let write = {
            let hurry = Arc::clone(&hurry);
            move || {
                (checkpoints.into_iter())
                    .try_for_each(|checkpoint| store_one(&project, run, checkpoint, &hurry))
            }
        };
        if now {
            return write();
        }
        let thread = std::thread::Builder::new()
            .name("tessera-checkpoint".to_owned())
            .spawn(write)
            .map_err(|source| Error::io("could not store a checkpoint", "", &source))?;
        self.writing = Some(Writing { thread, hurry });
        Ok(())
    }

    fn note(&mut self, phase: &'static str, step: u64, values: BTreeMap<String, f64>) {
        let numbers = values
            .iter()
            .map(|(name, value)| (format!("{phase}.{name}"), *value))
            .collect();
        self.metrics.push(MetricRow { step, numbers });
        self.context.metrics(Metrics {
            step,
            phase,
            values,
        });
    }
}

impl TrainSink for ProjectSink<'_> {
    fn figures(&mut self, figures: &StepFigures) {
        self.note("train", figures.step, figures.values());
    }

    fn evaluation(&mut self, evaluation: &Evaluation) {
        self.note("eval", evaluation.step, evaluation.values());
    }

    fn previews(&mut self, step: u64, previews: &[train::Preview]) {
        if let Some(preview) = side_by_side(step, previews) {
            self.context.preview(preview);
        }
    }

    fn state_wanted(&self, ended: Option<Ended>) -> StateWanted {
        match ended {
            None | Some(Ended::Paused) => StateWanted::BesideModel,
            // Nobody goes on from there.
            Some(Ended::Finished | Ended::NoMoreGain | Ended::Cancelled) => StateWanted::Nothing,
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        match checkpoint.kind {
            train::CheckpointKind::Best => {
                self.best = Some(checkpoint);
                Ok(())
            }
            train::CheckpointKind::Last => {
                self.note_metrics()?;
                let now = checkpoint.ended.is_some();
                let both = self.best.take().into_iter().chain([checkpoint]);
                self.store(both.collect(), now)
            }
        }
    }
}

/// One row per picture: source, structure alone, reconstruction.
fn side_by_side(step: u64, previews: &[train::Preview]) -> Option<Preview> {
    let width = previews.iter().map(|preview| preview.width).max()?;
    let height = previews.iter().map(|preview| preview.height).sum::<usize>();
    let mut rgba = vec![0; width * 3 * height * 4];
    let mut top = 0;
    for preview in previews {
        let columns = [&preview.source, &preview.structure, &preview.reconstruction];
        for (column, pixels) in columns.into_iter().enumerate() {
            for (y, row) in pixels.chunks_exact(preview.width * 4).enumerate() {
                let start = ((top + y) * width * 3 + column * width) * 4;
                rgba[start..start + row.len()].copy_from_slice(row);
            }
        }
        top += preview.height;
    }
    Some(Preview {
        step,
        // A few previews of at most 256 px.
        width: (width * 3) as u32,
        height: height as u32,
        rgba,
    })
}
