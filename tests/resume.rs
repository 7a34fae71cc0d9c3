//! A run that was paused, or killed, ends exactly where an uninterrupted one does.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use candle_core::Device;
use tessera::codec::{Codec, CodecConfig};
use tessera::dataset::CropSource;
use tessera::error::{Kind, Notice, Result};
use tessera::kernels::set_plain_ops;
use tessera::progress::{Observer, Stop};
use tessera::train::run::state::{StateHeader, read_header};
use tessera::train::{
    Budget, Checkpoint, CodebookStart, Ended, EvaluationConfig, LossWeights, Pictures, Run,
    Sharpening, StateWanted, TrainConfig, TrainSink,
};

/// Which operators run is a setting of the whole process: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const STEPS: u64 = 75;
const CHECKPOINT_EVERY: u64 = 10;

fn pictures(folder: &Path) -> Pictures {
    let side = 40;
    let sources: Vec<CropSource> = (0u32..7)
        .map(|index| {
            let path = folder.join(format!("{index}.png"));
            if !path.exists() {
                let shade = |x: u32, y: u32| ((x * (index + 2) + y * (9 - index)) % 256) as u8;
                let picture = image::RgbImage::from_fn(side, side, |x, y| {
                    image::Rgb([
                        shade(x, y),
                        shade(y, x + index),
                        shade(x / 8 * 8, y / 8 * 8),
                    ])
                });
                picture.save(&path).unwrap();
            }
            CropSource {
                content_hash: *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes(),
                path,
                width: side,
                height: side,
            }
        })
        .collect();
    Pictures {
        train: sources[2..].to_vec(),
        held_out: sources[..2].to_vec(),
        is_separate: true,
    }
}

fn new_run(pictures: Pictures) -> Run {
    let config = TrainConfig {
        seed: 11,
        budget: Budget::Steps(STEPS),
        batch: 4,
        crop_px: 32,
        learning_rate: 3e-3,
        codebook_start: CodebookStart {
            warmup_steps: 20,
            warmup_share: 1.0,
            batches: 3,
            iterations: 3,
        },
        losses: LossWeights {
            contrast: 0.1,
            texture: 0.1,
            ..LossWeights::default()
        },
        sharpening: Some(Sharpening {
            weight: 0.5,
            learning_rate: 1e-3,
            width: 8,
            warmup_steps: 10,
        }),
        report_every: 10,
        evaluate_every: 15,
        checkpoint_every: Some(CHECKPOINT_EVERY),
        evaluation: EvaluationConfig {
            at_least: 0,
            pictures: 2,
            side_px: 32,
            previews: 0,
        },
        early_stop: None,
        ..TrainConfig::default()
    };
    let codec = Codec::new(CodecConfig::tiny(), 11, &Device::Cpu).unwrap();
    Run::from_scratch(codec, config, pictures).unwrap()
}

/// Keeps the newest state, in memory or as a file that is replaced as a whole.
#[derive(Default)]
struct States<'a> {
    newest: Vec<u8>,
    /// Of the same checkpoint.
    model: Option<Vec<u8>>,
    lies_beside_model: bool,
    file: Option<&'a Path>,
}

impl TrainSink for States<'_> {
    fn state_wanted(&self, _: Option<Ended>) -> StateWanted {
        match self.lies_beside_model {
            true => StateWanted::BesideModel,
            false => StateWanted::Whole,
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let Some(state) = checkpoint.state else {
            return Ok(());
        };
        if let Some(file) = self.file {
            let part = file.with_extension("part");
            std::fs::write(&part, &state).unwrap();
            std::fs::rename(&part, file).unwrap();
        }
        self.newest = state;
        self.model = checkpoint.model;
        Ok(())
    }
}

/// Pauses when so many steps are done.
struct PauseAt(u64, Mutex<u64>);

impl PauseAt {
    fn step(step: u64) -> Self {
        Self(step, Mutex::new(0))
    }
}

