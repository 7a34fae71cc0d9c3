//! Where edits can be seen, and how strongly they replace the source.

use super::decode::Reach;
use super::residual::Carried;
use crate::document::{
    Codes, CoordinateGrid, DETAIL_STRIDE_PX, Geometry, Level, Rect, Sources, Wrap,
};

/// Over how many pixels the mask falls from 1 to 0: one structure cell, two detail cells. Short
/// enough to keep the source's texture close to the edit, long enough that no edge shows.
const fn feather_px(level: Level) -> u32 {
    match level {
        Level::Structure => 16,
        Level::Detail => 8,
    }
}

/// A canvas whose codes as edited differ from those as encoded.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'a> {
    pub geometry: Geometry,
    pub wrap: Wrap,
    pub encoded: &'a Codes,
    pub edited: &'a Codes,
    /// Where detail cells as edited come from: see [`crate::document::origin`].
    pub coordinates: &'a CoordinateGrid,
    pub sources: &'a Sources,
}

impl Edits<'_> {
    /// Whether nothing differs from the codes as encoded.
    pub fn is_empty(&self) -> bool {
        self.encoded == self.edited && self.coordinates.is_empty()
    }

    /// Whether a detail cell and the structure over it have the codes as encoded.
    pub(super) fn is_as_encoded(&self, detail_index: u32) -> bool {
        let at = detail_index as usize;
        let over = self.geometry.structure_over(detail_index) as usize;
        self.encoded.detail.cells()[at] == self.edited.detail.cells()[at]
            && self.encoded.structure.cells()[over] == self.edited.structure.cells()[over]
    }

    /// The index of a detail cell, whose place counts on beyond the borders of a canvas that wraps.
    pub(super) fn cell(&self, (x, y): (i64, i64)) -> Option<u32> {
        let along = |at: i64, cells: u32, wraps: bool| {
            let cells = i64::from(cells);
            match wraps {
                true => Some(at.rem_euclid(cells) as u32),
                false => (0..cells).contains(&at).then_some(at as u32),
            }
        };
        let columns = self.geometry.grid_width(Level::Detail);
        let x = along(x, columns, self.wrap.x)?;
        let y = along(y, self.geometry.grid_height(Level::Detail), self.wrap.y)?;
        Some(y * columns + x)
    }

    /// The detail cells of a rectangle and `margin` cells around it, row by row; `None` beyond the canvas.
    pub(super) fn around(&self, cells: Rect, margin: u32) -> impl Iterator<Item = Option<u32>> {
        let span = |start: u32, len: u32| {
            let (start, margin) = (i64::from(start), i64::from(margin));
            start - margin..start + i64::from(len) + margin
        };
        let columns = span(cells.x, cells.width);
        span(cells.y, cells.height)
            .flat_map(move |y| columns.clone().map(move |x| (x, y)))
            .map(|at| self.cell(at))
    }
}

/// What the edits do to a rectangle of pixels.
#[derive(Debug)]
pub(super) struct Influence {
    /// The blocks of 4×4 pixels of the rectangle in which pixels can change (the halo), row by row.
    halo: Vec<bool>,
    /// The blocks within reach of cells that bring their texture; empty where there are none.
    beside_moved: Vec<bool>,
    blocks_x: u32,
    /// The smallest rectangle around the halo, whole blocks, in padded coordinates.
    pub bounds: Rect,
    rect: Rect,
    /// m for each pixel of the rectangle, row by row.
    mask: Vec<f32>,
}

