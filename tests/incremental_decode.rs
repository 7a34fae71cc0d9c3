//! Decoding a window, a tile or a dab gives what decoding everything gives.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::sync::Arc;

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use tessera::canvas::{Chain, LiveCanvas, Version, padding_of, render};
use tessera::codec::{Codec, CodecConfig, Stage};
use tessera::document::{
    CellDelta, Codes, Document, EMPTY, Geometry, Level, Rect, Samples, Source, Wrap,
};
use tessera::error::Kind;

/// The allowed difference of a decoded value, as CODEC.md states it.
const TOLERANCE: f32 = 1e-4;

/// A small network with another depth at every stage, so that no two reaches are alike.
fn codec(uneven: bool) -> Arc<Codec> {
    let mut config = CodecConfig::tiny();
    if uneven {
        let depths = [2, 3, 1];
        for (stage, depth) in config.stages.iter_mut().zip(depths) {
            *stage = Stage {
                decoder_depth: depth,
                ..*stage
            };
        }
    }
    Arc::new(Codec::new(config, 11, &Device::Cpu).unwrap())
}

struct Noise(u64);

impl Noise {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % u64::from(n)) as u32
    }
}

fn random_codes(geometry: Geometry, seed: u64) -> Codes {
    let mut noise = Noise(seed);
    let mut codes = Codes::blank(geometry);
    for i in 0..geometry.cell_count(Level::Structure) as u32 {
        codes.structure.set(i, Some(noise.below(24) as u16));
    }
    for i in 0..geometry.cell_count(Level::Detail) as u32 {
        let empty = noise.below(5) == 0;
        codes
            .detail
            .set(i, (!empty).then(|| noise.below(32) as u16));
    }
    codes
}

