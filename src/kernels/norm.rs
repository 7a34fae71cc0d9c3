//! [`RmsNorm`] on slices.

use candle_core::Result;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::grads::GradSlot;
use super::layers::RmsNorm;
use super::pool::Buffer;
use super::ranges;
use super::shape::Extent;
use super::simd::{dispatch, dot};

const NORM_EPS: f32 = 1e-6;
const CHUNK: usize = 512;
/// Parts that sum the gain's gradient for themselves.
const GROUPS: usize = 16;

pub(super) fn result(norm: &RmsNorm, x: Extent) -> Result<Extent> {
    let channels = norm.gain.var().elem_count();
    if x.channels != channels {
        candle_core::bail!("a norm of {channels} channels was given {x:?}");
    }
    Ok(x)
}

pub(super) fn forward(x: &[f32], gain: &[f32], y: &mut [f32]) {
    let piece = CHUNK * gain.len();
    y.par_chunks_mut(piece)
        .zip(x.par_chunks(piece))
        .for_each(|(y, x)| dispatch(Forward { x, gain, y }));
}

/// The gradient of the input to `dx`, that of the gain to `slot`, where they are wanted.
pub(super) fn backward(
    x: &[f32],
    dy: &[f32],
    gain: &[f32],
    slot: Option<&GradSlot>,
    dx: Option<&mut [f32]>,
) {
    let channels = gain.len();
    let mut unwanted = Buffer::dirty(if dx.is_none() { x.len() } else { 0 });
    let dx = dx.unwrap_or(&mut unwanted);
    let groups = ranges::groups(x.len() / channels, GROUPS, 1);
    let sums: Vec<Buffer> = ranges::split_mut(dx, &groups, channels)
        .into_par_iter()
        .zip(&groups)
        .map(|(dx, rows)| {
            let mut sums = Buffer::zeroed(channels);
            let range = rows.start * channels..rows.end * channels;
            dispatch(Backward {
                x: &x[range.clone()],
                dy: &dy[range],
                gain,
                dx,
                sums: &mut sums,
            });
            sums
        })
        .collect();
    if let Some(slot) = slot {
        slot.add_parts(channels, &sums, 0);
    }
}

struct Forward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.gain.len();
        let rows = self.x.chunks_exact(channels);
        for (x, y) in rows.zip(self.y.chunks_exact_mut(channels)) {
            let inverse = inverse_rms(simd, x);
            for ((y, x), gain) in y.iter_mut().zip(x).zip(self.gain) {
                *y = x * inverse * gain;
            }
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    gain: &'a [f32],
    dx: &'a mut [f32],
    /// Gradient of the gain.
    sums: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.gain.len();
        let inputs = self.x.chunks_exact(channels);
        let grads = self.dy.chunks_exact(channels);
        for ((x, dy), dx) in inputs.zip(grads).zip(self.dx.chunks_exact_mut(channels)) {
            let inverse = inverse_rms(simd, x);
            for ((dx, dy), gain) in dx.iter_mut().zip(dy).zip(self.gain) {
                *dx = dy * gain;
            }
            let mean = dot(simd, dx, x) * inverse * inverse / channels as f32;
            for (((dx, dy), x), sum) in dx.iter_mut().zip(dy).zip(x).zip(self.sums.iter_mut()) {
                *dx = inverse * (*dx - x * mean);
                *sum += dy * x * inverse;
            }
        }
    }
}

#[inline(always)]
pub(super) fn inverse_rms<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mean_square = dot(simd, row, row) / row.len() as f32;
    1.0 / (mean_square + NORM_EPS).sqrt()
}
