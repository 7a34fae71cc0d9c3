//! One picture to take from, and where its file is found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::recipe::RecipeSource;
use crate::dataset::{Limits, read_file};
use crate::document::{Codes, Geometry, Level, Source, SourceRef, Turn};
use crate::engine::lanes::storage::Storage;
use crate::engine::pictures::{album, encodings, read};
use crate::error::{Error, Kind, Result};
use crate::project::ContentHash;

/// A picture file in memory.
pub struct Loaded {
    pub path: PathBuf,
    pub source: Source,
    pub bytes: Vec<u8>,
}

impl Loaded {
    pub fn read(path: &Path) -> Result<Self> {
        let (source, bytes) = read::load_with_bytes(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            source,
            bytes,
        })
    }
}

/// A picture to take from.
pub struct Picture {
    pub reference: SourceRef,
    /// `None` where it is in memory alone.
    pub path: Option<PathBuf>,
    pub codes: Arc<Codes>,
    /// Read again where it is not kept.
    pub pixels: Option<Source>,
    /// The file, where it cannot be read again.
    pub bytes: Option<Vec<u8>>,
    pub usable: Vec<bool>,
    pub colours: Option<Vec<[f32; 3]>>,
}

impl Picture {
    pub fn geometry(&self) -> Result<Geometry> {
        Geometry::new(self.reference.width, self.reference.height)
    }

    /// Its pixels as they are taken from.
    pub fn source(&self) -> Result<Source> {
        if let Some(pixels) = &self.pixels {
            return Ok(pixels.clone());
        }
        let (Some(path), Ok(hash)) = (&self.path, self.reference.content_hash.parse()) else {
            return Err(nothing());
        };
        encodings::load_source(path, hash)?.turned(self.reference.turn)
    }
}

/// The structure cells of a turned picture that hold a pixel of these cells of the upright one.
pub fn covered(upright: Geometry, made: &[bool], turn: Turn) -> Result<Vec<bool>> {
    let columns = upright.grid_width(Level::Structure);
    let mask = (0..upright.height())
        .flat_map(|y| (0..upright.width()).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let is_made = made.get((y / 16 * columns + x / 16) as usize) == Some(&true);
            [0, 0, 0, if is_made { 255 } else { 0 }]
        })
        .collect();
    let mask = Source::from_rgba8(upright.width(), upright.height(), mask)?.turned(turn)?;
    Ok(touched(&mask, |pixel| pixel[3] > 0))
}

/// Structure cells with a pixel that is marked, row by row.
pub fn touched(mask: &Source, is_marked: impl Fn(&[u8; 4]) -> bool) -> Vec<bool> {
    let bounds = mask.geometry().grid_bounds(Level::Structure);
    let (pixels, _) = mask.rgba8().as_chunks::<4>();
    let mut touched = vec![false; bounds.area() as usize];
    for (row, line) in (0u32..).zip(pixels.chunks_exact(mask.width() as usize)) {
        for (column, _) in (0u32..).zip(line).filter(|(_, pixel)| is_marked(pixel)) {
            touched[(row / 16 * bounds.width + column / 16) as usize] = true;
        }
    }
    touched
}

/// A place that is the same from any folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

pub fn find(project: &Storage, wanted: &RecipeSource) -> Result<Vec<u8>> {
    let hash: ContentHash = wanted.content.parse()?;
    if let Ok(bytes) = album::read(project, hash) {
        return Ok(bytes);
    }
    let at_its_place = || {
        let bytes = read_file(wanted.path.as_ref()?, &Limits::default()).ok()?;
        (ContentHash::of(&bytes) == hash).then_some(bytes)
    };
    at_its_place().ok_or_else(|| is_gone(wanted))
}

pub fn is_gone(wanted: &RecipeSource) -> Error {
    Error::new(
        Kind::NotFound,
        "could not make the picture again",
        format!(
            "“{}”, which it was made from, is gone or has changed",
            wanted.picture
        ),
        "Import that picture into the project",
    )
}

pub fn nothing() -> Error {
    Error::new(
        Kind::NoPictures,
        "could not make new pictures",
        "there is no picture to take from",
        "Name pictures with --from, or a project",
    )
}
