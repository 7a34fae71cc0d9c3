//! Where things are: levels, rectangles, wrap and the mapping between pixels and cells.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Longest side of a document, in pixels.
pub const MAX_SIDE_PX: u32 = 32_768;
/// Largest document, in pixels (16,384 × 16,384).
pub const MAX_PIXELS: u64 = 1 << 28;
/// Documents are padded to a multiple of this, the side of a structure cell in pixels.
pub const STRUCTURE_STRIDE_PX: u32 = 16;
/// Side of a detail cell in pixels.
pub const DETAIL_STRIDE_PX: u32 = 4;

/// One of the two code grids of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One code per 16×16 pixels: layout and colour.
    Structure,
    /// One code per 4×4 pixels, or *empty*: decoded from structure alone.
    Detail,
}

impl Level {
    pub const ALL: [Level; 2] = [Level::Structure, Level::Detail];

    /// Side of a cell in pixels.
    pub const fn stride_px(self) -> u32 {
        match self {
            Level::Structure => STRUCTURE_STRIDE_PX,
            Level::Detail => DETAIL_STRIDE_PX,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Level::Structure => "structure",
            Level::Detail => "detail",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the canvas is a torus on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    pub x: bool,
    pub y: bool,
}

impl Wrap {
    /// The cell (y, x) that lies (dy, dx) cells from one of a grid of (height, width); `None` beyond a border that does not wrap.
    #[inline(always)]
    pub(crate) fn neighbour(
        self,
        (y, x): (usize, usize),
        (dy, dx): (i32, i32),
        (height, width): (usize, usize),
    ) -> Option<(usize, usize)> {
        let along = |at: usize, d: i32, length: usize, wraps: bool| {
            let to = at as i32 + d;
            if wraps {
                Some(to.rem_euclid(length as i32) as usize)
            } else {
                usize::try_from(to).ok().filter(|&to| to < length)
            }
        };
        Some((along(y, dy, height, self.y)?, along(x, dx, width, self.x)?))
    }
}

/// A half-open rectangle `[x, x + width) × [y, y + height)`, in pixels or in cells as its owner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Rect {
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// From edges; `x1 < x0` gives an empty rectangle.
    pub const fn from_edges(x0: u32, y0: u32, x1: u32, y1: u32) -> Self {
        Self::new(x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0))
    }

