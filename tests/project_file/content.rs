//! What is stored comes back.

use std::collections::BTreeMap;

use serde_json::json;
use tessera::document::{Codes, Document, LayerStack, Level, Source, Target, Wrap};
use tessera::error::{Kind, Notice};
use tessera::project::{
    CheckpointKind, CheckpointWrite, ContentHash, DocumentSource, MetricRow, NewCheckpoint,
    Project, RunStatus,
};

use super::support::*;

#[test]
fn import_notices_and_summaries_are_kept() {
    let folder = folder();
    let path = full_project(folder.path());
    let project = Project::open(&path).unwrap();
    let imports = project.imports().unwrap();
    assert_eq!(imports.len(), 1);
    assert_eq!(imports[0].summary.added, 20);
    assert_eq!(imports[0].summary.notices, 1);
    assert!(imports[0].finished_ms.is_some());
    let notices = project.import_notices(imports[0].id, 0, 10).unwrap();
    assert_eq!(
        notices,
        [Notice::new("could not read a picture", "it is empty", "").at("/pictures/empty.png")]
    );
}

#[test]
fn runs_and_metrics_come_back() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let first = project.create_run(&new_run()).unwrap();
    let second = project.create_run(&new_run()).unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    assert_eq!(second.name, "Run 2");
    assert_eq!(second.seed, u64::MAX - 3);
    project.rename_run(first.id, "Cats").unwrap();
    let rows: Vec<_> = (0..50)
        .map(|step| MetricRow {
            step,
            numbers: BTreeMap::from([
                ("loss".to_owned(), 1.0 / (step + 1) as f64),
                ("odd".to_owned(), f64::NAN),
            ]),
        })
        .collect();
    project.add_metrics(first.id, &rows).unwrap();
    project.add_metrics(first.id, &rows[..1]).unwrap();
    project.delete_metrics_after(first.id, 39).unwrap();
    let back = project.metrics(first.id, 30, 100).unwrap();
    assert_eq!(back.len(), 10);
    assert_eq!(back[0].numbers["loss"], rows[30].numbers["loss"]);
    assert!(back[0].numbers["odd"].is_nan());

    let why = Notice::new("training failed", "the loss is not a number", "");
    project
        .set_run_status(first.id, RunStatus::Failed, Some(&why))
        .unwrap();
    // `second` still runs when the process ends; the next opening finds it paused.
    project.close().unwrap();
    let project = Project::open(&path).unwrap();
    let runs = project.runs().unwrap();
    assert_eq!(runs[0].status, RunStatus::Paused);
    assert!(runs[0].notice.is_some());
    assert_eq!(runs[1].status, RunStatus::Failed);
    assert_eq!(runs[1].notice.as_ref(), Some(&why));
    assert!(runs[1].finished_ms.is_some());
    assert_eq!(runs[1].name, "Cats");
    assert_eq!(project.resumable_run().unwrap(), None, "no state to resume");
    assert_eq!(project.run(99).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn replacing_the_last_checkpoint_does_not_grow_the_file() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let run = project.create_run(&new_run()).unwrap();
    let size = 6 << 20;
    let mut largest = 0;
    for step in 0..30 {
        let weights = noise(step, size + step as usize);
        let state = noise(step + 1000, size);
        let row = save(
            &mut project,
            Some(&run),
            CheckpointKind::Last,
            step,
            &weights,
            Some(&state),
        );
        assert_eq!(project.checkpoint_weights(row.id).unwrap(), weights);
        assert_eq!(
            project.checkpoint_training_state(row.id).unwrap().unwrap(),
            state
        );
        largest = largest.max(std::fs::metadata(&path).unwrap().len());
    }
    assert_eq!(project.checkpoints().unwrap().len(), 1);
    // The one that is there, the one being written, and a little.
    assert!(largest < 5 * size as u64, "{largest}");
    project.close().unwrap();
    let closed = std::fs::metadata(&path).unwrap().len();
    assert!(closed < 2 * size as u64 + (1 << 20), "{closed}");
    let project = Project::open(&path).unwrap();
    assert_eq!(project.check(&()).unwrap(), []);
    assert_eq!(project.resumable_run().unwrap().unwrap().id, run.id);
}

