//! Importing a folder again: only what has changed is decoded, and nothing that changed is missed.
#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tessera::engine::{DeviceChoice, ImportJob, ImportOptions, Storage, Worker, usable_pictures};
use tessera::project::{PictureFilter, PictureId, PictureRow};

/// A picture without compression: all of one size have files of one length.
fn bmp(seed: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(48, 40, |x, y| {
        let at = (x / (seed % 7 + 3) + y / (seed % 5 + 2)) * 53 + seed * 97;
        image::Rgb([
            (at % 256) as u8,
            (at * 3 % 256) as u8,
            (seed * 40 % 256) as u8,
        ])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Bmp).unwrap();
    out.into_inner()
}

/// Writes a file as if it had been there for long, where the system allows.
fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

struct Scene {
    folder: tempfile::TempDir,
    project: Storage,
    worker: Worker,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            project: Storage::create(&folder.path().join("p.tessera")).unwrap(),
            worker: Worker::start(Arc::new(|| {})).unwrap(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("pictures").join(name)
    }

    /// Imports and returns the job's report.
    fn import(&self, name: &str) -> Value {
        let job = ImportJob {
            project: self.project.clone(),
            paths: vec![self.path(name)],
            options: ImportOptions::default(),
            device: DeviceChoice::Cpu,
        };
        let imported = self.worker.run(job, |_| None).unwrap();
        serde_json::to_value(imported).unwrap()
    }

    fn rows(&self) -> Vec<PictureRow> {
        let all = |project: &mut tessera::project::Project| {
            project.pictures(&PictureFilter::default(), 0, 1000)
        };
        self.project.call(all).unwrap()
    }

    fn row(&self, name: &str) -> PictureRow {
        let path = self.path(name);
        let rows = self.rows();
        rows.into_iter().find(|row| row.path == path).unwrap()
    }

    /// Pictures that the last import decoded. An entry as it was before an import began is set apart by a thumbnail that no
    /// decoding makes.
    fn decoded(&self, import: impl FnOnce() -> Value) -> (Vec<String>, Value) {
        const MARK: &[u8] = b"as it was";
        self.sql(&format!(
            "UPDATE thumbnails SET bytes = CAST('{}' AS BLOB)",
            String::from_utf8_lossy(MARK)
        ));
        let report = import();
        let mut decoded = Vec::new();
        for row in self.rows() {
            let id = row.id;
            let thumbnail = self.project.call(move |project| project.thumbnail(id));
            if thumbnail.unwrap().as_deref() != Some(MARK) {
                decoded.push(row.relative);
            }
        }
        (decoded, report)
    }

    /// Changes the file behind the project's back, as a test of the next reading.
    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.project.path()).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// As if the last import had read the files long after they were written.
    fn let_time_pass(&self) {
        self.sql("UPDATE imports SET started_ms = started_ms + 10000");
    }
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap()
}

#[test]
fn an_unchanged_folder_is_neither_decoded_nor_written() {
    let scene = Scene::new();
    for i in 0..12 {
        write(&scene.path(&format!("set/{i}.bmp")), &bmp(i));
    }
    // A copy, and a file that is no picture.
    write(&scene.path("set/copy.bmp"), &bmp(3));
    write(&scene.path("set/broken.png"), b"\x89PNG\r\n\x1a\nbroken");
    let first = scene.import("set");
    assert_eq!(count(&first, "added"), 13);
    let before = scene.rows();
    scene.let_time_pass();
    for _ in 0..2 {
        let (decoded, again) = scene.decoded(|| scene.import("set"));
        assert_eq!(decoded, Vec::<String>::new());
        assert_eq!(count(&again, "unchanged"), 13);
        assert_eq!((count(&again, "added"), count(&again, "changed")), (0, 0));
        for key in ["imported", "flags", "rejected"] {
            assert_eq!(again[key], first[key], "{key}");
        }
        assert_eq!(scene.rows(), before);
    }
    // Their entries are those of the first import still.
    let ids = scene
        .project
        .call(|project| project.known_pictures(PictureId::MIN, 100));
    let imports = scene.project.call(|project| project.imports()).unwrap();
    let first_read = imports.last().unwrap().started_ms;
    assert!(ids.unwrap().iter().all(|known| known.read_ms == first_read));
}

#[test]
fn other_content_of_the_same_size_and_time_is_noticed() {
    let scene = Scene::new();
    for i in 0..4 {
        write(&scene.path(&format!("{i}.bmp")), &bmp(i));
    }
    scene.import("");
    scene.let_time_pass();
    scene
        .project
        .call(|project| project.set_excluded(&[2], true))
        .unwrap();
    // Painted over by a program that sets the time back; two files swapped; one touched.
    write(&scene.path("0.bmp"), &bmp(20));
    fs::rename(scene.path("1.bmp"), scene.path("x.bmp")).unwrap();
    fs::rename(scene.path("2.bmp"), scene.path("1.bmp")).unwrap();
    fs::rename(scene.path("x.bmp"), scene.path("2.bmp")).unwrap();
    write(&scene.path("3.bmp"), &bmp(3));
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!(decoded, ["0.bmp", "1.bmp", "2.bmp"]);
    assert_eq!(
        (count(&report, "changed"), count(&report, "unchanged")),
        (3, 1)
    );
    for (name, seed) in [("0.bmp", 20), ("1.bmp", 2), ("2.bmp", 1), ("3.bmp", 3)] {
        let hash = *blake3::hash(&bmp(seed)).as_bytes();
        assert_eq!(scene.row(name).blake3.0, hash, "{name}");
    }
    assert!(scene.row("1.bmp").excluded, "the user's choice stays");
    // What was compared by content once is trusted from then on.
    scene.let_time_pass();
    let before = scene.rows();
    assert_eq!(count(&scene.import(""), "unchanged"), 4);
    assert_eq!(scene.rows(), before);
}

