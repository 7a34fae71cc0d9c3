//! The structure stage: patches from large to small are searched for and vote (Kwatra et al., "Texture optimization for
//! example-based synthesis", SIGGRAPH 2005); the last vote keeps where each cell comes from.

use rayon::prelude::*;

use super::bank::{Bank, Choice, ENOUGH, Found, Wish};
use super::coherence::Coherence;
use super::features::Field;
use super::random::{Draws, Purpose};
use super::regions::Regions;
use super::request::{Controls, Request};
use super::sources::{Coordinate, Sources};
use super::space::{LANES, Point, squared};
use super::start;
use super::watch::Watch;
use crate::document::Level;
use crate::error::Result;

/// Sides of the patches in structure cells, and how often each is searched for and votes. Larger ones copy too much.
const SIDES: [(usize, usize); 5] = [(9, 8), (7, 8), (5, 6), (3, 4), (1, 2)];
/// The same for [`Controls::is_quick`].
const QUICK_SIDES: [(usize, usize); 3] = [(5, 2), (3, 2), (1, 1)];
/// What [`Controls::variety`] 1 means: see [`Choice::variety`].
const MOST_VARIETY: f32 = 0.005;

/// The cells of the canvas and where they come from.
#[derive(Debug)]
pub(super) struct Layout {
    pub width: usize,
    /// Per structure cell.
    pub at: Vec<Coordinate>,
}

/// Sides of patches to search with, in falling order, and how often: those that fit the canvas and of which the sources have enough.
pub(super) fn schedule(request: &Request, sources: &Sources) -> Vec<(usize, usize)> {
    let canvas = &request.canvas;
    let room = canvas.width.min(canvas.height).max(1) as usize;
    let mut schedule: Vec<(usize, usize)> = Vec::new();
    let sides = match request.controls.is_quick {
        true => QUICK_SIDES.as_slice(),
        false => SIDES.as_slice(),
    };
    for &(side, rounds) in sides {
        let is_last_resort = side == 1 && schedule.is_empty();
        let is_enough = || Bank::places(sources, side).len() >= ENOUGH;
        if is_last_resort || (side > 1 && side <= room && is_enough()) {
            schedule.push((side, rounds));
        }
    }
    schedule
}

pub(super) struct Stage<'a> {
    pub request: &'a Request,
    pub schedule: &'a [(usize, usize)],
    pub sources: &'a Sources,
    pub regions: &'a Regions,
    /// Per structure cell: whether it is made.
    pub fill: &'a [bool],
    /// Codes of kept cells, as rows of points.
    pub kept: Option<&'a [u16]>,
    pub watch: &'a Watch<'a>,
}

