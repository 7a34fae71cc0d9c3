//! The [`Block`]'s backward pass.

use std::ops::Range;

use candle_core::Result;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::block::{GROUPS, Weights, chunks, depthwise_norm, plane, whole_rows};
use super::depthwise::{Plane, convolve, kernel_gradient, turned};
use super::layers::Block;
use super::pool::Buffer;
use super::product::{Left, PANEL, Packed, ROWS, outer_panel, product_panel, row_stride};
use super::ranges;
use super::shape::Upstream;
use super::simd::{dispatch, dot, gelu_with_slope};

/// Parts that sum the convolution kernel's gradient for themselves.
const KERNEL_GROUPS: usize = 16;
/// Values of a cache line.
const LINE: usize = 16;
/// Up to this many positions per channel, the sums of several groups over all weights would cost more than keeping
/// the hidden layer for sums panel by panel.
const POSITIONS_PER_CHANNEL: usize = 6;

/// The gradient of the input goes to `dx`, where it is wanted.
pub(super) fn backward(block: &Block, pass: Upstream<'_>, dx: Option<&mut [f32]>) -> Result<()> {
    let Upstream { x, extent, dy, .. } = pass;
    let weights = &Weights::new(block)?;
    let channels = extent.channels;
    let positions = extent.positions();
    let zeros = vec![0.0; channels];
    let plane = plane(x, extent, pass.padding, &zeros);
    let context = Backward {
        plane,
        weights,
        hidden: pass.kept,
        panels: weights.hidden().div_ceil(PANEL),
        down_back: &weights.packed_down_back(),
        up_back: &weights.packed_up_back(),
        dy,
    };

    // First through the perceptron and the norm, to the gradient of the convolution's result.
    let mut grad = Buffer::dirty(x.len());
    let (sums, biases) = if positions < POSITIONS_PER_CHANNEL * channels {
        context.sums_by_panel(positions, &mut grad)
    } else {
        context.sums_by_group(positions, &mut grad)
    };
    weight_gradients(block, weights, &sums, &biases);

    // Then through the convolution, whose window reaches over the ranges' borders.
    let turned = turned(&weights.depthwise, channels);
    let mut unwanted = Buffer::dirty(if dx.is_none() { x.len() } else { 0 });
    let dx = dx.unwrap_or(&mut unwanted);
    let groups = ranges::groups(positions, KERNEL_GROUPS, 1);
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
    (block.depthwise.slot()).add_parts(9 * channels, &kernel_sums, 0);
    (block.depthwise_bias.slot()).add_parts(channels, &kernel_sums, 9 * channels);
    Ok(())
}

struct Backward<'a> {
    plane: Plane<'a>,
    weights: &'a Weights<'a>,
    /// As the forward pass kept it.
    hidden: &'a [f32],
    /// Of the hidden layer.
    panels: usize,
    down_back: &'a Packed,
    up_back: &'a Packed,
    dy: &'a [f32],
}

/// Gradients of the folded matrices, over some of the positions.
struct Sums {
    /// `[hidden panel][channel, padded][PANEL]`
    up: Buffer,
    /// As `up`.
    down: Buffer,
}

/// Likewise of the folded biases.
struct BiasSums {
    up: Buffer,
    /// The sum of the output's gradient.
    down: Buffer,
}

/// What the weights' gradients are made of, for some chunks of positions.
struct Rows<'a> {
    /// `[row][stride]`
    norm: &'a mut [f32],
    /// The output's gradient, as `norm`.
    dy: &'a mut [f32],
    /// After the activation, `[panel][row][PANEL]`; one panel where nobody wants them all.
    hidden: &'a mut [f32],
    /// Gradient of the hidden layer before its activation, `[panel][row][PANEL]`.
    grad_hidden: &'a mut [f32],
}

