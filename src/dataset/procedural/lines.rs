//! Lines: hatching that follows a tone, pen and brush strokes, rows of signs that mean nothing.

use super::canvas::{Canvas, Paint};
use super::colour::{BLACK, Palette, Rgb, WHITE, mix};
use super::dice::Dice;
use super::field::{Field, FieldKind};
use super::scenery;

fn paper_and_ink(dice: &mut Dice) -> (Rgb, Rgb) {
    let palette = Palette::new(dice);
    match dice.weighted(&[3.0, 2.0, 1.0]) {
        0 => (
            mix(WHITE, [0.95, 0.9, 0.78], dice.unit()),
            mix(BLACK, palette.darkest(), dice.unit() * 0.5),
        ),
        1 => (palette.lightest(), palette.darkest()),
        _ => (palette.darkest(), palette.lightest()),
    }
}

/// Engraving: lines that swell with the tone below them, in one to three directions.
pub(super) fn hatching(dice: &mut Dice, side: usize) -> Canvas {
    let (paper, ink) = paper_and_ink(dice);
    let mut canvas = Canvas::transparent(side);
    canvas.fill(&paper.into());
    let tone_kind = FieldKind {
        octaves: 3,
        ..FieldKind::random(dice, side)
    };
    let tone = Field::new(dice, side, tone_kind);
    let bend_kind = FieldKind {
        cell_px: [side as f32 * 0.6; 2],
        octaves: 2,
        gain: 0.5,
        is_ridged: false,
    };
    let bend = Field::new(dice, side, bend_kind);
    let first = dice.angle();
    for layer in 0..dice.count(1, 3) {
        let period = dice.scale(2.5, 9.0);
        let angle = first + layer as f32 * dice.within(0.5, 1.6);
        let (sin, cos) = angle.sin_cos();
        let swing = dice.within(0.0, 20.0);
        let threshold = -0.5 + 0.5 * layer as f32;
        let paint: Paint = ink.into();
        canvas.draw_where(&paint, |x, y| {
            let (ix, iy) = (x as i32, y as i32);
            let across = x * cos + y * sin + swing * bend.at(ix, iy);
            let from_line = ((across / period).rem_euclid(1.0) - 0.5).abs() * period;
            let width = ((tone.at(ix, iy) - threshold) * 0.35).clamp(0.0, 0.9) * period;
            (width * 0.5 + 0.5 - from_line).clamp(0.0, width.min(1.0))
        });
    }
    canvas
}

/// Points along a curve from `from` to `to`, bent towards `by`.
fn curve(from: [f32; 2], by: [f32; 2], to: [f32; 2], steps: u32) -> Vec<[f32; 2]> {
    (0..=steps)
        .map(|i| {
            let t = i as f32 / steps as f32;
            let s = 1.0 - t;
            std::array::from_fn(|c| s * s * from[c] + 2.0 * s * t * by[c] + t * t * to[c])
        })
        .collect()
}

/// Strokes of a pen or brush, a scribble, or rows of signs; on paper, colour or nothing.
pub(super) fn strokes(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let extent = canvas.side_px();
    let palette = Palette::new(dice);
    let (paper, ink) = paper_and_ink(dice);
    match dice.weighted(&[4.0, 1.0, 1.5]) {
        0 => canvas.fill(&paper.into()),
        1 => canvas.fill(&scenery::smooth_base(dice, &palette, extent).into()),
        _ => {}
    }
    if dice.chance(0.4) {
        signs(dice, &mut canvas, ink);
        return canvas;
    }
    let is_coloured = dice.chance(0.5);
    let widest = dice.scale(1.0, 14.0);
    for _ in 0..dice.count(4, 40) {
        let mut anywhere = || {
            [
                dice.within(-0.1, 1.1) * extent,
                dice.within(-0.1, 1.1) * extent,
            ]
        };
        let (from, by) = (anywhere(), anywhere());
        let reach = dice.within(0.1, 1.0);
        let to = std::array::from_fn(|c| from[c] + (dice.unit() - 0.5) * 2.0 * reach * extent);
        let by = std::array::from_fn(|c| (from[c] + to[c]) * 0.5 + (by[c] - from[c]) * 0.3);
        let points = curve(from, by, to, 14);
        let colour = if is_coloured {
            palette.near(dice, 0.05)
        } else {
            ink
        };
        let paint = if dice.chance(0.2) {
            Paint::from(colour).with_opacity(dice.within(0.3, 0.9))
        } else {
            colour.into()
        };
        let width = widest * dice.within(0.5, 1.0);
        let taper = dice.within(0.0, 1.0);
        // Thin at the ends, as pressure rises and falls.
        canvas.stroke(
            &points,
            |t| width * (1.0 - taper * (2.0 * t - 1.0).powi(2)).max(0.1),
            &paint,
        );
    }
    canvas
}

/// Rows of small signs of two to four pen strokes each.
fn signs(dice: &mut Dice, canvas: &mut Canvas, ink: Rgb) {
    let extent = canvas.side_px();
    let height = dice.scale(7.0, 0.5 * extent);
    let pen = (height * dice.within(0.06, 0.2)).max(0.7);
    let (advance, leading) = (
        height * dice.within(0.6, 0.95),
        height * dice.within(1.2, 1.7),
    );
    let slant = dice.within(-0.1, 0.25);
    // An alphabet of a few signs, each a list of curves on a 2 × 3 lattice.
    let alphabet: Vec<Vec<[[f32; 2]; 3]>> = (0..8)
        .map(|_| {
            (0..dice.count(2, 4))
                .map(|_| {
                    std::array::from_fn(|_| {
                        [
                            dice.count(0, 2) as f32 * 0.28,
                            dice.count(0, 2) as f32 * 0.5,
                        ]
                    })
                })
                .collect()
        })
        .collect();
    let mut top = dice.within(-0.5, 0.5) * height;
    while top < extent {
        let mut left = dice.within(-0.5, 0.5) * height;
        while left < extent {
            if dice.chance(0.82) {
                let sign = &alphabet[dice.count(0, 7) as usize];
                for [from, by, to] in sign {
                    let at = |p: &[f32; 2]| {
                        [
                            left + (p[0] + slant * (1.0 - p[1])) * height,
                            top + p[1] * height,
                        ]
                    };
                    canvas.stroke(&curve(at(from), at(by), at(to), 6), |_| pen, &ink.into());
                }
            }
            left += advance;
        }
        top += leading;
    }
}
