//! The nearest code of each vector, without the matrix of all distances in memory.
//!
//! `|x − c|²` is smallest where `x·c − |c|²/2` is largest. A tile of vectors runs over all codes with its best value
//! and id per vector lane in registers; the lanes are compared at the end.

use candle_core::{Result, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::host::HostRef;
use super::product::{PANEL, Packed, Scale};
use super::simd::{dispatch, load};

/// Vectors per parallel piece.
const CHUNK: usize = 256;
/// Vectors of one tile: their sums, best values and ids fill the registers.
const TILE: usize = 4;
/// No code was better than minus infinity: the vector is not finite.
const NONE: u32 = u32::MAX;

/// `x` `[n, d]`, `codebook` `[k, d]`, `k` ≥ 1, both contiguous on the CPU → `[n]`.
pub(super) fn nearest_code(x: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    let ((rows, dim), (codes, code_dim)) = (x.dims2()?, codebook.dims2()?);
    if dim != code_dim || dim == 0 || codes == 0 || codes >= NONE as usize {
        candle_core::bail!(
            "vectors {:?} and codes {:?} do not match",
            x.dims(),
            codebook.dims()
        );
    }
    let (values, code_values) = (HostRef::new(x)?, HostRef::new(codebook)?);
    let mut offsets: Vec<f32> = code_values
        .chunks_exact(dim)
        .map(|code| -0.5 * code.iter().map(|v| v * v).sum::<f32>())
        .collect();
    if offsets.iter().any(|offset| !offset.is_finite()) {
        candle_core::bail!("the codebook is not finite");
    }
    // What pads the last panel never wins.
    offsets.resize(codes.next_multiple_of(PANEL), f32::NEG_INFINITY);
    let right = Packed::transposed(&code_values, codes, dim, Scale::One);
    let mut ids = vec![NONE; rows];
    ids.par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK * dim))
        .for_each(|(ids, x)| {
            dispatch(Search {
                x,
                dim,
                right: &right,
                offsets: &offsets,
                ids,
            });
        });
    if ids.contains(&NONE) {
        candle_core::bail!("a vector to be quantized is not finite");
    }
    Tensor::from_vec(ids, rows, x.device())
}

struct Search<'a> {
    x: &'a [f32],
    dim: usize,
    right: &'a Packed,
    offsets: &'a [f32],
    ids: &'a mut [u32],
}

impl WithSimd for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pieces = self.ids.chunks_mut(TILE);
        for (ids, x) in pieces.zip(self.x.chunks(TILE * self.dim)) {
            // An infinity could win; its ids stay at NONE, as NaN leaves them.
            if x.iter().any(|value| !value.is_finite()) {
                continue;
            }
            match S::F32_LANES {
                16 => tile::<S, 2>(simd, x, self.dim, self.right, self.offsets, ids),
                _ => tile::<S, 1>(simd, x, self.dim, self.right, self.offsets, ids),
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const NV: usize>(
    simd: S,
    x: &[f32],
    dim: usize,
    right: &Packed,
    offsets: &[f32],
    ids: &mut [u32],
) {
    // The last tile may be short: it computes its last vector several times.
    let rows: [&[f32]; TILE] = std::array::from_fn(|r| &x[r.min(ids.len() - 1) * dim..][..dim]);
    let width = NV * S::F32_LANES;
    let mut best = [[simd.splat_f32s(f32::NEG_INFINITY); NV]; TILE];
    let mut best_id = [[simd.splat_u32s(NONE); NV]; TILE];
    for (panel, offsets) in offsets.chunks_exact(PANEL).enumerate() {
        let codes = right.panel(panel);
        assert!(codes.len() >= dim * PANEL);
        for column in (0..PANEL).step_by(width) {
            let mut sums = [[simd.splat_f32s(0.0); NV]; TILE];
            // SAFETY: `column + width <= PANEL`, and `codes` holds `dim` rows of PANEL.
            unsafe {
                let mut start = [simd.splat_f32s(0.0); NV];
                for (v, start) in start.iter_mut().enumerate() {
                    *start = load::<S>(offsets.as_ptr().add(column + v * S::F32_LANES));
                }
                sums.fill(start);
                for k in 0..dim {
                    let mut codes_at = [simd.splat_f32s(0.0); NV];
                    for (v, codes_at) in codes_at.iter_mut().enumerate() {
                        let from = k * PANEL + column + v * S::F32_LANES;
                        *codes_at = load::<S>(codes.as_ptr().add(from));
                    }
                    for r in 0..TILE {
                        let value = simd.splat_f32s(*rows[r].get_unchecked(k));
                        for v in 0..NV {
                            sums[r][v] = simd.mul_add_e_f32s(value, codes_at[v], sums[r][v]);
                        }
                    }
                }
            }
            // The id of lane 0; the lane is added at the end.
            let id = simd.splat_u32s((panel * PANEL + column) as u32);
            for r in 0..TILE {
                for v in 0..NV {
                    // A NaN is never greater; a tie keeps the lower id.
                    let better = simd.greater_than_f32s(sums[r][v], best[r][v]);
                    best[r][v] = simd.select_f32s(better, sums[r][v], best[r][v]);
                    best_id[r][v] = simd.select_u32s(better, id, best_id[r][v]);
                }
            }
        }
    }
    for (r, id) in ids.iter_mut().enumerate() {
        let mut winner = (f32::NEG_INFINITY, NONE);
        for v in 0..NV {
            let (values, firsts) = ([best[r][v]], [best_id[r][v]]);
            let values: &[f32] = bytemuck::cast_slice(&values);
            let firsts: &[u32] = bytemuck::cast_slice(&firsts);
            for (lane, (value, first)) in values.iter().zip(firsts).enumerate() {
                if *first == NONE {
                    continue;
                }
                let candidate = first + (v * S::F32_LANES + lane) as u32;
                if *value > winner.0 || (*value == winner.0 && candidate < winner.1) {
                    winner = (*value, candidate);
                }
            }
        }
        *id = winner.1;
    }
}
