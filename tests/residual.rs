//! Cells that were copied bring the texture of where they come from.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Device;
use common::halo;
use proptest::prelude::*;
use tessera::canvas::{self, LiveCanvas};
use tessera::codec::{Codec, CodecConfig};
use tessera::dataset::{self, Limits};
use tessera::document::tools::{
    BrushStroke, Easel, Generated, GeneratedDetail, Layout, Medium, Setup, Transfer, put_generated,
    transfer,
};
use tessera::document::{
    Alphabet, Block, Brush, Codebooks, Coordinate, DetailPolicy, Document, LayerLook, Level,
    Raster, Rect, Samples, Selection, Shape, Source, SourcePicture, SourcePictures, SourceRef,
    Stroke, Target, Turn, Wrap,
};
use tessera::engine::{ModelSource, SAMPLES};
use tessera::error::Kind;
use tessera::export::{Metadata, encode_png, encode_restore_data, read_restore_data};

const BOOKS: Codebooks = Codebooks {
    structure: 24,
    detail: 32,
};

fn codec() -> Arc<Codec> {
    Arc::new(Codec::new(CodecConfig::tiny(), 11, &Device::Cpu).unwrap())
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

/// Opaque grain.
fn picture(width: u32, height: u32, seed: u64) -> Source {
    let mut noise = Noise(seed);
    let rgba = (0..width * height)
        .flat_map(|_| {
            let mut value = || 60 + noise.below(130) as u8;
            [value(), value(), value(), 255]
        })
        .collect();
    Source::from_rgba8(width, height, rgba).unwrap()
}

/// Flat shapes with hard borders, cut out of a transparent ground.
fn drawn(width: u32, height: u32, seed: u64) -> Source {
    let mut noise = Noise(seed);
    let side = 9 + noise.below(30);
    let inks: Vec<[u8; 4]> = (0..5)
        .map(|i| {
            let mut value = || 30 + noise.below(200) as u8;
            [value(), value(), value(), if i == 0 { 0 } else { 255 }]
        })
        .collect();
    let ink = |i: u32| inks[((i % width / side) * 3 + i / width / side) as usize % 5];
    Source::from_rgba8(width, height, (0..width * height).flat_map(ink).collect()).unwrap()
}

fn document(codec: &Codec, source: Source, wrap: Wrap) -> Document {
    canvas::open(codec, source, wrap, &()).unwrap()
}

fn render(codec: &Codec, document: &Document) -> Vec<u8> {
    let raster = canvas::render_document(codec, document, 8, &()).unwrap();
    raster.rgba8().into_owned()
}

fn pixel(rgba: &[u8], width: u32, (x, y): (u32, u32)) -> [u8; 4] {
    let at = ((y * width + x) * 4) as usize;
    rgba[at..at + 4].try_into().unwrap()
}

/// The largest difference of a rectangle to the same rectangle elsewhere.
fn difference(a: &[u8], b: &[u8], width: u32, rect: Rect, (dx, dy): (i64, i64)) -> u8 {
    let mut largest = 0;
    for y in rect.y..rect.bottom() {
        for x in rect.x..rect.right() {
            let from = ((i64::from(x) + dx) as u32, (i64::from(y) + dy) as u32);
            let (p, q) = (pixel(a, width, (x, y)), pixel(b, width, from));
            for (p, q) in p.into_iter().zip(q) {
                largest = largest.max(p.abs_diff(q));
            }
        }
    }
    largest
}

fn alphabet() -> Alphabet {
    Alphabet::plain(BOOKS)
}

fn brush(size: u32) -> Brush {
    Brush {
        shape: Shape::Square,
        size,
        ..Brush::default()
    }
}

fn setup(level: Level, size: u32, medium: Medium) -> Setup {
    Setup::new(level, brush(size), medium)
}

fn stroke(document: &mut Document, setup: Setup, at_px: (f32, f32)) -> Option<Arc<Stroke>> {
    let alphabet = alphabet();
    let mut easel = Easel::new(document, None, &alphabet);
    let stroke = BrushStroke::press(&mut easel, setup, "stroke", at_px).unwrap();
    stroke.release(&mut easel).unwrap()
}

/// All cells of a rectangle of structure cells, as they are, from the place `by` detail cells away.
fn copied(document: &Document, cells: Rect, by: (i64, i64)) -> Generated {
    let geometry = document.geometry();
    let mut generated = Generated::default();
    let at = |level: Level, x: i64, y: i64| {
        let bounds = geometry.grid_bounds(level);
        y as u32 * bounds.width + x as u32
    };
    for y in cells.y..cells.bottom() {
        for x in cells.x..cells.right() {
            let to = at(Level::Structure, x.into(), y.into());
            let from = at(
                Level::Structure,
                i64::from(x) + by.0 / 4,
                i64::from(y) + by.1 / 4,
            );
            let code = document.encoded().structure.at(from).unwrap();
            generated.structure.push((to, code));
        }
    }
    let details = cells.to_pixels(4);
    for y in details.y..details.bottom() {
        for x in details.x..details.right() {
            let from = at(Level::Detail, i64::from(x) + by.0, i64::from(y) + by.1);
            generated.details.push(GeneratedDetail {
                index: at(Level::Detail, x.into(), y.into()),
                code: document.encoded().detail.at(from),
                from: Some(Coordinate::own(geometry, from)),
            });
        }
    }
    generated
}

fn put(document: &mut Document, generated: &Generated) -> Option<Arc<Stroke>> {
    let alphabet = alphabet();
    let mut easel = Easel::new(document, None, &alphabet);
    put_generated(&mut easel, "Put", generated).unwrap()
}

#[test]
fn cells_that_come_from_their_own_place_are_the_source() {
    let codec = codec();
    for wrap in [Wrap::default(), Wrap { x: true, y: true }] {
        let mut doc = document(&codec, picture(210, 150, 3), wrap);
        let source = doc.source().rgba8().to_vec();
        let cells = copied(&doc, Rect::new(2, 2, 7, 5), (0, 0));
        assert!(
            put(&mut doc, &cells).is_none(),
            "nothing changes on the lowest layer"
        );
        doc.add_layer().unwrap();
        let stroke = put(&mut doc, &cells).unwrap();
        assert_eq!(stroke.coordinates.len(), 7 * 5 * 16);
        assert!(doc.is_edited());
        assert_eq!(render(&codec, &doc), source);
        // Over painted cells as well.
        let base = doc.layers().layers()[0].id();
        doc.set_active(Target {
            layer: base,
            is_mask: false,
        });
        stroke_code(&mut doc, (70.0, 60.0));
        assert_eq!(render(&codec, &doc), source);
    }
}

fn stroke_code(document: &mut Document, at_px: (f32, f32)) {
    stroke(
        document,
        setup(Level::Structure, 2, Medium::Code(Some(5))),
        at_px,
    );
}

#[test]
fn the_middle_of_a_copied_piece_is_its_source_and_what_is_painted_loses_it() {
    let codec = codec();
    let width = 480;
    let mut doc = document(&codec, picture(width, 240, 5), Wrap::default());
    let source = doc.source().rgba8().to_vec();
    let by = (56, 0);
    let cells = copied(&doc, Rect::new(1, 1, 13, 13), by);
    let stroke = put(&mut doc, &cells).unwrap();
    let shown = render(&codec, &doc);
    let reach = codec.receptive_field().structure.decode_px as u32;
    let whole = Rect::new(16, 16, 208, 208);
    let middle = Rect::new(16 + reach, 16 + reach, 208 - 2 * reach, 208 - 2 * reach);
    assert!(middle.width > 40, "{middle:?}");
    let by_px = (by.0 * 4, 0);
    assert!(difference(&shown, &source, width, middle, by_px) <= 1);
    // Without coordinates it is what the decoder makes of the codes.
    let mut plain = cells.clone();
    plain
        .details
        .iter_mut()
        .for_each(|detail| detail.from = None);
    let mut bare = document(&codec, picture(width, 240, 5), Wrap::default());
    put(&mut bare, &plain).unwrap();
    let bare_pixels = render(&codec, &bare);
    assert!(difference(&bare_pixels, &source, width, middle, by_px) > 30);
    assert!(
        energy(&shown, width, whole) >= 0.95 * energy(&source, width, Rect::new(240, 16, 208, 208)),
        "{} of {}",
        energy(&shown, width, whole),
        energy(&source, width, Rect::new(240, 16, 208, 208))
    );
    // Undo, and painting over it with plain codes.
    doc.undo().unwrap();
    assert_eq!(render(&codec, &doc), source);
    assert!(doc.coordinates().is_empty());
    doc.redo().unwrap();
    assert_eq!(render(&codec, &doc), shown);
    put(&mut doc, &plain).unwrap();
    assert!(doc.coordinates().is_empty());
    assert_eq!(render(&codec, &doc), bare_pixels);
    assert_eq!(stroke.coordinates.len(), 13 * 13 * 16);
}

/// Mean squared step between neighbouring pixels.
fn energy(rgba: &[u8], width: u32, rect: Rect) -> f64 {
    let mut sum = 0.0;
    for y in rect.y..rect.bottom() - 1 {
        for x in rect.x..rect.right() - 1 {
            let here = pixel(rgba, width, (x, y));
            for there in [(x + 1, y), (x, y + 1)] {
                let there = pixel(rgba, width, there);
                for c in 0..3 {
                    sum += f64::from(here[c].abs_diff(there[c])).powi(2);
                }
            }
        }
    }
    sum / rect.area() as f64
}

#[test]
fn every_tool_that_copies_brings_the_texture_along() {
    let codec = codec();
    let start = || document(&codec, picture(256, 256, 7), Wrap::default());
    let at = (56.0, 56.0);
    let expect = |document: &Document, what: &str, from: (u32, u32)| {
        let columns = document.geometry().grid_width(Level::Detail);
        let index = (56 / 4) * columns + 56 / 4;
        let coordinate = document.origin(index);
        let wanted = Coordinate {
            source: 0,
            y: from.1 as u16,
            x: from.0 as u16,
        };
        assert_eq!(coordinate, Some(wanted), "{what}");
    };
    for level in Level::ALL {
        let step = 64 / i64::from(level.stride_px());
        let mut doc = start();
        let offset = (step, 2 * step);
        stroke(&mut doc, setup(level, 3, Medium::Clone { offset }), at);
        expect(&doc, "clone", (14 + 16, 14 + 32));
        // A clone of the clone still comes from the first place.
        let mut again = start();
        stroke(
            &mut again,
            setup(level, 3, Medium::Clone { offset }),
            (120.0, 56.0),
        );
        stroke(
            &mut again,
            setup(level, 3, Medium::Clone { offset: (step, 0) }),
            at,
        );
        expect(&again, "clone of a clone", (14 + 32, 14 + 32));

        let mut doc = start();
        let side = 32 / level.stride_px();
        let corner = 128 / level.stride_px();
        let rect = Rect::new(corner, corner, side, side);
        let block = Block::of_document(&doc, level, rect).unwrap().unwrap();
        let medium = Medium::Pattern {
            block: Arc::new(block.clone()),
            layout: Layout::Stamp,
            is_aligned: true,
        };
        stroke(&mut doc, setup(level, 1, medium), at);
        expect(&doc, "pattern", (32 + 6, 32 + 6));
        let turned = block.turned(tessera::document::Turn {
            is_mirrored: true,
            quarters: 0,
        });
        assert!(turned.places.is_none());

        for is_copy in [true, false] {
            let mut doc = start();
            let alphabet = alphabet();
            let cells = Rect::new(8, 8, 4, 4).to_pixels(16 / level.stride_px());
            let columns = doc.geometry().grid_width(level);
            let selection = Selection::of_cells(
                doc.geometry(),
                level,
                (cells.y..cells.bottom())
                    .flat_map(|y| (cells.x..cells.right()).map(move |x| y * columns + x)),
            );
            let mut easel = Easel::new(&mut doc, Some(&selection), &alphabet);
            let how = Transfer {
                level,
                by: (
                    -6 * i64::from(16 / level.stride_px()),
                    -6 * i64::from(16 / level.stride_px()),
                ),
                is_copy,
                leaves: 0,
            };
            easel
                .stroke("Move", |easel| transfer(easel, &how).map(drop))
                .unwrap()
                .unwrap();
            expect(&doc, "move", (14 + 24, 14 + 24));
        }
    }
    // Other codes come from nowhere.
    let mut doc = start();
    stroke(
        &mut doc,
        setup(Level::Structure, 3, Medium::Clone { offset: (4, 4) }),
        at,
    );
    let keep = Setup {
        detail: DetailPolicy::Keep,
        ..setup(Level::Structure, 3, Medium::Code(Some(9)))
    };
    stroke(&mut doc, keep, at);
    assert!(doc.coordinates().is_empty());
    doc.undo().unwrap();
    assert_eq!(doc.coordinates().len(), 9 * 16);
    // In a layer above they hide where the cells below come from, and bring them back when they go.
    doc.add_layer().unwrap();
    stroke_code(&mut doc, at);
    assert!(doc.coordinates().len() < 9 * 16);
    stroke(&mut doc, setup(Level::Structure, 5, Medium::Source), at);
    assert_eq!(doc.coordinates().len(), 9 * 16);
}

#[test]
fn a_copy_of_the_lowest_layer_has_the_codes_of_cells_that_only_come_from_elsewhere() {
    let codec = codec();
    let mut doc = document(&codec, picture(64, 64, 2), Wrap::default());
    let code = doc.encoded().detail.at(5);
    let cell = Generated {
        details: vec![GeneratedDetail {
            index: 5,
            code,
            from: Some(Coordinate {
                source: 0,
                y: 9,
                x: 9,
            }),
        }],
        ..Generated::default()
    };
    let stroke = put(&mut doc, &cell).unwrap();
    assert_eq!(
        (stroke.deltas[0].before, stroke.deltas.len()),
        (stroke.deltas[0].after, 1)
    );
    let lowest = doc.active().layer;
    assert!(
        doc.layers()
            .get(lowest)
            .unwrap()
            .cells(Level::Detail)
            .is_empty()
    );
    let shown = render(&codec, &doc);
    doc.duplicate_layer(lowest).unwrap();
    let copy = doc.layers().get(doc.active().layer).unwrap();
    assert_eq!(copy.cells(Level::Detail).get(5), code);
    tessera::document::LayerStack::from_layers(
        doc.layers().layers().to_vec(),
        doc.geometry(),
        None,
    )
    .unwrap();
    assert_eq!(render(&codec, &doc), shown);
    doc.merge_down(doc.active().layer).unwrap();
    assert_eq!(render(&codec, &doc), shown);
}

#[derive(Debug)]
struct Album(HashMap<String, Arc<SourcePicture>>);

impl SourcePictures for Album {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        self.0.get(&of.content_hash).cloned()
    }
}

