//! Colour profiles, rare JPEGs, limits, and bytes that mean harm.
#![allow(clippy::unwrap_used)] // a test that cannot go on may panic

mod common;

use std::io::Cursor;
use std::time::{Duration, Instant};

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, Matrix3d,
    ProfileClass,
};
use proptest::prelude::*;
use tessera::dataset::{Format, Limits, decode_bytes, readable, readable_endings};
use tessera::error::Kind;
use tessera::export::{ANIMATION_WRITERS, WRITERS};

fn limits() -> Limits {
    Limits::default()
}

/// A picture of smooth colours.
fn colours(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let v = |f: u32| (f % 256) as u8;
        image::Rgb([
            v(x * 255 / width),
            v(y * 255 / height),
            v((x + y) * 255 / (width + height)),
        ])
    })
}

/// sRGB transfer, IEC 61966-2-1.
fn to_linear(v: f64) -> f64 {
    if v <= 0.04045 {
        v / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

fn to_gamma(v: f64) -> f64 {
    let v = v.clamp(0.0, 1.0);
    if v <= 0.003_130_8 {
        v * 12.92
    } else {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    }
}

/// Display P3 to sRGB, 0..1, by the published matrix (both D65).
fn p3_to_srgb(p3: [f64; 3]) -> [f64; 3] {
    let [r, g, b] = p3.map(to_linear);
    [
        1.224_940_2 * r - 0.224_940_2 * g,
        -0.042_056_9 * r + 1.042_056_9 * g,
        -0.019_637_6 * r - 0.078_636_1 * g + 1.098_273_5 * b,
    ]
    .map(to_gamma)
}

#[test]
fn display_p3_becomes_srgb() {
    let picture = colours(96, 64);
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let mut png = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder.set_icc_profile(icc.clone()).unwrap();
    encoder
        .write_image(picture.as_raw(), 96, 64, ExtendedColorType::Rgb8)
        .unwrap();
    let mut webp = Vec::new();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.set_icc_profile(icc.clone()).unwrap();
    encoder
        .write_image(picture.as_raw(), 96, 64, ExtendedColorType::Rgb8)
        .unwrap();
    for (name, bytes) in [("PNG", png), ("WebP", webp)] {
        let decoded = decode_bytes(&bytes, &limits()).unwrap();
        assert!(decoded.warnings.is_empty(), "{:?}", decoded.warnings);
        let (mut most_changed, mut worst) = (0, 0.0f64);
        for (p, q) in decoded.rgba8.chunks_exact(4).zip(picture.pixels()) {
            let expected = p3_to_srgb(q.0.map(|v| f64::from(v) / 255.0));
            for c in 0..3 {
                worst = worst.max((f64::from(p[c]) - expected[c] * 255.0).abs());
                most_changed = most_changed.max(p[c].abs_diff(q.0[c]));
            }
            assert_eq!(p[3], 255);
        }
        assert!(worst < 2.5, "{name}: off by {worst}");
        assert!(most_changed > 20, "{name}: the profile did something");
    }
    // A JPEG, within what its compression changes.
    let mut jpeg = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
    encoder.set_icc_profile(icc).unwrap();
    encoder
        .write_image(picture.as_raw(), 96, 64, ExtendedColorType::Rgb8)
        .unwrap();
    let decoded = decode_bytes(&jpeg, &limits()).unwrap();
    let mut sum = 0.0;
    for (p, q) in decoded.rgba8.chunks_exact(4).zip(picture.pixels()) {
        let expected = p3_to_srgb(q.0.map(|v| f64::from(v) / 255.0));
        for c in 0..3 {
            sum += (f64::from(p[c]) - expected[c] * 255.0).abs();
        }
    }
    let mean = sum / f64::from(96 * 64 * 3);
    assert!(mean < 2.0, "JPEG: off by {mean} on average");
}

#[test]
fn sixteen_bits_and_alpha_pass_through_a_profile() {
    let wide = image::ImageBuffer::<image::Rgba<u16>, _>::from_fn(64, 64, |x, y| {
        image::Rgba([
            (x * 1040) as u16,
            (y * 1040) as u16,
            30000,
            (x * 900) as u16,
        ])
    });
    let mut png = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder
        .set_icc_profile(ColorProfile::new_display_p3().encode().unwrap())
        .unwrap();
    let bytes: Vec<u8> = wide.as_raw().iter().flat_map(|v| v.to_ne_bytes()).collect();
    encoder
        .write_image(&bytes, 64, 64, ExtendedColorType::Rgba16)
        .unwrap();
    let decoded = decode_bytes(&png, &limits()).unwrap();
    let values = decoded.rgba16.unwrap();
    for (p, q) in values.chunks_exact(4).zip(wide.pixels()) {
        let expected = p3_to_srgb([q.0[0], q.0[1], q.0[2]].map(|v| f64::from(v) / 65535.0))
            .map(|v| v * 65535.0);
        for c in 0..3 {
            let off = (f64::from(p[c]) - expected[c]).abs();
            assert!(off < 200.0, "{p:?} {q:?}: {expected:?}");
        }
        assert_eq!(p[3], q.0[3], "alpha is not colour");
    }
    assert!(decoded.has_alpha);
}

#[test]
fn an_srgb_profile_changes_no_byte_and_a_broken_one_only_warns() {
    let picture = colours(64, 48);
    let with_profile = |icc: Vec<u8>| {
        let mut png = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.set_icc_profile(icc).unwrap();
        encoder
            .write_image(picture.as_raw(), 64, 48, ExtendedColorType::Rgb8)
            .unwrap();
        decode_bytes(&png, &limits()).unwrap()
    };
    let plain = DynamicImage::ImageRgb8(picture.clone())
        .into_rgba8()
        .into_raw();
    let srgb = with_profile(ColorProfile::new_srgb().encode().unwrap());
    assert_eq!(srgb.rgba8, plain);
    assert!(srgb.warnings.is_empty());
    let broken = with_profile(vec![7; 300]);
    assert_eq!(broken.rgba8, plain);
    assert_eq!(broken.warnings.len(), 1);
    assert!(broken.warnings[0].what.contains("profile"));
}

#[test]
fn a_gray_profile_is_applied() {
    // Linear light: 64 of 255 is a much lighter sRGB value.
    let gray: Vec<u8> = (0..=255).collect();
    let mut png = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder
        .set_icc_profile(ColorProfile::new_gray_with_gamma(1.0).encode().unwrap())
        .unwrap();
    encoder
        .write_image(&gray, 256, 1, ExtendedColorType::L8)
        .unwrap();
    let decoded = decode_bytes(&png, &limits()).unwrap();
    assert!(decoded.warnings.is_empty(), "{:?}", decoded.warnings);
    for (v, p) in gray.iter().zip(decoded.rgba8.chunks_exact(4)) {
        let expected = to_gamma(f64::from(*v) / 255.0) * 255.0;
        for c in &p[..3] {
            assert!(
                (f64::from(*c) - expected).abs() < 2.5,
                "{v}: {p:?}, {expected}"
            );
        }
    }
}

/// Corner inks (C, M, Y without black) of an invented press, CIE Lab D50.
const PRESS: [[f64; 3]; 8] = [
    [96.0, 0.0, 3.0],     // paper
    [89.0, -5.0, 90.0],   // Y
    [48.0, 74.0, -3.0],   // M
    [47.0, 66.0, 48.0],   // MY
    [55.0, -36.0, -48.0], // C
    [50.0, -64.0, 25.0],  // CY
    [24.0, 20.0, -44.0],  // CM
    [20.0, 0.0, 0.0],     // CMY
];

fn press_profile() -> Vec<u8> {
    let mut clut = Vec::new();
    for corner in 0..16usize {
        // The last ink, black, varies fastest.
        let lab = if corner & 1 == 1 {
            [12.0, 0.0, 0.0]
        } else {
            PRESS[corner >> 1]
        };
        // The encoding of lut16Type: L 0..100 to 0..0xff00, a and b −128..127 to 0..0xff00 (ICC.1:2010, 10.10).
        clut.push((lab[0] * 652.8).round() as u16);
        clut.push(((lab[1] + 128.0) * 256.0).round() as u16);
        clut.push(((lab[2] + 128.0) * 256.0).round() as u16);
    }
    let mut profile = ColorProfile::default();
    profile.color_space = DataColorSpace::Cmyk;
    profile.pcs = DataColorSpace::Lab;
    profile.profile_class = ProfileClass::OutputDevice;
    profile.white_point = ColorProfile::new_srgb().white_point;
    profile.lut_a_to_b_perceptual = Some(LutWarehouse::Lut(LutDataType {
        num_input_channels: 4,
        num_output_channels: 3,
        num_clut_grid_points: 2,
        matrix: Matrix3d::IDENTITY,
        num_input_table_entries: 2,
        num_output_table_entries: 2,
        input_table: LutStore::Store16([0, 65535].repeat(4)),
        clut_table: LutStore::Store16(clut),
        output_table: LutStore::Store16([0, 65535].repeat(3)),
        lut_type: LutType::Lut16,
    }));
    profile.encode().unwrap()
}

/// CIE Lab (D50) to sRGB 0..255, with the Bradford matrix of the ICC.
fn lab_to_srgb(lab: [f64; 3]) -> [f64; 3] {
    let fy = (lab[0] + 16.0) / 116.0;
    let inverse = |t: f64| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            (t - 16.0 / 116.0) * 108.0 / 841.0
        }
    };
    let x = 0.9642 * inverse(fy + lab[1] / 500.0);
    let y = inverse(fy);
    let z = 0.8249 * inverse(fy - lab[2] / 200.0);
    [
        3.134_136 * x - 1.617_386 * y - 0.490_662 * z,
        -0.978_795 * x + 1.916_254 * y + 0.033_443 * z,
        0.071_955 * x - 0.228_977 * y + 1.405_386 * z,
    ]
    .map(|v| to_gamma(v) * 255.0)
}

