//! Where cells of documents come from: the bytes of coordinates, and the pictures that they name.
//!
//! Coordinates are the number of cells, then for all cells the steps from one to the next (zigzag), then a column of
//! coordinates or, in a stroke, two: before and after. One coordinate is its source times 16 plus one, and the steps
//! (zigzag) of its row and its column from those of the cell before it; 0 where there is none. The numbers 2 to 15 in
//! the lowest four bits are not used yet.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::journal::{Unpack, damaged, pack, put_number};
use super::limits::MAX_NAME_BYTES;
use super::sqlite::{Doing, bad_value, text, unsigned};
use super::{ContentHash, DocumentId, Project, blobs};
use crate::document::{
    Coordinate, CoordinateDelta, CoordinateGrid, Geometry, Level, MAX_SOURCES, SourceRef, Stroke,
    Turn,
};
use crate::error::{Error, Kind, Result};

const WHAT: &str = "where cells of a document come from";
const UPRIGHT: u64 = 1;
const SOURCE_SHIFT: u32 = 4;

fn zigzag(step: i64) -> u64 {
    ((step << 1) ^ (step >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Steps from one number to the next.
#[derive(Default)]
struct Steps(i64);

impl Steps {
    fn put(&mut self, raw: &mut Vec<u8>, value: i64) {
        put_number(raw, zigzag(value - self.0));
        self.0 = value;
    }

    fn read(&mut self, input: &mut Unpack<'_>) -> Result<i64> {
        let step = unzigzag(input.number()?);
        self.0 = (self.0.checked_add(step)).ok_or_else(|| damaged(WHAT, "a step is too large"))?;
        Ok(self.0)
    }
}

fn put_column(raw: &mut Vec<u8>, coordinates: impl Iterator<Item = Option<Coordinate>>) {
    let (mut x, mut y) = (Steps::default(), Steps::default());
    for coordinate in coordinates {
        let Some(at) = coordinate else {
            put_number(raw, 0);
            continue;
        };
        put_number(raw, u64::from(at.source) << SOURCE_SHIFT | UPRIGHT);
        y.put(raw, i64::from(at.y));
        x.put(raw, i64::from(at.x));
    }
}

fn read_column(
    input: &mut Unpack<'_>,
    mut put: impl FnMut(usize, Option<Coordinate>),
    count: usize,
) -> Result<()> {
    let (mut x, mut y) = (Steps::default(), Steps::default());
    for at in 0..count {
        let number = input.number()?;
        if number == 0 {
            put(at, None);
            continue;
        }
        if number & ((1 << SOURCE_SHIFT) - 1) != UPRIGHT {
            return Err(damaged(WHAT, "a cell lies in an unknown way"));
        }
        let source = u16::try_from(number >> SOURCE_SHIFT);
        let row = u16::try_from(y.read(input)?);
        let column = u16::try_from(x.read(input)?);
        let (Ok(source), Ok(y), Ok(x)) = (source, row, column) else {
            return Err(damaged(WHAT, "a place is out of range"));
        };
        put(at, Some(Coordinate { source, y, x }));
    }
    Ok(())
}

fn put_indices(raw: &mut Vec<u8>, indices: impl ExactSizeIterator<Item = u32>) {
    put_number(raw, indices.len() as u64);
    let mut steps = Steps::default();
    for index in indices {
        steps.put(raw, i64::from(index));
    }
}

fn read_indices(input: &mut Unpack<'_>, geometry: Geometry) -> Result<Vec<u32>> {
    let cells = geometry.cell_count(Level::Detail);
    let count = usize::try_from(input.number()?)
        .ok()
        .filter(|count| *count <= cells)
        .ok_or_else(|| damaged(WHAT, "they are more than the picture has"))?;
    let mut indices = Vec::with_capacity(count.min(1 << 12));
    let mut steps = Steps::default();
    for _ in 0..count {
        let index = u32::try_from(steps.read(input)?)
            .ok()
            .filter(|index| (*index as usize) < cells)
            .ok_or_else(|| damaged(WHAT, "one points outside the picture"))?;
        indices.push(index);
    }
    Ok(indices)
}

/// The stored form of a stroke's coordinates; `None` where it has none.
pub fn encode_coordinates(deltas: &[CoordinateDelta]) -> Option<Vec<u8>> {
    if deltas.is_empty() {
        return None;
    }
    let mut raw = Vec::new();
    put_indices(&mut raw, deltas.iter().map(|delta| delta.index));
    put_column(&mut raw, deltas.iter().map(|delta| delta.before));
    put_column(&mut raw, deltas.iter().map(|delta| delta.after));
    Some(pack(raw))
}

/// The coordinates of [`encode_coordinates`] for a document of this size.
///
/// # Errors
/// `Damaged` for anything else. Memory grows only with what is there.
pub fn decode_coordinates(stored: &[u8], geometry: Geometry) -> Result<Vec<CoordinateDelta>> {
    let mut input = Unpack::new(WHAT, stored)?;
    let indices = read_indices(&mut input, geometry)?;
    let mut deltas: Vec<CoordinateDelta> = (indices.iter())
        .map(|&index| CoordinateDelta {
            index,
            before: None,
            after: None,
        })
        .collect();
    let count = deltas.len();
    read_column(&mut input, |at, from| deltas[at].before = from, count)?;
    read_column(&mut input, |at, from| deltas[at].after = from, count)?;
    input.finish()?;
    Ok(deltas)
}

/// A layer's coordinates, after what else there is of it.
pub(super) fn put_grid(raw: &mut Vec<u8>, grid: &CoordinateGrid) {
    let cells: Vec<(u32, Coordinate)> = grid.iter().collect();
    put_indices(raw, cells.iter().map(|(index, _)| *index));
    put_column(raw, cells.iter().map(|(_, at)| Some(*at)));
}

pub(super) fn read_grid(
    input: &mut Unpack<'_>,
    geometry: Geometry,
    mut put: impl FnMut(u32, Coordinate),
) -> Result<()> {
    let indices = read_indices(input, geometry)?;
    let mut is_whole = true;
    let place = |at: usize, from: Option<Coordinate>| match from {
        Some(from) => put(indices[at], from),
        None => is_whole = false,
    };
    read_column(input, place, indices.len())?;
    match is_whole {
        true => Ok(()),
        false => Err(damaged(WHAT, "a cell of a layer comes from nowhere")),
    }
}

/// Where the file of a picture that cells come from is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFile {
    Path(PathBuf),
    /// A document that keeps the picture within the project: [`Project::document_source`].
    Document(DocumentId),
    /// Kept within the project because cells come from it: [`Project::kept_picture`].
    Kept,
}

/// Writes down the pictures that a stroke's cells come from.
///
/// # Errors
/// `Damaged` where a cell comes from one that is not listed; `Internal` where one is numbered differently.
pub(super) fn keep_sources(
    t: &Connection,
    document: DocumentId,
    stroke: &Stroke,
    path: &Path,
) -> Result<()> {
    const DOING: &str = "store where cells come from";
    if stroke.coordinates.is_empty() && stroke.edits.is_empty() {
        return Ok(());
    }
    let mut known = count(t, document).doing(DOING, path)?;
    for (number, source) in &stroke.sources {
        source.check()?;
        let hash: ContentHash = source.content_hash.parse()?;
        let number = u64::from(*number);
        if number <= known {
            let is_same: bool = t
                .query_row(
                    "SELECT blake3 = ?3 AND turn = ?4 FROM document_sources WHERE document = ?1 AND number = ?2",
                    params![document, number.cast_signed(), hash, source.turn.number()],
                    |row| row.get(0),
                )
                .doing(DOING, path)?;
            if is_same {
                continue;
            }
        }
        if number != known + 1 || known >= MAX_SOURCES as u64 {
            return Err(Error::new(
                Kind::Internal,
                "could not store a stroke",
                "its cells come from pictures that the project numbers differently",
                "Open the picture again",
            )
            .at(path));
        }
        t.execute(
            "INSERT INTO document_sources (document, number, blake3, width, height, name, turn)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                document,
                number.cast_signed(),
                hash,
                source.width,
                source.height,
                source.name,
                source.turn.number()
            ],
        )
        .doing(DOING, path)?;
        known += 1;
    }
    stroke.check_sources(known as usize)
}

fn count(t: &Connection, document: DocumentId) -> rusqlite::Result<u64> {
    t.query_row(
        "SELECT coalesce(max(number), 0) FROM document_sources WHERE document = ?1",
        [document],
        |row| unsigned(row, 0),
    )
}

impl Project {
    /// The pictures, beside its own, that cells of a document come from, in the order of their numbers.
    ///
    /// # Errors
    /// `Damaged` where one has no proper hash, size or name, or a number is left out.
    pub fn document_sources(&self, document: DocumentId) -> Result<Vec<SourceRef>> {
        const DOING: &str = "read where cells of a document come from";
        let list = || -> rusqlite::Result<Vec<(u64, SourceRef)>> {
            self.connection
                .prepare_cached(
                    "SELECT number, blake3, width, height, name, turn FROM document_sources WHERE document = ?1
                     ORDER BY number LIMIT ?2",
                )?
                .query_map(params![document, MAX_SOURCES as i64 + 1], |row| {
                    let hash: ContentHash = row.get(1)?;
                    let source = SourceRef {
                        content_hash: hash.to_string(),
                        width: row.get(2)?,
                        height: row.get(3)?,
                        name: text(row, 4, MAX_NAME_BYTES)?,
                        turn: Turn::of_number(row.get(5)?)
                            .ok_or_else(|| bad_value(5, "there is no such turn"))?,
                    };
                    Ok((unsigned(row, 0)?, source))
                })?
                .collect()
        };
        let found = list().doing(DOING, &self.path)?;
        let mut sources = Vec::new();
        for (expected, (number, source)) in (1u64..).zip(found) {
            source.check().map_err(|e| e.at(&self.path))?;
            if number != expected || expected > MAX_SOURCES as u64 {
                return Err(super::sqlite::damaged(
                    DOING,
                    &self.path,
                    format!("picture {expected} is missing, or there are too many"),
                ));
            }
            sources.push(source);
        }
        Ok(sources)
    }

    /// Where the picture file with this content is: in the index, or within the project.
    pub fn source_file(&self, hash: ContentHash) -> Result<Option<SourceFile>> {
        const DOING: &str = "look for a picture";
        let document: Option<DocumentId> = self
            .connection
            .query_row(
                "SELECT d.id FROM documents d JOIN blobs b ON b.id = d.source_blob
                 WHERE b.blake3 = ?1 AND b.complete ORDER BY d.id LIMIT 1",
                [hash],
                |row| row.get(0),
            )
            .optional()
            .doing(DOING, &self.path)?;
        if let Some(id) = document {
            return Ok(Some(SourceFile::Document(id)));
        }
        let picture = self
            .connection
            .query_row(
                "SELECT id FROM pictures WHERE blake3 = ?1 ORDER BY missing, id LIMIT 1",
                [hash],
                |row| row.get(0),
            )
            .optional()
            .doing(DOING, &self.path)?;
        if let Some(id) = picture {
            return Ok(Some(SourceFile::Path(self.picture(id)?.path)));
        }
        Ok(self.kept_blob(hash)?.map(|_| SourceFile::Kept))
    }

    fn kept_blob(&self, hash: ContentHash) -> Result<Option<i64>> {
        self.connection
            .query_row(
                "SELECT k.blob FROM kept_pictures k JOIN blobs b ON b.id = k.blob
                 WHERE k.blake3 = ?1 AND b.blake3 = ?1 AND b.complete",
                [hash],
                |row| row.get(0),
            )
            .optional()
            .doing("look for a picture", &self.path)
    }

    /// The bytes of a picture file that is kept because cells come from it; they are a stranger's.
    ///
    /// # Errors
    /// `NotFound` where none of this content is kept; `Damaged` where the bytes are not those stored.
    pub fn kept_picture(&self, hash: ContentHash) -> Result<Vec<u8>> {
        match self.kept_blob(hash)? {
            Some(blob) => self.read_blob_to_vec(blob),
            None => Err(super::sqlite::not_found("the picture", &self.path)),
        }
    }

    /// Keeps a picture file that cells of documents come from, until no document has such cells any more. One that the project
    /// finds already is not kept twice.
    ///
    /// # Errors
    /// `Limit`, `DiskFull`.
    pub fn keep_picture(&mut self, bytes: &[u8]) -> Result<()> {
        const DOING: &str = "keep a picture that cells come from";
        let hash = ContentHash::of(bytes);
        if self.source_file(hash)?.is_some() {
            return Ok(());
        }
        let blob = self.write_blob(bytes)?;
        self.transact(DOING, |t, path| {
            blobs::complete(t, blob, path)?;
            t.execute(
                "INSERT OR REPLACE INTO kept_pictures (blake3, blob) VALUES (?1, ?2)",
                params![hash, blob],
            )
            .doing(DOING, path)
            .map(drop)
        })
    }

    /// The content hash of a document's source picture; `None` where that is gone.
    pub fn document_source_hash(&self, id: DocumentId) -> Result<Option<ContentHash>> {
        self.connection
            .query_row(
                "SELECT coalesce(b.blake3, p.blake3) FROM documents d
                 LEFT JOIN blobs b ON b.id = d.source_blob
                 LEFT JOIN pictures p ON p.id = d.source_picture WHERE d.id = ?1",
                [id],
                |row| row.get::<_, Option<ContentHash>>(0),
            )
            .optional()
            .map(Option::flatten)
            .doing("read a document's source", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coordinate() -> impl Strategy<Value = Option<Coordinate>> {
        prop::option::of(
            (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(source, y, x)| Coordinate {
                source,
                y,
                x,
            }),
        )
    }

    proptest! {
        #[test]
        fn coordinates_come_back_and_odd_bytes_are_damage(
            cells in prop::collection::vec((0u32..400, coordinate(), coordinate()), 1..200),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let geometry = Geometry::new(80, 80).unwrap();
            let deltas: Vec<_> = (cells.into_iter())
                .map(|(index, before, after)| CoordinateDelta { index, before, after })
                .collect();
            let stored = encode_coordinates(&deltas).unwrap();
            prop_assert_eq!(decode_coordinates(&stored, geometry).unwrap(), deltas);
            for len in 0..stored.len() {
                prop_assert!(decode_coordinates(&stored[..len], geometry).is_err());
            }
            let _ = decode_coordinates(&pack(noise.clone()), geometry);
            let _ = decode_coordinates(&noise, geometry);
        }
    }

    #[test]
    fn a_file_cannot_bring_coordinates_of_cells_that_there_are_not() {
        let geometry = Geometry::new(16, 16).unwrap();
        let delta = |index| CoordinateDelta {
            index,
            before: None,
            after: Some(Coordinate::default()),
        };
        assert_eq!(encode_coordinates(&[]), None);
        let outside = encode_coordinates(&[delta(16)]).unwrap();
        assert!(decode_coordinates(&outside, geometry).is_err());
        let mut bomb = Vec::new();
        put_number(&mut bomb, u64::MAX);
        assert!(decode_coordinates(&pack(bomb), geometry).is_err());
        // A coordinate that lies in a way this program does not know.
        let mut turned = Vec::new();
        for number in [1, 0, 0, 2, 0, 0] {
            put_number(&mut turned, number);
        }
        assert!(decode_coordinates(&pack(turned), geometry).is_err());
    }
}