/// The full decode by the codec itself, without windows or tiles.
fn full(codec: &Codec, geometry: Geometry, wrap: Wrap, codes: &Codes) -> Vec<f32> {
    let tensor = |level| {
        let grid = codes.level(level);
        let cells: Vec<u32> = grid
            .cells()
            .iter()
            .map(|&c| if c == EMPTY { u32::MAX } else { u32::from(c) })
            .collect();
        let shape = (1, grid.height() as usize, grid.width() as usize);
        Tensor::from_vec(cells, shape, &Device::Cpu).unwrap()
    };
    let pixels = codec
        .decode(
            &tensor(Level::Structure),
            &tensor(Level::Detail),
            padding_of(wrap),
        )
        .unwrap();
    assert_eq!(pixels.dim(2).unwrap(), geometry.padded_width() as usize);
    pixels.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest_difference(whole: &[f32], width: u32, rect: Rect, part: &[f32]) -> f32 {
    assert_eq!(part.len() as u64, rect.area() * 4);
    let mut largest = 0f32;
    for (row, line) in part.chunks_exact(rect.width as usize * 4).enumerate() {
        let start = ((rect.y as usize + row) * width as usize + rect.x as usize) * 4;
        for (a, b) in whole[start..].iter().zip(line) {
            largest = largest.max((a - b).abs());
        }
    }
    largest
}

fn document(geometry: Geometry, wrap: Wrap, seed: u64) -> Document {
    let mut noise = Noise(seed ^ 77);
    let len = geometry.width() * geometry.height() * 4;
    let rgba = (0..len).map(|_| noise.below(256) as u8).collect();
    let source = Source::from_rgba8(geometry.width(), geometry.height(), rgba).unwrap();
    Document::new(source, random_codes(geometry, seed), wrap, "m").unwrap()
}

/// A brush-like edit: a small block of cells of one level.
fn random_dab(document: &mut Document, noise: &mut Noise) -> Vec<CellDelta> {
    let level = Level::ALL[noise.below(2) as usize];
    let bounds = document.geometry().grid_bounds(level);
    let (x, y) = (noise.below(bounds.width), noise.below(bounds.height));
    let size = 1 + noise.below(3);
    let rect = Rect::new(x, y, size, size).intersect(&bounds);
    document.begin("dab").unwrap();
    for cy in rect.y..rect.bottom() {
        for cx in rect.x..rect.right() {
            let code = match level {
                Level::Structure => Some(noise.below(24) as u16),
                Level::Detail => (noise.below(4) > 0).then(|| noise.below(32) as u16),
            };
            document
                .set_cell(level, cy * bounds.width + cx, code)
                .unwrap();
        }
    }
    document
        .commit()
        .map_or_else(Vec::new, |s| s.deltas.clone())
}

fn random_rect(bounds: Rect, noise: &mut Noise) -> Rect {
    let (x, y) = (noise.below(bounds.width), noise.below(bounds.height));
    let (w, h) = (
        1 + noise.below(bounds.width),
        1 + noise.below(bounds.height),
    );
    Rect::new(x, y, w, h).intersect(&bounds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_window_is_the_crop_of_the_full_decode(
        width in 1u32..420, height in 1u32..300, x: bool, y: bool, uneven: bool, seed: u64
    ) {
        let geometry = Geometry::new(width, height).unwrap();
        let wrap = Wrap { x, y };
        let codec = codec(uneven);
        let codes = random_codes(geometry, seed);
        let whole = full(&codec, geometry, wrap, &codes);
        let chain = Chain::new(&codec, geometry, wrap).unwrap();
        let mut noise = Noise(seed);
        for _ in 0..4 {
            let rect = random_rect(geometry.padded_bounds(), &mut noise);
            let part = chain.decode_window(&codes, rect).unwrap();
            let difference = largest_difference(&whole, geometry.padded_width(), rect, &part);
            prop_assert!(difference < TOLERANCE, "{rect:?}: {difference}");
        }
    }

    #[test]
    fn dabs_from_the_cache_equal_the_full_decode(
        width in 16u32..500, height in 16u32..300, x: bool, y: bool, uneven: bool, small_cache: bool, seed: u64
    ) {
        let geometry = Geometry::new(width, height).unwrap();
        let wrap = Wrap { x, y };
        let codec = codec(uneven);
        let mut doc = document(geometry, wrap, seed);
        // A cache that holds a few tiles at most has to compute them again and again.
        let budget = if small_cache { 300_000 } else { LiveCanvas::DEFAULT_BUDGET_BYTES };
        let mut live = LiveCanvas::new(Arc::clone(&codec), &doc, budget).unwrap();
        let mut noise = Noise(seed ^ 5);
        for step in 0..6 {
            if step == 1 {
                live.warm(random_rect(geometry.padded_bounds(), &mut noise), &()).unwrap();
            }
            let before = full(&codec, geometry, wrap, live.edited());
            let dirty = if step == 4 {
                doc.undo().map(|stroke| live.revert(&stroke.deltas).unwrap())
            } else {
                Some(live.apply(&random_dab(&mut doc, &mut noise)).unwrap())
            };
            prop_assert_eq!(live.edited(), doc.edited().as_ref());
            let after = full(&codec, geometry, wrap, doc.edited());
            let rects = dirty.map_or_else(Vec::new, |d| d.rects().to_vec());
            let padded_width = geometry.padded_width();
            // Nothing changed outside the rectangles that the canvas asks to repaint.
            for (i, (a, b)) in before.iter().zip(&after).enumerate() {
                let (px, py) = (i as u32 / 4 % padded_width, i as u32 / 4 / padded_width);
                if !rects.iter().any(|r| r.contains(px, py)) {
                    prop_assert!((a - b).abs() < TOLERANCE, "({px}, {py}) in none of {rects:?}");
                }
            }
            for rect in rects.into_iter().chain([random_rect(geometry.padded_bounds(), &mut noise)]) {
                let part = live.decode(Version::Edited, rect).unwrap();
                let difference = largest_difference(&after, padded_width, rect, &part);
                prop_assert!(difference < TOLERANCE, "{rect:?}: {difference}");
            }
            prop_assert!(live.cached_bytes() <= budget);
        }
        let encoded = full(&codec, geometry, wrap, doc.encoded());
        let rect = random_rect(geometry.padded_bounds(), &mut noise);
        let part = live.decode(Version::Encoded, rect).unwrap();
        prop_assert!(largest_difference(&encoded, geometry.padded_width(), rect, &part) < TOLERANCE);
    }

    #[test]
    fn patches_of_a_live_canvas_are_pieces_of_the_export(
        width in 40u32..400, height in 40u32..300, x: bool, y: bool, seed: u64
    ) {
        let geometry = Geometry::new(width, height).unwrap();
        let codec = codec(false);
        let mut doc = document(geometry, Wrap { x, y }, seed);
        let mut live = LiveCanvas::new(Arc::clone(&codec), &doc, LiveCanvas::DEFAULT_BUDGET_BYTES).unwrap();
        let mut noise = Noise(seed);
        let mut shown = doc.source().rgba8().to_vec();
        for _ in 0..4 {
            let dirty = live.apply(&random_dab(&mut doc, &mut noise)).unwrap();
            for rect in dirty.rects() {
                let patch = live.patch(*rect, 8).unwrap();
                let Samples::Rgba8(samples) = &patch.samples else { panic!("8 bits were asked for") };
                for (row, line) in samples.chunks_exact(patch.rect.width.max(1) as usize * 4).enumerate() {
                    let start = ((patch.rect.y as usize + row) * width as usize + patch.rect.x as usize) * 4;
                    shown[start..start + line.len()].copy_from_slice(line);
                }
            }
        }
        let export = live.render(8, &()).unwrap();
        // Alpha may round to 0 on one side and 1 on the other: then colour says nothing.
        let (shown, _) = shown.as_chunks::<4>();
        let export = export.rgba8();
        let (export, _) = export.as_chunks::<4>();
        for (a, b) in shown.iter().zip(export) {
            prop_assert!(a[3].abs_diff(b[3]) <= 1);
            if a[3].min(b[3]) > 16 {
                for c in 0..3 {
                    prop_assert!(a[c].abs_diff(b[c]) <= 1, "{a:?} {b:?}");
                }
            }
        }
    }
}

#[test]
fn a_canvas_of_many_tiles_has_no_seams() {
    let geometry = Geometry::new(1000, 800).unwrap();
    let codec = codec(true);
    for wrap in [Wrap::default(), Wrap { x: true, y: true }] {
        let codes = random_codes(geometry, 3);
        let whole = full(&codec, geometry, wrap, &codes);
        let chain = Chain::new(&codec, geometry, wrap).unwrap();
        let mut seen = 0;
        chain
            .decode_tiles(&codes, &(), |rect, part| {
                seen += rect.area();
                let difference = largest_difference(&whole, geometry.padded_width(), rect, part);
                assert!(difference < TOLERANCE, "{rect:?}: {difference}");
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, 800_000);
    }
}

#[test]
fn a_document_without_edits_decodes_nothing() {
    let geometry = Geometry::new(100, 60).unwrap();
    let doc = document(geometry, Wrap::default(), 1);
    let mut live = LiveCanvas::new(codec(false), &doc, 1 << 20).unwrap();
    let patch = live.patch(geometry.bounds(), 8).unwrap();
    assert_eq!(patch.samples, Samples::Rgba8(doc.source().rgba8().to_vec()));
    assert_eq!(live.cached_bytes(), 0);
}

#[test]
fn codes_that_the_model_lacks_are_refused_before_anything_changes() {
    let geometry = Geometry::new(64, 64).unwrap();
    let doc = document(geometry, Wrap::default(), 1);
    let mut live = LiveCanvas::new(codec(false), &doc, 1 << 20).unwrap();
    let delta = |index, after| CellDelta {
        level: Level::Structure,
        index,
        before: 0,
        after,
    };
    for bad in [delta(0, 24), delta(16, 1), delta(0, EMPTY)] {
        let error = live.apply(&[delta(1, 3), bad]).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert_eq!(live.edited(), doc.edited().as_ref());
    }
    let source = Source::from_rgba8(64, 64, vec![0; 64 * 64 * 4]).unwrap();
    let mut codes = random_codes(geometry, 1);
    codes.detail.set(0, Some(500));
    let foreign = Document::new(source, codes, Wrap::default(), "x").unwrap();
    assert_eq!(
        LiveCanvas::new(codec(false), &foreign, 1).unwrap_err().kind,
        Kind::Usage
    );
}

#[test]
fn exports_need_no_cache() {
    let geometry = Geometry::new(300, 200).unwrap();
    let codec = codec(false);
    let mut doc = document(geometry, Wrap::default(), 4);
    let mut noise = Noise(9);
    random_dab(&mut doc, &mut noise);
    let chain = Chain::new(&codec, geometry, doc.wrap()).unwrap();
    let mut direct = tessera::canvas::Direct::new(chain, doc.encoded(), doc.edited());
    let raster = render(&doc.edits(), doc.source(), &mut direct, 16, &()).unwrap();
    assert_eq!(raster.depth_bits(), 16);
    assert_ne!(raster.rgba8().as_ref(), doc.source().rgba8().as_slice());
}

#[test]
fn a_view_is_warmed_from_the_middle_as_far_as_the_budget_goes() {
    let geometry = Geometry::new(2048, 1536).unwrap();
    let doc = document(geometry, Wrap::default(), 7);
    let middle = Rect::new(900, 700, 64, 64);
    let cached_after = |budget: u64, rect: Rect| {
        let mut live = LiveCanvas::new(codec(false), &doc, budget).unwrap();
        live.warm(geometry.bounds(), &()).unwrap();
        let warmed = live.cached_bytes();
        for version in [Version::Encoded, Version::Edited] {
            live.decode(version, rect).unwrap();
        }
        (warmed, live.cached_bytes())
    };
    let (all, _) = cached_after(u64::MAX / 4, middle);
    let (half, later) = cached_after(all / 2, middle);
    assert!(half > all / 8 && half <= all / 2, "{half} of {all}");
    // All that the middle needs was there; of the corner nothing was.
    assert_eq!(half, later);
    let (half, later) = cached_after(all / 2, Rect::new(1984, 1472, 64, 64));
    assert!(later > half);
}
