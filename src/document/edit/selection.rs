//! Selected cells. A selection restricts every tool to what it holds.

use serde::{Deserialize, Serialize};

use crate::document::alphabet::vectors::Alike;
use crate::document::grid::codes::CodeGrid;
use crate::document::grid::geometry::{
    DETAIL_STRIDE_PX, Geometry, Level, Rect, STRUCTURE_STRIDE_PX, Wrap,
};

/// Detail cells along one side of a structure cell.
const SIDE: u32 = STRUCTURE_STRIDE_PX / DETAIL_STRIDE_PX;

/// How a new area meets the selection there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    #[default]
    Replace,
    Add,
    Subtract,
    Intersect,
}

/// A set of cells, one bit per detail cell.
///
/// A structure cell counts as selected when at least half of its detail cells are; detail cells under it
/// that are not selected stay as they are all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    geometry: Geometry,
    /// Rows of whole words; bits beyond the last column are 0.
    words: Vec<u64>,
    words_per_row: usize,
}

impl Selection {
    /// Nothing selected.
    pub fn none(geometry: Geometry) -> Self {
        let bounds = geometry.grid_bounds(Level::Detail);
        let words_per_row = bounds.width.div_ceil(64) as usize;
        Self {
            geometry,
            words: vec![0; words_per_row * bounds.height as usize],
            words_per_row,
        }
    }

    /// Everything selected.
    pub fn all(geometry: Geometry) -> Self {
        let mut all = Self::none(geometry);
        all.add_rect(geometry.grid_bounds(Level::Detail));
        all
    }

    /// The cells of a level.
    pub fn of_cells(
        geometry: Geometry,
        level: Level,
        cells: impl IntoIterator<Item = u32>,
    ) -> Self {
        let mut selection = Self::none(geometry);
        for index in cells {
            selection.add_rect(
                geometry
                    .cell_pixels(level, index)
                    .to_cells(DETAIL_STRIDE_PX),
            );
        }
        selection
    }

    /// Every cell of a level that a pixel rectangle from corner to corner touches.
    pub fn rectangle(geometry: Geometry, level: Level, a: (f32, f32), b: (f32, f32)) -> Self {
        let mut selection = Self::none(geometry);
        let cells = touched(geometry, level, a, b);
        selection.add_rect(
            cells
                .to_pixels(level.stride_px())
                .to_cells(DETAIL_STRIDE_PX),
        );
        selection
    }

    /// The cells of a level with their middle in the ellipse that fills the cells touched by a pixel
    /// rectangle.
    pub fn ellipse(geometry: Geometry, level: Level, a: (f32, f32), b: (f32, f32)) -> Self {
        let cells = touched(geometry, level, a, b);
        let (rx, ry) = (f64::from(cells.width) / 2.0, f64::from(cells.height) / 2.0);
        let mut selection = Self::none(geometry);
        for y in 0..cells.height {
            let dy = (f64::from(y) + 0.5 - ry) / ry;
            let half = rx * (1.0 - dy * dy).max(0.0).sqrt();
            // The first and one past the last column with their middle inside.
            let from = (rx - half - 0.5).ceil().max(0.0) as u32;
            let to = ((rx + half - 0.5).floor() as u32 + 1).min(cells.width);
            selection.add_cells_of(
                level,
                Rect::from_edges(cells.x + from, cells.y + y, cells.x + to, cells.y + y + 1),
            );
        }
        selection
    }

