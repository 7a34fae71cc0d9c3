//! Surgical edits: an edited picture is its source, changed only where codes changed.
//!
//! With `D(e)` the decode of the codes as edited, `D(r)` of the codes as encoded, `S` the source
//! and `m` the mask of [`super::influence`]: `D(e) + (1 − m)·(S − D(r))`, in premultiplied sRGB.
//! In changed cells that is the decode; around them the source plus what the edit does to its
//! surroundings; outside the halo it is `S`, copied, never computed. Cells that come from another place bring what
//! the decode lacks there: `D(e) + (1 − m)·R`, see [`super::residual`]; without such cells `R` is `S − D(r)`.

use std::sync::Arc;

use super::decode::{Reach, tiles};
use super::influence::{Edits, Influence};
use super::residual::{Brought, Carried, Join, Texture};
use crate::document::{DETAIL_STRIDE_PX, Level, Raster, Rect, SamplesMut, Source, SourcePicture};
use crate::error::Result;
use crate::progress::Observer;

/// Side of the tiles in which a whole picture is composited.
const TILE_PX: u32 = 512;
/// Decodes of the same window agree far better than this; a difference below it is no edit.
const NOISE: f32 = 1e-5;

/// Which codes to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    Encoded,
    Edited,
}

/// Gives pixels of a canvas, in padded coordinates.
pub trait WindowDecoder {
    fn reach(&self) -> Reach;

    /// What stays as it is where values of several places are joined.
    fn join(&self) -> Join {
        Join::Variance
    }

    /// `[height, width, 4]` values row by row: premultiplied sRGB and alpha scaled to [−1, 1].
    ///
    /// # Errors
    /// Whatever keeps it from decoding.
    fn decode(&mut self, version: Version, rect: Rect) -> Result<Vec<f32>>;

    /// The decode of the codes as encoded in tiles of 128 pixels, named by column and row and cut at the padded
    /// picture: of the canvas itself, or of another picture, which is given with its number.
    ///
    /// # Errors
    /// Whatever keeps it from decoding.
    fn encoded_tiles(
        &mut self,
        of: (u16, Option<&SourcePicture>),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>>;
}

/// Writes the edited pixels of `rect` into `out`, which holds the source already and has its
/// top left pixel at `origin`. Pixels outside the halo are left alone.
pub(super) fn composite(
    edits: &Edits,
    source: &Source,
    decoder: &mut impl WindowDecoder,
    rect: Rect,
    out: &mut Target,
) -> Result<()> {
    let blocks = rect.to_cells(DETAIL_STRIDE_PX).to_pixels(DETAIL_STRIDE_PX);
    let reach = decoder.reach();
    let cells = blocks.to_cells(DETAIL_STRIDE_PX);
    let margin = Level::ALL.map(|level| reach.of(level).div_ceil(DETAIL_STRIDE_PX));
    let carried = Carried::around(edits, cells, margin[0].max(margin[1]).max(1));
    let Some(influence) = Influence::of(edits, carried.as_ref(), reach, blocks) else {
        return Ok(());
    };
    let window = influence.bounds;
    let texture = (carried.as_ref())
        .map(|carried| carried.texture(source, decoder, window.to_cells(DETAIL_STRIDE_PX)))
        .transpose()?;
    let edited = decoder.decode(Version::Edited, window)?;
    // Where all of it comes from elsewhere, nothing is added to what is its own.
    let is_moved = texture.as_ref().is_some_and(Texture::is_everywhere);
    let encoded = match is_moved {
        true => Vec::new(),
        false => decoder.decode(Version::Encoded, window)?,
    };
    let (edited, _) = edited.as_chunks::<4>();
    let (encoded, _) = encoded.as_chunks::<4>();
    let own_hardness = texture.as_ref().map_or(0.0, Texture::own_hardness);
    let visible = window
        .intersect(&rect)
        .intersect(&source.geometry().bounds());
    for y in visible.y..visible.bottom() {
        for x in visible.x..visible.right() {
            let Some(m) = influence.at(x, y) else {
                continue;
            };
            let at = (y - window.y) as usize * window.width as usize + (x - window.x) as usize;
            let decoded = edited[at].map(|v| (v + 1.0) * 0.5);
            let brought = (texture.as_ref()).and_then(|texture| texture.at((x, y), decoded));
            let encoded = encoded.get(at).unwrap_or(&edited[at]);
            let kept = match influence.is_beside_moved(x, y) {
                true => own_hardness,
                false => 0.0,
            };
            out.blend(source, (x, y), (edited[at], *encoded), (m, kept), brought);
        }
    }
    Ok(())
}

/// Samples to write into, and where they lie on the canvas.
pub(super) struct Target<'a> {
    pub samples: SamplesMut<'a>,
    pub rect: Rect,
}

