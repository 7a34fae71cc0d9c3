//! The documents that results are put onto: a picture, a larger canvas around one, or a blank canvas.

use super::picture::{Loaded, touched};
use super::recipe::What;
use super::{GenerateJob, Making};
use crate::canvas;
use crate::document::{
    CodeGrid, Codes, Document, Geometry, Level, Raster, STRUCTURE_STRIDE_PX, Source, SourceRef,
    Wrap,
};
use crate::engine::jobs::document::edit::{open_in, open_row};
use crate::engine::lanes::job::file_name;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::album;
use crate::engine::pictures::documents::{self, Opened};
use crate::engine::pictures::quilting::whole_cells;
use crate::engine::pictures::read;
use crate::error::{Error, Result};
use crate::export::{Metadata, encode_png};
use crate::progress::Observer;
use crate::project::DocumentId;

/// Blank pictures are encoded at this size, and one of their cells repeated.
const BLANK_PX: u32 = 64;

/// A document before a result is put onto it.
pub struct Base {
    pub document: Document,
    pub what: What,
    /// Structure cells that are made; `None`: all.
    pub made: Option<Vec<bool>>,
    /// Of a variation: 0 to 1.
    pub reach: f32,
    /// Of a document that is in the project already.
    pub stored: Option<Kept>,
    /// The first picture to take from, where that is not the document.
    pub first: Option<(Loaded, bool)>,
}

/// A document of a project.
#[derive(Debug, Clone)]
pub struct Kept {
    pub id: DocumentId,
    /// Whether it was opened for this.
    pub is_new: bool,
}

impl Base {
    /// What a job asks for. `project` is where results are kept.
    pub fn new(
        job: &GenerateJob,
        model: Model,
        project: Option<&Storage>,
        context: &JobContext,
    ) -> Result<(Self, Model)> {
        match &job.making {
            Making::New {
                width,
                height,
                wrap,
            } => {
                let base = Self::blank(&model, (*width, *height), *wrap, context)?;
                Ok((base, model))
            }
            Making::Vary {
                picture,
                reach,
                wrap,
            } => {
                let (loaded, is_file, model) = load(picture, model, job, context)?;
                let base = Self::varied(&model, (loaded, is_file), (*reach, *wrap), context)?;
                Ok((base, model))
            }
            Making::Extend { picture, by_px } => {
                let (loaded, _, model) = load(picture, model, job, context)?;
                let base = Self::extended(&model, &loaded, *by_px, context)?;
                Ok((base, model))
            }
            Making::Fill { picture, mask } => {
                let (document, stored, model) = open(picture, model, project, job, context)?;
                let made = made_cells(&document, mask);
                let base = Self::of(document, What::Fill, None);
                let made = match made {
                    Ok(made) => made,
                    Err(error) => {
                        forget(project, stored.as_ref(), context);
                        return Err(error);
                    }
                };
                let base = Self {
                    made: Some(made),
                    stored,
                    ..base
                };
                Ok((base, model))
            }
        }
    }

    /// A canvas of this many pixels, all of which is made.
    pub fn blank(
        model: &Model,
        (width, height): (u32, u32),
        wrap: Wrap,
        context: &JobContext,
    ) -> Result<Self> {
        let geometry = Geometry::new(width, height)?;
        let wraps_parts = (wrap.x && !width.is_multiple_of(STRUCTURE_STRIDE_PX))
            || (wrap.y && !height.is_multiple_of(STRUCTURE_STRIDE_PX));
        if wraps_parts {
            return Err(Error::usage(
                "could not make a tile of this size",
                format!("{width} × {height} pixels are no whole cells of 16 pixels"),
                "Choose sides that are multiples of 16",
            ));
        }
        let what = if wrap.x || wrap.y {
            What::Tile
        } else {
            What::New
        };
        let document = blank(model, geometry, wrap, context)?;
        Ok(Self::of(document, what, None))
    }

    /// Another picture like this one; with whether it is a file.
    pub fn varied(
        model: &Model,
        (loaded, is_file): (Loaded, bool),
        (reach, wrap): (f32, Wrap),
        context: &JobContext,
    ) -> Result<Self> {
        let document = blank(model, loaded.source.geometry(), wrap, context)?;
        Ok(Self {
            reach,
            first: Some((loaded, is_file)),
            ..Self::of(document, What::Vary, None)
        })
    }

