//! Where the texture of a cell comes from.
//!
//! A decoder loses grain. What it loses of a picture, its *residual*, is known at every place of that picture; a detail cell that
//! was copied carries the place it was copied from, so that the residual there can be added to its decode.

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::grid::codes::Codes;
use crate::document::grid::geometry::{Geometry, Level, Wrap};
use crate::document::grid::source::Source;
use crate::document::grid::sparse::SparseGrid;
use crate::document::grid::turn::Turn;
use crate::error::{Error, Kind, Result};

/// Most pictures, beside its own, that the cells of a document can come from.
pub const MAX_SOURCES: usize = u16::MAX as usize - 1;
/// Longest name of a source, in bytes.
pub const MAX_SOURCE_NAME_BYTES: usize = 1 << 10;
/// The document's own source picture, in coordinates.
pub const OWN_SOURCE: u16 = 0;

/// A place in a source picture.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    /// [`OWN_SOURCE`], or one more than the place in the document's list of sources.
    pub source: u16,
    /// Detail cells of the source.
    pub y: u16,
    pub x: u16,
}

impl Coordinate {
    /// The place of a detail cell in the document's own picture.
    pub fn own(geometry: Geometry, index: u32) -> Self {
        let columns = geometry.grid_width(Level::Detail);
        // The longest side has 8,192 detail cells.
        Self {
            source: OWN_SOURCE,
            y: (index / columns) as u16,
            x: (index % columns) as u16,
        }
    }

    /// Whether such a place exists in a picture of this size.
    pub fn is_within(self, geometry: Geometry) -> bool {
        geometry
            .grid_bounds(Level::Detail)
            .contains(u32::from(self.x), u32::from(self.y))
    }
}

/// Coordinates of some detail cells.
pub type CoordinateGrid = SparseGrid<Coordinate>;

/// Where a detail cell comes from: where `grid` says, else its own place where its codes and those over it are as
/// encoded; `None` for a painted cell. `codes` are those as encoded and as edited.
pub fn origin(
    geometry: Geometry,
    codes: (&Codes, &Codes),
    grid: &CoordinateGrid,
    index: u32,
) -> Option<Coordinate> {
    if let Some(coordinate) = grid.get(index) {
        return Some(coordinate);
    }
    let over = geometry.structure_over(index);
    let (encoded, edited) = codes;
    let is_as_encoded = encoded.detail.raw_at(index) == edited.detail.raw_at(index)
        && encoded.structure.raw_at(over) == edited.structure.raw_at(over);
    is_as_encoded.then(|| Coordinate::own(geometry, index))
}

/// A change of the coordinate of a detail cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CoordinateDelta {
    /// Detail cell, row by row.
    pub index: u32,
    pub before: Option<Coordinate>,
    pub after: Option<Coordinate>,
}

/// Names a picture that cells of a document come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRef {
    /// BLAKE3 of the picture file, in hexadecimal.
    pub content_hash: String,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// For people.
    pub name: String,
    /// How the picture lies: cells come from it after this turn. Width and height are those of the turned picture.
    #[serde(default, skip_serializing_if = "Turn::is_none")]
    pub turn: Turn,
}

impl SourceRef {
    /// Whether both are the same picture, whatever they are called.
    pub fn is_same(&self, other: &Self) -> bool {
        self.content_hash == other.content_hash
            && self.turn == other.turn
            && (self.width, self.height) == (other.width, other.height)
    }

    /// # Errors
    /// `Damaged` for a hash that is none, a size that no picture has, a turn of more than three quarters, or a name that is
    /// too long.
    pub fn check(&self) -> Result<()> {
        let is_hash = self.content_hash.len() == 64
            && (self.content_hash.bytes())
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let is_sound = is_hash
            && self.turn.quarters < 4
            && self.name.len() <= MAX_SOURCE_NAME_BYTES
            && Geometry::new(self.width, self.height).is_ok();
        if is_sound {
            return Ok(());
        }
        Err(Error::new(
            Kind::Damaged,
            "could not use a source of cells",
            "its content hash, size or name is out of range",
            "",
        ))
    }
}

/// Pixels and codes of a picture that cells come from.
#[derive(Debug, Clone)]
pub struct SourcePicture {
    pub source: Source,
    /// As the document's own model encodes it.
    pub codes: Arc<Codes>,
    pub wrap: Wrap,
}

/// Finds the pictures that cells come from.
pub trait SourcePictures: Debug + Send + Sync {
    /// `None` where the picture is gone: its cells then look like their codes alone.
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>>;
}