    /// The cells of a level with their middle inside a closed line through `points` (in pixels). Parts
    /// that the line goes around more than once in the same direction are inside.
    pub fn lasso(geometry: Geometry, level: Level, points: &[(f32, f32)]) -> Self {
        let mut selection = Self::none(geometry);
        let stride = level.stride_px() as f32;
        let bounds = geometry.grid_bounds(level);
        let edges: Vec<_> = (points.iter())
            .zip(points.iter().cycle().skip(1))
            .map(|(a, b)| ((a.0 / stride, a.1 / stride), (b.0 / stride, b.1 / stride)))
            .collect();
        let mut crossings: Vec<(f32, i32)> = Vec::new();
        for y in 0..bounds.height {
            let middle = y as f32 + 0.5;
            crossings.clear();
            for &(a, b) in &edges {
                if (a.1 <= middle) != (b.1 <= middle) {
                    let x = a.0 + (middle - a.1) / (b.1 - a.1) * (b.0 - a.0);
                    crossings.push((x, if b.1 > a.1 { 1 } else { -1 }));
                }
            }
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut winding = 0;
            for pair in crossings.windows(2) {
                winding += pair[0].1;
                if winding != 0 {
                    let column = |x: f32| (x - 0.5).ceil().clamp(0.0, bounds.width as f32) as u32;
                    let (from, to) = (column(pair[0].0), column(pair[1].0));
                    selection.add_cells_of(level, Rect::from_edges(from, y, to, y + 1));
                }
            }
        }
        selection
    }

    /// The cells of a level that are like the one at `start`: all of them, or those that hang together
    /// with it. `alike` says which codes count.
    pub fn wand(
        geometry: Geometry,
        grid: &CodeGrid,
        level: Level,
        start: u32,
        alike: &Alike,
        is_contiguous: bool,
        wrap: Wrap,
    ) -> Self {
        Self::of_cells(
            geometry,
            level,
            like_cells(grid, start, alike, is_contiguous, wrap),
        )
    }

    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Selected detail cells.
    pub fn count(&self) -> u64 {
        (self.words.iter())
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Whether a detail cell is selected; cells outside are not.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        let bounds = self.geometry.grid_bounds(Level::Detail);
        bounds.contains(x, y) && self.words[self.word(x, y)] >> (x % 64) & 1 == 1
    }

    /// Whether tools may change a cell.
    pub fn allows(&self, level: Level, index: u32) -> bool {
        let columns = self.geometry.grid_width(level);
        let (x, y) = (index % columns, index / columns);
        match level {
            Level::Detail => self.contains(x, y),
            Level::Structure => {
                if !self.geometry.grid_bounds(level).contains(x, y) {
                    return false;
                }
                // A structure cell's columns lie within one word.
                let shift = x * SIDE % 64;
                let selected: u32 = (0..SIDE)
                    .map(|row| {
                        let word = self.words[self.word(x * SIDE, y * SIDE + row)];
                        (word >> shift & ((1 << SIDE) - 1)).count_ones()
                    })
                    .sum();
                selected * 2 >= SIDE * SIDE
            }
        }
    }