impl Stage<'_> {
    /// `coarse` is shown the layout after the first, coarsest searches.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn run(&self, coarse: &mut dyn FnMut(&Layout)) -> Result<Layout> {
        let canvas = &self.request.canvas;
        let (height, width) = (canvas.height as usize, canvas.width as usize);
        let points = &self.sources.structure_points;
        let fields: Vec<Field> = (self.sources.extents.iter())
            .map(|extent| Field {
                height: extent.height,
                width: extent.width,
                cells: self.sources.structure[extent.start..][..extent.height * extent.width]
                    .iter()
                    .map(|&row| points[usize::from(row)])
                    .collect(),
            })
            .collect();
        let mut field = Field {
            height,
            width,
            cells: match self.kept {
                Some(kept) => kept.iter().map(|&row| points[usize::from(row)]).collect(),
                None => vec![[0.0; LANES]; height * width],
            },
        };
        start::start(
            self.request,
            self.sources,
            &fields,
            self.fill,
            &mut field,
            self.watch,
        )?;
        let mut layout = None;
        for (number, &(side, rounds)) in self.schedule.iter().enumerate() {
            let places = Bank::places(self.sources, side);
            let queries = self.touched(side / 2);
            let bank = Bank::new(
                self.sources,
                &fields,
                side,
                places,
                queries.len(),
                &self.request.controls,
                self.watch,
            )?;
            for round in 0..rounds {
                let last = round + 1 == rounds;
                let draws = Draws::new(
                    self.request.controls.seed,
                    Purpose::Freedom,
                    (side * 64 + round) as u64,
                );
                let found = self.search(&bank, &field, &queries, (!last).then_some(draws))?;
                let (next, at) = self.vote(&bank, &fields, &field, &queries, &found);
                field = next;
                layout = Some(at);
                self.watch.step()?;
            }
            if number == 0
                && let Some(at) = &layout
            {
                coarse(&self.settled(&fields, &field, at));
            }
        }
        let at = layout.unwrap_or_default();
        let mut layout = self.settled(&fields, &field, &at);
        self.cohere(&mut layout);
        Ok(layout)
    }

    fn cohere(&self, layout: &mut Layout) {
        let target: Vec<u16> = (layout.at.iter().enumerate())
            .map(|(index, &at)| match self.kept {
                Some(kept) if !self.fill[index] => kept[index],
                _ => self.sources.structure[self.sources.structure_index(at)],
            })
            .collect();
        let canvas = &self.request.canvas;
        let coherence = Coherence {
            sources: self.sources,
            regions: self.regions,
            wrap: canvas.wrap,
            height: canvas.height as usize,
            width: canvas.width as usize,
            fill: self.fill,
            target: &target,
            seed: self.request.controls.seed,
        };
        coherence.settle(&mut layout.at);
    }

    /// Cells whose patch holds a cell to be made.
    fn touched(&self, r: usize) -> Vec<usize> {
        let canvas = &self.request.canvas;
        let (height, width) = (canvas.height as usize, canvas.width as usize);
        if !self.fill.contains(&false) {
            return (0..height * width).collect();
        }
        // Rows first, then columns.
        let spread = |from: &[bool],
                      length: usize,
                      stride: usize,
                      others: usize,
                      across: usize,
                      wraps: bool| {
            let mut to = vec![false; from.len()];
            for other in 0..others {
                for at in 0..length {
                    if !from[other * across + at * stride] {
                        continue;
                    }
                    for d in -(r as i64)..=r as i64 {
                        let there = at as i64 + d;
                        let there = if wraps {
                            there.rem_euclid(length as i64)
                        } else {
                            there
                        };
                        if (0..length as i64).contains(&there) {
                            to[other * across + there as usize * stride] = true;
                        }
                    }
                }
            }
            to
        };
        let rows = spread(self.fill, width, 1, height, width, canvas.wrap.x);
        let all = spread(&rows, height, width, width, 1, canvas.wrap.y);
        (0..all.len()).filter(|&i| all[i]).collect()
    }

    fn search(
        &self,
        bank: &Bank,
        field: &Field,
        queries: &[usize],
        free: Option<Draws>,
    ) -> Result<Vec<Option<Found>>> {
        let controls = &self.request.controls;
        let side = bank.plan.side;
        let padded = field.padded(side / 2, self.request.canvas.wrap);
        let all = bank.plan.project(&padded);
        let terms = bank.plan.terms();
        let components: Vec<f32> = if queries.len() * terms == all.len() {
            all
        } else {
            queries
                .iter()
                .flat_map(|&q| &all[q * terms..][..terms])
                .copied()
                .collect()
        };
        let wishes: Vec<Wish> = queries
            .iter()
            .map(|&index| Wish {
                filter: self.regions.filter(index),
                colour: (controls.sketch.as_ref()).and_then(|sketch| sketch.colours[index]),
                height: ((index / field.width) as f32 + 0.5) / field.height as f32,
            })
            .collect();
        let nearest = if free.is_some() {
            1 + (controls.freedom * 15.0).round() as usize
        } else {
            1
        };
        let choice = Choice {
            nearest,
            variety: alpha(controls),
            filtered: self.regions.is_filtering(),
        };
        let found = bank.nearest(&components, &wishes, choice, self.watch)?;
        Ok((found.into_iter().zip(queries))
            .map(|(found, &index)| {
                let pick = match free {
                    Some(draws) => draws.below(index as u64, 0, found.len()),
                    None => 0,
                };
                found.get(pick).copied()
            })
            .collect())
    }

    /// Weighted mean of what overlapping patches propose for each cell to be made, and the coordinate of the best of them.
    fn vote(
        &self,
        bank: &Bank,
        fields: &[Field],
        field: &Field,
        queries: &[usize],
        found: &[Option<Found>],
    ) -> (Field, Vec<Option<Coordinate>>) {
        let (height, width) = (field.height as i64, field.width as i64);
        let wrap = self.request.canvas.wrap;
        let side = bank.plan.side;
        let r = (side / 2) as i64;
        let mut by_cell: Vec<Option<Found>> = vec![None; field.cells.len()];
        for (&query, found) in queries.iter().zip(found) {
            by_cell[query] = *found;
        }
        let mut distances: Vec<f32> = found.iter().flatten().map(|f| f.distance).collect();
        let middle = distances.len() / 2;
        let median = if distances.is_empty() {
            0.0
        } else {
            *distances.select_nth_unstable_by(middle, f32::total_cmp).1
        };
        let floor = 0.05 * median + 1e-6;
        let near: Vec<f32> = (0..=2 * r * r)
            .map(|square| (-(square as f32) / (2.0 * (side as f32 / 3.0).powi(2))).exp())
            .collect();
        let cell = |index: usize| -> (Point, Option<Coordinate>) {
            if !self.fill[index] {
                return (field.cells[index], None);
            }
            let (y, x) = (index as i64 / width, index as i64 % width);
            let (mut sum, mut weight) = ([0.0f32; LANES], 0.0f32);
            let mut best: (f32, Option<Coordinate>) = (f32::INFINITY, None);
            for i in -r..=r {
                let mut py = y - i;
                if wrap.y {
                    py = py.rem_euclid(height);
                } else if !(0..height).contains(&py) {
                    continue;
                }
                for j in -r..=r {
                    let mut px = x - j;
                    if wrap.x {
                        px = px.rem_euclid(width);
                    } else if !(0..width).contains(&px) {
                        continue;
                    }
                    let Some(found) = by_cell[(py * width + px) as usize] else {
                        continue;
                    };
                    let middle = bank.at[found.entry as usize];
                    let Some(at) =
                        (self.sources).holds(Level::Structure, middle.moved(i as i32, j as i32))
                    else {
                        continue;
                    };
                    let source = &fields[usize::from(at.source)];
                    let value = &source.cells[usize::from(at.y) * source.width + usize::from(at.x)];
                    let square = i * i + j * j;
                    let g = near[square as usize] / (found.distance + floor);
                    for (sum, value) in sum.iter_mut().zip(value) {
                        *sum += g * value;
                    }
                    weight += g;
                    let score = (found.distance + 1e-3) * (1.0 + 0.15 * square as f32);
                    if score < best.0 && self.regions.takes(self.sources, index, at) {
                        best = (score, Some(at));
                    }
                }
            }
            if weight > 0.0 {
                for sum in &mut sum {
                    *sum /= weight;
                }
            } else {
                sum = field.cells[index];
            }
            (sum, best.1)
        };
        let cells: Vec<(Point, Option<Coordinate>)> = (0..field.cells.len())
            .into_par_iter()
            .with_min_len(64)
            .map(cell)
            .collect();
        let (cells, at) = cells.into_iter().unzip();
        (
            Field {
                height: field.height,
                width: field.width,
                cells,
            },
            at,
        )
    }

    /// Every cell with a coordinate that it may have.
    fn settled(&self, fields: &[Field], field: &Field, at: &[Option<Coordinate>]) -> Layout {
        let kept = self.request.canvas.kept.as_ref();
        let home = kept.and_then(|kept| kept.home);
        let one = |index: usize| {
            let (y, x) = (index / field.width, index % field.width);
            if !self.fill[index] {
                let here = home.and_then(|home| {
                    let place = super::sources::Place {
                        source: home.source,
                        y: y as i32 - home.y,
                        x: x as i32 - home.x,
                    };
                    self.sources.holds(Level::Structure, place)
                });
                return here.unwrap_or(Coordinate::NONE);
            }
            match at.get(index).copied().flatten() {
                Some(at) => at,
                None => self.nearest_cell(fields, index, &field.cells[index]),
            }
        };
        Layout {
            width: field.width,
            at: (0..field.cells.len()).into_par_iter().map(one).collect(),
        }
    }

    /// The cell most like `value` that may be taken; where none may, one that at least is not muted.
    fn nearest_cell(&self, fields: &[Field], index: usize, value: &Point) -> Coordinate {
        let filter_is_met = |at| self.regions.takes(self.sources, index, at);
        let mut best = (true, f32::INFINITY, Coordinate::NONE);
        for (number, (extent, field)) in self.sources.extents.iter().zip(fields).enumerate() {
            for (i, cell) in field.cells.iter().enumerate() {
                if !self.sources.structure_ok[extent.start + i] {
                    continue;
                }
                let at = Coordinate {
                    source: number as u16,
                    y: (i / extent.width) as u16,
                    x: (i % extent.width) as u16,
                };
                let rank = (!filter_is_met(at), squared(cell, value), at);
                if (rank.0, rank.1) < (best.0, best.1) {
                    best = rank;
                }
            }
        }
        best.2
    }
}

/// α of [`Choice::variety`]: small where variety is wanted, infinite where none is.
fn alpha(controls: &Controls) -> f32 {
    if controls.variety > 0.0 {
        MOST_VARIETY / controls.variety.powi(4)
    } else {
        f32::INFINITY
    }
}
