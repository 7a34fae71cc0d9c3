//! The 3×3 depthwise convolution on ranges of positions: values, and the gradient of its kernel.
//!
//! A vector holds neighbouring channels; the window slides along the row, so each input is loaded once per kernel row.

#![allow(clippy::needless_range_loop)] // constant bounds over register arrays unroll

use std::ops::Range;

use pulp::Simd;

use super::Padding;
use super::simd::{for_vectors, load, store};

/// Values `[n, h, w, c]` with the rule for what lies outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane<'a> {
    pub values: &'a [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub padding: Padding,
    /// One position of zeros, at least `channels` long.
    pub zeros: &'a [f32],
}

/// Positions of one image row.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Counted over all images.
    row: usize,
    first: usize,
    end: usize,
    /// Of the first position within the range the segment came from.
    offset: usize,
}

/// The rows above, at and below a segment: start and distance of positions (0 for a row of zeros).
type Rows = [(*const f32, usize); 3];

impl Plane<'_> {
    fn segments(&self, positions: Range<usize>) -> impl Iterator<Item = Segment> + use<> {
        let width = self.width;
        let mut at = positions.start;
        std::iter::from_fn(move || {
            if at >= positions.end {
                return None;
            }
            let (row, first) = (at / width, at % width);
            let end = width.min(first + positions.end - at);
            let offset = at - positions.start;
            at += end - first;
            Some(Segment {
                row,
                first,
                end,
                offset,
            })
        })
    }

    fn rows(&self, row: usize) -> Rows {
        let Self {
            height,
            width,
            channels,
            ..
        } = *self;
        assert!(self.zeros.len() >= channels);
        let (picture, y) = (row / height, row % height);
        [-1, 0, 1].map(|dy| {
            let y = y as isize + dy;
            let inside = (0..height as isize).contains(&y);
            if inside || self.padding.wraps_y() {
                let y = y.rem_euclid(height as isize) as usize;
                let start = (picture * height + y) * width * channels;
                (self.values[start..][..width * channels].as_ptr(), channels)
            } else {
                (self.zeros.as_ptr(), 0)
            }
        })
    }
}

/// The three rows' values at column `x`, channels from `channel`.
///
/// # Safety
/// `rows` come from `plane.rows`, and `read` loads at most up to channel `plane.channels`.
#[inline(always)]
unsafe fn column<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    rows: &Rows,
    x: isize,
    channel: usize,
    read: impl Fn(*const f32) -> S::f32s,
) -> [S::f32s; 3] {
    let x = if (0..plane.width as isize).contains(&x) {
        x as usize
    } else if plane.padding.wraps_x() {
        x.rem_euclid(plane.width as isize) as usize
    } else {
        return [simd.splat_f32s(0.0); 3];
    };
    rows.map(|(start, stride)| {
        // SAFETY: `x < width`, so this stays in the row (or in the zeros).
        unsafe { read(start.add(x * stride + channel)) }
    })
}

/// `out[i] = bias + Σ weight[tap]·plane[position + tap]` for the `i`-th of `positions`; `out` has `out_stride` values
/// per position, `weight` is `[3, 3, c]`.
#[inline(always)]
pub(super) fn convolve<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    weight: &[f32],
    bias: &[f32],
    positions: Range<usize>,
    out: &mut [f32],
    out_stride: usize,
) {
    let channels = plane.channels;
    assert!(weight.len() == 9 * channels && bias.len() >= channels && out_stride >= channels);
    assert!(positions.is_empty() || out.len() >= (positions.len() - 1) * out_stride + channels);
    for segment in plane.segments(positions) {
        let rows = plane.rows(segment.row);
        let out = out[segment.offset * out_stride..].as_mut_ptr();
        for_vectors::<S>(
            channels,
            // SAFETY: a whole vector from `channel` lies within `channels`, and the assertions bound `out`.
            |channel| unsafe {
                let read = |from: *const f32| load::<S>(from);
                let weights = taps(|tap| read(weight.as_ptr().add(tap * channels + channel)));
                let bias = read(bias.as_ptr().add(channel));
                slide(
                    simd,
                    plane,
                    &rows,
                    segment,
                    channel,
                    weights,
                    bias,
                    read,
                    |i, sum| {
                        store::<S>(out.add(i * out_stride + channel), sum);
                    },
                );
            },
            // SAFETY: the partial loads and stores end at `channels`.
            |channel| unsafe {
                let rest = channels - channel;
                let read = |from: *const f32| {
                    simd.partial_load_f32s(std::slice::from_raw_parts(from, rest))
                };
                let weights = taps(|tap| read(weight.as_ptr().add(tap * channels + channel)));
                let bias = read(bias.as_ptr().add(channel));
                slide(
                    simd,
                    plane,
                    &rows,
                    segment,
                    channel,
                    weights,
                    bias,
                    read,
                    |i, sum| {
                        let to = out.add(i * out_stride + channel);
                        simd.partial_store_f32s(std::slice::from_raw_parts_mut(to, rest), sum);
                    },
                );
            },
        );
    }
}