    /// The selected cells of a level, in rising order.
    pub fn cells(&self, level: Level) -> impl Iterator<Item = u32> + '_ {
        (0..self.geometry.cell_count(level) as u32).filter(move |&index| self.allows(level, index))
    }

    /// The smallest rectangle of detail cells around everything selected.
    pub fn bounds(&self) -> Rect {
        let columns = self.geometry.grid_width(Level::Detail);
        let mut bounds = Rect::default();
        for (y, row) in (0u32..).zip(self.words.chunks_exact(self.words_per_row.max(1))) {
            let first = row.iter().position(|word| *word != 0);
            let last = row.iter().rposition(|word| *word != 0);
            if let (Some(first), Some(last)) = (first, last) {
                let from = first as u32 * 64 + row[first].trailing_zeros();
                let to = (last as u32 * 64 + 64 - row[last].leading_zeros()).min(columns);
                bounds = bounds.union(&Rect::from_edges(from, y, to, y + 1));
            }
        }
        bounds
    }

    /// One byte per detail cell, row by row: 255 where it is selected.
    pub fn to_mask(&self) -> Vec<u8> {
        let bounds = self.geometry.grid_bounds(Level::Detail);
        let mut mask = Vec::with_capacity(bounds.area() as usize);
        for row in self.words.chunks_exact(self.words_per_row.max(1)) {
            mask.extend((0..bounds.width).map(|x| {
                let bit = row[(x / 64) as usize] >> (x % 64) & 1;
                if bit == 1 { 255u8 } else { 0 }
            }));
        }
        mask
    }

    /// Brings in a new area of the same canvas.
    pub fn combine(&mut self, area: &Selection, how: Combine) {
        if area.geometry != self.geometry {
            return;
        }
        for (word, other) in self.words.iter_mut().zip(&area.words) {
            *word = match how {
                Combine::Replace => *other,
                Combine::Add => *word | other,
                Combine::Subtract => *word & !other,
                Combine::Intersect => *word & other,
            };
        }
    }

    /// The selection after a new area came in; `None` for nothing selected.
    pub fn joined(current: Option<&Selection>, area: &Selection, how: Combine) -> Option<Self> {
        let mut joined = (current.filter(|current| current.geometry == area.geometry))
            .map_or_else(|| Self::none(area.geometry), Self::clone);
        joined.combine(area, how);
        (!joined.is_empty()).then_some(joined)
    }

    pub fn invert(&mut self) {
        let everything = Self::all(self.geometry);
        for (word, all) in self.words.iter_mut().zip(&everything.words) {
            *word = !*word & all;
        }
    }

    /// Grows on all sides by this many detail cells, around the border where the canvas wraps.
    pub fn grow(&mut self, cells: u32, wrap: Wrap) {
        let bounds = self.geometry.grid_bounds(Level::Detail);
        for _ in 0..cells.min(bounds.width) {
            self.widen(wrap.x);
        }
        let rows = bounds.height as usize;
        let reach = cells.min(bounds.height) as usize;
        let before = self.words.clone();
        for y in 0..rows {
            for other in (y + rows - reach)..=(y + rows + reach) {
                if !wrap.y && !(rows..2 * rows).contains(&other) {
                    continue;
                }
                let from = other % rows * self.words_per_row;
                for word in 0..self.words_per_row {
                    self.words[y * self.words_per_row + word] |= before[from + word];
                }
            }
        }
    }

    /// Shrinks by this many detail cells; the canvas's border is no edge.
    pub fn shrink(&mut self, cells: u32, wrap: Wrap) {
        self.invert();
        self.grow(cells, wrap);
        self.invert();
    }

    /// The selection somewhere else, by detail cells; what leaves the canvas is gone, or wraps.
    #[must_use]
    pub fn moved(&self, by: (i64, i64), wrap: Wrap) -> Self {
        let bounds = self.geometry.grid_bounds(Level::Detail);
        let mut moved = Self::none(self.geometry);
        for y in 0..bounds.height {
            let Some(to_y) = step(y, by.1, bounds.height, wrap.y) else {
                continue;
            };
            for x in (0..bounds.width).filter(|&x| self.contains(x, y)) {
                if let Some(to_x) = step(x, by.0, bounds.width, wrap.x) {
                    let word = moved.word(to_x, to_y);
                    moved.words[word] |= 1 << (to_x % 64);
                }
            }
        }
        moved
    }

    fn word(&self, x: u32, y: u32) -> usize {
        y as usize * self.words_per_row + (x / 64) as usize
    }

    fn add_cells_of(&mut self, level: Level, cells: Rect) {
        self.add_rect(
            cells
                .to_pixels(level.stride_px())
                .to_cells(DETAIL_STRIDE_PX),
        );
    }

    /// Adds a rectangle of detail cells, cut at the canvas.
    fn add_rect(&mut self, rect: Rect) {
        let rect = rect.intersect(&self.geometry.grid_bounds(Level::Detail));
        for y in rect.y..rect.bottom() {
            let mut x = rect.x;
            while x < rect.right() {
                let end = rect.right().min(x / 64 * 64 + 64);
                let word = self.word(x, y);
                let bits = end - x;
                let run = if bits == 64 {
                    u64::MAX
                } else {
                    (1 << bits) - 1
                };
                self.words[word] |= run << (x % 64);
                x = end;
            }
        }
    }

    /// One cell to the left and one to the right.
    fn widen(&mut self, wraps: bool) {
        let columns = self.geometry.grid_width(Level::Detail);
        let last = columns - 1;
        let last_word_mask = match columns % 64 {
            0 => u64::MAX,
            bits => (1 << bits) - 1,
        };
        for row in self.words.chunks_exact_mut(self.words_per_row.max(1)) {
            let ends = (
                row[0] & 1 == 1,
                row[(last / 64) as usize] >> (last % 64) & 1 == 1,
            );
            let mut carry = 0;
            let before = row.to_vec();
            for (at, word) in row.iter_mut().enumerate() {
                let next = before.get(at + 1).map_or(0, |next| next << 63);
                *word = before[at] | before[at] << 1 | carry | before[at] >> 1 | next;
                carry = before[at] >> 63;
            }
            if wraps && ends.0 {
                row[(last / 64) as usize] |= 1 << (last % 64);
            }
            if wraps && ends.1 {
                row[0] |= 1;
            }
            if let Some(word) = row.last_mut() {
                *word &= last_word_mask;
            }
        }
    }
}