#[test]
fn a_cmyk_profile_is_applied() {
    let Some(data) = common::shared_data() else {
        return;
    };
    // This file has no black, so the decode without a profile gives the inks: C is 255 − red, and so on.
    let bytes = std::fs::read(data.join("nasty/cmyk.jpg")).unwrap();
    let naive = decode_bytes(&bytes, &limits()).unwrap();
    let icc = press_profile();
    let mut segment = vec![0xff, 0xe2];
    segment.extend_from_slice(&(icc.len() as u16 + 16).to_be_bytes());
    segment.extend_from_slice(b"ICC_PROFILE\0\x01\x01");
    segment.extend_from_slice(&icc);
    let mut with_profile = bytes[..2].to_vec();
    with_profile.extend_from_slice(&segment);
    with_profile.extend_from_slice(&bytes[2..]);
    let decoded = decode_bytes(&with_profile, &limits()).unwrap();
    assert!(decoded.warnings.is_empty(), "{:?}", decoded.warnings);
    let (mut sum, mut changed) = (0.0, 0.0);
    for (p, q) in decoded
        .rgba8
        .chunks_exact(4)
        .zip(naive.rgba8.chunks_exact(4))
    {
        let inks = [q[0], q[1], q[2]].map(|v| 1.0 - f64::from(v) / 255.0);
        let mut lab = [0.0; 3];
        for (corner, value) in PRESS.iter().enumerate() {
            let share = |ink: f64, bit: usize| {
                if corner >> bit & 1 == 1 {
                    ink
                } else {
                    1.0 - ink
                }
            };
            let weight = share(inks[0], 2) * share(inks[1], 1) * share(inks[2], 0);
            for (l, v) in lab.iter_mut().zip(value) {
                *l += weight * v;
            }
        }
        for (c, expected) in lab_to_srgb(lab).into_iter().enumerate() {
            sum += (f64::from(p[c]) - expected).abs();
            changed += f64::from(p[c].abs_diff(q[c]));
        }
    }
    let n = (naive.rgba8.len() / 4 * 3) as f64;
    assert!(sum / n < 3.0, "off by {} on average", sum / n);
    assert!(changed / n > 10.0, "the profile did something");
}

