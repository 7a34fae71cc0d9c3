//! Training pictures that are drawn by rules: nobody's work, in any number, with everything an artist's pictures have
//! that photographs lack (flat colour, hard edges, outlines, transparency, hatching, patterns).
//!
//! Leaves that hide each other with power-law sizes have the edge and scale statistics of natural pictures ("dead
//! leaves", Lee, Mumford & Huang 2001); training on such pictures alone already serves for natural ones (Baradad et al.,
//! "Learning to See by Looking at Noise", arXiv 2106.05963).

mod canvas;
mod colour;
mod dice;
mod field;
mod flat;
mod leaves;
mod lines;
mod patterns;
mod scenery;
mod shape;

use super::pixels::Premultiplied;
use canvas::Canvas;
use dice::Dice;

/// Draws a picture of this side, px.
type Draw = fn(&mut Dice, usize) -> Canvas;

/// Kinds of pictures, with their shares.
const KINDS: [(&str, f32, Draw); 10] = [
    ("dead leaves", 24.0, leaves::dead_leaves),
    ("noise", 9.0, scenery::noise),
    ("gradient", 8.0, scenery::gradient),
    ("landscape", 9.0, scenery::landscape),
    ("flat shapes", 14.0, flat::shapes),
    ("icon", 14.0, flat::icon),
    ("pixel sprite", 5.0, flat::sprite),
    ("pattern", 8.0, patterns::pattern),
    ("hatching", 4.0, lines::hatching),
    ("strokes", 5.0, lines::strokes),
];

/// Names of the kinds, in the order of [`procedural_of_kind`].
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _, _)| *name)
}

/// Picture number `index` of a series: `side × side`, premultiplied RGBA8. It depends on the three numbers alone (on
/// another machine the last bit of a pixel may differ, with its trigonometric functions).
///
/// # Panics
/// If `side` is 0 or above 4096.
pub fn procedural(seed: u64, index: u64, side: u32) -> Premultiplied {
    let mut dice = Dice::new(seed, index);
    let shares = KINDS.map(|(_, share, _)| share);
    let kind = dice.weighted(&shares);
    draw(&mut dice, kind, side)
}

/// As [`procedural`], of one kind: an index into [`kinds`], modulo their number.
///
/// # Panics
/// As [`procedural`].
pub fn procedural_of_kind(kind: usize, seed: u64, index: u64, side: u32) -> Premultiplied {
    draw(&mut Dice::new(seed, index), kind % KINDS.len(), side)
}

fn draw(dice: &mut Dice, kind: usize, side: u32) -> Premultiplied {
    assert!((1..=4096).contains(&side), "the side is {side} px");
    let canvas = (KINDS[kind].2)(dice, side as usize);
    let grain = match dice.weighted(&[6.0, 2.0, 1.0]) {
        0 => 0.0,
        1 => dice.within(0.002, 0.012),
        _ => dice.within(0.012, 0.05),
    };
    // Grain belongs to pictures that were taken, not to those that were drawn.
    let grain = if (4..=6).contains(&kind) { 0.0 } else { grain };
    let mut rgba = Vec::with_capacity(canvas.pixels.len() * 4);
    for p in &canvas.pixels {
        let alpha = (p[3].clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        let noise = if grain > 0.0 {
            grain * dice.normal() * p[3]
        } else {
            0.0
        };
        for v in &p[..3] {
            let value = ((v + noise).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            rgba.push(value.min(alpha));
        }
        rgba.push(alpha);
    }
    Premultiplied {
        width: side,
        height: side,
        rgba,
    }
}

#[cfg(test)]
mod tests;
