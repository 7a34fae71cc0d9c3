//! What the cells to be made are before the first search.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::features::Field;
use super::random::{Draws, Purpose};
use super::request::{Request, Start};
use super::sources::{Coordinate, Sources};
use super::space::{LANES, Point, squared};
use super::watch::Watch;
use crate::document::Wrap;
use crate::error::Result;

/// Side of a random block, in structure cells.
const BLOCK: usize = 8;
/// One of so many of all blocks fits well enough to be drawn.
const NEAR_SHARE: usize = 100;
/// Half the side of what is compared where the picture grows, in structure cells.
const REACH: i32 = 2;
/// Source cells that a growing cell may follow.
const MOST_CANDIDATES: usize = 4096;
/// Structure cells between two independent moves of a variation.
const STRETCH: usize = 5;
/// How much is added to a grown picture for the first search, in standard deviations of the codes.
const JITTER: f32 = 0.25;

/// Fills the cells of `field` that `fill` names.
pub(super) fn start(
    request: &Request,
    sources: &Sources,
    fields: &[Field],
    fill: &[bool],
    field: &mut Field,
    watch: &Watch<'_>,
) -> Result<()> {
    match request.start {
        Start::Moved { source, reach } => {
            moved(request, &fields[usize::from(source)], reach, fill, field)
        }
        Start::Grown if fill.contains(&false) => {
            grown(request, sources, fields, fill, field, watch)?
        }
        Start::Blocks | Start::Grown => blocks(request, sources, fields, fill, field, watch)?,
    }
    Ok(())
}

/// Blocks row by row, each one of those that fit what lies there already (Efros & Freeman, "Image quilting", SIGGRAPH 2001, without
/// its cuts: the searches that follow make the seams).
fn blocks(
    request: &Request,
    sources: &Sources,
    fields: &[Field],
    fill: &[bool],
    field: &mut Field,
    watch: &Watch<'_>,
) -> Result<()> {
    let controls = &request.controls;
    let draws = Draws::new(controls.seed, Purpose::Blocks, 0);
    let largest = (fields.iter())
        .map(|f| f.height.min(f.width))
        .max()
        .unwrap_or(1);
    let side = BLOCK.min(largest).min(field.height.max(field.width));
    let corners = corners(fields, side, controls.seed);
    let step = side - side / 3;
    let mut known: Vec<bool> = fill.iter().map(|fill| !fill).collect();
    // Blocks start at a random cell, so that their borders do not always lie at the canvas's.
    let first = |axis| draws.below(u64::MAX, axis, side) as i32 - side as i32 + 1;
    let mut y0 = first(0);
    let mut place = 0;
    while y0 < field.height as i32 {
        let mut x0 = first(1);
        while x0 < field.width as i32 {
            watch.check()?;
            // (row and column within the block, canvas cell), where there is something to do or to fit.
            let cells: Vec<(usize, usize, usize)> = (0..side)
                .flat_map(|i| (0..side).map(move |j| (i, j)))
                .filter_map(|(i, j)| {
                    let (y, x) = (y0 + i as i32, x0 + j as i32);
                    let at = neighbour(y, x, field.height, field.width, request.canvas.wrap)?;
                    Some((i, j, at))
                })
                .collect();
            if cells.iter().any(|&(_, _, at)| !known[at]) {
                let misfits: Vec<f32> = corners
                    .par_iter()
                    .with_min_len(64)
                    .map(|&corner| {
                        pulp::Arch::new().dispatch(BlockMisfit {
                            request,
                            sources,
                            fields,
                            field,
                            known: &known,
                            cells: &cells,
                            corner,
                        })
                    })
                    .collect();
                let mut order: Vec<usize> = (0..corners.len()).collect();
                let near = (corners.len() / NEAR_SHARE + 1).max(3).min(corners.len());
                if near < order.len() {
                    order.select_nth_unstable_by(near - 1, |&a, &b| {
                        misfits[a].total_cmp(&misfits[b]).then(a.cmp(&b))
                    });
                }
                order.truncate(near);
                order.sort_unstable();
                let corner = corners[order[draws.below(place, 0, near)]];
                let source = &fields[usize::from(corner.source)];
                for &(i, j, at) in &cells {
                    if !known[at] {
                        let (y, x) = (usize::from(corner.y) + i, usize::from(corner.x) + j);
                        field.cells[at] = source.cells[y * source.width + x];
                        known[at] = true;
                    }
                }
            }
            place += 1;
            x0 += step as i32;
        }
        y0 += step as i32;
    }
    Ok(())
}