impl Backward<'_> {
    fn padded_channels(&self) -> usize {
        self.weights.channels().next_multiple_of(ROWS)
    }

    /// Not cleared: the first chunk overwrites them.
    fn new_sums(&self) -> Sums {
        let len = self.padded_channels() * self.panels * PANEL;
        Sums {
            up: Buffer::dirty(len),
            down: Buffer::dirty(len),
        }
    }

    fn new_bias_sums(&self) -> BiasSums {
        BiasSums {
            up: Buffer::zeroed(self.panels * PANEL),
            down: Buffer::zeroed(self.padded_channels()),
        }
    }

    /// Each of a few groups of chunks adds up all weights for itself, while what they are made of is in cache.
    fn sums_by_group(&self, positions: usize, grad: &mut [f32]) -> (Vec<Sums>, Vec<BiasSums>) {
        let channels = self.weights.channels();
        let stride = row_stride(channels);
        let chunks = chunks(positions);
        let groups: Vec<&[Range<usize>]> = chunks
            .chunks(chunks.len().div_ceil(GROUPS).max(1))
            .collect();
        let spans: Vec<Range<usize>> = groups
            .iter()
            .map(|group| group[0].start..group[group.len() - 1].end)
            .collect();
        ranges::split_mut(grad, &spans, channels)
            .into_par_iter()
            .zip(&groups)
            .map(|(mut out, group)| {
                let (mut sums, mut biases) = (self.new_sums(), self.new_bias_sums());
                for (index, chunk) in group.iter().enumerate() {
                    let (here, rest) =
                        std::mem::take(&mut out).split_at_mut(chunk.len() * channels);
                    out = rest;
                    let rows = chunk.len().next_multiple_of(ROWS);
                    dispatch(BackwardChunk {
                        context: self,
                        positions: chunk.clone(),
                        out: here,
                        rows: Rows {
                            norm: &mut Buffer::dirty(rows * stride),
                            dy: &mut Buffer::dirty(rows * stride),
                            hidden: &mut Buffer::dirty(rows * PANEL),
                            grad_hidden: &mut Buffer::dirty(self.panels * rows * PANEL),
                        },
                        sums: Some(&mut sums),
                        accumulate: index > 0,
                        biases: &mut biases,
                    });
                }
                (sums, biases)
            })
            .unzip()
    }

    /// First all chunks, whose rows are kept; then each panel of weights over all of them.
    fn sums_by_panel(&self, positions: usize, grad: &mut [f32]) -> (Vec<Sums>, Vec<BiasSums>) {
        let channels = self.weights.channels();
        let stride = row_stride(channels);
        let per_row = self.panels * PANEL;
        let chunks = chunks(positions);
        let padded = whole_rows(&chunks);
        let rows = padded.last().map_or(0, |last| last.end);
        let [mut norm, mut dy] = [(); 2].map(|()| Buffer::dirty(rows * stride));
        let [mut hidden, mut grad_hidden] = [(); 2].map(|()| Buffer::dirty(rows * per_row));
        let biases = ranges::split_mut(grad, &chunks, channels)
            .into_par_iter()
            .zip(ranges::split_mut(&mut norm, &padded, stride))
            .zip(ranges::split_mut(&mut dy, &padded, stride))
            .zip(ranges::split_mut(&mut hidden, &padded, per_row))
            .zip(ranges::split_mut(&mut grad_hidden, &padded, per_row))
            .zip(&chunks)
            .map(|(((((out, norm), dy), hidden), grad_hidden), positions)| {
                let mut biases = self.new_bias_sums();
                dispatch(BackwardChunk {
                    context: self,
                    positions: positions.clone(),
                    out,
                    rows: Rows {
                        norm,
                        dy,
                        hidden,
                        grad_hidden,
                    },
                    sums: None,
                    accumulate: false,
                    biases: &mut biases,
                });
                biases
            })
            .collect();
        let mut sums = self.new_sums();
        let tile = self.padded_channels() * PANEL;
        (sums.up.par_chunks_mut(tile))
            .zip(sums.down.par_chunks_mut(tile))
            .enumerate()
            .for_each(|(panel, (up, down))| {
                dispatch(PanelSums {
                    norm: &norm,
                    dy: &dy,
                    stride,
                    hidden: &hidden,
                    grad_hidden: &grad_hidden,
                    panel,
                    panels: self.panels,
                    columns: self.padded_channels(),
                    chunks: &chunks,
                    up,
                    down,
                });
            });
        (vec![sums], biases)
    }
}

struct PanelSums<'a> {
    norm: &'a [f32],
    dy: &'a [f32],
    stride: usize,
    /// Chunk after chunk.
    hidden: &'a [f32],
    grad_hidden: &'a [f32],
    panel: usize,
    panels: usize,
    columns: usize,
    chunks: &'a [Range<usize>],
    up: &'a mut [f32],
    down: &'a mut [f32],
}

impl WithSimd for PanelSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            stride, columns, ..
        } = self;
        for chunk in self.chunks {
            let (start, count) = (chunk.start, chunk.len());
            let rows = count.next_multiple_of(ROWS);
            let at = (start * self.panels + self.panel * rows) * PANEL;
            let panel = at..at + count * PANEL;
            let (norm, dy) = (&self.norm[start * stride..], &self.dy[start * stride..]);
            let hidden = &self.hidden[panel.clone()];
            let more = start > 0;
            outer_panel(simd, dy, stride, columns, hidden, count, self.down, more);
            let grad = &self.grad_hidden[panel];
            outer_panel(simd, norm, stride, columns, grad, count, self.up, more);
        }
    }
}

struct BackwardChunk<'a> {
    context: &'a Backward<'a>,
    positions: Range<usize>,
    /// Gradient of the convolution's result at `positions`.
    out: &'a mut [f32],
    rows: Rows<'a>,
    /// Where the weights' gradients are added up at once.
    sums: Option<&'a mut Sums>,
    /// Whether other chunks' sums are there already.
    accumulate: bool,
    biases: &'a mut BiasSums,
}

