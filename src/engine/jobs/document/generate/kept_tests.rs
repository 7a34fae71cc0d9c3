//! Results as documents of a project, and made again from there.

use super::*;
use crate::canvas;
use crate::document::OWN_SOURCE;
use crate::engine::jobs::document::edit::{ExportTarget, open_row};
use crate::engine::pictures::documents;
use crate::engine::{EditJob, ExportJob, GenerateAgainJob};

struct Room {
    folder: tempfile::TempDir,
    project: Storage,
    worker: Worker,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            project: Storage::create(&folder.path().join("p.tessera")).unwrap(),
            worker: Worker::start(Arc::new(|| {})).unwrap(),
            folder,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn picture(&self, name: &str, width: u32, height: u32) -> PathBuf {
        picture(self.folder.path(), name, width, height)
    }

    fn job(&self, making: Making, from: Vec<PathBuf>, out: &str) -> GenerateJob {
        GenerateJob {
            model: ModelSource::Project(self.project.clone(), CheckpointChoice::Best),
            ..job(making, from, self.at(out))
        }
    }

    fn make(&self, job: GenerateJob) -> Result<Generated> {
        self.worker.run(job, |_| None)
    }

    fn again(
        &self,
        document: Option<DocumentId>,
        seed: Option<u64>,
        out: &str,
    ) -> Result<Generated> {
        let again = GenerateAgainJob {
            project: self.project.clone(),
            document: document.map(|id| id.to_string()),
            seed,
            count: 1,
            keeps: false,
            has_sheet: false,
            has_origins: false,
            out: self.at(out),
            existing: Existing::Refuse,
            device: DeviceChoice::Cpu,
        };
        self.worker.run(again, |_| None)
    }

    fn export(&self, document: DocumentId, out: &str) -> Vec<u8> {
        let export = ExportJob {
            project: self.project.clone(),
            document: Some(document.to_string()),
            out: ExportTarget {
                path: self.at(out),
                existing: Existing::Refuse,
                has_restore_data: false,
            },
            device: DeviceChoice::Cpu,
        };
        self.worker.run(export, |_| None).unwrap();
        read(&self.at(out))
    }

    /// The project closed and opened again.
    fn reopened(self) -> Self {
        let path = self.at("p.tessera");
        let weak = self.project.downgrade();
        drop(self.project);
        while !weak.is_closed() {
            std::thread::yield_now();
        }
        Self {
            project: Storage::open(&path).unwrap(),
            ..self
        }
    }
}

#[test]
fn a_tile_is_a_document_that_looks_as_its_file_and_repeats_after_reopening() {
    let room = Room::new();
    let source = room.picture("source.png", 128, 112);
    let made = room
        .make(room.job(tile(), vec![source.clone()], "tile.png"))
        .unwrap();
    let id = made.pictures[0].document.unwrap();
    let written = read(&room.at("tile.png"));
    assert_eq!(room.export(id, "before.png"), written);
    // The project keeps what it was made from: its file may go.
    std::fs::remove_file(&source).unwrap();
    let room = room.reopened();
    assert_eq!(room.export(id, "after.png"), written);
    let (stored, model) = open_row(&room.project, id, DeviceChoice::Cpu).unwrap();
    assert!(stored.lost.is_none());
    let mut document = stored.document;
    assert_eq!(
        (document.wrap(), stored.name.as_str()),
        (Wrap { x: true, y: true }, "tile")
    );
    assert_eq!(document.history().strokes().len(), 1, "one step");
    document.undo().unwrap();
    assert!(!document.is_edited());
    document.redo().unwrap();
    let raster = canvas::render_document(&model.codec, &document, 8, &()).unwrap();
    assert_eq!(*raster.rgba8(), *written);

    room.again(Some(id), None, "again.png").unwrap();
    assert_eq!(read(&room.at("again.png")), written);
    room.again(None, Some(9), "other.png").unwrap();
    assert_ne!(read(&room.at("other.png")), written);
    assert_eq!(room.project.call(|p| p.documents()).unwrap().len(), 1);

    // Deleting the document lets what was kept for it go.
    room.project.call(move |p| p.delete_document(id)).unwrap();
    let findings = room.project.call(|p| p.check(&())).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(
        room.again(None, None, "gone.png").unwrap_err().kind,
        Kind::NotFound
    );
}

