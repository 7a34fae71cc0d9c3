//! The training loop on small real pictures: it learns, it stops for the right reasons, and says why.

#![allow(clippy::unwrap_used)] // helpers outside of test functions

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Device;
use tessera::codec::{Codec, CodecConfig};
use tessera::dataset::CropSource;
use tessera::error::{Error, Kind, Notice, Result};
use tessera::progress::{Observer, Stop};
use tessera::train::{
    Budget, Checkpoint, CheckpointKind, CodebookStart, EarlyStop, Ended, Evaluation,
    EvaluationConfig, Pictures, Preview, Run, StepFigures, TrainConfig, TrainSink,
};

/// Pictures of soft blobs on gradients, some with holes; no two alike.
fn pictures(folder: &Path, count: u32, side: u32) -> Vec<CropSource> {
    (0..count)
        .map(|index| {
            let picture = image::RgbaImage::from_fn(side, side, |x, y| {
                let (x, y, i) = (x as f32, y as f32, index as f32);
                let (cx, cy) = (20.0 + 3.0 * i % 24.0, 30.0 - 2.0 * i % 20.0);
                let distance = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
                let red = if distance < 12.0 { 220.0 } else { 3.0 * x };
                let alpha = if index % 3 == 0 && distance > 26.0 {
                    0
                } else {
                    255
                };
                image::Rgba([red as u8, (4.0 * y) as u8, (40.0 * i % 256.0) as u8, alpha])
            });
            let path = folder.join(format!("{index:03}.png"));
            picture.save(&path).unwrap();
            source(path, side)
        })
        .collect()
}

fn source(path: PathBuf, side: u32) -> CropSource {
    let content_hash = *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes();
    CropSource {
        path,
        content_hash,
        width: side,
        height: side,
    }
}

fn set(sources: &[CropSource], held_out: usize) -> Pictures {
    let (held_out, train) = sources.split_at(held_out);
    Pictures {
        is_separate: !held_out.is_empty(),
        train: train.to_vec(),
        held_out: held_out.to_vec(),
    }
}

fn config(steps: u64) -> TrainConfig {
    TrainConfig {
        seed: 5,
        budget: Budget::Steps(steps),
        batch: 4,
        crop_px: 32,
        learning_rate: 4e-3,
        codebook_start: CodebookStart {
            warmup_steps: 20,
            warmup_share: 1.0,
            batches: 4,
            iterations: 4,
        },
        report_every: 10,
        evaluate_every: 40,
        checkpoint_every: Some(25),
        evaluation: EvaluationConfig {
            at_least: 0,
            pictures: 3,
            side_px: 48,
            previews: 2,
        },
        early_stop: None,
        ..TrainConfig::default()
    }
}

fn codec() -> Codec {
    Codec::new(CodecConfig::tiny(), 5, &Device::Cpu).unwrap()
}

#[derive(Default)]
struct Kept {
    figures: Vec<StepFigures>,
    evaluations: Vec<Evaluation>,
    previews: Vec<Vec<Preview>>,
    best: Option<Checkpoint>,
    last: Option<Checkpoint>,
    last_steps: Vec<u64>,
    is_full: bool,
}

impl TrainSink for Kept {
    fn figures(&mut self, figures: &StepFigures) {
        self.figures.push(figures.clone());
    }

    fn evaluation(&mut self, evaluation: &Evaluation) {
        self.evaluations.push(evaluation.clone());
    }

    fn previews(&mut self, _: u64, previews: &[Preview]) {
        self.previews.push(previews.to_vec());
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        if self.is_full {
            return Err(Error::new(
                Kind::DiskFull,
                "could not save",
                "the disk is full",
                "",
            ));
        }
        match checkpoint.kind {
            CheckpointKind::Best => self.best = Some(checkpoint),
            CheckpointKind::Last => {
                self.last_steps.push(checkpoint.step);
                self.last = Some(checkpoint);
            }
        }
        Ok(())
    }
}

