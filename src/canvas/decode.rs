//! Decoding a window of a canvas: at each stage just the cells that the window depends on.
//!
//! The decoder is a chain: structure codes → trunk steps → T, and T with the detail codes → head →
//! pixels. Each link reaches a known number of cells further than what it is asked for. A window is
//! computed with that much context and cut; where it meets the border of the canvas it ends there,
//! so that the convolutions see the same zeros as in a full decode; where an axis wraps, the context
//! comes from the other side.

use candle_core::{Device, Tensor};

use super::window::{Plane, Window};
use crate::codec::{Codec, EMPTY as EMPTY_TENSOR, Trim, TrunkLink};
use crate::document::{
    Codes, DETAIL_STRIDE_PX, EMPTY, Geometry, Level, Raster, Rect, Samples, Wrap,
};
use crate::error::{Error, Kind, Result};
use crate::kernels::Padding;
use crate::progress::Observer;

/// Side of the tiles of a full decode. Larger ones repeat less context, smaller ones need less memory.
const TILE_PX: u32 = 768;

/// How far a change of one code reaches, in pixels beyond its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub structure_px: u32,
    pub detail_px: u32,
}

impl Reach {
    pub const fn of(self, level: Level) -> u32 {
        match level {
            Level::Structure => self.structure_px,
            Level::Detail => self.detail_px,
        }
    }
}

/// The links of the decoder on one canvas.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    codec: &'a Codec,
    geometry: Geometry,
    wrap: Wrap,
}

impl<'a> Chain<'a> {
    /// # Errors
    /// `Unsupported` for a codec whose detail cells are not 4 pixels wide.
    pub fn new(codec: &'a Codec, geometry: Geometry, wrap: Wrap) -> Result<Self> {
        let stride_px = codec.config().detail.stride;
        if stride_px != DETAIL_STRIDE_PX as usize {
            return Err(Error::new(
                Kind::Unsupported,
                "could not paint with this model",
                format!(
                    "its detail cells are {stride_px} pixels wide; documents have {DETAIL_STRIDE_PX}"
                ),
                "Use a model with detail cells of that size",
            ));
        }
        Ok(Self {
            codec,
            geometry,
            wrap,
        })
    }

