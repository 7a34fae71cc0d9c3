//! What is taken from and what is filled: pictures read, encoded and laid on the canvas.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::canvas::{self, Chain, Layer};
use crate::codec::Codec;
use crate::document::{Codes, Geometry, Level, Raster, STRUCTURE_STRIDE_PX, Source, Wrap};
use crate::engine::jobs::diagnose::reconstruct::picture_files;
use crate::engine::jobs::document::generate::{
    FromProject, GenerateJob, Making, samples_mut8, whole_cells,
};
use crate::engine::lanes::job::file_name;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{Model, ModelSource};
use crate::engine::pictures::encodings::{self, Encodings};
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::project::{ContentHash, EncodingsOf, PictureFilter};
use crate::quilt::{self, Canvas, Home, Kept, MIN_SOURCE_CELLS, Quilt, Start};

/// A picture to take from.
struct Picture {
    path: PathBuf,
    content: ContentHash,
    geometry: Geometry,
    codes: Arc<Codes>,
    /// Read again where it is not kept.
    pixels: Option<Source>,
    usable: Vec<bool>,
    colours: Option<Vec<[f32; 3]>>,
}

/// All that a request needs, and what its result is shown with.
pub struct Gathered {
    pictures: Vec<Picture>,
    pub canvas: Canvas,
    pub start: Start,
    /// Size of the result.
    pub result: Geometry,
    /// Where the first picture lies on the canvas, in structure cells (y, x), where it is kept.
    home: Option<(u32, u32)>,
}

impl Gathered {
    pub fn new(job: &GenerateJob, model: &Model, context: &JobContext) -> Result<Self> {
        let first = match &job.making {
            Making::New { .. } => None,
            Making::Fill { picture, .. }
            | Making::Extend { picture, .. }
            | Making::Vary { picture, .. } => Some(picture),
        };
        let mut pictures = Vec::new();
        let files = picture_files(&job.from.files, context)?;
        let has_guide = job.look.guide.is_some();
        let all: Vec<&PathBuf> = first.into_iter().chain(&files).collect();
        for (done, path) in all.iter().enumerate() {
            context.progress(done as u64, all.len() as u64);
            context.check()?;
            pictures.push(read(path, model, has_guide, context)?);
        }
        if let Some(from) = &job.from.project {
            of_project(&job.model, model, from, has_guide, context, &mut pictures)?;
        }
        let mut gathered = Self {
            pictures,
            canvas: Canvas {
                width: 1,
                height: 1,
                wrap: Wrap::default(),
                kept: None,
            },
            start: Start::Blocks,
            result: Geometry::new(16, 16)?,
            home: None,
        };
        gathered.lay(job)?;
        Ok(gathered)
    }

    fn lay(&mut self, job: &GenerateJob) -> Result<()> {
        match &job.making {
            Making::New {
                width,
                height,
                wrap,
            } => {
                self.result = Geometry::new(*width, *height)?;
                self.canvas.width = self.result.grid_width(Level::Structure);
                self.canvas.height = self.result.grid_height(Level::Structure);
                let wraps_parts = (wrap.x && !width.is_multiple_of(STRUCTURE_STRIDE_PX))
                    || (wrap.y && !height.is_multiple_of(STRUCTURE_STRIDE_PX));
                if wraps_parts {
                    return Err(Error::usage(
                        "could not make a tile of this size",
                        format!("{width} × {height} pixels are no whole cells of 16 pixels"),
                        "Choose sides that are multiples of 16",
                    ));
                }
                self.canvas.wrap = *wrap;
            }
            Making::Vary { reach, wrap, .. } => {
                self.take_size_of_first();
                self.canvas.wrap = *wrap;
                self.start = Start::Moved {
                    source: 0,
                    reach: *reach,
                };
            }
            Making::Fill { mask, .. } => {
                self.take_size_of_first();
                let fill = self.mask(mask)?;
                let first = &mut self.pictures[0];
                for (usable, fill) in first.usable.iter_mut().zip(&fill) {
                    *usable &= !fill;
                }
                self.keep(first_codes(&self.pictures), fill, (0, 0));
            }
            Making::Extend { by_px, .. } => {
                let [top, right, bottom, left] = by_px.map(|px| px.div_ceil(STRUCTURE_STRIDE_PX));
                let first = &self.pictures[0];
                let (columns, rows) = whole_cells(first.geometry);
                let (width, height) = (columns + left + right, rows + top + bottom);
                self.result = Geometry::new(
                    width.saturating_mul(STRUCTURE_STRIDE_PX),
                    height.saturating_mul(STRUCTURE_STRIDE_PX),
                )?;
                let mut codes = Codes::blank(self.result);
                for level in Level::ALL {
                    let scale = STRUCTURE_STRIDE_PX / level.stride_px();
                    let grid = first.codes.level(level);
                    for y in 0..rows * scale {
                        for x in 0..columns * scale {
                            let to = (y + top * scale) * width * scale + x + left * scale;
                            codes.level_mut(level).set(to, grid.get(x, y));
                        }
                    }
                }
                let is_made = |i: u32| {
                    let (y, x) = (i / width, i % width);
                    y < top || x < left || y >= top + rows || x >= left + columns
                };
                let fill: Vec<bool> = (0..width * height).map(is_made).collect();
                if !fill.contains(&true) {
                    return Err(Error::usage(
                        "could not extend the picture",
                        "it is to have nothing more at any side",
                        "Say how many pixels to add at least at one side",
                    ));
                }
                self.canvas.width = width;
                self.canvas.height = height;
                self.keep(Arc::new(codes), fill, (top, left));
            }
        }
        Ok(())
    }

