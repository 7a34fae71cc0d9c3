//! What an artist does to a picture: paint, undo, erase, save, reopen, export. Untouched pixels stay.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use candle_core::Device;
use common::halo;
use proptest::prelude::*;
use tessera::canvas::{LiveCanvas, open, render_document};
use tessera::codec::{Codec, CodecConfig};
use tessera::document::script::EditScript;
use tessera::document::tools::{BrushStroke, Easel, Medium, Setup};
use tessera::document::{
    Alphabet, Brush, CodeVectors, Codebooks, Document, LayerLook, Level, Raster, Samples, Source,
    Vectors, Wrap,
};
use tessera::export::{
    Existing, Metadata, Provenance, encode_restore_data, read_restore_data, write_png,
};

fn codec() -> Codec {
    Codec::new(CodecConfig::tiny(), 5, &Device::Cpu).unwrap()
}

const BOOKS: Codebooks = Codebooks {
    structure: 24,
    detail: 32,
};

/// Soft shapes over noise, with opaque, translucent and transparent parts.
fn picture(width: u32, height: u32, seed: u32) -> Vec<u16> {
    let mut state = seed | 1;
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let wave = ((x * 700 + y * 300) & 0x7fff) as u16;
            let alpha = match (x / 24 + y / 16) % 4 {
                0 => 0,
                1 => (state >> 16) as u16,
                _ => u16::MAX,
            };
            [wave, 60_000 - wave, (state & 0xffff) as u16, alpha]
        })
        .collect()
}

fn source(width: u32, height: u32, sixteen: bool, seed: u32) -> Source {
    let samples = picture(width, height, seed);
    if sixteen {
        Source::from_rgba16(width, height, samples).unwrap()
    } else {
        let samples = samples.iter().map(|v| (v >> 8) as u8).collect();
        Source::from_rgba8(width, height, samples).unwrap()
    }
}

fn export(codec: &Codec, document: &Document) -> Raster {
    let depth = document.source().depth_bits();
    render_document(codec, document, depth, &()).unwrap()
}

fn sample(raster: &Raster, at: usize) -> u16 {
    match raster.samples() {
        Samples::Rgba8(s) => u16::from(s[at]),
        Samples::Rgba16(s) => s[at],
    }
}

fn run(document: &mut Document, operations: &[String]) {
    let json = format!(
        r#"{{"tessera_edits":1,"operations":[{}]}}"#,
        operations.join(",")
    );
    // Vectors of one number: mixing two codes gives one between them.
    let line =
        |codes: u32| CodeVectors::new(1, (0..codes).map(|code| code as f32).collect()).unwrap();
    let alphabet = Alphabet::new(Arc::new(Vectors {
        structure: line(BOOKS.structure),
        detail: line(BOOKS.detail),
    }));
    EditScript::from_json(&json)
        .unwrap()
        .apply_with(document, &alphabet)
        .unwrap();
}

fn erase_all(document: &mut Document) {
    let (w, h) = (document.width(), document.height());
    run(
        document,
        &[format!(
            r#"{{"op":"erase","unit":"pixels","rect":{{"x":0,"y":0,"width":{w},"height":{h}}}}}"#
        )],
    );
}