    /// First column to the right of it.
    pub const fn right(&self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// First row below it.
    pub const fn bottom(&self) -> u32 {
        self.y.saturating_add(self.height)
    }

    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    pub const fn area(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    pub const fn contains(&self, x: u32, y: u32) -> bool {
        x >= self.x && x < self.right() && y >= self.y && y < self.bottom()
    }

    pub fn intersect(&self, other: &Rect) -> Rect {
        Rect::from_edges(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    /// The smallest rectangle around both; an empty one adds nothing.
    pub fn union(&self, other: &Rect) -> Rect {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Rect::from_edges(
            self.x.min(other.x),
            self.y.min(other.y),
            self.right().max(other.right()),
            self.bottom().max(other.bottom()),
        )
    }

    /// Grown by `by` on each side, cut at zero (not at the canvas).
    pub fn inflate(&self, by: u32) -> Rect {
        if self.is_empty() {
            return *self;
        }
        Rect::from_edges(
            self.x.saturating_sub(by),
            self.y.saturating_sub(by),
            self.right().saturating_add(by),
            self.bottom().saturating_add(by),
        )
    }

    /// Every cell of side `stride` that a pixel rectangle touches.
    pub fn to_cells(&self, stride: u32) -> Rect {
        if self.is_empty() {
            return Rect::default();
        }
        Rect::from_edges(
            self.x / stride,
            self.y / stride,
            self.right().div_ceil(stride),
            self.bottom().div_ceil(stride),
        )
    }

    /// The pixels of a rectangle of cells.
    pub fn to_pixels(&self, stride: u32) -> Rect {
        Rect::new(
            self.x.saturating_mul(stride),
            self.y.saturating_mul(stride),
            self.width.saturating_mul(stride),
            self.height.saturating_mul(stride),
        )
    }
}

/// The size of a document and of its code grids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Size", into = "Size")]
pub struct Geometry {
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    width: u32,
    height: u32,
}

impl TryFrom<Size> for Geometry {
    type Error = Error;
    fn try_from(size: Size) -> Result<Self> {
        Geometry::new(size.width, size.height)
    }
}

impl From<Geometry> for Size {
    fn from(geometry: Geometry) -> Self {
        Size {
            width: geometry.width,
            height: geometry.height,
        }
    }
}

impl Geometry {
    /// # Errors
    /// `Limit` when a side is 0 or above [`MAX_SIDE_PX`], or the area above [`MAX_PIXELS`].
    pub fn new(width: u32, height: u32) -> Result<Self> {
        if width == 0
            || height == 0
            || width > MAX_SIDE_PX
            || height > MAX_SIDE_PX
            || u64::from(width) * u64::from(height) > MAX_PIXELS
        {
            return Err(Error::new(
                Kind::Limit,
                "could not make a document of this size",
                format!(
                    "{width} × {height} pixels; sides go from 1 to {MAX_SIDE_PX} and the area up to {MAX_PIXELS} pixels"
                ),
                "Scale the picture down or cut it into parts",
            ));
        }
        Ok(Self { width, height })
    }

    /// Width of the picture in pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height of the picture in pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Width rounded up to whole structure cells, in pixels.
    pub const fn padded_width(&self) -> u32 {
        self.width.next_multiple_of(STRUCTURE_STRIDE_PX)
    }

    /// Height rounded up to whole structure cells, in pixels.
    pub const fn padded_height(&self) -> u32 {
        self.height.next_multiple_of(STRUCTURE_STRIDE_PX)
    }

    /// The picture as a pixel rectangle.
    pub const fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    /// The padded picture as a pixel rectangle.
    pub const fn padded_bounds(&self) -> Rect {
        Rect::new(0, 0, self.padded_width(), self.padded_height())
    }

    pub const fn grid_width(&self, level: Level) -> u32 {
        self.padded_width() / level.stride_px()
    }

    pub const fn grid_height(&self, level: Level) -> u32 {
        self.padded_height() / level.stride_px()
    }

    /// All cells of a level, in cells.
    pub const fn grid_bounds(&self, level: Level) -> Rect {
        Rect::new(0, 0, self.grid_width(level), self.grid_height(level))
    }

    pub const fn cell_count(&self, level: Level) -> usize {
        self.grid_width(level) as usize * self.grid_height(level) as usize
    }

    /// The pixels of one cell, in padded coordinates. `index` counts row by row.
    pub const fn cell_pixels(&self, level: Level, index: u32) -> Rect {
        let stride = level.stride_px();
        let columns = self.grid_width(level);
        Rect::new(
            (index % columns) * stride,
            (index / columns) * stride,
            stride,
            stride,
        )
    }

    /// The structure cell over a detail cell.
    pub const fn structure_over(&self, detail_index: u32) -> u32 {
        const PER: u32 = STRUCTURE_STRIDE_PX / DETAIL_STRIDE_PX;
        let columns = self.grid_width(Level::Detail);
        let (x, y) = (detail_index % columns, detail_index / columns);
        y / PER * self.grid_width(Level::Structure) + x / PER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_sizes_are_whole_structure_cells() {
        let g = Geometry::new(17, 16).unwrap();
        assert_eq!((g.padded_width(), g.padded_height()), (32, 16));
        assert_eq!(g.grid_bounds(Level::Structure), Rect::new(0, 0, 2, 1));
        assert_eq!(g.grid_bounds(Level::Detail), Rect::new(0, 0, 8, 4));
        assert_eq!(g.cell_pixels(Level::Detail, 9), Rect::new(4, 4, 4, 4));
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for (w, h) in [
            (0, 4),
            (4, 0),
            (MAX_SIDE_PX + 1, 1),
            (MAX_SIDE_PX, MAX_SIDE_PX),
        ] {
            assert_eq!(Geometry::new(w, h).unwrap_err().kind, Kind::Limit);
        }
        assert!(serde_json::from_str::<Geometry>(r#"{"width":0,"height":1}"#).is_err());
    }

    #[test]
    fn rectangles_intersect_unite_and_convert() {
        let a = Rect::new(2, 2, 10, 4);
        let b = Rect::new(8, 0, 10, 3);
        assert_eq!(a.intersect(&b), Rect::new(8, 2, 4, 1));
        assert!(a.intersect(&Rect::new(12, 2, 1, 1)).is_empty());
        assert_eq!(a.union(&b), Rect::new(2, 0, 16, 6));
        assert_eq!(a.union(&Rect::default()), a);
        assert_eq!(a.to_cells(4), Rect::new(0, 0, 3, 2));
        assert_eq!(
            Rect::new(1, 1, 2, 1).to_pixels(16),
            Rect::new(16, 16, 32, 16)
        );
        assert_eq!(a.inflate(3), Rect::new(0, 0, 15, 9));
    }
}
