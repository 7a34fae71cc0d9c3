//! Crops: deterministic, complete, and what the codec expects. Flags: what is blurry, what is a copy.
#![allow(clippy::unwrap_used)] // a test that cannot go on may panic

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{DynamicImage, Rgba, RgbaImage};
use tessera::dataset::analysis::Analysis;
use tessera::dataset::flags::of_picture;
use tessera::dataset::{
    Augment, CropSource, Crops, CropsConfig, Fingerprint, FlagOptions, ImportOptions, Limits,
    NearIndex, Picture, decode_bytes, decode_file, scan, split_held_out,
};
use tessera::error::Kind;

fn source(path: &Path) -> CropSource {
    let bytes = std::fs::read(path).unwrap();
    let decoded = decode_bytes(&bytes, &Limits::default()).unwrap();
    CropSource {
        path: path.to_owned(),
        content_hash: *blake3::hash(&bytes).as_bytes(),
        width: decoded.width,
        height: decoded.height,
    }
}

fn write(dir: &Path, name: &str, image: &RgbaImage) -> CropSource {
    let path = dir.join(name);
    image.save(&path).unwrap();
    source(&path)
}

/// A picture whose pixels tell their place: red is x, green is y, blue is `id`.
fn map(width: u32, height: u32, id: u8) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| Rgba([x as u8, y as u8, id, 255]))
}

fn byte(v: f32) -> u8 {
    ((v + 1.0) * 127.5).round() as u8
}

/// Nothing varied but the place.
fn plain(side_px: u32) -> CropsConfig {
    CropsConfig {
        side_px,
        batch_size: 4,
        seed: 5,
        augment: Augment {
            min_scale: 1.0,
            flips_x: false,
            ..Augment::default()
        },
        ..CropsConfig::default()
    }
}

#[test]
fn a_crop_depends_on_seed_step_and_slot_only() {
    let dir = tempfile::tempdir().unwrap();
    let sources: Vec<CropSource> = (0..7)
        .map(|i| {
            let image = map(60 + i * 40, 250 - i * 30, i as u8 * 30);
            write(dir.path(), &format!("{i}.png"), &image)
        })
        .collect();
    let config = CropsConfig {
        side_px: 96,
        batch_size: 6,
        seed: 11,
        augment: Augment {
            flips_y: true,
            brightness: 0.1,
            hue_degrees: 5.0,
            ..Augment::default()
        },
        working_side_px: Some(512),
        ..CropsConfig::default()
    };
    let crops = Crops::new(sources.clone(), config.clone()).unwrap();
    let forward: Vec<_> = (0..9).map(|step| crops.batch(step).unwrap()).collect();
    // Backwards, one by one, without room for a single picture in the cache, from many threads.
    let tight = CropsConfig {
        cache_bytes: 1,
        ..config.clone()
    };
    let again = Arc::new(Crops::new(sources.clone(), tight).unwrap());
    std::thread::scope(|scope| {
        for slot in 0..6u32 {
            let (again, forward) = (Arc::clone(&again), &forward);
            scope.spawn(move || {
                for step in (0..9).rev() {
                    let crop = again.crop(step, slot).unwrap();
                    let at = slot as usize * crop.len();
                    assert!(
                        crop == forward[step as usize][at..at + crop.len()],
                        "step {step} slot {slot}"
                    );
                }
            });
        }
    });
    let other_seed = CropsConfig { seed: 12, ..config };
    let other = Crops::new(sources, other_seed).unwrap();
    assert_ne!(other.batch(0).unwrap(), forward[0]);
    assert!(forward.iter().flatten().all(|v| (-1.0..=1.0).contains(v)));
}

