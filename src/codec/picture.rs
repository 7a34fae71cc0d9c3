//! Whole pictures of any size: 8-bit RGBA in, codes out, and back, in tiles of bounded memory. A tile is computed with
//! as much context as the receptive field asks for, so tiling changes nothing.

use candle_core::Tensor;

use crate::codec::{Codec, EMPTY, STRUCTURE_STRIDE_PX, pixels};
use crate::error::{Error, Kind, Result};
use crate::kernels::{Padding, no_grad};
use crate::progress::Observer;

/// Tiles are this many structure cells (512 px) wide and high, without their context.
const TILE_CELLS: usize = 32;
pub const MAX_SIDE_PX: usize = 1 << 16;
pub const MAX_PIXELS: usize = 1 << 28;

/// The codes of one picture, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureCodes {
    /// In pixels, before padding to whole cells.
    pub width: usize,
    pub height: usize,
    /// Pixels per detail cell side.
    pub detail_stride_px: usize,
    pub structure: Vec<u32>,
    /// [`EMPTY`] where a cell has no code.
    pub detail: Vec<u32>,
}

impl PictureCodes {
    /// Rows and columns of the structure grid.
    pub fn structure_cells(&self) -> (usize, usize) {
        (
            self.height.div_ceil(STRUCTURE_STRIDE_PX),
            self.width.div_ceil(STRUCTURE_STRIDE_PX),
        )
    }

    /// Rows and columns of the detail grid.
    pub fn detail_cells(&self) -> (usize, usize) {
        let (rows, columns) = self.structure_cells();
        let finer = STRUCTURE_STRIDE_PX / self.detail_stride_px;
        (rows * finer, columns * finer)
    }

    /// These codes with every detail cell empty.
    #[must_use]
    pub fn structure_only(mut self) -> Self {
        self.detail.fill(EMPTY);
        self
    }
}

/// A run of cells along one axis and the context around it, in structure cells.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    cells: usize,
    before: usize,
    after: usize,
    /// Cells of the whole axis; positions outside are only asked for where the axis wraps.
    total: usize,
    /// The window is the whole axis and wraps in itself.
    wraps: bool,
}

impl Span {
    /// Cuts an axis of `total` cells into tiles with `context` cells around each.
    fn cut(total: usize, tile: usize, context: usize, wraps: bool) -> Vec<Span> {
        if total <= tile + 2 * context {
            return vec![Span {
                start: 0,
                cells: total,
                before: 0,
                after: 0,
                total,
                wraps,
            }];
        }
        (0..total)
            .step_by(tile)
            .map(|start| {
                let cells = tile.min(total - start);
                let clip = |context: usize, room: usize| {
                    if wraps { context } else { context.min(room) }
                };
                Span {
                    start,
                    cells,
                    before: clip(context, start),
                    after: clip(context, total - start - cells),
                    total,
                    wraps: false,
                }
            })
            .collect()
    }

    /// This span's cells with other context: two passes may need different amounts.
    fn with_context(self, context: usize, wraps: bool) -> Span {
        if self.cells == self.total {
            return self;
        }
        let clip = |room: usize| if wraps { context } else { context.min(room) };
        Span {
            before: clip(self.start),
            after: clip(self.total - self.start - self.cells),
            ..self
        }
    }

    fn window_cells(&self) -> usize {
        self.before + self.cells + self.after
    }

    /// Positions of the window at `per_cell` positions a cell, wrapped into the axis.
    fn positions(&self, per_cell: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let total = self.total * per_cell;
        let first = (self.start + self.total * self.before.div_ceil(self.total.max(1))
            - self.before)
            * per_cell;
        (first..first + self.window_cells() * per_cell).map(move |position| position % total)
    }
}

impl Codec {
    /// Encodes straight 8-bit RGBA of any size. Sides are padded to a multiple of 16 by repeating the edge, or the
    /// picture where that axis wraps.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `rgba` does not have `width`×`height` pixels, [`Kind::Limit`] beyond [`MAX_SIDE_PX`] or
    /// [`MAX_PIXELS`], [`Kind::NotFinite`], [`Kind::Cancelled`].
    pub fn encode_picture(
        &self,
        rgba: &[u8],
        (width, height): (usize, usize),
        padding: Padding,
        observer: &dyn Observer,
    ) -> Result<PictureCodes> {
        self.encode_tiled(rgba, (width, height), padding, TILE_CELLS, observer)
    }

