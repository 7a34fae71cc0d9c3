//! Compositing against a decoder whose pixels are a formula of the codes within its reach.

use proptest::prelude::*;

use super::*;
use crate::document::script::EditScript;
use crate::document::{Codebooks, Codes, DetailPolicy, Document, Geometry, Level, Samples, Wrap};

const REACH: Reach = Reach {
    structure_px: 24,
    detail_px: 8,
};

/// Each pixel mixes the codes under it and at the corners of its reach.
struct Formula {
    geometry: Geometry,
    wrap: Wrap,
    encoded: Codes,
    edited: Codes,
    windows: Vec<Rect>,
}

impl Formula {
    fn of(document: &Document) -> Self {
        Self {
            geometry: document.geometry(),
            wrap: document.wrap(),
            encoded: Codes::clone(document.encoded()),
            edited: Codes::clone(document.edited()),
            windows: Vec::new(),
        }
    }

    fn code(&self, codes: &Codes, level: Level, x: i64, y: i64) -> f32 {
        let bounds = self.geometry.padded_bounds();
        let axis = |at: i64, size: u32, wraps: bool| {
            let size = i64::from(size);
            if wraps {
                Some(at.rem_euclid(size))
            } else {
                (0..size).contains(&at).then_some(at)
            }
        };
        let (Some(x), Some(y)) = (
            axis(x, bounds.width, self.wrap.x),
            axis(y, bounds.height, self.wrap.y),
        ) else {
            return 0.0;
        };
        let stride = i64::from(level.stride_px());
        let code = codes
            .level(level)
            .get((x / stride) as u32, (y / stride) as u32);
        code.map_or(0.1, |c| f32::from(c % 17) / 17.0)
    }

    fn pixel(&self, codes: &Codes, x: u32, y: u32) -> [f32; 4] {
        let (x, y) = (i64::from(x), i64::from(y));
        let mut sum = 0.0;
        for level in Level::ALL {
            let r = i64::from(REACH.of(level));
            for (dx, dy) in [(0, 0), (r, r), (-r, r), (r, -r), (-r, -r)] {
                sum += self.code(codes, level, x + dx, y + dy);
            }
        }
        let alpha = (sum / 4.0).min(1.0);
        let colour = |c: f32| ((sum * c).fract() * alpha) * 2.0 - 1.0;
        [colour(1.7), colour(2.3), colour(5.1), alpha * 2.0 - 1.0]
    }
}

impl WindowDecoder for Formula {
    fn reach(&self) -> Reach {
        REACH
    }

    fn decode(&mut self, version: Version, rect: Rect) -> Result<Vec<f32>> {
        self.windows.push(rect);
        let codes = match version {
            Version::Encoded => &self.encoded,
            Version::Edited => &self.edited,
        };
        Ok((rect.y..rect.bottom())
            .flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y)))
            .flat_map(|(x, y)| self.pixel(codes, x, y))
            .collect())
    }

    fn encoded_tiles(
        &mut self,
        _of: (u16, Option<&SourcePicture>),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>> {
        let bounds = self.geometry.padded_bounds();
        (tiles.iter())
            .map(|(x, y)| {
                let tile = Rect::new(x * 128, y * 128, 128, 128).intersect(&bounds);
                self.decode(Version::Encoded, tile).map(Arc::new)
            })
            .collect()
    }
}

const BOOKS: Codebooks = Codebooks {
    structure: 40,
    detail: 40,
};

/// Every kind of pixel: opaque, half transparent, transparent with colour under it.
fn document(width: u32, height: u32, wrap: Wrap, sixteen: bool) -> Document {
    let mut state = 9u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16
    };
    let mut samples = Vec::new();
    for i in 0..width * height {
        let alpha = match i % 5 {
            0 => 0,
            1 => next(),
            2 => 1 + next() % 600,
            _ => u16::MAX,
        };
        samples.extend([next(), next(), next(), alpha]);
    }
    let source = if sixteen {
        Source::from_rgba16(width, height, samples).unwrap()
    } else {
        let samples = samples.iter().map(|v| (v >> 8) as u8).collect();
        Source::from_rgba8(width, height, samples).unwrap()
    };
    let geometry = source.geometry();
    let mut codes = Codes::blank(geometry);
    for level in Level::ALL {
        for i in 0..geometry.cell_count(level) as u32 {
            codes.level_mut(level).set(i, Some((i * 7 % 40) as u16));
        }
    }
    Document::new(source, codes, wrap, "m").unwrap()
}

