//! Matrix products on packed weights.
//!
//! Weights are packed into panels of [`PANEL`] output columns (`[panel][inner][PANEL]`), so that a product streams
//! through them; activations stay row-major or in the same panel form (`[panel][row][PANEL]`), where a finished
//! panel of one product is at once the input of the next and stays in the first-level cache. Compared with a general
//! product this saves packing the activations and lets bias and GELU follow while the values are at hand.

#![allow(clippy::needless_range_loop)] // constant bounds over register arrays unroll

use std::sync::{Arc, Mutex, PoisonError};

use pulp::Simd;
use rayon::prelude::*;

use super::pool::Buffer;
use super::simd::{load, store};

/// Output columns of one panel: two AVX-512 vectors.
pub(super) const PANEL: usize = 32;
/// Rows of one tile; buffers of rows are padded to a multiple.
pub(super) const ROWS: usize = 8;

/// The row stride for `columns` values: whole panels plus half a one, so that rows do not fall on the same cache sets.
pub(super) fn row_stride(columns: usize) -> usize {
    columns.next_multiple_of(PANEL) + PANEL / 2
}

/// Packed right-hand side of a product: `inner × columns`.
#[derive(Debug)]
pub(super) struct Packed {
    values: Buffer,
    inner: usize,
    columns: usize,
}

/// What the entries of a packed matrix are multiplied by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale<'a> {
    One,
    /// One factor per inner index.
    Inner(&'a [f32]),
    /// One factor per column.
    Columns(&'a [f32]),
}

impl Scale<'_> {
    /// Of a panel whose first column is `first`.
    fn apply(self, first: usize, panel: &mut [f32]) {
        let (rows, _) = panel.as_chunks_mut::<PANEL>();
        match self {
            Self::One => {}
            Self::Inner(factors) => {
                for (row, factor) in rows.iter_mut().zip(factors) {
                    for value in row {
                        *value *= factor;
                    }
                }
            }
            Self::Columns(factors) => {
                let mut here = [0.0; PANEL];
                for (here, factor) in here.iter_mut().zip(&factors[first..]) {
                    *here = *factor;
                }
                for row in rows {
                    for (value, factor) in row.iter_mut().zip(here) {
                        *value *= factor;
                    }
                }
            }
        }
    }
}

impl Packed {
    /// Packs `Wᵀ` of `weight` `[columns, inner]`.
    pub(super) fn transposed(
        weight: &[f32],
        columns: usize,
        inner: usize,
        scale: Scale<'_>,
    ) -> Self {
        // A cache line of a weight row at a time: the rows may fall on the same cache sets.
        const LINE: usize = 16;
        Self::fill(inner, columns, |first, panel| {
            let width = PANEL.min(columns - first);
            let (rows, _) = panel.as_chunks_mut::<PANEL>();
            if width < PANEL {
                rows.fill([0.0; PANEL]);
            }
            for (block, rows) in rows.chunks_mut(LINE).enumerate() {
                for i in 0..width {
                    let from = &weight[(first + i) * inner + block * LINE..][..rows.len()];
                    for (row, weight) in rows.iter_mut().zip(from) {
                        row[i] = *weight;
                    }
                }
            }
            scale.apply(first, panel);
        })
    }

    /// Packs `weight` `[inner, columns]` itself.
    pub(super) fn straight(weight: &[f32], inner: usize, columns: usize, scale: Scale<'_>) -> Self {
        Self::fill(inner, columns, |first, panel| {
            let width = PANEL.min(columns - first);
            for (to, row) in panel
                .chunks_exact_mut(PANEL)
                .zip(weight.chunks_exact(columns))
            {
                to[..width].copy_from_slice(&row[first..first + width]);
                to[width..].fill(0.0);
            }
            scale.apply(first, panel);
        })
    }

