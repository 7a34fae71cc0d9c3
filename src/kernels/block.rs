//! The [`Block`] as one operator, forward and backward.
//!
//! A task takes a short range of positions through the whole block, so that everything between input and output
//! stays in its core's cache. For the backward pass the input and the hidden layer before its activation are kept,
//! in pooled buffers; convolution, norm and activation are recomputed. Without gradients the hidden layer never
//! exists as a whole.
//!
//! The norm's gain is folded into the packed `up` weights and the layer scale γ into `down`, in both directions:
//! the gradient of the folded matrix gives that of both factors.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::depthwise::{Plane, convolve, kernel_gradient, turned};
use super::host::{HostRef, argument};
use super::norm::inverse_rms;
use super::pool::Buffer;
use super::product::{Left, PANEL, Packed, ROWS, outer_panel, product_panel, row_stride};
use super::simd::{dispatch, dot, gelu, gelu_with_slope};
use super::{Block, Padding, ranges};

/// Positions that go through the block together.
const CHUNK: usize = 192;
/// Parts that sum the weights' gradient for themselves: more use more cores, but cost a sum of all weights each.
const GROUPS: usize = 4;

/// Blocks in a row as one node of candle's graph: between them, candle would add each gradient to zeros in new
/// buffers.
pub(super) struct BlocksOp {
    blocks: Vec<Block>,
    padding: Padding,
    /// Whether a backward pass may follow.
    tracked: bool,
    kept: Mutex<Vec<Kept>>,
}

/// What a forward pass leaves for the backward pass of one block.
struct Kept {
    /// The input; of the first block candle keeps it.
    input: Option<Buffer>,
    /// The hidden layer before the activation, chunk after chunk in panel form.
    hidden: Buffer,
}

impl BlocksOp {
    pub(super) fn new(blocks: &[Block], padding: Padding, tracked: bool) -> Self {
        Self {
            blocks: blocks.to_vec(),
            padding,
            tracked,
            kept: Mutex::default(),
        }
    }
}

impl CustomOp2 for BlocksOp {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = argument(x, layout)?;
        let dims = layout.shape().dims4()?;
        let mut all_kept = Vec::new();
        let mut y: Option<Buffer> = None;
        for (index, block) in self.blocks.iter().enumerate() {
            let weights = Weights::new(block)?;
            let mut hidden = self
                .tracked
                .then(|| Buffer::dirty(hidden_len(dims, &weights)));
            let mut out = result_buffer(x.len(), index + 1 == self.blocks.len());
            forward(
                y.as_deref().unwrap_or(x),
                dims,
                &weights,
                self.padding,
                &mut out,
                hidden.as_deref_mut(),
            )?;
            let input = y.replace(out);
            if let Some(hidden) = hidden {
                all_kept.push(Kept { input, hidden });
            }
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = all_kept;
        let y = y.map_or_else(|| x.to_vec(), Buffer::into_vec);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dims = x.dims4()?;
        let x_values = HostRef::new(x)?;
        let start = HostRef::new(&grad)?;
        // Stays, for a graph that is gone through twice.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() != self.blocks.len() {
            candle_core::bail!("blocks that ran without gradients have no backward pass");
        }
        let mut dy: Option<Buffer> = None;
        for (index, (block, kept)) in self.blocks.iter().zip(&*kept).enumerate().rev() {
            let mut dx = result_buffer(x_values.len(), index == 0);
            backward(
                block,
                Pass {
                    x: kept.input.as_deref().unwrap_or(&x_values),
                    dy: dy.as_deref().unwrap_or(&start),
                    hidden: &kept.hidden,
                    dims,
                    padding: self.padding,
                },
                &mut dx,
            )?;
            dy = Some(dx);
        }
        let dx = match dy {
            Some(dx) => dx.into_vec(),
            None => start.to_vec(),
        };
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), None))
    }
}

/// The last result of a pass goes to candle, which frees it; the others go back to the pool.
fn result_buffer(len: usize, is_last: bool) -> Buffer {
    if is_last {
        Buffer::from_vec(vec![0.0; len])
    } else {
        Buffer::dirty(len)
    }
}

