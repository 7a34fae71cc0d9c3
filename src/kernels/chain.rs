//! Layers in a row as one node of candle's graph.
//!
//! Between two nodes candle adds each gradient to zeros in new buffers, on one thread. Within a chain, activations and
//! gradients go from layer to layer in pooled buffers, and only what a backward pass needs is kept.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::host::{self, HostRef, argument};
use super::layers::{Chain, Layer, Padding, takes_second};
use super::pool::Buffer;
use super::shape::{Extent, Upstream};
use super::shuffle::Direction;
use super::{block, cuda, linear, norm, plain, shuffle};

/// Positions that are copied together.
const PIECE: usize = 256;
/// Values that are added together.
const PIECE_VALUES: usize = 16 * 1024;

impl Chain {
    /// `x` through all layers. A chain of shuffles and blocks takes `[n, h, w, c]`, the other layers any rank.
    pub fn forward(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
        self.run(x, None, padding)
    }

    /// As [`Self::forward`], with the second argument that the first layer takes.
    pub fn forward_with(&self, x: &Tensor, second: &Tensor, padding: Padding) -> Result<Tensor> {
        self.run(x, Some(second), padding)
    }

    fn run(&self, x: &Tensor, second: Option<&Tensor>, padding: Padding) -> Result<Tensor> {
        if self.0.is_empty() {
            return Ok(x.clone());
        }
        if !host::takes(x) || x.rank() == 0 {
            return match cuda::run_chain(&self.0, x, second, padding)? {
                Some(y) => Ok(y),
                None => self.run_plain(x, second, padding),
            };
        }
        if second.is_some() != takes_second(&self.0) {
            candle_core::bail!("a chain was given another number of arguments than it takes");
        }
        let operator = ChainOp {
            layers: Arc::clone(&self.0),
            padding,
            tracked: host::tracked(x) || second.is_some_and(Tensor::track_op),
            kept: Mutex::default(),
        };
        let anchor = host::anchor()?;
        let (x, second) = (x.contiguous()?, second.unwrap_or(anchor).contiguous()?);
        if operator.tracked {
            x.apply_op3(&second, anchor, operator)
        } else {
            x.apply_op3_no_bwd(&second, anchor, &operator)
        }
    }

    pub(super) fn run_plain(
        &self,
        x: &Tensor,
        second: Option<&Tensor>,
        padding: Padding,
    ) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &*self.0 {
            x = match layer {
                Layer::SpaceToDepth(factor) => plain::space_to_depth(&x, *factor),
                Layer::DepthToSpace(factor) => plain::depth_to_space(&x, *factor),
                Layer::Linear(layer) => layer.plain(&x),
                Layer::RmsNorm(norm) => plain::rms_norm(&x, norm.gain.tensor()),
                Layer::UnitRms => {
                    let channels = x.dim(candle_core::D::Minus1)?;
                    plain::rms_norm(&x, &Tensor::ones(channels, x.dtype(), x.device())?)
                }
                Layer::Block(block) => block.plain(&x, padding),
                Layer::Concat => Tensor::cat(&[&x, needed(second)?], candle_core::D::Minus1),
                Layer::AddLinear(layer) => x.broadcast_add(&layer.plain(needed(second)?)?),
            }?;
        }
        Ok(x)
    }
}

fn needed(second: Option<&Tensor>) -> Result<&Tensor> {
    let missing = || candle_core::Error::Msg("a chain of two arguments was given one".into());
    second.ok_or_else(missing)
}

/// The second argument, and where its gradient goes if it has one.
struct Second<'a> {
    values: &'a [f32],
    channels: usize,
    gradient: Option<&'a mut [f32]>,
}

impl Layer {
    /// The shape of the result.
    pub(super) fn result(&self, x: Extent, second: Extent) -> Result<Extent> {
        match self {
            Self::SpaceToDepth(factor) => shuffle::result(Direction::SpaceToDepth, *factor, x),
            Self::DepthToSpace(factor) => shuffle::result(Direction::DepthToSpace, *factor, x),
            Self::Linear(layer) => linear::result(layer, x),
            Self::RmsNorm(norm) => norm::result(norm, x),
            Self::UnitRms => Ok(x),
            Self::Block(block) => block::result(block, x),
            Self::Concat if second.positions() == x.positions() => Ok(Extent {
                channels: x.channels + second.channels,
                ..x
            }),
            Self::Concat => candle_core::bail!("{x:?} and {second:?} do not go side by side"),
            Self::AddLinear(layer) => {
                let added = linear::result(layer, second)?;
                let rows = added.positions();
                if added.channels != x.channels || (rows != 1 && rows != x.positions()) {
                    candle_core::bail!("{added:?} cannot be added to {x:?}");
                }
                Ok(x)
            }
        }
    }

    pub(super) fn needs_input(&self) -> bool {
        matches!(
            self,
            Self::Linear(_) | Self::RmsNorm(_) | Self::UnitRms | Self::Block(_)
        )
    }

