//! The [`Block`] on slices, forward; `block_grad` is the backward pass.
//!
//! A task takes a short range of positions through the whole block, so that everything between input and output
//! stays in its core's cache. For the backward pass the input and the hidden layer before its activation are kept,
//! in pooled buffers; convolution, norm and activation are recomputed. Without gradients the hidden layer never
//! exists as a whole.
//!
//! The norm's gain is folded into the packed `up` weights and the layer scale γ into `down`, in both directions:
//! the gradient of the folded matrix gives that of both factors.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Result;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::depthwise::{Plane, convolve};
use super::host::HostRef;
use super::layers::{Block, Padding};
use super::norm::inverse_rms;
use super::pool::Buffer;
use super::product::{Left, PANEL, PackCell, Packed, ROWS, Scale, product_panel, row_stride};
use super::ranges;
use super::shape::Extent;
use super::simd::{dispatch, gelu};

pub(super) use super::block_grad::backward;

/// Positions that go through the block together.
const CHUNK: usize = 192;
/// Parts that sum the weights' gradient for themselves: more use more cores, but cost a sum of all weights each.
pub(super) const GROUPS: usize = 4;

pub(super) fn result(block: &Block, x: Extent) -> Result<Extent> {
    let channels = block.scale.var().elem_count();
    if x.channels != channels {
        candle_core::bail!("a block of {channels} channels was given {x:?}");
    }
    Ok(x)
}

/// Values of the hidden layer as the forward pass keeps it.
pub(super) fn hidden_len(block: &Block, x: Extent) -> usize {
    let hidden = block.up.bias.var().elem_count();
    x.positions().next_multiple_of(ROWS) * hidden.next_multiple_of(PANEL)
}

/// The folded weights as the products read them.
#[derive(Debug, Default)]
pub(super) struct Packs {
    up: PackCell,
    up_back: PackCell,
    down: PackCell,
    down_back: PackCell,
    /// The same for an accelerator.
    pub(super) folded: super::cuda::FoldCell,
}

/// The block's parameters, locked for reading.
pub(super) struct Weights<'a> {
    packs: &'a Packs,
    /// Of the two folded matrices.
    versions: [u64; 2],
    pub depthwise: HostRef<'a>,
    pub depthwise_bias: HostRef<'a>,
    pub gain: HostRef<'a>,
    pub up: HostRef<'a>,
    pub up_bias: HostRef<'a>,
    pub down: HostRef<'a>,
    pub down_bias: HostRef<'a>,
    pub scale: HostRef<'a>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(block: &'a Block) -> Result<Self> {
        Ok(Self {
            packs: &block.packs,
            // Before the values are read, so that a pack never passes for newer than it is.
            versions: [
                block.up.weight.version() + block.norm.gain.version(),
                block.down.weight.version() + block.scale.version(),
            ],
            depthwise: HostRef::new(block.depthwise.var())?,
            depthwise_bias: HostRef::new(block.depthwise_bias.var())?,
            gain: HostRef::new(block.norm.gain.var())?,
            up: HostRef::new(block.up.weight.var())?,
            up_bias: HostRef::new(block.up.bias.var())?,
            down: HostRef::new(block.down.weight.var())?,
            down_bias: HostRef::new(block.down.bias.var())?,
            scale: HostRef::new(block.scale.var())?,
        })
    }

    pub(super) fn channels(&self) -> usize {
        self.scale.len()
    }

    pub(super) fn hidden(&self) -> usize {
        self.up_bias.len()
    }

    fn packed_up(&self) -> Arc<Packed> {
        self.packs.up.get(self.versions[0], || {
            Packed::transposed(
                &self.up,
                self.hidden(),
                self.channels(),
                Scale::Inner(&self.gain),
            )
        })
    }

    /// `up·gain`, from the hidden layer to the norm.
    pub(super) fn packed_up_back(&self) -> Arc<Packed> {
        self.packs.up_back.get(self.versions[0], || {
            Packed::straight(
                &self.up,
                self.hidden(),
                self.channels(),
                Scale::Columns(&self.gain),
            )
        })
    }

    fn packed_down(&self) -> Arc<Packed> {
        self.packs.down.get(self.versions[1], || {
            Packed::transposed(
                &self.down,
                self.channels(),
                self.hidden(),
                Scale::Columns(&self.scale),
            )
        })
    }

    /// `γ·down`, to carry a gradient from the output to the hidden layer.
    pub(super) fn packed_down_back(&self) -> Arc<Packed> {
        self.packs.down_back.get(self.versions[1], || {
            Packed::straight(
                &self.down,
                self.channels(),
                self.hidden(),
                Scale::Inner(&self.scale),
            )
        })
    }

    fn padded_up_bias(&self) -> Vec<f32> {
        padded(self.up_bias.iter().copied())
    }

    fn padded_down_bias(&self) -> Vec<f32> {
        padded(self.down_bias.iter().zip(&*self.scale).map(|(b, s)| b * s))
    }
}

fn padded(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.resize(values.len().next_multiple_of(PANEL), 0.0);
    values
}