#[test]
fn ycck_and_rgb_jpegs_have_their_colours() {
    let Some(data) = common::shared_data() else {
        return;
    };
    // The same data declared YCCK; libjpeg (through Pillow) gives these means of the quadrants.
    let mut bytes = std::fs::read(data.join("nasty/cmyk.jpg")).unwrap();
    let at = bytes.windows(5).position(|w| w == b"Adobe").unwrap();
    bytes[at + 11] = 2;
    let ycck = decode_bytes(&bytes, &limits()).unwrap();
    let expected = [
        [[151.03, 138.21, 200.46], [93.97, 55.05, 173.07]],
        [[164.48, 198.1, 85.45], [93.56, 89.03, 12.53]],
    ];
    for (qy, row) in expected.iter().enumerate() {
        for (qx, mean) in row.iter().enumerate() {
            let mut sum = [0.0; 3];
            for y in qy * 120..(qy + 1) * 120 {
                for x in qx * 160..(qx + 1) * 160 {
                    for (s, v) in sum.iter_mut().zip(&ycck.rgba8[(y * 320 + x) * 4..]) {
                        *s += f64::from(*v) / f64::from(120 * 160);
                    }
                }
            }
            for c in 0..3 {
                assert!(
                    (sum[c] - mean[c]).abs() < 1.0,
                    "{qx},{qy}: {sum:?} {mean:?}"
                );
            }
        }
    }
    // RGB stored without a colour transform (Adobe marker 0): `ok_plain.png` at 48 × 36, written by Pillow.
    let rgb = include_bytes!("fixtures/pictures/rgb_adobe.jpg");
    let rgb = decode_bytes(rgb, &limits()).unwrap();
    assert_eq!((rgb.width, rgb.height), (48, 36));
    let plain = image::open(data.join("nasty/ok_plain.png")).unwrap();
    let plain = plain
        .resize_exact(48, 36, image::imageops::FilterType::CatmullRom)
        .into_rgba8();
    let sum: u64 = rgb
        .rgba8
        .iter()
        .zip(plain.as_raw())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let mean = sum as f64 / rgb.rgba8.len() as f64;
    assert!(mean < 3.0, "{mean}");
}

