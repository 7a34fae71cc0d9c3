//! The detail stage: PatchMatch (Barnes et al., SIGGRAPH 2009) from the structure's coordinates over 5 × 5 detail cells and the
//! structure under them.
//!
//! Every pass reads the coordinates of the pass before and writes new ones, and draws depend on the cell alone, so that the
//! result is the same on any number of threads. To make up for the sweeps that this gives up, coordinates also jump
//! (Rong & Tan, "Jump flooding in GPU", I3D 2006).

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::bank::Filter;
use super::random::{Draws, Purpose};
use super::regions::Regions;
use super::sources::{Coordinate, Place, Sources};
use super::space::{LANES, Point, squared, sum};
use super::structure::Layout;
use super::watch::Watch;
use crate::document::{Level, Wrap};
use crate::error::Result;

/// Half the side of a patch.
const R: i32 = 2;
const TAPS: usize = 25;
pub(super) const ROUNDS: usize = 3;
/// How far a coordinate jumps in each pass of a round.
const JUMPS: [i32; 4] = [8, 4, 2, 1];
pub(super) const STEPS: u64 = (ROUNDS * JUMPS.len()) as u64;
/// First distance of the random search, halved until 1.
const REACH: i32 = 32;
/// Weight of the structure under a cell, in detail cells.
const UNDER: f32 = 4.0;
/// How much worse a neighbour's patch counts, per step to its middle.
const ASIDE: f32 = 0.3;

pub(super) struct Detail<'a> {
    pub sources: &'a Sources,
    pub regions: &'a Regions,
    pub wrap: Wrap,
    /// Of the canvas, in detail cells.
    pub height: usize,
    pub width: usize,
    /// Per structure cell: whether it is made.
    pub fill: &'a [bool],
    /// Per structure cell: row of its point.
    pub structure: &'a [u16],
    pub seed: u64,
    pub watch: &'a Watch<'a>,
}

/// Coordinates and codes of the detail cells.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub at: Vec<Coordinate>,
    /// Rows of points.
    pub codes: Vec<u16>,
}

