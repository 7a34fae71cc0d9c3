//! Filling and reading the index, with a model of a few thousand parameters.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Device;
use image::RgbaImage;

use super::*;
use crate::canvas;
use crate::codec::checkpoint::Precision;
use crate::codec::{Codec, CodecConfig};
use crate::document::{Source, Wrap};
use crate::engine::pictures::documents;
use crate::engine::pictures::encodings::encode::indexed_size;
use crate::progress::{Observer, Stop};
use crate::project::NewPicture;

struct Scene {
    folder: tempfile::TempDir,
    project: Storage,
}

/// Asks to stop once so many pictures are done.
struct StopAfter {
    pictures: u64,
    done: AtomicU64,
}

impl Observer for StopAfter {
    fn stop(&self) -> Option<Stop> {
        (self.done.load(Ordering::Relaxed) >= self.pictures).then_some(Stop::Cancel)
    }

    fn progress(&self, done: u64, _: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
}

fn model(seed: u64) -> Model {
    let codec = Codec::new(CodecConfig::tiny(), seed, &Device::Cpu).unwrap();
    let bytes = codec.save_bytes(Precision::F32).unwrap();
    Model::from_bytes(bytes, format!("model {seed}"), &Device::Cpu).unwrap()
}

fn pixels(seed: u32) -> RgbaImage {
    RgbaImage::from_fn(50 + seed % 3 * 20, 40, |x, y| {
        let at = (x / (seed % 7 + 3) + y / (seed % 5 + 2)) * 53 + seed * 97;
        image::Rgba([(at % 256) as u8, (at * 3 % 256) as u8, (x * 3) as u8, 255])
    })
}

impl Scene {
    /// A project with pictures 0, 1, …
    fn new(pictures: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Storage::create(&folder.path().join("p.tessera")).unwrap();
        let scene = Self { folder, project };
        let new: Vec<NewPicture> = (0..pictures).map(|seed| scene.write(seed, seed)).collect();
        scene.add(new);
        scene
    }

    fn path(&self, name: u32) -> PathBuf {
        self.folder.path().join(format!("{name}.png"))
    }

    /// Writes a picture's file and says what an import would find.
    fn write(&self, name: u32, seed: u32) -> NewPicture {
        let path = self.path(name);
        let image = pixels(seed);
        image.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        NewPicture {
            path,
            label: name.is_multiple_of(2).then(|| "even".to_owned()),
            blake3: ContentHash::of(&bytes),
            file_bytes: bytes.len() as u64,
            modified_ms: 0,
            changed_ns: None,
            analysis: 1,
            width: image.width(),
            height: image.height(),
            format: "PNG".into(),
            bit_depth: 8,
            has_alpha: false,
            phash: None,
            flags: Vec::new(),
            thumbnail: Vec::new(),
            excluded: false,
        }
    }

    fn add(&self, new: Vec<NewPicture>) {
        let root = self.folder.path().to_path_buf();
        let added = self.project.call(move |project| {
            let mut import = project.begin_import(&root)?;
            project.add_pictures(&mut import, &new)?;
            project.finish_import(import, false)
        });
        added.unwrap();
    }

    fn encodings(&self, model: &Model) -> Encodings {
        Encodings::new(&self.project, model).unwrap()
    }