fn named(digit: char, source: &Source) -> SourceRef {
    SourceRef {
        content_hash: digit.to_string().repeat(64),
        width: source.width(),
        height: source.height(),
        name: format!("picture {digit}"),
        turn: Turn::default(),
    }
}

#[test]
fn cells_of_other_pictures_bring_theirs_and_fall_back_where_those_are_gone() {
    let codec = codec();
    let other = document(&codec, picture(230, 222, 9), Wrap::default());
    let mut doc = document(&codec, picture(300, 260, 10), Wrap::default());
    let reference = named('a', other.source());
    let mut cells = copied(&other, Rect::new(0, 0, 13, 13), (0, 0));
    // The other picture's corner goes to the corner of this one.
    let (narrow, wide) = (other.geometry(), doc.geometry());
    let to = |level: Level, index: u32| {
        let columns = narrow.grid_width(level);
        (index / columns + 1) * wide.grid_width(level) + index % columns + 1
    };
    let to = |level: Level, index| match level {
        Level::Structure => to(level, index),
        Level::Detail => {
            let columns = narrow.grid_width(level);
            (index / columns + 4) * wide.grid_width(level) + index % columns + 4
        }
    };
    for cell in &mut cells.structure {
        cell.0 = to(Level::Structure, cell.0);
    }
    for cell in &mut cells.details {
        cell.index = to(Level::Detail, cell.index);
        cell.from = cell.from.map(|from| Coordinate { source: 1, ..from });
    }
    let mut unknown = cells.clone();
    unknown.sources = vec![];
    let alphabet = alphabet();
    let failed = put_generated(&mut Easel::new(&mut doc, None, &alphabet), "Put", &unknown);
    assert_eq!(failed.unwrap_err().kind, Kind::Usage);
    assert!(!doc.is_edited());
    cells.sources = vec![named('b', other.source()), reference.clone()];
    for cell in &mut cells.details {
        cell.from = cell.from.map(|from| Coordinate { source: 2, ..from });
    }
    let stroke = put(&mut doc, &cells).unwrap();
    assert_eq!(stroke.sources.len(), 2);
    let plain = render(&codec, &doc);
    let album = Album(HashMap::from([(
        reference.content_hash.clone(),
        Arc::new(SourcePicture {
            source: other.source().clone(),
            codes: other.encoded().clone(),
            wrap: Wrap::default(),
        }),
    )]));
    doc.find_sources_in(Arc::new(album));
    let shown = render(&codec, &doc);
    assert_ne!(shown, plain);
    let reach = codec.receptive_field().structure.decode_px as u32;
    let mut largest = 0;
    for y in 16 + reach..16 + 208 - reach {
        for x in 16 + reach..16 + 208 - reach {
            let here = pixel(&shown, 300, (x, y));
            let there = pixel(other.source().rgba8(), 230, (x - 16, y - 16));
            for c in 0..4 {
                largest = largest.max(here[c].abs_diff(there[c]));
            }
        }
    }
    assert!(largest <= 1, "{largest}");
    // Where it is gone, the cells look like their codes alone.
    doc.find_sources_in(Arc::new(Album(HashMap::new())));
    assert_eq!(render(&codec, &doc), plain);
    let mut bare = document(&codec, picture(300, 260, 10), Wrap::default());
    cells.details.iter_mut().for_each(|cell| cell.from = None);
    put(&mut bare, &cells).unwrap();
    assert_eq!(render(&codec, &bare), plain);
}

