//! Neighbours that continue each other wherever that fits as well.
//!
//! Each cell's vote is its own. Where a source is plain, a hundred of its places fit a cell equally well, and the first of them is
//! taken again and again: one cell as a lattice of dots. Here a cell prefers to go on where a neighbour comes from
//! (Ashikhmin, "Synthesizing natural textures", I3D 2001), as long as what is copied stays what was voted for, and
//! avoids what cells near it have taken. Cells change one after the other, in the order of their rows, until nothing gets better
//! (iterated conditional modes; Besag 1986).

use super::random::{Draws, Purpose};
use super::regions::Regions;
use super::sources::{Coordinate, Sources};
use super::space::{LANES, squared};
use crate::document::{Level, Wrap};

/// Half the side of what is compared, in structure cells.
const R: i32 = 1;
/// What a side costs that does not continue. Two cells at random are 2 × LANES apart.
const BREAK: f32 = 0.15 * LANES as f32;
/// What it costs to come from where a cell nearby comes from.
const REPEAT: f32 = 0.15 * LANES as f32;
/// How far apart two cells of the same place are far enough.
const NEARBY: i32 = 2;
/// Sweeps, forwards and backwards in turns.
const SWEEPS: usize = 6;
/// Places of the same code that a cell that repeats another tries.
const TRIES: u64 = 6;

const SIDES: [(i32, i32); 4] = [(-1, 0), (0, -1), (1, 0), (0, 1)];

pub(super) struct Coherence<'a> {
    pub sources: &'a Sources,
    pub regions: &'a Regions,
    pub wrap: Wrap,
    /// Of the canvas, in structure cells.
    pub height: usize,
    pub width: usize,
    /// Per cell: whether it is made.
    pub fill: &'a [bool],
    /// Per cell: row of the point that was voted for, or is kept.
    pub target: &'a [u16],
    pub seed: u64,
}

impl Coherence<'_> {
    /// Moves coordinates of cells that are made.
    pub fn settle(&self, at: &mut [Coordinate]) {
        let places = self.by_code();
        for sweep in 0..SWEEPS {
            let draws = Draws::new(self.seed, Purpose::Coherence, sweep as u64);
            let mut is_changed = false;
            for step in 0..at.len() {
                let index = if sweep % 2 == 0 {
                    step
                } else {
                    at.len() - 1 - step
                };
                if self.fill[index] && at[index] != Coordinate::NONE {
                    is_changed |= self.improve(at, index, draws, &places);
                }
            }
            if !is_changed {
                break;
            }
        }
    }

    fn improve(&self, at: &mut [Coordinate], index: usize, draws: Draws, places: &ByCode) -> bool {
        let own = at[index];
        let (repeats, breaks) = self.company(at, index, own);
        if breaks == 0 && repeats == 0 {
            return false;
        }
        let mut best = self.cost(index, own) + company_cost(repeats, breaks);
        let mut chosen = own;
        let mut attempt = |place: Option<Coordinate>| {
            let Some(place) = place.filter(|place| *place != chosen && self.takes(index, *place))
            else {
                return;
            };
            let (repeats, breaks) = self.company(at, index, place);
            let company = company_cost(repeats, breaks);
            if company < best {
                let cost = self.cost(index, place) + company;
                if cost < best {
                    (best, chosen) = (cost, place);
                }
            }
        };
        for (dy, dx) in SIDES {
            let place = self
                .neighbour(index, (dy, dx))
                .map(|there| at[there])
                .filter(|there| *there != Coordinate::NONE)
                .and_then(|there| self.sources.holds(Level::Structure, there.moved(-dy, -dx)));
            attempt(place);
        }
        if repeats > 0 {
            let like = places.of(self.target[index]);
            for draw in 0..TRIES {
                let any = draws.below(index as u64, draw, like.len());
                attempt(
                    like.get(any)
                        .map(|cell| self.sources.structure_at(*cell as usize)),
                );
            }
        }
        at[index] = chosen;
        chosen != own
    }

    fn takes(&self, index: usize, at: Coordinate) -> bool {
        self.sources.structure_ok[self.sources.structure_index(at)]
            && self.regions.takes(self.sources, index, at)
    }

    fn neighbour(&self, index: usize, by: (i32, i32)) -> Option<usize> {
        let from = (index / self.width, index % self.width);
        let (y, x) = self.wrap.neighbour(from, by, (self.height, self.width))?;
        Some(y * self.width + x)
    }

    /// How unlike a patch of a source is to the patch voted for.
    fn cost(&self, index: usize, at: Coordinate) -> f32 {
        let extent = &self.sources.extents[usize::from(at.source)];
        let points = &self.sources.structure_points;
        let mut sum = 0.0;
        for dy in -R..=R {
            for dx in -R..=R {
                let Some(there) = self.neighbour(index, (dy, dx)) else {
                    continue;
                };
                // At a border of the source, the border again.
                let y = (i32::from(at.y) + dy).clamp(0, extent.height as i32 - 1) as usize;
                let x = (i32::from(at.x) + dx).clamp(0, extent.width as i32 - 1) as usize;
                let row = self.sources.structure[extent.start + y * extent.width + x];
                sum += squared(
                    &points[usize::from(self.target[there])],
                    &points[usize::from(row)],
                );
            }
        }
        sum
    }

    /// How many cells nearby come from the same place, and how many sides do not continue.
    fn company(&self, at: &[Coordinate], index: usize, own: Coordinate) -> (u32, u32) {
        let mut repeats = 0;
        for dy in -NEARBY..=NEARBY {
            for dx in -NEARBY..=NEARBY {
                if let Some(there) = self.neighbour(index, (dy, dx))
                    && there != index
                    && at[there] == own
                {
                    repeats += 1;
                }
            }
        }
        let breaks = SIDES.iter().filter(|&&(dy, dx)| {
            self.neighbour(index, (dy, dx)).is_some_and(|there| {
                self.sources.holds(Level::Structure, own.moved(dy, dx)) != Some(at[there])
            })
        });
        (repeats, breaks.count() as u32)
    }

    fn by_code(&self) -> ByCode {
        let rows = &self.sources.structure;
        let codes = self.sources.structure_points.len();
        let mut starts = vec![0u32; codes + 1];
        let usable = || {
            (rows.iter().zip(&self.sources.structure_ok))
                .enumerate()
                .filter(|(_, (_, ok))| **ok)
        };
        for (_, (&row, _)) in usable() {
            starts[usize::from(row) + 1] += 1;
        }
        for code in 0..codes {
            starts[code + 1] += starts[code];
        }
        let mut next = starts.clone();
        let mut cells = vec![0u32; starts[codes] as usize];
        for (cell, (&row, _)) in usable() {
            let place = &mut next[usize::from(row)];
            cells[*place as usize] = cell as u32;
            *place += 1;
        }
        ByCode { starts, cells }
    }
}

