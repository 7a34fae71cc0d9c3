//! The [`Block`] in kernels and matrix products, both ways.
//!
//! As on the CPU, the norm's gain is folded into the `up` weights and the layer scale γ into `down`: the gradient of the folded
//! matrix gives that of both factors, so that no sum over positions is needed for either. For the backward pass the normed rows,
//! and the hidden layer before and after its activation, are kept.

use std::sync::Arc;

use candle_core::Result;

use super::fold::Folded;
use super::machine::{Arg, Grid, Kernel, Machine, Memory, Product, View, WARP, int};
use super::rows::{ROW_THREADS, column_sums, sum_parts, target, tiles};
use super::view;
use crate::kernels::layers::{Block, Padding};
use crate::kernels::shape::Extent;

/// Positions whose hidden layer exists at a time where no backward pass follows.
const POSITIONS: usize = 1 << 17;
/// Partial sums of the convolution kernel's gradient.
const MOST_PARTS: usize = 256;
/// Rows of an image that such a sum is made of at least: a warp each.
const WARPS: usize = 8;
/// Threads of `unfold_up`.
const UNFOLD_THREADS: u32 = 1024;

/// What the forward pass leaves for the backward pass.
pub(super) struct Kept {
    /// `[positions, c]`, of root mean square 1.
    normed: Memory,
    /// `[positions]`
    inverse: Memory,
    /// `[positions, hidden]`, without bias.
    hidden: Memory,
    /// `[positions, hidden]`
    active: Memory,
}

fn fold(machine: &dyn Machine, block: &Block) -> Result<Arc<Folded>> {
    // Before the values are read, so that what is kept never passes for newer than it is.
    let versions = [
        block.up.weight.version() + block.norm.gain.version(),
        block.down.weight.version() + block.down.bias.version() + block.scale.version(),
    ];
    block.packs.folded.get(versions, || {
        let (hidden, channels) = block.up.weight.var().dims2()?;
        let count = hidden * channels;
        let folded = Folded {
            up: machine.alloc(count)?,
            down: machine.alloc(count)?,
            bias: machine.alloc(channels)?,
        };
        let args: [Arg; 10] = [
            view(block.up.weight.var())?.into(),
            view(block.norm.gain.var())?.into(),
            view(block.down.weight.var())?.into(),
            view(block.down.bias.var())?.into(),
            view(block.scale.var())?.into(),
            (&folded.up).into(),
            (&folded.down).into(),
            (&folded.bias).into(),
            channels.into(),
            hidden.into(),
        ];
        machine.launch(Kernel::FoldWeights, Grid::over(count), &args)?;
        Ok(folded)
    })
}

fn wraps(padding: Padding) -> Arg {
    Arg::Int(i32::from(padding.wraps_x()) + 2 * i32::from(padding.wraps_y()))
}

/// The sizes as kernels take them.
fn sizes(extent: Extent) -> [Arg; 4] {
    let Extent {
        n,
        height,
        width,
        channels,
    } = extent;
    [n, height, width, channels].map(Arg::from)
}