impl Detail<'_> {
    /// Structure coordinates × 4. `kept` are the codes of cells that stay, as rows of points.
    pub fn spread(&self, layout: &Layout, kept: Option<&[u16]>) -> Cells {
        let one = |index: usize| {
            let (y, x) = (index / self.width, index % self.width);
            let cell = (y / 4) * layout.width + x / 4;
            let over = layout.at[cell];
            let (i, j) = ((y % 4) as i32, (x % 4) as i32);
            if !self.fill[cell] {
                let at = if over == Coordinate::NONE {
                    over
                } else {
                    Coordinate {
                        source: over.source,
                        y: over.y * 4 + i as u16,
                        x: over.x * 4 + j as u16,
                    }
                };
                return (at, kept.map_or(0, |kept| kept[index]));
            }
            let at = self.allowed_near(
                Place {
                    source: over.source,
                    y: i32::from(over.y) * 4 + i,
                    x: i32::from(over.x) * 4 + j,
                },
                index,
            );
            (at, self.sources.detail[self.sources.detail_index(at)])
        };
        let (at, codes) = (0..self.height * self.width)
            .into_par_iter()
            .with_min_len(256)
            .map(one)
            .unzip();
        Cells { at, codes }
    }

    /// # Errors
    /// `Cancelled`.
    pub fn run(&self, mut cells: Cells) -> Result<Cells> {
        for round in 0..ROUNDS {
            let mut costs: Vec<f32> = self.rows(|y, row| {
                for (x, cost) in row.iter_mut().enumerate() {
                    *cost = 0.0f32;
                    let index = y * self.width + x;
                    if self.is_made(y, x) {
                        let target = self.target(&cells.codes, y, x);
                        *cost = pulp::Arch::new().dispatch(One {
                            detail: self,
                            target: &target,
                            at: cells.at[index],
                        });
                    }
                }
            });
            for (pass, &jump) in JUMPS.iter().enumerate() {
                let draws = Draws::new(
                    self.seed,
                    Purpose::Search,
                    (round * JUMPS.len() + pass) as u64,
                );
                let next: Vec<(Coordinate, f32)> = self.rows(|y, row| {
                    pulp::Arch::new().dispatch(Pass {
                        detail: self,
                        cells: &cells,
                        costs: &costs,
                        draws,
                        jump,
                        y,
                        row,
                    });
                });
                self.watch.step()?;
                (cells.at, costs) = next.into_iter().unzip();
            }
            cells = self.vote(&cells, &costs);
        }
        Ok(cells)
    }

    /// Calls `work(y, row)` for every row of a new list, on all threads.
    fn rows<T: Clone + Default + Send>(&self, work: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
        let mut all = vec![T::default(); self.height * self.width];
        all.par_chunks_mut(self.width.max(1))
            .enumerate()
            .for_each(|(y, row)| {
                if !self.watch.is_stopped() {
                    work(y, row);
                }
            });
        all
    }

    fn is_made(&self, y: usize, x: usize) -> bool {
        self.fill[(y / 4) * (self.width / 4) + x / 4]
    }

    fn over(&self, y: usize, x: usize) -> usize {
        (y / 4) * (self.width / 4) + x / 4
    }

    fn neighbour(&self, y: usize, x: usize, dy: i32, dx: i32) -> Option<(usize, usize)> {
        self.wrap
            .neighbour((y, x), (dy, dx), (self.height, self.width))
    }

    /// What a patch around a cell should look like.
    #[inline(always)]
    fn target(&self, codes: &[u16], y: usize, x: usize) -> Target {
        let mut target = Target {
            points: [[0.0; LANES]; TAPS],
            inside: [true; TAPS],
            whole: true,
            under: self.sources.structure_points[usize::from(self.structure[self.over(y, x)])],
        };
        let points = &self.sources.detail_points;
        let r = R as usize;
        if y >= r && x >= r && y + r < self.height && x + r < self.width {
            for i in 0..5 {
                let row = &codes[(y + i - r) * self.width + x - r..][..5];
                for (to, &code) in target.points[i * 5..i * 5 + 5].iter_mut().zip(row) {
                    *to = points[usize::from(code)];
                }
            }
            return target;
        }
        for (tap, (dy, dx)) in taps().enumerate() {
            match self.neighbour(y, x, dy, dx) {
                Some((y, x)) => {
                    target.points[tap] = points[usize::from(codes[y * self.width + x])];
                }
                None => {
                    target.inside[tap] = false;
                    target.whole = false;
                }
            }
        }
        target
    }

    /// The cost of taking a cell; `bound` or more where it is not below that.
    #[inline(always)]
    fn cost(&self, target: &Target, at: Coordinate, bound: f32) -> f32 {
        let sources = self.sources;
        let extent = &sources.extents[usize::from(at.source)];
        let (height, width) = (extent.height as i32 * 4, extent.width as i32 * 4);
        let first = extent.start * 16;
        let (y, x) = (i32::from(at.y), i32::from(at.x));
        let row = sources.structure[sources.over(at)];
        let mut total = UNDER * squared(&target.under, &sources.structure_points[usize::from(row)]);
        if total >= bound {
            return total;
        }
        let points = &sources.detail_points;
        let whole = target.whole && y >= R && x >= R && y < height - R && x < width - R;
        for i in 0..5usize {
            let mut lanes = [0.0f32; LANES];
            if whole {
                let from = first + (y - R) as usize * width as usize + (x - R) as usize;
                let row = &sources.detail[from + i * width as usize..][..5];
                for (target, &code) in target.points[i * 5..i * 5 + 5].iter().zip(row) {
                    add_squares(&mut lanes, target, &points[usize::from(code)]);
                }
            } else {
                // At a border of the source, the border again.
                let sy = (y + i as i32 - R).clamp(0, height - 1) as usize;
                for j in 0..5usize {
                    if target.inside[i * 5 + j] {
                        let sx = (x + j as i32 - R).clamp(0, width - 1) as usize;
                        let code = sources.detail[first + sy * width as usize + sx];
                        add_squares(
                            &mut lanes,
                            &target.points[i * 5 + j],
                            &points[usize::from(code)],
                        );
                    }
                }
            }
            total += sum(lanes);
            if total >= bound {
                return total;
            }
        }
        total
    }

    /// The coordinate of a place, if a cell may take it.
    #[inline(always)]
    fn allowed(&self, place: Place, filter: Filter, cell: (usize, usize)) -> Option<Coordinate> {
        let at = self.sources.holds(Level::Detail, place)?;
        let takes = self.sources.detail_ok[self.sources.detail_index(at)]
            && self.regions.takes_detail(self.sources, filter, cell, at);
        takes.then_some(at)
    }

    /// The nearest place that the cell may take, in the source first.
    fn allowed_near(&self, place: Place, index: usize) -> Coordinate {
        let cell = (index / self.width, index % self.width);
        let filter = self.regions.filter(self.over(cell.0, cell.1));
        for filter in [filter, Filter::default()] {
            for reach in 0..=8i32 {
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        if dy.abs().max(dx.abs()) != reach {
                            continue;
                        }
                        let there = Place {
                            y: place.y + dy,
                            x: place.x + dx,
                            ..place
                        };
                        if let Some(at) = self.allowed(there, filter, cell) {
                            return at;
                        }
                    }
                }
            }
            // Anywhere, from a random cell on.
            let count = self.sources.detail_ok.len();
            let draws = Draws::new(self.seed, Purpose::Search, u64::MAX);
            let start = draws.below(index as u64, 0, count);
            let found = (start..count)
                .chain(0..start)
                .filter(|&i| self.sources.detail_ok[i])
                .map(|i| self.sources.detail_at(i))
                .find(|&at| self.regions.takes_detail(self.sources, filter, cell, at));
            if let Some(at) = found {
                return at;
            }
        }
        Coordinate::NONE
    }

    /// Each cell takes what its neighbour with the best patch proposes for it.
    fn vote(&self, cells: &Cells, costs: &[f32]) -> Cells {
        let at: Vec<Coordinate> = self.rows(|y, row| {
            for (x, to) in row.iter_mut().enumerate() {
                let index = y * self.width + x;
                *to = cells.at[index];
                if !self.is_made(y, x) {
                    continue;
                }
                let filter = self.regions.filter(self.over(y, x));
                let mut best = costs[index];
                for dy in -1..=1 {
                    for dx in -1..=1i32 {
                        let Some((ny, nx)) = self.neighbour(y, x, dy, dx) else {
                            continue;
                        };
                        if !self.is_made(ny, nx) {
                            continue;
                        }
                        let there = ny * self.width + nx;
                        let score = costs[there] * (1.0 + ASIDE * (dy.abs() + dx.abs()) as f32);
                        if score < best
                            && let Some(at) =
                                self.allowed(cells.at[there].moved(-dy, -dx), filter, (y, x))
                        {
                            best = score;
                            *to = at;
                        }
                    }
                }
            }
        });
        let codes = (at.par_iter().zip(&cells.codes))
            .enumerate()
            .with_min_len(256)
            .map(|(index, (&at, &code))| {
                if self.is_made(index / self.width, index % self.width) {
                    self.sources.detail[self.sources.detail_index(at)]
                } else {
                    code
                }
            })
            .collect();
        Cells { at, codes }
    }
}