fn company_cost(repeats: u32, breaks: u32) -> f32 {
    REPEAT * repeats as f32 + BREAK * breaks as f32
}

/// The structure cells that may be taken, by their code.
struct ByCode {
    starts: Vec<u32>,
    cells: Vec<u32>,
}

impl ByCode {
    fn of(&self, row: u16) -> &[u32] {
        let row = usize::from(row);
        &self.cells[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::{CodeGrid, CodeVectors, Codes, Vectors};
    use crate::quilt::{Canvas, Controls, Quilt, Request, Source, Start, quilt};

    const SIDE: u32 = 24;

    /// One structure code throughout, over grain.
    fn plain() -> Request {
        let cell = |i: u32| (i.wrapping_mul(2_654_435_761) >> 28) as u16;
        let detail = (0..SIDE * SIDE * 16).map(cell).collect();
        let codes = Codes {
            structure: CodeGrid::filled(SIDE, SIDE, Some(3)),
            detail: CodeGrid::from_cells(SIDE * 4, SIDE * 4, detail).unwrap(),
        };
        Request {
            sources: vec![Source::new(Arc::new(codes))],
            canvas: Canvas {
                width: 16,
                height: 16,
                wrap: Wrap { x: true, y: true },
                kept: None,
            },
            start: Start::Blocks,
            controls: Controls::default(),
        }
    }

    fn made(request: &Request) -> Quilt {
        let book = |phase: f32| {
            let values = (0..16 * 6).map(|i| (i as f32 * 1.7 + phase).sin());
            CodeVectors::new(6, values.collect()).unwrap()
        };
        let vectors = Vectors {
            structure: book(0.0),
            detail: book(0.9),
        };
        quilt(request, &vectors, &(), &mut |_| {}).unwrap()
    }

    /// Shares of the sides whose cells are one cell twice, and whose cells continue each other.
    fn sides(quilt: &Quilt) -> (f32, f32) {
        let at = |y: i32, x: i32| quilt.structure_at[(y % 16 * 16 + x % 16) as usize];
        let (mut twice, mut on) = (0, 0);
        for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y, x))) {
            for (dy, dx) in [(0, 1), (1, 0)] {
                let (here, there) = (at(y, x), at(y + dy, x + dx));
                let step = (
                    i32::from(there.y) - i32::from(here.y),
                    i32::from(there.x) - i32::from(here.x),
                );
                twice += i32::from(step == (0, 0));
                on += i32::from(step == (dy, dx));
            }
        }
        (twice as f32 / 512.0, on as f32 / 512.0)
    }

    #[test]
    fn a_plain_source_is_continued_and_not_one_cell_again_and_again() {
        for seed in 0..4 {
            let mut request = plain();
            request.controls.seed = seed;
            let (twice, on) = sides(&made(&request));
            assert!(twice < 0.02, "{twice} of the sides are one cell twice");
            assert!(on > 0.7, "only {on} of the sides continue");
        }
    }

    #[test]
    fn the_largest_piece_is_heeded() {
        let mut request = plain();
        request.controls.largest_piece = Some(4);
        let piece = made(&request).largest_piece.from;
        assert!(piece.width <= 16 && piece.height <= 16, "{piece:?}");
    }
}
