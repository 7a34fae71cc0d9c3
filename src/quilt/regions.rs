//! Bounds how much is taken in one piece.
//!
//! The canvas is cut into regions no larger than the bound, each with its own class of moves from canvas to source: odd or even in
//! y and in x. Neighbouring regions differ in class, so no run of cells with one move crosses from one to the other, and
//! each region still has a quarter of all moves to choose from.

use super::bank::Filter;
use super::random::{Draws, Purpose};
use super::sources::{Coordinate, Sources};
use crate::document::Wrap;

/// Structure cells per stretch of border that is shifted as one.
const STRETCH: usize = 4;

#[derive(Debug)]
pub(super) struct Regions {
    width: usize,
    rows: Axis,
    columns: Axis,
    labels: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Axis {
    length: usize,
    wraps: bool,
    /// Longest side of a region; `length` or more: there is one region only, without a class.
    side: usize,
    /// Shift of the borders by stretch across the axis, even.
    shifts: Vec<usize>,
}

impl Axis {
    fn new(length: usize, across: usize, wraps: bool, most: Option<u32>, draws: Draws) -> Self {
        let most = most.map_or(length, |most| most as usize);
        let mut axis = Self {
            length,
            wraps,
            side: length,
            shifts: Vec::new(),
        };
        if most >= length {
            return axis;
        }
        // Shifts of even size, so that classes fit across them, of less than half a region in all.
        let reach = most / 8;
        let side = (most - 2 * reach).max(1);
        // Around a border that wraps, classes fit where regions are odd in number exactly if cells are.
        let mut regions = length.div_ceil(side);
        if wraps && regions % 2 != length % 2 {
            regions += 1;
        }
        axis.side = length.div_ceil(regions);
        // Rounding up may leave fewer regions than that: shorter sides until the number fits.
        while wraps && axis.side > 1 && length.div_ceil(axis.side) % 2 != length % 2 {
            axis.side -= 1;
        }
        axis.shifts = (0..across.div_ceil(STRETCH))
            .map(|i| draws.below(i as u64, 0, reach + 1) / 2 * 2)
            .collect();
        axis
    }

    const fn is_one(&self) -> bool {
        self.side >= self.length
    }

    /// Place along the axis from the first region's border, unlike `at` by what the border is shifted there.
    fn place(&self, at: usize, across: usize) -> usize {
        let shift = self.shifts.get(across / STRETCH).copied().unwrap_or(0);
        if self.wraps {
            (at + shift) % self.length
        } else {
            at + shift
        }
    }

    /// Whether a source cell at `from`, taken for the cell at `at`, is of the class of the region there.
    fn wanted(&self, at: usize, across: usize) -> u16 {
        let place = self.place(at, across);
        ((place / self.side + place) % 2) as u16
    }
}

impl Regions {
    /// Of a canvas in structure cells. `labels`: per cell, the label of what it may take; 0: any.
    pub fn new(
        height: usize,
        width: usize,
        wrap: Wrap,
        largest_piece: Option<u32>,
        labels: Option<Vec<u8>>,
        seed: u64,
    ) -> Self {
        let draws = |axis| Draws::new(seed, Purpose::Regions, axis);
        Self {
            width,
            rows: Axis::new(height, width, wrap.y, largest_piece, draws(0)),
            columns: Axis::new(width, height, wrap.x, largest_piece, draws(1)),
            labels,
        }
    }

    /// Whether any cell may take less than everything.
    pub const fn is_filtering(&self) -> bool {
        self.labels.is_some() || !self.rows.is_one() || !self.columns.is_one()
    }

    /// Which source cells a structure cell may take.
    pub fn filter(&self, index: usize) -> Filter {
        let (y, x) = (index / self.width, index % self.width);
        let mut filter = Filter::default();
        if let Some(&label) = self.labels.as_ref().and_then(|labels| labels.get(index))
            && label != 0
        {
            filter.mask |= 0xff;
            filter.want |= u16::from(label);
        }
        if !self.rows.is_one() {
            filter.mask |= 1 << 8;
            filter.want |= self.rows.wanted(y, x) << 8;
        }
        if !self.columns.is_one() {
            filter.mask |= 1 << 9;
            filter.want |= self.columns.wanted(x, y) << 9;
        }
        filter
    }

    /// Whether a structure cell may take this one.
    pub fn takes(&self, sources: &Sources, index: usize, at: Coordinate) -> bool {
        let label = sources.labels.get(sources.structure_index(at)).copied();
        (self.filter(index)).takes(Filter::key(label.unwrap_or(0), at.y, at.x))
    }

    /// Whether the detail cell (`y`, `x`) under a structure cell, with that cell's filter, may take this one.
    pub fn takes_detail(
        &self,
        sources: &Sources,
        filter: Filter,
        (y, x): (usize, usize),
        at: Coordinate,
    ) -> bool {
        if filter.mask == 0 {
            return true;
        }
        let label = if sources.labels.is_empty() {
            0
        } else {
            sources.labels[sources.over(at)]
        };
        // The move in whole structure cells, rounded down: the same all along a run. Of the cell's own row that
        // is the row a move of whole cells would take.
        let row = (i32::from(at.y) - (y % 4) as i32).div_euclid(4);
        let column = (i32::from(at.x) - (x % 4) as i32).div_euclid(4);
        let bit = |value: i32| (value & 1) as u16;
        let key = u16::from(label) | bit(row) << 8 | bit(column) << 9;
        filter.takes(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longest stretch of one class along a row of cells that a run could take.
    fn longest_run(length: usize, most: u32, wraps: bool, seed: u64) -> usize {
        let wrap = Wrap { x: wraps, y: wraps };
        let regions = Regions::new(length, length, wrap, Some(most), None, seed);
        let mut longest = 0;
        for x in 0..length {
            for first in 0..2u16 {
                let mut run = 0;
                let end = if wraps { 2 * length } else { length };
                for step in 0..end {
                    let filter = regions.filter((step % length) * length + x);
                    let row = (first + step as u16) & 1;
                    run = if filter.want >> 8 & 1 == row {
                        run + 1
                    } else {
                        0
                    };
                    longest = longest.max(run);
                }
            }
        }
        longest
    }

    #[test]
    fn no_run_is_longer_than_the_bound() {
        for length in [5, 16, 17, 24, 31] {
            for most in [2, 3, 4, 7, 9, 12] {
                for wraps in [false, true] {
                    for seed in 0..4 {
                        let found = longest_run(length, most, wraps, seed);
                        let bound = most as usize;
                        assert!(
                            found <= bound || bound >= length,
                            "{length} {most} {wraps}: {found}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn without_a_bound_all_is_allowed() {
        let regions = Regions::new(9, 9, Wrap::default(), None, None, 1);
        assert!(!regions.is_filtering());
        assert!((0..81).all(|i| regions.filter(i).mask == 0));
    }
}
