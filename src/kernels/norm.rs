//! [`RmsNorm`] as one operator.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::RmsNorm;
use super::host::{HostRef, argument};
use super::pool::Buffer;
use super::ranges;
use super::simd::{dispatch, dot};

pub(super) const NORM_EPS: f32 = 1e-6;
const CHUNK: usize = 512;

pub(super) struct RmsNormOp {
    pub norm: RmsNorm,
}

impl CustomOp2 for RmsNormOp {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = argument(x, layout)?;
        let gain = HostRef::new(self.norm.gain.var())?;
        if layout.dims().last() != Some(&gain.len()) {
            candle_core::bail!(
                "a norm of {} channels was given {:?}",
                gain.len(),
                layout.dims()
            );
        }
        Ok((CpuStorage::F32(forward(x, &gain)), layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let gain = HostRef::new(self.norm.gain.var())?;
        let (values, dy) = (HostRef::new(x)?, HostRef::new(&grad)?);
        let (dx, sums) = backward(&values, &dy, &gain);
        self.norm.gain.slot().accumulate(gain.len(), |to, more| {
            if !more {
                to.fill(0.0);
            }
            for sums in &sums {
                for (to, value) in to.iter_mut().zip(&**sums) {
                    *to += value;
                }
            }
        });
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), None))
    }
}

/// The same without a gain.
pub(super) struct UnitRms;

impl CustomOp1 for UnitRms {
    fn name(&self) -> &'static str {
        "unit-rms"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = argument(x, layout)?;
        let gain = vec![1.0; layout.dims().last().copied().unwrap_or(1)];
        Ok((CpuStorage::F32(forward(x, &gain)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let gain = vec![1.0; x.dim(candle_core::D::Minus1)?];
        let (dx, _) = backward(&HostRef::new(x)?, &HostRef::new(&grad)?, &gain);
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

fn forward(x: &[f32], gain: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let piece = CHUNK * gain.len();
    y.par_chunks_mut(piece)
        .zip(x.par_chunks(piece))
        .for_each(|(y, x)| dispatch(Forward { x, gain, y }));
    y
}

/// The gradient of the input, and that of the gain in parts to be added up.
fn backward(x: &[f32], dy: &[f32], gain: &[f32]) -> (Vec<f32>, Vec<Buffer>) {
    let channels = gain.len();
    let mut dx = vec![0.0; x.len()];
    let groups = ranges::groups(x.len() / channels, 16, 1);
    let sums = ranges::split_mut(&mut dx, &groups, channels)
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
    (dx, sums)
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
