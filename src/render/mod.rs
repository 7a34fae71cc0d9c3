//! The canvas on the screen: textures of the picture, drawn by a shader, or by plain textures where the
//! window has no wgpu renderer.
//!
//! # Limitations
//! A picture larger than the graphics card's largest texture is shown in parts, not smaller.

mod gpu;
mod overlay;
mod plain;
mod view;

use eframe::egui::{self, Color32};

pub use gpu::{Gpu, SHADERS};
pub use overlay::{CellOverlay, Tint};
pub use view::{Placed, View};

use crate::document::{CodeGrid, Rect, Source};

/// Longest side of one texture; larger pictures are cut into tiles.
const TILE_PX: u32 = 2048;

/// What of the picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Compare {
    /// As it is now.
    #[default]
    Now,
    /// As it came in.
    Before,
    /// As it came in to the left of this canvas column, as it is now to the right.
    Split(f32),
    /// Where it differs, four times as strong.
    Difference,
    /// As it is now, with this share (0 to 1) of as it came in.
    Blend(f32),
}

/// Colours that the canvas takes from the theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasColours {
    pub checker_dark: Color32,
    pub checker_light: Color32,
    pub grid: Color32,
}

/// How the canvas is drawn this time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub placed: Placed,
    pub compare: Compare,
    /// Side of a grid cell in canvas pixels, where a grid is shown.
    pub grid_px: Option<u32>,
    pub colours: CanvasColours,
    /// On which axes the canvas is repeated on either side.
    pub repeats: [bool; 2],
}

impl Look {
    /// Copies beside each other on each axis, the canvas in the middle.
    fn copies(&self) -> [u32; 2] {
        self.repeats.map(|repeats| if repeats { 3 } else { 1 })
    }
}

/// Cells that stay bright while the others are dimmed: 255 for a marked cell, 0 for another.
pub struct Mask {
    pub width: u32,
    pub height: u32,
    pub cells: Vec<u8>,
    /// Side of a cell in canvas pixels.
    pub cell_px: u32,
}

impl Mask {
    /// The cells of a grid that hold `code`.
    pub fn of_code(grid: &CodeGrid, code: u16, cell_px: u32) -> Self {
        Self {
            width: grid.width(),
            height: grid.height(),
            cells: (grid.cells().iter())
                .map(|&cell| if cell == code { 255 } else { 0 })
                .collect(),
            cell_px,
        }
    }
}

/// The textures of one open document.
pub enum Surface {
    Gpu(gpu::GpuSurface),
    Plain(plain::PlainSurface),
}

impl Surface {
    /// Shows the source until patches arrive. `gpu` is absent where the window has no wgpu renderer.
    pub fn new(gpu: Option<&Gpu>, ctx: &egui::Context, source: &Source) -> Self {
        match gpu {
            Some(gpu) => Self::Gpu(gpu::GpuSurface::new(gpu, source)),
            None => Self::Plain(plain::PlainSurface::new(ctx, source)),
        }
    }

    /// Replaces the pixels of `rect` (within the picture) by `rgba8`, straight alpha, row by row.
    pub fn patch(&mut self, rect: Rect, rgba8: &[u8]) {
        debug_assert_eq!(rgba8.len() as u64, rect.area() * 4);
        if rect.is_empty() {
            return;
        }
        match self {
            Self::Gpu(surface) => surface.patch(rect, rgba8),
            Self::Plain(surface) => surface.patch(rect, rgba8),
        }
    }

    /// What is shown as the picture is now, straight RGBA8 row by row, where it is kept in memory: not on a
    /// graphics processor.
    pub fn pixels(&self) -> Option<&[u8]> {
        match self {
            Self::Gpu(_) => None,
            Self::Plain(surface) => Some(surface.pixels()),
        }
    }

    /// Compares with other pixels than those that the picture came with: all of it, straight alpha.
    pub fn set_before(&mut self, rgba8: &[u8]) {
        match self {
            Self::Gpu(surface) => surface.set_before(rgba8),
            Self::Plain(surface) => surface.set_before(rgba8),
        }
    }

    pub fn set_mask(&mut self, mask: Option<Mask>) {
        match self {
            Self::Gpu(surface) => surface.set_mask(mask.as_ref()),
            Self::Plain(surface) => surface.set_mask(mask),
        }
    }

    /// Draws the canvas into the panel of `look`.
    pub fn paint(&self, painter: &egui::Painter, look: &Look) {
        match self {
            Self::Gpu(surface) => surface.paint(painter, look),
            Self::Plain(surface) => surface.paint(painter, look),
        }
    }
}

/// Texels along each axis whose mean a screen pixel shows, and whether they are its neighbours, by nearness: nearest from 200 % on
/// and at 100 %; between, smooth; below, the mean of what the pixel covers.
fn filter(zoom: f32) -> (u32, bool) {
    if zoom >= 1.99 || (zoom - 1.0).abs() < 0.01 {
        (1, false)
    } else if zoom > 1.0 {
        (2, true)
    } else {
        ((1.0 / zoom).ceil().clamp(2.0, 6.0) as u32, false)
    }
}

/// The tiles of a picture: rectangles of at most [`TILE_PX`] a side.
fn tiles(width: u32, height: u32) -> Vec<Rect> {
    let bounds = Rect::new(0, 0, width, height);
    (0..height)
        .step_by(TILE_PX as usize)
        .flat_map(|y| {
            (0..width)
                .step_by(TILE_PX as usize)
                .map(move |x| Rect::new(x, y, TILE_PX, TILE_PX).intersect(&bounds))
        })
        .collect()
}

/// The rows of `part` within the pixels of `whole`: the index of the first byte, and bytes from row to row.
fn rows_of(part: Rect, whole: Rect) -> (usize, usize) {
    let stride = whole.width as usize * 4;
    let start = (part.y - whole.y) as usize * stride + (part.x - whole.x) as usize * 4;
    (start, stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_picture_once() {
        for (width, height) in [(1, 1), (2048, 2048), (2049, 100), (5000, 4097)] {
            let all = tiles(width, height);
            let area: u64 = all.iter().map(Rect::area).sum();
            assert_eq!(area, u64::from(width) * u64::from(height));
            assert!(
                all.iter()
                    .all(|t| t.width <= TILE_PX && t.height <= TILE_PX)
            );
        }
    }

    #[test]
    fn a_part_is_found_in_the_whole() {
        let (start, stride) = rows_of(Rect::new(7, 9, 2, 2), Rect::new(5, 6, 10, 10));
        assert_eq!((start, stride), (3 * 40 + 2 * 4, 40));
    }
}
