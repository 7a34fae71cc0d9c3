//! The 3×3 depthwise convolution on ranges of positions: values, and the gradient of its kernel.
//!
//! A vector holds neighbouring channels; the window slides along the row, so each input is loaded once per kernel row.

#![allow(clippy::needless_range_loop)] // constant bounds over register arrays unroll

use std::ops::Range;

use pulp::Simd;

use super::layers::Padding;
use super::simd::{load, store};

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
    #[inline(always)]
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

    #[inline(always)]
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

/// The vector at `from`, of which only the first `lanes` values exist where it is not `WHOLE`.
///
/// # Safety
/// `from` is readable for a whole vector, or for `lanes` values.
#[inline(always)]
unsafe fn read<S: Simd, const WHOLE: bool>(simd: S, from: *const f32, lanes: usize) -> S::f32s {
    // SAFETY: the caller vouches for the range.
    unsafe {
        if WHOLE {
            load::<S>(from)
        } else {
            simd.partial_load_f32s(std::slice::from_raw_parts(from, lanes))
        }
    }
}

/// The counterpart of [`read`].
///
/// # Safety
/// `to` is writable for a whole vector, or for `lanes` values.
#[inline(always)]
unsafe fn write<S: Simd, const WHOLE: bool>(simd: S, to: *mut f32, lanes: usize, value: S::f32s) {
    // SAFETY: the caller vouches for the range.
    unsafe {
        if WHOLE {
            store::<S>(to, value);
        } else {
            simd.partial_store_f32s(std::slice::from_raw_parts_mut(to, lanes), value);
        }
    }
}

/// A vector of channels of one segment. Its methods are plain functions with constant parameters, not closures:
/// only what is inlined down to the dispatch gets the vector instructions.
#[derive(Clone, Copy)]
struct Lane<'a> {
    plane: &'a Plane<'a>,
    rows: Rows,
    segment: Segment,
    /// The first channel.
    channel: usize,
    /// Channels from there on, where they are fewer than a vector.
    lanes: usize,
}