pub(super) fn forward(
    block: &Block,
    x: &[f32],
    extent: Extent,
    padding: Padding,
    y: &mut [f32],
    hidden: Option<&mut [f32]>,
) -> Result<()> {
    let weights = &Weights::new(block)?;
    let zeros = vec![0.0; extent.channels];
    let (up_bias, down_bias) = (weights.padded_up_bias(), weights.padded_down_bias());
    let context = Forward {
        plane: plane(x, extent, padding, &zeros),
        weights,
        up: &weights.packed_up(),
        up_bias: &up_bias,
        down: &weights.packed_down(),
        down_bias: &down_bias,
    };
    let chunks = chunks(extent.positions());
    let hidden: Vec<Option<&mut [f32]>> = match hidden {
        Some(hidden) => {
            let per_position = context.up.panels() * PANEL;
            let parts = ranges::split_mut(hidden, &whole_rows(&chunks), per_position);
            parts.into_iter().map(Some).collect()
        }
        None => chunks.iter().map(|_| None).collect(),
    };
    ranges::split_mut(y, &chunks, extent.channels)
        .into_par_iter()
        .zip(hidden)
        .zip(&chunks)
        .for_each(|((out, keep), positions)| {
            dispatch(ForwardChunk {
                context: &context,
                positions: positions.clone(),
                out,
                keep,
            });
        });
    Ok(())
}

/// The forward pass keeps the hidden layer per chunk, so the backward pass uses the same chunks; all but the last
/// are whole multiples of [`ROWS`]. There are several even for a canvas window of a hundred positions.
pub(super) fn chunks(positions: usize) -> Vec<Range<usize>> {
    ranges::even(positions, CHUNK, ROWS, GROUPS)
}

/// Chunks with the rows that pad the last one.
pub(super) fn whole_rows(chunks: &[Range<usize>]) -> Vec<Range<usize>> {
    chunks
        .iter()
        .map(|chunk| chunk.start..chunk.end.next_multiple_of(ROWS))
        .collect()
}

/// `zeros`: one position.
pub(super) fn plane<'a>(
    values: &'a [f32],
    extent: Extent,
    padding: Padding,
    zeros: &'a [f32],
) -> Plane<'a> {
    Plane {
        values,
        height: extent.height,
        width: extent.width,
        channels: extent.channels,
        padding,
        zeros,
    }
}

struct Forward<'a> {
    plane: Plane<'a>,
    weights: &'a Weights<'a>,
    up: &'a Packed,
    up_bias: &'a [f32],
    down: &'a Packed,
    down_bias: &'a [f32],
}

struct ForwardChunk<'a> {
    context: &'a Forward<'a>,
    positions: Range<usize>,
    out: &'a mut [f32],
    /// Takes the hidden layer before the activation, where a backward pass may follow.
    keep: Option<&'a mut [f32]>,
}

impl WithSimd for ForwardChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            context,
            positions,
            out,
            mut keep,
        } = self;
        let channels = context.plane.channels;
        let rows = positions.len().next_multiple_of(ROWS);
        let stride = row_stride(channels);
        let mut norm = Buffer::dirty(rows * stride);
        depthwise_norm(
            simd,
            &context.plane,
            context.weights,
            positions.clone(),
            &mut norm,
            stride,
            &mut [],
        );
        let mut hidden = Buffer::dirty(context.up.panels() * rows * PANEL);
        for (j, panel) in hidden.chunks_exact_mut(rows * PANEL).enumerate() {
            let left = Left::rows(&norm, rows, stride);
            let bias = &context.up_bias[j * PANEL..];
            match &mut keep {
                Some(keep) => {
                    let keep = &mut keep[j * rows * PANEL..][..rows * PANEL];
                    product_panel(simd, left, context.up, j, Some(bias), keep, PANEL);
                    activate::<S>(simd, keep, panel);
                }
                None => {
                    product_panel(simd, left, context.up, j, Some(bias), panel, PANEL);
                    activate_in_place::<S>(simd, panel);
                }
            }
        }
        // The normed rows are no longer needed: their buffer takes the result.
        for j in 0..context.down.panels() {
            let left = Left::panels(&hidden, rows);
            let bias = &context.down_bias[j * PANEL..];
            let to = &mut norm[j * PANEL..];
            product_panel(simd, left, context.down, j, Some(bias), to, stride);
        }
        let x = &context.plane.values[positions.start * channels..][..out.len()];
        let rows = out.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
        for ((out, x), y) in rows.zip(norm.chunks_exact(stride)) {
            for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                *out = x + y;
            }
        }
    }
}

/// Convolves and norms `positions`: `out[i]` is `d/rms(d)` (no gain), `inverses[i]` its `1/rms` where wanted. Rows that
/// pad to a multiple of [`ROWS`], and columns that pad to `stride`, are zero.
#[inline(always)]
pub(super) fn depthwise_norm<S: Simd>(
    simd: S,
    plane: &Plane<'_>,
    weights: &Weights<'_>,
    positions: Range<usize>,
    out: &mut [f32],
    stride: usize,
    inverses: &mut [f32],
) {
    let channels = plane.channels;
    let count = positions.len();
    convolve(
        simd,
        plane,
        &weights.depthwise,
        &weights.depthwise_bias,
        positions,
        out,
        stride,
    );
    for (i, row) in out.chunks_exact_mut(stride).enumerate() {
        if i >= count {
            row.fill(0.0);
            continue;
        }
        let (row, padding) = row.split_at_mut(channels);
        padding.fill(0.0);
        let inverse = inverse_rms(simd, row);
        if let Some(slot) = inverses.get_mut(i) {
            *slot = inverse;
        }
        for value in row {
            *value *= inverse;
        }
    }
}

/// GELU of whole vectors.
#[inline(always)]
fn activate_in_place<S: Simd>(simd: S, values: &mut [f32]) {
    let (values, _) = S::as_mut_simd_f32s(values);
    for value in values {
        *value = gelu(simd, *value);
    }
}

#[inline(always)]
fn activate<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let (from, _) = S::as_simd_f32s(from);
    let (to, _) = S::as_mut_simd_f32s(to);
    for (to, from) in to.iter_mut().zip(from) {
        *to = gelu(simd, *from);
    }
}