/// `at + by` on an axis; `None` outside of one that does not wrap.
pub(crate) fn step(at: u32, by: i64, size: u32, wraps: bool) -> Option<u32> {
    let to = i64::from(at).saturating_add(by);
    let size = i64::from(size);
    if wraps {
        Some(to.rem_euclid(size) as u32)
    } else {
        (0..size).contains(&to).then_some(to as u32)
    }
}

/// The cells of a level between two pixel points, both included, cut at the canvas.
pub(crate) fn touched(geometry: Geometry, level: Level, a: (f32, f32), b: (f32, f32)) -> Rect {
    let stride = level.stride_px() as f32;
    let bounds = geometry.grid_bounds(level);
    let axis = |a: f32, b: f32, size: u32| {
        let (low, high) = (a.min(b) / stride, a.max(b) / stride);
        if high < 0.0 || low >= size as f32 {
            return (0, 0);
        }
        (
            low.floor().max(0.0) as u32,
            (high.floor() as u32 + 1).min(size),
        )
    };
    let (x0, x1) = axis(a.0, b.0, bounds.width);
    let (y0, y1) = axis(a.1, b.1, bounds.height);
    Rect::from_edges(x0, y0, x1, y1)
}

/// The cells like `start`: connected ones (by their sides), or all.
pub(crate) fn like_cells(
    grid: &CodeGrid,
    start: u32,
    alike: &Alike,
    is_contiguous: bool,
    wrap: Wrap,
) -> Vec<u32> {
    let (width, height) = (grid.width(), grid.height());
    let count = width * height;
    if start >= count {
        return Vec::new();
    }
    if !is_contiguous {
        return (0..count)
            .filter(|&index| alike.holds(grid.at(index)))
            .collect();
    }
    let mut seen = vec![false; count as usize];
    seen[start as usize] = true;
    let mut found = vec![start];
    let mut next = 0;
    while let Some(&index) = found.get(next) {
        next += 1;
        let (x, y) = (index % width, index / width);
        let sides = [
            (step(x, -1, width, wrap.x), Some(y)),
            (step(x, 1, width, wrap.x), Some(y)),
            (Some(x), step(y, -1, height, wrap.y)),
            (Some(x), step(y, 1, height, wrap.y)),
        ];
        for (x, y) in sides {
            if let (Some(x), Some(y)) = (x, y) {
                let index = y * width + x;
                if !seen[index as usize] && alike.holds(grid.at(index)) {
                    seen[index as usize] = true;
                    found.push(index);
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