    fn take_size_of_first(&mut self) {
        self.result = self.pictures[0].geometry;
        self.canvas.width = self.result.grid_width(Level::Structure);
        self.canvas.height = self.result.grid_height(Level::Structure);
    }

    fn keep(&mut self, codes: Arc<Codes>, fill: Vec<bool>, (y, x): (u32, u32)) {
        self.home = Some((y, x));
        self.start = Start::Grown;
        self.canvas.kept = Some(Kept {
            codes,
            fill,
            home: Some(Home {
                source: 0,
                y: y as i32,
                x: x as i32,
            }),
        });
    }

    /// Structure cells that a mask touches.
    fn mask(&self, path: &Path) -> Result<Vec<bool>> {
        let mask = read::load_source(path)?;
        if mask.geometry() != self.result {
            return Err(Error::usage(
                "could not use the mask",
                format!(
                    "it has {} × {} pixels and the picture {} × {}",
                    mask.width(),
                    mask.height(),
                    self.result.width(),
                    self.result.height()
                ),
                "Use a mask of the picture's size",
            )
            .at(path));
        }
        let (pixels, _) = mask.rgba8().as_chunks::<4>();
        let has_alpha = pixels.iter().any(|pixel| pixel[3] < 255);
        let is_white = |pixel: &[u8; 4]| {
            if has_alpha {
                pixel[3] > 127
            } else {
                u32::from(pixel[0]) + u32::from(pixel[1]) + u32::from(pixel[2]) > 382
            }
        };
        let wide = self.canvas.width as usize;
        let mut fill = vec![false; wide * self.canvas.height as usize];
        for (i, _) in pixels
            .iter()
            .enumerate()
            .filter(|(_, pixel)| is_white(pixel))
        {
            let (y, x) = (i / mask.width() as usize, i % mask.width() as usize);
            fill[y / 16 * wide + x / 16] = true;
        }
        Ok(fill)
    }

    pub fn sources(&self) -> Vec<quilt::Source> {
        (self.pictures.iter())
            .map(|picture| quilt::Source {
                codes: picture.codes.clone(),
                usable: Some(picture.usable.clone()),
                labels: None,
                colours: picture.colours.clone(),
            })
            .collect()
    }

    /// Residuals of the pictures that `made` uses; a picture that cannot be read any more is told and left out.
    pub fn layers(
        &self,
        made: &Quilt,
        model: &Model,
        context: &JobContext,
    ) -> Result<Vec<Option<Layer>>> {
        let mut layers = Vec::with_capacity(self.pictures.len());
        for (number, picture) in self.pictures.iter().enumerate() {
            let is_used = made.shares.get(number).is_some_and(|share| *share > 0.0)
                || (number == 0 && self.home.is_some());
            if !is_used {
                layers.push(None);
                continue;
            }
            let read;
            let pixels = match &picture.pixels {
                Some(pixels) => pixels,
                None => match encodings::load_source(&picture.path, picture.content) {
                    Ok(source) => {
                        read = source;
                        &read
                    }
                    Err(error) => {
                        context.warning(*error.notice);
                        layers.push(None);
                        continue;
                    }
                },
            };
            let layer = Layer::residual(&model.codec, pixels, &picture.codes, context)?;
            layers.push(Some(layer));
        }
        Ok(layers)
    }

