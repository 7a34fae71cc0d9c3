//! Layers in a row as one node of candle's graph: as `kernels/chain.rs`, with activations and gradients on the machine.

use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, Var};

use super::block::{self, Kept as BlockKept};
use super::machine::{Machine, Memory, Values, View, on_host, view_on_host};
use super::rows::{self, Columns, Linear};
use super::{Operator, machine, machine_of, view};
use crate::kernels::host;
use crate::kernels::layers::{Chain, Layer, Padding, takes_second};
use crate::kernels::shape::Extent;

/// `x` through `layers`, those of an operator that is out of use as compositions; `None` where all are (the machine has none).
pub(in crate::kernels) fn run(
    layers: &Arc<[Layer]>,
    x: &Tensor,
    second: Option<&Tensor>,
    padding: Padding,
) -> Result<Option<Tensor>> {
    if x.dtype() != DType::F32 || x.elem_count() == 0 || x.rank() == 0 {
        return Ok(None);
    }
    let mut runs = Vec::with_capacity(layers.len());
    for layer in &**layers {
        runs.push(machine(x.device(), operator(layer))?.is_some());
    }
    if runs.iter().all(|runs| *runs) {
        return apply(Arc::clone(layers), x, second, padding).map(Some);
    }
    if !runs.contains(&true) {
        return Ok(None);
    }
    let mut x = x.clone();
    for (index, (layer, runs)) in layers.iter().zip(runs).enumerate() {
        let second = second.filter(|_| index == 0);
        x = if runs {
            apply([layer.clone()].into(), &x, second, padding)?
        } else {
            Chain::from([layer.clone()]).run_plain(&x, second, padding)?
        };
    }
    Ok(Some(x))
}

fn operator(layer: &Layer) -> Operator {
    match layer {
        Layer::SpaceToDepth(_) | Layer::DepthToSpace(_) => Operator::Shuffle,
        Layer::Linear(_) | Layer::Concat | Layer::AddLinear(_) => Operator::Linear,
        Layer::RmsNorm(_) | Layer::UnitRms => Operator::Norm,
        Layer::Block(_) => Operator::Block,
    }
}

fn apply(
    layers: Arc<[Layer]>,
    x: &Tensor,
    second: Option<&Tensor>,
    padding: Padding,
) -> Result<Tensor> {
    if second.is_some() != takes_second(&layers) {
        candle_core::bail!("a chain was given another number of arguments than it takes");
    }
    let tracked = host::tracked(x) || second.is_some_and(Tensor::track_op);
    let operator = ChainOp {
        layers,
        padding,
        tracked,
        kept: Mutex::default(),
    };
    let anchor = anchor(x.device())?;
    let (x, second) = (x.contiguous()?, second.unwrap_or(&anchor).contiguous()?);
    if tracked {
        x.apply_op3(&second, &anchor, operator)
    } else {
        x.apply_op3_no_bwd(&second, &anchor, &operator)
    }
}

/// As [`host::anchor`], of any device.
fn anchor(device: &Device) -> Result<Tensor> {
    static ANCHORS: Mutex<Vec<Var>> = Mutex::new(Vec::new());
    let mut anchors = ANCHORS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = anchors
        .iter()
        .find(|anchor| anchor.device().same_device(device));
    Ok(match known {
        Some(anchor) => anchor.as_tensor().clone(),
        None => {
            let made = Var::zeros(1, DType::F32, device)?;
            anchors.push(made.clone());
            made.as_tensor().clone()
        }
    })
}

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
    input: Option<Memory>,
    block: Option<BlockKept>,
}

/// The second argument.
#[derive(Clone, Copy)]
struct Second {
    values: View,
    extent: Extent,
    is_wanted: bool,
}

fn linear(layer: &crate::kernels::Linear) -> Linear<'_> {
    Linear {
        weight: &layer.weight,
        bias: &layer.bias,
    }
}