    /// Calls `write(first column, panel)` for each panel.
    fn fill(inner: usize, columns: usize, write: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let mut values = Buffer::dirty(columns.div_ceil(PANEL) * inner * PANEL);
        values
            .par_chunks_mut((inner * PANEL).max(1))
            .enumerate()
            .for_each(|(index, panel)| write(index * PANEL, panel));
        Self {
            values,
            inner,
            columns,
        }
    }

    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    pub(super) fn panel(&self, index: usize) -> &[f32] {
        &self.values[index * self.inner * PANEL..][..self.inner * PANEL]
    }
}

/// A packed matrix that is kept until a parameter that it was made from changes.
#[derive(Debug, Default)]
pub(super) struct PackCell(Mutex<Option<(u64, Arc<Packed>)>>);

impl PackCell {
    /// `version` grows with every change of what `pack` packs.
    pub(super) fn get(&self, version: u64, pack: impl FnOnce() -> Packed) -> Arc<Packed> {
        {
            let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*cell {
                Some((found, packed)) if *found == version => return Arc::clone(packed),
                // Its buffer goes to the pool before the new one is taken.
                _ => *cell = None,
            }
        }
        // Unlocked: packing is parallel, and a thread that waits for its parts may come by here again.
        let packed = Arc::new(pack());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((version, Arc::clone(&packed)));
        packed
    }
}

/// The left-hand side: `rows` (a multiple of [`ROWS`]) rows of activations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    values: &'a [f32],
    rows: usize,
    row_stride: usize,
    /// From one block of [`PANEL`] columns to the next.
    block_stride: usize,
}

impl<'a> Left<'a> {
    /// Rows of `stride` values each.
    pub(super) fn rows(values: &'a [f32], rows: usize, stride: usize) -> Self {
        Self {
            values,
            rows,
            row_stride: stride,
            block_stride: PANEL,
        }
    }

    /// Panel form: `[panel][rows][PANEL]`.
    pub(super) fn panels(values: &'a [f32], rows: usize) -> Self {
        Self {
            values,
            rows,
            row_stride: PANEL,
            block_stride: rows * PANEL,
        }
    }
}

/// `out[r] = left[r] · right[panel] + bias`: one panel of columns for all rows; row `r` of the result starts at
/// `out[r · out_stride]`. `bias` holds [`PANEL`] values.
#[inline(always)]
pub(super) fn product_panel<S: Simd>(
    simd: S,
    left: Left<'_>,
    right: &Packed,
    panel: usize,
    bias: Option<&[f32]>,
    out: &mut [f32],
    out_stride: usize,
) {
    // Tile shapes by measurement: 16 sums fill the latency of two AVX-512 units; AVX2 has half the registers.
    match S::F32_LANES {
        16 | 4 => product_tiles::<S, 8, 2>(simd, left, right, panel, bias, out, out_stride),
        _ => product_tiles::<S, 4, 2>(simd, left, right, panel, bias, out, out_stride),
    }
}

#[inline(always)]
fn product_tiles<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    left: Left<'_>,
    right: &Packed,
    panel: usize,
    bias: Option<&[f32]>,
    out: &mut [f32],
    out_stride: usize,
) {
    let inner = right.inner;
    let Left {
        values,
        rows,
        row_stride,
        block_stride,
    } = left;
    assert!(rows % ROWS == 0 && rows > 0 && inner > 0);
    let last_block = (inner - 1) / PANEL;
    assert!(
        values.len()
            >= last_block * block_stride + (rows - 1) * row_stride + inner - last_block * PANEL
    );
    assert!(out.len() >= (rows - 1) * out_stride + PANEL);
    assert!(bias.is_none_or(|bias| bias.len() >= PANEL));
    let right = right.panel(panel);
    let width = NV * S::F32_LANES;
    for row in (0..rows).step_by(MR) {
        for column in (0..PANEL).step_by(width) {
            // SAFETY: `row + MR <= rows` as MR divides ROWS, `column + width <= PANEL` as both are powers of two, and
            // the assertions above bound every address formed from them.
            unsafe {
                let mut sums = [[simd.splat_f32s(0.0); NV]; MR];
                if let Some(bias) = bias {
                    let mut start = [simd.splat_f32s(0.0); NV];
                    for v in 0..NV {
                        start[v] = load::<S>(bias.as_ptr().add(column + v * S::F32_LANES));
                    }
                    sums = [start; MR];
                }
                let mut right = right.as_ptr().add(column);
                let mut block = values.as_ptr().add(row * row_stride);
                let mut left_over = inner;
                while left_over > 0 {
                    let count = left_over.min(PANEL);
                    for k in 0..count {
                        let mut columns = [simd.splat_f32s(0.0); NV];
                        for v in 0..NV {
                            columns[v] = load::<S>(right.add(v * S::F32_LANES));
                        }
                        right = right.add(PANEL);
                        for r in 0..MR {
                            let value = simd.splat_f32s(*block.add(r * row_stride + k));
                            for v in 0..NV {
                                sums[r][v] = simd.mul_add_e_f32s(value, columns[v], sums[r][v]);
                            }
                        }
                    }
                    left_over -= count;
                    block = block.wrapping_add(block_stride);
                }
                let out = out.as_mut_ptr().add(row * out_stride + column);
                for r in 0..MR {
                    for v in 0..NV {
                        store::<S>(out.add(r * out_stride + v * S::F32_LANES), sums[r][v]);
                    }
                }
            }
        }
    }
}