impl Observer for PauseAt {
    fn progress(&self, done: u64, _: u64) {
        *self.1.lock().unwrap() = done;
    }

    fn stop(&self) -> Option<Stop> {
        (*self.1.lock().unwrap() >= self.0).then_some(Stop::Pause)
    }
}

/// Header without the clock, and the tensors' bytes: everything that must not depend on interruptions.
fn parts(state: &[u8]) -> (StateHeader, Vec<u8>) {
    let mut header = read_header(state).unwrap();
    header.progress.seconds = 0.0;
    let header_len = u64::from_le_bytes(state[..8].try_into().unwrap()) as usize;
    (header, state[8 + header_len..].to_vec())
}

fn uninterrupted(folder: &Path) -> Vec<u8> {
    let mut states = States::default();
    let ended = new_run(pictures(folder)).run(&mut states, &()).unwrap();
    assert_eq!(ended, Ended::Finished);
    states.newest
}

fn assert_same(a: &[u8], b: &[u8]) {
    let (header_a, tensors_a) = parts(a);
    let (header_b, tensors_b) = parts(b);
    assert_eq!(header_a, header_b);
    assert!(
        tensors_a == tensors_b,
        "weights, moments, averages or codebooks differ"
    );
}

#[test]
fn pause_and_resume_change_no_bit() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    for plain in [false, true] {
        set_plain_ops(plain);
        let expected = uninterrupted(folder.path());
        // To compare versions of this program on one machine.
        let tensors = blake3::hash(&parts(&expected).1);
        eprintln!("plain operators: {plain}, tensors of the state: {tensors}");
        // Before the codebooks exist, at the moment they are made, between, at an evaluation, at a checkpoint.
        let mut state: Option<Vec<u8>> = None;
        for pause in [7, 20, 33, 45, 60] {
            let mut states = States::default();
            let mut run = match &state {
                None => new_run(pictures(folder.path())),
                Some(bytes) => Run::resume(
                    bytes,
                    None,
                    pictures(folder.path()),
                    None,
                    &Device::Cpu,
                    &(),
                )
                .unwrap(),
            };
            let ended = run.run(&mut states, &PauseAt::step(pause)).unwrap();
            assert_eq!((ended, run.progress().step), (Ended::Paused, pause));
            state = Some(states.newest);
        }
        let bytes = state.unwrap();
        let mut run = Run::resume(
            &bytes,
            None,
            pictures(folder.path()),
            None,
            &Device::Cpu,
            &(),
        )
        .unwrap();
        let mut states = States::default();
        assert_eq!(run.run(&mut states, &()).unwrap(), Ended::Finished);
        assert_same(&states.newest, &expected);
        // A finished run stays as it is.
        let bytes = states.newest;
        let mut run = Run::resume(
            &bytes,
            None,
            pictures(folder.path()),
            None,
            &Device::Cpu,
            &(),
        )
        .unwrap();
        let mut states = States::default();
        assert_eq!(run.run(&mut states, &()).unwrap(), Ended::Finished);
        assert_same(&states.newest, &expected);
    }
    set_plain_ops(false);
}

/// Set for the process that is going to be killed: where its state and pictures are.
const CHILD: &str = "TESSERA_TEST_KILLED_RUN";