#[test]
fn a_source_that_is_gone_is_told_and_its_cells_are_decoded_alone() {
    let room = Room::new();
    let pictures = room.at("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let source = picture(&pictures, "a.png", 96, 96);
    let import = ImportJob {
        project: room.project.clone(),
        paths: vec![pictures],
        options: ImportOptions::default(),
        device: DeviceChoice::Cpu,
    };
    room.worker.run(import, |_| None).unwrap();
    let mut job = room.job(tile(), Vec::new(), "tile.png");
    job.from.project = Some(FromProject::default());
    let id = room.make(job).unwrap().pictures[0].document.unwrap();
    let written = read(&room.at("tile.png"));
    assert_eq!(room.export(id, "there.png"), written);
    std::fs::remove_file(source).unwrap();
    let room = room.reopened();
    let (stored, model) = open_row(&room.project, id, DeviceChoice::Cpu).unwrap();
    assert!(stored.lost.unwrap().why.contains("a.png"));
    let chain = canvas::Chain::new(
        &model.codec,
        stored.document.geometry(),
        stored.document.wrap(),
    )
    .unwrap();
    let alone = chain.decode_raster(stored.document.edited(), &()).unwrap();
    let alone = alone.rgba8();
    let shown = room.export(id, "gone.png");
    let apart = shown.iter().zip(alone.iter()).map(|(a, b)| a.abs_diff(*b));
    assert!(apart.max().unwrap() <= 1);
    assert_ne!(shown, written);
    let error = room.again(Some(id), None, "again.png").unwrap_err();
    assert!(
        error.kind == Kind::NotFound && error.notice.why.contains("a.png"),
        "{error}"
    );
}

/// A black picture with a white part.
fn mask(
    room: &Room,
    size: (u32, u32),
    x: std::ops::Range<u32>,
    y: std::ops::Range<u32>,
) -> PathBuf {
    let value = |i: u32| {
        if x.contains(&(i % size.0)) && y.contains(&(i / size.0)) {
            255
        } else {
            0
        }
    };
    let rgba = (0..size.0 * size.1)
        .flat_map(|i| [value(i), value(i), value(i), 255])
        .collect();
    save(room.at("mask.png"), size.0, size.1, rgba)
}

#[test]
fn a_fill_is_one_step_on_the_document_and_repeats_on_what_was_there() {
    let room = Room::new();
    let size = (310, 250);
    let source = room.picture("photo.png", size.0, size.1);
    let fill = |picture: PathBuf, x, y, out: &str| {
        let mask = mask(&room, size, x, y);
        room.make(room.job(Making::Fill { picture, mask }, Vec::new(), out))
    };
    let first = fill(source.clone(), 60..110, 90..130, "a.png").unwrap();
    let id = first.pictures[0].document.unwrap();
    assert_eq!(room.export(id, "a-exported.png"), read(&room.at("a.png")));
    // The document by its name; a second fill beside and over the first.
    let second = fill("photo".into(), 96..160, 90..140, "b.png").unwrap();
    assert_eq!(second.pictures[0].document, Some(id));
    let written = read(&room.at("b.png"));
    assert_eq!(room.export(id, "b-exported.png"), written);
    room.again(Some(id), None, "again.png").unwrap();
    assert_eq!(read(&room.at("again.png")), written);

    let (stored, _) = open_row(&room.project, id, DeviceChoice::Cpu).unwrap();
    let mut document = stored.document;
    assert_eq!(document.history().strokes().len(), 2);
    let codes = document.edited().clone();
    for (index, from) in document.coordinates().iter() {
        if from.source == OWN_SOURCE {
            // What was copied from what was copied comes from where that came from.
            let columns = document.geometry().grid_width(Level::Detail);
            let place = u32::from(from.y) * columns + u32::from(from.x);
            assert_eq!(codes.detail.at(index), document.encoded().detail.at(place));
        }
    }
    document.undo().unwrap();
    document.undo().unwrap();
    assert!(!document.is_edited());

    // An empty mask changes nothing and leaves no document behind.
    let count = || room.project.call(|p| p.documents()).unwrap().len();
    let error = fill(source, 0..0, 0..0, "c.png").unwrap_err();
    assert_eq!((error.kind, count()), (Kind::Usage, 1));
    let error = fill("no such".into(), 0..9, 0..9, "c.png").unwrap_err();
    assert_eq!((error.kind, count()), (Kind::NotFound, 1));
}

#[test]
fn an_extension_can_be_painted_on_and_erased() {
    let room = Room::new();
    let source = room.picture("small.png", 128, 96);
    let extend = Making::Extend {
        picture: source.clone(),
        by_px: [0, 48, 0, 16],
    };
    let made = room.make(room.job(extend, Vec::new(), "wide.png")).unwrap();
    let id = made.pictures[0].document.unwrap();
    let wide = read(&room.at("wide.png"));
    assert_eq!(room.export(id, "exported.png"), wide);
    std::fs::write(
        room.at("edits.json"),
        r#"{"tessera_edits": 1, "operations": [
            {"op": "erase", "rect": {"x": 0, "y": 0, "width": 1, "height": 6}},
            {"op": "paint", "level": "structure", "code": 5, "points": [[10.5, 2.5]]}]}"#,
    )
    .unwrap();
    let edit = EditJob {
        model: ModelSource::Project(room.project.clone(), CheckpointChoice::Best),
        target: made.pictures[0].document.unwrap().to_string().into(),
        script: room.at("edits.json"),
        out: ExportTarget {
            path: room.at("edited.png"),
            existing: Existing::Refuse,
            has_restore_data: true,
        },
        device: DeviceChoice::Cpu,
    };
    room.worker.run(edit, |_| None).unwrap();
    let edited = read(&room.at("edited.png"));
    assert_ne!(edited, wide);
    let row = room.project.call(move |p| p.document(id)).unwrap();
    assert_eq!((row.width, row.strokes), (128 + 64, 3));
    // The painted document comes back from the file alone, its edits included.
    let restored = documents::read_picture(&room.at("edited.png")).unwrap();
    let documents::Opened::Restored(restore) = restored else {
        panic!()
    };
    assert!(restore.document.is_edited());
    room.again(Some(id), None, "again.png").unwrap();
    assert_eq!(
        read(&room.at("again.png")),
        wide,
        "made again below what was painted since"
    );

    let vary = Making::Vary {
        picture: id.to_string().into(),
        reach: 0.4,
        wrap: Wrap::default(),
    };
    let varied = room.make(room.job(vary, Vec::new(), "varied.png")).unwrap();
    let other = varied.pictures[0].document.unwrap();
    assert_eq!(room.export(other, "v.png"), read(&room.at("varied.png")));
    let room = room.reopened();
    assert_eq!(room.export(other, "w.png"), read(&room.at("varied.png")));
    room.again(Some(other), None, "x.png").unwrap();
    assert_eq!(read(&room.at("x.png")), read(&room.at("varied.png")));
}