    /// Puts back, byte by byte, what lies further from the cells made than their decoding reaches.
    pub fn restore_kept(&self, raster: &mut Raster, codec: &Codec) -> Result<()> {
        let (Some(kept), Some((top, left))) = (&self.canvas.kept, self.home) else {
            return Ok(());
        };
        let first = &self.pictures[0];
        let Some(source) = &first.pixels else {
            return Ok(());
        };
        let reach = Chain::new(codec, self.result, self.canvas.wrap)?.reach();
        let reach = reach
            .structure_px
            .max(reach.detail_px)
            .div_ceil(STRUCTURE_STRIDE_PX);
        let (width, height) = (self.canvas.width, self.canvas.height);
        let across = raster.width() as usize;
        let Some(samples) = samples_mut8(raster) else {
            return Ok(());
        };
        for y in 0..height {
            for x in 0..width {
                let rows = y.saturating_sub(reach)..(y + reach + 1).min(height);
                let is_near = rows.into_iter().any(|y| {
                    let columns = x.saturating_sub(reach)..(x + reach + 1).min(width);
                    columns
                        .into_iter()
                        .any(|x| kept.fill[(y * width + x) as usize])
                });
                if is_near || y < top || x < left {
                    continue;
                }
                for row in 0..STRUCTURE_STRIDE_PX {
                    let sy = (y - top) * STRUCTURE_STRIDE_PX + row;
                    let sx = (x - left) * STRUCTURE_STRIDE_PX;
                    if sy >= source.height() || sx >= source.width() {
                        continue;
                    }
                    let count = STRUCTURE_STRIDE_PX.min(source.width() - sx) as usize * 4;
                    let from = (sy as usize * source.width() as usize + sx as usize) * 4;
                    let to = ((y * STRUCTURE_STRIDE_PX + row) as usize * across
                        + (x * STRUCTURE_STRIDE_PX) as usize)
                        * 4;
                    samples[to..to + count].copy_from_slice(&source.rgba8()[from..from + count]);
                }
            }
        }
        Ok(())
    }

    /// Structure cells that are made.
    pub fn made_cells(&self) -> usize {
        match &self.canvas.kept {
            Some(kept) => kept.fill.iter().filter(|fill| **fill).count(),
            None => self.canvas.width as usize * self.canvas.height as usize,
        }
    }

    pub fn is_made(&self, index: usize) -> bool {
        (self.canvas.kept.as_ref()).is_none_or(|kept| kept.fill[index])
    }

    pub fn count(&self) -> usize {
        self.pictures.len()
    }

    pub fn name_of(&self, source: u16) -> String {
        (self.pictures.get(usize::from(source)))
            .map_or_else(String::new, |picture| file_name(&picture.path))
    }

    pub fn content_of(&self, source: usize) -> String {
        self.pictures[source].content.to_string()
    }

    /// Size of the source, where there is only one.
    pub fn only_source(&self) -> Option<Geometry> {
        match self.pictures.as_slice() {
            [one] => Some(one.geometry),
            _ => None,
        }
    }

    /// For showing.
    pub fn first_picture(&self) -> Result<Raster> {
        let Some(first) = self.pictures.first() else {
            return Err(nothing());
        };
        match &first.pixels {
            Some(pixels) => Ok(Raster::from_source(pixels, 8)),
            None => {
                let source = encodings::load_source(&first.path, first.content)?;
                Ok(Raster::from_source(&source, 8))
            }
        }
    }
}

fn first_codes(pictures: &[Picture]) -> Arc<Codes> {
    pictures[0].codes.clone()
}

fn nothing() -> Error {
    Error::new(
        Kind::NoPictures,
        "could not make new pictures",
        "there is no picture to take from",
        "Name pictures with --from, or a project",
    )
}

fn read(path: &Path, model: &Model, has_guide: bool, context: &JobContext) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(|source| Error::io("could not open", path, &source))?;
    let source = read::source_from_bytes(&bytes).map_err(|error| error.at(path))?;
    let content = ContentHash::of(&bytes);
    if source.width().min(source.height()) < MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX {
        return Err(Error::usage(
            "could not take from a picture",
            format!(
                "it has {} × {} pixels, and at least 32 × 32 are needed",
                source.width(),
                source.height()
            ),
            "Choose a larger picture",
        )
        .at(path));
    }
    let codes = canvas::encode(&model.codec, &source, Wrap::default(), context)?;
    Ok(Picture {
        path: path.to_path_buf(),
        content,
        geometry: source.geometry(),
        codes: Arc::new(codes),
        usable: usable(&source),
        colours: has_guide.then(|| colours(&source)),
        pixels: Some(source),
    })
}