#[test]
fn every_picture_comes_once_per_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let sources: Vec<CropSource> = (0..10)
        .map(|i| write(dir.path(), &format!("{i}.png"), &map(80, 80, i * 20)))
        .collect();
    let crops = Crops::new(sources, plain(64)).unwrap();
    // Steps of 4 over 10 pictures: 5 steps are 2 epochs.
    let ids: Vec<u8> = (0..5)
        .flat_map(|step| crops.batch(step).unwrap())
        .collect::<Vec<_>>()
        .chunks_exact(64 * 64 * 4)
        .map(|crop| byte(crop[2]))
        .collect();
    for epoch in ids.chunks_exact(10) {
        assert_eq!(epoch.iter().collect::<HashSet<_>>().len(), 10, "{ids:?}");
    }
    assert_ne!(ids[..10], ids[10..], "each epoch has its own order");
}

#[test]
fn a_crop_shows_the_stored_pixels_and_all_places_are_visited() {
    let dir = tempfile::tempdir().unwrap();
    let source = write(dir.path(), "map.png", &map(200, 150, 77));
    let crops = Crops::new(vec![source], plain(64)).unwrap();
    let (mut left, mut right) = (255, 0);
    for step in 0..60 {
        for crop in crops.batch(step).unwrap().chunks_exact(64 * 64 * 4) {
            let (x0, y0) = (byte(crop[0]), byte(crop[1]));
            for (i, p) in crop.chunks_exact(4).enumerate() {
                let pixel = [byte(p[0]), byte(p[1]), byte(p[2]), byte(p[3])];
                let expected = [x0 + (i % 64) as u8, y0 + (i / 64) as u8, 77, 255];
                assert_eq!(pixel, expected);
            }
            left = left.min(x0);
            right = right.max(x0 + 63);
        }
    }
    assert!(left < 5 && right > 194, "{left}..{right} of 0..199");
}

#[test]
fn transparent_colour_is_premultiplied_away() {
    let dir = tempfile::tempdir().unwrap();
    let image = RgbaImage::from_fn(64, 64, |x, _| {
        Rgba([255, 128, 0, if x < 32 { 0 } else { 128 }])
    });
    let source = write(dir.path(), "half.png", &image);
    let crops = Crops::new(vec![source], plain(64)).unwrap();
    for crop in (0..8)
        .flat_map(|step| crops.batch(step).unwrap())
        .collect::<Vec<_>>()
        .chunks_exact(4)
    {
        let pixel = [byte(crop[0]), byte(crop[1]), byte(crop[2]), byte(crop[3])];
        assert!(
            pixel == [0, 0, 0, 0] || pixel == [128, 64, 0, 128],
            "{pixel:?}"
        );
    }
}

#[test]
fn small_pictures_share_a_crop_whole() {
    let dir = tempfile::tempdir().unwrap();
    let sources: Vec<CropSource> = (0..6)
        .map(|i| {
            let image =
                RgbaImage::from_fn(30, 30, |x, y| Rgba([x as u8 * 8, y as u8 * 8, i * 40, 255]));
            write(dir.path(), &format!("{i}.png"), &image)
        })
        .collect();
    let crops = Crops::new(sources, plain(128)).unwrap();
    for step in 0..10 {
        for crop in crops.batch(step).unwrap().chunks_exact(128 * 128 * 4) {
            for cell in 0..16 {
                let (cx, cy) = (cell % 4 * 32, cell / 4 * 32);
                let pixels: HashSet<[u8; 2]> = (0..32 * 32)
                    .map(|i| {
                        let at = ((cy + i / 32) * 128 + cx + i % 32) * 4;
                        [byte(crop[at]), byte(crop[at + 1])]
                    })
                    .collect();
                assert_eq!(pixels.len(), 900, "every pixel of the picture is there");
            }
        }
    }
    // 100 px fit into no cell: one picture, whole, its edge repeated.
    let image = RgbaImage::from_fn(100, 90, |x, y| Rgba([x as u8 * 2, y as u8 * 2, 9, 255]));
    let crops = Crops::new(vec![write(dir.path(), "a.png", &image)], plain(128)).unwrap();
    for crop in crops.batch(3).unwrap().chunks_exact(128 * 128 * 4) {
        let reds: HashSet<u8> = crop.chunks_exact(4).map(|p| byte(p[0])).collect();
        let greens: HashSet<u8> = crop.chunks_exact(4).map(|p| byte(p[1])).collect();
        assert_eq!((reds.len(), greens.len()), (100, 90));
    }
}

