//! A picture edited, saved, closed, reopened and exported ten times, through the jobs the programs use, and the model
//! inside the program.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use common::halo;
use tessera::dataset::{self, Limits};
use tessera::engine::{
    CheckpointChoice, DeviceChoice, EditJob, EventKind, Existing, ExportJob, ExportTarget, Job,
    ModelSource, OpenJob, Storage, Worker, write_samples,
};
use tessera::export::read_restore_data;

const ROUNDS: usize = 10;
const DEVICE: DeviceChoice = DeviceChoice::Cpu;

fn run(worker: &Worker, job: impl Job) {
    let id = worker.submit(job).unwrap().job;
    loop {
        let event = worker.events().pop(Duration::from_secs(300)).unwrap();
        if event.job != id || !event.kind.is_final() {
            continue;
        }
        assert!(matches!(event.kind, EventKind::Finished), "{event:?}");
        return;
    }
}

fn target(path: &Path) -> ExportTarget {
    ExportTarget {
        path: path.to_path_buf(),
        existing: Existing::Replace,
        has_restore_data: true,
    }
}

fn pixels(path: &Path) -> Vec<u8> {
    dataset::decode_file(path, &Limits::default())
        .unwrap()
        .rgba8
}

#[test]
fn ten_rounds_through_the_project_file_change_nothing_outside_the_halo() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples");
    write_samples(&samples).unwrap();
    let image = samples.join("kitten-on-lawn.jpg");
    let file = folder.path().join("p.tessera");
    let (edited, again) = (folder.path().join("e.png"), folder.path().join("a.png"));
    let script = folder.path().join("edits.json");
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let codec = ModelSource::Base.load(&Device::Cpu).unwrap().codec;

    let project = Storage::create(&file).unwrap();
    let open = OpenJob {
        project,
        image: image.clone(),
        device: DEVICE,
    };
    run(&worker, open);
    let original = pixels(&image);
    let edit = |operations: String| {
        std::fs::write(
            &script,
            format!(r#"{{"tessera_edits":1,"operations":[{operations}]}}"#),
        )
        .unwrap();
        // Opened anew in every round: only the file carries the document.
        let project = Storage::open(&file).unwrap();
        let edit = EditJob {
            model: ModelSource::Project(project, CheckpointChoice::Best),
            target: "kitten-on-lawn".into(),
            script: script.clone(),
            out: target(&edited),
            device: DEVICE,
        };
        run(&worker, edit);
        let export = ExportJob {
            project: Storage::open(&file).unwrap(),
            document: None,
            out: target(&again),
            device: DEVICE,
        };
        run(&worker, export);
        let pixels = pixels(&edited);
        assert!(pixels == self::pixels(&again), "reopening changed pixels");
        pixels
    };
    let mut may_change = vec![false; original.len() / 4];
    for round in 0..ROUNDS {
        let (x, y) = (round % 3, round % 2);
        let pixels = edit(format!(
            r#"{{"op":"paint","level":"structure","code":{},"points":[[{x}.5,{y}.5]]}},
               {{"op":"paint","level":"detail","code":{},"points":[[{x},{y}],[6,5]]}}"#,
            round * 97,
            round * 181,
        ));
        let document = read_restore_data(&std::fs::read(&edited).unwrap())
            .unwrap()
            .unwrap()
            .document;
        assert_eq!(**document.source().rgba8(), original, "round {round}");
        for (ever, now) in may_change.iter_mut().zip(halo(&codec, &document)) {
            *ever |= now;
        }
        let pairs = pixels.chunks_exact(4).zip(original.chunks_exact(4));
        let changed = pairs
            .zip(&may_change)
            .filter(|((now, before), may)| now != before && !**may);
        assert_eq!(changed.count(), 0, "round {round}");
        assert!(pixels != original, "round {round} did something");
    }
    assert!(
        may_change.iter().any(|may| !may),
        "the picture is larger than the edits' reach"
    );
    let all = r#"{"op":"erase","unit":"pixels","rect":{"x":0,"y":0,"width":384,"height":256}}"#;
    assert!(edit(all.to_owned()) == original);
}