/// The block on `x`, and what a backward pass needs where one may follow (`tracked`).
pub(super) fn forward(
    machine: &dyn Machine,
    block: &Block,
    x: View,
    extent: Extent,
    padding: Padding,
    tracked: bool,
) -> Result<(Memory, Option<Kept>)> {
    let folded = fold(machine, block)?;
    let channels = extent.channels;
    let positions = int(extent.positions())?;
    let hidden_channels = block.up.bias.var().elem_count();
    let normed = machine.alloc(x.len)?;
    let inverse = machine.alloc(positions)?;
    let y = machine.alloc(x.len)?;
    let [n, h, w, c] = sizes(extent);
    let args: [Arg; 12] = [
        x.into(),
        view(block.depthwise.var())?.into(),
        view(block.depthwise_bias.var())?.into(),
        (&folded.bias).into(),
        (&normed).into(),
        (&inverse).into(),
        (&y).into(),
        n,
        h,
        w,
        c,
        wraps(padding),
    ];
    machine.launch(Kernel::DepthwiseNorm, Grid::warps(positions), &args)?;

    let chunk = if tracked {
        positions
    } else {
        POSITIONS.min(positions)
    };
    let up_bias = view(block.up.bias.var())?;
    let mut kept = None;
    for first in (0..positions).step_by(chunk.max(1)) {
        let rows = chunk.min(positions - first);
        let hidden = machine.alloc(rows * hidden_channels)?;
        machine.product(Product {
            m: rows,
            n: hidden_channels,
            k: channels,
            a: normed.view().from(first * channels),
            is_a_turned: false,
            b: folded.up.view(),
            is_b_turned: true,
            c: hidden.view(),
            accumulate: false,
        })?;
        let active = tracked.then(|| machine.alloc(hidden.len)).transpose()?;
        let to = active.as_ref().unwrap_or(&hidden);
        let (grid, each) = tiles(rows, hidden_channels);
        let args: [Arg; 6] = [
            (&hidden).into(),
            up_bias.into(),
            to.into(),
            rows.into(),
            hidden_channels.into(),
            each.into(),
        ];
        machine.launch(Kernel::BiasGelu, grid, &args)?;
        machine.product(Product {
            m: rows,
            n: channels,
            k: hidden_channels,
            a: to.view(),
            is_a_turned: false,
            b: folded.down.view(),
            is_b_turned: true,
            c: y.view().from(first * channels),
            accumulate: true,
        })?;
        kept = active.map(|active| (hidden, active));
    }
    let kept = kept.map(|(hidden, active)| Kept {
        normed,
        inverse,
        hidden,
        active,
    });
    Ok((y, kept))
}

/// The parameters' gradients to their slots, and that of `x`, where it is wanted.
pub(super) fn backward(
    machine: &dyn Machine,
    block: &Block,
    (x, extent, padding): (View, Extent, Padding),
    kept: &Kept,
    dy: View,
    is_wanted: bool,
) -> Result<Option<Memory>> {
    let folded = fold(machine, block)?;
    let channels = extent.channels;
    let positions = int(extent.positions())?;
    let hidden_channels = block.up.bias.var().elem_count();
    let [n, h, w, c] = sizes(extent);

    // To the hidden layer, and the gradients of `down`, its bias and γ.
    let hidden_grad = machine.alloc(positions * hidden_channels)?;
    machine.product(Product {
        m: positions,
        n: hidden_channels,
        k: channels,
        a: dy,
        is_a_turned: false,
        b: folded.down.view(),
        is_b_turned: false,
        c: hidden_grad.view(),
        accumulate: false,
    })?;
    let down_grad = machine.alloc(channels * hidden_channels)?;
    machine.product(Product {
        m: channels,
        n: hidden_channels,
        k: positions,
        a: dy,
        is_a_turned: true,
        b: kept.active.view(),
        is_b_turned: false,
        c: down_grad.view(),
        accumulate: false,
    })?;
    let bias_sum = machine.alloc(channels)?;
    let values = (dy, View::NONE, View::NONE);
    column_sums(machine, values, channels, bias_sum.view(), false)?;
    unfold_down(machine, block, &down_grad, &bias_sum)?;

    // Through the activation, with the gradient of the `up` bias.
    let (grid, each) = tiles(positions, hidden_channels);
    let parts = machine.alloc(grid.y * hidden_channels)?;
    let args: [Arg; 7] = [
        (&kept.hidden).into(),
        view(block.up.bias.var())?.into(),
        (&hidden_grad).into(),
        (&parts).into(),
        positions.into(),
        hidden_channels.into(),
        each.into(),
    ];
    machine.launch(Kernel::BiasGeluGradient, grid, &args)?;
    let to = target(machine, &block.up.bias)?;
    sum_parts(
        machine,
        parts.view(),
        grid.y,
        hidden_channels,
        to.view,
        to.accumulate,
    )?;
    drop(parts);

    // To the normed rows, and the gradients of `up` and the gain.
    let up_grad = machine.alloc(channels * hidden_channels)?;
    machine.product(Product {
        m: hidden_channels,
        n: channels,
        k: positions,
        a: hidden_grad.view(),
        is_a_turned: true,
        b: kept.normed.view(),
        is_b_turned: false,
        c: up_grad.view(),
        accumulate: false,
    })?;
    unfold_up(machine, block, &up_grad)?;
    let grad = machine.alloc(x.len)?;
    machine.product(Product {
        m: positions,
        n: channels,
        k: hidden_channels,
        a: hidden_grad.view(),
        is_a_turned: false,
        b: folded.up.view(),
        is_b_turned: false,
        c: grad.view(),
        accumulate: false,
    })?;
    drop(hidden_grad);

    // Through the norm and the convolution.
    let args: [Arg; 5] = [
        (&kept.normed).into(),
        (&kept.inverse).into(),
        (&grad).into(),
        positions.into(),
        c,
    ];
    machine.launch(Kernel::UnitNormGradient, Grid::warps(positions), &args)?;
    kernel_gradient(machine, block, (x, extent, padding), &grad)?;
    if !is_wanted {
        return Ok(None);
    }
    let dx = machine.alloc(x.len)?;
    let args: [Arg; 9] = [
        (&grad).into(),
        view(block.depthwise.var())?.into(),
        dy.into(),
        (&dx).into(),
        n,
        h,
        w,
        c,
        wraps(padding),
    ];
    machine.launch(
        Kernel::DepthwiseInputGradient,
        Grid::warps(positions),
        &args,
    )?;
    Ok(Some(dx))
}

