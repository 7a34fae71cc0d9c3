//! Premultiplied pixels: shrinking, and cutting windows for the codec.

use std::sync::LazyLock;

/// Straight RGBA8 to premultiplied RGBA8, to nearest.
pub fn premultiplied(straight: &[u8]) -> Vec<u8> {
    let mut out = straight.to_vec();
    for p in out.chunks_exact_mut(4) {
        let a = u32::from(p[3]);
        if a < 255 {
            for c in &mut p[..3] {
                *c = ((u32::from(*c) * a + 127) / 255) as u8;
            }
        }
    }
    out
}

/// Premultiplied RGBA8 back to straight, in place. Where alpha is 0 the colour is black.
pub fn unpremultiply(pixels: &mut [u8]) {
    for p in pixels.chunks_exact_mut(4) {
        let a = u32::from(p[3]);
        if a == 0 {
            p[..3].fill(0);
        } else if a < 255 {
            for c in &mut p[..3] {
                *c = ((u32::from(*c) * 255 + a / 2) / a).min(255) as u8;
            }
        }
    }
}

/// The largest size with the same aspect whose longer side is at most `max_side_px`; never larger than given.
pub fn fit(width: u32, height: u32, max_side_px: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= max_side_px {
        return (width, height);
    }
    let scaled = |side: u32| {
        let side = (u64::from(side) * u64::from(max_side_px) + u64::from(longest) / 2)
            / u64::from(longest);
        (side as u32).max(1)
    };
    (scaled(width), scaled(height))
}

/// How one source pixel falls onto a shorter line: target index and the two shares.
struct Share {
    target: usize,
    here: f32,
    next: f32,
}

fn shares(source: u32, target: u32) -> Vec<Share> {
    let step = f64::from(target) / f64::from(source);
    (0..source)
        .map(|i| {
            let (from, to) = (f64::from(i) * step, f64::from(i + 1) * step);
            let index = (from as usize).min(target as usize - 1);
            let edge = index as f64 + 1.0;
            let next = if index + 1 < target as usize {
                (to - edge).max(0.0)
            } else {
                0.0
            };
            Share {
                target: index,
                here: (to - from - next) as f32,
                next: next as f32,
            }
        })
        .collect()
}

/// A premultiplied RGBA8 picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Premultiplied {
    pub width: u32,
    pub height: u32,
    /// `width × height × 4`.
    pub rgba: Vec<u8>,
}

impl Premultiplied {
    /// Shrinks straight RGBA8 by area averaging, which is exact for any ratio. Reads each row once and holds two
    /// target rows beside the result.
    ///
    /// # Panics
    /// If the target is larger than the source, or `straight` is not `width × height × 4` long.
    pub fn shrunk(straight: &[u8], (width, height): (u32, u32), target: (u32, u32)) -> Self {
        assert_eq!(
            straight.len() as u64,
            u64::from(width) * u64::from(height) * 4
        );
        let (to_width, to_height) = target;
        assert!((1..=width).contains(&to_width) && (1..=height).contains(&to_height));
        if target == (width, height) {
            return Self {
                width,
                height,
                rgba: premultiplied(straight),
            };
        }
        let columns = shares(width, to_width);
        let rows = shares(height, to_height);
        let row_len = to_width as usize * 4;
        let mut rgba = Vec::with_capacity(row_len * to_height as usize);
        // One cell more than needed, so that the last share has somewhere to go.
        let mut line = vec![0.0f32; row_len + 4];
        let mut current = vec![0.0f32; row_len];
        let mut following = vec![0.0f32; row_len];
        for (y, source) in straight.chunks_exact(width as usize * 4).enumerate() {
            line.fill(0.0);
            for (p, share) in source.chunks_exact(4).zip(&columns) {
                let a = f32::from(p[3]);
                let m = a * (1.0 / 255.0);
                let value = [
                    f32::from(p[0]) * m,
                    f32::from(p[1]) * m,
                    f32::from(p[2]) * m,
                    a,
                ];
                let cells = &mut line[share.target * 4..share.target * 4 + 8];
                for (c, v) in value.iter().enumerate() {
                    cells[c] += v * share.here;
                    cells[c + 4] += v * share.next;
                }
            }
            let share = &rows[y];
            for ((c, f), v) in current.iter_mut().zip(&mut following).zip(&line) {
                *c += v * share.here;
                *f += v * share.next;
            }
            let is_last_of_target = rows
                .get(y + 1)
                .is_none_or(|next| next.target != share.target);
            if is_last_of_target {
                rgba.extend(current.iter().map(|v| (v + 0.5) as u8));
                std::mem::swap(&mut current, &mut following);
                following.fill(0.0);
            }
        }
        Self {
            width: to_width,
            height: to_height,
            rgba,
        }
    }

