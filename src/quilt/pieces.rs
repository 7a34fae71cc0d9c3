//! What a result is made of: pieces that were taken as one, shares of the sources, seams.

use super::sources::Coordinate;
use crate::document::{Rect, Wrap};

/// A connected stretch of detail cells that stands in a source as it stands in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub source: u16,
    /// Detail cells.
    pub cells: u32,
    /// Box around it in the source, in detail cells.
    pub from: Rect,
    /// One of its cells on the canvas (y, x), and the same cell in the source.
    pub to: (u32, u32),
    pub at: Coordinate,
}

/// The largest piece among the detail cells of a canvas (height, width) that were made; `None` where none was. Both lists are
/// row by row and have one entry a cell.
pub fn largest(
    at: &[Coordinate],
    is_made: &[bool],
    (height, width): (usize, usize),
    wrap: Wrap,
) -> Option<Piece> {
    let mut seen: Vec<bool> = is_made.iter().map(|made| !made).collect();
    let mut best: Option<Piece> = None;
    let mut queue = Vec::new();
    for first in 0..at.len() {
        if seen[first] {
            continue;
        }
        seen[first] = true;
        queue.push(first);
        let start = at[first];
        let (mut cells, mut low, mut high) = (0, (start.y, start.x), (start.y, start.x));
        while let Some(index) = queue.pop() {
            let here = at[index];
            cells += 1;
            low = (low.0.min(here.y), low.1.min(here.x));
            high = (high.0.max(here.y), high.1.max(here.x));
            for (dy, dx) in SIDES {
                if let Some(next) = step(index, (dy, dx), (height, width), wrap)
                    && !seen[next]
                    && is_continued(here, at[next], (dy, dx))
                {
                    seen[next] = true;
                    queue.push(next);
                }
            }
        }
        if best.is_none_or(|best| cells > best.cells) {
            best = Some(Piece {
                source: start.source,
                cells,
                from: Rect::from_edges(
                    low.1.into(),
                    low.0.into(),
                    u32::from(high.1) + 1,
                    u32::from(high.0) + 1,
                ),
                to: ((first / width) as u32, (first % width) as u32),
                at: start,
            });
        }
    }
    best
}

/// Share of the cells that were made which have a neighbour from elsewhere.
pub(super) fn seam_share(
    at: &[Coordinate],
    is_made: &[bool],
    size: (usize, usize),
    wrap: Wrap,
) -> f32 {
    let made = is_made.iter().filter(|made| **made).count();
    let seams = (0..at.len()).filter(|&index| {
        is_made[index]
            && SIDES.iter().any(|&side| {
                step(index, side, size, wrap)
                    .is_some_and(|next| !is_continued(at[index], at[next], side))
            })
    });
    seams.count() as f32 / made.max(1) as f32
}

/// Share of each source among the cells that were made.
pub(super) fn shares(at: &[Coordinate], is_made: &[bool], sources: usize) -> Vec<f32> {
    let mut counts = vec![0u32; sources];
    for (at, _) in at.iter().zip(is_made).filter(|(_, made)| **made) {
        if let Some(count) = counts.get_mut(usize::from(at.source)) {
            *count += 1;
        }
    }
    let total = counts.iter().sum::<u32>().max(1) as f32;
    counts.iter().map(|&n| n as f32 / total).collect()
}

const SIDES: [(i32, i32); 4] = [(0, 1), (1, 0), (0, -1), (-1, 0)];

/// Whether the neighbour in direction (y, x) is also the neighbour in the source.
fn is_continued(here: Coordinate, next: Coordinate, (dy, dx): (i32, i32)) -> bool {
    here.source == next.source
        && i32::from(here.y) + dy == i32::from(next.y)
        && i32::from(here.x) + dx == i32::from(next.x)
}

fn step(
    index: usize,
    (dy, dx): (i32, i32),
    (height, width): (usize, usize),
    wrap: Wrap,
) -> Option<usize> {
    let (y, x) = wrap.neighbour((index / width, index % width), (dy, dx), (height, width))?;
    Some(y * width + x)
}
