//! Export an edited picture as a PNG that carries its codes, and open that PNG in another project: it is editable again.
//!
//! ```text
//! cargo run --release --example 04_export
//! ```
#![allow(clippy::print_stdout)] // a program to be read

use std::path::PathBuf;
use std::sync::Arc;

use tessera::engine::{
    CheckpointChoice, DeviceChoice, EditJob, ExportTarget, ModelSource, OpenJob, Storage, Worker,
    write_samples,
};
use tessera::error::Result;
use tessera::export::{Existing, write_bytes};

const SCRIPT: &[u8] = br#"{
  "tessera_edits": 1,
  "operations": [
    {"op": "stamp", "level": "structure", "at": [1, 8], "copy": {"x": 7, "y": 3, "width": 7, "height": 4}}
  ]
}"#;

fn main() -> Result<()> {
    let work = tempfile::tempdir().expect("a folder for temporary files");
    let at = |name: &str| work.path().join(name);
    write_samples(&at("samples"))?;
    write_bytes(&at("edits.json"), Existing::Refuse, SCRIPT)?;
    let worker = Worker::start(Arc::new(|| {}))?;
    let device = DeviceChoice::Cpu;

    // Opening a picture makes a document of it in the project; every stroke is kept there.
    let project = Storage::create(&at("one.tessera"))?;
    let open = |project: &Storage, image: PathBuf| OpenJob {
        project: project.clone(),
        image,
        device,
    };
    let opened = worker.run(open(&project, at("samples/fragrant-chamomile.jpg")), |_| {
        None
    })?;
    println!("{} of {} × {} px", opened.name, opened.width, opened.height);
    let edit = EditJob {
        model: ModelSource::Project(project, CheckpointChoice::Best),
        target: opened.name.into(),
        script: at("edits.json"),
        out: ExportTarget {
            path: at("edited.png"),
            existing: Existing::Refuse,
            has_restore_data: true,
        },
        device,
    };
    println!("{}", worker.run(edit, |_| None)?);

    // The exported file alone brings the document back, elsewhere too.
    let elsewhere = Storage::create(&at("two.tessera"))?;
    let again = worker.run(open(&elsewhere, at("edited.png")), |_| None)?;
    let stored = elsewhere.call(move |project| project.load_document(again.document))?;
    let differ = stored.edited != stored.encoded;
    println!("{} is open again; edited: {differ}", stored.row.name);
    Ok(())
}
