//! Layers in less than full strength: several decodes, one over the other.
//!
//! With `T(p)` the surgical picture (see [`super::composite`]) of the codes under the layers up to pass `p`,
//! `o(p)` that pass's opacity and `w(p)` the feathered cells that its own layers cover, the picture is
//! `P(p) = P(p−1) + o·( w·(T(p) − P(p−1)) + (1 − w)·(T(p) − T(p−1)) )`, from `P(0) = T(0) = S`, premultiplied.
//! A blended layer over full ones is thus the blend of the picture without it and the picture with it, a full
//! layer over a blended one hides it, and where no layer changes a pixel it is the source's, byte for byte.

use super::composite::{Target, composite};
use super::decode::{Chain, Reach, tiles};
use super::influence::{Edits, cover};
use super::live::copy_source;
use super::stages::Direct;
use crate::codec::Codec;
use crate::document::{
    Codes, CoordinateGrid, DETAIL_STRIDE_PX, Document, Geometry, LayerStack, Pass, Raster, Rect,
    Samples, SamplesMut, Source, Sources, Wrap,
};
use crate::error::Result;
use crate::progress::Observer;

/// Side of the tiles in which a whole picture is blended.
const TILE_PX: u32 = 512;

/// How the passes of a picture come together.
pub(super) struct Blend {
    passes: Vec<Pass>,
    layers: LayerStack,
    geometry: Geometry,
    wrap: Wrap,
    reach: Reach,
}

impl Blend {
    /// `None` where there is one pass in full strength: then it is the picture.
    pub fn of(
        passes: Vec<Pass>,
        layers: LayerStack,
        geometry: Geometry,
        wrap: Wrap,
        reach: Reach,
    ) -> Option<Self> {
        let is_one = matches!(passes.as_slice(), [only] if only.opacity_percent == 100);
        (!is_one).then_some(Self {
            passes,
            layers,
            geometry,
            wrap,
            reach,
        })
    }

    /// w of a pass on `rect`, row by row.
    fn cover(&self, place: usize, rect: Rect) -> Vec<f32> {
        let whole = rect.to_cells(DETAIL_STRIDE_PX).to_pixels(DETAIL_STRIDE_PX);
        let places = &self.passes[place].layers;
        let mask = cover(
            (self.geometry, self.wrap),
            self.reach,
            whole,
            |level, index| self.layers.covers(places, level, index),
        );
        let rows = (rect.y - whole.y) as usize..(rect.bottom() - whole.y) as usize;
        rows.flat_map(|row| {
            let start = row * whole.width as usize + (rect.x - whole.x) as usize;
            mask[start..start + rect.width as usize].iter().copied()
        })
        .collect()
    }
}

/// The blended pixels of `rect`, which `source` holds as they came in. `picture` gives T of a pass.
pub(super) fn blend(
    how: &Blend,
    rect: Rect,
    source: Samples,
    mut picture: impl FnMut(usize) -> Result<Samples>,
) -> Result<Samples> {
    let mut before = source.clone();
    let mut result = source;
    for (place, pass) in how.passes.iter().enumerate() {
        let now = picture(place)?;
        let opacity = f32::from(pass.opacity_percent) / 100.0;
        // Over the source, or over passes that were all in full strength, the cover does not matter.
        let cover = match result == before {
            true => None,
            false => Some(how.cover(place, rect)),
        };
        let cover = |pixel: usize| cover.as_ref().map_or(0.0, |cover| cover[pixel]);
        match (&mut result, &before, &now) {
            (Samples::Rgba8(result), Samples::Rgba8(before), Samples::Rgba8(now)) => {
                mix(result, before, now, opacity, 255.0, cover);
            }
            (Samples::Rgba16(result), Samples::Rgba16(before), Samples::Rgba16(now)) => {
                mix(result, before, now, opacity, 65_535.0, cover);
            }
            // All come from the same source with the same depth.
            _ => result = now.clone(),
        }
        before = now;
    }
    Ok(result)
}

trait Sample: Copy + PartialEq {
    fn value(self) -> f32;
    fn of(value: f32) -> Self;
}

impl Sample for u8 {
    fn value(self) -> f32 {
        f32::from(self)
    }
    fn of(value: f32) -> Self {
        value as u8
    }
}

impl Sample for u16 {
    fn value(self) -> f32 {
        f32::from(self)
    }
    fn of(value: f32) -> Self {
        value as u16
    }
}

/// One pass over straight pixels of 0 to `max`.
fn mix<T: Sample>(
    result: &mut [T],
    before: &[T],
    now: &[T],
    opacity: f32,
    max: f32,
    cover: impl Fn(usize) -> f32,
) {
    let (result, _) = result.as_chunks_mut::<4>();
    let (before, _) = before.as_chunks::<4>();
    let (now, _) = now.as_chunks::<4>();
    for (pixel, ((to, &before), &now)) in result.iter_mut().zip(before).zip(now).enumerate() {
        if *to == now || (before == now && cover(pixel) == 0.0) {
            continue;
        }
        let w = if *to == before { 0.0 } else { cover(pixel) };
        if opacity == 1.0 && (w == 1.0 || *to == before) {
            *to = now;
            continue;
        }
        let (p, t0, t1) = (
            premultiplied(*to, max),
            premultiplied(before, max),
            premultiplied(now, max),
        );
        let value = |c: usize| p[c] + opacity * (w * (t1[c] - p[c]) + (1.0 - w) * (t1[c] - t0[c]));
        let alpha = value(3).clamp(0.0, 1.0);
        let level = |v: f32| T::of(v.clamp(0.0, 1.0) * max + 0.5);
        let alpha_level = level(alpha);
        if alpha_level.value() == 0.0 {
            *to = [T::of(0.0); 4];
            continue;
        }
        let colour = |c: usize| level(value(c) / alpha);
        *to = [colour(0), colour(1), colour(2), alpha_level];
    }
}