#[test]
fn a_checkpoint_is_stored_in_short_pieces_with_strokes_between() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let painted = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let document = add_document(&mut project, painted.hash);
    let run = project.create_run(&new_run()).unwrap();
    let (mut edited, size) = (codes(), 9 << 20);
    let (mut pieces, mut largest) = (0, 0);
    for step in 0..3 {
        let (weights, state) = (noise(step, size), noise(step + 100, 2 * size));
        let mut write = CheckpointWrite::new(NewCheckpoint {
            run: Some(run.id),
            kind: CheckpointKind::Last,
            step,
            name: "",
            config: json!({}),
            metrics: json!({}),
            weights: weights.as_slice().into(),
            training_state: Some(state.as_slice().into()),
        })
        .unwrap();
        let row = loop {
            // What anybody may do in between: paint, throw things away, look for damage.
            let cell = pieces % 7;
            let after = if edited.detail.at(cell) == Some(3) {
                4
            } else {
                3
            };
            let stroke = stroke(&mut edited, cell, after);
            project.append_stroke(document.id, &stroke).unwrap();
            let other = save(&mut project, None, CheckpointKind::Named, 1, b"other", None);
            project.delete_checkpoint(other.id).unwrap();
            let pages_before = wal_bytes(&path);
            let stored = write.advance(&mut project).unwrap();
            largest = largest.max(wal_bytes(&path).saturating_sub(pages_before));
            pieces += 1;
            if let Some(row) = stored {
                break row;
            }
        };
        assert_eq!(project.check(&()).unwrap(), []);
        assert!(project.checkpoint_weights(row.id).unwrap() == weights);
        assert!(project.checkpoint_training_state(row.id).unwrap().unwrap() == state);
    }
    // 27 MB each time, 18 MB of which are removed again from the second time on.
    assert!(pieces > 3 * 27 / 4, "{pieces}");
    assert!(largest < 8 << 20, "one piece wrote {largest} bytes");
    let loaded = project.load_document(document.id).unwrap();
    assert!(loaded.edited == edited);

    // One that is given up leaves nothing behind.
    let weights = noise(9, size);
    let mut write = CheckpointWrite::new(NewCheckpoint {
        run: Some(run.id),
        kind: CheckpointKind::Last,
        step: 9,
        name: "",
        config: json!({}),
        metrics: json!({}),
        weights: weights.as_slice().into(),
        training_state: None,
    })
    .unwrap();
    assert_eq!(write.advance(&mut project).unwrap(), None);
    drop(write);
    project.close().unwrap();
    let project = Project::open(&path).unwrap();
    let last = project
        .run_checkpoint(run.id, CheckpointKind::Last)
        .unwrap();
    assert_eq!(last.unwrap().step, 2);
    project.close().unwrap();
    let closed = std::fs::metadata(&path).unwrap().len();
    assert!(closed < 3 * size as u64 + (1 << 20), "{closed}");
}

fn wal_bytes(path: &std::path::Path) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |m| m.len())
}

#[test]
fn equal_weights_are_stored_once_and_old_training_states_go() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let run = project.create_run(&new_run()).unwrap();
    let weights = noise(1, 3 << 20);
    let best = save(
        &mut project,
        Some(&run),
        CheckpointKind::Best,
        5,
        &weights,
        Some(b"state 5"),
    );
    let last = save(
        &mut project,
        Some(&run),
        CheckpointKind::Last,
        5,
        &weights,
        Some(b"state 5, again"),
    );
    assert_eq!(best.hash, ContentHash::of(&weights));
    assert_eq!(best.hash, last.hash);
    assert_eq!(
        project.checkpoint(best.id).unwrap().training_state_bytes,
        None
    );
    assert_eq!(
        project.resumable_checkpoint(run.id).unwrap().unwrap().id,
        last.id
    );
    assert_eq!(
        project
            .run_checkpoint(run.id, CheckpointKind::Best)
            .unwrap()
            .unwrap()
            .id,
        best.id
    );
    let mut written = Vec::new();
    project
        .write_checkpoint_weights(best.id, &mut written)
        .unwrap();
    assert_eq!(written, weights);
    project.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 4 << 20);
}