#[test]
fn mirrored_and_turned_pictures_bring_their_texture_along() {
    let room = Room::new();
    let source = room.picture("source.png", 128, 90);
    let mut turned = room.job(tile(), vec![source.clone()], "turned.png");
    (turned.look.is_mirrored, turned.look.is_turned) = (true, true);
    turned.making = Making::New {
        width: 192,
        height: 160,
        wrap: Wrap { x: true, y: true },
    };
    (turned.look.freedom, turned.look.largest_piece_px) = (1.0, Some(32));
    let made = room.make(turned).unwrap();
    let id = made.pictures[0].document.unwrap();
    assert!(
        made.pictures[0].shares.len() > 2,
        "{:?}",
        made.pictures[0].shares
    );
    let (stored, _) = open_row(&room.project, id, DeviceChoice::Cpu).unwrap();
    let sources = stored.document.sources().list().to_vec();
    assert!(sources.iter().any(|source| source.turn.is_mirrored));
    for source in &sources {
        let is_upright = source.turn.quarters % 2 == 0;
        assert_eq!((source.width, source.height) == (128, 90), is_upright);
    }
    let written = read(&room.at("turned.png"));
    let room = room.reopened();
    assert_eq!(room.export(id, "exported.png"), written);
    room.again(Some(id), None, "again.png").unwrap();
    assert_eq!(read(&room.at("again.png")), written);

    let mut mapped = room.job(tile(), vec![source.clone()], "mapped.png");
    mapped.look.is_turned = true;
    mapped.maps = vec![source];
    assert_eq!(room.make(mapped).unwrap_err().kind, Kind::Usage);
}