/// Pictures of the project, their codes from its index; those that it lacks are encoded and kept there.
fn of_project(
    from: &ModelSource,
    model: &Model,
    which: &FromProject,
    has_guide: bool,
    context: &JobContext,
    pictures: &mut Vec<Picture>,
) -> Result<()> {
    let Some(project) = from.project() else {
        return Err(nothing());
    };
    let index = Encodings::new(project, model)?;
    let filter = PictureFilter {
        label: which.label.clone(),
        ..PictureFilter::usable()
    };
    // Warnings tell what could not be encoded.
    let asked = [EncodingsOf::Matching(filter.clone())];
    encodings::fill(&index, model, asked, false, context)?;
    let found = index.matching(filter);
    let before = pictures.len();
    for encoded in found {
        context.check()?;
        let encoded = encoded?;
        let geometry = encoded.geometry()?;
        if geometry.width().min(geometry.height()) < MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX {
            continue;
        }
        // Codes do not tell what is transparent, and colours are the pixels': only a guide needs them all read.
        let source = match encodings::load_source(&encoded.path, encoded.content_hash) {
            Ok(source) => source,
            Err(error) => {
                context.warning(*error.notice);
                continue;
            }
        };
        pictures.push(Picture {
            path: encoded.path,
            content: encoded.content_hash,
            geometry,
            codes: Arc::new(encoded.codes),
            usable: usable(&source),
            colours: has_guide.then(|| colours(&source)),
            pixels: None,
        });
    }
    if pictures.len() == before {
        return Err(Error::new(
            Kind::NoPictures,
            "could not take from the project",
            "it has no usable picture of 32 × 32 pixels or more, or none of this label",
            "Import pictures, or name another label",
        ));
    }
    Ok(())
}

/// Structure cells that lie wholly in the picture and are not transparent throughout.
fn usable(source: &Source) -> Vec<bool> {
    let geometry = source.geometry();
    let (columns, rows) = whole_cells(geometry);
    let (wide, high) = (
        geometry.grid_width(Level::Structure),
        geometry.grid_height(Level::Structure),
    );
    let (pixels, _) = source.rgba8().as_chunks::<4>();
    let line = source.width() as usize;
    (0..wide * high)
        .map(|i| {
            let (y, x) = (i / wide, i % wide);
            y < rows
                && x < columns
                && (0..16).any(|row| {
                    let start = (y * 16 + row) as usize * line + (x * 16) as usize;
                    pixels[start..start + 16].iter().any(|pixel| pixel[3] > 0)
                })
        })
        .collect()
}

/// Mean of the opaque pixels of each structure cell, and their share.
fn means(source: &Source) -> Vec<([f32; 3], f32)> {
    let geometry = source.geometry();
    let (wide, high) = (
        geometry.grid_width(Level::Structure) as usize,
        geometry.grid_height(Level::Structure) as usize,
    );
    let mut sums = vec![([0.0f32; 3], 0.0f32, 0.0f32); wide * high];
    let (pixels, _) = source.rgba8().as_chunks::<4>();
    for (i, pixel) in pixels.iter().enumerate() {
        let (y, x) = (i / source.width() as usize, i % source.width() as usize);
        let (sum, alphas, count) = &mut sums[y / 16 * wide + x / 16];
        let alpha = f32::from(pixel[3]) / 255.0;
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += f32::from(*value) / 255.0 * alpha;
        }
        *alphas += alpha;
        *count += 1.0;
    }
    (sums.into_iter())
        .map(|(sum, alphas, count)| (sum.map(|v| v / alphas.max(1e-6)), alphas / count.max(1.0)))
        .collect()
}

fn colours(source: &Source) -> Vec<[f32; 3]> {
    means(source)
        .into_iter()
        .map(|(colour, _)| colour)
        .collect()
}

/// Colours of a guide; `None` where it is mostly transparent.
pub fn guide_colours(guide: &Source) -> Vec<Option<[f32; 3]>> {
    (means(guide).into_iter())
        .map(|(colour, alpha)| (alpha >= 0.5).then_some(colour))
        .collect()
}
