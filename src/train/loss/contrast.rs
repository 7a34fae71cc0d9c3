//! Two views of a picture for the contrastive loss.

use rand::Rng;

/// Divides cosine similarities; that of SimCLR (arXiv 2002.05709) for small batches.
pub(crate) const TEMPERATURE: f64 = 0.2;
/// Sides that the encoder takes are multiples of this, px.
const STRIDE_PX: usize = 16;
/// The second view's brightness is that of the first times 1 ± this. Hue stays: pictures of other colours are others.
const BRIGHTNESS: f32 = 0.2;

/// Another look at each crop of a batch `n × side × side × 4` (premultiplied, in `[-1, 1]`): a window of three quarters of its
/// side, mirrored half of the time, brighter or darker. Returns the values and their side.
pub(crate) fn second_view(pixels: &[f32], side: usize, rng: &mut impl Rng) -> (Vec<f32>, usize) {
    let small = (side * 3 / 4 / STRIDE_PX * STRIDE_PX)
        .max(STRIDE_PX)
        .min(side);
    let mut unit = || (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
    let mut views = Vec::with_capacity(pixels.len() / (side * side) * small * small);
    for picture in pixels.chunks_exact(side * side * 4) {
        let place = |unit: f32| ((side - small + 1) as f32 * unit) as usize;
        let (top, left) = (place(unit()), place(unit()));
        let mirrored = unit() < 0.5;
        let gain = 1.0 + BRIGHTNESS * (2.0 * unit() - 1.0);
        for y in top..top + small {
            for x in 0..small {
                let x = left + if mirrored { small - 1 - x } else { x };
                let [r, g, b, a] = [0, 1, 2, 3].map(|c| picture[(y * side + x) * 4 + c]);
                // Black is -1, and premultiplied colour is at most alpha.
                let lit = |v: f32| ((v + 1.0) * gain - 1.0).min(a);
                views.extend([lit(r), lit(g), lit(b), a]);
            }
        }
    }
    (views, small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_second_view_is_part_of_its_picture() {
        let side = 64;
        // The colour says where a pixel was; alpha cuts it.
        let pixel = |i: usize| {
            [
                (i % side) as f32 / 64.0 - 1.0,
                (i / side) as f32 / 64.0 - 1.0,
                -1.0,
                0.9,
            ]
        };
        let picture: Vec<f32> = (0..2 * side * side)
            .flat_map(|i| pixel(i % (side * side)))
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut mirrored = 0;
        for _ in 0..20 {
            let (view, small) = second_view(&picture, side, &mut rng);
            assert_eq!((small, view.len()), (48, 2 * 48 * 48 * 4));
            for view in view.chunks_exact(48 * 48 * 4) {
                let at = |x: usize, y: usize| {
                    (
                        view[(y * 48 + x) * 4] + 1.0,
                        view[(y * 48 + x) * 4 + 1] + 1.0,
                    )
                };
                let ((x0, y0), (x1, y1)) = (at(0, 0), at(47, 47));
                mirrored += usize::from(x1 < x0);
                // 47 px apart, times a gain of 0.8 to 1.2.
                let (dx, dy) = ((x1 - x0).abs() * 64.0 / 47.0, (y1 - y0) * 64.0 / 47.0);
                assert!(
                    (dx - dy).abs() < 1e-3 && (0.79..1.21).contains(&dx),
                    "{dx} {dy}"
                );
                assert!(
                    view.chunks_exact(4)
                        .all(|p| p[3] == 0.9 && p[0] <= 0.9 && p[2] == -1.0)
                );
            }
        }
        assert!((10..30).contains(&mirrored), "{mirrored}");
    }
}
