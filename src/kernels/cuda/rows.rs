//! Linear layers, norms and other operators on rows.

use candle_core::Result;

use super::machine::{Arg, Grid, Kernel, Machine, Memory, Product, THREADS, View, WARP, int};
use super::view;
use crate::kernels::grads::GradTarget;
use crate::kernels::params::Param;

/// Columns that a block of the kernels which sum over rows covers, as TILE in common.h.
const TILE: usize = 128;
/// Rows that such a block has at once: its warps.
const WARPS: usize = 8;
/// Blocks of such a kernel in all, for large arguments.
const BLOCKS: usize = 1024;
/// Partial sums of a column.
const MOST_PARTS: usize = 256;

/// How `rows` are shared out among blocks, `across` of them side by side: parts, and rows of each.
pub(super) fn shares(rows: usize, across: usize) -> (usize, usize) {
    let parts = (BLOCKS / across.max(1)).clamp(1, MOST_PARTS);
    let each = rows.div_ceil(parts).next_multiple_of(WARPS).max(WARPS);
    (rows.div_ceil(each).max(1), each)
}

/// The grid of a kernel that sums over rows of `width` values, and the rows of each block.
pub(super) fn tiles(rows: usize, width: usize) -> (Grid, usize) {
    let across = width.div_ceil(TILE);
    let (parts, each) = shares(rows, across);
    (Grid::blocks(across, parts, (WARP * WARPS) as u32), each)
}

/// `to (+)= Σ parts[i·stride..][..width]` over `count` parts.
pub(super) fn sum_parts(
    machine: &dyn Machine,
    parts: View,
    count: usize,
    stride: usize,
    to: View,
    accumulate: bool,
) -> Result<()> {
    let grid = Grid::blocks(to.len.div_ceil(WARP), 1, (WARP * WARPS) as u32);
    let args: [Arg; 6] = [
        parts.into(),
        to.into(),
        count.into(),
        stride.into(),
        to.len.into(),
        i32::from(accumulate).into(),
    ];
    machine.launch(Kernel::SumParts, grid, &args)
}

/// The sums of columns of `values · factors · row_factors` `[rows, width]`, the latter two where they are not [`View::NONE`].
pub(super) fn column_sums(
    machine: &dyn Machine,
    (values, factors, row_factors): (View, View, View),
    width: usize,
    to: View,
    accumulate: bool,
) -> Result<()> {
    let rows = int(values.len / width.max(1))?;
    let (grid, each) = tiles(rows, width);
    let parts = machine.alloc(grid.y * width)?;
    let args: [Arg; 7] = [
        values.into(),
        factors.into(),
        row_factors.into(),
        (&parts).into(),
        rows.into(),
        width.into(),
        each.into(),
    ];
    machine.launch(Kernel::ColumnSums, grid, &args)?;
    sum_parts(machine, parts.view(), grid.y, width, to, accumulate)
}

/// `y = x + row`; either may be [`View::NONE`].
pub(super) fn add_row(machine: &dyn Machine, x: View, row: View, y: View) -> Result<()> {
    let width = row.len.max(1);
    let args: [Arg; 5] = [
        x.into(),
        row.into(),
        y.into(),
        (y.len as i64).into(),
        width.into(),
    ];
    machine.launch(Kernel::AddRow, Grid::over(y.len), &args)
}

/// Some of the columns of rows.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub of: View,
    pub width: usize,
    pub first: usize,
}

/// `count` columns from one to the other.
pub(super) fn copy_columns(
    machine: &dyn Machine,
    from: Columns,
    to: Columns,
    count: usize,
) -> Result<()> {
    let rows = int(from.of.len / from.width.max(1))?;
    let args: [Arg; 8] = [
        from.of.into(),
        from.width.into(),
        from.first.into(),
        to.of.into(),
        to.width.into(),
        to.first.into(),
        count.into(),
        rows.into(),
    ];
    machine.launch(Kernel::CopyColumns, Grid::over(rows * count), &args)
}

/// A linear layer's parameters.
pub(super) struct Linear<'a> {
    pub weight: &'a Param,
    pub bias: &'a Param,
}

