//! Every file of `data/nasty` does what its `EXPECT.json` says.

#![allow(clippy::unwrap_used)] // a test that cannot go on may panic

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tessera::dataset::{
    Decoded, Flag, Format, ImportOptions, ImportReport, Limits, Picture, decode_file, scan,
};
use tessera::error::Kind;

fn nasty() -> Option<PathBuf> {
    Some(common::shared_data()?.join("nasty"))
}

fn import(root: &Path, options: &ImportOptions) -> (Vec<Picture>, ImportReport) {
    let mut pictures = Vec::new();
    let report = scan(&[root.to_owned()], options, &(), &mut |p| {
        pictures.push(p);
        Ok(())
    })
    .unwrap();
    (pictures, report)
}

/// Largest and mean difference of the colour channels.
fn difference(a: &Decoded, b: &Decoded) -> (u8, f64) {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let (mut most, mut sum) = (0, 0u64);
    for (p, q) in a.rgba8.chunks_exact(4).zip(b.rgba8.chunks_exact(4)) {
        for c in 0..3 {
            let d = p[c].abs_diff(q[c]);
            most = most.max(d);
            sum += u64::from(d);
        }
    }
    (most, sum as f64 / (a.rgba8.len() / 4 * 3) as f64)
}

#[test]
fn every_file_does_what_is_expected() {
    let Some(root) = nasty() else { return };
    let expectations: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(root.join("EXPECT.json")).unwrap()).unwrap();
    assert!(expectations.len() >= 60);
    let (pictures, report) = import(&root, &ImportOptions::default());
    let plain = decode_file(root.join("ok_plain.png"), &Limits::default()).unwrap();
    let mut failures = Vec::new();
    for (name, expected) in &expectations {
        let path = root.join(name);
        let picture = pictures.iter().find(|p| p.path == path);
        let shown = path.to_string_lossy();
        let reason_in = |notices: &[tessera::error::Notice]| {
            let found: Vec<_> = notices
                .iter()
                .filter(|n| n.path.as_deref() == Some(&*shown))
                .collect();
            assert!(
                found.len() <= 1,
                "{name}: one reason per file, not {found:?}"
            );
            found.first().map(|n| {
                assert!(!n.what.is_empty() && !n.why.is_empty(), "{name}: {n:?}");
                (*n).clone()
            })
        };
        let outcome = match (
            picture,
            reason_in(&report.rejected),
            reason_in(&report.skipped),
        ) {
            (Some(_), None, None) => "load",
            (None, Some(_), None) => "reject",
            (None, None, Some(_)) => "skip",
            other => panic!("{name}: {other:?}"),
        };
        let (allowed, detail) = expected
            .split_once("; ")
            .or_else(|| expected.split_once(", "))
            .or_else(|| expected.split_once(" ("))
            .unwrap_or((expected, ""));
        let allowed: Vec<&str> = match allowed {
            "load" | "load first frame" => vec!["load"],
            "skip" => vec!["skip"],
            "reject" | "reject by header limit" => vec!["reject"],
            // A partial picture would be accepted; this importer chose to reject.
            "reject-or-partial" => vec!["reject"],
            "load-or-skip"
            | "load or skip"
            | "load first frame or skip"
            | "load first page or skip"
            | "load or skip with a reason" => vec!["load", "skip"],
            "load or reject" | "reject or load" => vec!["load", "reject"],
            other => panic!("{name}: an expectation this test does not know: {other:?}"),
        };
        if !allowed.contains(&outcome) {
            failures.push(format!("{name}: {outcome}, expected {expected}"));
            continue;
        }
        if outcome == "load" {
            check_detail(name, detail, &path, &plain);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    // Nothing but the listed files (and the two that describe the set) is there.
    for picture in &pictures {
        let name = picture.relative.to_str().unwrap();
        assert!(expectations.contains_key(name), "{name}");
        assert!(!picture.thumbnail.is_empty());
        let thumbnail = image::load_from_memory(&picture.thumbnail).unwrap();
        assert!(thumbnail.width().max(thumbnail.height()) <= 128, "{name}");
        assert_eq!(thumbnail.color().has_alpha(), picture.has_alpha, "{name}");
    }
}

fn check_detail(name: &str, detail: &str, path: &Path, plain: &Decoded) {
    let decoded = decode_file(path, &Limits::default()).unwrap();
    let is_whole = |d: &Decoded| d.rgba8.len() == d.width as usize * d.height as usize * 4;
    assert!(is_whole(&decoded), "{name}");
    match detail {
        "upright 320x240 after EXIF" | "colours right (not inverted)" => {
            let (_, mean) = difference(&decoded, plain);
            assert!(mean < 6.0, "{name}: differs by {mean} on average");
        }
        "colour under alpha 0 must not bleed" => {
            assert!(decoded.premultiplied().iter().all(|v| *v == 0), "{name}");
        }
        "alpha 0/128/255" => {
            let mut seen: Vec<u8> = decoded.rgba8.chunks_exact(4).map(|p| p[3]).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, 128, 255], "{name}");
        }
        "48 Mpx, 144 MB decoded" => {
            assert_eq!((decoded.width, decoded.height), (8000, 6000));
            let p = &decoded.rgba8[4 * 24_000_000..][..4];
            for (v, expected) in p.iter().zip([90, 120, 150, 255]) {
                assert!(v.abs_diff(expected) <= 3, "{p:?}");
            }
        }
        "" if name == "icon.ico" => assert_eq!(decoded.format, Format::ICO),
        "same bytes as dup_a)"
        | "content is JPEG)"
        | "content is PNG)"
        | ""
        | "50 MB of surplus IDAT data"
        | "400 Mpx from a few kB" => {}
        other => panic!("{name}: a detail this test does not know: {other:?}"),
    }
}