impl Influence {
    /// The influence of the edits on `rect`, whose sides are multiples of 4 and which lies within the padded
    /// canvas. `None` where nothing can change. Cells that bring their texture with them change pixels and leave the
    /// mask alone.
    pub fn of(
        edits: &Edits,
        carried: Option<&Carried<'_>>,
        reach: Reach,
        rect: Rect,
    ) -> Option<Influence> {
        let blocks = rect.to_cells(DETAIL_STRIDE_PX);
        let mut halo = vec![false; blocks.area() as usize];
        let mut mask = vec![0f32; rect.area() as usize];
        let mut any = false;
        for level in Level::ALL {
            let mut reach_blocks = reach.of(level).div_ceil(DETAIL_STRIDE_PX);
            if carried.is_some() {
                // Textures fade into each other over a cell.
                reach_blocks = reach_blocks.max(1);
            }
            let changed = Changed::around(edits, carried, level, blocks, reach_blocks);
            if !changed.any {
                continue;
            }
            any = true;
            changed.dilate_into(&mut halo);
            let feather = feather_px(level).min(reach.of(level));
            let painted = match carried {
                None => changed,
                Some(carried) => Changed::painted(edits, carried, level, blocks, reach_blocks),
            };
            if painted.any {
                painted.feather_into(feather, rect, &mut mask);
            }
        }
        if !any {
            return None;
        }
        let mut beside_moved = Vec::new();
        if let Some(carried) = carried {
            let far = (reach.structure_px.max(reach.detail_px)).div_ceil(DETAIL_STRIDE_PX);
            let (geometry, wrap) = (edits.geometry, edits.wrap);
            let moved = Changed::marked(geometry, wrap, Level::Detail, blocks, far, |_, under| {
                carried.moved(under).is_some()
            });
            beside_moved = vec![false; halo.len()];
            moved.dilate_into(&mut beside_moved);
        }
        let mut bounds = Rect::default();
        for (i, _) in halo.iter().enumerate().filter(|(_, inside)| **inside) {
            let (x, y) = (i as u32 % blocks.width, i as u32 / blocks.width);
            bounds = bounds.union(&Rect::new(blocks.x + x, blocks.y + y, 1, 1));
        }
        if bounds.is_empty() {
            return None;
        }
        Some(Influence {
            halo,
            beside_moved,
            blocks_x: blocks.width,
            bounds: bounds.to_pixels(DETAIL_STRIDE_PX),
            rect,
            mask,
        })
    }

    /// Whether cells that bring their texture can be seen at a pixel (padded coordinates, within the rectangle).
    pub fn is_beside_moved(&self, x: u32, y: u32) -> bool {
        let (x, y) = (x - self.rect.x, y - self.rect.y);
        let block = y / DETAIL_STRIDE_PX * self.blocks_x + x / DETAIL_STRIDE_PX;
        self.beside_moved.get(block as usize) == Some(&true)
    }

    /// m at a pixel (padded coordinates, within the rectangle), or `None` outside the halo.
    pub fn at(&self, x: u32, y: u32) -> Option<f32> {
        let (x, y) = (x - self.rect.x, y - self.rect.y);
        let block = y / DETAIL_STRIDE_PX * self.blocks_x + x / DETAIL_STRIDE_PX;
        self.halo[block as usize]
            .then(|| self.mask[y as usize * self.rect.width as usize + x as usize])
    }
}

/// How strongly the cells that `is_marked` says cover `rect` (in padded pixels, sides multiples of 4): 1 within
/// them, falling to 0 over the feather of an edit; row by row.
pub(super) fn cover(
    (geometry, wrap): (Geometry, Wrap),
    reach: Reach,
    rect: Rect,
    is_marked: impl Fn(Level, u32) -> bool,
) -> Vec<f32> {
    let blocks = rect.to_cells(DETAIL_STRIDE_PX);
    let mut mask = vec![0f32; rect.area() as usize];
    for level in Level::ALL {
        let feather = feather_px(level).min(reach.of(level));
        let margin = feather.div_ceil(DETAIL_STRIDE_PX);
        let marked = Changed::marked(geometry, wrap, level, blocks, margin, |cell, _| {
            is_marked(level, cell as u32)
        });
        if marked.any {
            marked.feather_into(feather, rect, &mut mask);
        }
    }
    mask
}

/// Changed cells of one level as blocks of 4×4 pixels, on a rectangle of blocks and a margin.
struct Changed {
    blocks: Vec<bool>,
    width: u32,
    height: u32,
    margin: u32,
    any: bool,
}

impl Changed {
    /// Cells with other codes, or textures from elsewhere.
    fn around(
        edits: &Edits,
        carried: Option<&Carried<'_>>,
        level: Level,
        rect: Rect,
        margin: u32,
    ) -> Self {
        let (old, new) = (edits.encoded.level(level), edits.edited.level(level));
        let carried = carried.filter(|_| level == Level::Detail);
        Self::marked(
            edits.geometry,
            edits.wrap,
            level,
            rect,
            margin,
            |cell, under| {
                old.cells()[cell] != new.cells()[cell]
                    || carried.is_some_and(|carried| carried.moved(under).is_some())
            },
        )
    }

    /// Cells with other codes, without the detail cells that bring a texture.
    fn painted(
        edits: &Edits,
        carried: &Carried<'_>,
        level: Level,
        rect: Rect,
        margin: u32,
    ) -> Self {
        let (old, new) = (edits.encoded.level(level), edits.edited.level(level));
        Self::marked(
            edits.geometry,
            edits.wrap,
            level,
            rect,
            margin,
            |cell, under| old.cells()[cell] != new.cells()[cell] && carried.moved(under).is_none(),
        )
    }

