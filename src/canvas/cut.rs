//! Pieces that do not fade into each other.
//!
//! A decoder smears what it never saw: where two pieces of flat shapes, line art or cut-out figures meet, its decode is a blur over
//! the reach of its codes, darker than both where one side is transparent. Such pictures have no grain that a hard border would
//! cut, so that they are put together from their own pixels, and the decode only says where one piece ends: each
//! pixel takes from the pieces around it, the more the nearer they are to the decode (the weights of Tomasi & Manduchi, "Bilateral
//! filtering for gray and color images", ICCV 1998).

use super::residual::premultiplied;
use crate::document::Source;

/// Sum of the differences of all channels, 0 to 1 each, over which a piece falls off.
const FALL: f32 = 0.1;
/// Two neighbours that differ less, in each channel, are one tone.
const ONE_TONE: f32 = 1.5 / 255.0;
/// From which share of such neighbours on a picture counts as flat, and from which on wholly. Photographs and scanned textures stay
/// below 0.3.
const FLAT_SHARE: [f32; 2] = [0.4, 0.5];
/// From which share of transparent pixels on a picture counts as cut out.
const CLEAR_SHARE: f32 = 0.005;
/// Pixels looked at on each side of a picture.
const SAMPLES: u32 = 64;

/// From 0 to 1: how far pieces of a picture are cut from each other instead of faded. It has flat tones, or transparent parts.
pub(super) fn hardness(source: &Source) -> f32 {
    let (width, height) = (source.width(), source.height());
    let step = (
        width.div_ceil(SAMPLES).max(1),
        height.div_ceil(SAMPLES).max(1),
    );
    let (mut flat, mut clear, mut count) = (0u32, 0u32, 0u32);
    for y in (0..height.saturating_sub(1)).step_by(step.1 as usize) {
        for x in (0..width.saturating_sub(1)).step_by(step.0 as usize) {
            let here = premultiplied(source, (x, y));
            let is_like =
                |there: [f32; 4]| (here.iter().zip(there)).all(|(a, b)| (a - b).abs() < ONE_TONE);
            let is_flat = is_like(premultiplied(source, (x + 1, y)))
                && is_like(premultiplied(source, (x, y + 1)));
            flat += u32::from(is_flat);
            clear += u32::from(here[3] < 0.5);
            count += 1;
        }
    }
    let share = |part: u32| part as f32 / count.max(1) as f32;
    if share(clear) > CLEAR_SHARE {
        return 1.0;
    }
    ((share(flat) - FLAT_SHARE[0]) / (FLAT_SHARE[1] - FLAT_SHARE[0])).clamp(0.0, 1.0)
}

/// One pixel of the pieces around it, each with its share; `guide` is what the decode makes of them. All premultiplied.
pub(super) fn pixel(pieces: &[(f32, [f32; 4])], guide: [f32; 4]) -> Option<[f32; 4]> {
    let apart =
        |piece: &[f32; 4]| -> f32 { piece.iter().zip(guide).map(|(a, b)| (a - b).abs()).sum() };
    let nearest = (pieces.iter().map(|(_, piece)| apart(piece))).min_by(f32::total_cmp)?;
    let (mut sum, mut weight) = ([0f32; 4], 0f32);
    for (share, piece) in pieces {
        let by = share * ((nearest - apart(piece)) / FALL).exp();
        weight += by;
        for (sum, value) in sum.iter_mut().zip(piece) {
            *sum += by * value;
        }
    }
    (weight > 0.0).then(|| sum.map(|value| value / weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(rgba: impl Fn(u32, u32) -> [u8; 4]) -> Source {
        let pixels = (0..64 * 64).flat_map(|i| rgba(i % 64, i / 64)).collect();
        Source::from_rgba8(64, 64, pixels).unwrap()
    }

    #[test]
    fn flat_and_cut_out_pictures_are_hard_and_grain_is_not() {
        let shapes = source(|x, y| {
            if (x / 20 + y / 20) % 2 == 0 {
                [240, 140, 110, 255]
            } else {
                [40, 130, 190, 255]
            }
        });
        assert_eq!(hardness(&shapes), 1.0);
        let grain = |x: u32, y: u32| (100 + (x * 37 + y * 101) % 23) as u8;
        assert_eq!(
            hardness(&source(|x, y| [grain(x, y), grain(y, x), 90, 255])),
            0.0
        );
        let figure = source(|x, y| [grain(x, y), 60, 90, if x > 40 { 0 } else { 255 }]);
        assert_eq!(hardness(&figure), 1.0);
    }

    #[test]
    fn unlike_pieces_are_cut_and_like_ones_faded() {
        let (coral, blue) = ([0.9, 0.5, 0.4, 1.0], [0.1, 0.5, 0.7, 1.0]);
        let smear = std::array::from_fn(|c| 0.7 * coral[c] + 0.3 * blue[c]);
        let cut = pixel(&[(0.5, coral), (0.5, blue)], smear).unwrap();
        assert!((0..4).all(|c| (cut[c] - coral[c]).abs() < 0.03), "{cut:?}");
        let paler = coral.map(|v| v - 0.01);
        let faded = pixel(&[(0.5, coral), (0.5, paler)], coral).unwrap();
        assert!((faded[0] - 0.896).abs() < 0.002, "{faded:?}");
        assert_eq!(pixel(&[], coral), None);
    }
}
