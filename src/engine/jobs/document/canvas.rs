//! Canvases of another sort: blank ones, wrapping ones, cropped, extended and scaled ones.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgba};

use crate::canvas;
use crate::codec::Codec;
use crate::document::{
    Codes, Document, Geometry, Level, Raster, STRUCTURE_STRIDE_PX, Samples, Source, Wrap,
};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::jobs::document::edit::open_row;
use crate::engine::jobs::document::session::OpenDocument;
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::engine::pictures::documents::{self, Stored};
use crate::error::{Error, Result};
use crate::export::{Metadata, encode_png};
use crate::progress::Observer;
use crate::project::DocumentId;

/// A document encoded anew, so that it joins at its sides, or does not any more. Its strokes and layers stay.
pub struct RewrapJob {
    pub project: Storage,
    pub document: DocumentId,
    pub wrap: Wrap,
    pub device: DeviceChoice,
}

impl Job for RewrapJob {
    type Output = OpenDocument;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Encoding the picture anew"
    }

    fn run(self, context: &JobContext) -> Result<OpenDocument> {
        let (stored, model) = open_row(&self.project, self.document, self.device)?;
        let codes = canvas::encode(&model.codec, stored.document.source(), self.wrap, context)?;
        let (id, wrap) = (self.document, self.wrap);
        (self.project).call(move |project| project.rewrap_document(id, wrap, &codes))?;
        Ok(OpenDocument::new(
            documents::open(&self.project, id, &model)?,
            model,
        ))
    }
}

/// A new document that one code fills.
pub struct BlankJob {
    pub project: Storage,
    pub name: String,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub wrap: Wrap,
    /// Structure code.
    pub code: u16,
    pub model: CheckpointChoice,
    pub device: DeviceChoice,
}

impl Job for BlankJob {
    type Output = OpenDocument;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Making a canvas"
    }

    fn run(self, context: &JobContext) -> Result<OpenDocument> {
        let geometry = Geometry::new(self.width, self.height)?;
        let source = ModelSource::Project(self.project.clone(), self.model);
        let model = source.load(&open_device(self.device)?.device)?;
        model.codebooks().check(Level::Structure, Some(self.code))?;
        let codes = filled(geometry, self.code);
        let pixels = blank_pixels(&model.codec, geometry, self.wrap, self.code, context)?;
        let document = Document::new(pixels, codes, self.wrap, &model.hash)?;
        let stored = keep(&self.project, &self.name, document, &model)?;
        Ok(OpenDocument::new(stored, model))
    }
}

fn filled(geometry: Geometry, code: u16) -> Codes {
    let mut codes = Codes::blank(geometry);
    for index in 0..geometry.cell_count(Level::Structure) as u32 {
        codes.structure.set(index, Some(code));
    }
    codes
}

/// What one code everywhere looks like. Away from the borders it repeats with every cell, so only a canvas of at
/// most [`SMALL_PX`] and a cell is decoded.
fn blank_pixels(
    codec: &Codec,
    geometry: Geometry,
    wrap: Wrap,
    code: u16,
    observer: &dyn Observer,
) -> Result<Source> {
    const SMALL_PX: u32 = 512;
    // As long as the whole up to whole cells, so that the far border cuts its cells alike.
    let small = |side: u32| match side > SMALL_PX {
        true => SMALL_PX + side % STRUCTURE_STRIDE_PX,
        false => side,
    };
    let (width, height) = (geometry.width(), geometry.height());
    let small_geometry = Geometry::new(small(width), small(height))?;
    let chain = canvas::Chain::new(codec, small_geometry, wrap)?;
    let decoded = chain.decode_raster(&filled(small_geometry, code), observer)?;
    let pixels = decoded.rgba8();
    let from = |at: u32, whole: u32, small: u32| {
        let near = SMALL_PX / 2;
        let far = small.saturating_sub(near);
        match (whole == small, at) {
            (true, _) => at,
            (_, at) if at < near => at,
            (_, at) if at >= whole - (small - far) => small - (whole - at),
            (_, at) => near - STRUCTURE_STRIDE_PX + (at - near) % STRUCTURE_STRIDE_PX,
        }
    };
    let mut rgba = Vec::with_capacity(geometry.bounds().area() as usize * 4);
    for y in 0..height {
        let row = from(y, height, small_geometry.height()) as usize;
        for x in 0..width {
            let column = from(x, width, small_geometry.width()) as usize;
            let start = (row * small_geometry.width() as usize + column) * 4;
            rgba.extend_from_slice(&pixels[start..start + 4]);
        }
    }
    Source::from_rgba8(width, height, rgba)
}