#[test]
fn a_new_codec_learns_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 12, 48);
    let mut kept = Kept::default();
    let mut run = Run::from_scratch(codec(), config(240), set(&sources, 3)).unwrap();
    assert_eq!(run.run(&mut kept, &()).unwrap(), Ended::Finished);

    let scores: Vec<f64> = kept.evaluations.iter().map(|e| e.psnr_db).collect();
    assert_eq!(kept.evaluations.len(), 6, "steps 40, 80, … 240");
    assert!(scores[5] > scores[0] + 3.0, "{scores:?}");
    assert!(
        kept.evaluations
            .iter()
            .all(|e| e.is_held_out && e.pictures == 3)
    );
    let last = &kept.evaluations[5];
    assert!(last.structure_psnr_db > 10.0 && last.detail_usage > 0.0 && last.bits_per_pixel > 0.0);

    assert_eq!(kept.figures.len(), 24);
    let losses: Vec<f64> = kept.figures.iter().map(|f| f.loss).collect();
    assert!(losses[23] < 0.6 * losses[0], "{losses:?}");

    // Always the same pictures, and their sources do not change.
    assert!(kept.previews.iter().all(|p| p.len() == 2));
    assert!(
        kept.previews
            .windows(2)
            .all(|w| w[0][0].source == w[1][0].source)
    );

    let best = kept.best.unwrap();
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    assert_eq!(best.evaluation.unwrap().psnr_db, top);
    let model = Codec::load_bytes(&best.model.unwrap(), &Device::Cpu).unwrap();
    assert_eq!(model.config(), &CodecConfig::tiny());
    let expected: Vec<u64> = (1..=9).map(|i| 25 * i).chain([240]).collect();
    assert_eq!(kept.last_steps, expected, "every 25 steps and at the end");
}

#[test]
fn the_same_seed_gives_the_same_model_and_another_gives_another() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 5, 40);
    let model = |seed| {
        let config = TrainConfig { seed, ..config(30) };
        let mut kept = Kept::default();
        let mut run = Run::from_scratch(codec(), config, set(&sources, 0)).unwrap();
        run.run(&mut kept, &()).unwrap();
        run.model().unwrap().model_hash().unwrap()
    };
    assert_eq!(model(5), model(5));
    assert_ne!(model(5), model(6));
}

#[test]
fn one_picture_is_enough_and_none_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 1, 20);
    let mut kept = Kept::default();
    let mut run = Run::from_scratch(codec(), config(40), set(&sources, 0)).unwrap();
    assert_eq!(run.run(&mut kept, &()).unwrap(), Ended::Finished);
    assert!(!kept.evaluations[0].is_held_out);

    let error = Run::from_scratch(codec(), config(40), Pictures::default())
        .err()
        .unwrap();
    assert_eq!(error.kind, Kind::NoPictures);

    std::fs::remove_file(&sources[0].path).unwrap();
    let mut run = Run::from_scratch(codec(), config(40), set(&sources, 0)).unwrap();
    let error = run.run(&mut kept, &()).unwrap_err();
    assert_eq!(error.kind, Kind::NoPictures);
}

#[test]
fn a_picture_that_vanishes_is_a_warning() {
    struct Ear(std::sync::Mutex<Vec<Notice>>);
    impl Observer for Ear {
        fn warning(&self, notice: Notice) {
            self.0.lock().unwrap().push(notice);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 6, 40);
    std::fs::remove_file(&sources[4].path).unwrap();
    let ear = Ear(std::sync::Mutex::default());
    let mut run = Run::from_scratch(codec(), config(30), set(&sources, 1)).unwrap();
    assert_eq!(
        run.run(&mut Kept::default(), &ear).unwrap(),
        Ended::Finished
    );
    let warnings = ear.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].path.as_ref().unwrap().contains("004.png"));
}