#[test]
fn kill_9_loses_at_most_one_checkpoint_interval() {
    if let Some(folder) = std::env::var_os(CHILD) {
        train_until_killed(Path::new(&folder));
        return;
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let expected = uninterrupted(folder.path());
    let file = folder.path().join("state.safetensors");
    for at_least in [20, 50] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill_9_loses_at_most_one_checkpoint_interval"])
            .env(CHILD, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let reported = folder.path().join("step");
        let started = Instant::now();
        let step = loop {
            let text = std::fs::read_to_string(&reported).unwrap_or_default();
            let step = text.trim().parse().unwrap_or(0u64);
            if step > at_least {
                break step;
            }
            assert!(
                child.try_wait().unwrap().is_none(),
                "the child ended by itself"
            );
            assert!(started.elapsed() < Duration::from_secs(120), "no progress");
            std::thread::sleep(Duration::from_millis(2));
        };
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let header = read_header(&std::fs::read(&file).unwrap()).unwrap();
        assert!(
            header.progress.step + CHECKPOINT_EVERY >= step,
            "was at step {step}, kept {}",
            header.progress.step
        );
    }
    let bytes = std::fs::read(&file).unwrap();
    let mut run = Run::resume(
        &bytes,
        None,
        pictures(folder.path()),
        None,
        &Device::Cpu,
        &(),
    )
    .unwrap();
    let mut states = States::default();
    assert_eq!(run.run(&mut states, &()).unwrap(), Ended::Finished);
    assert_same(&states.newest, &expected);
}

fn train_until_killed(folder: &Path) {
    /// Says where the run is, and takes its time, so that the kill falls into the run.
    struct Slow<'a>(&'a Path);
    impl Observer for Slow<'_> {
        fn progress(&self, done: u64, _: u64) {
            let part = self.0.with_extension("part");
            std::fs::write(&part, done.to_string()).unwrap();
            std::fs::rename(&part, self.0).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let file = folder.join("state.safetensors");
    let mut run = match std::fs::read(&file) {
        Ok(bytes) => Run::resume(&bytes, None, pictures(folder), None, &Device::Cpu, &()).unwrap(),
        Err(_) => new_run(pictures(folder)),
    };
    let mut states = States {
        file: Some(&file),
        ..States::default()
    };
    run.run(&mut states, &Slow(&folder.join("step"))).unwrap();
}

#[test]
fn a_longer_budget_and_other_pictures_are_possible() {
    struct Ear(Mutex<Vec<Notice>>);
    impl Observer for Ear {
        fn warning(&self, notice: Notice) {
            self.0.lock().unwrap().push(notice);
        }
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let state = uninterrupted(folder.path());
    let mut fewer = pictures(folder.path());
    fewer.train.pop();
    let ear = Ear(Mutex::default());
    let budget = Some(Budget::Steps(STEPS + 5));
    let mut run = Run::resume(&state, None, fewer, budget, &Device::Cpu, &ear).unwrap();
    assert_eq!(
        run.run(&mut States::default(), &ear).unwrap(),
        Ended::Finished
    );
    assert_eq!(run.progress().step, STEPS + 5);
    let warnings = ear.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].what.contains("other pictures"));
}

#[test]
fn what_is_no_state_is_refused_with_a_reason() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let state = uninterrupted(folder.path());
    let kind = |bytes: &[u8]| {
        let pictures = pictures(folder.path());
        Run::resume(bytes, None, pictures, None, &Device::Cpu, &())
            .err()
            .unwrap()
            .kind
    };
    assert_eq!(kind(b""), Kind::Damaged);
    assert_eq!(kind(&state[..state.len() / 2]), Kind::Damaged);
    assert_eq!(kind(&[0xff; 64]), Kind::Foreign);
    let model = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
    let precision = tessera::codec::checkpoint::Precision::F32;
    assert_eq!(kind(&model.save_bytes(precision).unwrap()), Kind::Foreign);

    let mut beside = States {
        lies_beside_model: true,
        ..States::default()
    };
    new_run(pictures(folder.path()))
        .run(&mut beside, &())
        .unwrap();
    assert!(beside.newest.len() + beside.model.unwrap().len() < state.len() + (64 << 10));
    assert_eq!(kind(&beside.newest), Kind::Damaged, "its model is missing");

    // The header is JSON within JSON: quotes are escaped there.
    let newer = replaced(&state, br#"{\"format\":1,"#, br#"{\"format\":9,"#);
    assert_eq!(kind(&newer), Kind::Newer);
    let renamed = replaced(
        &state,
        b"optimizer.first.decoder.out.bias",
        b"optimizer.first.decoder.out.bios",
    );
    assert_eq!(kind(&renamed), Kind::Damaged);
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}
