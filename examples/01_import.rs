//! Import a folder: pictures become rows of a project's index, and every file that is left out says why.
//!
//! ```text
//! cargo run --release --example 01_import [FOLDER]     # without one, the sample pictures
//! ```
#![allow(clippy::print_stdout)] // a program to be read

use std::path::PathBuf;
use std::sync::Arc;

use tessera::engine::{
    DeviceChoice, EventKind, ImportJob, ImportOptions, Storage, Worker, write_samples,
};
use tessera::error::Result;
use tessera::project::PictureFilter;

fn main() -> Result<()> {
    let work = tempfile::tempdir().expect("a folder for temporary files");
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => {
            let samples = work.path().join("samples");
            write_samples(&samples)?;
            samples
        }
    };

    // One file holds the project. Its handle may be cloned and used from any thread.
    let project = Storage::create(&work.path().join("example.tessera"))?;

    // Work that takes a while is a job: it runs on a worker's thread and tells what it does in events.
    let worker = Worker::start(Arc::new(|| {}))?;
    let import = ImportJob {
        project: project.clone(),
        paths: vec![folder],
        options: ImportOptions::default(),
        device: DeviceChoice::Cpu,
    };
    let imported = worker.run(import, |event| {
        if let Some(EventKind::Warning(notice)) = event.map(|event| &event.kind) {
            println!("left out: {notice}");
        }
        None // `Some(Stop::Cancel)` would end the job
    })?;
    println!("{imported}");

    // The index is read in pages. What was flagged stays out of training until its owner says otherwise.
    let rows = project.call(|project| project.pictures(&PictureFilter::default(), 0, 100))?;
    for row in rows {
        let flags: Vec<&str> = row.flags.iter().map(|flag| flag.name.as_str()).collect();
        println!(
            "{:>5} × {:<5} {} {}",
            row.width,
            row.height,
            row.path.display(),
            flags.join(", ")
        );
    }
    Ok(())
}