/// First cells of whole blocks of the sources.
fn corners(fields: &[Field], side: usize, seed: u64) -> Vec<Coordinate> {
    let counts = || {
        (fields.iter())
            .map(move |f| (f.height + 1).saturating_sub(side) * (f.width + 1).saturating_sub(side))
    };
    let all: usize = counts().sum();
    let most = MOST_CANDIDATES.min(all);
    let draws = Draws::new(seed, Purpose::Subset, u64::MAX - 1);
    let (mut number, mut before) = (0, 0);
    let counts: Vec<usize> = counts().collect();
    (0..most)
        .map(|i| {
            let (from, to) = (i * all / most, (i + 1) * all / most);
            let index = from + draws.below(i as u64, 0, to - from);
            while index - before >= counts[number] {
                before += counts[number];
                number += 1;
            }
            let wide = fields[number].width - side + 1;
            Coordinate {
                source: number as u16,
                y: ((index - before) / wide) as u16,
                x: ((index - before) % wide) as u16,
            }
        })
        .collect()
}

/// How badly a block of a source suits what lies there and the guides.
struct BlockMisfit<'a> {
    request: &'a Request,
    sources: &'a Sources,
    fields: &'a [Field],
    field: &'a Field,
    known: &'a [bool],
    cells: &'a [(usize, usize, usize)],
    corner: Coordinate,
}

impl WithSimd for BlockMisfit<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let controls = &self.request.controls;
        let number = usize::from(self.corner.source);
        let source = &self.fields[number];
        let start = self.sources.extents[number].start;
        let (y0, x0) = (usize::from(self.corner.y), usize::from(self.corner.x));
        let mut misfit = 0.0;
        for &(i, j, at) in self.cells {
            let cell = (y0 + i) * source.width + x0 + j;
            if self.known[at] {
                misfit += squared(&source.cells[cell], &self.field.cells[at]);
                continue;
            }
            // Two cells at random are 2 × LANES apart.
            if !self.sources.structure_ok[start + cell] {
                misfit += 2.0 * LANES as f32;
            }
            if let Some(labels) = &controls.labels
                && labels[at] != 0
                && self.sources.labels.get(start + cell).copied().unwrap_or(0) != labels[at]
            {
                misfit += 2.0 * LANES as f32;
            }
            if let Some(sketch) = &controls.sketch
                && let Some(colour) = sketch.colours[at]
            {
                let found = self.sources.colours[start + cell];
                let apart: f32 = (colour.iter().zip(found))
                    .map(|(a, b)| (a - b) * (a - b))
                    .sum();
                misfit += sketch.weight * LANES as f32 * apart / self.sources.colour_variance;
            }
            if controls.height > 0.0 {
                let own = ((at / self.field.width) as f32 + 0.5) / self.field.height as f32;
                let theirs = ((y0 + i) as f32 + 0.5) / source.height as f32;
                misfit += controls.height * 12.0 * LANES as f32 * (own - theirs).powi(2);
            }
        }
        misfit
    }
}

