//! Whole jobs with the base model, on small pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::document::{Level, Raster, Samples};
use crate::engine::pictures::read::load_source;
use crate::engine::{CheckpointChoice, ImportJob, ImportOptions, Storage, Worker};
use crate::error::Kind;
use crate::export::{Metadata, write_png};

#[path = "drawn_tests.rs"]
mod drawn;
#[path = "kept_tests.rs"]
mod kept;

/// Tiles of two colours with some grain.
fn pixels(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let pixel = |i: u32| {
        let (y, x) = (i / width, i % width);
        let grain = ((i ^ seed).wrapping_mul(2_654_435_761) >> 27) as u8;
        let is_dark = (y / 12 + x / 20) % 2 == 0;
        let base = if is_dark {
            [70, 50, 40]
        } else {
            [150, 120, 90]
        };
        [base[0] + grain, base[1] + grain, base[2] + grain, 255]
    };
    (0..width * height).flat_map(pixel).collect()
}

fn save(path: PathBuf, width: u32, height: u32, rgba: Vec<u8>) -> PathBuf {
    let raster = Raster::new(width, height, Samples::Rgba8(rgba)).unwrap();
    write_png(&path, Existing::Replace, &raster, &Metadata::default()).unwrap();
    path
}

fn picture(folder: &Path, name: &str, width: u32, height: u32) -> PathBuf {
    save(folder.join(name), width, height, pixels(width, height, 7))
}

fn job(making: Making, from: Vec<PathBuf>, out: PathBuf) -> GenerateJob {
    GenerateJob {
        model: ModelSource::Base,
        making,
        from: FromPictures {
            files: from,
            project: None,
        },
        look: GenerateLook {
            seed: 3,
            ..GenerateLook::default()
        },
        count: 1,
        maps: Vec::new(),
        has_sheet: false,
        has_origins: false,
        out,
        existing: Existing::Refuse,
        device: DeviceChoice::Cpu,
    }
}

fn run(job: GenerateJob) -> Result<Generated> {
    Worker::start(Arc::new(|| {})).unwrap().run(job, |_| None)
}

fn read(path: &Path) -> Vec<u8> {
    load_source(path).unwrap().rgba8().to_vec()
}

fn tile() -> Making {
    Making::New {
        width: 96,
        height: 64,
        wrap: Wrap { x: true, y: true },
    }
}

#[test]
fn a_tile_comes_with_its_sheet_maps_and_origins_and_repeats_with_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = picture(folder.path(), "source.png", 128, 112);
    let mut first = job(tile(), vec![source.clone()], at("a.png"));
    first.maps = vec![source.clone()];
    (first.has_sheet, first.has_origins) = (true, true);
    let made = run(first).unwrap();
    let names: Vec<_> = made
        .files
        .iter()
        .map(|file| file.file_name().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "a.png",
            "a.source.png",
            "a.origins.png",
            "a.origins.json",
            "a.sheet.png"
        ]
    );
    let tile = load_source(&at("a.png")).unwrap();
    assert_eq!((tile.width(), tile.height()), (96, 64));
    // The source as its own map shows what the tile shows, but for the grain at seams and what rounding does.
    let map = read(&at("a.source.png"));
    let apart: f64 = (map.iter().zip(tile.rgba8().iter()))
        .map(|(a, b)| f64::from(a.abs_diff(*b)))
        .sum();
    assert!(
        apart / (map.len() as f64) < 12.0,
        "{}",
        apart / map.len() as f64
    );
    let bytes = std::fs::read(at("a.png")).unwrap();
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("tessera:generated") && has("\"seed\":3") && has("trainedAlgorithmicMedia"));
    let told = made.to_string();
    assert!(
        told.contains("the largest has") && told.contains("source.png"),
        "{told}"
    );

    run(job(self::tile(), vec![source.clone()], at("b.png"))).unwrap();
    assert_eq!(read(&at("a.png")), read(&at("b.png")));
    let mut other = job(self::tile(), vec![source], at("several"));
    (other.count, other.look.seed) = (2, 4);
    assert_eq!(run(other).unwrap().pictures.len(), 2);
    assert_ne!(read(&at("several/0004.png")), read(&at("a.png")));
}

#[test]
fn a_fill_changes_nothing_beyond_its_halo() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // No whole number of cells, as most pictures.
    let (width, height) = (300, 245);
    let source = picture(folder.path(), "source.png", width, height);
    let white = |i: u32| (100..130).contains(&(i / width)) && (64..110).contains(&(i % width));
    let mask = (0..width * height)
        .flat_map(|i| [if white(i) { 255 } else { 0 }; 3].into_iter().chain([255]));
    let mask = save(at("mask.png"), width, height, mask.collect());
    let fill = |out: &str| {
        let making = Making::Fill {
            picture: source.clone(),
            mask: mask.clone(),
        };
        job(making, Vec::new(), at(out))
    };
    run(fill("out.png")).unwrap();
    let (before, after) = (read(&source), read(&at("out.png")));
    assert_eq!(before.len(), after.len());
    let mut changed = 0;
    for i in 0..width * height {
        let (y, x) = (i / width, i % width);
        let range = i as usize * 4..i as usize * 4 + 4;
        let differs = before[range.clone()] != after[range];
        changed += u32::from(differs && white(i));
        // 112 px are more than any code of the base model reaches.
        let is_far = x > 112 + 112;
        assert!(!(is_far && differs), "pixel {x}, {y}");
    }
    assert!(changed > 200, "{changed} pixels of the hole changed");
}

