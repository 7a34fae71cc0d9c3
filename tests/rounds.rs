//! A picture edited, saved, closed, reopened and exported ten times, through the jobs the programs use, and the model
//! inside the program.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use common::halo;
use tessera::dataset::{self, Limits};
use tessera::document::tools::{Easel, Generated, GeneratedDetail, put_generated};
use tessera::document::{
    Alphabet, Codebooks, Coordinate, Document, Rect, Source, SourceRef, Turn, Wrap,
};
use tessera::engine::{
    CheckpointChoice, DeviceChoice, EditJob, EventKind, Existing, ExportJob, ExportTarget, Job,
    ModelSource, OpenJob, Storage, TimelapseJob, TimelapseLook, TimelapseOf, Worker, write_samples,
};
use tessera::error::Notice;
use tessera::export::{ANIMATION_WRITERS, read_restore_data};
use tessera::project::ContentHash;

const ROUNDS: usize = 10;
const DEVICE: DeviceChoice = DeviceChoice::Cpu;

/// Runs a job to its good end and returns what it warned of.
fn run(worker: &Worker, job: impl Job) -> Vec<Notice> {
    let mut warnings = Vec::new();
    let done = worker.run(job, |event| {
        if let Some(EventKind::Warning(notice)) = event.map(|event| &event.kind) {
            warnings.push(notice.clone());
        }
        None
    });
    done.map(|_| warnings).unwrap()
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

/// How far apart two pictures are: the mean difference of a channel in a rectangle.
fn distance(a: &[u8], b: &[u8], width: u32, rect: Rect) -> f64 {
    let mut sum = 0u64;
    for y in rect.y..rect.bottom() {
        let row = ((y * width + rect.x) * 4) as usize..((y * width + rect.right()) * 4) as usize;
        sum += (a[row.clone()].iter().zip(&b[row]))
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum::<u64>();
    }
    sum as f64 / (rect.area() * 4) as f64
}

#[test]
fn cloned_texture_comes_back_from_the_project_from_the_export_and_in_the_timelapse() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples");
    write_samples(&samples).unwrap();
    let image = samples.join("kitten-on-lawn.jpg");
    let file = folder.path().join("p.tessera");
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    run(
        &worker,
        OpenJob {
            project: Storage::create(&file).unwrap(),
            image: image.clone(),
            device: DEVICE,
        },
    );
    let script = folder.path().join("edits.json");
    let (edited, again) = (folder.path().join("e.png"), folder.path().join("a.png"));
    std::fs::write(
        &script,
        r#"{"tessera_edits":1,"operations":[
            {"op":"clone","level":"structure","source":[3.5,12.5],"points":[[3.5,4.5],[9.5,4.5]],"brush":{"shape":"square","size":7}},
            {"op":"pattern","level":"structure","copy":{"x":2,"y":9,"width":3,"height":3},"points":[[20.5,12.5]]},
            {"op":"select","level":"structure","area":{"rect":{"x":14,"y":9,"width":3,"height":3}}},
            {"op":"move","level":"structure","by":[2,-3],"copy":true}]}"#,
    )
    .unwrap();
    let edit = EditJob {
        model: ModelSource::Project(Storage::open(&file).unwrap(), CheckpointChoice::Best),
        target: "kitten-on-lawn".into(),
        script,
        out: target(&edited),
        device: DEVICE,
    };
    run(&worker, edit);
    let export = |out: &Path| ExportJob {
        project: Storage::open(&file).unwrap(),
        document: None,
        out: target(out),
        device: DEVICE,
    };
    assert!(run(&worker, export(&again)).is_empty());
    let pixels_now = pixels(&edited);
    assert!(pixels_now == pixels(&again), "reopening changed pixels");
    // From the export alone, in another project.
    let other = folder.path().join("other.tessera");
    run(
        &worker,
        OpenJob {
            project: Storage::create(&other).unwrap(),
            image: edited.clone(),
            device: DEVICE,
        },
    );
    let restored = folder.path().join("r.png");
    run(
        &worker,
        ExportJob {
            project: Storage::open(&other).unwrap(),
            document: None,
            out: target(&restored),
            device: DEVICE,
        },
    );
    assert!(pixels(&restored) == pixels_now, "restoring changed pixels");
    // The last frame of the timelapse.
    let frames = folder.path().join("frames");
    run(
        &worker,
        TimelapseJob {
            of: TimelapseOf::Stored {
                project: Storage::open(&file).unwrap(),
                document: None,
                device: DEVICE,
            },
            look: TimelapseLook {
                longest_px: 4096,
                ..TimelapseLook::default()
            },
            writer: Some(&ANIMATION_WRITERS[2]),
            path: frames.clone(),
            existing: Existing::Refuse,
        },
    );
    let mut written: Vec<_> = std::fs::read_dir(&frames)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    written.sort();
    let last = pixels(written.last().unwrap());
    let far = last
        .iter()
        .zip(&pixels_now)
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(far.unwrap() <= 1, "{far:?}");
}