#[test]
fn the_variants_of_one_picture_look_alike() {
    let Some(root) = nasty() else { return };
    let load = |name: &str| decode_file(root.join(name), &Limits::default()).unwrap();
    let plain = load("ok_plain.png");
    assert_eq!((plain.width, plain.height), (320, 240));
    for name in [
        "plain.bmp",
        "png_inside.jpg",
        "huge_text_chunk.png",
        "dup_a.png",
    ] {
        assert_eq!(load(name).rgba8, plain.rgba8, "{name}");
    }
    for (name, most) in [
        ("ok_plain.jpg", 5.0),
        ("ok_plain.webp", 6.0),
        ("progressive.jpg", 8.0),
        ("cmyk.jpg", 1.0),
        ("trailing_garbage.jpg", 5.0),
        ("jpeg_inside.png", 5.0),
    ] {
        let (_, mean) = difference(&load(name), &plain);
        assert!(mean < most, "{name} differs by {mean}");
    }
    // Orientation really turned something: the stored pixels of 6 are on their side.
    let turned = load("exif_orient_6.jpg");
    assert_eq!((turned.width, turned.height), (320, 240));
    // An inverted CMYK would be far off.
    let cmyk = load("cmyk.jpg");
    let mut inverted = cmyk.clone();
    for p in inverted.rgba8.chunks_exact_mut(4) {
        p[..3].iter_mut().for_each(|v| *v = 255 - *v);
    }
    assert!(difference(&inverted, &plain).1 > 50.0);
    // First frames: the unturned picture of 80 × 60.
    for name in [
        "animated.gif",
        "animated.png",
        "animated.webp",
        "multipage.tiff",
    ] {
        let first = load(name);
        assert_eq!((first.width, first.height), (80, 60), "{name}");
        // Its corners are not the black that turning leaves.
        let corner = &first.rgba8[(60 * 80 - 1) * 4..];
        assert!(corner[0] > 150 && corner[1] > 150, "{name}: {corner:?}");
    }
}