    fn fill(&self, model: &Model, observer: &dyn Observer) -> Result<FillReport> {
        let usable = [EncodingsOf::Matching(PictureFilter::usable())];
        fill(&self.encodings(model), model, usable, true, observer)
    }

    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.project.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

fn all(encodings: &Encodings) -> Vec<EncodedPicture> {
    encodings.all().collect::<Result<_>>().unwrap()
}

/// New, stale, damaged, kept, failed.
fn numbers(report: &FillReport) -> [u64; 5] {
    let FillReport {
        new,
        stale,
        damaged,
        kept,
        failed,
        ..
    } = *report;
    [new, stale, damaged, kept, failed]
}

fn direct(model: &Model, path: &Path) -> (Codes, Vec<f32>) {
    let image = image::open(path).unwrap().into_rgba8();
    let (width, height) = image.dimensions();
    let sides = (width as usize, height as usize);
    let source = Source::from_rgba8(width, height, image.into_raw()).unwrap();
    let codes = canvas::encode(&model.codec, &source, Wrap::default(), &()).unwrap();
    let embedding = model.codec.embed_picture(source.rgba8(), sides).unwrap();
    (codes, embedding)
}

#[test]
fn filling_can_be_stopped_at_any_picture_and_goes_on() {
    let scene = Scene::new(5);
    let model = model(1);
    let observer = StopAfter {
        pictures: 2,
        done: AtomicU64::new(0),
    };
    let error = scene.fill(&model, &observer).unwrap_err();
    assert!(error.is_cancelled());
    assert!(error.notice.next.starts_with("2 pictures are"), "{error}");
    let encodings = scene.encodings(&model);
    let usable = PictureFilter::usable();
    let counts = encodings.counts(&usable).unwrap();
    assert_eq!((counts.current, counts.stale, counts.missing), (2, 0, 3));
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [3, 0, 0, 2, 0]);
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [0, 0, 0, 5, 0]);

    let found = all(&encodings);
    assert_eq!(found.len(), 5);
    for (name, picture) in (0..).zip(&found) {
        assert_eq!(picture.path, scene.path(name));
        let (codes, embedding) = direct(&model, &picture.path);
        assert_eq!((&picture.codes, &picture.embedding), (&codes, &embedding));
        assert_eq!(embedding.len(), 8);
        assert_eq!((picture.width, picture.height), pixels(name).dimensions());
    }
    let mut embeddings = Vec::new();
    encodings
        .for_each_embedding(&usable, |id, embedding| {
            embeddings.push((id, embedding));
            Ok(())
        })
        .unwrap();
    let expected: Vec<_> = found
        .iter()
        .map(|p| (p.picture, p.embedding.clone()))
        .collect();
    assert_eq!(embeddings, expected);
}

#[test]
fn a_picture_with_other_content_is_encoded_again() {
    let scene = Scene::new(3);
    let model = model(1);
    scene.fill(&model, &()).unwrap();
    let encodings = scene.encodings(&model);
    // The file alone: the index is of what was imported.
    let changed = scene.write(1, 11);
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [0, 0, 0, 3, 0]);
    scene.add(vec![changed]);
    assert_eq!(
        all(&encodings).len(),
        2,
        "codes of other content are left out"
    );
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [0, 1, 0, 2, 0]);
    let found = all(&encodings);
    assert_eq!(found[1].codes, direct(&model, &scene.path(1)).0);
    // Changed and gone since the import: told, and no reason to end.
    scene.write(0, 20);
    std::fs::remove_file(scene.path(2)).unwrap();
    scene.sql("DELETE FROM encodings");
    let report = scene.fill(&model, &()).unwrap();
    assert_eq!(numbers(&report), [1, 0, 0, 0, 2]);
    assert!(report.failures[0].why.contains("changed since"));
    assert!(report.failures.iter().all(|failure| failure.path.is_some()));
}

#[test]
fn each_model_has_its_own_codes_and_superseded_ones_go() {
    let scene = Scene::new(3);
    let (first, second, third) = (model(1), model(2), model(3));
    let source = Source::from_rgba8(16, 16, vec![7; 1024]).unwrap();
    documents::create(&scene.project, "a", (source, vec![1]), &first, &()).unwrap();
    for model in [&first, &second, &third] {
        assert_eq!(numbers(&scene.fill(model, &()).unwrap()), [3, 0, 0, 0, 0]);
    }
    let codes = |model: &Model| -> Vec<Codes> {
        all(&scene.encodings(model))
            .into_iter()
            .map(|p| p.codes)
            .collect()
    };
    assert_ne!(codes(&first), codes(&second));
    let removed = forget_superseded(&scene.encodings(&third), &()).unwrap();
    assert_eq!(removed, 3);
    // The first is a document's.
    let left = [&first, &second, &third].map(|model| codes(model).len());
    assert_eq!(left, [3, 0, 3]);
}

