//! [`Linear`] on slices: product and bias, and the three gradients.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Result;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::host::HostRef;
use super::layers::Linear;
use super::pool::Buffer;
use super::product::{
    Left, PANEL, PackCell, Packed, ROWS, Scale, outer_panel, product_panel, row_stride,
};
use super::ranges;
use super::shape::Extent;
use super::simd::dispatch;

/// Rows that are multiplied together.
const CHUNK: usize = 192;
/// Parts that sum the weights' gradient for themselves.
const GROUPS: usize = 4;

/// The weight as the products read it.
#[derive(Debug, Default)]
pub(super) struct Packs {
    forward: PackCell,
    backward: PackCell,
}

impl Linear {
    /// Outputs and inputs.
    fn sides(&self) -> Result<(usize, usize)> {
        self.weight.var().dims2()
    }

    pub(super) fn inputs(&self) -> Result<usize> {
        Ok(self.sides()?.1)
    }

    fn packed(&self) -> Result<Arc<Packed>> {
        let (outputs, inputs) = self.sides()?;
        let version = self.weight.version();
        let weight = HostRef::new(self.weight.var())?;
        Ok((self.packs.forward).get(version, || {
            Packed::transposed(&weight, outputs, inputs, Scale::One)
        }))
    }

    fn packed_back(&self) -> Result<Arc<Packed>> {
        let (outputs, inputs) = self.sides()?;
        let version = self.weight.version();
        let weight = HostRef::new(self.weight.var())?;
        Ok((self.packs.backward).get(version, || {
            Packed::straight(&weight, outputs, inputs, Scale::One)
        }))
    }
}

pub(super) fn result(layer: &Linear, x: Extent) -> Result<Extent> {
    let (outputs, inputs) = layer.sides()?;
    if x.channels != inputs {
        candle_core::bail!("a linear layer of {inputs} inputs was given {x:?}");
    }
    Ok(Extent {
        channels: outputs,
        ..x
    })
}

pub(super) fn forward(layer: &Linear, x: &[f32], y: &mut [f32]) -> Result<()> {
    let (outputs, inputs) = layer.sides()?;
    let mut bias = HostRef::new(layer.bias.var())?.to_vec();
    bias.resize(outputs.next_multiple_of(PANEL), 0.0);
    product(x, inputs, &*layer.packed()?, outputs, Some(&bias), y);
    Ok(())
}

/// The gradient of the input goes to `dx`, where it is wanted.
pub(super) fn backward(
    layer: &Linear,
    x: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
) -> Result<()> {
    let (outputs, inputs) = layer.sides()?;
    weight_gradients(layer, x, dy, inputs, outputs);
    if let Some(dx) = dx {
        product(dy, outputs, &*layer.packed_back()?, inputs, None, dx);
    }
    Ok(())
}

/// Rows of `inputs` values times `right`, of `outputs` columns.
fn product(
    x: &[f32],
    inputs: usize,
    right: &Packed,
    outputs: usize,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let chunks = ranges::even(x.len() / inputs, CHUNK, ROWS, GROUPS);
    ranges::split_mut(y, &chunks, outputs)
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
        let are_whole = rows == count;
        let mut padded = Buffer::dirty(if are_whole { 0 } else { rows * stride });
        let left = if are_whole {
            Left::rows(self.x, rows, self.inputs)
        } else {
            copy_rows(self.x, self.inputs, &mut padded, stride);
            Left::rows(&padded, rows, stride)
        };
        let mut panel = Buffer::dirty(rows * PANEL);
        for j in 0..self.right.panels() {
            let first = j * PANEL;
            let bias = self.bias.map(|bias| &bias[first..]);
            let width = PANEL.min(self.outputs - first);
            if are_whole && width == PANEL {
                let out = &mut self.out[first..];
                product_panel(simd, left, self.right, j, bias, out, self.outputs);
                continue;
            }
            product_panel(simd, left, self.right, j, bias, &mut panel, PANEL);
            let out = self.out.chunks_exact_mut(self.outputs);
            for (out, from) in out.zip(panel.chunks_exact(PANEL)) {
                out[first..first + width].copy_from_slice(&from[..width]);
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
    let (weights, biases): (Vec<Buffer>, Vec<Buffer>) =
        ranges::groups(x.len() / inputs, GROUPS, ROWS)
            .into_par_iter()
            .map(|rows| {
                let mut sums = Sums {
                    weight: Buffer::dirty(panels * padded_outputs * PANEL),
                    bias: Buffer::zeroed(outputs),
                };
                for chunk in ranges::even(rows.len(), CHUNK, ROWS, 1) {
                    let accumulate = chunk.start > 0;
                    let rows = rows.start + chunk.start..rows.start + chunk.end;
                    dispatch(GradientChunk {
                        x,
                        dy,
                        inputs,
                        outputs,
                        rows,
                        sums: &mut sums,
                        accumulate,
                    });
                }
                (sums.weight, sums.bias)
            })
            .unzip();
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
                    for group in &weights {
                        let from = &group[j * tile + o * PANEL..];
                        for (to, value) in to.iter_mut().zip(from) {
                            *to += value;
                        }
                    }
                }
            });
        });
    layer.bias.slot().add_parts(outputs, &biases, 0);
}

struct GradientChunk<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    inputs: usize,
    outputs: usize,
    rows: Range<usize>,
    sums: &'a mut Sums,
    /// Whether other rows' sums are there already.
    accumulate: bool,
}

impl WithSimd for GradientChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            inputs,
            outputs,
            accumulate,
            ..
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
            outer_panel(simd, &dy, stride, columns, &panel, count, sums, accumulate);
        }
    }
}