    /// A larger canvas around this picture.
    pub fn extended(
        model: &Model,
        loaded: &Loaded,
        by_px: [u32; 4],
        context: &JobContext,
    ) -> Result<Self> {
        let (document, made) = extended(model, loaded, by_px, context)?;
        Ok(Self::of(document, What::Extend, Some(made)))
    }

    const fn of(document: Document, what: What, made: Option<Vec<bool>>) -> Self {
        Self {
            document,
            what,
            made,
            reach: 0.0,
            stored: None,
            first: None,
        }
    }
}

/// Takes a document out of the project that was opened for a result which could not be made.
pub fn forget(project: Option<&Storage>, stored: Option<&Kept>, context: &JobContext) {
    let (Some(project), Some(Kept { id, is_new: true })) = (project, stored) else {
        return;
    };
    let id = *id;
    if let Err(error) = project.call(move |project| project.delete_document(id)) {
        context.warning(*error.notice);
    }
}

/// Structure cells that a mask touches: a picture of the document's size, white, or opaque where it has transparency.
fn made_cells(document: &Document, mask: &std::path::Path) -> Result<Vec<bool>> {
    let path = mask;
    let mask = read::load_source(path)?;
    if mask.geometry() != document.geometry() {
        return Err(Error::usage(
            "could not use the mask",
            format!(
                "it has {} × {} pixels and the picture {} × {}",
                mask.width(),
                mask.height(),
                document.width(),
                document.height()
            ),
            "Use a mask of the picture's size",
        )
        .at(path));
    }
    let (pixels, _) = mask.rgba8().as_chunks::<4>();
    let has_alpha = pixels.iter().any(|pixel| pixel[3] < 255);
    let made = touched(&mask, |pixel| match has_alpha {
        true => pixel[3] > 127,
        false => pixel[..3].iter().map(|v| u32::from(*v)).sum::<u32>() > 382,
    });
    if !made.contains(&true) {
        return Err(Error::usage(
            "could not use the mask",
            "it is empty: there is no cell to fill",
            "Paint white what should be made anew",
        )
        .at(path));
    }
    Ok(made)
}

/// The picture to fill as a document: of the project, a new one of it, or of none.
fn open(
    picture: &std::path::Path,
    model: Model,
    project: Option<&Storage>,
    job: &GenerateJob,
    context: &JobContext,
) -> Result<(Document, Option<Kept>, Model)> {
    if let Some(from) = job.model.project()
        && !picture.exists()
    {
        let wanted = picture.to_string_lossy().into_owned();
        let row = from.call(move |project| documents::find(project, Some(&wanted)))?;
        let (stored, model) = open_row(from, row.id, job.device)?;
        stored.tell(context);
        let kept = project.is_some().then_some(Kept {
            id: stored.id,
            is_new: false,
        });
        return Ok((stored.document, kept, model));
    }
    let opened = documents::read_picture(picture)?;
    if let Some(project) = project {
        let (stored, model) = open_in(project, &job.model, picture, opened, job.device, context)?;
        let kept = Kept {
            id: stored.id,
            is_new: true,
        };
        return Ok((stored.document, Some(kept), model));
    }
    let document = match opened {
        Opened::Restored(restore) if restore.header.model == model.hash => {
            if let Some(warning) = restore.warning {
                context.warning(warning);
            }
            if let Some(lost) = album::lost_without_project(restore.document.sources().list()) {
                context.warning(lost);
            }
            let mut document = restore.document;
            // What the picture was before its edits is in no file.
            let raster = Raster::from_source(document.source(), 8);
            let bytes = encode_png(&raster, &Metadata::default())?;
            document.name_source(reference(&document, &bytes, picture))?;
            document
        }
        _ => {
            let loaded = Loaded::read(picture)?;
            let mut document = canvas::open(&model.codec, loaded.source, Wrap::default(), context)?;
            document.name_source(reference(&document, &loaded.bytes, picture))?;
            document
        }
    };
    Ok((document, None, model))
}