/// One layer; `second` is that of the chain.
fn forward(
    machine: &dyn Machine,
    layer: &Layer,
    (x, extent): (View, Extent),
    second: Second,
    padding: Padding,
    tracked: bool,
) -> Result<(Memory, Option<BlockKept>)> {
    let channels = extent.channels;
    let y = match layer {
        Layer::SpaceToDepth(factor) => {
            rows::shuffle(machine, x, extent.width / factor, *factor, channels, true)
        }
        Layer::DepthToSpace(factor) => {
            let channels = channels / (factor * factor);
            rows::shuffle(machine, x, extent.width, *factor, channels, false)
        }
        Layer::Linear(layer) => linear(layer).forward(machine, x, View::NONE),
        Layer::RmsNorm(norm) => rows::norm(machine, Some(&norm.gain), x, channels),
        Layer::UnitRms => rows::norm(machine, None, x, channels),
        Layer::Block(block) => return block::forward(machine, block, x, extent, padding, tracked),
        Layer::Concat => {
            let more = second.extent.channels;
            let y = machine.alloc(extent.positions() * (channels + more))?;
            for (of, width, first) in [(x, channels, 0), (second.values, more, channels)] {
                let from = Columns {
                    of,
                    width,
                    first: 0,
                };
                let to = Columns {
                    of: y.view(),
                    width: channels + more,
                    first,
                };
                rows::copy_columns(machine, from, to, width)?;
            }
            Ok(y)
        }
        Layer::AddLinear(layer) => {
            if second.extent.positions() == extent.positions() {
                linear(layer).forward(machine, second.values, x)
            } else {
                let row = linear(layer).forward(machine, second.values, View::NONE)?;
                let y = machine.alloc(x.len)?;
                rows::add_row(machine, x, row.view(), y.view())?;
                Ok(y)
            }
        }
    }?;
    Ok((y, None))
}

/// Gradients of both arguments, where they are wanted; `None` of the first also where it is the result's own.
fn backward(
    machine: &dyn Machine,
    layer: &Layer,
    (x, kept): (View, &Kept),
    second: Second,
    (dy, padding): (View, Padding),
    is_wanted: bool,
) -> Result<(Option<Memory>, Option<Memory>)> {
    let extent = kept.extent;
    let channels = extent.channels;
    let dx = match layer {
        // The sizes are those of the layer's argument.
        Layer::SpaceToDepth(factor) if is_wanted => {
            let columns = extent.width / factor;
            rows::shuffle(machine, dy, columns, *factor, channels, false).map(Some)
        }
        Layer::DepthToSpace(factor) if is_wanted => {
            let channels = channels / (factor * factor);
            rows::shuffle(machine, dy, extent.width, *factor, channels, true).map(Some)
        }
        Layer::SpaceToDepth(_) | Layer::DepthToSpace(_) => Ok(None),
        Layer::Linear(layer) => linear(layer).backward(machine, x, dy, is_wanted),
        Layer::RmsNorm(norm) => {
            rows::norm_gradient(machine, Some(&norm.gain), x, dy, channels).map(Some)
        }
        Layer::UnitRms => rows::norm_gradient(machine, None, x, dy, channels).map(Some),
        Layer::Block(block) => {
            let Some(kept) = &kept.block else {
                candle_core::bail!("a block that ran without gradients has no backward pass");
            };
            block::backward(machine, block, (x, extent, padding), kept, dy, is_wanted)
        }
        Layer::Concat => {
            let more = second.extent.channels;
            let part = |first: usize, width: usize| -> Result<Memory> {
                let to = machine.alloc(extent.positions() * width)?;
                let from = Columns {
                    of: dy,
                    width: channels + more,
                    first,
                };
                let columns = Columns {
                    of: to.view(),
                    width,
                    first: 0,
                };
                rows::copy_columns(machine, from, columns, width)?;
                Ok(to)
            };
            let own = is_wanted.then(|| part(0, channels)).transpose()?;
            let other = second.is_wanted.then(|| part(channels, more)).transpose()?;
            return Ok((own, other));
        }
        Layer::AddLinear(layer) => {
            let wanted = second.is_wanted;
            let other = if second.extent.positions() == extent.positions() {
                linear(layer).backward(machine, second.values, dy, wanted)?
            } else {
                let sum = machine.alloc(channels)?;
                let values = (dy, View::NONE, View::NONE);
                rows::column_sums(machine, values, channels, sum.view(), false)?;
                linear(layer).backward(machine, second.values, sum.view(), wanted)?
            };
            let dx = is_wanted.then(|| machine.alloc(dy.len)).transpose()?;
            if let Some(dx) = &dx {
                rows::add_row(machine, dy, View::NONE, dx.view())?;
            }
            return Ok((dx, other));
        }
    }?;
    Ok((dx, None))
}

