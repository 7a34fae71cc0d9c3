//! The nearest code of each vector.

use candle_core::{Result, Tensor};

use super::machine::{Arg, Grid, Kernel, WARP, int};
use super::{Operator, machine, view};

/// As MAX_DIM in nearest.cu.
const MAX_DIM: usize = 256;
/// Threads of a block, which takes as many vectors as a warp has lanes.
const THREADS: u32 = 256;

/// `x` `[n, d]`, `codebook` `[k, d]` → `u32` `[n]`; a tie goes to the lowest id, and a row that is not finite gets the last one.
/// `None` where the composition has to do it.
pub fn nearest_code(x: &Tensor, codebook: &Tensor) -> Result<Option<Tensor>> {
    let ((rows, dim), (codes, code_dim)) = (x.dims2()?, codebook.dims2()?);
    if dim != code_dim || codes == 0 || rows == 0 || !(1..=MAX_DIM).contains(&dim) {
        return Ok(None);
    }
    let Some(machine) = machine(x.device(), Operator::NearestCode)? else {
        return Ok(None);
    };
    let (x, codebook) = (x.contiguous()?, codebook.contiguous()?);
    let ids = machine.alloc(rows)?;
    let args: [Arg; 6] = [
        view(&x)?.into(),
        view(&codebook)?.into(),
        (&ids).into(),
        int(rows)?.into(),
        int(codes)?.into(),
        dim.into(),
    ];
    let grid = Grid::blocks(rows.div_ceil(WARP), 1, THREADS);
    machine.launch(Kernel::NearestCode, grid, &args)?;
    machine.u32_tensor(ids, rows).map(Some)
}