    fn encode_tiled(
        &self,
        rgba: &[u8],
        (width, height): (usize, usize),
        padding: Padding,
        tile: usize,
        observer: &dyn Observer,
    ) -> Result<PictureCodes> {
        let picture = Picture::new(rgba, (width, height), padding)?;
        let stride = self.config().detail.stride;
        let mut codes = PictureCodes {
            width,
            height,
            detail_stride_px: stride,
            structure: Vec::new(),
            detail: Vec::new(),
        };
        let (rows, columns) = codes.structure_cells();
        let reach = self.receptive_field();
        let context = reach.structure.encode_px.div_ceil(STRUCTURE_STRIDE_PX);
        let tiles = tiles(rows, columns, tile, context, padding);
        if let [(y, x)] = tiles[..] {
            let (structure, detail) =
                self.encode(&picture.window(y, x, self)?, window_padding(y, x))?;
            codes.structure = structure.flatten_all()?.to_vec1()?;
            codes.detail = detail.flatten_all()?.to_vec1()?;
            return Ok(codes);
        }

        // Structure first, everywhere: detail codes depend on the structure codes around them.
        let steps = 2 * tiles.len() as u64;
        let mut done = 0;
        let mut advance = || {
            done += 1;
            observer.progress(done, steps);
            observer.check()
        };
        codes.structure = vec![0; rows * columns];
        for &(y, x) in &tiles {
            let pixels = picture.window(y, x, self)?;
            let found = no_grad(|| -> Result<Tensor> {
                let features = self.network.encode(&pixels, window_padding(y, x))?;
                self.structure
                    .nearest(&self.network.structure_vectors(&features.coarsest)?)
            })?;
            put(&mut codes.structure, columns, &found, (y, x), 1)?;
            advance()?;
        }
        let finer = STRUCTURE_STRIDE_PX / stride;
        let detail_columns = columns * finer;
        codes.detail = vec![0; rows * finer * detail_columns];
        let feature_context = reach_of_features(self).div_ceil(STRUCTURE_STRIDE_PX);
        let trunk_context = reach.trunk_halo_cells();
        for &(y, x) in &tiles {
            let at = |context| {
                (
                    y.with_context(context, padding.wraps_y()),
                    x.with_context(context, padding.wraps_x()),
                )
            };
            let found = no_grad(|| -> Result<Tensor> {
                let (fy, fx) = at(feature_context);
                let pixels = picture.window(fy, fx, self)?;
                let features = self
                    .network
                    .encode_to_detail(&pixels, window_padding(fy, fx))?;
                let features = crop(&features, (fy, fx), finer)?;
                let (ty, tx) = at(trunk_context);
                let structure = self.grid_window(&codes.structure, columns, (ty, tx), 1)?;
                let trunk = self.trunk(&structure, window_padding(ty, tx))?;
                let trunk = crop(&trunk, (ty, tx), finer)?;
                self.detail
                    .nearest(&self.network.detail_vectors(&features, &trunk)?)
            })?;
            let (y, x) = at(0);
            put(&mut codes.detail, detail_columns, &found, (y, x), finer)?;
            advance()?;
        }
        Ok(codes)
    }

    /// The embedding of a whole picture in straight 8-bit RGBA, of length 1; empty for a codec without embedding. Sides are
    /// padded as in [`Self::encode_picture`]. All of it is computed at once: some 500 bytes of memory per pixel.
    ///
    /// # Errors
    /// As [`Self::encode_picture`].
    pub fn embed_picture(&self, rgba: &[u8], (width, height): (usize, usize)) -> Result<Vec<f32>> {
        let picture = Picture::new(rgba, (width, height), Padding::Zero)?;
        let whole = |side: usize| {
            let cells = side.div_ceil(STRUCTURE_STRIDE_PX);
            Span {
                start: 0,
                cells,
                before: 0,
                after: 0,
                total: cells,
                wraps: false,
            }
        };
        let pixels = picture.window(whole(height), whole(width), self)?;
        Ok(match self.embed(&pixels, Padding::Zero)? {
            Some(embedding) => embedding.flatten_all()?.to_vec1()?,
            None => Vec::new(),
        })
    }