impl Target<'_> {
    fn blend(
        &mut self,
        source: &Source,
        (x, y): (u32, u32),
        (edited, encoded): ([f32; 4], [f32; 4]),
        how: (f32, f32),
        brought: Option<Brought>,
    ) {
        let from = (y as usize * source.width() as usize + x as usize) * 4;
        let to = ((y - self.rect.y) as usize * self.rect.width as usize
            + (x - self.rect.x) as usize)
            * 4;
        match &mut self.samples {
            SamplesMut::Rgba8(samples) => {
                let s = &source.rgba8()[from..from + 4];
                let s = [s[0], s[1], s[2], s[3]].map(u16::from);
                if let Some(pixel) = blend_pixel(s, (edited, encoded), how, brought, 255.0) {
                    samples[to..to + 4].copy_from_slice(&pixel.map(|v| v as u8));
                }
            }
            SamplesMut::Rgba16(samples) => {
                let s = match source.rgba16() {
                    Some(rgba16) => [0, 1, 2, 3].map(|c| rgba16[from + c]),
                    None => {
                        [0, 1, 2, 3].map(|c| crate::document::to_16_bit(source.rgba8()[from + c]))
                    }
                };
                if let Some(pixel) = blend_pixel(s, (edited, encoded), how, brought, 65_535.0) {
                    samples[to..to + 4].copy_from_slice(&pixel);
                }
            }
        }
    }
}

/// One straight pixel of 0 to `max`, or `None` where it is the source's. `m` is the mask there, and `kept` says how far
/// an untouched pixel beside cells from elsewhere keeps to its source. `brought` is what those cells bring.
fn blend_pixel(
    source: [u16; 4],
    (edited, encoded): ([f32; 4], [f32; 4]),
    (m, kept): (f32, f32),
    brought: Option<Brought>,
    max: f32,
) -> Option<[u16; 4]> {
    // From [−1, 1] to [0, 1]: differences are halved, the offset cancels.
    let fading = 1.0 - kept * (1.0 - m);
    let change: [f32; 4] = std::array::from_fn(|c| (edited[c] - encoded[c]) * 0.5 * fading);
    if m == 0.0 && brought.is_none() && change.iter().all(|d| d.abs() < NOISE) {
        return None;
    }
    let source_alpha = f32::from(source[3]) / max;
    let premultiplied: [f32; 4] = std::array::from_fn(|c| {
        if c == 3 {
            source_alpha
        } else {
            f32::from(source[c]) / max * source_alpha
        }
    });
    // D(e) + (1 − m)·(S − D(r)) = S + (D(e) − D(r)) − m·(S − D(r))
    let value = |c: usize| {
        let own = premultiplied[c] - (encoded[c] + 1.0) * 0.5;
        let decoded = (edited[c] + 1.0) * 0.5;
        match brought {
            None => premultiplied[c] + change[c] - m * own,
            Some(Brought {
                residual,
                cut: None,
            }) => decoded + (1.0 - m) * residual[c],
            Some(Brought {
                residual,
                cut: Some((hardness, pixel)),
            }) => {
                let cut = pixel[c] - decoded;
                decoded + (1.0 - m) * (residual[c] + hardness * (cut - residual[c]))
            }
        }
    };
    let alpha = value(3).clamp(0.0, 1.0);
    let level = |v: f32| (v * max + 0.5) as u16;
    let alpha_level = level(alpha);
    if alpha_level == 0 {
        // Colour nobody can see stays the source's; what an edit made transparent keeps none.
        return (source[3] != 0).then_some([0; 4]);
    }
    let colour = |c: usize| level((value(c) / alpha).clamp(0.0, 1.0));
    Some([colour(0), colour(1), colour(2), alpha_level])
}

/// The whole edited picture with 8 or 16 bits per channel. Only windows around changed cells are
/// decoded; without edits the result is the source.
///
/// # Errors
/// Whatever the decoder returns; `Cancelled`.
pub fn render(
    edits: &Edits,
    source: &Source,
    decoder: &mut impl WindowDecoder,
    depth_bits: u8,
    observer: &dyn Observer,
) -> Result<Raster> {
    let mut raster = Raster::from_source(source, depth_bits);
    if edits.is_empty() {
        return Ok(raster);
    }
    let bounds = edits.geometry.bounds();
    let rects = tiles(bounds, TILE_PX);
    let mut target = Target {
        samples: raster.samples_mut(),
        rect: bounds,
    };
    for (done, rect) in rects.iter().enumerate() {
        observer.check()?;
        observer.progress(done as u64, rects.len() as u64);
        composite(edits, source, decoder, *rect, &mut target)?;
    }
    observer.progress(rects.len() as u64, rects.len() as u64);
    Ok(raster)
}

#[cfg(test)]
#[path = "composite_tests.rs"]
mod tests;
