//! [`Linear`] as one operator: product and bias, and the three gradients.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::Linear;
use super::host::{HostRef, argument};
use super::pool::Buffer;
use super::product::{Left, PANEL, Packed, ROWS, outer_panel, product_panel, row_stride};
use super::ranges;
use super::simd::dispatch;

/// Rows that are multiplied together.
const CHUNK: usize = 192;

pub(super) struct LinearOp {
    pub layer: Linear,
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = argument(x, layout)?;
        let (outputs, inputs) = self.layer.weight.var().dims2()?;
        let mut dims = layout.dims().to_vec();
        if dims.last() != Some(&inputs) {
            candle_core::bail!("a linear layer of {inputs} inputs was given {dims:?}");
        }
        let weight = HostRef::new(self.layer.weight.var())?;
        let bias = HostRef::new(self.layer.bias.var())?;
        let mut padded_bias = bias.to_vec();
        padded_bias.resize(outputs.next_multiple_of(PANEL), 0.0);
        let right = Packed::transposed(&weight, outputs, inputs, |_, _| 1.0);
        let y = product(x, inputs, &right, outputs, Some(&padded_bias));
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        Ok((CpuStorage::F32(y), dims.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (values, dy) = (HostRef::new(x)?, HostRef::new(&grad)?);
        let (outputs, inputs) = self.layer.weight.var().dims2()?;
        weight_gradients(&self.layer, &values, &dy, inputs, outputs);
        if !x.track_op() {
            return Ok((None, None));
        }
        let weight = HostRef::new(self.layer.weight.var())?;
        let right = Packed::straight(&weight, outputs, inputs, |_, _| 1.0);
        let dx = product(&dy, outputs, &right, inputs, None);
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), None))
    }
}

/// Rows of `inputs` values times `right`, of `outputs` columns.
fn product(
    x: &[f32],
    inputs: usize,
    right: &Packed,
    outputs: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let rows = x.len() / inputs;
    let mut y = vec![0.0; rows * outputs];
    let chunks = ranges::even(rows, CHUNK, ROWS, 4);
    ranges::split_mut(&mut y, &chunks, outputs)
        .into_par_iter()
        .zip(&chunks)
        .for_each(|(out, rows)| {
            dispatch(ProductChunk {
                x: &x[rows.start * inputs..rows.end * inputs],
                inputs,
                right,
                outputs,
                bias,
                out,
            });
        });
    y
}

struct ProductChunk<'a> {
    x: &'a [f32],
    inputs: usize,
    right: &'a Packed,
    outputs: usize,
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for ProductChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.x.len() / self.inputs;
        let rows = count.next_multiple_of(ROWS);
        let stride = row_stride(self.inputs);
        let mut left = Buffer::dirty(rows * stride);
        copy_rows(self.x, self.inputs, &mut left, stride);
        let mut panel = Buffer::dirty(rows * PANEL);
        for j in 0..self.right.panels() {
            let left = Left::rows(&left, rows, stride);
            let bias = self.bias.map(|bias| &bias[j * PANEL..]);
            product_panel(simd, left, self.right, j, bias, &mut panel, PANEL);
            let width = PANEL.min(self.outputs - j * PANEL);
            let out = self.out.chunks_exact_mut(self.outputs);
            for (out, from) in out.zip(panel.chunks_exact(PANEL)) {
                out[j * PANEL..][..width].copy_from_slice(&from[..width]);
            }
        }
    }
}

/// Copies rows of `width` values to rows of `stride`, and clears what pads them.
fn copy_rows(from: &[f32], width: usize, to: &mut [f32], stride: usize) {
    let count = from.len() / width;
    for (to, from) in to.chunks_exact_mut(stride).zip(from.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
        to[width..].fill(0.0);
    }
    to[count * stride..].fill(0.0);
}

/// Sums over one group of rows.
struct Sums {
    /// `[input panel][output, padded][PANEL]`
    weight: Buffer,
    bias: Buffer,
}

fn weight_gradients(layer: &Linear, x: &[f32], dy: &[f32], inputs: usize, outputs: usize) {
    let padded_outputs = outputs.next_multiple_of(ROWS);
    let panels = inputs.div_ceil(PANEL);
    let groups: Vec<Sums> = ranges::groups(x.len() / inputs, 4, ROWS)
        .into_par_iter()
        .map(|rows| {
            let mut sums = Sums {
                weight: Buffer::zeroed(panels * padded_outputs * PANEL),
                bias: Buffer::zeroed(outputs),
            };
            for chunk in ranges::even(rows.len(), CHUNK, ROWS, 1) {
                let rows = rows.start + chunk.start..rows.start + chunk.end;
                dispatch(GradientChunk {
                    x,
                    dy,
                    inputs,
                    outputs,
                    rows,
                    sums: &mut sums,
                });
            }
            sums
        })
        .collect();
    let tile = padded_outputs * PANEL;
    layer
        .weight
        .slot()
        .accumulate(inputs * outputs, |to, more| {
            to.par_chunks_mut(inputs).enumerate().for_each(|(o, to)| {
                for (j, to) in to.chunks_mut(PANEL).enumerate() {
                    if !more {
                        to.fill(0.0);
                    }
                    for group in &groups {
                        let from = &group.weight[j * tile + o * PANEL..];
                        for (to, value) in to.iter_mut().zip(from) {
                            *to += value;
                        }
                    }
                }
            });
        });
    layer.bias.slot().accumulate(outputs, |to, more| {
        if !more {
            to.fill(0.0);
        }
        for group in &groups {
            for (to, value) in to.iter_mut().zip(&*group.bias) {
                *to += value;
            }
        }
    });
}

struct GradientChunk<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    inputs: usize,
    outputs: usize,
    rows: Range<usize>,
    sums: &'a mut Sums,
}

impl WithSimd for GradientChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            inputs, outputs, ..
        } = self;
        let count = self.rows.len();
        let x = &self.x[self.rows.start * inputs..self.rows.end * inputs];
        let from = &self.dy[self.rows.start * outputs..self.rows.end * outputs];
        let stride = row_stride(outputs);
        let mut dy = Buffer::dirty(count * stride);
        copy_rows(from, outputs, &mut dy, stride);
        for row in from.chunks_exact(outputs) {
            for (sum, value) in self.sums.bias.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let columns = outputs.next_multiple_of(ROWS);
        let mut panel = Buffer::dirty(count * PANEL);
        let sums = self.sums.weight.chunks_exact_mut(columns * PANEL);
        for (j, sums) in sums.enumerate() {
            let width = PANEL.min(inputs - j * PANEL);
            for (to, from) in panel.chunks_exact_mut(PANEL).zip(x.chunks_exact(inputs)) {
                to[..width].copy_from_slice(&from[j * PANEL..][..width]);
                to[width..].fill(0.0);
            }
            outer_panel(simd, &dy, stride, columns, &panel, count, sums);
        }
    }
}