fn operation() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just(("structure", 24u16)), Just(("detail", 32))];
    (level, 0u16..1000, 0u32..8, 0u32..5, 1u32..3, 0u32..12).prop_map(
        |((level, codes), code, x, y, size, which)| {
            let code = code % codes;
            match which {
                0 | 1 => format!(
                    r#"{{"op":"paint","level":"{level}","code":{code},"points":[[{x},{y}],[{y},{x}]],"brush":{{"size":{size}}}}}"#
                ),
                2 => format!(
                    r#"{{"op":"fill","level":"{level}","code":{code},"rect":{{"x":{x},"y":{y},"width":1,"height":{size}}},"detail":"keep"}}"#
                ),
                3 => format!(
                    r#"{{"op":"stamp","level":"{level}","at":[{x},{y}],"copy":{{"x":0,"y":0,"width":{size},"height":1}}}}"#
                ),
                4 => r#"{"op":"empty_detail","rect":{"x":2,"y":2,"width":3,"height":2}}"#.to_owned(),
                5 => format!(
                    r#"{{"op":"select","level":"{level}","area":{{"ellipse":{{"x":{x},"y":{y},"width":{size},"height":1}}}}}},
                       {{"op":"bucket","level":"{level}","at":[{x},{y}],"code":{code},"tolerance":0.5}}"#
                ),
                6 => format!(
                    r#"{{"op":"select","level":"{level}","area":{{"lasso":[[{x},{y}],[7,0],[3,4]]}}}},
                       {{"op":"gradient","level":"{level}","from":[0,0],"to":[{size},{y}],"codes":[{code},0],"scatter":0.3}},
                       {{"op":"select","area":"none"}}"#
                ),
                7 => format!(
                    r#"{{"op":"pattern","level":"{level}","copy":{{"x":0,"y":0,"width":2,"height":1}},
                       "turn":{{"quarters":{size}}},"points":[[{x},{y}]]}}"#
                ),
                8 => format!(
                    r#"{{"op":"clone","level":"{level}","source":[1,1],"points":[[{x},{y}]],"brush":{{"size":{size}}}}}"#
                ),
                9 => format!(
                    r#"{{"op":"smudge","level":"{level}","points":[[{x},{y}],[{y},{x}]],"brush":{{"size":{size}}}}}"#
                ),
                10 => format!(
                    r#"{{"op":"select","level":"{level}","area":{{"rect":{{"x":{x},"y":{y},"width":{size},"height":1}}}}}},
                       {{"op":"move","level":"{level}","by":[{size},-1],"leaves":{code}}}"#,
                    code = code % 24
                ),
                _ => format!(
                    r#"{{"op":"paint","level":"{level}","code":{code},"points":[[{x},{y}],[{x},4]],"path":"line",
                       "symmetry":{{"x":true,"turns":2,"centre":[50,40]}}}}"#
                ),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn untouched_pixels_stay_and_erasing_restores_the_source(
        width in 130u32..220, height in 90u32..180, x: bool, y: bool, sixteen: bool, seed: u32,
        operations in prop::collection::vec(operation(), 1..4)
    ) {
        let codec = codec();
        let source = source(width, height, sixteen, seed);
        let mut doc = open(&codec, source, Wrap { x, y }, &()).unwrap();
        let original = Raster::from_source(doc.source(), doc.source().depth_bits());
        prop_assert_eq!(&export(&codec, &doc), &original);
        run(&mut doc, &operations);
        let edited = export(&codec, &doc);
        for (i, inside) in halo(&codec, &doc).into_iter().enumerate() {
            for at in i * 4..i * 4 + 4 {
                prop_assert!(inside || sample(&edited, at) == sample(&original, at));
            }
        }
        erase_all(&mut doc);
        prop_assert_eq!(&export(&codec, &doc), &original);
        while doc.undo().is_some() {}
        prop_assert_eq!(export(&codec, &doc), original);
    }
}

#[test]
fn ten_rounds_of_edit_export_and_reopen_change_nothing_outside_the_halo() {
    let codec = codec();
    let folder = tempfile::tempdir().unwrap();
    for sixteen in [false, true] {
        let source = source(200, 140, sixteen, 9);
        let original = Raster::from_source(&source, source.depth_bits());
        let mut doc = open(&codec, source.clone(), Wrap::default(), &()).unwrap();
        let mut ever_inside = vec![false; 200 * 140];
        for round in 0..10u32 {
            let (x, y) = (round % 4, round % 3);
            run(
                &mut doc,
                &[
                    format!(
                        r#"{{"op":"paint","level":"structure","code":{round},"points":[[{x}.5,{y}.5]]}}"#
                    ),
                    format!(
                        r#"{{"op":"paint","level":"detail","code":{round},"points":[[{x},{y}],[9,9]]}}"#
                    ),
                ],
            );
            let edited = export(&codec, &doc);
            for (ever, now) in ever_inside.iter_mut().zip(halo(&codec, &doc)) {
                *ever |= now;
            }
            let restore = encode_restore_data(&doc, &edited, serde_json::Value::Null).unwrap();
            let metadata = Metadata {
                notes: None,
                provenance: Some(Provenance::Edited),
                restore: Some(&restore),
            };
            let path = folder.path().join("edited.png");
            write_png(&path, Existing::Replace, &edited, &metadata).unwrap();
            // Reopened from nothing but the exported picture.
            let back = read_restore_data(&std::fs::read(&path).unwrap())
                .unwrap()
                .unwrap();
            assert_eq!(back.warning, None);
            doc = back.document;
            assert_eq!(doc.source(), &source, "round {round}");
            assert_eq!(export(&codec, &doc), edited, "round {round}");
            for (i, inside) in ever_inside.iter().enumerate() {
                for at in i * 4..i * 4 + 4 {
                    assert!(*inside || sample(&edited, at) == sample(&original, at));
                }
            }
        }
        assert!(
            ever_inside.iter().any(|inside| !inside),
            "the picture is large enough"
        );
        erase_all(&mut doc);
        assert_eq!(export(&codec, &doc), original);
    }
}