impl WithSimd for BackwardChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            context,
            positions,
            out,
            rows:
                Rows {
                    norm,
                    dy,
                    hidden,
                    grad_hidden,
                },
            mut sums,
            accumulate,
            biases,
        } = self;
        let channels = context.plane.channels;
        let padded_channels = context.padded_channels();
        let count = positions.len();
        let rows = count.next_multiple_of(ROWS);
        let stride = row_stride(channels);
        let mut inverse_rms = Buffer::dirty(count);
        depthwise_norm(
            simd,
            &context.plane,
            context.weights,
            positions.clone(),
            norm,
            stride,
            &mut inverse_rms,
        );

        let from = &context.dy[positions.start * channels..positions.end * channels];
        for (row, from) in dy.chunks_exact_mut(stride).zip(from.chunks_exact(channels)) {
            row[..channels].copy_from_slice(from);
            row[channels..].fill(0.0);
            for (sum, value) in biases.down.iter_mut().zip(from) {
                *sum += value;
            }
        }
        dy[count * stride..].fill(0.0);

        let panels = context.panels;
        let kept = &context.hidden[positions.start * panels * PANEL..][..rows * panels * PANEL];
        let keeps_hidden = hidden.len() == kept.len();
        for (j, grad_hidden) in grad_hidden.chunks_exact_mut(rows * PANEL).enumerate() {
            let panel = j * rows * PANEL..(j + 1) * rows * PANEL;
            let before = &kept[panel.clone()];
            let hidden = &mut hidden[if keeps_hidden { panel } else { 0..rows * PANEL }];
            let left = Left::rows(dy, rows, stride);
            product_panel(simd, left, context.down_back, j, None, grad_hidden, PANEL);
            let bias_sums = &mut biases.up[j * PANEL..][..PANEL];
            activation_gradient(simd, before, hidden, grad_hidden, bias_sums);
            if let Some(Sums { up, down }) = &mut sums {
                let tile = j * padded_channels * PANEL..(j + 1) * padded_channels * PANEL;
                let (up, down) = (&mut up[tile.clone()], &mut down[tile]);
                let columns = padded_channels;
                outer_panel(simd, dy, stride, columns, hidden, count, down, accumulate);
                let grad = grad_hidden;
                outer_panel(simd, norm, stride, columns, grad, count, up, accumulate);
            }
        }

        let mut grad_norm = Buffer::dirty(rows * stride);
        for j in 0..context.up_back.panels() {
            let left = Left::panels(grad_hidden, rows);
            let to = &mut grad_norm[j * PANEL..];
            product_panel(simd, left, context.up_back, j, None, to, stride);
        }
        let rows = out.chunks_exact_mut(channels).zip(&*inverse_rms);
        let inputs = norm
            .chunks_exact(stride)
            .zip(grad_norm.chunks_exact(stride));
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

/// Unfolds the sums, in order, into the parameters' gradients.
fn weight_gradients(block: &Block, weights: &Weights<'_>, sums: &[Sums], biases: &[BiasSums]) {
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
                    let from = &up[j * PANEL * channels..][..to.len()];
                    // A cache line of each weight row at a time: the rows may fall on the same cache sets.
                    for first in (0..channels).step_by(LINE) {
                        let line = first..channels.min(first + LINE);
                        let mut columns = [[0.0; PANEL]; LINE];
                        for (c, column) in line.clone().zip(&mut columns) {
                            let sums = sums.iter().map(|sums| &*sums.up);
                            *column = total(sums, j * tile + c * PANEL);
                        }
                        let rows = to.chunks_exact_mut(channels);
                        for (h, (to, from)) in rows.zip(from.chunks_exact(channels)).enumerate() {
                            let row = to[line.clone()].iter_mut().zip(&from[line.clone()]);
                            let factors = gains[line.clone()].iter().zip(&mut gain[line.clone()]);
                            for (((to, from), (factor, gain)), column) in
                                row.zip(factors).zip(&columns)
                            {
                                put(to, column[h] * factor, more);
                                *gain += column[h] * from;
                            }
                        }
                    }
                });
        });
    let gains: Vec<&[f32]> = gain_parts.chunks_exact(channels).collect();
    block.norm.gain.slot().add_parts(channels, &gains, 0);

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
                        let sum = total(sums.iter().map(|sums| &*sums.down), j * tile + c * PANEL);
                        let from = &from[j * PANEL..];
                        for ((to, sum), from) in to.iter_mut().zip(sum).zip(from) {
                            put(to, sum * scales[c], more);
                            *scale += sum * from;
                        }
                    }
                });
        });
    let down_bias: Vec<f32> = (0..channels)
        .map(|c| biases.iter().map(|sums| sums.down[c]).sum())
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
    let up_biases: Vec<&[f32]> = biases.iter().map(|sums| &*sums.up).collect();
    block.up.bias.slot().add_parts(hidden, &up_biases, 0);
}

/// The sum of one row of all parts.
fn total<'a>(parts: impl Iterator<Item = &'a [f32]>, at: usize) -> [f32; PANEL] {
    let mut sum = [0.0f32; PANEL];
    for part in parts {
        for (sum, value) in sum.iter_mut().zip(&part[at..at + PANEL]) {
            *sum += value;
        }
    }
    sum
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