/// The source with its content pushed about: a smooth field of random moves.
fn moved(request: &Request, source: &Field, reach: f32, fill: &[bool], field: &mut Field) {
    let draws = Draws::new(request.controls.seed, Purpose::Shift, 0);
    let wrap = request.canvas.wrap;
    let knots = (
        field.height.div_ceil(STRETCH).max(1),
        field.width.div_ceil(STRETCH).max(1),
    );
    let far = (
        reach * source.height as f32 / 2.0,
        reach * source.width as f32 / 2.0,
    );
    let knot = |y: usize, x: usize| {
        // Where the canvas wraps, the moves do as well.
        let y = if wrap.y { y % knots.0 } else { y };
        let x = if wrap.x { x % knots.1 } else { x };
        let place = (y * (knots.1 + 1) + x) as u64;
        let along = |index| draws.unit(place, index) * 2.0 - 1.0;
        (along(0) * far.0, along(1) * far.1)
    };
    let step = (
        field.height as f32 / knots.0 as f32,
        field.width as f32 / knots.1 as f32,
    );
    for y in 0..field.height {
        for x in 0..field.width {
            let at = y * field.width + x;
            if !fill[at] {
                continue;
            }
            let (ky, kx) = (y as f32 / step.0, x as f32 / step.1);
            let (iy, ix) = (ky as usize, kx as usize);
            let (ty, tx) = (smooth(ky - iy as f32), smooth(kx - ix as f32));
            let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
            let corner = [
                knot(iy, ix),
                knot(iy, ix + 1),
                knot(iy + 1, ix),
                knot(iy + 1, ix + 1),
            ];
            let dy = mix(
                mix(corner[0].0, corner[1].0, tx),
                mix(corner[2].0, corner[3].0, tx),
                ty,
            );
            let dx = mix(
                mix(corner[0].1, corner[1].1, tx),
                mix(corner[2].1, corner[3].1, tx),
                ty,
            );
            let from = |at: usize, d: f32, length: usize, wraps: bool| {
                let to = at as i32 + d.round() as i32;
                let length = length as i32;
                (if wraps {
                    to.rem_euclid(length)
                } else {
                    // Mirrored, so that moves beyond the border do not smear it.
                    let period = (2 * length - 2).max(1);
                    let m = to.rem_euclid(period);
                    if m < length { m } else { period - m }
                }) as usize
            };
            let sy = from(y, dy, source.height, wrap.y);
            let sx = from(x, dx, source.width, wrap.x);
            field.cells[at] = source.cells[sy * source.width + sx];
        }
    }
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Ring by ring from what is known: each cell follows one of the sources' cells whose surroundings are most like what is known
/// of its own (Efros & Leung, "Texture synthesis by non-parametric sampling", ICCV 1999).
fn grown(
    request: &Request,
    sources: &Sources,
    fields: &[Field],
    fill: &[bool],
    field: &mut Field,
    watch: &Watch<'_>,
) -> Result<()> {
    let controls = &request.controls;
    let (height, width) = (field.height, field.width);
    let wrap = request.canvas.wrap;
    let candidates = candidates(sources, controls.seed);
    let draws = Draws::new(controls.seed, Purpose::Onion, 0);
    let mut known: Vec<bool> = fill.iter().map(|fill| !fill).collect();
    let at = |y: i32, x: i32| neighbour(y, x, height, width, wrap);
    let mut ring = 0u64;
    loop {
        watch.check()?;
        let ready: Vec<usize> = (0..height * width)
            .filter(|&index| {
                let (y, x) = ((index / width) as i32, (index % width) as i32);
                let sides = [(0, 1), (1, 0), (0, -1), (-1, 0)];
                !known[index]
                    && (sides.iter()).any(|(dy, dx)| at(y + dy, x + dx).is_some_and(|i| known[i]))
            })
            .collect();
        if ready.is_empty() {
            break;
        }
        let values: Vec<Point> = ready
            .par_iter()
            .map(|&index| {
                if watch.is_stopped() {
                    return [0.0; LANES];
                }
                let (y, x) = ((index / width) as i32, (index % width) as i32);
                let around: Vec<(i32, i32, Point)> = (-REACH..=REACH)
                    .flat_map(|dy| (-REACH..=REACH).map(move |dx| (dy, dx)))
                    .filter_map(|(dy, dx)| {
                        let i = at(y + dy, x + dx)?;
                        known[i].then(|| (dy, dx, field.cells[i]))
                    })
                    .collect();
                let wanted = controls.labels.as_ref().map_or(0, |labels| labels[index]);
                let best = pulp::Arch::new().dispatch(Follow {
                    sources,
                    fields,
                    candidates: &candidates,
                    around: &around,
                    wanted,
                    keep: 1 + (controls.freedom * 7.0).round() as usize,
                });
                if best.is_empty() {
                    return around.first().map_or([0.0; LANES], |(_, _, value)| *value);
                }
                let chosen = best[draws.below(index as u64, ring, best.len())].1;
                let source = &fields[usize::from(chosen.source)];
                source.cells[usize::from(chosen.y) * source.width + usize::from(chosen.x)]
            })
            .collect();
        for (&index, value) in ready.iter().zip(values) {
            field.cells[index] = value;
            known[index] = true;
        }
        ring += 1;
    }
    let noise = Draws::new(controls.seed, Purpose::Noise, 0);
    for (index, cell) in field.cells.iter_mut().enumerate() {
        if fill[index] {
            for (lane, value) in cell.iter_mut().enumerate() {
                *value += JITTER * noise.normal(index as u64, lane as u64);
            }
        }
    }
    Ok(())
}

fn neighbour(y: i32, x: i32, height: usize, width: usize, wrap: Wrap) -> Option<usize> {
    let along = |at: i32, length: usize, wraps: bool| {
        if wraps {
            Some(at.rem_euclid(length as i32) as usize)
        } else {
            usize::try_from(at).ok().filter(|&at| at < length)
        }
    };
    Some(along(y, height, wrap.y)? * width + along(x, width, wrap.x)?)
}

fn candidates(sources: &Sources, seed: u64) -> Vec<Coordinate> {
    let all: Vec<Coordinate> = (sources.extents.iter().enumerate())
        .flat_map(|(number, extent)| {
            let ok = &sources.structure_ok[extent.start..][..extent.height * extent.width];
            (ok.iter().enumerate())
                .filter(|(_, ok)| **ok)
                .map(move |(i, _)| Coordinate {
                    source: number as u16,
                    y: (i / extent.width) as u16,
                    x: (i % extent.width) as u16,
                })
        })
        .collect();
    if all.len() <= MOST_CANDIDATES {
        return all;
    }
    let draws = Draws::new(seed, Purpose::Subset, u64::MAX);
    (0..MOST_CANDIDATES)
        .map(|i| {
            let (from, to) = (
                i * all.len() / MOST_CANDIDATES,
                (i + 1) * all.len() / MOST_CANDIDATES,
            );
            all[from + draws.below(i as u64, 0, to - from)]
        })
        .collect()
}

/// Finds the candidates whose surroundings fit best.
struct Follow<'a> {
    sources: &'a Sources,
    fields: &'a [Field],
    candidates: &'a [Coordinate],
    around: &'a [(i32, i32, Point)],
    wanted: u8,
    keep: usize,
}