#[test]
fn checkpoints_that_are_needed_stay() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let run = project.create_run(&new_run()).unwrap();
    let last = CheckpointKind::Last;
    let painted = save(&mut project, Some(&run), last, 1, b"one", Some(b"s"));
    let document = add_document(&mut project, painted.hash);
    let pinned = save(&mut project, Some(&run), last, 2, b"two", None);
    project.pin_checkpoint(pinned.id, true).unwrap();
    let base = save(&mut project, Some(&run), last, 3, b"three", None);
    let mut next = new_run();
    next.base_checkpoint = Some(base.id);
    project.create_run(&next).unwrap();
    let plain = save(&mut project, Some(&run), last, 4, b"four", None);
    save(&mut project, Some(&run), last, 5, b"five", None);

    assert_eq!(
        project.checkpoint(plain.id).unwrap_err().kind,
        Kind::NotFound
    );
    for kept in [&painted, &pinned, &base] {
        let row = project.checkpoint(kept.id).unwrap();
        assert_eq!(row.kind, CheckpointKind::Named);
        assert!(row.name.starts_with("Step "));
    }
    let error = project.delete_checkpoint(painted.id).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    project.delete_run(run.id).unwrap();
    assert_eq!(project.checkpoints().unwrap().len(), 3);
    project.delete_document(document.id).unwrap();
    project.delete_checkpoint(painted.id).unwrap();
    assert_eq!(project.check(&()).unwrap(), []);
}

#[test]
fn a_document_comes_back_with_its_history_and_cursor() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let saved = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let id = add_document(&mut project, saved.hash).id;
    let mut edited = codes();
    let mut states: Vec<Codes> = vec![edited.clone()];
    for i in 0..6 {
        let stroke = stroke(&mut edited, i * 7, 40 + i as u16);
        assert_eq!(
            project.append_stroke(id, &stroke).unwrap(),
            u64::from(i) + 1
        );
        states.push(edited.clone());
    }
    assert!(project.undo_stroke(id).unwrap());
    assert!(project.undo_stroke(id).unwrap());
    project.close().unwrap();

    let mut project = Project::open(&path).unwrap();
    let loaded = project.load_document(id).unwrap();
    assert_eq!(loaded.row.source, DocumentSource::Embedded { bytes: 15 });
    assert_eq!(loaded.row.wrap, Wrap { x: true, y: false });
    assert_eq!(project.document_source(id).unwrap(), b"\x89PNG not really");
    assert_eq!(loaded.encoded, states[0]);
    assert_eq!(loaded.edited, states[4]);
    assert_eq!(loaded.history.cursor(), 4);
    assert_eq!(loaded.history.strokes().len(), 6);
    // The document module goes on where it was left.
    let source = Source::from_rgba8(100, 70, vec![0; 100 * 70 * 4]).unwrap();
    let mut document = Document::restore(
        source,
        loaded.encoded,
        loaded.edited,
        loaded.row.wrap,
        loaded.row.checkpoint.to_string(),
        loaded.history,
    )
    .unwrap();
    document.redo().unwrap();
    assert!(project.redo_stroke(id).unwrap());
    assert_eq!(**document.edited(), states[5]);
    assert_eq!(project.load_document(id).unwrap().edited, states[5]);

    // A stroke after an undo forgets what was undone, and a snapshot of it.
    project.redo_stroke(id).unwrap();
    assert!(!project.redo_stroke(id).unwrap());
    project.store_snapshot(id).unwrap();
    assert_eq!(project.check(&()).unwrap(), []);
    for _ in 0..4 {
        project.undo_stroke(id).unwrap();
    }
    assert_eq!(project.load_document(id).unwrap().edited, states[2]);
    let mut branch = states[2].clone();
    let other = stroke(&mut branch, 99, 5);
    assert_eq!(project.append_stroke(id, &other).unwrap(), 3);
    let loaded = project.load_document(id).unwrap();
    assert_eq!(loaded.edited, branch);
    assert_eq!(loaded.row.strokes, 3);
    let rows = project.stroke_rows(id, 1, 10).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].label, "Brush, code 5");
    assert_eq!(project.check(&()).unwrap(), []);

    // Encoding anew starts a new history.
    project
        .replace_document_codes(id, &branch, saved.hash, CODEBOOKS, Wrap::default())
        .unwrap();
    let loaded = project.load_document(id).unwrap();
    assert_eq!((loaded.row.strokes, loaded.row.wrap.x), (0, false));
    assert_eq!(loaded.encoded, branch);
    assert!(
        !project.undo_stroke(id).unwrap(),
        "there is nothing to undo"
    );
}