/// Knows no picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPictures;

impl SourcePictures for NoPictures {
    fn picture(&self, _of: &SourceRef) -> Option<Arc<SourcePicture>> {
        None
    }
}

/// The pictures, beside its own, that cells of a document come from. Only grows.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The document's own picture, where it is known by a file.
    own: Option<Arc<SourceRef>>,
    list: Arc<Vec<SourceRef>>,
    pictures: Arc<dyn SourcePictures>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            own: None,
            list: Arc::default(),
            pictures: Arc::new(NoPictures),
        }
    }
}

impl Sources {
    /// # Errors
    /// `Damaged` for a list that no document has.
    pub fn new(list: Vec<SourceRef>, pictures: Arc<dyn SourcePictures>) -> Result<Self> {
        list.iter().try_for_each(SourceRef::check)?;
        if list.len() > MAX_SOURCES {
            return Err(too_many());
        }
        Ok(Self {
            own: None,
            list: Arc::new(list),
            pictures,
        })
    }

    /// The first has number 1 in coordinates.
    pub fn list(&self) -> &[SourceRef] {
        &self.list
    }

    /// The source with this number; `None` for [`OWN_SOURCE`] and unknown ones.
    pub fn get(&self, number: u16) -> Option<&SourceRef> {
        self.list.get(usize::from(number).checked_sub(1)?)
    }

    /// Names the document's own picture, so that cells which other documents take from it know where they come from.
    ///
    /// # Errors
    /// As [`SourceRef::check`].
    pub fn name_own(&mut self, source: SourceRef) -> Result<()> {
        source.check()?;
        self.own = Some(Arc::new(source));
        Ok(())
    }

    /// The picture with this number, the document's own included, where it is known by a file.
    pub fn named(&self, number: u16) -> Option<&SourceRef> {
        match number {
            OWN_SOURCE => self.own.as_deref(),
            _ => self.get(number),
        }
    }

    /// The number of a picture in coordinates; `None` for one that is not listed.
    pub fn number_of(&self, source: &SourceRef) -> Option<u16> {
        if self.own.as_ref().is_some_and(|own| own.is_same(source)) {
            return Some(OWN_SOURCE);
        }
        let place = self.list.iter().position(|known| known.is_same(source))?;
        Some(place as u16 + 1)
    }

    /// The number of a picture in coordinates; a new one is added.
    ///
    /// # Errors
    /// `Limit` beyond [`MAX_SOURCES`]; as [`SourceRef::check`].
    pub fn add(&mut self, source: &SourceRef) -> Result<u16> {
        if let Some(number) = self.number_of(source) {
            return Ok(number);
        }
        source.check()?;
        if self.list.len() >= MAX_SOURCES {
            return Err(too_many());
        }
        Arc::make_mut(&mut self.list).push(source.clone());
        Ok(self.list.len() as u16)
    }

    pub(crate) fn list_as(&mut self, other: &Self) {
        if self.list.is_empty() {
            self.list = Arc::clone(&other.list);
        }
    }

    /// Where pictures are looked up from now on.
    pub fn find_in(&mut self, pictures: Arc<dyn SourcePictures>) {
        self.pictures = pictures;
    }

    /// Pixels and codes of a source. `None` where it is gone or not what it was.
    pub fn picture(&self, number: u16) -> Option<Arc<SourcePicture>> {
        let source = self.get(number)?;
        let found = self.pictures.picture(source)?;
        let geometry = found.source.geometry();
        let is_it = (geometry.width(), geometry.height()) == (source.width, source.height)
            && (Level::ALL.into_iter())
                .all(|level| found.codes.level(level).bounds() == geometry.grid_bounds(level));
        is_it.then_some(found)
    }
}

fn too_many() -> Error {
    Error::new(
        Kind::Limit,
        "could not add a source of cells",
        format!("a picture has cells of at most {MAX_SOURCES} others"),
        "Use fewer pictures",
    )
}

/// # Errors
/// `Damaged` where a coordinate names a source that a document with this many, beside its own, does not have.
pub(crate) fn check_sources(
    coordinates: impl Iterator<Item = Coordinate>,
    count: usize,
) -> Result<()> {
    let mut coordinates = coordinates;
    if coordinates.any(|c| c.source != OWN_SOURCE && usize::from(c.source) > count) {
        return Err(Error::new(
            Kind::Damaged,
            "could not read where a cell comes from",
            "the document does not list that picture",
            "",
        ));
    }
    Ok(())
}
