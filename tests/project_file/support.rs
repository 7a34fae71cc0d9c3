//! Small projects and comparisons for the tests beside this file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tessera::document::{CellDelta, Codebooks, Codes, Geometry, Level, Stroke, Wrap};
use tessera::project::{
    CheckpointKind, CheckpointRow, ContentHash, DocumentRow, EncodingModel, NewCheckpoint,
    NewDocument, NewEncoding, NewPicture, NewRun, NewSource, PictureFlag, PictureId, Project,
    RunRow,
};

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Every file of a folder with its bytes.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

pub fn new_run() -> NewRun {
    NewRun {
        name: String::new(),
        settings: json!({"steps": 100, "preset": "quick"}),
        base_checkpoint: None,
        seed: u64::MAX - 3,
        device: "cpu".to_owned(),
    }
}

pub fn picture(path: &str, content: &str) -> NewPicture {
    NewPicture {
        path: PathBuf::from(path),
        label: Some("cats".to_owned()),
        blake3: ContentHash::of(content.as_bytes()),
        file_bytes: content.len() as u64,
        modified_ms: 1_700_000_000_000,
        changed_ns: None,
        analysis: 1,
        width: 64,
        height: 48,
        format: "png".to_owned(),
        bit_depth: 8,
        has_alpha: true,
        phash: Some(vec![1, 2, 3, 4, 5, 6, 7, 8]),
        flags: vec![PictureFlag {
            name: "blurry".to_owned(),
            reason: "its edges are soft".to_owned(),
        }],
        thumbnail: content.as_bytes().repeat(3),
        excluded: false,
    }
}

pub fn save(
    project: &mut Project,
    run: Option<&RunRow>,
    kind: CheckpointKind,
    step: u64,
    weights: &[u8],
    training_state: Option<&[u8]>,
) -> CheckpointRow {
    project
        .save_checkpoint(&NewCheckpoint {
            run: run.map(|r| r.id),
            kind,
            step,
            name: "",
            config: json!({"width": 8}),
            metrics: json!({"psnr": 21.5}),
            weights: weights.into(),
            training_state: training_state.map(Into::into),
        })
        .unwrap()
}

pub fn geometry() -> Geometry {
    Geometry::new(100, 70).unwrap()
}

pub const CODEBOOKS: Codebooks = Codebooks {
    structure: 50,
    detail: 300,
};

pub fn codes() -> Codes {
    let mut codes = Codes::blank(geometry());
    for i in 0..geometry().cell_count(Level::Detail) as u32 {
        codes.detail.set(
            i,
            if i % 5 == 0 {
                None
            } else {
                Some((i % 300) as u16)
            },
        );
    }
    codes
}

pub fn add_document(project: &mut Project, checkpoint: ContentHash) -> DocumentRow {
    project
        .create_document(&NewDocument {
            name: "Cat",
            source: NewSource::Embedded(b"\x89PNG not really"),
            geometry: geometry(),
            checkpoint,
            codebooks: CODEBOOKS,
            wrap: Wrap { x: true, y: false },
            codes: &codes(),
        })
        .unwrap()
}

/// Changes the detail cell `index` in `codes` to `after` and returns the stroke that does it.
pub fn stroke(codes: &mut Codes, index: u32, after: u16) -> Stroke {
    let before = codes.detail.at(index).unwrap_or(u16::MAX);
    codes.detail.set(index, Some(after));
    let delta = CellDelta {
        level: Level::Detail,
        index,
        before,
        after,
    };
    Stroke::new(format!("Brush, code {after}"), vec![delta])
}

pub fn encoding_model() -> EncodingModel {
    EncodingModel {
        hash: ContentHash::of(b"weights"),
        codebooks: CODEBOOKS,
        embedding_len: 4,
    }
}

/// Codes of the picture that [`picture`] gives for this content.
pub fn encoding(picture: PictureId, content: &str) -> NewEncoding {
    let mut codes = codes();
    for i in (0..codes.detail.cells().len() as u32).step_by(5) {
        codes.detail.set(i, Some(299));
    }
    NewEncoding {
        picture,
        content_hash: ContentHash::of(content.as_bytes()),
        geometry: geometry(),
        codes,
        embedding: vec![0.5; 4],
    }
}

/// A project with something in every table. Returns its path.
pub fn full_project(folder: &Path) -> PathBuf {
    let path = folder.join("full.tessera");
    let mut project = Project::create(&path).unwrap();
    let mut import = project.begin_import(Path::new("/pictures")).unwrap();
    let pictures: Vec<_> = (0..20)
        .map(|i| picture(&format!("/pictures/{i:02}.png"), &format!("content {i}")))
        .collect();
    project.add_pictures(&mut import, &pictures).unwrap();
    let notice = tessera::error::Notice::new("could not read a picture", "it is empty", "");
    project
        .add_import_notices(&mut import, &[notice.at("/pictures/empty.png")])
        .unwrap();
    project.finish_import(import, true).unwrap();
    let encoded: Vec<_> = (0..5)
        .map(|i| encoding(i + 1, &format!("content {i}")))
        .collect();
    project.add_encodings(&encoding_model(), &encoded).unwrap();
    let run = project.create_run(&new_run()).unwrap();
    let numbers = BTreeMap::from([("loss".to_owned(), 0.5)]);
    project
        .add_metrics(run.id, &[tessera::project::MetricRow { step: 1, numbers }])
        .unwrap();
    let saved = save(
        &mut project,
        Some(&run),
        CheckpointKind::Last,
        10,
        &vec![7; 100_000],
        Some(&[9; 50_000]),
    );
    project
        .set_run_status(run.id, tessera::project::RunStatus::Finished, None)
        .unwrap();
    let document = add_document(&mut project, saved.hash);
    let mut edited = codes();
    for i in 0..10 {
        let stroke = stroke(&mut edited, i * 3, 7);
        project.append_stroke(document.id, &stroke).unwrap();
    }
    project.store_snapshot(document.id).unwrap();
    project.undo_stroke(document.id).unwrap();
    project.set_setting("palette", &json!([1, 2, 3])).unwrap();
    project.close().unwrap();
    path
}

/// Bytes that do not compress or repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}