#[test]
fn a_label_map_says_what_comes_from_where() {
    let room = Room::new();
    let (width, height) = (160, 96);
    let source = room.picture("source.png", width, height);
    let halves = |name: &str, width: u32, height: u32, left: [u8; 4], right: [u8; 4]| {
        let pixel = |i: u32| if i % width < width / 2 { left } else { right };
        save(
            room.at(name),
            width,
            height,
            (0..width * height).flat_map(pixel).collect(),
        )
    };
    let (red, blue) = ([255, 0, 0, 255], [0, 0, 255, 255]);
    let of_source = halves("of-source.png", width, height, red, blue);
    let target = halves("target.png", 96, 64, blue, red);
    let mut labelled = room.job(tile(), vec![source.clone()], "labelled.png");
    labelled.look.labels = Some(target.clone());
    labelled.look.source_labels = vec![of_source.clone()];
    labelled.has_origins = true;
    let id = room.make(labelled).unwrap().pictures[0].document.unwrap();
    let origins = std::fs::read(room.at("labelled.origins.json")).unwrap();
    let origins: serde_json::Value = serde_json::from_slice(&origins).unwrap();
    let columns = 96 / 4;
    for (index, place) in origins["detail_cells"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let is_left = index % columns < columns / 2;
        let from_left = place[2].as_u64().unwrap() < 20;
        assert_eq!(is_left, !from_left, "cell {index}");
    }
    room.again(Some(id), None, "again.png").unwrap();
    assert_eq!(read(&room.at("again.png")), read(&room.at("labelled.png")));
    std::fs::remove_file(&target).unwrap();
    assert_eq!(
        room.again(Some(id), None, "gone.png").unwrap_err().kind,
        Kind::NotFound
    );

    let refused = |labels: &Path, of: Vec<PathBuf>| {
        let mut job = room.job(tile(), vec![source.clone()], "refused.png");
        job.look.labels = Some(labels.to_path_buf());
        job.look.source_labels = of;
        room.make(job).unwrap_err().kind
    };
    let target = halves("target.png", 96, 64, blue, red);
    assert_eq!(refused(&of_source, vec![of_source.clone()]), Kind::Usage);
    assert_eq!(refused(&target, vec![target.clone()]), Kind::Usage);
    assert_eq!(refused(&target, Vec::new()), Kind::Usage);
    let green = halves("green.png", 96, 64, [0, 255, 0, 255], red);
    assert_eq!(refused(&green, vec![of_source]), Kind::Usage);
}