    pub(super) fn has_parameters(&self) -> bool {
        matches!(
            self,
            Self::Linear(_) | Self::RmsNorm(_) | Self::Block(_) | Self::AddLinear(_)
        )
    }

    /// Values that the forward pass keeps beside the input.
    fn kept_len(&self, x: Extent) -> usize {
        match self {
            Self::Block(block) => block::hidden_len(block, x),
            _ => 0,
        }
    }

    fn forward(
        &self,
        x: &[f32],
        extent: Extent,
        second: &[f32],
        padding: Padding,
        y: &mut [f32],
        kept: Option<&mut [f32]>,
    ) -> Result<()> {
        match self {
            Self::SpaceToDepth(factor) => {
                shuffle::run(Direction::SpaceToDepth, *factor, extent, x, y);
            }
            Self::DepthToSpace(factor) => {
                shuffle::run(Direction::DepthToSpace, *factor, extent, x, y);
            }
            Self::Linear(layer) => linear::forward(layer, x, y)?,
            Self::RmsNorm(layer) => norm::forward(x, &HostRef::new(layer.gain.var())?, y),
            Self::UnitRms => norm::forward(x, &vec![1.0; extent.channels], y),
            Self::Block(block) => block::forward(block, x, extent, padding, y, kept)?,
            Self::Concat => {
                let (own, more) = (extent.channels, second.len() / extent.positions());
                y.par_chunks_mut(PIECE * (own + more))
                    .zip(x.par_chunks(PIECE * own))
                    .zip(second.par_chunks(PIECE * more))
                    .for_each(|((y, x), second)| {
                        let rows = x.chunks_exact(own).zip(second.chunks_exact(more));
                        for (y, (x, second)) in y.chunks_exact_mut(own + more).zip(rows) {
                            y[..own].copy_from_slice(x);
                            y[own..].copy_from_slice(second);
                        }
                    });
            }
            Self::AddLinear(layer) => {
                let channels = extent.channels;
                if second.len() == layer.inputs()? && extent.positions() > 1 {
                    let mut row = Buffer::dirty(channels);
                    linear::forward(layer, second, &mut row)?;
                    y.par_chunks_mut(PIECE * channels).for_each(|y| {
                        y.chunks_exact_mut(channels)
                            .for_each(|y| y.copy_from_slice(&row))
                    });
                } else {
                    linear::forward(layer, second, y)?;
                }
                add(x, y);
            }
        }
        Ok(())
    }

    /// Parameters' gradients go to their slots, the argument's to `dx` where it is wanted.
    fn backward(
        &self,
        pass: Upstream<'_>,
        mut second: Second<'_>,
        dx: Option<&mut [f32]>,
    ) -> Result<()> {
        let Upstream { x, extent, dy, .. } = pass;
        match (self, dx) {
            (Self::SpaceToDepth(factor), Some(dx)) => {
                let from = shuffle::result(Direction::SpaceToDepth, *factor, extent)?;
                shuffle::run(Direction::DepthToSpace, *factor, from, dy, dx);
            }
            (Self::DepthToSpace(factor), Some(dx)) => {
                let from = shuffle::result(Direction::DepthToSpace, *factor, extent)?;
                shuffle::run(Direction::SpaceToDepth, *factor, from, dy, dx);
            }
            (Self::Linear(layer), dx) => linear::backward(layer, x, dy, dx)?,
            (Self::RmsNorm(layer), dx) => {
                let gain = HostRef::new(layer.gain.var())?;
                norm::backward(x, dy, &gain, Some(layer.gain.slot()), dx);
            }
            (Self::UnitRms, dx) => norm::backward(x, dy, &vec![1.0; extent.channels], None, dx),
            (Self::Block(block), dx) => block::backward(block, pass, dx)?,
            (Self::Concat, dx) => {
                let (own, more) = (extent.channels, second.channels);
                if let Some(dx) = dx {
                    part_of_rows(dy, own + more, 0, own, dx);
                }
                if let Some(gradient) = second.gradient {
                    part_of_rows(dy, own + more, own, more, gradient);
                }
            }
            (Self::AddLinear(layer), dx) => {
                let gradient = second.gradient.take();
                if second.values.len() == second.channels {
                    let sum = sum_of_rows(dy, extent.channels);
                    linear::backward(layer, second.values, &sum, gradient)?;
                } else {
                    linear::backward(layer, second.values, dy, gradient)?;
                }
                if let Some(dx) = dx {
                    part_of_rows(dy, extent.channels, 0, extent.channels, dx);
                }
            }
            (Self::SpaceToDepth(_) | Self::DepthToSpace(_), None) => {}
        }
        Ok(())
    }
}

/// `to += values`.
fn add(values: &[f32], to: &mut [f32]) {
    to.par_chunks_mut(PIECE_VALUES)
        .zip(values.par_chunks(PIECE_VALUES))
        .for_each(|(to, values)| {
            for (to, value) in to.iter_mut().zip(values) {
                *to += value;
            }
        });
}