    /// A smaller copy, longer side at most `max_side_px`.
    #[must_use]
    pub fn fitted(&self, max_side_px: u32) -> Self {
        let target = fit(self.width, self.height, max_side_px);
        if target == (self.width, self.height) {
            return self.clone();
        }
        let mut straight = self.rgba.clone();
        unpremultiply(&mut straight);
        Self::shrunk(&straight, (self.width, self.height), target)
    }

    /// Luma (BT.601, 0..255) of each pixel over mid-grey, so that a shape on transparency is seen by its outline.
    pub fn luma_over_grey(&self) -> Vec<f32> {
        self.rgba
            .chunks_exact(4)
            .map(|p| {
                let colour =
                    0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
                colour + 128.0 * (1.0 - f32::from(p[3]) / 255.0)
            })
            .collect()
    }
}

/// A window onto a picture. Positions beyond the picture repeat its edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Source position of the window's top left corner, px; may be negative.
    pub x: f64,
    pub y: f64,
    /// Source pixels per window pixel: 1 is as stored, 2 is half size.
    pub step: f64,
    pub is_flipped_x: bool,
    pub is_flipped_y: bool,
}

/// Where the window is written: an area of a tensor.
pub struct TensorArea<'a> {
    /// NHWC values of the whole tensor.
    pub values: &'a mut [f32],
    /// Width of the whole tensor, px.
    pub stride_px: usize,
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// u8 to the codec's range: 0..255 to −1..1.
static TO_UNIT: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|v| (v as f32 / 255.0).mul_add(2.0, -1.0)));

struct Taps {
    /// First source index and weights of each target pixel.
    lines: Vec<(usize, Vec<f32>)>,
}

/// Triangle filter, widened when shrinking (antialiased bilinear); the source is clamped at its edges.
fn taps(origin: f64, step: f64, is_flipped: bool, target: usize, source: usize) -> Taps {
    let radius = step.max(1.0);
    let last = source as i64 - 1;
    let lines = (0..target)
        .map(|i| {
            let i = if is_flipped { target - 1 - i } else { i };
            // Position in pixel-centre coordinates.
            let centre = origin + (i as f64 + 0.5) * step - 0.5;
            let from = (centre - radius).ceil() as i64;
            let to = (centre + radius).floor() as i64;
            let first = from.clamp(0, last);
            let mut weights = vec![0.0f32; (to.clamp(0, last) - first + 1) as usize];
            let mut sum = 0.0;
            for s in from..=to {
                let w = (1.0 - (s as f64 - centre).abs() / radius).max(0.0) as f32;
                weights[(s.clamp(0, last) - first) as usize] += w;
                sum += w;
            }
            for w in &mut weights {
                *w /= sum;
            }
            (first as usize, weights)
        })
        .collect();
    Taps { lines }
}

/// Resamples a window into a tensor: NHWC `f32`, premultiplied, −1..1.
pub fn write_view(source: &Premultiplied, view: &View, target: &mut TensorArea<'_>) {
    let (width, height) = (source.width as usize, source.height as usize);
    let is_integral = view.step == 1.0 && view.x.fract() == 0.0 && view.y.fract() == 0.0;
    if is_integral {
        copy_view(source, view, target);
        return;
    }
    let columns = taps(view.x, view.step, view.is_flipped_x, target.width, width);
    let rows = taps(view.y, view.step, view.is_flipped_y, target.height, height);
    let first_row = rows.lines.iter().map(|l| l.0).min().unwrap_or(0);
    let end_row = rows
        .lines
        .iter()
        .map(|l| l.0 + l.1.len())
        .max()
        .unwrap_or(0);
    let row_len = target.width * 4;
    let mut narrowed = vec![0.0f32; (end_row - first_row) * row_len];
    for (line, y) in narrowed.chunks_exact_mut(row_len).zip(first_row..) {
        let row = &source.rgba[y * width * 4..(y + 1) * width * 4];
        for (out, (first, weights)) in line.chunks_exact_mut(4).zip(&columns.lines) {
            let mut sum = [0.0f32; 4];
            for (p, w) in row[first * 4..].chunks_exact(4).zip(weights) {
                for (s, v) in sum.iter_mut().zip(p) {
                    *s += f32::from(*v) * w;
                }
            }
            out.copy_from_slice(&sum);
        }
    }
    let mut sum = vec![0.0f32; row_len];
    for (i, (first, weights)) in rows.lines.iter().enumerate() {
        sum.fill(0.0);
        for (k, w) in weights.iter().enumerate() {
            let at = (first + k - first_row) * row_len;
            for (s, v) in sum.iter_mut().zip(&narrowed[at..at + row_len]) {
                *s += v * w;
            }
        }
        let at = ((target.y + i) * target.stride_px + target.x) * 4;
        for (o, v) in target.values[at..at + row_len].iter_mut().zip(&sum) {
            *o = (v * (2.0 / 255.0) - 1.0).clamp(-1.0, 1.0);
        }
    }
}