    /// Blocks that `is_marked` says, asked with the cell of the level and the detail cell that lie there.
    fn marked(
        geometry: Geometry,
        wrap: Wrap,
        level: Level,
        rect: Rect,
        margin: u32,
        is_marked: impl Fn(usize, u32) -> bool,
    ) -> Self {
        let (grid_width, grid_height) = (geometry.grid_width(level), geometry.grid_height(level));
        let per = (level.stride_px() / DETAIL_STRIDE_PX) as i64;
        let (width, height) = (rect.width + 2 * margin, rect.height + 2 * margin);
        // The cell and the detail cell under a block, or none beyond a border.
        let cell = |at: i64, cells: u32, wraps: bool| {
            let details = i64::from(cells) * per;
            let at = match wraps {
                true => at.rem_euclid(details),
                false => Some(at).filter(|at| (0..details).contains(at))?,
            };
            Some(((at / per) as usize, at as u32))
        };
        let detail_width = geometry.grid_width(Level::Detail);
        let columns: Vec<_> = (0..width)
            .map(|x| {
                let at = i64::from(rect.x) + i64::from(x) - i64::from(margin);
                cell(at, grid_width, wrap.x)
            })
            .collect();
        let mut blocks = vec![false; width as usize * height as usize];
        let mut any = false;
        for (y, line) in blocks.chunks_exact_mut(width as usize).enumerate() {
            let at = i64::from(rect.y) + y as i64 - i64::from(margin);
            let Some(row) = cell(at, grid_height, wrap.y) else {
                continue;
            };
            let (row, detail_row) = row;
            let start = row * grid_width as usize;
            for (block, column) in line.iter_mut().zip(&columns) {
                if let Some((column, detail_column)) = *column
                    && is_marked(start + column, detail_row * detail_width + detail_column)
                {
                    *block = true;
                    any = true;
                }
            }
        }
        Self {
            blocks,
            width,
            height,
            margin,
            any,
        }
    }

    /// Marks every block of the inner rectangle within `margin` blocks of a changed one.
    fn dilate_into(&self, halo: &mut [bool]) {
        let (width, margin) = (self.width as usize, self.margin as usize);
        let inner = width - 2 * margin;
        let window = 2 * margin + 1;
        // Rows first: how many changed blocks each inner column sees.
        let mut seen = vec![false; self.height as usize * inner];
        for (line, seen) in self
            .blocks
            .chunks_exact(width)
            .zip(seen.chunks_exact_mut(inner))
        {
            let mut count = line[..window - 1].iter().filter(|b| **b).count();
            for x in 0..inner {
                count += usize::from(line[x + window - 1]);
                seen[x] = count > 0;
                count -= usize::from(line[x]);
            }
        }
        for x in 0..inner {
            let column = |y: usize| usize::from(seen[y * inner + x]);
            let mut count: usize = (0..window - 1).map(column).sum();
            for y in 0..halo.len() / inner {
                count += column(y + window - 1);
                halo[y * inner + x] |= count > 0;
                count -= column(y);
            }
        }
    }

    /// Raises `mask` to a smooth fall from 1 at changed blocks to 0 `feather` pixels away.
    fn feather_into(&self, feather: u32, rect: Rect, mask: &mut [f32]) {
        let side = DETAIL_STRIDE_PX;
        let margin_px = self.margin * side;
        let feather = feather.min(margin_px);
        let f = feather as usize;
        let (width, height) = (rect.width as usize, rect.height as usize);
        let far = (2 * feather * feather + 1) as u16;
        // Squared distance along the row to a changed block, for the inner columns and `feather`
        // rows more on either side.
        let mut along = vec![far; (height + 2 * f) * width];
        let first_row = (margin_px - feather) as usize;
        let mut line_px = vec![false; self.width as usize * side as usize];
        let mut last_block_row = usize::MAX;
        let mut row_distance = vec![far; width];
        for (y, out) in along.chunks_exact_mut(width).enumerate() {
            let block_row = (first_row + y) / side as usize;
            if block_row != last_block_row {
                last_block_row = block_row;
                let blocks = &self.blocks[block_row * self.width as usize..][..self.width as usize];
                for (px, block) in line_px.chunks_exact_mut(side as usize).zip(blocks) {
                    px.fill(*block);
                }
                row_distances(&line_px, margin_px as usize, f, far, &mut row_distance);
            }
            out.copy_from_slice(&row_distance);
        }
        let mut nearest = vec![far; width];
        for y in 0..height {
            nearest.fill(far);
            for dy in 0..=2 * f {
                let offset = dy.abs_diff(f) as u16;
                let square = offset * offset;
                let row = &along[(y + dy) * width..][..width];
                for (n, &d) in nearest.iter_mut().zip(row) {
                    *n = (*n).min(d + square);
                }
            }
            for (m, &n) in mask[y * width..][..width].iter_mut().zip(&nearest) {
                let t = (1.0 - f32::from(n).sqrt() / feather.max(1) as f32).max(0.0);
                *m = m.max(t * t * (3.0 - 2.0 * t));
            }
        }
    }
}

