//! Fine-tune the base model on a folder of pictures, and see what that made of pictures it did not learn from.
//!
//! ```text
//! cargo run --release --example 02_fine_tune [STEPS]    # 20 where none are named; a real fine-tune takes minutes
//! ```
#![allow(clippy::print_stdout)] // a program to be read

use std::sync::Arc;

use tessera::engine::{
    Budget, CheckpointChoice, DeviceChoice, EventKind, ImportJob, ImportOptions, ModelSource,
    Preset, Storage, TrainJob, TrainStart, Worker, write_samples,
};
use tessera::error::{Error, Result};

fn main() -> Result<()> {
    let steps = match std::env::args().nth(1).map(|steps| steps.parse()) {
        None => 20,
        Some(Ok(steps)) => steps,
        Some(Err(_)) => return Err(Error::usage("could not start", "STEPS is a number", "")),
    };
    let work = tempfile::tempdir().expect("a folder for temporary files");
    let samples = work.path().join("samples");
    write_samples(&samples)?;
    let project = Storage::create(&work.path().join("example.tessera"))?;
    let worker = Worker::start(Arc::new(|| {}))?;
    let device = DeviceChoice::Auto;
    let import = ImportJob {
        project: project.clone(),
        paths: vec![samples],
        options: ImportOptions::default(),
        device,
    };
    worker.run(import, |_| None)?;

    // A preset is a complete set of settings; every one of them may be changed.
    let mut config = Preset::Quick.config(7);
    config.budget = Budget::Steps(steps);
    config.report_every = 5;
    let train = TrainJob {
        project: project.clone(),
        start: TrainStart::New {
            config: Box::new(config),
            model: Some(ModelSource::Base),
        },
        device,
    };
    let trained = worker.run(train, |event| {
        if let Some(EventKind::Metrics(metrics)) = event.map(|event| &event.kind) {
            if let Some(loss) = metrics.values.get("loss") {
                println!("step {:>4}: loss {loss:.4}", metrics.step);
            }
            if let Some(psnr) = metrics.values.get("psnr_db") {
                println!("step {:>4}: held-out pictures {psnr:.2} dB", metrics.step);
            }
        }
        None // `Some(Stop::Pause)` would keep the run so that `TrainStart::Resume` goes on from it
    })?;
    println!("{trained}");

    // The project keeps the best and the last checkpoint of a run. Any of them decodes pictures from now on.
    let tuned = ModelSource::Project(project, CheckpointChoice::Best);
    let model = tuned.load(&candle_core::Device::Cpu)?;
    println!("{} with codebooks of {:?}", model.name, model.codebooks());
    Ok(())
}