/// The same small picture in every format that is read.
fn one_of_each() -> Vec<(&'static Format, Vec<u8>)> {
    let rgb = DynamicImage::ImageRgb8(colours(40, 30));
    let rgba = {
        let mut image = rgb.to_rgba8();
        for (x, _, p) in image.enumerate_pixels_mut() {
            p.0[3] = (x * 6) as u8;
        }
        DynamicImage::ImageRgba8(image)
    };
    let write = |image: &DynamicImage, format| {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        out.into_inner()
    };
    vec![
        (Format::PNG, write(&rgba, ImageFormat::Png)),
        (
            Format::PNG,
            write(
                &DynamicImage::ImageRgba16(rgba.to_rgba16()),
                ImageFormat::Png,
            ),
        ),
        (Format::JPEG, write(&rgb, ImageFormat::Jpeg)),
        (
            Format::JPEG,
            write(&DynamicImage::ImageLuma8(rgb.to_luma8()), ImageFormat::Jpeg),
        ),
        (Format::WEBP, write(&rgba, ImageFormat::WebP)),
        (Format::GIF, write(&rgba, ImageFormat::Gif)),
        (Format::BMP, write(&rgb, ImageFormat::Bmp)),
        (Format::TIFF, write(&rgba, ImageFormat::Tiff)),
        (Format::ICO, write(&rgba, ImageFormat::Ico)),
    ]
}