fn premultiplied<T: Sample>(pixel: [T; 4], max: f32) -> [f32; 4] {
    let alpha = pixel[3].value() / max;
    std::array::from_fn(|c| match c {
        3 => alpha,
        _ => pixel[c].value() / max * alpha,
    })
}

/// The whole picture of a document with 8 or 16 bits per channel, its layers blended.
///
/// # Errors
/// `Unsupported` for a codec that does not fit documents; `Usage` for codes that it does not have; `Cancelled`.
pub fn render_document(
    codec: &Codec,
    document: &Document,
    depth_bits: u8,
    observer: &dyn Observer,
) -> Result<Raster> {
    let (layers, encoded) = (document.layers(), document.encoded());
    let passes = layers.passes();
    let states: Vec<(Codes, CoordinateGrid)> = match passes.as_slice() {
        [_] => vec![(
            Codes::clone(document.edited()),
            CoordinateGrid::clone(document.coordinates()),
        )],
        several => (several.iter())
            .map(|pass| {
                let count = pass.layers.end;
                let coordinates = layers.compose_coordinates(count, document.geometry());
                (layers.compose(count, encoded), coordinates)
            })
            .collect(),
    };
    let passes: Vec<_> = (passes.into_iter().zip(&states))
        .map(|(pass, (codes, coordinates))| (pass, codes, coordinates))
        .collect();
    render(
        codec,
        (document.geometry(), document.wrap()),
        (document.source(), encoded, layers),
        document.sources(),
        &passes,
        depth_bits,
        observer,
    )
}

/// The whole picture of passes, their codes and where cells come from.
pub(super) fn render(
    codec: &Codec,
    (geometry, wrap): (Geometry, Wrap),
    (source, encoded, layers): (&Source, &Codes, &LayerStack),
    sources: &Sources,
    passes: &[(Pass, &Codes, &CoordinateGrid)],
    depth_bits: u8,
    observer: &dyn Observer,
) -> Result<Raster> {
    let chain = Chain::new(codec, geometry, wrap)?;
    let edits = |place: usize| Edits {
        geometry,
        wrap,
        encoded,
        edited: passes[place].1,
        coordinates: passes[place].2,
        sources,
    };
    let specs = passes.iter().map(|(pass, ..)| pass.clone()).collect();
    let Some(how) = Blend::of(specs, layers.clone(), geometry, wrap, chain.reach()) else {
        let mut decoder = Direct::new(chain, encoded, passes[0].1);
        return super::composite::render(&edits(0), source, &mut decoder, depth_bits, observer);
    };
    let mut raster = Raster::from_source(source, depth_bits);
    let mut decoders: Vec<_> = (passes.iter())
        .map(|(_, codes, _)| Direct::new(chain, encoded, codes))
        .collect();
    let rects = tiles(geometry.bounds(), TILE_PX);
    for (done, &rect) in rects.iter().enumerate() {
        observer.check()?;
        observer.progress(done as u64, rects.len() as u64);
        let start = copy_source(source, rect, depth_bits);
        let blended = blend(&how, rect, start.clone(), |place| {
            let mut samples = start.clone();
            let mut target = Target {
                samples: match &mut samples {
                    Samples::Rgba8(s) => SamplesMut::Rgba8(s),
                    Samples::Rgba16(s) => SamplesMut::Rgba16(s),
                },
                rect,
            };
            let decoder = &mut decoders[place];
            composite(&edits(place), source, decoder, rect, &mut target)?;
            Ok(samples)
        })?;
        paste(&mut raster, rect, &blended);
    }
    observer.progress(rects.len() as u64, rects.len() as u64);
    Ok(raster)
}

fn paste(raster: &mut Raster, rect: Rect, samples: &Samples) {
    fn rows<T: Copy>(to: &mut [T], from: &[T], rect: Rect, width: u32) {
        let len = rect.width as usize * 4;
        for (row, line) in (rect.y..).zip(from.chunks_exact(len)) {
            let start = (row as usize * width as usize + rect.x as usize) * 4;
            to[start..start + len].copy_from_slice(line);
        }
    }
    let width = raster.width();
    match (raster.samples_mut(), samples) {
        (SamplesMut::Rgba8(to), Samples::Rgba8(from)) => rows(to, from, rect, width),
        (SamplesMut::Rgba16(to), Samples::Rgba16(from)) => rows(to, from, rect, width),
        // Both were made with the raster's depth.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_goes_from_the_picture_without_to_the_picture_with() {
        let (before, now) = ([10u8, 20, 30, 255], [110u8, 220, 30, 255]);
        let mut half = before;
        mix(&mut half, &before, &now, 0.5, 255.0, |_| 0.0);
        assert_eq!(half, [60, 120, 30, 255]);
        // A full layer over it hides it where it covers, and adds only what it does where it does not.
        let mut covered = half;
        mix(&mut covered, &now, &now, 1.0, 255.0, |_| 1.0);
        assert_eq!(covered, now);
        let mut beside = half;
        mix(&mut beside, &now, &now, 1.0, 255.0, |_| 0.0);
        assert_eq!(beside, half);
        // Nothing changes where nothing differs, not even the colour of what nobody sees.
        let mut clear = [9u8, 9, 9, 0];
        mix(&mut clear, &[9, 9, 9, 0], &[9, 9, 9, 0], 0.3, 255.0, |_| {
            1.0
        });
        assert_eq!(clear, [9, 9, 9, 0]);
    }
}