impl Lane<'_> {
    /// The three rows' values at column `x`.
    ///
    /// # Safety
    /// `rows` come from `plane.rows`, and `channel + lanes` (or a whole vector) lies within the channels.
    #[inline(always)]
    unsafe fn column<S: Simd, const WHOLE: bool>(self, simd: S, x: isize) -> [S::f32s; 3] {
        let zero = simd.splat_f32s(0.0);
        let mut values = [zero; 3];
        let width = self.plane.width as isize;
        let x = if (0..width).contains(&x) {
            x as usize
        } else if self.plane.padding.wraps_x() {
            x.rem_euclid(width) as usize
        } else {
            return values;
        };
        for dy in 0..3 {
            let (start, stride) = self.rows[dy];
            // SAFETY: `x < width`, so this stays in the row (or in the zeros).
            values[dy] =
                unsafe { read::<S, WHOLE>(simd, start.add(x * stride + self.channel), self.lanes) };
        }
        values
    }

    /// # Safety
    /// As for [`Self::column`]; `weight` is `[9, c]`, `bias` `[c]`, and `out` has `out_stride` values for each position
    /// of the segment.
    #[inline(always)]
    unsafe fn convolve<S: Simd, const WHOLE: bool>(
        self,
        simd: S,
        weight: *const f32,
        bias: *const f32,
        out: *mut f32,
        out_stride: usize,
    ) {
        let Self {
            plane,
            segment,
            channel,
            lanes,
            ..
        } = self;
        // SAFETY: handed on.
        unsafe {
            let zero = simd.splat_f32s(0.0);
            let mut weights = [[zero; 3]; 3];
            for dy in 0..3 {
                for dx in 0..3 {
                    let tap = (dy * 3 + dx) * plane.channels + channel;
                    weights[dy][dx] = read::<S, WHOLE>(simd, weight.add(tap), lanes);
                }
            }
            let bias = read::<S, WHOLE>(simd, bias.add(channel), lanes);
            let first = segment.first as isize;
            let mut before = self.column::<S, WHOLE>(simd, first - 1);
            let mut here = self.column::<S, WHOLE>(simd, first);
            let mut to = out.add(channel);
            for x in segment.first..segment.end {
                let after = self.column::<S, WHOLE>(simd, x as isize + 1);
                let mut sums = [bias, zero, zero];
                for dy in 0..3 {
                    let [left, middle, right] = weights[dy];
                    sums[dy] = simd.mul_add_e_f32s(left, before[dy], sums[dy]);
                    sums[dy] = simd.mul_add_e_f32s(middle, here[dy], sums[dy]);
                    sums[dy] = simd.mul_add_e_f32s(right, after[dy], sums[dy]);
                }
                let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), sums[2]);
                write::<S, WHOLE>(simd, to, lanes, sum);
                to = to.wrapping_add(out_stride);
                before = here;
                here = after;
            }
        }
    }

    /// # Safety
    /// As for [`Self::column`]; `grad` is `[positions of the segment, c]`, `sums` `[10, c]`.
    #[inline(always)]
    unsafe fn kernel_gradient<S: Simd, const WHOLE: bool>(
        self,
        simd: S,
        grad: *const f32,
        sums: *mut f32,
    ) {
        let Self {
            plane,
            segment,
            channel,
            lanes,
            ..
        } = self;
        let channels = plane.channels;
        // SAFETY: handed on.
        unsafe {
            let sums = sums.add(channel);
            let mut taps = [[simd.splat_f32s(0.0); 3]; 3];
            for dy in 0..3 {
                for dx in 0..3 {
                    let tap = sums.add((dy * 3 + dx) * channels);
                    taps[dy][dx] = read::<S, WHOLE>(simd, tap, lanes);
                }
            }
            let mut bias = read::<S, WHOLE>(simd, sums.add(9 * channels), lanes);
            let first = segment.first as isize;
            let mut before = self.column::<S, WHOLE>(simd, first - 1);
            let mut here = self.column::<S, WHOLE>(simd, first);
            let mut grad = grad.add(channel);
            for x in segment.first..segment.end {
                let after = self.column::<S, WHOLE>(simd, x as isize + 1);
                let slope = read::<S, WHOLE>(simd, grad, lanes);
                grad = grad.wrapping_add(channels);
                for dy in 0..3 {
                    taps[dy][0] = simd.mul_add_e_f32s(slope, before[dy], taps[dy][0]);
                    taps[dy][1] = simd.mul_add_e_f32s(slope, here[dy], taps[dy][1]);
                    taps[dy][2] = simd.mul_add_e_f32s(slope, after[dy], taps[dy][2]);
                }
                bias = simd.add_f32s(bias, slope);
                before = here;
                here = after;
            }
            for dy in 0..3 {
                for dx in 0..3 {
                    let tap = sums.add((dy * 3 + dx) * channels);
                    write::<S, WHOLE>(simd, tap, lanes, taps[dy][dx]);
                }
            }
            write::<S, WHOLE>(simd, sums.add(9 * channels), lanes, bias);
        }
    }
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
    let whole = channels / S::F32_LANES * S::F32_LANES;
    for segment in plane.segments(positions) {
        let out = out[segment.offset * out_stride..].as_mut_ptr();
        let mut lane = Lane {
            plane,
            rows: plane.rows(segment.row),
            segment,
            channel: 0,
            lanes: channels - whole,
        };
        // SAFETY: whole vectors end at `whole`, the rest at `channels`; the assertions bound the other ranges.
        unsafe {
            while lane.channel < whole {
                lane.convolve::<S, true>(simd, weight.as_ptr(), bias.as_ptr(), out, out_stride);
                lane.channel += S::F32_LANES;
            }
            if whole < channels {
                lane.convolve::<S, false>(simd, weight.as_ptr(), bias.as_ptr(), out, out_stride);
            }
        }
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
    let whole = channels / S::F32_LANES * S::F32_LANES;
    for segment in plane.segments(positions) {
        let start = (segment.row * plane.width + segment.first) * channels;
        let grad = grad[start..start + (segment.end - segment.first) * channels].as_ptr();
        let mut lane = Lane {
            plane,
            rows: plane.rows(segment.row),
            segment,
            channel: 0,
            lanes: channels - whole,
        };
        // SAFETY: whole vectors end at `whole`, the rest at `channels`; the slices above bound the other ranges.
        unsafe {
            while lane.channel < whole {
                lane.kernel_gradient::<S, true>(simd, grad, sums.as_mut_ptr());
                lane.channel += S::F32_LANES;
            }
            if whole < channels {
                lane.kernel_gradient::<S, false>(simd, grad, sums.as_mut_ptr());
            }
        }
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