#[test]
fn an_extension_keeps_the_picture_and_a_variation_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = picture(folder.path(), "source.png", 130, 100);
    let extend = Making::Extend {
        picture: source.clone(),
        by_px: [0, 40, 0, 0],
    };
    run(job(extend, Vec::new(), at("wide.png"))).unwrap();
    let wide = load_source(&at("wide.png")).unwrap();
    assert_eq!((wide.width(), wide.height()), (128 + 48, 96));
    let before = read(&source);
    assert_eq!(wide.rgba8()[..4], before[..4]);
    let vary = Making::Vary {
        picture: source,
        reach: 0.6,
        wrap: Wrap::default(),
    };
    run(job(vary, Vec::new(), at("varied.png"))).unwrap();
    let varied = load_source(&at("varied.png")).unwrap();
    assert_eq!((varied.width(), varied.height()), (130, 100));
    assert_ne!(**varied.rgba8(), before);
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = picture(folder.path(), "source.png", 96, 96);
    let thin = picture(folder.path(), "thin.png", 2000, 1);
    let small = picture(folder.path(), "small.png", 31, 90);
    let clear = save(at("clear.png"), 64, 64, vec![0; 64 * 64 * 4]);
    let black = save(at("black.png"), 96, 96, [0, 0, 0, 255].repeat(96 * 96));
    let white = save(at("white.png"), 96, 96, vec![255; 96 * 96 * 4]);
    let other = save(at("other.png"), 64, 96, vec![255; 64 * 96 * 4]);
    let kind = |job: GenerateJob| {
        let error = run(job).unwrap_err();
        assert!(!error.notice.why.is_empty() && !at("out.png").exists());
        error.kind
    };
    let of = |from: &Path| job(tile(), vec![from.to_path_buf()], at("out.png"));
    assert_eq!(kind(of(&thin)), Kind::Usage);
    assert_eq!(kind(of(&small)), Kind::Usage);
    assert_eq!(kind(of(&clear)), Kind::NoPictures);
    let fill = |mask: &Path| {
        let making = Making::Fill {
            picture: source.clone(),
            mask: mask.to_path_buf(),
        };
        job(making, Vec::new(), at("out.png"))
    };
    assert_eq!(kind(fill(&black)), Kind::Usage);
    assert_eq!(kind(fill(&white)), Kind::NoPictures);
    assert_eq!(kind(fill(&other)), Kind::Usage);
    let mut guided = of(&source);
    guided.look.guide = Some(source.clone());
    assert_eq!(kind(guided), Kind::Usage);
    let mut mapped = of(&source);
    mapped.maps = vec![other];
    assert_eq!(run(mapped).unwrap_err().kind, Kind::Usage);
    let odd = Making::New {
        width: 100,
        height: 64,
        wrap: Wrap { x: true, y: false },
    };
    assert_eq!(
        run(job(odd, vec![source], at("odd.png"))).unwrap_err().kind,
        Kind::Usage
    );
}

#[test]
fn a_code_that_the_model_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = picture(folder.path(), "source.png", 64, 64);
    let out = folder.path().join("a.png");
    for level in Level::ALL {
        let mut wrong = job(tile(), vec![source.clone()], out.clone());
        wrong.look.muted = vec![(level, 60_000)];
        assert_eq!(run(wrong).unwrap_err().kind, Kind::Usage);
    }
    assert!(!out.exists());
}

#[test]
fn pictures_of_a_project_are_encoded_where_its_index_lacks_them() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    picture(&pictures, "a.png", 96, 96);
    let project = Storage::create(&folder.path().join("p.tessera")).unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let import = ImportJob {
        project: project.clone(),
        paths: vec![pictures],
        options: ImportOptions::default(),
        device: DeviceChoice::Cpu,
    };
    worker.run(import, |_| None).unwrap();
    let of_label = |label: Option<&str>, out: &str| {
        let mut made = job(tile(), Vec::new(), folder.path().join(out));
        made.model = ModelSource::Project(project.clone(), CheckpointChoice::Best);
        made.from.project = Some(FromProject {
            label: label.map(str::to_owned),
        });
        worker.run(made, |_| None)
    };
    let made = of_label(None, "a.png").unwrap();
    assert_eq!(made.pictures[0].shares[0].picture, "a.png");
    assert_eq!(
        of_label(Some("no such"), "b.png").unwrap_err().kind,
        Kind::NoPictures
    );
}