fn reference(document: &Document, bytes: &[u8], path: &std::path::Path) -> SourceRef {
    documents::reference(bytes, document.geometry(), &file_name(path))
}

/// The picture to extend or vary: a file, or what a document of the project shows; whether it is a file.
fn load(
    picture: &std::path::Path,
    model: Model,
    job: &GenerateJob,
    context: &JobContext,
) -> Result<(Loaded, bool, Model)> {
    let Some(project) = job.model.project().filter(|_| !picture.exists()) else {
        return Ok((Loaded::read(picture)?, true, model));
    };
    let wanted = picture.to_string_lossy().into_owned();
    let row = project.call(move |project| documents::find(project, Some(&wanted)))?;
    let (stored, model) = open_row(project, row.id, job.device)?;
    stored.tell(context);
    let name = format!("{}.png", stored.name);
    let loaded = shown(&name, &stored.document, &model, context)?;
    Ok((loaded, false, model))
}

/// What a document shows, as a picture file of this name that is nowhere but in memory.
pub fn shown(
    name: &str,
    document: &Document,
    model: &Model,
    observer: &dyn Observer,
) -> Result<Loaded> {
    let depth = document.source().depth_bits();
    let raster = canvas::render_document(&model.codec, document, depth, observer)?;
    let bytes = encode_png(&raster, &Metadata::default())?;
    Ok(Loaded {
        path: name.into(),
        source: read::source_from_bytes(&bytes)?,
        bytes,
    })
}

/// A transparent canvas.
pub fn blank(
    model: &Model,
    geometry: Geometry,
    wrap: Wrap,
    observer: &dyn Observer,
) -> Result<Document> {
    let rgba = vec![0; geometry.bounds().area() as usize * 4];
    let source = Source::from_rgba8(geometry.width(), geometry.height(), rgba)?;
    let codes = blank_codes(model, geometry, observer)?;
    let document = Document::new(source, codes, wrap, &model.hash)?;
    with_name(document, std::path::Path::new("canvas"))
}

/// Codes of a transparent picture: those of the middle of a small one, everywhere.
fn blank_codes(model: &Model, geometry: Geometry, observer: &dyn Observer) -> Result<Codes> {
    let small = Source::from_rgba8(
        BLANK_PX,
        BLANK_PX,
        vec![0; (BLANK_PX * BLANK_PX * 4) as usize],
    )?;
    let found = canvas::encode(&model.codec, &small, Wrap::default(), observer)?;
    let mut codes = Codes::blank(geometry);
    for level in Level::ALL {
        let per = STRUCTURE_STRIDE_PX / level.stride_px();
        let (grid, middle) = (found.level(level), BLANK_PX / STRUCTURE_STRIDE_PX / 2 * per);
        let (width, height) = (geometry.grid_width(level), geometry.grid_height(level));
        let cells = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| {
                let index = (middle + y % per) * grid.width() + middle + x % per;
                grid.cells()[index as usize]
            })
            .collect();
        *codes.level_mut(level) = CodeGrid::from_cells(width, height, cells)?;
    }
    Ok(codes)
}

/// A document that comes from no file, named after the file that its picture would be.
fn with_name(mut document: Document, name: &std::path::Path) -> Result<Document> {
    let bytes = own_bytes(&document)?;
    let named = reference(&document, &bytes, name);
    document.name_source(named)?;
    Ok(document)
}

/// The file that keeps a document's own picture.
pub fn own_bytes(document: &Document) -> Result<Vec<u8>> {
    let raster = Raster::from_source(document.source(), document.source().depth_bits());
    encode_png(&raster, &Metadata::default())
}