#[test]
fn many_strokes_are_replayed_from_a_snapshot() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let saved = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let id = add_document(&mut project, saved.hash).id;
    let mut edited = codes();
    for i in 0..300_u32 {
        let stroke = stroke(&mut edited, i, (i % 300) as u16 / 2 + 1);
        project.append_stroke(id, &stroke).unwrap();
    }
    assert_eq!(project.load_document(id).unwrap().edited, edited);
    assert_eq!(project.check(&()).unwrap(), []);
}

#[test]
fn the_strokes_before_one_are_read_as_far_as_they_have_room() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let saved = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let id = add_document(&mut project, saved.hash).id;
    let mut edited = codes();
    let strokes: Vec<_> = (0..20u16)
        .map(|i| stroke(&mut edited, u32::from(i) * 3, i + 1))
        .collect();
    for stroke in &strokes {
        project.append_stroke(id, stroke).unwrap();
    }
    let sizes: Vec<usize> = strokes.iter().map(|s| s.deltas.len()).collect();
    for (last, count) in [(20, 20), (20, 7), (13, 5), (1, 1)] {
        let range = last - count..last;
        let room = sizes[range.clone()].iter().sum();
        let read = project.strokes_up_to(id, last as u64, room).unwrap();
        assert_eq!(read, strokes[range], "{count} up to {last}");
    }
    // One always comes, however large it is.
    let read = project.strokes_up_to(id, 9, 0).unwrap();
    assert_eq!(read, strokes[8..9]);
    for nowhere in [0, 21] {
        let read = project.strokes_up_to(id, nowhere, 100);
        assert_eq!(read.unwrap_err().kind, Kind::Damaged);
    }
}

#[test]
fn layers_masks_and_snapshots_are_kept_stroke_by_stroke() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let saved = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let row = add_document(&mut project, saved.hash);
    let id = row.id;
    let source = Source::from_rgba8(100, 70, vec![9; 100 * 70 * 4]).unwrap();
    let mut document = Document::new(source, codes(), row.wrap, "hash").unwrap();
    let mut kept = Vec::new();
    for round in 0..90u16 {
        document.begin("paint").unwrap();
        for cell in 0..5 {
            let index = u32::from(round * 7 + cell) % 400;
            document
                .set_cell(Level::Detail, index, Some(round))
                .unwrap();
        }
        kept.extend(document.commit());
        let active = document.active();
        match round % 6 {
            0 => kept.push(document.add_layer().unwrap()),
            1 => assert!(document.set_active(Target {
                is_mask: true,
                ..active
            })),
            2 => assert!(document.set_active(Target {
                is_mask: false,
                ..active
            })),
            3 => {
                let mut look = document.layers().get(active.layer).unwrap().look().clone();
                look.opacity_percent = 30 + round as u8 / 2;
                kept.extend(document.set_layer_look(active.layer, look).unwrap());
            }
            4 if document.layers().layers().len() > 3 => {
                kept.push(document.merge_down(active.layer).unwrap())
            }
            _ => kept.extend(document.move_layer(active.layer, 1).unwrap()),
        }
    }
    assert!(kept.len() > 100);
    for stroke in &kept {
        project.append_stroke(id, stroke).unwrap();
    }
    project.store_snapshot(id).unwrap();
    project
        .keep_state(id, 1, "Good", document.layers())
        .unwrap();
    project
        .keep_state(id, 2, "Start", &LayerStack::default())
        .unwrap();
    project.rename_state(id, 1, "Better").unwrap();
    project.delete_state(id, 2).unwrap();
    assert!(project.delete_state(id, 2).is_err());
    project.close().unwrap();

    let mut project = Project::open(&path).unwrap();
    assert_eq!(project.check(&()).unwrap(), []);
    let loaded = project.load_document(id).unwrap();
    assert_eq!(loaded.layers.layers(), document.layers().layers());
    assert_eq!(&loaded.edited, &**document.edited());
    assert_eq!(loaded.history.strokes(), kept);
    let states = project.named_states(id).unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].number, states[0].name.as_str()), (1, "Better"));
    assert_eq!(states[0].layers.layers(), document.layers().layers());
    // A jump is one step, and without the snapshot the journal alone gives the same.
    while document.history().cursor() > 40 {
        document.undo();
    }
    project.set_applied_strokes(id, 40).unwrap();
    assert!(project.set_applied_strokes(id, 10_000).is_err());
    let loaded = project.load_document(id).unwrap();
    assert_eq!(loaded.layers.layers(), document.layers().layers());
    assert_eq!(
        (loaded.history.cursor(), loaded.history.strokes().len()),
        (40, kept.len())
    );
    project.delete_document(id).unwrap();
    assert_eq!(project.check(&()).unwrap(), []);
}