#[test]
fn shrunk_crops_keep_the_mean_and_show_more() {
    let dir = tempfile::tempdir().unwrap();
    let source = write(dir.path(), "map.png", &map(250, 250, 50));
    let config = CropsConfig {
        augment: Augment {
            flips_x: false,
            ..Augment::default()
        },
        ..plain(64)
    };
    let crops = Crops::new(vec![source], config).unwrap();
    let spans: Vec<f32> = (0..100)
        .flat_map(|step| crops.batch(step).unwrap())
        .collect::<Vec<_>>()
        .chunks_exact(64 * 64 * 4)
        .map(|crop| (crop[63 * 4] - crop[0]) * 127.5 / 63.0)
        .collect();
    let as_stored = spans.iter().filter(|s| (**s - 1.0).abs() < 0.01).count();
    assert!((160..330).contains(&as_stored), "{as_stored} of 400");
    assert!(spans.iter().all(|s| (0.95..=2.05).contains(s)));
    assert!(spans.iter().any(|s| *s > 1.8));
}

#[test]
fn a_vanished_picture_is_replaced_and_an_edited_one_used() {
    let dir = tempfile::tempdir().unwrap();
    let sources: Vec<CropSource> = (0..3)
        .map(|i| write(dir.path(), &format!("{i}.png"), &map(64, 64, i * 80)))
        .collect();
    std::fs::remove_file(&sources[1].path).unwrap();
    map(64, 64, 200).save(&sources[2].path).unwrap();
    let crops = Crops::new(sources.clone(), plain(64)).unwrap();
    let ids: HashSet<u8> = (0..6)
        .flat_map(|step| crops.batch(step).unwrap())
        .collect::<Vec<_>>()
        .chunks_exact(64 * 64 * 4)
        .map(|crop| byte(crop[2]))
        .collect();
    assert_eq!(ids, HashSet::from([0, 200]));
    let mut warnings: Vec<String> = crops
        .take_warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    warnings.sort();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(crops.take_warnings().is_empty());
    assert_eq!(crops.centre(1, 64).unwrap_err().kind, Kind::NotFound);
    for s in &sources {
        let _ = std::fs::remove_file(&s.path);
    }
    let crops = Crops::new(sources, plain(64)).unwrap();
    assert_eq!(crops.batch(0).unwrap_err().kind, Kind::NoPictures);
    assert_eq!(
        Crops::new(Vec::new(), plain(64)).err().unwrap().kind,
        Kind::NoPictures
    );
}

#[test]
fn the_centre_is_cut_to_cells() {
    let dir = tempfile::tempdir().unwrap();
    let large = write(dir.path(), "large.png", &map(250, 75, 9));
    let tiny = write(dir.path(), "tiny.png", &map(10, 40, 9));
    let crops = Crops::new(vec![large, tiny], plain(64)).unwrap();
    let window = crops.centre(0, 200).unwrap();
    assert_eq!((window.width, window.height), (192, 64));
    assert_eq!(window.values.len(), 192 * 64 * 4);
    assert_eq!((byte(window.values[0]), byte(window.values[1])), (29, 5));
    let window = crops.centre(1, 200).unwrap();
    assert_eq!((window.width, window.height), (16, 32));
    assert_eq!(byte(window.values[0]), 0);
    assert_eq!(byte(window.values[15 * 4]), 9, "the edge repeats");
}

fn import(root: PathBuf) -> Vec<Picture> {
    let mut pictures = Vec::new();
    scan(&[root], &ImportOptions::default(), &(), &mut |p| {
        pictures.push(p);
        Ok(())
    })
    .unwrap();
    pictures
}