#[test]
fn scripts_fill_paint_and_join_borders_with_texture() {
    let room = Room::new();
    let size = (240, 208);
    let source = room.picture("photo.png", size.0, size.1);
    let other = room.picture("other.png", 96, 80);
    let edit = |operations: &str, target: PathBuf, out: &str| {
        let text = format!(r#"{{"tessera_edits": 1, "operations": [{operations}]}}"#);
        std::fs::write(room.at("edits.json"), text).unwrap();
        let edit = EditJob {
            model: ModelSource::Project(room.project.clone(), CheckpointChoice::Best),
            target,
            script: room.at("edits.json"),
            out: ExportTarget {
                path: room.at(out),
                existing: Existing::Refuse,
                has_restore_data: false,
            },
            device: DeviceChoice::Cpu,
        };
        room.worker.run(edit, |_| None)
    };
    let quilt = r#"{"op":"select","area":{"rect":{"x":2,"y":2,"width":3,"height":3}}},
        {"op":"quilt","look":{"seed":4}}"#;
    edit(quilt, source.clone(), "a.png").unwrap();
    let id = room.project.call(|p| p.documents()).unwrap()[0].id;
    let open = || {
        open_row(&room.project, id, DeviceChoice::Cpu)
            .unwrap()
            .0
            .document
    };
    let document = open();
    let geometry = document.geometry();
    let inside = |index: u32| {
        let (y, x) = (
            index / geometry.grid_width(Level::Detail),
            index % geometry.grid_width(Level::Detail),
        );
        (8..20).contains(&x) && (8..20).contains(&y)
    };
    let changed: Vec<u32> = document.changed_cells(Level::Detail).collect();
    assert!(changed.len() > 100 && changed.iter().all(|index| inside(*index)));
    for (_, from) in document.coordinates().iter() {
        let place = u32::from(from.y) * geometry.grid_width(Level::Detail) + u32::from(from.x);
        assert!(from.source == OWN_SOURCE && !inside(place), "{from:?}");
    }
    // The same script gives the same picture.
    edit(quilt, source, "again.png").unwrap();
    assert_eq!(read(&room.at("a.png")), read(&room.at("again.png")));

    let name = || PathBuf::from(id.to_string());
    let texture = r#"{"op":"texture","points":[[7.5,7.5],[11.5,8.5]],"brush":{"size":3},
        "look":{"from":["other.png"],"freedom":0}}"#;
    assert_eq!(edit(texture, name(), "b.png").unwrap().strokes, 1);
    let document = open();
    assert_eq!(document.history().strokes().len(), 2, "one step");
    assert_eq!(document.sources().list()[0].name, "other.png");
    let from_other = document
        .coordinates()
        .iter()
        .filter(|(_, from)| from.source == 1);
    assert!(from_other.count() >= 9 * 16);
    std::fs::remove_file(other).unwrap();
    assert_eq!(
        room.export(id, "c.png"),
        read(&room.at("b.png")),
        "kept in the project"
    );
    assert_eq!(
        edit(texture, name(), "d.png").unwrap_err().kind,
        Kind::NotFound
    );

    // A tile joins at its borders already; they can be made anew all the same.
    let tile = room
        .make(room.job(tile(), vec![room.at("photo.png")], "tile.png"))
        .unwrap();
    let tile = tile.pictures[0].document.unwrap();
    let seamless = r#"{"op":"seamless","border":1}"#;
    edit(seamless, tile.to_string().into(), "seamless.png").unwrap();
    let (stored, _) = open_row(&room.project, tile, DeviceChoice::Cpu).unwrap();
    let stroke = stored.document.history().strokes()[1].clone();
    let wide = stored.document.geometry().grid_width(Level::Structure);
    for delta in stroke
        .deltas
        .iter()
        .filter(|delta| delta.level == Level::Structure)
    {
        let (y, x) = (delta.index / wide, delta.index % wide);
        assert!(x == 0 || y == 0 || x == wide - 1 || y == 3, "{x}, {y}");
    }
    assert_eq!(
        edit(seamless, name(), "e.png").unwrap_err().kind,
        Kind::Usage
    );
}