/// `sums[i] = Σ_r x[r][i] · panel[r]` over `rows` rows, added to what is there if `accumulate`: the weight gradient of
/// `columns` (a multiple of [`ROWS`]) inputs and one panel of outputs. `x` has `x_stride` values per row, `panel` and
/// `sums` [`PANEL`].
#[inline(always)]
#[allow(clippy::too_many_arguments)] // a product's operands, shapes and result
pub(super) fn outer_panel<S: Simd>(
    simd: S,
    x: &[f32],
    x_stride: usize,
    columns: usize,
    panel: &[f32],
    rows: usize,
    sums: &mut [f32],
    accumulate: bool,
) {
    match S::F32_LANES {
        16 | 4 => outer_tiles::<S, 8, 2>(simd, x, x_stride, columns, panel, rows, sums, accumulate),
        _ => outer_tiles::<S, 4, 2>(simd, x, x_stride, columns, panel, rows, sums, accumulate),
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn outer_tiles<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    x: &[f32],
    x_stride: usize,
    columns: usize,
    panel: &[f32],
    rows: usize,
    sums: &mut [f32],
    accumulate: bool,
) {
    assert!(columns.is_multiple_of(ROWS) && columns <= x_stride);
    assert!(x.len() >= rows * x_stride && panel.len() >= rows * PANEL);
    assert!(sums.len() >= columns * PANEL);
    let width = NV * S::F32_LANES;
    for i in (0..columns).step_by(MR) {
        for column in (0..PANEL).step_by(width) {
            // SAFETY: `i + MR <= columns`, `column + width <= PANEL`, and the assertions bound the rest.
            unsafe {
                let out = sums.as_mut_ptr().add(i * PANEL + column);
                let mut sums = [[simd.splat_f32s(0.0); NV]; MR];
                if accumulate {
                    for r in 0..MR {
                        for v in 0..NV {
                            sums[r][v] = load::<S>(out.add(r * PANEL + v * S::F32_LANES));
                        }
                    }
                }
                let mut x = x.as_ptr().add(i);
                let mut right = panel.as_ptr().add(column);
                for _ in 0..rows {
                    let mut columns = [simd.splat_f32s(0.0); NV];
                    for v in 0..NV {
                        columns[v] = load::<S>(right.add(v * S::F32_LANES));
                    }
                    for r in 0..MR {
                        let value = simd.splat_f32s(*x.add(r));
                        for v in 0..NV {
                            sums[r][v] = simd.mul_add_e_f32s(value, columns[v], sums[r][v]);
                        }
                    }
                    x = x.wrapping_add(x_stride);
                    right = right.wrapping_add(PANEL);
                }
                for r in 0..MR {
                    for v in 0..NV {
                        store::<S>(out.add(r * PANEL + v * S::F32_LANES), sums[r][v]);
                    }
                }
            }
        }
    }
}
