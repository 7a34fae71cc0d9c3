//! Fine-tuning as a job: what it keeps in the project, when, and how it goes on.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use serde_json::json;
use tessera::codec::checkpoint::Precision;
use tessera::codec::{Codec, CodecConfig};
use tessera::dataset::{CropSource, ImportOptions};
use tessera::engine::{
    DeviceChoice, EventKind, ImportJob, Job, ModelSource, Storage, TrainJob, TrainStart, Trained,
    Worker,
};
use tessera::error::Result;
use tessera::progress::Stop;
use tessera::project::{
    CheckpointKind, CheckpointRow, MetricRow, NewCheckpoint, NewRun, RunStatus,
};
use tessera::train::run::state::read_header;
use tessera::train::{
    Budget, Checkpoint, Ended, EvaluationConfig, LossWeights, Pictures, Preset, Run, StateWanted,
    TrainConfig, TrainSink,
};

const DEVICE: DeviceChoice = DeviceChoice::Cpu;

fn picture(path: &Path, index: u32) {
    let shade = |v: u32| ((v * (index + 3) + index * 40) % 256) as u8;
    let picture = image::RgbImage::from_fn(48, 48, |x, y| {
        image::Rgb([shade(x), shade(y), shade(x / 8 * y)])
    });
    picture.save(path).unwrap();
}

/// The final event, and the output of a job that finished.
fn until_final<J: Job>(
    worker: &Worker,
    job: J,
    mut on: impl FnMut(&EventKind, u64),
) -> (EventKind, Option<J::Output>) {
    let ticket = worker.submit(job).unwrap();
    let id = ticket.job;
    let mut evaluations = 0;
    loop {
        let event = worker.events().pop(Duration::from_secs(300)).unwrap();
        if event.job != id {
            continue;
        }
        if event.kind.is_final() {
            return (event.kind, ticket.take());
        }
        if matches!(&event.kind, EventKind::Metrics(metrics) if metrics.phase == "eval") {
            evaluations += 1;
            on(&event.kind, evaluations);
            if evaluations == 4 {
                worker.stop(id, Stop::Pause);
            }
        }
    }
}

fn checkpoints(storage: &Storage) -> Vec<CheckpointRow> {
    storage.call(|project| project.checkpoints()).unwrap()
}

fn metrics(storage: &Storage, run: i64) -> Vec<MetricRow> {
    storage
        .call(move |project| project.metrics(run, 0, 10_000))
        .unwrap()
}

fn of_kind(storage: &Storage, kind: CheckpointKind) -> Option<CheckpointRow> {
    checkpoints(storage)
        .into_iter()
        .find(|row| row.kind == kind)
}

/// A project of twelve pictures and a run on them that was paused after its fourth evaluation.
fn paused(folder: &Path, worker: &Worker, checkpoint_every: Option<u64>) -> Storage {
    let pictures = folder.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for index in 0..12 {
        picture(&pictures.join(format!("{index}.png")), index);
    }
    let storage = Storage::create(&folder.join("p.tessera")).unwrap();
    let import = ImportJob {
        project: storage.clone(),
        paths: vec![pictures],
        options: ImportOptions::default(),
        device: DEVICE,
    };
    let (imported, report) = until_final(worker, import, |_, _| {});
    assert!(report.is_some(), "{imported:?}");
    let model = folder.join("tiny.safetensors");
    let codec = Codec::new(CodecConfig::tiny(), 3, &Device::Cpu).unwrap();
    codec.save_file(&model, Precision::F32).unwrap();
    let config = TrainConfig {
        budget: Budget::Steps(1_000_000),
        batch: 2,
        crop_px: 32,
        losses: LossWeights {
            contrast: 0.1,
            ..LossWeights::default()
        },
        report_every: 2,
        evaluate_every: 4,
        evaluation: EvaluationConfig {
            at_least: 0,
            pictures: 2,
            side_px: 32,
            previews: 0,
        },
        early_stop: None,
        checkpoint_every,
        ..TrainConfig::default()
    };
    let job = TrainJob {
        project: storage.clone(),
        start: TrainStart::New {
            config: Box::new(config),
            model: Some(ModelSource::File(model)),
        },
        device: DEVICE,
    };
    let (ended, _) = until_final(worker, job, |_, evaluations| {
        // The best model and the figures wait for the state: a new best every minute would be most of what is written.
        if evaluations == 3 && checkpoint_every.is_none() {
            assert_eq!(of_kind(&storage, CheckpointKind::Best), None);
            assert_eq!(of_kind(&storage, CheckpointKind::Last), None);
        }
    });
    assert!(matches!(ended, EventKind::Cancelled { .. }), "{ended:?}");
    storage
}