fn draw(document: &Document, depth: u8) -> Raster {
    let mut decoder = Formula::of(document);
    render(
        &document.edits(),
        document.source(),
        &mut decoder,
        depth,
        &(),
    )
    .unwrap()
}

fn pixel(raster: &Raster, x: u32, y: u32) -> [u16; 4] {
    let at = (y as usize * raster.width() as usize + x as usize) * 4;
    std::array::from_fn(|c| match raster.samples() {
        Samples::Rgba8(s) => u16::from(s[at + c]),
        Samples::Rgba16(s) => s[at + c],
    })
}

fn paint(document: &mut Document, level: Level, index: u32, code: u16) {
    document.begin("paint").unwrap();
    document
        .paint_cell(level, index, Some(code), DetailPolicy::Empty)
        .unwrap();
    document.commit();
}

/// Whether a pixel lies within the reach of any changed cell, by definition.
fn in_halo(document: &Document, x: u32, y: u32) -> bool {
    let geometry = document.geometry();
    let bounds = geometry.padded_bounds();
    let near = |a0: u32, len: u32, at: u32, reach: u32, size: u32, wraps: bool| {
        [-1i64, 0, 1].iter().any(|turn| {
            let at = i64::from(at) + turn * i64::from(size);
            (*turn == 0 || wraps)
                && at >= i64::from(a0) - i64::from(reach)
                && at < i64::from(a0 + len + reach)
        })
    };
    Level::ALL.iter().any(|&level| {
        document.changed_cells(level).any(|index| {
            let cell = geometry.cell_pixels(level, index);
            let reach = REACH.of(level);
            near(
                cell.x,
                cell.width,
                x,
                reach,
                bounds.width,
                document.wrap().x,
            ) && near(
                cell.y,
                cell.height,
                y,
                reach,
                bounds.height,
                document.wrap().y,
            )
        })
    })
}

#[test]
fn inside_a_changed_cell_is_the_decode_and_outside_the_halo_the_source() {
    for (sixteen, depth) in [(false, 8), (false, 16), (true, 16), (true, 8)] {
        let mut doc = document(150, 140, Wrap::default(), sixteen);
        paint(&mut doc, Level::Structure, 44, 3);
        let (raster, source) = (draw(&doc, depth), Raster::from_source(doc.source(), depth));
        let formula = Formula::of(&doc);
        let cell = doc.geometry().cell_pixels(Level::Structure, 44);
        let max = if depth == 8 { 255.0 } else { 65_535.0 };
        let mut changed = 0;
        for y in 0..140 {
            for x in 0..150 {
                let got = pixel(&raster, x, y);
                if cell.contains(x, y) {
                    let want = formula.pixel(doc.edited(), x, y).map(|v| (v + 1.0) / 2.0);
                    let alpha = f32::from(got[3]) / max;
                    assert!((alpha - want[3]).abs() < 1.0 / max);
                    for c in 0..3 {
                        let got = f32::from(got[c]) / max * alpha;
                        assert!((got - want[c]).abs() < 2.0 / max, "{x} {y}");
                    }
                } else if !in_halo(&doc, x, y) {
                    assert_eq!(got, pixel(&source, x, y), "{x} {y}");
                } else {
                    changed += u32::from(got != pixel(&source, x, y));
                }
            }
        }
        assert!(changed > 100, "the halo carries the edit outwards");
    }
}

