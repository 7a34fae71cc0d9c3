//! A run of another task than the codec's: the mean colour of pictures, in four numbers. And several processes on one run.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use candle_nn::Init;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use tessera::dataset::{BatchSource, CropSource, Crops, CropsConfig, PixelWindow};
use tessera::error::{Error, Kind, Notice, Result};
use tessera::kernels::{AdamW, AdamWConfig, Grads, Param, ParamStore, read_scalars};
use tessera::progress::{Observer, Stop};
use tessera::train::run::state::Progress;
use tessera::train::run::sync::Shared;
use tessera::train::run::task::{Origin, Pacing, Score, Settings, StepInput, Task, Told};
use tessera::train::{
    Budget, Checkpoint, EarlyStop, Ended, EvaluationConfig, GradSync, Pictures, Preview, Run,
    Schedule, TrainSink,
};

const SIDE_PX: u32 = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ColourSettings {
    steps: u64,
    batch: u32,
    early_stop: bool,
}

impl Settings for ColourSettings {
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn pacing(&self) -> Pacing {
        Pacing {
            budget: Budget::Steps(self.steps),
            schedule: Schedule::default(),
            report_every: 10,
            evaluate_every: 10,
            checkpoint_seconds: 1e9,
            checkpoint_every: None,
            evaluation: EvaluationConfig {
                at_least: 0,
                pictures: 2,
                side_px: SIDE_PX,
                previews: 0,
            },
            early_stop: self.early_stop.then_some(EarlyStop {
                patience: 2,
                min_gain_db: 1e9,
                not_before: 0.0,
            }),
        }
    }

    fn set_budget(&mut self, budget: Budget) {
        if let Budget::Steps(steps) = budget {
            self.steps = steps;
        }
    }

    fn crops(&self, working_side_px: Option<u32>) -> CropsConfig {
        CropsConfig {
            side_px: SIDE_PX,
            batch_size: self.batch,
            working_side_px,
            ..CropsConfig::default()
        }
    }
}

/// Mean squared error, negated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fit {
    step: u64,
    score: f64,
}

impl Score for Fit {
    fn score(&self) -> f64 {
        self.score
    }

    fn step(&self) -> u64 {
        self.step
    }

    fn at(self, step: u64, _: bool) -> Self {
        Self { step, ..self }
    }
}

struct MeanColour {
    settings: ColourSettings,
    store: ParamStore,
    colour: Param,
    optimizer: AdamW,
    last_loss: f64,
}

struct ColourStep {
    grads: Grads,
    loss: Tensor,
    rate: f64,
}

impl MeanColour {
    fn new(settings: ColourSettings, store: ParamStore) -> Result<Self> {
        let colour = Param::get(&store.root(), "colour", 4, Init::Const(0.0))?;
        let config = AdamWConfig {
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
        Ok(Self {
            settings,
            optimizer: AdamW::new(&store, &config)?,
            store,
            colour,
            last_loss: f64::NAN,
        })
    }

    fn fresh(settings: ColourSettings) -> Self {
        Self::new(settings, ParamStore::new(1, &Device::Cpu)).unwrap()
    }

    fn loss(&self, pixels: &[f32]) -> Result<Tensor> {
        let pixels = Tensor::from_slice(pixels, (pixels.len() / 4, 4), &Device::Cpu)?;
        Ok(pixels
            .broadcast_sub(self.colour.tensor())?
            .sqr()?
            .mean_all()?)
    }
}

impl Task for MeanColour {
    type Config = ColourSettings;
    type Layout = u32;
    type Model = Vec<f32>;
    type Evaluation = Fit;
    type Figures = f64;
    type Step = ColourStep;

    const NAME: &'static str = "mean colour";

    fn config(&self) -> &ColourSettings {
        &self.settings
    }

    fn layout(&self) -> &u32 {
        &4
    }

    fn begin(&mut self, _: u64, _: f64, _: &dyn BatchSource) -> Result<bool> {
        Ok(true)
    }

    fn step(&mut self, input: StepInput) -> Result<ColourStep> {
        let loss = self.loss(&input.pixels)?;
        Ok(ColourStep {
            grads: self.store.backward(&loss)?,
            loss: loss.detach(),
            rate: 0.05 * input.rate_factor,
        })
    }

