//! Where cells come from survives with the strokes.

use std::sync::Arc;

use rusqlite::Connection;
use tessera::document::tools::{
    BrushStroke, Easel, Generated, GeneratedDetail, Medium, Setup, put_generated,
};
use tessera::document::{
    Alphabet, Brush, Coordinate, DetailPolicy, Document, Level, NoPictures, Source, SourceRef,
    Sources, Turn, Wrap,
};
use tessera::error::Kind;
use tessera::project::{ContentHash, DocumentId, Project, SourceFile};

use super::support::*;

const WRAP: Wrap = Wrap { x: true, y: false };

fn document() -> Document {
    let source = Source::from_rgba8(100, 70, vec![90; 100 * 70 * 4]).unwrap();
    Document::new(source, codes(), WRAP, "m").unwrap()
}

fn clone_at(document: &mut Document, level: Level, x: f32, offset: (i64, i64)) {
    let alphabet = Alphabet::plain(CODEBOOKS);
    let mut easel = Easel::new(document, None, &alphabet);
    let setup = Setup {
        detail: DetailPolicy::Keep,
        ..Setup::new(level, Brush::default(), Medium::Clone { offset })
    };
    let stroke = BrushStroke::press(&mut easel, setup, "Clone", (x, 20.0)).unwrap();
    stroke.release(&mut easel).unwrap();
}

fn reference(name: &str) -> SourceRef {
    SourceRef {
        content_hash: ContentHash::of(name.as_bytes()).to_string(),
        width: 640,
        height: 480,
        name: name.to_owned(),
        turn: Turn::default(),
    }
}

fn from_elsewhere(document: &mut Document, index: u32, name: &str) {
    let alphabet = Alphabet::plain(CODEBOOKS);
    let cells = Generated {
        details: vec![GeneratedDetail {
            index,
            code: Some(7),
            from: Some(Coordinate {
                source: 1,
                y: 119,
                x: 159,
            }),
        }],
        sources: vec![reference(name)],
        ..Generated::default()
    };
    put_generated(&mut Easel::new(document, None, &alphabet), "Fill", &cells).unwrap();
}

/// Clones on two layers, cells of two other pictures, and a stroke that is undone.
fn edited() -> Document {
    let mut document = document();
    clone_at(&mut document, Level::Structure, 40.0, (-1, 1));
    from_elsewhere(&mut document, 3, "boat");
    document.add_layer().unwrap();
    clone_at(&mut document, Level::Detail, 8.0, (5, 6));
    from_elsewhere(&mut document, 4, "tree");
    from_elsewhere(&mut document, 5, "boat");
    let layer = document.active().layer;
    document.duplicate_layer(layer).unwrap();
    document.merge_down(layer).unwrap();
    clone_at(&mut document, Level::Structure, 40.0, (2, 1));
    clone_at(&mut document, Level::Structure, 41.0, (1, -1));
    document.undo().unwrap();
    document
}

fn store(project: &mut Project, document: &Document) -> DocumentId {
    let saved = save(
        project,
        None,
        tessera::project::CheckpointKind::Base,
        0,
        &[7; 100],
        None,
    );
    let id = add_document(project, saved.hash).id;
    for stroke in document.history().strokes() {
        project.append_stroke(id, stroke).unwrap();
    }
    let cursor = document.history().cursor() as u64;
    project.set_applied_strokes(id, cursor).unwrap();
    id
}

fn load(project: &Project, id: DocumentId) -> tessera::error::Result<Document> {
    let loaded = project.load_document(id)?;
    Document::with_layers(
        document().source().clone(),
        loaded.encoded,
        loaded.layers,
        loaded.row.wrap,
        "m",
        loaded.history,
    )?
    .with_sources(Sources::new(loaded.sources, Arc::new(NoPictures))?)
}

fn assert_same(found: &Document, expected: &Document) {
    assert_eq!(found.layers().layers(), expected.layers().layers());
    assert_eq!(found.coordinates(), expected.coordinates());
    assert_eq!(found.edited(), expected.edited());
    assert_eq!(found.sources().list(), expected.sources().list());
}