#[test]
fn strokes_that_do_not_fit_are_refused() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let id = add_document(&mut project, ContentHash::of(b"x")).id;
    let mut outside = stroke(&mut codes(), 0, 7);
    outside.deltas[0].index = 1_000_000;
    let mut unknown = stroke(&mut codes(), 0, 7);
    unknown.deltas[0].after = 300;
    for bad in [outside, unknown] {
        project.append_stroke(id, &bad).unwrap_err();
    }
    assert_eq!(project.document(id).unwrap().strokes, 0);
    let findings = project.check(&()).unwrap();
    assert_eq!(findings.len(), 1, "its checkpoint is not there");
}

#[test]
fn settings_come_back() {
    let folder = folder();
    let path = full_project(folder.path());
    let mut project = Project::open(&path).unwrap();
    assert_eq!(project.setting("palette").unwrap(), Some(json!([1, 2, 3])));
    project
        .set_setting("palette", &serde_json::Value::Null)
        .unwrap();
    assert_eq!(project.setting("palette").unwrap(), None);
}

#[test]
fn a_copy_is_whole_and_overwrites_only_when_told() {
    let folder = folder();
    let path = full_project(folder.path());
    let copy = folder.path().join("copy.tessera");
    let mut project = Project::open(&path).unwrap();
    project.create_run(&new_run()).unwrap();
    project.save_copy(&copy, false, &()).unwrap();
    let id = project.project_id().unwrap();
    {
        let opened = Project::open(&copy).unwrap();
        assert_eq!(opened.project_id().unwrap(), id);
        assert_eq!(opened.check(&()).unwrap(), []);
        assert_eq!(opened.runs().unwrap().len(), 2);
        let error = project.save_copy(&copy, true, &()).unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "open here: {error}");
    }
    let before = std::fs::read(&copy).unwrap();
    let error = project.save_copy(&copy, false, &()).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(std::fs::read(&copy).unwrap() == before);
    project.create_run(&new_run()).unwrap();
    project.save_copy(&copy, true, &()).unwrap();
    assert_eq!(Project::open(&copy).unwrap().runs().unwrap().len(), 3);
    assert_eq!(
        project.save_copy(&path, true, &()).unwrap_err().kind,
        Kind::Usage
    );

    struct Stopped;
    impl tessera::progress::Observer for Stopped {
        fn stop(&self) -> Option<tessera::progress::Stop> {
            Some(tessera::progress::Stop::Cancel)
        }
    }
    let third = folder.path().join("third.tessera");
    let error = project.save_copy(&third, false, &Stopped).unwrap_err();
    assert!(error.is_cancelled());
    project.close().unwrap();
    let names: Vec<_> = contents(folder.path()).into_keys().collect();
    assert_eq!(names, [copy, path], "nothing half-done is left");
}