#[test]
fn photos_are_sharp_and_blurred_photos_blurry() {
    let Some(data) = common::shared_data() else {
        return;
    };
    let options = FlagOptions::default();
    let mut photos = 0;
    for entry in std::fs::read_dir(data.join("photos-test")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(photo) = decode_file(&path, &Limits::default()) else {
            continue; // a licence
        };
        photos += 1;
        let flags_of = |image: &DynamicImage| {
            let decoded = tessera::dataset::Decoded {
                width: image.width(),
                height: image.height(),
                rgba8: image.to_rgba8().into_raw(),
                ..photo.clone()
            };
            of_picture(
                decoded.width,
                decoded.height,
                &Analysis::of(&decoded),
                &options,
            )
        };
        let image = DynamicImage::ImageRgba8(
            RgbaImage::from_raw(photo.width, photo.height, photo.rgba8.clone()).unwrap(),
        );
        assert_eq!(flags_of(&image), [], "{}", path.display());
        for sigma in [4.0, 8.0] {
            let flags = flags_of(&image.fast_blur(sigma));
            assert_eq!(flags.len(), 1, "{} at σ {sigma}", path.display());
            assert_eq!(flags[0].name(), "blurry");
        }
        // A blurred background does not make a picture blurry.
        let mut shallow = image.fast_blur(6.0).into_rgba8();
        let (w, h) = (photo.width / 3, photo.height / 3);
        let sharp = image::imageops::crop_imm(&image.to_rgba8(), w, h, w, h).to_image();
        image::imageops::replace(&mut shallow, &sharp, i64::from(w), i64::from(h));
        assert_eq!(
            flags_of(&DynamicImage::ImageRgba8(shallow)),
            [],
            "{}",
            path.display()
        );
    }
    assert!(photos >= 12);
}

#[test]
fn the_personal_sets_are_clean_and_their_copies_are_found() {
    let Some(data) = common::shared_data() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let names = ["personal-emoji", "personal-art", "textures"];
    for name in names {
        let pictures = import(data.join(name));
        let flagged: Vec<_> = pictures.iter().filter(|p| !p.flags.is_empty()).collect();
        eprintln!(
            "{name}: {:?}",
            flagged
                .iter()
                .map(|p| (&p.relative, &p.flags))
                .collect::<Vec<_>>()
        );
        assert!(flagged.len() <= 1 + pictures.len() / 50, "{name}");
        // A smaller copy of every tenth picture, strongly compressed where it is opaque.
        for (i, p) in pictures.iter().enumerate().step_by(10) {
            let image = image::open(&p.path).unwrap();
            let small = image.thumbnail_exact(p.width * 2 / 3, p.height * 2 / 3);
            let to = dir.path().join(name);
            std::fs::create_dir_all(&to).unwrap();
            std::fs::copy(&p.path, to.join(format!("{i:03}_a"))).unwrap();
            if p.has_alpha {
                small.save(to.join(format!("{i:03}_b.png"))).unwrap();
            } else {
                let file = std::fs::File::create(to.join(format!("{i:03}_b.jpg"))).unwrap();
                image::codecs::jpeg::JpegEncoder::new_with_quality(file, 50)
                    .encode_image(&small.into_rgb8())
                    .unwrap();
            }
        }
    }
    let (mut found, mut copies) = (0, 0);
    for p in import(dir.path().to_owned()) {
        let own = p.relative.to_string_lossy().into_owned();
        let near: Vec<_> = p
            .flags
            .iter()
            .filter(|f| f.name() == "near_duplicate")
            .collect();
        if own.contains("_b.") {
            copies += 1;
            let original = own.split("_b.").next().unwrap().to_owned() + "_a";
            found += usize::from(near.iter().any(
                |f| matches!(f, tessera::dataset::Flag::NearDuplicate { of, .. } if *of == original),
            ));
        } else {
            assert!(near.is_empty(), "{own}: {near:?}");
        }
    }
    assert!(copies > 40);
    eprintln!("{found} of {copies} copies found");
    assert!(found * 10 >= copies * 8, "{found} of {copies} copies found");
}

