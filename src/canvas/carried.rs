//! Pixels of a quilt: its codes decoded, plus what decoding its sources leaves out of them, carried along.
//!
//! A picture S with codes r loses R = S − D(r) when it is decoded. A cell taken from there takes R with it: D(e) + R[coordinate]. Where
//! neighbouring cells come from different places, their residuals overlap by a few pixels, weighted so that the sum keeps its
//! variance: a plain mean of two unlike residuals would be a blurred line. (R has almost no mean: what is low in frequency is decoded.)

use rayon::prelude::*;

use super::decode::Chain;
use crate::codec::Codec;
use crate::codec::pixels::{from_rgba8, to_rgba8};
use crate::document::{
    Codes, DETAIL_STRIDE_PX, Geometry, Level, Raster, Rect, STRUCTURE_STRIDE_PX, Samples, Source,
    Wrap,
};
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::quilt::Quilt;

const CELL: usize = DETAIL_STRIDE_PX as usize;
/// Width of the overlap, as the standard deviation of a cell's weight, in pixels.
const OVERLAP_PX: f32 = 1.5;

type Pixel = [f32; 4];

/// Values that lie under the detail cells of one source, pixel by pixel; outside of it there are none.
#[derive(Debug, Clone)]
pub struct Layer {
    width: usize,
    height: usize,
    values: Vec<Pixel>,
}

impl Layer {
    /// The pixels themselves, premultiplied and scaled to [−1, 1].
    pub fn of_pixels(source: &Source) -> Self {
        let (pixels, _) = source.rgba8().as_chunks::<4>();
        Self {
            width: source.width() as usize,
            height: source.height() as usize,
            values: pixels.par_iter().map(|&pixel| from_rgba8(pixel)).collect(),
        }
    }

    /// What the codes of a picture, decoded, lack of it.
    ///
    /// # Errors
    /// As [`Chain::decode_tiles`].
    pub fn residual(
        codec: &Codec,
        source: &Source,
        codes: &Codes,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut layer = Self::of_pixels(source);
        let decoded = decode(codec, codes, source.geometry(), Wrap::default(), observer)?;
        for (value, decoded) in layer.values.iter_mut().zip(decoded) {
            for (value, decoded) in value.iter_mut().zip(decoded) {
                *value -= decoded;
            }
        }
        Ok(layer)
    }

    fn at(&self, y: i32, x: i32) -> Option<&Pixel> {
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(x).ok()?);
        if y >= self.height || x >= self.width {
            return None;
        }
        self.values.get(y * self.width + x)
    }
}

/// How values of different places are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Their variance stays.
    Variance,
    /// Their mean stays.
    Mean,
}

/// A quilt as it is to be seen.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    pub quilt: &'a Quilt,
    pub wrap: Wrap,
    /// Per structure cell: whether it was made; the others keep their pixels outside the halo. `None`: all were.
    pub made: Option<&'a [bool]>,
    /// Of each source; `None` where it is gone or was not used: its cells are decoded alone.
    pub layers: &'a [Option<Layer>],
}

impl Carried<'_> {
    /// The whole canvas, in whole structure cells, 8 bits per channel.
    ///
    /// # Errors
    /// As [`Chain::decode_tiles`].
    pub fn render(&self, codec: &Codec, observer: &dyn Observer) -> Result<Raster> {
        let geometry = self.geometry()?;
        let codes = &self.quilt.codes;
        let mut pixels = decode(codec, codes, geometry, self.wrap, observer)?;
        let carried = self.join(Join::Variance);
        for (pixel, carried) in pixels.iter_mut().zip(&carried) {
            for (value, carried) in pixel.iter_mut().zip(carried) {
                *value += carried;
            }
        }
        raster(geometry, &pixels)
    }

    /// Another picture of each source's size (a normal or height map, say), put together as the quilt is.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn render_map(&self) -> Result<Raster> {
        raster(self.geometry()?, &self.join(Join::Mean))
    }

    fn geometry(&self) -> Result<Geometry> {
        let grid = &self.quilt.codes.structure;
        Geometry::new(
            grid.width() * STRUCTURE_STRIDE_PX,
            grid.height() * STRUCTURE_STRIDE_PX,
        )
    }

    fn is_made(&self, y: usize, x: usize) -> bool {
        let wide = self.quilt.codes.structure.width() as usize;
        self.made.is_none_or(|made| made[y / 4 * wide + x / 4])
    }

    fn join(&self, join: Join) -> Vec<Pixel> {
        let grid = self.quilt.codes.level(Level::Detail);
        let (width, height) = (grid.width() as usize, grid.height() as usize);
        let mut out = vec![[0.0; 4]; width * height * CELL * CELL];
        out.par_chunks_mut((width * CELL * CELL).max(1))
            .enumerate()
            .for_each(|(y, rows)| {
                for x in 0..width {
                    self.join_cell((y, x), (height, width), join, rows);
                }
            });
        out
    }

    /// One cell of 4 × 4 pixels; `rows` are the four rows of pixels that it lies in.
    fn join_cell(
        &self,
        (y, x): (usize, usize),
        size: (usize, usize),
        join: Join,
        rows: &mut [Pixel],
    ) {
        // A kept cell keeps what is its own.
        let reach = if self.is_made(y, x) { 1 } else { 0 };
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(9);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let Some(index) = self.neighbour((y, x), (dy, dx), size) else {
                    continue;
                };
                let at = self.quilt.detail_at[index];
                let Some(layer) = self
                    .layers
                    .get(usize::from(at.source))
                    .and_then(Option::as_ref)
                else {
                    continue;
                };
                // First pixel of this cell, were it taken from where that neighbour is.
                let first = (
                    (i32::from(at.y) - dy) * CELL as i32,
                    (i32::from(at.x) - dx) * CELL as i32,
                );
                let run =
                    (runs.iter_mut()).find(|run| run.source == at.source && run.first == first);
                match run {
                    Some(run) => run.cells.push((dy, dx)),
                    None => runs.push(Run {
                        source: at.source,
                        first,
                        layer,
                        cells: vec![(dy, dx)],
                    }),
                }
            }
        }
        let across = size.1 * CELL;
        for i in 0..CELL {
            for j in 0..CELL {
                let (mut sum, mut weights, mut squares) = ([0.0f32; 4], 0.0f32, 0.0f32);
                for run in &runs {
                    let (sy, sx) = (run.first.0 + i as i32, run.first.1 + j as i32);
                    let Some(value) = run.layer.at(sy, sx) else {
                        continue;
                    };
                    let weight: f32 = run.cells.iter().map(|&cell| weight(cell, i, j)).sum();
                    weights += weight;
                    squares += weight * weight;
                    for (sum, value) in sum.iter_mut().zip(value) {
                        *sum += weight * value;
                    }
                }
                let by = match join {
                    Join::Variance => squares.sqrt(),
                    Join::Mean => weights,
                };
                if by > 0.0 {
                    rows[i * across + x * CELL + j] = sum.map(|sum| sum / by);
                }
            }
        }
    }

    fn neighbour(
        &self,
        (y, x): (usize, usize),
        (dy, dx): (i32, i32),
        (height, width): (usize, usize),
    ) -> Option<usize> {
        let (y, x) = self.wrap.neighbour((y, x), (dy, dx), (height, width))?;
        Some(y * width + x)
    }
}

