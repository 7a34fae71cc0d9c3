//! Which code of a codebook is nearest to a vector.

use candle_core::{Result, Tensor};

use crate::kernels::{self, plain};

/// Bounds the distance matrix of the plain nearest-code search: 64 MiB.
const MAX_DISTANCES: usize = 1 << 24;

/// `rows` `[n, d]` → `u32` `[n]`, in chunks, so that the distances of the plain composition stay bounded.
pub(crate) fn nearest_rows(rows: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    if kernels::fused_on(rows.device()) {
        return kernels::nearest_code(rows, codebook);
    }
    if let Some(ids) = kernels::cuda::nearest_code(rows, codebook)? {
        return Ok(ids);
    }
    let count = rows.dim(0)?;
    let chunk = (MAX_DISTANCES / codebook.dim(0)?.max(1)).max(1);
    if count <= chunk {
        return plain::nearest_code(rows, codebook);
    }
    let parts = (0..count)
        .step_by(chunk)
        .map(|start| {
            let part = rows.narrow(0, start, chunk.min(count - start))?;
            plain::nearest_code(&part, codebook)
        })
        .collect::<Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}
