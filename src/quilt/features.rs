//! What patches are compared by: their largest principal components, so that one product of matrices finds the nearest.
//!
//! The components of patches of a stationary picture are close to products of cosines over space (Ahmed, Natarajan & Rao,
//! "Discrete cosine transform", IEEE Trans. Computers 1974) and principal axes of the codes. They need no eigenvectors of the patches' covariance
//! (1,296² for 9 × 9 cells), are the same in every run, and a sliding patch gets them in two short passes.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::space::{LANES, Point};
use crate::document::Wrap;

/// Components kept per patch.
pub(super) const TERMS: usize = 48;

/// A grid of points.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub height: usize,
    pub width: usize,
    pub cells: Vec<Point>,
}

impl Field {
    /// With `by` more cells on each side: around the border where it wraps, else the border repeated.
    pub fn padded(&self, by: usize, wrap: Wrap) -> Field {
        let from = |at: usize, length: usize, wraps: bool| {
            let at = at as isize - by as isize;
            let last = length as isize;
            (if wraps {
                at.rem_euclid(last)
            } else {
                at.clamp(0, last - 1)
            }) as usize
        };
        let (height, width) = (self.height + 2 * by, self.width + 2 * by);
        let columns: Vec<usize> = (0..width).map(|x| from(x, self.width, wrap.x)).collect();
        let mut cells = Vec::with_capacity(height * width);
        for y in 0..height {
            let row = &self.cells[from(y, self.height, wrap.y) * self.width..][..self.width];
            cells.extend(columns.iter().map(|&x| row[x]));
        }
        Field {
            height,
            width,
            cells,
        }
    }
}

/// Which components of p × p patches are kept.
#[derive(Debug)]
pub(super) struct Plan {
    pub side: usize,
    /// `side × side`: frequency, tap.
    cosines: Vec<f32>,
    /// (vertical frequency, horizontal frequency, lane) in rising order.
    terms: Vec<(usize, usize, usize)>,
    mean: Vec<f32>,
    /// Of all components together: half the mean squared distance of two patches.
    pub variance: f32,
}

impl Plan {
    /// From the whole patches of sample fields.
    pub fn new(side: usize, samples: &[Field]) -> Self {
        let mut plan = Self {
            side,
            cosines: cosines(side),
            terms: Vec::new(),
            mean: Vec::new(),
            variance: 0.0,
        };
        plan.terms = (0..side)
            .flat_map(|u| (0..side).flat_map(move |v| (0..LANES).map(move |c| (u, v, c))))
            .collect();
        plan.mean = vec![0.0; plan.terms.len()];
        let every = plan.terms.len();
        let sums = samples
            .par_iter()
            .filter(|field| field.height >= side && field.width >= side)
            .map(|field| {
                let mut sums = vec![(0.0f64, 0.0f64); every];
                let rows = plan.project(field);
                for row in rows.chunks_exact(every) {
                    for ((sum, square), value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*value);
                        *square += f64::from(*value) * f64::from(*value);
                    }
                }
                (rows.len() / every, sums)
            })
            .collect::<Vec<_>>();
        let count = sums.iter().map(|(n, _)| *n).sum::<usize>().max(1) as f64;
        let moment = |i: usize| {
            let (sum, square) = sums.iter().fold((0.0, 0.0), |(a, b), (_, sums)| {
                (a + sums[i].0, b + sums[i].1)
            });
            (sum / count, square / count - (sum / count).powi(2))
        };
        let moments: Vec<(f64, f64)> = (0..every).map(moment).collect();
        let mut order: Vec<usize> = (0..every).collect();
        order.sort_by(|&a, &b| moments[b].1.total_cmp(&moments[a].1).then(a.cmp(&b)));
        order.truncate(TERMS);
        order.sort_unstable();
        plan.variance = moments.iter().map(|(_, v)| v.max(0.0)).sum::<f64>() as f32;
        plan.mean = order.iter().map(|&i| moments[i].0 as f32).collect();
        plan.terms = order.iter().map(|&i| plan.terms[i]).collect();
        plan
    }

    /// Components per patch.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Of every whole patch of a field, row by row of their middles.
    pub fn project(&self, field: &Field) -> Vec<f32> {
        let (side, terms) = (self.side, self.terms.len());
        if field.height < side || field.width < side {
            return Vec::new();
        }
        let (rows, columns) = (field.height - side + 1, field.width - side + 1);
        let mut frequencies: Vec<usize> = self.terms.iter().map(|term| term.1).collect();
        frequencies.sort_unstable();
        frequencies.dedup();
        let band = frequencies.len() * columns;
        let mut across = vec![[0.0; LANES]; field.height * band];
        across
            .par_chunks_mut(band)
            .zip(field.cells.par_chunks(field.width))
            .for_each(|(to, row)| {
                pulp::Arch::new().dispatch(Across {
                    plan: self,
                    frequencies: &frequencies,
                    row,
                    to,
                    columns,
                });
            });
        let mut out = vec![0.0; rows * columns * terms];
        out.par_chunks_mut(columns * terms)
            .enumerate()
            .for_each(|(y, to)| {
                pulp::Arch::new().dispatch(Down {
                    plan: self,
                    frequencies: &frequencies,
                    across: &across[y * band..][..side * band],
                    to,
                    columns,
                });
            });
        out
    }
}