/// What an artist does to layers, by numbers.
fn on_layers(document: &mut Document, steps: &[(u8, u8, u8)]) {
    for &(what, which, value) in steps {
        let layers = document.layers().layers();
        let layer = layers[usize::from(which) % layers.len()].clone();
        let id = layer.id();
        let mut look = layer.look().clone();
        // Refused steps (the only layer deleted, nothing below to merge with) change nothing.
        let _ = match what % 6 {
            0 => document.add_layer().map(Some),
            1 => document.delete_layer(id).map(Some),
            2 => document.move_layer(id, usize::from(value)),
            3 => document.merge_down(id).map(Some),
            4 => {
                look.opacity_percent = [0, 20, 50, 100, 100][usize::from(value) % 5];
                document.set_layer_look(id, look)
            }
            _ => {
                look.is_visible ^= true;
                document.set_layer_look(id, look)
            }
        };
    }
    // Strokes need a layer that is shown.
    let active = document.active().layer;
    let look = document.layers().get(active).unwrap().look().clone();
    let shown = LayerLook {
        is_visible: true,
        ..look
    };
    document.set_layer_look(active, shown).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn layers_leave_what_they_do_not_reach_and_a_patch_is_a_crop_of_the_whole(
        width in 130u32..200, height in 90u32..150, x: bool, y: bool, sixteen: bool, seed: u32,
        rounds in prop::collection::vec((operation(), prop::collection::vec(any::<(u8, u8, u8)>(), 0..4)), 1..5),
        at in (0u32..60, 0u32..60, 20u32..90, 20u32..90),
    ) {
        let codec = Arc::new(codec());
        let wrap = Wrap { x, y };
        let mut doc = open(&codec, source(width, height, sixteen, seed), wrap, &()).unwrap();
        let original = Raster::from_source(doc.source(), doc.source().depth_bits());
        doc.add_layer().unwrap();
        for (operation, steps) in &rounds {
            run(&mut doc, std::slice::from_ref(operation));
            on_layers(&mut doc, steps);
        }
        let whole = export(&codec, &doc);
        let inside = halo(&codec, &doc);
        for (pixel, inside) in inside.iter().enumerate() {
            if !inside {
                for c in 0..4 {
                    let at = pixel * 4 + c;
                    prop_assert_eq!(sample(&whole, at), sample(&original, at));
                }
            }
        }
        let rect = tessera::document::Rect::new(at.0, at.1, at.2, at.3).intersect(&doc.geometry().bounds());
        let mut live = LiveCanvas::new(Arc::clone(&codec), &doc, LiveCanvas::DEFAULT_BUDGET_BYTES).unwrap();
        let patch = live.patch(rect, whole.depth_bits()).unwrap();
        let one_level = if sixteen { 300 } else { 1 };
        for (i, pixel) in (0..rect.area() as usize).flat_map(|i| (0..4).map(move |c| (i, c))) {
            let (px, py) = (rect.x as usize + i % rect.width as usize, rect.y as usize + i / rect.width as usize);
            let shown = match &patch.samples {
                Samples::Rgba8(s) => u16::from(s[i * 4 + pixel]),
                Samples::Rgba16(s) => s[i * 4 + pixel],
            };
            let alpha = sample(&whole, (py * width as usize + px) * 4 + 3);
            let full = sample(&whole, (py * width as usize + px) * 4 + pixel);
            // The colour of what is nearly clear is a quotient of two small numbers.
            let is_solid = pixel == 3 || u32::from(alpha) * 4 > if sixteen { 65_535 } else { 255 };
            prop_assert!(!is_solid || shown.abs_diff(full) <= one_level * 4, "{px}, {py}: {shown} and {full}");
        }
        // Everything undone is the source.
        while doc.undo().is_some() {}
        prop_assert_eq!(export(&codec, &doc), original);
    }
}