fn taps() -> impl Iterator<Item = (i32, i32)> {
    (-R..=R).flat_map(|dy| (-R..=R).map(move |dx| (dy, dx)))
}

#[inline(always)]
fn add_squares(lanes: &mut Point, a: &Point, b: &Point) {
    for lane in 0..LANES {
        let d = a[lane] - b[lane];
        lanes[lane] += d * d;
    }
}

struct Target {
    points: [Point; TAPS],
    inside: [bool; TAPS],
    /// All of it lies on the canvas.
    whole: bool,
    under: Point,
}

/// One cost.
struct One<'a> {
    detail: &'a Detail<'a>,
    target: &'a Target,
    at: Coordinate,
}

impl WithSimd for One<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        self.detail.cost(self.target, self.at, f32::INFINITY)
    }
}

/// One pass over one row.
struct Pass<'a> {
    detail: &'a Detail<'a>,
    cells: &'a Cells,
    costs: &'a [f32],
    draws: Draws,
    jump: i32,
    y: usize,
    row: &'a mut [(Coordinate, f32)],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let detail = self.detail;
        let y = self.y;
        for x in 0..detail.width {
            let index = y * detail.width + x;
            let (mut at, mut cost) = (self.cells.at[index], self.costs[index]);
            if cost > 0.0 && detail.is_made(y, x) {
                let filter = detail.regions.filter(detail.over(y, x));
                let target = detail.target(&self.cells.codes, y, x);
                let mut attempt = |place: Place, at: &mut Coordinate| {
                    let Some(new) = detail.allowed(place, filter, (y, x)) else {
                        return;
                    };
                    if new != *at {
                        let found = detail.cost(&target, new, cost);
                        if found < cost {
                            (cost, *at) = (found, new);
                        }
                    }
                };
                for step in [1, self.jump] {
                    for (dy, dx) in [(-step, 0), (0, -step), (step, 0), (0, step)] {
                        if let Some((ny, nx)) = detail.neighbour(y, x, dy, dx) {
                            let there = self.cells.at[ny * detail.width + nx];
                            attempt(there.moved(-dy, -dx), &mut at);
                        }
                    }
                }
                let mut reach = REACH;
                let mut draw = 0;
                while reach >= 1 {
                    let dy = self.draws.around(index as u64, draw, reach);
                    let dx = self.draws.around(index as u64, draw + 1, reach);
                    attempt(at.moved(dy, dx), &mut at);
                    draw += 2;
                    reach /= 2;
                }
                let any = self
                    .draws
                    .below(index as u64, draw, detail.sources.detail.len());
                attempt(detail.sources.detail_at(any).moved(0, 0), &mut at);
            }
            self.row[x] = (at, cost);
        }
    }
}