fn resume(storage: &Storage, worker: &Worker, steps: u64) -> (EventKind, Option<Trained>) {
    let job = TrainJob {
        project: storage.clone(),
        start: TrainStart::Resume {
            budget: Some(Budget::Steps(steps)),
        },
        device: DEVICE,
    };
    until_final(worker, job, |_, _| {})
}

#[test]
fn a_paused_run_is_kept_whole_and_goes_on_from_its_own_start() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let storage = paused(folder.path(), &worker, None);
    let last = of_kind(&storage, CheckpointKind::Last).unwrap();
    let best = of_kind(&storage, CheckpointKind::Best).unwrap();
    assert!(last.training_state_bytes.unwrap() > 0 && best.weights_bytes > 0);
    let run = last.run.unwrap();
    let rows = metrics(&storage, run);
    // Every loss that is trained is in the project's figures.
    let at = rows.iter().find(|row| row.step == 2).unwrap();
    assert!(at.numbers["train.contrast_loss"] > 0.0);
    let first = &rows[0];
    assert_eq!(first.step, 0);

    let ended = resume(&storage, &worker, last.step + 6);
    let (EventKind::Finished, Some(trained)) = ended else {
        panic!("{ended:?}")
    };
    let told = trained.first.unwrap();
    assert_eq!(told.step, 0);
    assert_eq!(told.psnr_db, first.numbers["eval.psnr_db"]);
    let best = trained.best.unwrap().psnr_db;
    let kept = of_kind(&storage, CheckpointKind::Best).unwrap();
    assert_eq!(&kept.metrics["evaluation"]["psnr_db"], &best);
    // Nobody goes on from a finished run: its state is not even written.
    let rows = checkpoints(&storage);
    assert!(rows.iter().all(|row| row.training_state_bytes.is_none()));
    let kept = of_kind(&storage, CheckpointKind::Last).unwrap();
    assert!(kept.weights_bytes > 0 && kept.step == last.step + 6);
}

#[test]
fn states_are_stored_aside_and_the_last_one_stands_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    // More often than one is stored at leisure: each waits for the one before.
    let storage = paused(folder.path(), &worker, Some(1));
    let last = of_kind(&storage, CheckpointKind::Last).unwrap();
    let id = last.id;
    let (state, findings) = storage
        .call(move |project| {
            let state = project.checkpoint_training_state(id)?.unwrap();
            Ok((state, project.check(&())?))
        })
        .unwrap();
    assert_eq!(read_header(&state).unwrap().progress.step, last.step);
    assert_eq!(findings, []);
    let states = checkpoints(&storage).into_iter();
    let states = states.filter(|row| row.training_state_bytes.is_some());
    assert_eq!(states.count(), 1);
    let steps = metrics(&storage, last.run.unwrap());
    assert!(steps.iter().all(|row| row.step <= last.step));
    let ended = resume(&storage, &worker, last.step + 2);
    assert!(matches!(ended.0, EventKind::Finished), "{:?}", ended.0);
}