/// What an artist might do next; says which cells to follow, or that the layers were rearranged.
fn act(document: &mut Document, noise: &mut Noise) {
    let geometry = document.geometry();
    let at = (
        noise.below(geometry.width()) as f32,
        noise.below(geometry.height()) as f32,
    );
    let level = Level::ALL[noise.below(2) as usize];
    let far = |noise: &mut Noise| i64::from(noise.below(40)) - 20;
    let offset = (far(noise), far(noise));
    let size = 1 + noise.below(5);
    let layers = document.layers().layers().len() as u32;
    let some_layer = document.layers().layers()[noise.below(layers) as usize].clone();
    let target = Target {
        layer: some_layer.id(),
        is_mask: false,
    };
    match noise.below(18) {
        0..=5 => drop(stroke(
            document,
            setup(level, size, Medium::Clone { offset }),
            at,
        )),
        6 => drop(stroke(
            document,
            setup(level, size, Medium::Code(Some(noise.below(20) as u16))),
            at,
        )),
        7 => drop(stroke(document, setup(level, size + 2, Medium::Source), at)),
        8 => drop(document.undo()),
        9 => drop(document.redo()),
        10 if layers < 4 => drop(document.add_layer().unwrap()),
        11 if layers < 4 => drop(document.duplicate_layer(some_layer.id()).unwrap()),
        12 => {
            let look = LayerLook {
                opacity_percent: [100, 100, 50, 30][noise.below(4) as usize],
                ..some_layer.look().clone()
            };
            document.set_layer_look(some_layer.id(), look).unwrap();
        }
        13 => {
            document.set_active(Target {
                is_mask: true,
                ..target
            });
            stroke(document, setup(level, size, Medium::Code(Some(1))), at);
            document.set_active(target);
        }
        14 => drop(document.merge_down(some_layer.id())),
        15 => {
            document.set_active(target);
        }
        16 => drop(
            document
                .move_layer(some_layer.id(), noise.below(layers) as usize)
                .unwrap(),
        ),
        _ => {
            let alphabet = alphabet();
            let columns = geometry.grid_width(Level::Structure);
            let cells = Rect::new(noise.below(columns), noise.below(4), 3, 2)
                .intersect(&geometry.grid_bounds(Level::Structure));
            let selection = Selection::of_cells(
                geometry,
                Level::Structure,
                (cells.y..cells.bottom())
                    .flat_map(|y| (cells.x..cells.right()).map(move |x| y * columns + x)),
            );
            let how = Transfer {
                level: Level::Structure,
                by: (offset.0 / 4, offset.1 / 4),
                is_copy: noise.below(2) == 0,
                leaves: 3,
            };
            let mut easel = Easel::new(document, Some(&selection), &alphabet);
            let _ = easel.stroke("Move", |easel| transfer(easel, &how).map(drop));
        }
    }
}