/// Columns `first..first + count` of rows of `width` values.
fn part_of_rows(rows: &[f32], width: usize, first: usize, count: usize, to: &mut [f32]) {
    to.par_chunks_mut(PIECE * count)
        .zip(rows.par_chunks(PIECE * width))
        .for_each(|(to, rows)| {
            for (to, row) in to.chunks_exact_mut(count).zip(rows.chunks_exact(width)) {
                to.copy_from_slice(&row[first..first + count]);
            }
        });
}

/// The sum of rows of `channels` values, by pieces in order.
fn sum_of_rows(rows: &[f32], channels: usize) -> Vec<f32> {
    let pieces: Vec<Vec<f32>> = rows
        .par_chunks(PIECE * channels)
        .map(|rows| {
            let mut sums = vec![0.0; channels];
            for row in rows.chunks_exact(channels) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; channels];
    for piece in pieces {
        for (total, value) in total.iter_mut().zip(piece) {
            *total += value;
        }
    }
    total
}

/// A chain holds its parameters itself and writes their gradients to their slots; its arguments in candle's graph are the
/// activations alone, and the anchor (see [`host::anchor`]).
struct ChainOp {
    layers: Arc<[Layer]>,
    padding: Padding,
    /// Whether a backward pass may follow.
    tracked: bool,
    kept: Mutex<Vec<Kept>>,
}

/// What a forward pass leaves for the backward pass of one layer.
struct Kept {
    extent: Extent,
    /// The argument, where it is needed; that of the first layer candle keeps.
    input: Option<Buffer>,
    beside: Buffer,
}

impl CustomOp3 for ChainOp {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, second) = (argument(x, layout)?, argument(second, second_layout)?);
        let second_extent = Extent::of(second_layout.shape());
        let mut extent = Extent::of(layout.shape());
        let mut all_kept = Vec::new();
        let mut y: Option<Buffer> = None;
        for (index, layer) in self.layers.iter().enumerate() {
            if matches!(
                layer,
                Layer::Block(_) | Layer::SpaceToDepth(_) | Layer::DepthToSpace(_)
            ) {
                layout.shape().dims4()?;
            }
            let result = layer.result(extent, second_extent)?;
            let mut out = result_buffer(result.len(), index + 1 == self.layers.len());
            let kept_len = layer.kept_len(extent);
            let mut beside = Buffer::dirty(if self.tracked { kept_len } else { 0 });
            let keep = (self.tracked && kept_len > 0).then_some(&mut *beside);
            let input = y.as_deref().unwrap_or(x);
            layer.forward(input, extent, second, self.padding, &mut out, keep)?;
            let input = y.replace(out);
            if self.tracked {
                all_kept.push(Kept {
                    extent,
                    input: input.filter(|_| layer.needs_input()),
                    beside,
                });
            }
            extent = result;
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = all_kept;
        let y = y.map_or_else(|| x.to_vec(), Buffer::into_vec);
        Ok((CpuStorage::F32(y), extent.shape_like(layout.shape())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        second: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (values, start) = (HostRef::new(x)?, HostRef::new(&grad)?);
        let second_values = HostRef::new(second)?;
        // Stays, for a graph that is gone through twice.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() != self.layers.len() {
            candle_core::bail!("a chain that ran without gradients has no backward pass");
        }
        // The anchor stands in where there is no second argument, and wants no gradient.
        let mut second_gradient = (takes_second(&self.layers) && second.track_op())
            .then(|| Buffer::from_vec(vec![0.0; second_values.len()]));
        let mut dy: Option<Buffer> = None;
        for (index, (layer, kept)) in self.layers.iter().zip(&*kept).enumerate().rev() {
            let is_wanted = x.track_op()
                || (index > 0 && second_gradient.is_some())
                || self.layers[..index].iter().any(Layer::has_parameters);
            let mut dx = is_wanted.then(|| result_buffer(kept.extent.len(), index == 0));
            let input = if index == 0 { &*values } else { &[] };
            layer.backward(
                Upstream {
                    x: kept.input.as_deref().unwrap_or(input),
                    extent: kept.extent,
                    dy: dy.as_deref().unwrap_or(&start),
                    kept: &kept.beside,
                    padding: self.padding,
                },
                Second {
                    values: &second_values,
                    channels: second.dims().last().copied().unwrap_or(1),
                    gradient: second_gradient.as_deref_mut(),
                },
                dx.as_deref_mut(),
            )?;
            dy = dx;
            if dy.is_none() {
                break;
            }
        }
        let tensor = |gradient: Option<Buffer>, like: &Tensor| {
            gradient
                .map(|gradient| Tensor::from_vec(gradient.into_vec(), like.shape(), like.device()))
                .transpose()
        };
        Ok((
            tensor(dy.filter(|_| x.track_op()), x)?,
            tensor(second_gradient, second)?,
            None,
        ))
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