/// The gradients of the convolution's kernel and bias, from that of its result.
fn kernel_gradient(
    machine: &dyn Machine,
    block: &Block,
    (x, extent, padding): (View, Extent, Padding),
    grad: &Memory,
) -> Result<()> {
    let channels = extent.channels;
    let rows = extent.n * extent.height;
    let each = rows.div_ceil(MOST_PARTS * WARPS).max(1);
    let count = rows.div_ceil(each * WARPS).max(1);
    let parts = machine.alloc(count * 10 * channels)?;
    let [n, h, w, c] = sizes(extent);
    let args: [Arg; 9] = [
        x.into(),
        grad.into(),
        (&parts).into(),
        n,
        h,
        w,
        c,
        wraps(padding),
        each.into(),
    ];
    let grid = Grid::blocks(channels.div_ceil(WARP), count, (WARP * WARPS) as u32);
    machine.launch(Kernel::DepthwiseKernelGradient, grid, &args)?;
    let weight = target(machine, &block.depthwise)?;
    let bias = target(machine, &block.depthwise_bias)?;
    for (to, offset) in [(weight, 0), (bias, 9 * channels)] {
        sum_parts(
            machine,
            parts.view().from(offset),
            count,
            10 * channels,
            to.view,
            to.accumulate,
        )?;
    }
    Ok(())
}

fn unfold_up(machine: &dyn Machine, block: &Block, grad: &Memory) -> Result<()> {
    let (hidden, channels) = block.up.weight.var().dims2()?;
    let up = target(machine, &block.up.weight)?;
    let gain = target(machine, &block.norm.gain)?;
    let accumulate = i32::from(up.accumulate) + 2 * i32::from(gain.accumulate);
    let args: [Arg; 8] = [
        grad.into(),
        view(block.up.weight.var())?.into(),
        view(block.norm.gain.var())?.into(),
        up.view.into(),
        gain.view.into(),
        channels.into(),
        hidden.into(),
        accumulate.into(),
    ];
    let grid = Grid::blocks(channels.div_ceil(WARP), 1, UNFOLD_THREADS);
    machine.launch(Kernel::UnfoldUp, grid, &args)
}

fn unfold_down(
    machine: &dyn Machine,
    block: &Block,
    grad: &Memory,
    bias_sum: &Memory,
) -> Result<()> {
    let (channels, hidden) = block.down.weight.var().dims2()?;
    let down = target(machine, &block.down.weight)?;
    let bias = target(machine, &block.down.bias)?;
    let scale = target(machine, &block.scale)?;
    let accumulate = i32::from(down.accumulate)
        + 2 * i32::from(bias.accumulate)
        + 4 * i32::from(scale.accumulate);
    let args: [Arg; 10] = [
        grad.into(),
        bias_sum.into(),
        view(block.down.weight.var())?.into(),
        view(block.down.bias.var())?.into(),
        view(block.scale.var())?.into(),
        down.view.into(),
        bias.view.into(),
        scale.view.into(),
        hidden.into(),
        accumulate.into(),
    ];
    machine.launch(
        Kernel::UnfoldDown,
        Grid::blocks(channels, 1, ROW_THREADS),
        &args,
    )
}