/// Neighbouring cells that lie side by side in their source as well.
struct Run<'a> {
    source: u16,
    first: (i32, i32),
    layer: &'a Layer,
    /// Relative to the cell in question.
    cells: Vec<(i32, i32)>,
}

/// What a cell counts at pixel (`i`, `j`) of the cell that it is (y, x) cells away from.
fn weight((dy, dx): (i32, i32), i: usize, j: usize) -> f32 {
    let middle = CELL as f32 / 2.0 - 0.5;
    let y = i as f32 - middle - (dy * CELL as i32) as f32;
    let x = j as f32 - middle - (dx * CELL as i32) as f32;
    (-(y * y + x * x) / (2.0 * OVERLAP_PX * OVERLAP_PX)).exp()
}

/// Values of a whole canvas, not clamped.
fn decode(
    codec: &Codec,
    codes: &Codes,
    geometry: Geometry,
    wrap: Wrap,
    observer: &dyn Observer,
) -> Result<Vec<Pixel>> {
    let width = geometry.width() as usize;
    let mut pixels = vec![[0.0; 4]; width * geometry.height() as usize];
    let quiet = Quiet(observer);
    Chain::new(codec, geometry, wrap)?.decode_tiles(codes, &quiet, |rect: Rect, values| {
        let (tile, _) = values.as_chunks::<4>();
        for (row, line) in tile.chunks_exact(rect.width as usize).enumerate() {
            let start = (rect.y as usize + row) * width + rect.x as usize;
            pixels[start..start + line.len()].copy_from_slice(line);
        }
        Ok(())
    })?;
    Ok(pixels)
}

/// Can be stopped; its steps are no progress of the whole.
struct Quiet<'a>(&'a dyn Observer);

impl Observer for Quiet<'_> {
    fn stop(&self) -> Option<crate::progress::Stop> {
        self.0.stop()
    }
}

fn raster(geometry: Geometry, pixels: &[Pixel]) -> Result<Raster> {
    let rgba: Vec<u8> = pixels
        .par_iter()
        .flat_map_iter(|&pixel| to_rgba8(pixel))
        .collect();
    Raster::new(geometry.width(), geometry.height(), Samples::Rgba8(rgba))
}

/// The part of a raster that a document of this size shows.
///
/// # Errors
/// `Internal` where the raster is smaller.
pub fn cropped(raster: &Raster, geometry: Geometry) -> Result<Raster> {
    if raster.geometry() == geometry {
        return Ok(raster.clone());
    }
    if raster.width() < geometry.width() || raster.height() < geometry.height() {
        return Err(Error::new(
            Kind::Internal,
            "could not cut the picture",
            "it is smaller than what is to be cut out of it",
            "",
        ));
    }
    let rgba8 = raster.rgba8();
    let rows = rgba8.chunks_exact(raster.width() as usize * 4);
    let rgba = rows
        .take(geometry.height() as usize)
        .flat_map(|row| &row[..geometry.width() as usize * 4])
        .copied()
        .collect();
    Raster::new(geometry.width(), geometry.height(), Samples::Rgba8(rgba))
}