/// Horizontal pass over one row: `to` is frequency × column.
struct Across<'a> {
    plan: &'a Plan,
    frequencies: &'a [usize],
    row: &'a [Point],
    to: &'a mut [Point],
    columns: usize,
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let side = self.plan.side;
        for (to, &v) in self.to.chunks_exact_mut(self.columns).zip(self.frequencies) {
            let taps = &self.plan.cosines[v * side..][..side];
            for (x, to) in to.iter_mut().enumerate() {
                let mut sum = [0.0; LANES];
                for (cell, tap) in self.row[x..x + side].iter().zip(taps) {
                    for lane in 0..LANES {
                        sum[lane] += cell[lane] * tap;
                    }
                }
                *to = sum;
            }
        }
    }
}

/// Vertical pass for the patches of one row.
struct Down<'a> {
    plan: &'a Plan,
    frequencies: &'a [usize],
    across: &'a [Point],
    to: &'a mut [f32],
    columns: usize,
}

impl WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (side, terms) = (self.plan.side, &self.plan.terms);
        let band = self.frequencies.len() * self.columns;
        let mut at = 0;
        while at < terms.len() {
            // Terms are sorted: those of one pair of frequencies lie together.
            let (u, v, _) = terms[at];
            let end = at
                + terms[at..]
                    .iter()
                    .take_while(|t| t.0 == u && t.1 == v)
                    .count();
            let taps = &self.plan.cosines[u * side..][..side];
            let first = self.frequencies.partition_point(|&f| f < v) * self.columns;
            for x in 0..self.columns {
                let mut sum = [0.0; LANES];
                for (i, tap) in taps.iter().enumerate() {
                    let cell = &self.across[i * band + first + x];
                    for lane in 0..LANES {
                        sum[lane] += cell[lane] * tap;
                    }
                }
                let to = &mut self.to[x * terms.len()..][..terms.len()];
                for k in at..end {
                    to[k] = sum[terms[k].2] - self.plan.mean[k];
                }
            }
            at = end;
        }
    }
}

/// Orthonormal.
fn cosines(side: usize) -> Vec<f32> {
    let n = side as f64;
    (0..side * side)
        .map(|i| {
            let (frequency, tap) = ((i / side) as f64, (i % side) as f64);
            let scale = if i < side { 1.0 / n } else { 2.0 / n };
            let angle = std::f64::consts::PI * (tap + 0.5) * frequency / n;
            (scale.sqrt() * angle.cos()) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(height: usize, width: usize) -> Field {
        let cells = (0..height * width)
            .map(|i| std::array::from_fn(|c| ((i * 7 + c * 13) % 29) as f32 / 9.0))
            .collect();
        Field {
            height,
            width,
            cells,
        }
    }

    #[test]
    fn all_components_together_keep_every_distance() {
        // 1 × 1 and 2 × 2 patches have so few components that nearly none are dropped.
        let field = field(6, 5);
        let plan = Plan::new(1, std::slice::from_ref(&field));
        let rows = plan.project(&field);
        for (a, b) in [(0usize, 3usize), (7, 22), (10, 11)] {
            let own: f32 = super::super::space::squared(&field.cells[a], &field.cells[b]);
            let terms = plan.terms();
            let found: f32 = (rows[a * terms..][..terms]
                .iter()
                .zip(&rows[b * terms..][..terms]))
            .map(|(a, b)| (a - b) * (a - b))
            .sum();
            assert!((own - found).abs() < 1e-3 * own.max(1.0));
        }
    }

    #[test]
    fn projection_is_the_plain_sum_over_the_patch() {
        let field = field(9, 8);
        let plan = Plan::new(3, std::slice::from_ref(&field));
        let rows = plan.project(&field);
        let columns = 8 - 2;
        let (y, x) = (4, 2);
        for (k, &(u, v, c)) in plan.terms.iter().enumerate() {
            let mut sum = -plan.mean[k];
            for i in 0..3 {
                for j in 0..3 {
                    let tap = plan.cosines[u * 3 + i] * plan.cosines[v * 3 + j];
                    sum += tap * field.cells[(y + i) * 8 + x + j][c];
                }
            }
            let found = rows[(y * columns + x) * plan.terms() + k];
            assert!((sum - found).abs() < 1e-4);
        }
    }

    #[test]
    fn padding_wraps_or_repeats() {
        let field = field(2, 3);
        let padded = field.padded(2, Wrap { x: true, y: false });
        assert_eq!((padded.height, padded.width), (6, 7));
        assert_eq!(padded.cells[0], field.cells[1]);
        assert_eq!(padded.cells[5 * 7 + 6], field.cells[3 + 1]);
    }
}