    fn shared<'a>(&self, step: &'a mut ColourStep) -> Shared<'a> {
        Shared {
            grads: &mut step.grads,
            figures: vec![&mut step.loss],
            codebooks: Vec::new(),
        }
    }

    fn apply(&mut self, step: ColourStep) -> Result<()> {
        self.last_loss = read_scalars(&[&step.loss])?[0];
        self.optimizer.step(&step.grads, step.rate)?;
        Ok(())
    }

    fn figures(&mut self, _: Told) -> Result<f64> {
        Ok(self.last_loss)
    }

    fn model(&self, _: &Origin<'_, Fit>) -> Result<Vec<f32>> {
        Ok(self.optimizer.ema_tensors()?["colour"].to_vec1()?)
    }

    fn evaluate(&self, model: &Vec<f32>, held_out: &[PixelWindow]) -> Result<(Fit, Vec<Preview>)> {
        let values = held_out.iter().flat_map(|window| &window.values);
        let errors = values
            .zip(model.iter().cycle())
            .map(|(a, b)| f64::from(a - b).powi(2));
        let fit = Fit {
            step: 0,
            score: -errors.sum::<f64>(),
        };
        Ok((fit, Vec::new()))
    }

    fn publish(&self, model: &Vec<f32>) -> Result<Vec<u8>> {
        Ok(model.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn remarks(&self) -> BTreeMap<&'static str, serde_json::Value> {
        BTreeMap::new()
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let optimizer = self.optimizer.state_tensors()?.into_iter();
        let mut tensors: BTreeMap<_, _> = optimizer
            .map(|(name, tensor)| (format!("optimizer.{name}"), tensor))
            .collect();
        tensors.insert("model.colour".to_owned(), self.colour.tensor().detach());
        Ok(tensors)
    }

    fn restore(
        config: ColourSettings,
        _: u32,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let colour = tensors.remove("model.colour").unwrap();
        let store = ParamStore::from_tensors([("colour".to_owned(), colour)].into(), device);
        let mut task = Self::new(config, store)?;
        let optimizer = tensors.into_iter();
        let optimizer = optimizer.map(|(name, t)| (name["optimizer.".len()..].to_owned(), t));
        task.optimizer.restore(optimizer.collect())?;
        Ok(task)
    }

    fn averages(model: &[u8]) -> Result<BTreeMap<String, Tensor>> {
        let (values, _) = model.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
        let colour = Tensor::from_vec(values, 4, &Device::Cpu)?;
        Ok([("colour".to_owned(), colour)].into())
    }
}

fn pictures(folder: &Path) -> Pictures {
    let sources: Vec<CropSource> = (0..4u8)
        .map(|index| {
            let path = folder.join(format!("{index}.png"));
            let colour = image::Rgb([200 - index, 40 + index, 10 * index]);
            // Once: other threads read them.
            if !path.exists() {
                let picture = image::RgbImage::from_pixel(40, 40, colour);
                picture.save(&path).unwrap();
            }
            CropSource {
                content_hash: *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes(),
                path,
                width: 40,
                height: 40,
            }
        })
        .collect();
    Pictures {
        held_out: sources[..2].to_vec(),
        train: sources,
        is_separate: false,
    }
}

#[derive(Default)]
struct Kept {
    losses: Vec<f64>,
    fits: Vec<Fit>,
    last: Option<Checkpoint<Fit>>,
}

impl TrainSink<Fit, f64> for Kept {
    fn figures(&mut self, loss: &f64) {
        self.losses.push(*loss);
    }

    fn evaluation(&mut self, fit: &Fit) {
        self.fits.push(fit.clone());
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint<Fit>) -> Result<()> {
        if checkpoint.state.is_some() {
            self.last = Some(checkpoint);
        }
        Ok(())
    }
}

const SETTINGS: ColourSettings = ColourSettings {
    steps: 120,
    batch: 4,
    early_stop: false,
};

fn run(folder: &Path, settings: ColourSettings) -> Run<MeanColour> {
    let task = MeanColour::fresh(settings);
    Run::new(task, pictures(folder), Progress::default(), None).unwrap()
}