/// A canvas around the whole cells of a picture, and which of its cells are new. The picture's cells have its codes.
fn extended(
    model: &Model,
    loaded: &Loaded,
    by_px: [u32; 4],
    observer: &dyn Observer,
) -> Result<(Document, Vec<bool>)> {
    let [top, right, bottom, left] = by_px.map(|px| px.div_ceil(STRUCTURE_STRIDE_PX));
    if [top, right, bottom, left] == [0; 4] {
        return Err(Error::usage(
            "could not extend the picture",
            "it is to have nothing more at any side",
            "Say how many pixels to add at least at one side",
        ));
    }
    let (columns, rows) = whole_cells(loaded.source.geometry());
    let (width, height) = (columns + left + right, rows + top + bottom);
    let geometry = Geometry::new(
        width.saturating_mul(STRUCTURE_STRIDE_PX),
        height.saturating_mul(STRUCTURE_STRIDE_PX),
    )?;
    // What is new begins as a mirror image: a picture that ended at a transparent border would show that border for good.
    let placed = placed(&loaded.source, geometry, (top, left))?;
    let source = mirrored_around(&placed, (columns, rows), (top, left))?;
    let found = canvas::encode(&model.codec, &loaded.source, Wrap::default(), observer)?;
    let mut codes = canvas::encode(&model.codec, &source, Wrap::default(), observer)?;
    for level in Level::ALL {
        let scale = STRUCTURE_STRIDE_PX / level.stride_px();
        let grid = found.level(level);
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
    let made = (0..width * height).map(is_made).collect();
    let document = Document::new(source, codes, Wrap::default(), &model.hash)?;
    Ok((with_name(document, &loaded.path)?, made))
}

/// The whole cells of a picture on a transparent canvas, its first at a structure cell (row, column) of that.
pub fn placed(picture: &Source, canvas: Geometry, (top, left): (u32, u32)) -> Result<Source> {
    fn rows<T: Copy + Default>(
        from: &[T],
        (line, columns, rows): (usize, usize, usize),
        canvas: Geometry,
        (top, left): (usize, usize),
    ) -> Vec<T> {
        let width = canvas.width() as usize * 4;
        let mut to = vec![T::default(); width * canvas.height() as usize];
        for (row, from) in from.chunks_exact(line * 4).take(rows).enumerate() {
            let start = (top + row) * width + left * 4;
            to[start..start + columns * 4].copy_from_slice(&from[..columns * 4]);
        }
        to
    }
    let side = STRUCTURE_STRIDE_PX as usize;
    let (columns, lines) = whole_cells(picture.geometry());
    let size = (
        picture.width() as usize,
        columns as usize * side,
        lines as usize * side,
    );
    let at = (top as usize * side, left as usize * side);
    let (width, height) = (canvas.width(), canvas.height());
    match picture.rgba16() {
        Some(rgba16) => Source::from_rgba16(width, height, rows(rgba16, size, canvas, at)),
        None => Source::from_rgba8(width, height, rows(picture.rgba8(), size, canvas, at)),
    }
}

/// Fills what lies around the cells (columns, rows) at a structure cell (row, column) of a canvas with their mirror images.
fn mirrored_around(
    canvas: &Source,
    (columns, rows): (u32, u32),
    (top, left): (u32, u32),
) -> Result<Source> {
    fn pixels<T: Copy>(from: &[T], width: u32, height: u32, x: Span, y: Span) -> Vec<T> {
        let of = |(column, row): (u32, u32)| {
            let at = (y.mirrored(row) as usize * width as usize + x.mirrored(column) as usize) * 4;
            from[at..at + 4].iter().copied()
        };
        (0..height)
            .flat_map(|row| (0..width).map(move |column| (column, row)))
            .flat_map(of)
            .collect()
    }
    let side = STRUCTURE_STRIDE_PX;
    let (width, height) = (canvas.width(), canvas.height());
    if columns == 0 || rows == 0 {
        return Ok(canvas.clone());
    }
    let x = Span(left * side, columns * side);
    let y = Span(top * side, rows * side);
    match canvas.rgba16() {
        Some(rgba16) => Source::from_rgba16(width, height, pixels(rgba16, width, height, x, y)),
        None => Source::from_rgba8(width, height, pixels(canvas.rgba8(), width, height, x, y)),
    }
}

/// A stretch of an axis: its start and its length, above 0.
#[derive(Clone, Copy)]
struct Span(u32, u32);

impl Span {
    /// The place within it that a place on the axis mirrors.
    fn mirrored(self, at: u32) -> u32 {
        let Span(start, length) = self;
        let period = 2 * i64::from(length);
        let at = (i64::from(at) - i64::from(start)).rem_euclid(period) as u32;
        start + if at < length { at } else { 2 * length - 1 - at }
    }
}