#[test]
fn hidden_colour_stays_hidden_and_kept() {
    let mut doc = document(96, 96, Wrap::default(), false);
    // Detail 0 keeps the alpha of these pixels at whatever the formula gives; compare to it.
    paint(&mut doc, Level::Detail, 24 * 12 + 12, 9);
    let raster = draw(&doc, 8);
    let (pixels, _) = doc.source().rgba8().as_chunks::<4>();
    let mut kept = 0;
    for (i, source) in pixels.iter().enumerate() {
        let (x, y) = (i as u32 % 96, i as u32 / 96);
        let got = pixel(&raster, x, y);
        if source[3] == 0 && got[3] == 0 {
            assert_eq!(got, source.map(u16::from));
            kept += 1;
        }
    }
    assert!(kept > 1000);
    // A transparent pixel with any colour under it composites like transparent black.
    for hidden in [[0, 0, 0, 0], [255, 255, 255, 0]] {
        let got = blend_pixel(hidden, ([0.0; 4], [-0.5; 4]), (0.0, 0.0), None, 255.0);
        assert_eq!(
            got,
            blend_pixel(
                [9, 77, 3, 0],
                ([0.0; 4], [-0.5; 4]),
                (0.0, 0.0),
                None,
                255.0
            )
        );
        assert!(got.unwrap()[3] > 0);
    }
    // What an edit makes transparent keeps no colour.
    let cleared = blend_pixel(
        [200, 10, 10, 255],
        ([-1.0; 4], [0.0; 4]),
        (1.0, 0.0),
        None,
        255.0,
    );
    assert_eq!(cleared, Some([0; 4]));
}

#[test]
fn nothing_is_decoded_where_nothing_changed() {
    let mut doc = document(1024, 1024, Wrap::default(), false);
    let mut decoder = Formula::of(&doc);
    render(&doc.edits(), doc.source(), &mut decoder, 8, &()).unwrap();
    assert!(decoder.windows.is_empty());
    paint(&mut doc, Level::Detail, 256 * 100 + 100, 1);
    let mut decoder = Formula::of(&doc);
    render(&doc.edits(), doc.source(), &mut decoder, 8, &()).unwrap();
    assert_eq!(decoder.windows, [Rect::new(392, 392, 20, 20); 2]);
}

fn script() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just("structure"), Just("detail")];
    let operation = (level, 0u16..40, 0u32..6, 0u32..6, 1u32..4, 0u32..4).prop_map(
        |(level, code, x, y, size, which)| match which {
            0 | 1 => format!(
                r#"{{"op":"paint","level":"{level}","code":{code},"points":[[{x},{y}],[{y},{x}]],"brush":{{"size":{size},"scatter":0.2}}}}"#
            ),
            2 => format!(
                r#"{{"op":"stamp","level":"{level}","at":[{x},{y}],"copy":{{"x":0,"y":0,"width":2,"height":{size}}}}}"#
            ),
            _ => r#"{"op":"empty_detail","rect":{"x":1,"y":1,"width":3,"height":3}}"#.to_owned(),
        },
    );
    prop::collection::vec(operation, 1..5).prop_map(|operations| {
        format!(
            r#"{{"tessera_edits":1,"operations":[{}]}}"#,
            operations.join(",")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn outside_the_halo_every_byte_stays_and_erasing_brings_all_back(
        width in 96u32..200, height in 96u32..170, x: bool, y: bool, sixteen: bool, script in script()
    ) {
        let mut doc = document(width, height, Wrap { x, y }, sixteen);
        EditScript::from_json(&script).unwrap().apply(&mut doc, BOOKS).unwrap();
        let depth = doc.source().depth_bits();
        let source = Raster::from_source(doc.source(), depth);
        let raster = draw(&doc, depth);
        for py in 0..height {
            for px in 0..width {
                if !in_halo(&doc, px, py) {
                    prop_assert_eq!(pixel(&raster, px, py), pixel(&source, px, py));
                }
            }
        }
        // Tiles and windows agree with one window over everything.
        let mut whole = Raster::from_source(doc.source(), depth);
        let mut target = Target { samples: whole.samples_mut(), rect: doc.geometry().bounds() };
        let mut decoder = Formula::of(&doc);
        composite(&doc.edits(), doc.source(), &mut decoder, doc.geometry().padded_bounds(), &mut target).unwrap();
        prop_assert_eq!(&whole, &raster);

        let all = format!(
            r#"{{"tessera_edits":1,"operations":[{{"op":"erase","unit":"pixels","rect":{{"x":0,"y":0,"width":{width},"height":{height}}}}}]}}"#
        );
        EditScript::from_json(&all).unwrap().apply(&mut doc, BOOKS).unwrap();
        prop_assert_eq!(draw(&doc, depth), source);
    }
}