#[test]
fn coordinates_and_their_pictures_come_back_with_every_state() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut expected = edited();
    assert_eq!(expected.sources().list().len(), 2);
    let mut project = Project::create(&path).unwrap();
    let id = store(&mut project, &expected);
    let snapshot = expected.layers().clone();
    project.keep_state(id, 1, "Kept", &snapshot).unwrap();
    // Killed and opened again: with and without a snapshot to begin from.
    for is_kept in [false, true] {
        if is_kept {
            project.store_snapshot(id).unwrap();
        }
        drop(project);
        project = Project::open(&path).unwrap();
        let mut found = load(&project, id).unwrap();
        assert_same(&found, &expected);
        assert_eq!(project.check(&()).unwrap(), []);
        assert_eq!(project.named_states(id).unwrap()[0].layers, snapshot);
        loop {
            let (a, b) = (found.undo(), expected.undo());
            assert_eq!(a.is_some(), b.is_some());
            assert_same(&found, &expected);
            if a.is_none() {
                break;
            }
        }
        assert!(!found.is_edited() && found.coordinates().is_empty());
        while found.redo().is_some() {
            expected.redo().unwrap();
            assert_same(&found, &expected);
        }
        expected.undo().unwrap();
    }
    // A stroke that comes from nowhere is stored as ever.
    let stored: i64 = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT count(*) FROM strokes WHERE coordinates IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let plain = expected.history().strokes().iter();
    let plain = plain.filter(|stroke| stroke.coordinates.is_empty()).count();
    assert_eq!(stored, plain as i64);
}

#[test]
fn a_canvas_that_wraps_differently_keeps_where_its_cells_come_from() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let mut expected = document();
    clone_at(&mut expected, Level::Detail, 40.0, (3, 2));
    let id = store(&mut project, &expected);
    let mut other = codes();
    for index in 0..other.detail.cells().len() as u32 {
        let code = other.detail.at(index).map_or(8, |code| (code + 1) % 300);
        other.detail.set(index, Some(code));
    }
    project
        .rewrap_document(id, Wrap::default(), &other)
        .unwrap();
    let found = load(&project, id).unwrap();
    assert_eq!(found.coordinates(), expected.coordinates());
    assert_eq!(project.check(&()).unwrap(), []);
}

#[test]
fn a_source_is_found_by_its_content() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let id = store(&mut project, &document());
    let hash = ContentHash::of(b"\x89PNG not really");
    assert_eq!(project.document_source_hash(id).unwrap(), Some(hash));
    assert_eq!(
        project.source_file(hash).unwrap(),
        Some(SourceFile::Document(id))
    );
    let mut import = project
        .begin_import(std::path::Path::new("/pictures"))
        .unwrap();
    let boat = picture("/pictures/boat.png", "boat");
    let hash = boat.blake3;
    project.add_pictures(&mut import, &[boat]).unwrap();
    let found = project.source_file(hash).unwrap();
    assert_eq!(found, Some(SourceFile::Path("/pictures/boat.png".into())));
    assert_eq!(project.source_file(ContentHash::of(b"none")).unwrap(), None);
}

#[test]
fn forged_coordinates_are_damage_or_mean_nothing() {
    let folder = folder();
    for (at, sql) in [
        "UPDATE strokes SET coordinates = x'0201' WHERE coordinates IS NOT NULL",
        "UPDATE strokes SET coordinates = x'02FFFFFFFFFF7F' WHERE coordinates IS NOT NULL",
        // One cell that comes from source 40, and one from beyond the own picture.
        "UPDATE strokes SET coordinates = x'020106008105060A' WHERE coordinates IS NOT NULL",
        "UPDATE strokes SET coordinates = x'0201060001FF7FFF7F' WHERE coordinates IS NOT NULL",
        "UPDATE strokes SET coordinates = zeroblob(200000000) WHERE number = 1",
        "DELETE FROM document_sources",
        "DELETE FROM document_sources WHERE number = 1",
        "UPDATE document_sources SET width = 0",
        "UPDATE document_sources SET blake3 = x'00'",
        "UPDATE document_sources SET name = hex(zeroblob(100000))",
        "UPDATE document_codes SET layers = x'0201000F64' WHERE layers IS NOT NULL",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{at}.tessera"));
        let mut project = Project::create(&path).unwrap();
        let id = store(&mut project, &edited());
        project.store_snapshot(id).unwrap();
        project.close().unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let project = Project::open(&path).unwrap();
        match load(&project, id) {
            Ok(_) => panic!("{sql}"),
            Err(error) => assert!(matches!(error.kind, Kind::Damaged | Kind::Limit), "{error}"),
        }
        assert!(!project.check(&()).unwrap().is_empty(), "{sql}");
    }
}

#[test]
fn strokes_whose_pictures_are_not_told_are_refused() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let expected = edited();
    let id = store(&mut project, &document());
    let strokes = expected.history().strokes();
    let foreign = strokes
        .iter()
        .find(|stroke| !stroke.sources.is_empty())
        .unwrap();
    let mut untold = (**foreign).clone();
    untold.sources.clear();
    assert_eq!(
        project.append_stroke(id, &untold).unwrap_err().kind,
        Kind::Damaged
    );
    let mut renamed = (**foreign).clone();
    project.append_stroke(id, foreign).unwrap();
    renamed.sources[0].1 = reference("another");
    assert_eq!(
        project.append_stroke(id, &renamed).unwrap_err().kind,
        Kind::Internal
    );
    assert_eq!(project.document(id).unwrap().strokes, 1);
}