#[test]
fn all_that_is_offered_is_read_and_all_that_is_read_is_offered() {
    let offered = readable_endings();
    let files = one_of_each();
    for format in Format::ALL {
        let mut of_it = files.iter().filter(|(of, _)| of == format).peekable();
        let is_read = of_it.peek().is_some();
        assert_eq!(readable().any(|read| read == *format), is_read, "{format}");
        for (_, bytes) in of_it {
            assert_eq!(decode_bytes(bytes, &limits()).unwrap().format, *format);
        }
        for ending in format.endings {
            assert_eq!(offered.contains(ending), is_read, "{format}: {ending}");
        }
    }
    // What is written is read as well.
    for writer in &WRITERS {
        assert!(offered.contains(&writer.ending()));
    }
    for writer in &ANIMATION_WRITERS {
        let mut endings = writer.endings.iter();
        assert!(endings.all(|ending| offered.contains(ending)), "{writer:?}");
    }
}

#[test]
fn a_truncated_file_is_rejected_or_was_complete() {
    for (format, bytes) in one_of_each() {
        let whole = decode_bytes(&bytes, &limits()).unwrap();
        assert_eq!(whole.format, format);
        assert_eq!((whole.width, whole.height), (40, 30));
        let mut rejected = 0;
        for len in 0..bytes.len() {
            match decode_bytes(&bytes[..len], &limits()) {
                // Only what follows the pixels was missing.
                Ok(cut) => assert_eq!(
                    cut.rgba8,
                    whole.rgba8,
                    "{format} at {len} of {}",
                    bytes.len()
                ),
                Err(error) => {
                    rejected += 1;
                    assert_ne!(error.kind, Kind::Internal);
                    assert!(!error.notice.why.is_empty());
                }
            }
        }
        assert!(
            rejected * 10 > bytes.len() * 9,
            "{format}: {rejected} of {} cuts rejected",
            bytes.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes: an answer, soon, and within the limits. A decoder's panic is an error like any other.
    #[test]
    fn damaged_files_never_break_the_importer(
        which in 0usize..8,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let (_, mut bytes) = one_of_each().swap_remove(which);
        for (at, value) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = Limits { max_pixels: 1 << 20, max_decode_bytes: 64 << 20, ..Limits::default() };
        let start = Instant::now();
        let result = decode_bytes(&bytes, &limits);
        prop_assert!(start.elapsed() < Duration::from_secs(5));
        if let Ok(decoded) = result {
            let pixels = u64::from(decoded.width) * u64::from(decoded.height);
            prop_assert!(pixels <= limits.max_pixels);
            prop_assert_eq!(decoded.rgba8.len() as u64, pixels * 4);
            if let Some(wide) = decoded.rgba16 {
                prop_assert_eq!(wide.len() as u64, pixels * 4);
            }
        }
    }

    #[test]
    fn bytes_of_nothing_never_break_the_importer(
        magic in prop::sample::select(vec![
            &b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"",
        ]),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = magic.to_vec();
        bytes.extend(tail);
        if let Ok(decoded) = decode_bytes(&bytes, &Limits { max_pixels: 1 << 20, max_decode_bytes: 64 << 20, ..Limits::default() }) {
            prop_assert_eq!(decoded.rgba8.len(), (decoded.width * decoded.height * 4) as usize);
        }
    }
}

/// A longer hunt, over the whole nasty set: for minutes rather than for every run.
///
/// `TESSERA_FUZZ_SECS=300 cargo test --test import_decode -- --ignored --nocapture hunt`
#[test]
#[ignore = "takes minutes; run it after a change of a decoder's version"]
fn hunt_for_bytes_that_break_the_importer() {
    let Some(data) = common::shared_data() else {
        return;
    };
    let seconds = std::env::var("TESSERA_FUZZ_SECS").map_or(60, |s| s.parse().unwrap());
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(data.join("nasty"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file() && p.metadata().unwrap().len() < 100_000)
        .map(|p| (p.display().to_string(), std::fs::read(p).unwrap()))
        .filter(|(_, bytes)| bytes.len() > 16)
        .collect();
    seeds.extend(one_of_each().into_iter().map(|(f, b)| (f.to_string(), b)));
    let limits = Limits {
        max_pixels: 4 << 20,
        max_decode_bytes: 128 << 20,
        ..limits()
    };
    let start = Instant::now();
    let (mut tried, mut loaded, mut gave_up, mut slowest) = (0u64, 0u64, 0u64, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut words = blake3::Hasher::new()
            .update(&tried.to_le_bytes())
            .finalize_xof();
        let mut word = || {
            let mut bytes = [0; 8];
            words.fill(&mut bytes);
            u64::from_le_bytes(bytes) as usize
        };
        let (name, seed) = &seeds[word() % seeds.len()];
        let mut bytes = seed.clone();
        for _ in 0..1 + word() % 8 {
            let len = bytes.len();
            // Most of the structure is at the front.
            let at = if word() % 2 == 0 {
                word() % len.min(600)
            } else {
                word() % len
            };
            match word() % 6 {
                0 => bytes[at] = 0xff,
                1 => bytes[at] = 0,
                2 => bytes[at] ^= 1 << (word() % 8),
                3 => bytes.truncate(at.max(16)),
                4 => {
                    let other = &seeds[word() % seeds.len()].1;
                    let from = word() % other.len();
                    let part = &other[from..(from + word() % 200).min(other.len())];
                    bytes.splice(at..at, part.iter().copied());
                }
                _ => bytes[at] = word() as u8,
            }
        }
        let begin = Instant::now();
        let result = decode_bytes(&bytes, &limits);
        let took = begin.elapsed();
        assert!(
            took < Duration::from_secs(20),
            "{name} ({tried}) took {took:?}"
        );
        slowest = slowest.max(took);
        match result {
            Ok(decoded) => {
                loaded += 1;
                assert_eq!(
                    decoded.rgba8.len() as u64,
                    u64::from(decoded.width) * u64::from(decoded.height) * 4
                );
            }
            Err(error) if error.notice.why.contains("gave up") => {
                gave_up += 1;
                eprintln!("{name} ({tried}): {error}");
            }
            Err(_) => {}
        }
        tried += 1;
    }
    eprintln!(
        "{tried} files, {loaded} loaded, {gave_up} decoder panics caught, slowest {slowest:?}"
    );
}

#[test]
fn limits_are_checked_on_the_header() {
    let (_, png) = one_of_each().swap_remove(0);
    let kind = |limits: Limits| decode_bytes(&png, &limits).unwrap_err().kind;
    assert_eq!(
        kind(Limits {
            max_side_px: 39,
            ..limits()
        }),
        Kind::Limit
    );
    assert_eq!(
        kind(Limits {
            max_pixels: 1199,
            ..limits()
        }),
        Kind::Limit
    );
    assert_eq!(
        kind(Limits {
            max_decode_bytes: 1200 * 8,
            ..limits()
        }),
        Kind::Limit
    );
    assert_eq!(
        kind(Limits {
            max_file_bytes: 50,
            ..limits()
        }),
        Kind::Limit
    );
    // Headers alone, claiming the largest pictures their formats know.
    let mut gif = b"GIF89a\xff\xff\xff\xff\x80\0\0".to_vec();
    gif.extend([0; 6]);
    let mut bmp = vec![0; 54];
    bmp[..2].copy_from_slice(b"BM");
    bmp[14] = 40;
    bmp[18..22].copy_from_slice(&2_000_000_000i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&2_000_000_000i32.to_le_bytes());
    bmp[26] = 1;
    bmp[28] = 24;
    for bytes in [gif, bmp] {
        let start = Instant::now();
        let error = decode_bytes(&bytes, &limits()).unwrap_err();
        assert!(start.elapsed() < Duration::from_millis(100));
        assert!(matches!(error.kind, Kind::Limit | Kind::Damaged), "{error}");
    }
}