#[test]
fn a_file_that_changed_while_it_was_read_is_read_again() {
    let scene = Scene::new();
    write(&scene.path("0.bmp"), &bmp(0));
    scene.import("");
    // No time has passed between writing and reading: the same clock tick may hold another change.
    let connection = rusqlite::Connection::open(scene.project.path()).unwrap();
    let (before, first): (i64, i64) = connection
        .query_row("SELECT import, added_by FROM pictures", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(before, first);
    assert_eq!(count(&scene.import(""), "unchanged"), 1);
    let read_by: i64 = connection
        .query_row("SELECT import FROM pictures", [], |row| row.get(0))
        .unwrap();
    assert!(read_by > first, "its content was compared");
}

#[test]
fn missing_pictures_come_back_and_new_ones_are_found() {
    let scene = Scene::new();
    for i in 0..4 {
        write(&scene.path(&format!("{i}.bmp")), &bmp(i));
    }
    scene.import("");
    scene.let_time_pass();
    let away = scene.folder.path().join("away.bmp");
    fs::rename(scene.path("1.bmp"), &away).unwrap();
    write(&scene.path("9.bmp"), &bmp(9));
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!(decoded, ["9.bmp"]);
    assert_eq!((count(&report, "missing"), count(&report, "added")), (1, 1));
    assert!(scene.row("1.bmp").missing);
    fs::rename(&away, scene.path("1.bmp")).unwrap();
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!((decoded.len(), count(&report, "unchanged")), (0, 5));
    assert!(!scene.row("1.bmp").missing);
    // By itself, it keeps its place among the others.
    let before = scene.row("1.bmp");
    assert_eq!(count(&scene.import("1.bmp"), "unchanged"), 1);
    assert_eq!(scene.row("1.bmp"), before);
}

#[test]
fn a_folder_around_the_imported_one_gives_labels_without_decoding() {
    let scene = Scene::new();
    write(&scene.path("cats/0.bmp"), &bmp(0));
    scene.import("cats");
    assert_eq!(scene.row("cats/0.bmp").label, None);
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!((decoded.len(), count(&report, "unchanged")), (0, 1));
    let row = scene.row("cats/0.bmp");
    assert_eq!(
        (row.label.as_deref(), row.relative.as_str()),
        (Some("cats"), "cats/0.bmp")
    );
}

#[test]
fn copies_are_told_anew_when_their_original_is_gone() {
    let scene = Scene::new();
    write(&scene.path("a.bmp"), &bmp(1));
    write(&scene.path("b.bmp"), &bmp(1));
    write(&scene.path("c.bmp"), &bmp(1));
    scene.import("");
    let flags = |name: &str| -> Vec<String> {
        let row = scene.row(name);
        row.flags.into_iter().map(|flag| flag.reason).collect()
    };
    assert!(flags("a.bmp").is_empty());
    assert!(flags("b.bmp")[0].contains("“a.bmp”") && flags("c.bmp")[0].contains("“a.bmp”"));
    // A new one is a copy of what was there before, wherever it stands in the order of names.
    scene.let_time_pass();
    write(&scene.path("A0.bmp"), &bmp(1));
    scene.import("");
    assert!(flags("a.bmp").is_empty());
    assert!(flags("A0.bmp")[0].contains("“a.bmp”"));
    // A file that was only touched is the same original.
    scene.let_time_pass();
    let before = flags("b.bmp");
    write(&scene.path("a.bmp"), &bmp(1));
    assert_eq!(count(&scene.import(""), "unchanged"), 4);
    assert_eq!(flags("b.bmp"), before);
    scene.let_time_pass();
    fs::remove_file(scene.path("a.bmp")).unwrap();
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!((decoded.len(), count(&report, "missing")), (0, 1));
    assert!(flags("A0.bmp").is_empty());
    assert!(flags("b.bmp")[0].contains("“A0.bmp”") && flags("c.bmp")[0].contains("“A0.bmp”"));
    assert_eq!(report["flags"], serde_json::json!({ "duplicate": 2 }));
}

#[test]
fn an_entry_of_another_version_or_without_thumbnail_is_made_again() {
    let scene = Scene::new();
    for i in 0..3 {
        write(&scene.path(&format!("{i}.bmp")), &bmp(i));
    }
    scene.import("");
    scene.let_time_pass();
    scene.sql(
        "UPDATE pictures SET analysis = 0 WHERE id = 1; DELETE FROM thumbnails WHERE picture = 2;",
    );
    let (decoded, report) = scene.decoded(|| scene.import(""));
    assert_eq!(decoded, ["0.bmp", "1.bmp"]);
    assert_eq!(count(&report, "unchanged"), 3);
}

#[test]
fn what_is_held_out_is_known_before_anybody_asks() {
    let scene = Scene::new();
    for seed in 0..12 {
        write(&scene.path(&format!("a/{seed}.bmp")), &bmp(seed));
    }
    let kept = || scene.project.call(|project| project.setting("held_out"));
    scene.import("a");
    let first = kept().unwrap().expect("an import looks for it");
    // Whoever asks gets that, and it is not worked out again.
    let list = usable_pictures(&scene.project).unwrap();
    assert_eq!(list.train.len() + list.held_out.len(), 12);
    assert_eq!(kept().unwrap().as_ref(), Some(&first));
    write(&scene.path("a/12.bmp"), &bmp(12));
    scene.import("a");
    assert_ne!(kept().unwrap(), Some(first));
}