impl Linear<'_> {
    fn sizes(&self) -> Result<(usize, usize)> {
        let (outputs, inputs) = self.weight.var().dims2()?;
        Ok((inputs, outputs))
    }

    /// `x·Wᵀ + b`, added to `base` where there is one.
    pub fn forward(&self, machine: &dyn Machine, x: View, base: View) -> Result<Memory> {
        let (inputs, outputs) = self.sizes()?;
        let rows = int(x.len / inputs.max(1))?;
        let y = machine.alloc(rows * outputs)?;
        add_row(machine, base, view(self.bias.var())?, y.view())?;
        machine.product(Product {
            m: rows,
            n: outputs,
            k: inputs,
            a: x,
            is_a_turned: false,
            b: view(self.weight.var())?,
            is_b_turned: true,
            c: y.view(),
            accumulate: true,
        })?;
        Ok(y)
    }

    /// The parameters' gradients to their slots, and that of `x` where it is wanted.
    pub fn backward(
        &self,
        machine: &dyn Machine,
        x: View,
        dy: View,
        is_wanted: bool,
    ) -> Result<Option<Memory>> {
        let (inputs, outputs) = self.sizes()?;
        let rows = int(x.len / inputs.max(1))?;
        let weight = target(machine, self.weight)?;
        machine.product(Product {
            m: outputs,
            n: inputs,
            k: rows,
            a: dy,
            is_a_turned: true,
            b: x,
            is_b_turned: false,
            c: weight.view,
            accumulate: weight.accumulate,
        })?;
        let bias = target(machine, self.bias)?;
        let values = (dy, View::NONE, View::NONE);
        column_sums(machine, values, outputs, bias.view, bias.accumulate)?;
        if !is_wanted {
            return Ok(None);
        }
        let dx = machine.alloc(rows * inputs)?;
        machine.product(Product {
            m: rows,
            n: inputs,
            k: outputs,
            a: dy,
            is_a_turned: false,
            b: view(self.weight.var())?,
            is_b_turned: false,
            c: dx.view(),
            accumulate: false,
        })?;
        Ok(Some(dx))
    }
}

/// Where the gradient of `param` goes.
pub(super) fn target(machine: &dyn Machine, param: &Param) -> Result<GradTarget> {
    param.slot().target(param.var().shape(), |shape| {
        let memory = machine.alloc(shape.elem_count())?;
        machine.tensor(memory, shape)
    })
}

fn gain_of(gain: Option<&Param>) -> Result<View> {
    gain.map_or(Ok(View::NONE), |gain| view(gain.var()))
}

/// RMS norm over rows of `channels`; without a gain it is 1.
pub(super) fn norm(
    machine: &dyn Machine,
    gain: Option<&Param>,
    x: View,
    channels: usize,
) -> Result<Memory> {
    let rows = int(x.len / channels.max(1))?;
    let y = machine.alloc(x.len)?;
    let args: [Arg; 5] = [
        x.into(),
        gain_of(gain)?.into(),
        (&y).into(),
        rows.into(),
        channels.into(),
    ];
    machine.launch(Kernel::RmsNorm, Grid::warps(rows), &args)?;
    Ok(y)
}

/// The gain's gradient to its slot, and the gradient of `x`.
pub(super) fn norm_gradient(
    machine: &dyn Machine,
    gain: Option<&Param>,
    x: View,
    dy: View,
    channels: usize,
) -> Result<Memory> {
    let rows = int(x.len / channels.max(1))?;
    let (dx, inverse) = (machine.alloc(x.len)?, machine.alloc(rows)?);
    let args: [Arg; 7] = [
        x.into(),
        gain_of(gain)?.into(),
        dy.into(),
        (&dx).into(),
        (&inverse).into(),
        rows.into(),
        channels.into(),
    ];
    machine.launch(Kernel::RmsNormGradient, Grid::warps(rows), &args)?;
    if let Some(gain) = gain {
        let to = target(machine, gain)?;
        let values = (dy, x, inverse.view());
        column_sums(machine, values, channels, to.view, to.accumulate)?;
    }
    Ok(dx)
}

/// Space to depth (`to_depth`) or back, of `count` values; cells are `columns` wide and `factor` × `factor` positions of `channels`.
pub(super) fn shuffle(
    machine: &dyn Machine,
    x: View,
    columns: usize,
    factor: usize,
    channels: usize,
    to_depth: bool,
) -> Result<Memory> {
    let y = machine.alloc(x.len)?;
    let args: [Arg; 7] = [
        x.into(),
        (&y).into(),
        (x.len as i64).into(),
        columns.into(),
        factor.into(),
        channels.into(),
        i32::from(to_depth).into(),
    ];
    machine.launch(Kernel::Shuffle, Grid::over(x.len), &args)?;
    Ok(y)
}

/// What [`Kernel::Total`] or [`Kernel::RootOfTotal`] makes of `count` values: one.
pub(super) fn total(
    machine: &dyn Machine,
    kernel: Kernel,
    values: &Memory,
    count: usize,
) -> Result<Memory> {
    const THREADS: u32 = 256;
    let sum = machine.alloc(1)?;
    let args: [Arg; 3] = [values.into(), (&sum).into(), count.into()];
    machine.launch(kernel, Grid::blocks(1, 1, THREADS), &args)?;
    Ok(sum)
}

/// Threads of a block that reduces one row.
pub(super) const ROW_THREADS: u32 = THREADS;