#[test]
fn cells_of_another_document_bring_its_texture_until_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples");
    write_samples(&samples).unwrap();
    let file = folder.path().join("p.tessera");
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let project = Storage::create(&file).unwrap();
    for name in ["tea-gardens.jpg", "kitten-on-lawn.jpg"] {
        let open = OpenJob {
            project: project.clone(),
            image: samples.join(name),
            device: DEVICE,
        };
        run(&worker, open);
    }
    let codec = ModelSource::Base.load(&Device::Cpu).unwrap().codec;
    let bytes = std::fs::read(samples.join("tea-gardens.jpg")).unwrap();
    let source = |name: &str| -> Source {
        let decoded = dataset::decode_file(samples.join(name), &Limits::default()).unwrap();
        Source::from_rgba8(decoded.width, decoded.height, decoded.rgba8).unwrap()
    };
    let tea = source("tea-gardens.jpg");
    let codes = tessera::canvas::encode(&codec, &tea, Wrap::default(), &()).unwrap();
    // The upper left of the one in the upper left of the other.
    let side = 12;
    let (narrow, wide) = (codes.detail.width(), 384 / 4);
    let at = |i: u32, side: u32| (i % side, i / side);
    let cells = Generated {
        structure: (0..side * side)
            .map(|i| {
                let (x, y) = at(i, side);
                (y * (384 / 16) + x, codes.structure.get(x, y).unwrap())
            })
            .collect(),
        details: (0..side * side * 16)
            .map(|i| {
                let (x, y) = at(i, side * 4);
                GeneratedDetail {
                    index: y * wide + x,
                    code: codes.detail.at(y * narrow + x),
                    from: Some(Coordinate {
                        source: 1,
                        y: y as u16,
                        x: x as u16,
                    }),
                }
            })
            .collect(),
        sources: vec![SourceRef {
            content_hash: ContentHash::of(&bytes).to_string(),
            width: tea.width(),
            height: tea.height(),
            name: "tea-gardens.jpg".into(),
            turn: Turn::default(),
        }],
        settings: None,
    };
    let (id, gone) = project
        .call(|project| {
            let document = project.document_by_name("kitten-on-lawn")?.unwrap();
            let other = project.document_by_name("tea-gardens")?.unwrap();
            Ok((document.id, other.id))
        })
        .unwrap();
    let stroke = {
        let kitten = source("kitten-on-lawn.jpg");
        let codes = tessera::canvas::encode(&codec, &kitten, Wrap::default(), &()).unwrap();
        let mut document = Document::new(kitten, codes, Wrap::default(), "m").unwrap();
        let alphabet = Alphabet::plain(Codebooks {
            structure: codec.config().structure.codes as u32,
            detail: codec.config().detail.codes as u32,
        });
        let mut easel = Easel::new(&mut document, None, &alphabet);
        put_generated(&mut easel, "Fill", &cells).unwrap().unwrap()
    };
    project
        .call(move |project| project.append_stroke(id, &stroke).map(drop))
        .unwrap();
    let out = folder.path().join("e.png");
    let export = || ExportJob {
        project: project.clone(),
        document: Some("kitten-on-lawn".into()),
        out: target(&out),
        device: DEVICE,
    };
    assert!(run(&worker, export()).is_empty());
    let with = pixels(&out);
    project
        .call(move |project| project.delete_document(gone))
        .unwrap();
    let warnings = run(&worker, export());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].why.contains("tea-gardens.jpg"));
    let without = pixels(&out);
    let middle = Rect::new(64, 64, 64, 64);
    let narrow: Vec<u8> = {
        // Rows of the source, as wide as the other picture.
        let rows = tea.rgba8().chunks_exact(tea.width() as usize * 4);
        rows.flat_map(|row| {
            let mut row = row[..row.len().min(384 * 4)].to_vec();
            row.resize(384 * 4, 0);
            row
        })
        .collect()
    };
    let (near, far) = (
        distance(&with, &narrow, 384, middle),
        distance(&without, &narrow, 384, middle),
    );
    assert!(near < 1.0 && far > 2.0 * near, "{near} {far}");
}