#[test]
fn blank_pictures_are_no_copies_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let save = |name: &str, image: RgbaImage| image.save(dir.path().join(name)).unwrap();
    for i in 0..5u8 {
        let n = u32::from(i);
        save(
            &format!("clear{i}.png"),
            RgbaImage::from_pixel(50 + n, 50, Rgba([0, 0, 0, 0])),
        );
        save(
            &format!("grey{i}.png"),
            RgbaImage::from_pixel(50 + n, 50, Rgba([i * 40, 9, 9, 255])),
        );
        // The shape is in the alpha alone.
        save(
            &format!("shape{i}.png"),
            RgbaImage::from_fn(64, 64, |x, y| {
                let inside = match i {
                    0 => x < 32,
                    1 => y < 32,
                    2 => (x + y) % 64 < 32,
                    3 => x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2) < 400,
                    _ => (x / 8 + y / 8) % 2 == 0,
                };
                Rgba([0, 0, 0, if inside { 255 } else { 0 }])
            }),
        );
    }
    for p in import(dir.path().to_owned()) {
        let names: Vec<_> = p.flags.iter().map(|f| f.name()).collect();
        let expected: &[&str] = if p.relative.to_string_lossy().starts_with("shape") {
            &[]
        } else {
            &["flat"]
        };
        assert_eq!(names, expected, "{}", p.relative.display());
    }
}

fn pseudo_random_print(seed: u64) -> Fingerprint {
    let mut bytes = [0; Fingerprint::BYTES];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    Fingerprint::from_bytes(&bytes).unwrap()
}

#[test]
fn near_copies_are_found_among_a_hundred_thousand() {
    let mut index = NearIndex::new();
    let start = std::time::Instant::now();
    for i in 0..100_000 {
        assert_eq!(index.insert(pseudo_random_print(i)), i as usize);
    }
    let mut found = 0;
    for i in (0..100_000).step_by(100) {
        let mut bytes = pseudo_random_print(i).to_bytes();
        // 31 bits changed, spread by a step that hits every band.
        for k in 0..31u64 {
            let bit = (i * 7 + k * 17) % 256;
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        let print = Fingerprint::from_bytes(&bytes).unwrap();
        found += usize::from(index.find(&print).is_some_and(|(at, _)| at == i as usize));
        assert!(index.find(&pseudo_random_print(1_000_000 + i)).is_none());
    }
    assert_eq!(found, 1000);
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn the_held_out_split_follows_the_content() {
    let pictures: Vec<([u8; 32], Fingerprint)> = (0..100u64)
        .map(|i| {
            // Pictures 2k and 2k + 1 are near copies.
            let mut bytes = pseudo_random_print(i / 2).to_bytes();
            bytes[0] ^= (i % 2) as u8;
            (
                *blake3::hash(&i.to_le_bytes()).as_bytes(),
                Fingerprint::from_bytes(&bytes).unwrap(),
            )
        })
        .collect();
    let split = split_held_out(&pictures);
    assert!(split.is_separate);
    assert!(
        (8..=12).contains(&split.held_out.len()),
        "{:?}",
        split.held_out
    );
    assert_eq!(split.train.len() + split.held_out.len(), 100);
    for i in &split.held_out {
        assert!(
            split.held_out.contains(&(i ^ 1)),
            "near copies stay together"
        );
    }
    // The order given does not matter.
    let reversed: Vec<_> = pictures.iter().rev().cloned().collect();
    let mut held: Vec<_> = split_held_out(&reversed)
        .held_out
        .iter()
        .map(|i| 99 - i)
        .collect();
    held.sort_unstable();
    assert_eq!(held, split.held_out);
    // Few pictures: all are trained on, and it says so. Eight are enough to spare one.
    let few = split_held_out(&pictures[..7]);
    assert!(!few.is_separate && few.train == few.held_out);
    let eight: Vec<_> = pictures.iter().step_by(2).take(8).cloned().collect();
    let split = split_held_out(&eight);
    assert!(split.is_separate && split.held_out.len() == 1 && split.train.len() == 7);
}