/// How a canvas changes its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reframe {
    /// The canvas begins at this place of the old one (pixels, multiples of 16, also before its start) and has this
    /// size. What is new is transparent. Edits move along.
    Crop {
        x: i64,
        y: i64,
        width: u32,
        height: u32,
    },
    /// The edited picture, resampled; its edits become part of it.
    Scale { width: u32, height: u32 },
}

/// A new document of another size; the one it is made of stays.
pub struct ReframeJob {
    pub project: Storage,
    pub name: String,
    pub document: Box<Document>,
    pub model: Model,
    pub to: Reframe,
}

impl Job for ReframeJob {
    type Output = OpenDocument;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Making a canvas of another size"
    }

    fn run(self, context: &JobContext) -> Result<OpenDocument> {
        let (document, model) = (*self.document, self.model);
        let wrap = document.wrap();
        let stored = match self.to {
            Reframe::Scale { width, height } => {
                let source = scaled(&document, &model, (width, height), context)?;
                let fresh = canvas::open(&model.codec, source, wrap, context)?;
                keep(
                    &self.project,
                    &format!("{} scaled", self.name),
                    fresh,
                    &model,
                )?
            }
            Reframe::Crop {
                x,
                y,
                width,
                height,
            } => {
                let stride = i64::from(STRUCTURE_STRIDE_PX);
                if x % stride != 0 || y % stride != 0 {
                    return Err(Error::usage(
                        "could not change the canvas",
                        "it does not begin at a whole cell of 16 pixels",
                        "Choose another place",
                    ));
                }
                let to = Geometry::new(width, height)?;
                let source = cropped(document.source(), to, (x, y))?;
                let fresh = canvas::open(&model.codec, source, wrap, context)?;
                let offset = (x / stride, y / stride);
                let layers = document.layers().reframed(document.geometry(), to, offset);
                let name = format!("{} {width} × {height}", self.name);
                let mut stored = keep(&self.project, &name, fresh, &model)?;
                stored.document.list_sources_of(&document);
                let label = format!("Edits of {}", self.name);
                if let Some(stroke) = stored.document.replace_layers(label, layers)? {
                    let id = stored.id;
                    (self.project).call(move |p| p.append_stroke(id, &stroke).map(drop))?;
                }
                stored
            }
        };
        Ok(OpenDocument::new(stored, model))
    }
}

/// Stores a document that came from no file.
fn keep(project: &Storage, name: &str, document: Document, model: &Model) -> Result<Stored> {
    let raster = Raster::from_source(document.source(), document.source().depth_bits());
    let bytes = encode_png(&raster, &Metadata::default())?;
    let checkpoint = model.keep_in(project)?;
    documents::store(project, name, document, bytes, model, checkpoint)
}

fn cropped(source: &Source, to: Geometry, (x, y): (i64, i64)) -> Result<Source> {
    fn part<T: Copy + Default>(
        from: &[T],
        size: (i64, i64),
        to: Geometry,
        (x, y): (i64, i64),
    ) -> Vec<T> {
        let (width, height) = (to.width() as usize, to.height() as usize);
        let mut out = vec![T::default(); width * height * 4];
        let first = x.clamp(0, size.0);
        let last = (x + width as i64).clamp(0, size.0);
        for (row, line) in out.chunks_exact_mut(width * 4).enumerate() {
            let from_y = y + row as i64;
            if (0..size.1).contains(&from_y) && first < last {
                let start = (from_y * size.0 + first) as usize * 4;
                let len = (last - first) as usize * 4;
                let at = (first - x) as usize * 4;
                line[at..at + len].copy_from_slice(&from[start..start + len]);
            }
        }
        out
    }
    let size = (i64::from(source.width()), i64::from(source.height()));
    match source.rgba16() {
        Some(rgba16) => {
            Source::from_rgba16(to.width(), to.height(), part(rgba16, size, to, (x, y)))
        }
        None => {
            let rgba8 = part(source.rgba8(), size, to, (x, y));
            Source::from_rgba8(to.width(), to.height(), rgba8)
        }
    }
}