#[test]
fn a_run_trains_scores_pauses_and_resumes_whatever_its_task_is() {
    struct PauseAt(u64, Mutex<u64>);
    impl Observer for PauseAt {
        fn progress(&self, done: u64, _: u64) {
            *self.1.lock().unwrap() = done;
        }

        fn stop(&self) -> Option<Stop> {
            (*self.1.lock().unwrap() >= self.0).then_some(Stop::Pause)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::default();
    let mut whole = run(folder.path(), SETTINGS);
    assert_eq!(whole.run(&mut kept, &()).unwrap(), Ended::Finished);
    assert_eq!((kept.losses.len(), kept.fits.len()), (12, 12));
    assert!(kept.losses[11] < kept.losses[0] / 10.0, "{:?}", kept.losses);
    let expected = whole.model().unwrap();
    assert!(
        (expected[0] - (2.0 * 198.5 / 255.0 - 1.0)).abs() < 0.05,
        "{expected:?}"
    );

    let mut part = Kept::default();
    let mut first = run(folder.path(), SETTINGS);
    let ended = first.run(&mut part, &PauseAt(47, Mutex::new(0))).unwrap();
    assert_eq!(ended, Ended::Paused);
    let state = part.last.unwrap().state.unwrap();
    let resumed = |state: &[u8]| {
        let pictures = pictures(folder.path());
        Run::<MeanColour>::resume_task(state, None, pictures, None, &Device::Cpu, &())
    };
    let mut rest = resumed(&state).unwrap();
    assert_eq!(rest.progress().step, 47);
    assert_eq!(
        rest.run(&mut Kept::default(), &()).unwrap(),
        Ended::Finished
    );
    let bits = |model: Vec<f32>| model.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(rest.model().unwrap()), bits(expected));

    // Of another task it is refused.
    let pictures = pictures(folder.path());
    let codec = Run::resume(&state, None, pictures, None, &Device::Cpu, &());
    assert_eq!(codec.err().unwrap().kind, Kind::Foreign);
}

#[test]
fn early_stop_is_the_same_for_every_task() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ColourSettings {
        early_stop: true,
        ..SETTINGS
    };
    let mut stopped = run(folder.path(), settings);
    let ended = stopped.run(&mut Kept::default(), &()).unwrap();
    // The first evaluation counts as a gain, the next two do not.
    assert_eq!((ended, stopped.progress().step), (Ended::NoMoreGain, 30));
}

/// Every second slot of a batch.
struct Half {
    crops: Crops,
    rank: usize,
}

impl BatchSource for Half {
    fn batch(&self, step: u64) -> Result<Vec<f32>> {
        let values = self.crops.batch(step)?;
        let crop = (SIDE_PX * SIDE_PX * 4) as usize;
        let slots = values.chunks_exact(crop).skip(self.rank).step_by(2);
        Ok(slots.flatten().copied().collect())
    }

    fn take_warnings(&self) -> Vec<Notice> {
        self.crops.take_warnings()
    }

    fn working_side_px(&self) -> u32 {
        self.crops.working_side_px()
    }
}

/// Two processes, here two threads, that send each other what they found.
struct Pair {
    rank: usize,
    to: Sender<Vec<f32>>,
    from: Receiver<Vec<f32>>,
}

impl Pair {
    fn mean(&self, own: &mut [f32]) {
        self.to.send(own.to_vec()).unwrap();
        let other = self.from.recv().unwrap();
        for (own, other) in own.iter_mut().zip(other) {
            // In the order of ranks, so that both get the same bits.
            let (a, b) = if self.rank == 0 {
                (*own, other)
            } else {
                (other, *own)
            };
            *own = (a + b) / 2.0;
        }
    }
}

impl GradSync for Pair {
    fn reduce(&mut self, step: Shared<'_>) -> Result<()> {
        step.grads.change(|_, values| {
            self.mean(values);
            Ok(())
        })?;
        for figure in step.figures {
            let mut values = [figure.to_dtype(DType::F32)?.to_scalar::<f32>()?];
            self.mean(&mut values);
            *figure = Tensor::new(values[0], figure.device())?;
        }
        Ok(())
    }
}

#[test]
fn two_processes_with_half_of_each_batch_learn_what_one_learns() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let settings = &SETTINGS;
    let mut alone = run(folder, settings.clone());
    let mut kept = Kept::default();
    alone.run(&mut kept, &()).unwrap();
    let (to_second, from_first) = bounded(1);
    let (to_first, from_second) = bounded(1);
    let ends = [(0, to_second, from_second), (1, to_first, from_first)];
    let together: Vec<(Vec<f32>, Vec<f64>)> = std::thread::scope(|scope| {
        let threads = ends.map(|(rank, to, from)| {
            scope.spawn(move || {
                let crops = Crops::new(pictures(folder).train, settings.crops(None)).unwrap();
                let sync = Pair { rank, to, from };
                let mut run = run(folder, settings.clone())
                    .with_batches(Arc::new(Half { crops, rank }))
                    .with_sync(Box::new(sync));
                let mut kept = Kept::default();
                run.run(&mut kept, &())?;
                Ok::<_, Error>((run.model()?, kept.losses))
            })
        });
        threads.map(|thread| thread.join().unwrap().unwrap()).into()
    });
    assert_eq!(
        together[0], together[1],
        "both processes hold the same model"
    );
    for (a, b) in together[0].0.iter().zip(alone.model().unwrap()) {
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
    }
    for (a, b) in together[0].1.iter().zip(&kept.losses) {
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
    }
}