#[test]
fn a_blended_layer_is_between_the_picture_without_and_the_picture_with_it() {
    let codec = codec();
    let mut doc = open(&codec, source(160, 96, false, 3), Wrap::default(), &()).unwrap();
    run(&mut doc, &[r#"{"op":"fill","level":"structure","code":7,"rect":{"x":1,"y":1,"width":4,"height":3}}"#.into()]);
    let without = export(&codec, &doc);
    doc.add_layer().unwrap();
    run(&mut doc, &[r#"{"op":"fill","level":"structure","code":15,"rect":{"x":3,"y":2,"width":5,"height":3}}"#.into()]);
    let with = export(&codec, &doc);
    let look = |opacity_percent| LayerLook {
        opacity_percent,
        ..LayerLook::new("Veil")
    };
    doc.set_layer_look(1, look(40)).unwrap();
    let blended = export(&codec, &doc);
    let mut differing = 0;
    for pixel in 0..160 * 96 {
        let of = |raster: &Raster| [0, 1, 2, 3].map(|c| f32::from(sample(raster, pixel * 4 + c)));
        let (a, b, mixed) = (of(&without), of(&with), of(&blended));
        let alpha = a[3] * 0.6 + b[3] * 0.4;
        assert!((mixed[3] - alpha).abs() <= 1.0);
        if a == b {
            assert_eq!(mixed, a);
            continue;
        }
        differing += 1;
        for c in 0..3 {
            let light = (a[c] * a[3] * 0.6 + b[c] * b[3] * 0.4) / 255.0;
            assert!(
                (mixed[c] * mixed[3] / 255.0 - light).abs() <= 1.5,
                "{a:?} {b:?} {mixed:?}"
            );
        }
    }
    assert!(differing > 1000);
    // A full layer over it hides it.
    doc.add_layer().unwrap();
    run(&mut doc, &[r#"{"op":"fill","level":"structure","code":2,"rect":{"x":0,"y":0,"width":10,"height":6}}"#.into()]);
    let covered = export(&codec, &doc);
    let only = doc.active().layer;
    for id in [0, 1] {
        doc.set_layer_look(
            id,
            LayerLook {
                is_visible: false,
                ..look(100)
            },
        )
        .unwrap();
    }
    assert_eq!(doc.active().layer, only);
    assert!(covered == export(&codec, &doc));
}

#[test]
fn an_edit_is_seen_where_it_was_made() {
    let codec = Arc::new(codec());
    let mut doc = open(&codec, source(160, 96, false, 3), Wrap::default(), &()).unwrap();
    let mut live =
        LiveCanvas::new(Arc::clone(&codec), &doc, LiveCanvas::DEFAULT_BUDGET_BYTES).unwrap();
    let alphabet = Alphabet::plain(BOOKS);
    let paint = |doc: &mut Document, medium| {
        let mut easel = Easel::new(doc, None, &alphabet);
        let setup = Setup::new(Level::Structure, Brush::default(), medium);
        let stroke = BrushStroke::press(&mut easel, setup, "paint", (72.0, 40.0)).unwrap();
        stroke.release(&mut easel).unwrap();
        easel.take_deltas()
    };
    let dab = paint(&mut doc, Medium::Code(Some(3)));
    assert_eq!(
        dab.len(),
        if doc.encoded().structure.at(24) == Some(3) {
            16
        } else {
            17
        }
    );
    live.apply(&dab).unwrap();
    let cell = doc.geometry().cell_pixels(Level::Structure, 24);
    let patch = live.patch(cell, 8).unwrap();
    let Samples::Rgba8(shown) = patch.samples else {
        panic!("8 bits were asked for")
    };
    let before = Raster::from_source(doc.source(), 8);
    let changed = (0..16 * 16).filter(|i| {
        let (x, y) = (cell.x + i % 16, cell.y + i / 16);
        let at = ((y * 160 + x) * 4) as usize;
        shown[(i * 4) as usize..][..4] != before.rgba8()[at..at + 4]
    });
    assert!(changed.count() > 200);
    // The eraser takes the dab back without undo.
    let erased = paint(&mut doc, Medium::Source);
    assert_eq!(erased.len(), dab.len());
    assert!(!doc.is_edited());
    live.apply(&erased).unwrap();
    assert_eq!(
        live.patch(doc.geometry().bounds(), 8).unwrap().samples,
        Samples::Rgba8(doc.source().rgba8().to_vec())
    );
    // Undone, the dab is there again; undone once more, everything is as it came.
    let undone = doc.undo().unwrap();
    live.revert(&undone.deltas).unwrap();
    assert_eq!(live.patch(cell, 8).unwrap().samples, Samples::Rgba8(shown));
    let undone = doc.undo().unwrap();
    live.revert(&undone.deltas).unwrap();
    let patch = live.patch(doc.geometry().bounds(), 8).unwrap();
    assert_eq!(patch.samples, Samples::Rgba8(doc.source().rgba8().to_vec()));
}