#[test]
fn numbers_out_of_hand_stop_the_run_and_name_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let config = TrainConfig {
        // Far beyond anything sane: the weights leave the range of f32 within a few steps.
        learning_rate: 1e30,
        ..config(200)
    };
    let mut kept = Kept::default();
    let mut run = Run::from_scratch(codec(), config, set(&sources, 0)).unwrap();
    let error = run.run(&mut kept, &()).unwrap_err();
    assert_eq!(error.kind, Kind::NotFinite, "{error}");
    assert!(error.to_string().contains("at step "), "{error}");
}

#[test]
fn a_full_disk_ends_the_run_with_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let mut kept = Kept {
        is_full: true,
        ..Kept::default()
    };
    let mut run = Run::from_scratch(codec(), config(100), set(&sources, 0)).unwrap();
    assert_eq!(run.run(&mut kept, &()).unwrap_err().kind, Kind::DiskFull);
    assert_eq!(run.progress().step, 25, "at the first checkpoint");
}

#[test]
fn training_ends_when_nothing_is_gained() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let evaluations = |not_before| {
        let config = TrainConfig {
            evaluate_every: 5,
            early_stop: Some(EarlyStop {
                patience: 2,
                min_gain_db: 50.0,
                not_before,
            }),
            ..config(100)
        };
        let mut kept = Kept::default();
        let mut run = Run::from_scratch(codec(), config, set(&sources, 1)).unwrap();
        assert_eq!(run.run(&mut kept, &()).unwrap(), Ended::NoMoreGain);
        assert_eq!(kept.last.unwrap().step, run.progress().step);
        kept.evaluations
    };
    let early = evaluations(0.0);
    assert_eq!(early.len(), 3, "one to compare with, two without gain");
    let late = evaluations(0.7);
    assert_eq!(late.last().unwrap().step, 70);
}

#[test]
fn a_short_run_is_still_quantized_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let mut settings = TrainConfig {
        evaluate_every: 1000,
        ..config(30)
    };
    settings.codebook_start.warmup_steps = 1000;
    settings.codebook_start.warmup_share = 0.2;
    settings.evaluation.at_least = 3;
    let mut kept = Kept::default();
    let mut run = Run::from_scratch(codec(), settings, set(&sources, 1)).unwrap();
    run.run(&mut kept, &()).unwrap();
    let steps: Vec<u64> = kept.evaluations.iter().map(|e| e.step).collect();
    assert_eq!(steps, [10, 20, 30]);
}

#[test]
fn cancelling_keeps_what_was_learned() {
    struct After(AtomicU64);
    impl Observer for After {
        fn stop(&self) -> Option<Stop> {
            (self.0.fetch_add(1, Ordering::Relaxed) >= 45).then_some(Stop::Cancel)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let mut kept = Kept::default();
    let mut run = Run::from_scratch(codec(), config(1000), set(&sources, 1)).unwrap();
    let ended = run.run(&mut kept, &After(AtomicU64::new(0))).unwrap();
    assert_eq!(ended, Ended::Cancelled);
    assert_eq!(kept.best.unwrap().step, 40);
    let last = kept.last.unwrap();
    assert_eq!(last.step, 45);
    assert!(last.state.is_some() && last.model.is_some());
}

#[test]
fn a_budget_in_minutes_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sources = pictures(folder.path(), 4, 40);
    let config = TrainConfig {
        budget: Budget::Minutes(0.05),
        ..config(0)
    };
    let mut kept = Kept::default();
    let started = std::time::Instant::now();
    let mut run = Run::from_scratch(codec(), config, set(&sources, 0)).unwrap();
    assert_eq!(run.run(&mut kept, &()).unwrap(), Ended::Finished);
    let seconds = started.elapsed().as_secs_f64();
    assert!((3.0..30.0).contains(&seconds), "{seconds}");
    assert!(run.progress().seconds >= 3.0);
}