/// Whether pixels agree up to rounding.
fn agree(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    a.iter().zip(b).all(|(a, b)| {
        a[3].abs_diff(b[3]) <= 1
            && (a[3].min(b[3]) <= 16 || (0..3).all(|c| a[c].abs_diff(b[c]) <= 1))
    })
}

fn paste(raster: &mut [u8], width: u32, patch: &canvas::Patch) {
    let Samples::Rgba8(samples) = &patch.samples else {
        panic!("8 bits were asked for")
    };
    let line = patch.rect.width.max(1) as usize * 4;
    for (row, pixels) in samples.chunks_exact(line).enumerate() {
        let start = ((patch.rect.y as usize + row) * width as usize + patch.rect.x as usize) * 4;
        raster[start..start + pixels.len()].copy_from_slice(pixels);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_live_canvas_shows_the_export_and_everything_can_be_taken_back(
        width in 90u32..260, height in 80u32..200, x: bool, y: bool, is_drawn: bool, seed: u64
    ) {
        let codec = codec();
        let source = if is_drawn { drawn(width, height, seed) } else { picture(width, height, seed) };
        let mut doc = document(&codec, source, Wrap { x, y });
        let source = doc.source().rgba8().to_vec();
        let mut live = LiveCanvas::new(codec.clone(), &doc, LiveCanvas::DEFAULT_BUDGET_BYTES).unwrap();
        let mut shown = source.clone();
        let mut noise = Noise(seed ^ 99);
        for _ in 0..12 {
            let (arrangement, before) = (doc.arrangement(), doc.history().clone());
            act(&mut doc, &mut noise);
            let after = doc.history();
            let common = before.strokes().iter().zip(after.strokes())
                .take_while(|(a, b)| Arc::ptr_eq(a, b)).count();
            let touched = (before.strokes()[common.min(after.cursor()).min(before.cursor())..].iter())
                .chain(&after.strokes()[common.min(after.cursor()).min(before.cursor())..]);
            let cells: Vec<_> = touched
                .flat_map(|stroke| stroke.deltas.iter().map(|d| (d.level, d.index)))
                .collect();
            let layers = doc.layers().clone();
            let dirty = if arrangement == doc.arrangement() {
                live.follow(layers, &cells).unwrap()
            } else {
                live.rearrange(layers).unwrap()
            };
            for rect in dirty.rects() {
                let patch = live.patch(*rect, 8).unwrap();
                paste(&mut shown, width, &patch);
            }
            let whole = render(&codec, &doc);
            prop_assert!(agree(&shown, &whole), "{:?}", doc.history().strokes().last().map(|s| &s.label));
            for (pixel, (inside, (a, b))) in halo(&codec, &doc).into_iter()
                .zip(whole.chunks_exact(4).zip(source.chunks_exact(4))).enumerate()
            {
                prop_assert!(inside || a == b, "pixel {pixel} outside the halo");
            }
        }
        // Replayed from the start, the layers are the same.
        let mut replayed = Document::new(doc.source().clone(), (**doc.encoded()).clone(), doc.wrap(), "m").unwrap();
        let mut stack = replayed.layers().clone();
        for stroke in &doc.history().strokes()[..doc.history().cursor()] {
            prop_assert!(stroke.follows(&stack, doc.encoded()), "{}", stroke.label);
            stroke.check(doc.geometry()).unwrap();
            stroke.apply(&mut stack, doc.encoded());
        }
        prop_assert_eq!(stack.layers(), doc.layers().layers());
        replayed.replace_layers("Replay", stack).unwrap();
        prop_assert_eq!(replayed.coordinates(), doc.coordinates());
        while doc.undo().is_some() {}
        prop_assert!(!doc.is_edited());
        prop_assert_eq!(render(&codec, &doc), source);
    }
}

#[test]
fn sixteen_bits_and_transparency_come_along() {
    let codec = codec();
    let mut noise = Noise(4);
    let rgba16: Vec<u16> = (0..256 * 256)
        .flat_map(|_| {
            let alpha = [0, 30_000, 65_535, 65_535][noise.below(4) as usize];
            let mut value = || noise.below(65_536) as u16;
            [value(), value(), value(), alpha]
        })
        .collect();
    let source = Source::from_rgba16(256, 256, rgba16).unwrap();
    let mut doc = document(&codec, source, Wrap::default());
    doc.add_layer().unwrap();
    let cells = copied(&doc, Rect::new(2, 2, 8, 8), (0, 0));
    put(&mut doc, &cells).unwrap();
    let raster = canvas::render_document(&codec, &doc, 16, &()).unwrap();
    assert_eq!(raster, Raster::from_source(doc.source(), 16));
}

#[test]
fn an_exported_picture_gives_back_where_its_cells_come_from() {
    let codec = codec();
    let mut doc = document(&codec, picture(200, 180, 21), Wrap::default());
    let cells = copied(&doc, Rect::new(1, 1, 4, 4), (24, 24));
    put(&mut doc, &cells).unwrap();
    let mut foreign = Generated {
        sources: vec![named('c', &picture(64, 64, 1))],
        ..Generated::default()
    };
    foreign.details.push(GeneratedDetail {
        index: 0,
        code: Some(3),
        from: Some(Coordinate {
            source: 1,
            y: 2,
            x: 3,
        }),
    });
    put(&mut doc, &foreign).unwrap();
    let output = canvas::render_document(&codec, &doc, 8, &()).unwrap();
    let restore = encode_restore_data(&doc, &output, serde_json::Value::Null).unwrap();
    let metadata = Metadata {
        restore: Some(&restore),
        ..Metadata::default()
    };
    let png = encode_png(&output, &metadata).unwrap();
    let found = read_restore_data(&png).unwrap().unwrap();
    assert!(found.warning.is_none());
    assert_eq!(found.document.source(), doc.source());
    assert_eq!(found.document.coordinates(), doc.coordinates());
    assert_eq!(found.document.sources().list(), doc.sources().list());
    assert_eq!(render(&codec, &found.document), output.rgba8().as_ref());
    // As one stroke on a fresh document.
    let mut fresh = document(&codec, picture(200, 180, 21), Wrap::default());
    fresh.list_sources_of(&found.document);
    let mut stack = fresh.layers().clone();
    let stroke = found.document.as_stroke("Restored edits");
    assert!(stroke.follows(&stack, fresh.encoded()));
    assert_eq!(stroke.sources.len(), 1);
    stroke.apply(&mut stack, fresh.encoded());
    fresh.replace_layers("Restored", stack).unwrap();
    assert_eq!(fresh.coordinates(), doc.coordinates());
    // Bytes that lie are damage or mean nothing; never more.
    for at in (0..png.len()).step_by(97) {
        let mut spoilt = png.clone();
        spoilt[at] ^= 0x55;
        let _ = read_restore_data(&spoilt);
    }
}

/// A piece of a photograph cloned within it: the strength of its grain in the copy, of the grain in the original.
fn cloned_grain(codec: &Codec, source: Source, is_carried: bool) -> f64 {
    let width = source.width();
    let mut doc = document(codec, source, Wrap::default());
    let original = doc.source().rgba8().to_vec();
    let cells = Rect::new(1, 1, 8, 8);
    let by = (
        i64::from(width / 2 / 16) * 4,
        i64::from((doc.height() / 16 - 10) * 4),
    );
    let mut piece = copied(&doc, cells, by);
    if !is_carried {
        piece.details.iter_mut().for_each(|cell| cell.from = None);
    }
    let alphabet = Alphabet::plain(Codebooks {
        structure: codec.config().structure.codes as u32,
        detail: codec.config().detail.codes as u32,
    });
    let mut easel = Easel::new(&mut doc, None, &alphabet);
    put_generated(&mut easel, "Put", &piece).unwrap().unwrap();
    let shown = render(codec, &doc);
    let to = cells.to_pixels(16);
    let from = Rect::new(
        to.x + by.0 as u32 * 4,
        to.y + by.1 as u32 * 4,
        to.width,
        to.height,
    );
    energy(&shown, width, to) / energy(&original, width, from)
}

#[test]
fn a_clone_of_a_photograph_keeps_its_grain() {
    let model = ModelSource::Base.load(&Device::Cpu).unwrap();
    for name in [
        "kitten-on-lawn.jpg",
        "extreme-desert-hike.jpg",
        "tea-gardens.jpg",
    ] {
        let bytes = SAMPLES.iter().find(|(n, _)| *n == name).unwrap().1;
        let decoded = dataset::decode_bytes(bytes, &Limits::default()).unwrap();
        let source = Source::from_rgba8(decoded.width, decoded.height, decoded.rgba8).unwrap();
        let plain = cloned_grain(&model.codec, source.clone(), false);
        let carried = cloned_grain(&model.codec, source, true);
        assert!((0.95..=1.1).contains(&carried), "{name}: {carried}");
        assert!(plain < carried, "{name}: {plain}");
    }
}