#[test]
fn sixteen_bits_are_kept() {
    let Some(root) = nasty() else { return };
    let load = |name: &str| decode_file(root.join(name), &Limits::default()).unwrap();
    let ramp = |x: u32| (x * 65535 / 127) as u16;
    let rise = |y: u32| (y * 65535 / 95) as u16;
    type Pixel = fn(u16, u16) -> [u16; 4];
    let cases: [(&str, Pixel); 3] = [
        ("rgb16.png", |x, y| [x, y, 32768, 65535]),
        ("rgba16.png", |x, y| [x, y, 0, x]),
        ("gray16.png", |x, _| [x, x, x, 65535]),
    ];
    for (name, expected) in cases {
        let picture = load(name);
        assert_eq!(picture.bits_per_channel, 16, "{name}");
        let wide = picture.rgba16.as_ref().unwrap();
        for y in 0..96 {
            for x in 0..128 {
                let at = ((y * 128 + x) * 4) as usize;
                let pixel = expected(ramp(x), rise(y));
                assert_eq!(&wide[at..at + 4], pixel, "{name} at {x},{y}");
                let narrow = pixel.map(|v| (f64::from(v) / 257.0).round() as u8);
                assert_eq!(&picture.rgba8[at..at + 4], narrow, "{name} at {x},{y}");
            }
        }
    }
    assert!(load("ok_plain.png").rgba16.is_none());
}

#[test]
fn copies_are_flagged_and_name_the_first() {
    let Some(root) = nasty() else { return };
    let (pictures, report) = import(&root, &ImportOptions::default());
    let find = |name: &str| {
        pictures
            .iter()
            .find(|p| p.relative.as_os_str() == name)
            .unwrap()
    };
    // In path order the first of the many copies of the plain picture is the one whose name begins with spaces.
    let first = "  leading and trailing space .png";
    assert!(find(first).flags.is_empty());
    for name in ["dup_a.png", "dup_b.png", "ok_plain.png"] {
        assert_eq!(
            find(name).flags,
            [Flag::Duplicate {
                of: first.to_owned()
            }],
            "{name}"
        );
    }
    assert_eq!(
        find("dup_a.png").content_hash,
        find("dup_b.png").content_hash
    );
    assert!(
        matches!(&find("ok_plain.webp").flags[..], [Flag::NearDuplicate { of, .. }] if of == first)
    );
    assert!(matches!(
        find("flat_white.png").flags[..],
        [Flag::Flat {
            is_transparent: false
        }]
    ));
    assert!(matches!(
        find("all_transparent.png").flags[..],
        [Flag::Flat {
            is_transparent: true
        }]
    ));
    let has = |name: &str, flag: &str| find(name).flags.iter().any(|f| f.name() == flag);
    assert!(has("strip_12000x40.png", "odd_aspect"));
    assert!(has("strip_40x12000.jpg", "odd_aspect"));
    assert!(has("one_pixel.png", "too_small"));
    assert_eq!(report.imported, pictures.len() as u64);
    assert_eq!(
        report.flagged,
        pictures.iter().filter(|p| !p.flags.is_empty()).count() as u64
    );
    assert_eq!(find("sub/deep/er/nested.png").label.as_deref(), Some("sub"));
    assert_eq!(find("dup_a.png").label, None);
}

#[test]
fn the_order_and_the_result_do_not_depend_on_threads() {
    let Some(root) = nasty() else { return };
    let with = |threads, memory_budget_bytes| {
        let options = ImportOptions {
            threads,
            memory_budget_bytes,
            ..ImportOptions::default()
        };
        let (pictures, report) = import(&root, &options);
        assert!(pictures.windows(2).all(|w| w[0].path < w[1].path));
        let brief: Vec<_> = pictures
            .into_iter()
            .map(|p| (p.path, p.content_hash, p.flags, p.thumbnail))
            .collect();
        (brief, report)
    };
    let one = with(1, 512 << 20);
    assert_eq!(one, with(7, 512 << 20));
    // A budget smaller than most of the pictures makes it slow, not wrong.
    assert_eq!(one, with(4, 100_000));
}

#[test]
fn bombs_are_refused_fast() {
    let Some(root) = nasty() else { return };
    for name in ["bomb_header_60000.png", "bomb_real_20000_1bit.png"] {
        let start = Instant::now();
        let error = decode_file(root.join(name), &Limits::default()).unwrap_err();
        assert_eq!(error.kind, Kind::Limit, "{name}: {error}");
        assert!(start.elapsed() < Duration::from_millis(200), "{name}");
    }
}