    /// Decodes to straight 8-bit RGBA, cropped to the picture's own size.
    ///
    /// # Errors
    /// [`Kind::Usage`] for grids of a wrong size or codes that the model does not have, [`Kind::Limit`] beyond
    /// [`MAX_SIDE_PX`] or [`MAX_PIXELS`], [`Kind::Cancelled`].
    pub fn decode_picture(
        &self,
        codes: &PictureCodes,
        padding: Padding,
        observer: &dyn Observer,
    ) -> Result<Vec<u8>> {
        let mut rgba = Vec::new();
        self.decode_tiled(
            codes,
            padding,
            TILE_CELLS,
            observer,
            |size, row, column, pixels| {
                rgba.resize(size.0 * size.1 * 4, 0);
                let start = (row * size.0 + column) * 4;
                rgba[start..start + pixels.len() * 4]
                    .iter_mut()
                    .zip(pixels.iter().flat_map(|&pixel| pixels::to_rgba8(pixel)))
                    .for_each(|(byte, value)| *byte = value);
            },
        )?;
        Ok(rgba)
    }

    /// Calls `write((width, height), row, column, pixels)` with pieces of rows.
    fn decode_tiled(
        &self,
        codes: &PictureCodes,
        padding: Padding,
        tile: usize,
        observer: &dyn Observer,
        mut write: impl FnMut((usize, usize), usize, usize, &[[f32; 4]]),
    ) -> Result<()> {
        check_size(codes.width, codes.height)?;
        let stride = self.config().detail.stride;
        let (rows, columns) = codes.structure_cells();
        let finer = STRUCTURE_STRIDE_PX / stride;
        if codes.detail_stride_px != stride
            || codes.structure.len() != rows * columns
            || codes.detail.len() != rows * columns * finer * finer
        {
            return Err(Error::usage(
                "could not decode the picture",
                "its code grids do not have the size that the picture and the model ask for",
                "Use codes of the same model",
            ));
        }
        let context = self.receptive_field().structure.decode_cells();
        let tiles = tiles(rows, columns, tile, context, padding);
        for (index, &(y, x)) in tiles.iter().enumerate() {
            observer.check()?;
            let structure = self.grid_window(&codes.structure, columns, (y, x), 1)?;
            let detail = self.grid_window(&codes.detail, columns * finer, (y, x), finer)?;
            let decoded = self.decode(&structure, &detail, window_padding(y, x))?;
            let decoded = crop(&decoded, (y, x), STRUCTURE_STRIDE_PX)?
                .flatten_all()?
                .to_vec1::<f32>()?;
            let (decoded, _) = decoded.as_chunks::<4>();
            let (top, left) = (y.start * STRUCTURE_STRIDE_PX, x.start * STRUCTURE_STRIDE_PX);
            let tile_width = x.cells * STRUCTURE_STRIDE_PX;
            let visible = tile_width.min(codes.width - left);
            for (row, line) in decoded.chunks_exact(tile_width).enumerate() {
                if top + row < codes.height {
                    let size = (codes.width, codes.height);
                    write(size, top + row, left, &line[..visible]);
                }
            }
            observer.progress(index as u64 + 1, tiles.len() as u64);
        }
        Ok(())
    }

    /// The window of a code grid with `columns` columns and `per_cell` codes a structure cell side.
    fn grid_window(
        &self,
        grid: &[u32],
        columns: usize,
        (y, x): (Span, Span),
        per_cell: usize,
    ) -> Result<Tensor> {
        let rows = y.positions(per_cell);
        let values: Vec<u32> = rows
            .flat_map(|row| {
                x.positions(per_cell)
                    .map(move |column| grid[row * columns + column])
            })
            .collect();
        let shape = (1, y.window_cells() * per_cell, x.window_cells() * per_cell);
        Ok(Tensor::from_vec(values, shape, self.device())?)
    }
}

struct Picture<'a> {
    rgba: &'a [u8],
    width: usize,
    height: usize,
    padding: Padding,
}