fn copy_view(source: &Premultiplied, view: &View, target: &mut TensorArea<'_>) {
    let clamp = |v: i64, side: u32| v.clamp(0, i64::from(side) - 1) as usize;
    let (x0, y0) = (view.x as i64, view.y as i64);
    let unit = &*TO_UNIT;
    for i in 0..target.height {
        let row = if view.is_flipped_y {
            target.height - 1 - i
        } else {
            i
        };
        let y = clamp(y0 + row as i64, source.height);
        let at = ((target.y + i) * target.stride_px + target.x) * 4;
        let out = &mut target.values[at..at + target.width * 4];
        for (j, out) in out.chunks_exact_mut(4).enumerate() {
            let column = if view.is_flipped_x {
                target.width - 1 - j
            } else {
                j
            };
            let x = clamp(x0 + column as i64, source.width);
            let p = (y * source.width as usize + x) * 4;
            for (o, v) in out.iter_mut().zip(&source.rgba[p..p + 4]) {
                *o = unit[usize::from(*v)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_under_alpha_0_does_not_bleed() {
        // Left half: red with alpha 0; right half: opaque blue.
        let straight: Vec<u8> = (0..8 * 8)
            .flat_map(|i| {
                if i % 8 < 4 {
                    [255, 0, 0, 0]
                } else {
                    [0, 0, 255, 255]
                }
            })
            .collect();
        let small = Premultiplied::shrunk(&straight, (8, 8), (3, 3));
        assert!(small.rgba.chunks_exact(4).all(|p| p[0] == 0));
        assert_eq!(
            &small.rgba[4..8],
            &[0, 0, 128, 128],
            "the middle is half blue"
        );
    }

    #[test]
    fn shrinking_keeps_the_mean() {
        let straight: Vec<u8> = (0..100u32 * 70)
            .flat_map(|i| {
                [
                    (i % 251) as u8,
                    (i / 3 % 256) as u8,
                    (i * 7 % 256) as u8,
                    255,
                ]
            })
            .collect();
        let mean = |v: &[u8], c: usize| {
            v.chunks_exact(4).map(|p| f64::from(p[c])).sum::<f64>() / (v.len() / 4) as f64
        };
        for target in [(100, 70), (99, 69), (50, 35), (33, 7), (1, 1)] {
            let small = Premultiplied::shrunk(&straight, (100, 70), target);
            assert_eq!(small.rgba.len() as u32, target.0 * target.1 * 4);
            for c in 0..4 {
                let difference = (mean(&straight, c) - mean(&small.rgba, c)).abs();
                assert!(difference < 0.6, "{target:?} channel {c}: {difference}");
            }
        }
    }

    fn ramp() -> Premultiplied {
        Premultiplied {
            width: 40,
            height: 30,
            rgba: (0..30u32)
                .flat_map(|y| (0..40u32).flat_map(move |x| [x as u8 * 6, y as u8 * 8, 0, 255]))
                .collect(),
        }
    }

    fn view(source: &Premultiplied, view: &View, side: usize) -> Vec<f32> {
        let mut values = vec![f32::NAN; side * side * 4];
        let mut target = TensorArea {
            values: &mut values,
            stride_px: side,
            x: 0,
            y: 0,
            width: side,
            height: side,
        };
        write_view(source, view, &mut target);
        values
    }

    #[test]
    fn a_resampled_ramp_stays_a_ramp() {
        let step = 1.5;
        let values = view(
            &ramp(),
            &View {
                x: 4.0,
                y: 3.0,
                step,
                is_flipped_x: false,
                is_flipped_y: false,
            },
            16,
        );
        for (i, p) in values.chunks_exact(4).enumerate() {
            let (x, y) = ((i % 16) as f64, (i / 16) as f64);
            let expected_red = (4.0 + (x + 0.5) * step - 0.5) * 6.0;
            let expected_green = (3.0 + (y + 0.5) * step - 0.5) * 8.0;
            let byte = |v: f32| f64::from((v + 1.0) * 127.5);
            if (1.0..14.0).contains(&x) && (1.0..14.0).contains(&y) {
                assert!((byte(p[0]) - expected_red).abs() < 0.6, "{x} {y}");
                assert!((byte(p[1]) - expected_green).abs() < 0.6, "{x} {y}");
            }
            assert_eq!(p[3], 1.0);
        }
    }

    #[test]
    fn copying_and_resampling_agree_and_edges_repeat() {
        let source = ramp();
        let at = View {
            x: -3.0,
            y: 20.0,
            step: 1.0,
            is_flipped_x: true,
            is_flipped_y: true,
        };
        let copied = view(&source, &at, 24);
        // A step that differs from 1 by nothing visible takes the other path.
        let resampled = view(
            &source,
            &View {
                step: 1.0 + 1e-9,
                ..at
            },
            24,
        );
        for (a, b) in copied.iter().zip(&resampled) {
            assert!((a - b).abs() < 1e-4);
        }
        // Flipped, so the last column shows x = -3, which repeats column 0.
        assert_eq!(copied[23 * 4], -1.0);
    }
}