/// Squared distances to the nearest set pixel of the line, `far` beyond `reach`.
fn row_distances(line: &[bool], margin: usize, reach: usize, far: u16, out: &mut [u16]) {
    out.fill(far);
    let mut keep = |x: usize, distance: usize| {
        if let Some(slot) = x.checked_sub(margin).and_then(|i| out.get_mut(i))
            && distance <= reach
        {
            *slot = (*slot).min((distance * distance) as u16);
        }
    };
    let mut last = None;
    for (x, set) in line.iter().enumerate() {
        if *set {
            last = Some(x);
        }
        if let Some(at) = last {
            keep(x, x - at);
        }
    }
    last = None;
    for (x, set) in line.iter().enumerate().rev() {
        if *set {
            last = Some(x);
        }
        if let Some(at) = last {
            keep(x, at - x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn influence(cell: (Level, u32), wrap: Wrap, reach: Reach, rect: Rect) -> Option<Influence> {
        let geometry = Geometry::new(256, 256).unwrap();
        let encoded = Codes::blank(geometry);
        let mut edited = encoded.clone();
        edited.level_mut(cell.0).set(cell.1, Some(5));
        Influence::of(
            &Edits {
                geometry,
                wrap,
                encoded: &encoded,
                edited: &edited,
                coordinates: &CoordinateGrid::default(),
                sources: &Sources::default(),
            },
            None,
            reach,
            rect,
        )
    }

    const REACH: Reach = Reach {
        structure_px: 40,
        detail_px: 8,
    };
    const ALL: Rect = Rect::new(0, 0, 256, 256);

    #[test]
    fn the_halo_is_the_cell_grown_by_the_reach() {
        let i = influence((Level::Structure, 16 * 8 + 8), Wrap::default(), REACH, ALL).unwrap();
        assert_eq!(i.bounds, Rect::new(88, 88, 96, 96));
        assert!(i.at(87, 100).is_none() && i.at(88, 88).is_some());
        let i = influence((Level::Detail, 64 * 20 + 20), Wrap::default(), REACH, ALL).unwrap();
        assert_eq!(i.bounds, Rect::new(72, 72, 20, 20));
    }

    #[test]
    fn the_mask_is_one_inside_and_falls_to_zero() {
        let i = influence((Level::Structure, 16 * 8 + 8), Wrap::default(), REACH, ALL).unwrap();
        assert_eq!(i.at(128, 143), Some(1.0));
        let right: Vec<f32> = (143..165).map(|x| i.at(x, 130).unwrap()).collect();
        assert!(right.windows(2).all(|w| w[1] <= w[0]));
        assert!(right[8] > 0.3 && right[8] < 0.7);
        assert_eq!(right[16], 0.0);
        assert_eq!(i.at(100, 100), Some(0.0));
        // The same distance gives the same value in every direction.
        assert_eq!(i.at(128 - 5, 130), i.at(143 + 5, 130));
        assert_eq!(i.at(130, 128 - 5), i.at(143 + 5, 130));
        assert!(i.at(143 + 5, 143 + 5) < i.at(143 + 5, 143));
    }

    #[test]
    fn a_window_sees_the_same_as_the_whole() {
        let cell = (Level::Structure, 16 * 8 + 8);
        let whole = influence(cell, Wrap::default(), REACH, ALL).unwrap();
        let part = Rect::new(84, 96, 64, 20);
        let window = influence(cell, Wrap::default(), REACH, part).unwrap();
        for y in part.y..part.bottom() {
            for x in part.x..part.right() {
                assert_eq!(window.at(x, y), whole.at(x, y), "{x}, {y}");
            }
        }
        let beside = Rect::new(0, 0, 88, 256);
        assert!(influence(cell, Wrap::default(), REACH, beside).is_none());
    }

    #[test]
    fn a_wrapping_canvas_continues_on_the_other_side() {
        let corner = (Level::Structure, 0);
        let none = influence(corner, Wrap::default(), REACH, Rect::new(200, 0, 56, 56));
        assert!(none.is_none());
        let wrap = Wrap { x: true, y: false };
        let i = influence(corner, wrap, REACH, ALL).unwrap();
        assert!(i.at(256 - 40, 0).is_some() && i.at(256 - 41, 0).is_none());
        assert!(i.at(250, 0).unwrap() > 0.0);
        assert!(i.at(0, 200).is_none());
    }
}