impl<'a> Picture<'a> {
    fn new(rgba: &'a [u8], (width, height): (usize, usize), padding: Padding) -> Result<Self> {
        check_size(width, height)?;
        if rgba.len() != width * height * 4 {
            return Err(Error::usage(
                "could not encode the picture",
                format!("{} bytes are not {width}x{height} RGBA pixels", rgba.len()),
                "",
            ));
        }
        Ok(Self {
            rgba,
            width,
            height,
            padding,
        })
    }

    fn window(&self, y: Span, x: Span, codec: &Codec) -> Result<Tensor> {
        let source = |position: usize, side: usize, wraps: bool| {
            if wraps {
                position % side
            } else {
                position.min(side - 1)
            }
        };
        let columns: Vec<usize> = x
            .positions(STRUCTURE_STRIDE_PX)
            .map(|column| source(column, self.width, self.padding.wraps_x()))
            .collect();
        let (picture, _) = self.rgba.as_chunks::<4>();
        let (height, width) = (
            y.window_cells() * STRUCTURE_STRIDE_PX,
            x.window_cells() * STRUCTURE_STRIDE_PX,
        );
        let mut values = Vec::with_capacity(height * width * 4);
        for row in y.positions(STRUCTURE_STRIDE_PX) {
            let row = source(row, self.height, self.padding.wraps_y());
            let line = &picture[row * self.width..][..self.width];
            for &column in &columns {
                values.extend_from_slice(&pixels::from_rgba8(line[column]));
            }
        }
        Ok(Tensor::from_vec(
            values,
            (1, height, width, 4),
            codec.device(),
        )?)
    }
}

/// Pixels around a cell that the encoder's features at the detail stage depend on.
fn reach_of_features(codec: &Codec) -> usize {
    let config = codec.config();
    config.stages[..=config.detail_stage()]
        .iter()
        .map(|stage| stage.stride * stage.encoder_depth)
        .sum()
}

fn tiles(
    rows: usize,
    columns: usize,
    tile: usize,
    context: usize,
    padding: Padding,
) -> Vec<(Span, Span)> {
    let across = Span::cut(columns, tile, context, padding.wraps_x());
    Span::cut(rows, tile, context, padding.wraps_y())
        .into_iter()
        .flat_map(|y| across.iter().map(move |&x| (y, x)))
        .collect()
}

/// A window that holds a whole wrapping axis wraps; otherwise its context stands in for what lies outside.
fn window_padding(y: Span, x: Span) -> Padding {
    match (x.wraps, y.wraps) {
        (false, false) => Padding::Zero,
        (x, y) => Padding::Wrap { x, y },
    }
}

/// The window `[1, h, w, c]` without its context.
fn crop(window: &Tensor, (y, x): (Span, Span), per_cell: usize) -> candle_core::Result<Tensor> {
    window
        .narrow(1, y.before * per_cell, y.cells * per_cell)?
        .narrow(2, x.before * per_cell, x.cells * per_cell)?
        .contiguous()
}

/// Writes the window's codes `[1, h, w]`, without its context, into a grid.
fn put(
    grid: &mut [u32],
    columns: usize,
    window: &Tensor,
    (y, x): (Span, Span),
    per_cell: usize,
) -> Result<()> {
    let (_, height, width) = window.dims3()?;
    // A window that was cropped already has no context left.
    let skip = |span: Span, side: usize| {
        if side == span.cells * per_cell {
            0
        } else {
            span.before * per_cell
        }
    };
    let (top, left) = (skip(y, height), skip(x, width));
    let values = window.flatten_all()?.to_vec1::<u32>()?;
    let wanted = x.cells * per_cell;
    for row in 0..y.cells * per_cell {
        let from = &values[(top + row) * width + left..][..wanted];
        let start = (y.start * per_cell + row) * columns + x.start * per_cell;
        grid[start..start + wanted].copy_from_slice(from);
    }
    Ok(())
}

fn check_size(width: usize, height: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::usage(
            "could not encode or decode the picture",
            "it has no pixels",
            "",
        ));
    }
    if width > MAX_SIDE_PX || height > MAX_SIDE_PX || width * height > MAX_PIXELS {
        return Err(Error::new(
            Kind::Limit,
            "could not encode or decode the picture",
            format!(
                "{width}x{height} is more than {MAX_SIDE_PX} px a side or {MAX_PIXELS} px in all"
            ),
            "Scale or crop it",
        ));
    }
    Ok(())
}