#[test]
fn a_run_that_cannot_be_resumed_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let storage = paused(folder.path(), &worker, None);
    let last = of_kind(&storage, CheckpointKind::Last).unwrap();
    let step = last.step;
    // The same state, of a run whose base is no model any more; and one whose state is none.
    for is_state_sound in [true, false] {
        let id = last.id;
        let (run, noted) = storage
            .call(move |project| {
                let state = match is_state_sound {
                    true => project.checkpoint_training_state(id)?.unwrap(),
                    false => b"no state".to_vec(),
                };
                let new = |kind, run, weights: Vec<u8>, state: Option<Vec<u8>>| NewCheckpoint {
                    run,
                    kind,
                    step,
                    name: "",
                    config: json!({}),
                    metrics: json!({}),
                    weights: weights.into(),
                    training_state: state.map(Into::into),
                };
                let weights = project.checkpoint_weights(id)?;
                let broken = new(CheckpointKind::Base, None, b"no model".to_vec(), None);
                let base = project.save_checkpoint(&broken)?;
                let run = project.create_run(&NewRun {
                    name: String::new(),
                    settings: json!({}),
                    base_checkpoint: Some(base.id),
                    seed: 0,
                    device: "cpu".into(),
                })?;
                let kept = new(CheckpointKind::Last, Some(run.id), weights, Some(state));
                project.save_checkpoint(&kept)?;
                let noted: Vec<MetricRow> = (1..=step + 3)
                    .map(|step| MetricRow {
                        step,
                        numbers: [("train.loss".to_owned(), 0.5)].into(),
                    })
                    .collect();
                project.add_metrics(run.id, &noted)?;
                project.set_run_status(run.id, RunStatus::Paused, None)?;
                Ok((run.id, noted))
            })
            .unwrap();
        let (ended, _) = resume(&storage, &worker, step + 6);
        assert!(matches!(ended, EventKind::Failed { .. }), "{ended:?}");
        let row = storage.call(move |project| project.run(run)).unwrap();
        assert_eq!(row.status, RunStatus::Paused);
        assert_eq!(metrics(&storage, run), noted);
    }
}

/// The sizes of what a run hands out.
struct Sizes {
    model: usize,
    state: usize,
}

impl TrainSink for Sizes {
    fn state_wanted(&self, _: Option<Ended>) -> StateWanted {
        StateWanted::BesideModel
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        if let (Some(model), Some(state)) = (checkpoint.model, checkpoint.state) {
            assert_eq!(read_header(&state).unwrap().progress.step, checkpoint.step);
            (self.model, self.state) = (model.len(), state.len());
        }
        Ok(())
    }
}

#[test]
fn a_standard_run_writes_less_than_a_gigabyte_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.png");
    picture(&path, 1);
    let pictures = Pictures {
        train: vec![CropSource {
            content_hash: *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes(),
            path,
            width: 48,
            height: 48,
        }],
        ..Pictures::default()
    };
    let base = ModelSource::Base.load(&Device::Cpu).unwrap();
    let codec = Codec::load_bytes(&base.bytes, &Device::Cpu).unwrap();
    let config = TrainConfig {
        budget: Budget::Steps(0),
        batch: 1,
        crop_px: 16,
        ..Preset::Standard.config(1)
    };
    let mut sizes = Sizes { model: 0, state: 0 };
    let (seconds, pause) = (Preset::Standard.minutes() * 60.0, config.checkpoint_seconds);
    let mut run = Run::fine_tune(codec, config, pictures).unwrap();
    assert_eq!(run.run(&mut sizes, &()).unwrap(), Ended::Finished);
    // A state with the model it lies beside, which is the best one as well, whenever so much time has passed; at the end
    // the best and the last model, which may be two.
    let states = ((seconds - 1.0) / pause).floor();
    assert_eq!(
        states, 1.0,
        "a killed run loses half of it at most, and one evaluation"
    );
    let bytes = states * (sizes.model + sizes.state) as f64 + 2.0 * sizes.model as f64;
    let an_hour = bytes * 3600.0 / seconds;
    eprintln!(
        "model {} bytes, state beside it {}: {:.0} MB an hour",
        sizes.model,
        sizes.state,
        an_hour / 1e6
    );
    assert!(an_hour < 1e9, "{an_hour}");
}