impl WithSimd for Follow<'_> {
    type Output = Vec<(f32, Coordinate)>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let mut best: Vec<(f32, Coordinate)> = Vec::with_capacity(self.keep + 1);
        for &candidate in self.candidates {
            if self.wanted != 0 {
                let index = self.sources.structure_index(candidate);
                if self.sources.labels.get(index).copied().unwrap_or(0) != self.wanted {
                    continue;
                }
            }
            let field = &self.fields[usize::from(candidate.source)];
            let (y, x) = (i32::from(candidate.y), i32::from(candidate.x));
            let (mut total, mut count) = (0.0f32, 0.0f32);
            for (dy, dx, value) in self.around {
                let (y, x) = (y + dy, x + dx);
                if y < 0 || x < 0 || y as usize >= field.height || x as usize >= field.width {
                    continue;
                }
                let cell = &field.cells[y as usize * field.width + x as usize];
                total += squared(cell, value);
                count += 1.0;
            }
            // Of those at a border, what is missing counts as unlike as two cells at random.
            let missing = self.around.len() as f32 - count;
            let misfit = total + missing * 2.0 * LANES as f32;
            if best.len() < self.keep || best.last().is_some_and(|last| misfit < last.0) {
                let at = best.partition_point(|(known, _)| *known <= misfit);
                best.insert(at, (misfit, candidate));
                best.truncate(self.keep);
            }
        }
        best
    }
}