#[test]
fn rows_that_do_not_fit_are_never_handed_out_and_encoded_again() {
    let scene = Scene::new(4);
    let model = model(1);
    scene.fill(&model, &()).unwrap();
    let encodings = scene.encodings(&model);
    let whole = all(&encodings);
    for forged in [
        // Structure codes 24 to 31 do not exist.
        "structure = CAST(replace(hex(zeroblob(length(structure))), '00', x'ff') AS BLOB)",
        "structure = substr(structure, 2)",
        "detail = CAST(detail || x'00' AS BLOB)",
        "detail = x''",
        "detail = zeroblob(5000000)",
        "embedding = substr(embedding, 2)",
        "embedding = zeroblob(4000000)",
        "embedding = CAST(replace(hex(zeroblob(length(embedding))), '00', x'ff') AS BLOB)",
        "width = 0",
        "width = -5",
        "width = width + 16",
        "width = 32768, height = 32768",
        "width = 99999999999, height = 99999999999",
    ] {
        scene.sql(&format!("UPDATE encodings SET {forged} WHERE picture = 2"));
        let report = scene.fill(&model, &()).unwrap();
        assert_eq!(numbers(&report), [0, 0, 1, 3, 0], "{forged}");
        assert_eq!(all(&encodings), whole, "{forged}");
        scene.sql(&format!("UPDATE encodings SET {forged} WHERE picture = 3"));
        assert_eq!(all(&encodings).len(), 3, "{forged}");
        let report = scene.fill(&model, &()).unwrap();
        assert_eq!(numbers(&report), [1, 0, 0, 3, 0], "{forged}");
    }
}

#[test]
fn pictures_are_found_by_id_and_label_and_rows_go_with_them() {
    let scene = Scene::new(6);
    let model = model(1);
    scene.fill(&model, &()).unwrap();
    let encodings = scene.encodings(&model);
    let ids = |found: EncodedPictures<'_>| -> Vec<PictureId> {
        found.map(|picture| picture.unwrap().picture).collect()
    };
    assert_eq!(ids(encodings.all()), [1, 2, 3, 4, 5, 6]);
    assert_eq!(ids(encodings.of_label("even")), [1, 3, 5]);
    assert_eq!(ids(encodings.of(&[5, 2, 99, 2])), [2, 5]);
    assert_eq!(ids(encodings.of(&[])), [0; 0]);
    let changed = scene.project.call(|project| {
        project.set_excluded(&[3], true)?;
        project.set_missing(&[4], true)?;
        project.delete_pictures(&[1])
    });
    changed.unwrap();
    assert_eq!(ids(encodings.all()), [2, 5, 6]);
    assert_eq!(ids(encodings.of(&[1, 3])), [3]);
    // Nothing is encoded for pictures that nobody uses.
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [0, 0, 0, 3, 0]);
}

#[test]
fn a_large_picture_is_encoded_smaller() {
    let scene = Scene::new(0);
    let model = model(1);
    let mut new = scene.write(0, 0);
    let image = image::RgbImage::from_fn(2600, 1700, |x, y| image::Rgb([x as u8, y as u8, 9]));
    image.save(&new.path).unwrap();
    new.blake3 = ContentHash::of(&std::fs::read(&new.path).unwrap());
    (new.width, new.height) = image.dimensions();
    scene.add(vec![new]);
    assert_eq!(numbers(&scene.fill(&model, &()).unwrap()), [1, 0, 0, 0, 0]);
    let found = all(&scene.encodings(&model));
    let size = (found[0].width, found[0].height);
    assert_eq!(size, indexed_size((2600, 1700)));
    assert_eq!(found[0].codes.structure.width(), size.0.div_ceil(16));
}
