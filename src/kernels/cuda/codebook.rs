//! What a codebook learns from a batch.

use candle_core::{Result, Tensor};

use super::machine::{Arg, Grid, Kernel, int};
use super::rows::sum_parts;
use super::{Operator, machine, view};

/// As SUM_VALUES / WARPS and MAX_GROUP in codebook.cu.
const GROUP_VALUES: usize = 1024;
const MAX_GROUP: usize = 16;
const THREADS: u32 = 256;
/// Parts that the batch is shared out in, at most, and rows of one at least.
const MOST_PARTS: usize = 16;
const FEWEST_ROWS: usize = 1024;

/// How many of `vectors` `[m, d]` got each of `count` codes, `[count]`, and their sums, `[count, d]`; `ids` `u32` `[m]` are their codes.
/// The same each time. `None` where the composition has to do it.
pub fn codebook_sums(
    vectors: &Tensor,
    ids: &Tensor,
    count: usize,
) -> Result<Option<(Tensor, Tensor)>> {
    let (rows, dim) = vectors.dims2()?;
    if dim == 0 || dim > GROUP_VALUES || rows == 0 || count == 0 || ids.dims() != [rows] {
        return Ok(None);
    }
    let Some(machine) = machine(vectors.device(), Operator::CodebookSums)? else {
        return Ok(None);
    };
    let (vectors, ids) = (vectors.contiguous()?, ids.contiguous()?);
    let group = (GROUP_VALUES / dim).clamp(1, MAX_GROUP);
    let parts = rows.div_ceil(FEWEST_ROWS).min(MOST_PARTS);
    let each = rows.div_ceil(parts);
    let stride = int(count * (dim + 1))?;
    let memory = machine.alloc(parts * stride)?;
    let args: [Arg; 8] = [
        view(&vectors)?.into(),
        view(&ids)?.into(),
        (&memory).into(),
        int(rows)?.into(),
        int(count)?.into(),
        dim.into(),
        group.into(),
        each.into(),
    ];
    let grid = Grid::blocks(count.div_ceil(group), parts, THREADS);
    machine.launch(Kernel::CodebookSums, grid, &args)?;
    let (counts, sums) = (machine.alloc(count)?, machine.alloc(count * dim)?);
    let from = memory.view();
    sum_parts(&*machine, from, parts, stride, counts.view(), false)?;
    sum_parts(
        &*machine,
        from.from(count),
        parts,
        stride,
        sums.view(),
        false,
    )?;
    Ok(Some((
        machine.tensor(counts, count)?,
        machine.tensor(sums, (count, dim))?,
    )))
}