impl ChainOp {
    fn forward(
        &self,
        machine: &dyn Machine,
        (x, shape): (View, &Shape),
        (second, second_shape): (View, &Shape),
    ) -> Result<(Memory, Shape)> {
        let second = Second {
            values: second,
            extent: Extent::of(second_shape),
            is_wanted: false,
        };
        let mut extent = Extent::of(shape);
        let mut all_kept = Vec::new();
        let mut y: Option<Memory> = None;
        for layer in &*self.layers {
            if matches!(
                layer,
                Layer::Block(_) | Layer::SpaceToDepth(_) | Layer::DepthToSpace(_)
            ) {
                shape.dims4()?;
            }
            let result = layer.result(extent, second.extent)?;
            let input = y.as_ref().map_or(x, Memory::view);
            let (out, block) = forward(
                machine,
                layer,
                (input, extent),
                second,
                self.padding,
                self.tracked,
            )?;
            let input = y.replace(out);
            if self.tracked {
                all_kept.push(Kept {
                    extent,
                    input: input.filter(|_| layer.needs_input()),
                    block,
                });
            }
            extent = result;
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = all_kept;
        match y {
            Some(y) => Ok((y, extent.shape_like(shape))),
            None => candle_core::bail!("a chain has layers"),
        }
    }
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
        let machine = needed(&Device::Cpu)?;
        let (y, shape) = self.forward(
            &*machine,
            (view_on_host(x, layout)?, layout.shape()),
            (view_on_host(second, second_layout)?, second_layout.shape()),
        )?;
        let result = on_host(machine.storage(y, Values::F32)?)?;
        Ok((result, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        layout: &Layout,
        second: &CudaStorage,
        second_layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let machine = needed(&Device::Cuda(x.device.clone()))?;
        let (y, shape) = self.forward(
            &*machine,
            (super::device::view(x, layout)?, layout.shape()),
            (
                super::device::view(second, second_layout)?,
                second_layout.shape(),
            ),
        )?;
        let result = super::device::on_card(machine.storage(y, Values::F32)?)?;
        Ok((result, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        second: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let machine = needed(x.device())?;
        let grad = grad.contiguous()?;
        let (values, start) = (view(x)?, view(&grad)?);
        // Stays, for a graph that is gone through twice.
        let all_kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all_kept.len() != self.layers.len() {
            candle_core::bail!("a chain that ran without gradients has no backward pass");
        }
        // The anchor stands in where there is no second argument, and wants no gradient.
        let second_values = Second {
            values: view(second)?,
            extent: Extent::of(second.shape()),
            is_wanted: takes_second(&self.layers) && second.track_op(),
        };
        let mut second_gradient = None;
        let mut dy: Option<Memory> = None;
        for (index, (layer, kept)) in self.layers.iter().zip(&*all_kept).enumerate().rev() {
            let is_wanted = x.track_op()
                || (index > 0 && second_values.is_wanted)
                || self.layers[..index].iter().any(Layer::has_parameters);
            let input = kept.input.as_ref().map_or(values, Memory::view);
            let (dx, other) = backward(
                &*machine,
                layer,
                (input, kept),
                second_values,
                (dy.as_ref().map_or(start, Memory::view), self.padding),
                is_wanted,
            )?;
            if let Some(other) = other {
                second_gradient = Some(machine.tensor(other, second.shape())?);
            }
            dy = dx.filter(|_| is_wanted);
            if dy.is_none() {
                break;
            }
        }
        let dx = dy
            .filter(|_| x.track_op())
            .map(|dy| machine.tensor(dy, x.shape()))
            .transpose()?;
        Ok((dx, second_gradient, None))
    }
}

fn needed(device: &Device) -> Result<std::rc::Rc<dyn Machine>> {
    match machine_of(device)? {
        Some(machine) => Ok(machine),
        None => candle_core::bail!("{device:?} has no fused kernels"),
    }
}