/// The edited picture in another size: premultiplied, so that what nobody sees gives no colour.
fn scaled(
    document: &Document,
    model: &Model,
    (width, height): (u32, u32),
    context: &JobContext,
) -> Result<Source> {
    Geometry::new(width, height)?;
    let raster = canvas::render_document(&model.codec, document, 16, context)?;
    context.check()?;
    let Samples::Rgba16(samples) = raster.samples() else {
        return Err(Error::usage(
            "could not scale the picture",
            "it has other samples",
            "",
        ));
    };
    const MAX: u64 = 65_535;
    let premultiplied = (samples.chunks_exact(4))
        .flat_map(|p| {
            let a = u64::from(p[3]);
            let colour = |c: u16| ((u64::from(c) * a + MAX / 2) / MAX) as u16;
            [colour(p[0]), colour(p[1]), colour(p[2]), p[3]]
        })
        .collect();
    let Some(picture) = ImageBuffer::<Rgba<u16>, Vec<u16>>::from_raw(
        raster.width(),
        raster.height(),
        premultiplied,
    ) else {
        return Err(Error::usage(
            "could not scale the picture",
            "its size is odd",
            "",
        ));
    };
    let resized = resize(&picture, width, height, FilterType::Lanczos3);
    drop(picture);
    let straight = (resized.into_raw().chunks_exact(4))
        .flat_map(|p| {
            let a = u64::from(p[3]);
            let colour = |c: u16| {
                (u64::from(c) * MAX + a / 2)
                    .checked_div(a)
                    .unwrap_or(0)
                    .min(MAX) as u16
            };
            [colour(p[0]), colour(p[1]), colour(p[2]), p[3]]
        })
        .collect::<Vec<u16>>();
    if document.source().depth_bits() == 16 {
        return Source::from_rgba16(width, height, straight);
    }
    let rgba8 = straight
        .iter()
        .map(|&v| crate::document::to_8_bit(v))
        .collect();
    Source::from_rgba8(width, height, rgba8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecConfig;
    use candle_core::Device;

    #[test]
    fn a_blank_canvas_is_what_its_code_decodes_to() {
        let codec = Codec::new(CodecConfig::tiny(), 5, &Device::Cpu).unwrap();
        for wrap in [Wrap::default(), Wrap { x: true, y: false }] {
            let geometry = Geometry::new(723, 64).unwrap();
            let blank = blank_pixels(&codec, geometry, wrap, 7, &()).unwrap();
            let chain = canvas::Chain::new(&codec, geometry, wrap).unwrap();
            let whole = chain.decode_raster(&filled(geometry, 7), &()).unwrap();
            let whole = whole.rgba8();
            let far = (blank.rgba8().iter().zip(whole.iter())).map(|(a, b)| a.abs_diff(*b));
            assert!(far.max().unwrap() <= 1);
        }
    }

    #[test]
    fn a_crop_keeps_pixels_and_what_is_new_is_transparent() {
        let pixels = (0..40u32 * 20)
            .flat_map(|i| [i as u8, (i / 40) as u8, 7, 255])
            .collect();
        let source = Source::from_rgba8(40, 20, pixels).unwrap();
        let to = Geometry::new(32, 36).unwrap();
        let part = cropped(&source, to, (16, -16)).unwrap();
        let at = |x: usize, y: usize| part.rgba8()[(y * 32 + x) * 4..][..4].to_vec();
        assert_eq!(at(0, 0), [0; 4]);
        assert_eq!(at(0, 16), [16, 0, 7, 255]);
        assert_eq!(at(23, 35), [(19 * 40 + 39) as u8, 19, 7, 255]);
        assert_eq!(at(24, 20), [0; 4]);
    }
}