/// Values of the hidden layer as the forward pass keeps it.
fn hidden_len(dims: (usize, usize, usize, usize), weights: &Weights<'_>) -> usize {
    let positions = dims.0 * dims.1 * dims.2;
    positions.next_multiple_of(ROWS) * weights.hidden().next_multiple_of(PANEL)
}

/// The block's parameters, locked for reading.
struct Weights<'a> {
    depthwise: HostRef<'a>,
    depthwise_bias: HostRef<'a>,
    gain: HostRef<'a>,
    up: HostRef<'a>,
    up_bias: HostRef<'a>,
    down: HostRef<'a>,
    down_bias: HostRef<'a>,
    scale: HostRef<'a>,
}

impl<'a> Weights<'a> {
    fn new(block: &'a Block) -> Result<Self> {
        Ok(Self {
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

    fn channels(&self) -> usize {
        self.scale.len()
    }

    fn hidden(&self) -> usize {
        self.up_bias.len()
    }

    fn up_forward(&self) -> Packed {
        let gain: &[f32] = &self.gain;
        Packed::transposed(&self.up, self.hidden(), self.channels(), |_, c| gain[c])
    }

    fn up_backward(&self) -> Packed {
        let gain: &[f32] = &self.gain;
        Packed::straight(&self.up, self.hidden(), self.channels(), |_, c| gain[c])
    }

    fn down_forward(&self) -> Packed {
        let scale: &[f32] = &self.scale;
        Packed::transposed(&self.down, self.channels(), self.hidden(), |c, _| scale[c])
    }

    fn down_backward(&self) -> Packed {
        let scale: &[f32] = &self.scale;
        Packed::straight(&self.down, self.channels(), self.hidden(), |c, _| scale[c])
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

fn check(dims: (usize, usize, usize, usize), weights: &Weights<'_>) -> Result<()> {
    if dims.3 != weights.channels() {
        candle_core::bail!(
            "a block of {} channels was given {}",
            weights.channels(),
            dims.3
        );
    }
    Ok(())
}

fn forward(
    x: &[f32],
    dims: (usize, usize, usize, usize),
    weights: &Weights<'_>,
    padding: Padding,
    y: &mut [f32],
    hidden: Option<&mut [f32]>,
) -> Result<()> {
    check(dims, weights)?;
    let (n, height, width, channels) = dims;
    let zeros = vec![0.0; channels];
    let (up_bias, down_bias) = (weights.padded_up_bias(), weights.padded_down_bias());
    let context = Forward {
        plane: Plane {
            values: x,
            height,
            width,
            channels,
            padding,
            zeros: &zeros,
        },
        weights,
        up: &weights.up_forward(),
        up_bias: &up_bias,
        down: &weights.down_forward(),
        down_bias: &down_bias,
    };
    let positions = n * height * width;
    let chunks = chunks(positions);
    let hidden: Vec<Option<&mut [f32]>> = match hidden {
        Some(hidden) => {
            let per_position = context.up.panels() * PANEL;
            let padded: Vec<_> = chunks
                .iter()
                .map(|c| c.start..c.end.next_multiple_of(ROWS))
                .collect();
            let parts = ranges::split_mut(hidden, &padded, per_position);
            parts.into_iter().map(Some).collect()
        }
        None => chunks.iter().map(|_| None).collect(),
    };
    ranges::split_mut(y, &chunks, channels)
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
fn chunks(positions: usize) -> Vec<Range<usize>> {
    ranges::even(positions, CHUNK, ROWS, GROUPS)
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
fn depthwise_norm<S: Simd>(
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

/// What a backward pass through one block starts from.
struct Pass<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    hidden: &'a [f32],
    dims: (usize, usize, usize, usize),
    padding: Padding,
}

fn backward(block: &Block, pass: Pass<'_>, dx: &mut [f32]) -> Result<()> {
    let Pass {
        x,
        dy,
        hidden,
        dims,
        padding,
    } = pass;
    let weights = &Weights::new(block)?;
    check(dims, weights)?;
    let (n, height, width, channels) = dims;
    let positions = n * height * width;
    let zeros = vec![0.0; channels];
    let plane = Plane {
        values: x,
        height,
        width,
        channels,
        padding,
        zeros: &zeros,
    };
    let context = Backward {
        plane,
        weights,
        hidden,
        hidden_panels: weights.hidden().div_ceil(PANEL),
        down_back: &weights.down_backward(),
        up_back: &weights.up_backward(),
        dy,
    };

    // First through the perceptron and the norm, to the gradient of the convolution's result.
    let chunks = chunks(positions);
    let groups: Vec<&[Range<usize>]> = chunks
        .chunks(chunks.len().div_ceil(GROUPS).max(1))
        .collect();
    let spans: Vec<Range<usize>> = groups
        .iter()
        .map(|group| group[0].start..group[group.len() - 1].end)
        .collect();
    let mut grad = Buffer::dirty(x.len());
    let sums: Vec<Sums> = ranges::split_mut(&mut grad, &spans, channels)
        .into_par_iter()
        .zip(&groups)
        .map(|(mut out, group)| {
            let mut sums = Sums::new(weights);
            for chunk in *group {
                let (here, rest) = std::mem::take(&mut out).split_at_mut(chunk.len() * channels);
                out = rest;
                dispatch(BackwardChunk {
                    context: &context,
                    positions: chunk.clone(),
                    out: here,
                    sums: &mut sums,
                });
            }
            sums
        })
        .collect();
    weight_gradients(block, weights, &sums);

    // Then through the convolution, whose window reaches over the ranges' borders.
    let turned = turned(&weights.depthwise, channels);
    let groups = ranges::groups(positions, 16, 1);
    let kernel_sums: Vec<Buffer> = ranges::split_mut(dx, &groups, channels)
        .into_par_iter()
        .zip(&groups)
        .map(|(out, positions)| {
            let mut sums = Buffer::zeroed(10 * channels);
            dispatch(DepthwiseBackward {
                x: &plane,
                grad: &grad,
                turned: &turned,
                dy: &dy[positions.start * channels..positions.end * channels],
                positions: positions.clone(),
                out,
                sums: &mut sums,
            });
            sums
        })
        .collect();
    let total = |range: Range<usize>, to: &mut [f32], accumulate: bool| {
        if !accumulate {
            to.fill(0.0);
        }
        for sums in &kernel_sums {
            for (to, value) in to.iter_mut().zip(&sums[range.clone()]) {
                *to += value;
            }
        }
    };
    block
        .depthwise
        .slot()
        .accumulate(9 * channels, |to, more| total(0..9 * channels, to, more));
    block
        .depthwise_bias
        .slot()
        .accumulate(channels, |to, more| {
            total(9 * channels..10 * channels, to, more)
        });
    Ok(())
}

struct Backward<'a> {
    plane: Plane<'a>,
    weights: &'a Weights<'a>,
    /// As the forward pass kept it.
    hidden: &'a [f32],
    hidden_panels: usize,
    /// `γ·down`, to carry a gradient from the output to the hidden layer.
    down_back: &'a Packed,
    /// `up·gain`, from the hidden layer to the norm.
    up_back: &'a Packed,
    dy: &'a [f32],
}

/// Gradients of the folded matrices, summed over one group of positions.
struct Sums {
    /// `[hidden panel][channel, padded][PANEL]`
    up: Buffer,
    /// As `up`.
    down: Buffer,
    up_bias: Buffer,
    /// Of the folded bias: the sum of the output's gradient.
    down_bias: Buffer,
}

impl Sums {
    fn new(weights: &Weights<'_>) -> Self {
        let channels = weights.channels().next_multiple_of(ROWS);
        let hidden = weights.hidden().next_multiple_of(PANEL);
        Self {
            up: Buffer::zeroed(channels * hidden),
            down: Buffer::zeroed(channels * hidden),
            up_bias: Buffer::zeroed(hidden),
            down_bias: Buffer::zeroed(channels),
        }
    }
}

struct BackwardChunk<'a> {
    context: &'a Backward<'a>,
    positions: Range<usize>,
    /// Gradient of the convolution's result at `positions`.
    out: &'a mut [f32],
    sums: &'a mut Sums,
}

impl WithSimd for BackwardChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            context,
            positions,
            out,
            sums,
        } = self;
        let channels = context.plane.channels;
        let padded_channels = channels.next_multiple_of(ROWS);
        let count = positions.len();
        let rows = count.next_multiple_of(ROWS);
        let stride = row_stride(channels);
        let mut norm = Buffer::dirty(rows * stride);
        let mut inverse_rms = Buffer::dirty(count);
        depthwise_norm(
            simd,
            &context.plane,
            context.weights,
            positions.clone(),
            &mut norm,
            stride,
            &mut inverse_rms,
        );

        let mut dy = Buffer::dirty(rows * stride);
        let from = &context.dy[positions.start * channels..positions.end * channels];
        for (row, from) in dy.chunks_exact_mut(stride).zip(from.chunks_exact(channels)) {
            row[..channels].copy_from_slice(from);
            row[channels..].fill(0.0);
            for (sum, value) in sums.down_bias.iter_mut().zip(from) {
                *sum += value;
            }
        }
        dy[count * stride..].fill(0.0);

        let panels = context.hidden_panels;
        let kept = &context.hidden[positions.start * panels * PANEL..][..rows * panels * PANEL];
        let mut grad_hidden = Buffer::dirty(panels * rows * PANEL);
        let mut hidden = Buffer::dirty(rows * PANEL);
        for (j, grad_hidden) in grad_hidden.chunks_exact_mut(rows * PANEL).enumerate() {
            let before = &kept[j * rows * PANEL..][..rows * PANEL];
            let left = Left::rows(&dy, rows, stride);
            product_panel(simd, left, context.down_back, j, None, grad_hidden, PANEL);
            let bias_sums = &mut sums.up_bias[j * PANEL..][..PANEL];
            activation_gradient(simd, before, &mut hidden, grad_hidden, bias_sums);
            let tile = j * padded_channels * PANEL..(j + 1) * padded_channels * PANEL;
            outer_panel(
                simd,
                &dy,
                stride,
                padded_channels,
                &hidden,
                count,
                &mut sums.down[tile.clone()],
            );
            outer_panel(
                simd,
                &norm,
                stride,
                padded_channels,
                grad_hidden,
                count,
                &mut sums.up[tile],
            );
        }

        // The output's gradient is no longer needed: its buffer takes that of the norm's result.
        for j in 0..context.up_back.panels() {
            let left = Left::panels(&grad_hidden, rows);
            product_panel(
                simd,
                left,
                context.up_back,
                j,
                None,
                &mut dy[j * PANEL..],
                stride,
            );
        }
        let rows = out.chunks_exact_mut(channels).zip(&*inverse_rms);
        let inputs = norm.chunks_exact(stride).zip(dy.chunks_exact(stride));
        for ((out, inverse), (norm, grad)) in rows.zip(inputs) {
            let (norm, grad) = (&norm[..channels], &grad[..channels]);
            let mean = dot(simd, norm, grad) / channels as f32;
            for ((out, norm), grad) in out.iter_mut().zip(norm).zip(grad) {
                *out = inverse * (grad - norm * mean);
            }
        }
    }
}

/// `hidden` becomes the GELU of `before`, `grad` is multiplied by GELU's slope there and added up per
/// column. The rows that pad have a zero gradient.
#[inline(always)]
fn activation_gradient<S: Simd>(
    simd: S,
    before: &[f32],
    hidden: &mut [f32],
    grad: &mut [f32],
    bias_sums: &mut [f32],
) {
    let per_row = PANEL / S::F32_LANES;
    let (before, _) = S::as_simd_f32s(before);
    let (hidden, _) = S::as_mut_simd_f32s(hidden);
    let (grad, _) = S::as_mut_simd_f32s(grad);
    let (sums, _) = S::as_mut_simd_f32s(bias_sums);
    let rows = hidden
        .chunks_exact_mut(per_row)
        .zip(grad.chunks_exact_mut(per_row))
        .zip(before.chunks_exact(per_row));
    for ((hidden, grad), before) in rows {
        let row = hidden.iter_mut().zip(grad).zip(before);
        for (((hidden, grad), before), sum) in row.zip(sums.iter_mut()) {
            let (value, slope) = gelu_with_slope(simd, *before);
            *hidden = value;
            *grad = simd.mul_f32s(*grad, slope);
            *sum = simd.add_f32s(*sum, *grad);
        }
    }
}

/// Unfolds the sums of all groups, in order, into the parameters' gradients.
fn weight_gradients(block: &Block, weights: &Weights<'_>, groups: &[Sums]) {
    let (channels, hidden) = (weights.channels(), weights.hidden());
    let (up, down): (&[f32], &[f32]) = (&weights.up, &weights.down);
    let (gains, scales): (&[f32], &[f32]) = (&weights.gain, &weights.scale);
    let tile = channels.next_multiple_of(ROWS) * PANEL;
    let put = |to: &mut f32, value: f32, accumulate: bool| {
        *to = if accumulate { *to + value } else { value };
    };

    let mut gain_parts = Buffer::zeroed(hidden.div_ceil(PANEL) * channels);
    block
        .up
        .weight
        .slot()
        .accumulate(hidden * channels, |to, more| {
            to.par_chunks_mut(PANEL * channels)
                .zip(gain_parts.par_chunks_mut(channels))
                .enumerate()
                .for_each(|(j, (to, gain))| {
                    let width = to.len() / channels;
                    let from = &up[j * PANEL * channels..][..to.len()];
                    for c in 0..channels {
                        let mut sum = [0.0f32; PANEL];
                        for group in groups {
                            let row = &group.up[j * tile + c * PANEL..][..PANEL];
                            for (sum, value) in sum.iter_mut().zip(row) {
                                *sum += value;
                            }
                        }
                        for (h, sum) in sum.iter().enumerate().take(width) {
                            put(&mut to[h * channels + c], sum * gains[c], more);
                            gain[c] += sum * from[h * channels + c];
                        }
                    }
                });
        });
    block.norm.gain.slot().accumulate(channels, |to, more| {
        for (c, to) in to.iter_mut().enumerate() {
            let sum = gain_parts.iter().skip(c).step_by(channels).sum();
            put(to, sum, more);
        }
    });

    let mut scale = vec![0.0; channels];
    block
        .down
        .weight
        .slot()
        .accumulate(hidden * channels, |to, more| {
            to.par_chunks_mut(hidden)
                .zip(&mut scale)
                .enumerate()
                .for_each(|(c, (to, scale))| {
                    let from = &down[c * hidden..][..hidden];
                    for (j, to) in to.chunks_mut(PANEL).enumerate() {
                        let mut sum = [0.0f32; PANEL];
                        for group in groups {
                            let row = &group.down[j * tile + c * PANEL..][..PANEL];
                            for (sum, value) in sum.iter_mut().zip(row) {
                                *sum += value;
                            }
                        }
                        let from = &from[j * PANEL..];
                        for ((to, sum), from) in to.iter_mut().zip(sum).zip(from) {
                            put(to, sum * scales[c], more);
                            *scale += sum * from;
                        }
                    }
                });
        });
    let down_bias: Vec<f32> = (0..channels)
        .map(|c| groups.iter().map(|group| group.down_bias[c]).sum())
        .collect();
    block.scale.slot().accumulate(channels, |to, more| {
        for (c, to) in to.iter_mut().enumerate() {
            put(to, scale[c] + down_bias[c] * weights.down_bias[c], more);
        }
    });
    block.down.bias.slot().accumulate(channels, |to, more| {
        for (c, to) in to.iter_mut().enumerate() {
            put(to, down_bias[c] * scales[c], more);
        }
    });
    block.up.bias.slot().accumulate(hidden, |to, more| {
        for (h, to) in to.iter_mut().enumerate() {
            put(to, groups.iter().map(|group| group.up_bias[h]).sum(), more);
        }
    });
}

struct DepthwiseBackward<'a> {
    x: &'a Plane<'a>,
    /// Of the convolution's result, at all positions.
    grad: &'a [f32],
    turned: &'a [f32],
    /// Of the block's result at `positions`: the residual path.
    dy: &'a [f32],
    positions: Range<usize>,
    out: &'a mut [f32],
    sums: &'a mut [f32],
}

impl WithSimd for DepthwiseBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let channels = self.x.channels;
        let grad = Plane {
            values: self.grad,
            ..*self.x
        };
        let no_bias = self.x.zeros;
        convolve(
            simd,
            &grad,
            self.turned,
            no_bias,
            self.positions.clone(),
            self.out,
            channels,
        );
        for (out, dy) in self.out.iter_mut().zip(self.dy) {
            *out += dy;
        }
        kernel_gradient(simd, self.x, self.grad, self.positions, self.sums);
    }
}