    pub(super) const fn codec(&self) -> &'a Codec {
        self.codec
    }

    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub const fn wrap(&self) -> Wrap {
        self.wrap
    }

    pub fn device(&self) -> &'a Device {
        self.codec.device()
    }

    pub fn reach(&self) -> Reach {
        let field = self.codec.receptive_field();
        Reach {
            structure_px: field.structure.decode_px as u32,
            detail_px: field.detail.decode_px as u32,
        }
    }

    fn link(&self, index: usize) -> &'a TrunkLink {
        &self.codec.receptive_field().links[index]
    }

    /// Links of the trunk; the last one gives T.
    pub(super) fn links(&self) -> usize {
        self.codec.receptive_field().links.len()
    }

    pub(super) fn stride_px(&self, link: usize) -> u32 {
        self.link(link).stride_px as u32
    }

    pub(super) fn channels(&self, link: usize) -> usize {
        self.link(link).width
    }

    pub(super) fn halo_cells(&self, link: usize) -> u32 {
        u32::from(self.link(link).block.is_some())
    }

    /// How much finer a link's cells are than those of the link before.
    pub(super) fn refinement(&self, link: usize) -> u32 {
        match link {
            0 => 1,
            _ => self.stride_px(link - 1) / self.stride_px(link),
        }
    }

    pub(super) fn plane(&self, stride_px: u32) -> Plane {
        Plane::new(self.geometry, self.wrap, stride_px)
    }

    pub(super) fn link_plane(&self, link: usize) -> Plane {
        self.plane(self.stride_px(link))
    }

    /// What a link needs to give `out`: cells of the link before, or structure codes for the first.
    pub(super) fn link_input(&self, link: usize, out: Window) -> Window {
        let grown = out.grown(self.halo_cells(link), self.link_plane(link));
        match link {
            0 => grown,
            _ => grown.coarser(self.refinement(link), self.link_plane(link - 1)),
        }
    }

    /// What every link up to `link` has to give, so that it gives `out`; first to last.
    pub(super) fn windows(&self, link: usize, out: Window) -> Vec<Window> {
        let mut windows = vec![out];
        for i in (1..=link).rev() {
            windows.push(self.link_input(i, windows[windows.len() - 1]));
        }
        windows.reverse();
        windows
    }

    /// The first link, from the structure codes.
    pub(super) fn start(&self, codes: &Codes, out: Window) -> Result<Tensor> {
        let input = self.link_input(0, out);
        let tensor = self.code_window(codes, Level::Structure, input)?;
        let computed = self.codec.trunk_link(0, &tensor, padding(input))?;
        input.crop(&computed, out, self.link_plane(0))
    }

    /// Any other link, from the activations of the one before, which cover `input`.
    pub(super) fn follow(
        &self,
        link: usize,
        activations: &Tensor,
        input: Window,
        out: Window,
    ) -> Result<Tensor> {
        let computed = self.codec.trunk_link(link, activations, padding(input))?;
        input
            .finer(self.refinement(link))
            .crop(&computed, out, self.link_plane(link))
    }

    /// All links from the codes to `link`, each only on what the next needs. `seen` is shown what
    /// each gives.
    pub(super) fn trunk(
        &self,
        codes: &Codes,
        link: usize,
        out: Window,
        mut seen: impl FnMut(usize, Window, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let windows = self.windows(link, out);
        let mut activations = self.start(codes, windows[0])?;
        seen(0, windows[0], &activations)?;
        for i in 1..=link {
            activations = self.follow(i, &activations, windows[i - 1], windows[i])?;
            seen(i, windows[i], &activations)?;
        }
        Ok(activations)
    }

    /// The T that the head needs to give the pixels `out`.
    pub(super) fn head_input(&self, out: Window) -> Window {
        let mut window = out;
        let mut stride_px = 1;
        for stage in self.codec.receptive_field().head.iter().rev() {
            let stage_px = stage.stride_px as u32;
            let plane = self.plane(stage_px);
            window = window
                .coarser(stage_px / stride_px, plane)
                .grown(stage.halo_cells as u32, plane);
            stride_px = stage_px;
        }
        window
    }

    /// Pixels `[1, h, w, 4]` from T, which covers `input`.
    pub(super) fn head(
        &self,
        trunk: &Tensor,
        input: Window,
        codes: &Codes,
        out: Window,
    ) -> Result<Tensor> {
        let detail = self.code_window(codes, Level::Detail, input)?;
        let mut have = input;
        let mut stride_px = DETAIL_STRIDE_PX;
        let mut sides = Trim::default();
        for stage in &self.codec.receptive_field().head {
            let stage_px = stage.stride_px as u32;
            (have, sides) = have
                .finer(stride_px / stage_px)
                .trimmed(stage.halo_cells as u32, self.plane(stage_px));
            stride_px = stage_px;
        }
        let computed = self
            .codec
            .head_trimmed(trunk, &detail, padding(input), sides)?;
        have.finer(stride_px).crop(&computed, out, self.plane(1))
    }

    fn code_window(&self, codes: &Codes, level: Level, window: Window) -> Result<Tensor> {
        let grid = codes.level(level);
        let (cells, width) = (grid.cells(), grid.width());
        let columns = window.x.positions(width);
        let mut values = Vec::with_capacity(window.area() as usize);
        for row in window.y.positions(grid.height()) {
            let line = &cells[row as usize * width as usize..][..width as usize];
            values.extend(columns.clone().map(|x| match line[x as usize] {
                EMPTY => EMPTY_TENSOR,
                code => u32::from(code),
            }));
        }
        let shape = (1, window.y.len as usize, window.x.len as usize);
        Ok(Tensor::from_vec(values, shape, self.device())?)
    }

    /// Decodes a rectangle of pixels (padded coordinates) from codes alone: `[height, width, 4]`
    /// values row by row, premultiplied sRGB and alpha scaled to [−1, 1], not clamped.
    ///
    /// # Errors
    /// `Usage` for codes that the model does not have.
    pub fn decode_window(&self, codes: &Codes, rect: Rect) -> Result<Vec<f32>> {
        let out = self.plane(1).window(rect);
        let trunk_window = self.head_input(out);
        let last = self.links() - 1;
        let activations = self.trunk(codes, last, trunk_window, |_, _, _| Ok(()))?;
        let pixels = self.head(&activations, trunk_window, codes, out)?;
        Ok(pixels.flatten_all()?.to_vec1()?)
    }

    /// Decodes the whole picture in tiles, in memory that does not depend on its size, and hands
    /// each tile's rectangle and values (as [`Chain::decode_window`]) to `tile`.
    ///
    /// # Errors
    /// As [`Chain::decode_window`]; `Cancelled`; what `tile` returns.
    pub fn decode_tiles(
        &self,
        codes: &Codes,
        observer: &dyn Observer,
        mut tile: impl FnMut(Rect, &[f32]) -> Result<()>,
    ) -> Result<()> {
        codes.check(self.geometry, None)?;
        let rects = tiles(self.geometry.bounds(), TILE_PX);
        for (done, rect) in rects.iter().enumerate() {
            observer.check()?;
            observer.progress(done as u64, rects.len() as u64);
            tile(*rect, &self.decode_window(codes, *rect)?)?;
        }
        observer.progress(rects.len() as u64, rects.len() as u64);
        Ok(())
    }

    /// The whole picture with 8 bits per channel: the codec's version, nothing of a source in it.
    ///
    /// # Errors
    /// As [`Chain::decode_tiles`].
    pub fn decode_raster(&self, codes: &Codes, observer: &dyn Observer) -> Result<Raster> {
        let width = self.geometry.width() as usize;
        let mut rgba = vec![0u8; width * self.geometry.height() as usize * 4];
        self.decode_tiles(codes, observer, |rect, values| {
            let (pixels, _) = values.as_chunks::<4>();
            for (row, line) in pixels.chunks_exact(rect.width as usize).enumerate() {
                let start = ((rect.y as usize + row) * width + rect.x as usize) * 4;
                let (to, _) = rgba[start..start + line.len() * 4].as_chunks_mut::<4>();
                for (to, &pixel) in to.iter_mut().zip(line) {
                    *to = crate::codec::pixels::to_rgba8(pixel);
                }
            }
            Ok(())
        })?;
        Raster::new(
            self.geometry.width(),
            self.geometry.height(),
            Samples::Rgba8(rgba),
        )
    }
}

/// An axis of which the window holds every cell wraps in the convolution itself.
fn padding(window: Window) -> Padding {
    match (window.x.whole, window.y.whole) {
        (false, false) => Padding::Zero,
        (x, y) => Padding::Wrap { x, y },
    }
}

/// Cuts a rectangle into squares of `side`, from its top left corner.
pub(super) fn tiles(bounds: Rect, side: u32) -> Vec<Rect> {
    let mut rects = Vec::new();
    for y in (bounds.y..bounds.bottom()).step_by(side as usize) {
        for x in (bounds.x..bounds.right()).step_by(side as usize) {
            rects.push(Rect::new(x, y, side, side).intersect(&bounds));
        }
    }
    rects
}