#[inline(always)]
fn taps<T>(get: impl Fn(usize) -> T) -> [[T; 3]; 3] {
    [0, 3, 6].map(|first| [get(first), get(first + 1), get(first + 2)])
}

/// # Safety
/// As for [`column`].
#[inline(always)]
#[allow(clippy::too_many_arguments)] // an inner loop, shared by the whole and the partial vector
unsafe fn slide<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    rows: &Rows,
    segment: Segment,
    channel: usize,
    weights: [[S::f32s; 3]; 3],
    bias: S::f32s,
    read: impl Fn(*const f32) -> S::f32s + Copy,
    mut write: impl FnMut(usize, S::f32s),
) {
    // SAFETY: handed on.
    let at = |x: isize| unsafe { column(simd, plane, rows, x, channel, read) };
    let first = segment.first as isize;
    let mut window = [at(first - 1), at(first), at(first)];
    for x in segment.first..segment.end {
        window[2] = at(x as isize + 1);
        let mut sums = [bias, simd.splat_f32s(0.0), simd.splat_f32s(0.0)];
        for dy in 0..3 {
            for dx in 0..3 {
                sums[dy] = simd.mul_add_e_f32s(weights[dy][dx], window[dx][dy], sums[dy]);
            }
        }
        let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), sums[2]);
        write(x - segment.first, sum);
        window[0] = window[1];
        window[1] = window[2];
    }
}

/// Adds to `sums` (`[10, c]`: nine taps, then the bias) the gradient of [`convolve`]'s kernel, where `grad` holds the
/// gradient of its result at all positions, `[n, h, w, c]`.
#[inline(always)]
pub(super) fn kernel_gradient<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    grad: &[f32],
    positions: Range<usize>,
    sums: &mut [f32],
) {
    let channels = plane.channels;
    assert!(sums.len() == 10 * channels && grad.len() == plane.values.len());
    for segment in plane.segments(positions) {
        let rows = plane.rows(segment.row);
        let grad = grad[(segment.row * plane.width + segment.first) * channels..].as_ptr();
        let sums = sums.as_mut_ptr();
        for_vectors::<S>(
            channels,
            // SAFETY: a whole vector from `channel` lies within `channels`.
            |channel| unsafe {
                let read = |from: *const f32| load::<S>(from);
                let write = |to: *mut f32, value| store::<S>(to, value);
                let sums = sums.add(channel);
                let grad = grad.add(channel);
                gather(
                    simd, plane, &rows, segment, channel, grad, sums, read, write,
                );
            },
            // SAFETY: the partial loads and stores end at `channels`.
            |channel| unsafe {
                let rest = channels - channel;
                let read = |from: *const f32| {
                    simd.partial_load_f32s(std::slice::from_raw_parts(from, rest))
                };
                let write = |to: *mut f32, value| {
                    simd.partial_store_f32s(std::slice::from_raw_parts_mut(to, rest), value);
                };
                let sums = sums.add(channel);
                let grad = grad.add(channel);
                gather(
                    simd, plane, &rows, segment, channel, grad, sums, read, write,
                );
            },
        );
    }
}

/// # Safety
/// As for [`column`]; `grad` and `sums` point at `channel` of the segment's first position and of the first tap.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // an inner loop, shared by the whole and the partial vector
unsafe fn gather<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    rows: &Rows,
    segment: Segment,
    channel: usize,
    grad: *const f32,
    sums: *mut f32,
    read: impl Fn(*const f32) -> S::f32s + Copy,
    write: impl Fn(*mut f32, S::f32s),
) {
    let channels = plane.channels;
    // SAFETY: handed on; `sums` holds ten rows of `channels`, `grad` the segment's positions.
    unsafe {
        let at = |x: isize| column(simd, plane, rows, x, channel, read);
        let mut taps = taps(|tap| read(sums.add(tap * channels)));
        let mut bias = read(sums.add(9 * channels));
        let first = segment.first as isize;
        let mut window = [at(first - 1), at(first), at(first)];
        for x in segment.first..segment.end {
            window[2] = at(x as isize + 1);
            let grad = read(grad.add((x - segment.first) * channels));
            for dy in 0..3 {
                for dx in 0..3 {
                    taps[dy][dx] = simd.mul_add_e_f32s(grad, window[dx][dy], taps[dy][dx]);
                }
            }
            bias = simd.add_f32s(bias, grad);
            window[0] = window[1];
            window[1] = window[2];
        }
        for dy in 0..3 {
            for dx in 0..3 {
                write(sums.add((dy * 3 + dx) * channels), taps[dy][dx]);
            }
        }
        write(sums.add(9 * channels), bias);
    }
}

/// The kernel that carries a gradient back through [`convolve`]: turned by half a turn.
pub(super) fn turned(weight: &[f32], channels: usize) -> Vec<f32> {
    weight
        .chunks_exact(channels)
        .rev()
        .flatten()
        .copied()
        .collect()
}
