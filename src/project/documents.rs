//! Documents: what a project keeps of each, beside its strokes and snapshots, and how one is made and loaded.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::limits::{MAX_NAME_BYTES, MAX_PAGE_ROWS, MAX_VALUE_BYTES};
use super::sqlite::{Doing, bad_value, checked_name, limited_len, not_found, text, unsigned};
use super::{ContentHash, PictureId, Project, blobs, journal};
use crate::document::{
    ABSENT, Codebooks, Codes, Geometry, History, LayerStack, Level, SourceRef, Wrap,
};
use crate::error::{Error, Result};
use crate::foundation::time::now_ms;

pub type DocumentId = i64;

/// Where the source pixels of a new document come from.
#[derive(Debug, Clone, Copy)]
pub enum NewSource<'a> {
    /// The bytes of an encoded picture, kept in the project.
    Embedded(&'a [u8]),
    /// A picture of the dataset index; only its place is kept.
    Picture(PictureId),
}

#[derive(Debug, Clone)]
pub struct NewDocument<'a> {
    pub name: &'a str,
    pub source: NewSource<'a>,
    pub geometry: Geometry,
    /// Hash of the weights that encoded it.
    pub checkpoint: ContentHash,
    /// Sizes of that checkpoint's codebooks.
    pub codebooks: Codebooks,
    pub wrap: Wrap,
    /// As encoded.
    pub codes: &'a Codes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSource {
    /// The project holds this many bytes of an encoded picture: [`Project::document_source`].
    Embedded {
        bytes: u64,
    },
    Picture {
        id: PictureId,
    },
    /// The picture was taken out of the index.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    pub id: DocumentId,
    pub name: String,
    pub source: DocumentSource,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub checkpoint: ContentHash,
    pub codebooks: Codebooks,
    pub wrap: Wrap,
    /// Strokes in the journal, undone ones included.
    pub strokes: u64,
    /// How many of them are applied.
    pub applied_strokes: u64,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub modified_ms: i64,
}

impl DocumentRow {
    /// # Errors
    /// `Limit` for a size that no document has.
    pub fn geometry(&self) -> Result<Geometry> {
        Geometry::new(self.width, self.height)
    }
}

/// A document as far as the project knows it; its pixels and its model are elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedDocument {
    pub row: DocumentRow,
    pub encoded: Codes,
    /// After the applied strokes, under all shown layers.
    pub edited: Codes,
    /// After the applied strokes.
    pub layers: LayerStack,
    /// The pictures, beside its own, that cells come from, in the order of their numbers.
    pub sources: Vec<SourceRef>,
    pub history: History,
    /// Strokes older than those in `history`: more than memory should hold. Usually 0.
    pub older_strokes: u64,
}

const SELECT: &str = "SELECT d.id, d.name, d.source_blob, b.length, d.source_picture, d.width, d.height, d.checkpoint,
     d.structure_codes, d.detail_codes, d.wrap_x, d.wrap_y,
     (SELECT coalesce(max(s.number), 0) FROM strokes s WHERE s.document = d.id),
     d.applied_strokes, d.created_ms, d.modified_ms
     FROM documents d LEFT JOIN blobs b ON b.id = d.source_blob";

fn document_row(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    let source = match (
        row.get::<_, Option<i64>>(2)?,
        row.get::<_, Option<PictureId>>(4)?,
    ) {
        (Some(_), _) => DocumentSource::Embedded {
            bytes: unsigned(row, 3)?,
        },
        (None, Some(id)) => DocumentSource::Picture { id },
        (None, None) => DocumentSource::Lost,
    };
    let (strokes, applied_strokes) = (unsigned(row, 12)?, unsigned(row, 13)?);
    if applied_strokes > strokes {
        return Err(bad_value(13, "more strokes are applied than there are"));
    }
    let (width, height) = (row.get(5)?, row.get(6)?);
    Geometry::new(width, height).map_err(|e| bad_value(5, e.notice.why))?;
    Ok(DocumentRow {
        id: row.get(0)?,
        name: text(row, 1, MAX_NAME_BYTES)?,
        source,
        width,
        height,
        checkpoint: row.get(7)?,
        codebooks: Codebooks {
            structure: row.get(8)?,
            detail: row.get(9)?,
        },
        wrap: Wrap {
            x: row.get(10)?,
            y: row.get(11)?,
        },
        strokes,
        applied_strokes,
        created_ms: row.get(14)?,
        modified_ms: row.get(15)?,
    })
}

/// Most cells that one stroke can change.
pub(super) fn cell_count(geometry: Geometry) -> usize {
    Level::ALL.map(|l| geometry.cell_count(l)).iter().sum()
}

fn check_codebooks(codebooks: Codebooks) -> Result<()> {
    let is_usable = |size| (1..=u32::from(ABSENT)).contains(&size);
    if is_usable(codebooks.structure) && is_usable(codebooks.detail) {
        return Ok(());
    }
    Err(Error::usage(
        "could not store the document",
        "a codebook has 1 to 65,534 codes",
        "",
    ))
}

fn store_encoded(t: &Connection, id: DocumentId, codes: &Codes, path: &Path) -> Result<()> {
    let stored = journal::encode_codes(codes);
    limited_len("the codes of a document", stored.len(), MAX_VALUE_BYTES)?;
    t.execute(
        "INSERT INTO document_codes (document, applied_strokes, codes) VALUES (?1, 0, ?2)",
        params![id, stored],
    )
    .doing("store the codes of a document", path)
    .map(drop)
}

impl Project {
    /// Stores a new document without strokes.
    ///
    /// # Errors
    /// `Damaged` or `Usage` where the codes fit neither picture nor codebooks; `Limit`, `DiskFull`.
    pub fn create_document(&mut self, new: &NewDocument<'_>) -> Result<DocumentRow> {
        const DOING: &str = "store a document";
        checked_name("a document's name", new.name)?;
        check_codebooks(new.codebooks)?;
        new.codes.check(new.geometry, Some(new.codebooks))?;
        let (blob, picture) = match new.source {
            NewSource::Embedded(bytes) => (Some(self.write_blob(bytes)?), None),
            NewSource::Picture(id) => (None, Some(id)),
        };
        let id = self.transact(DOING, |t, path| {
            if let Some(blob) = blob {
                blobs::complete(t, blob, path)?;
            }
            t.execute(
                "INSERT INTO documents (name, source_blob, source_picture, width, height, checkpoint, structure_codes,
                     detail_codes, wrap_x, wrap_y, applied_strokes, created_ms, modified_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?11)",
                params![
                    new.name,
                    blob,
                    picture,
                    new.geometry.width(),
                    new.geometry.height(),
                    new.checkpoint,
                    new.codebooks.structure,
                    new.codebooks.detail,
                    new.wrap.x,
                    new.wrap.y,
                    now_ms()
                ],
            )
            .doing(DOING, path)?;
            let id = t.last_insert_rowid();
            store_encoded(t, id, new.codes, path)?;
            Ok(id)
        })?;
        self.document(id)
    }

    pub fn document(&self, id: DocumentId) -> Result<DocumentRow> {
        self.connection
            .query_row(&format!("{SELECT} WHERE d.id = ?1"), [id], document_row)
            .optional()
            .doing("read a document", &self.path)?
            .ok_or_else(|| not_found("the document", &self.path))
    }

    /// The newest document of this name.
    pub fn document_by_name(&self, name: &str) -> Result<Option<DocumentRow>> {
        self.connection
            .query_row(
                &format!("{SELECT} WHERE d.name = ?1 ORDER BY d.id DESC LIMIT 1"),
                [name],
                document_row,
            )
            .optional()
            .doing("read a document", &self.path)
    }

    /// Documents, last changed first; at most [`MAX_PAGE_ROWS`].
    pub fn documents(&self) -> Result<Vec<DocumentRow>> {
        let list = || -> rusqlite::Result<Vec<DocumentRow>> {
            self.connection
                .prepare(&format!(
                    "{SELECT} ORDER BY d.modified_ms DESC, d.id DESC LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([], document_row)?
                .collect()
        };
        list().doing("list the documents", &self.path)
    }

    /// The bytes of the embedded source picture; they are a stranger's.
    ///
    /// # Errors
    /// `NotFound` where the source is not embedded, `Damaged` where the bytes are not those stored.
    pub fn document_source(&self, id: DocumentId) -> Result<Vec<u8>> {
        let blob: Option<i64> = self
            .connection
            .query_row(
                "SELECT source_blob FROM documents WHERE id = ?1",
                [id],
                |row| row.get(0),
            )
            .optional()
            .doing("read a document's source", &self.path)?
            .flatten();
        match blob {
            Some(blob) => self.read_blob_to_vec(blob),
            None => Err(not_found("the document's own source picture", &self.path)),
        }
    }

    pub fn rename_document(&mut self, id: DocumentId, name: &str) -> Result<()> {
        checked_name("a document's name", name)?;
        self.update_one(
            "rename a document",
            "UPDATE documents SET name = ?2, modified_ms = ?3 WHERE id = ?1",
            params![id, name, now_ms()],
        )
    }

    pub fn delete_document(&mut self, id: DocumentId) -> Result<()> {
        const DOING: &str = "delete a document";
        self.transact(DOING, |t, path| {
            if t.execute("DELETE FROM documents WHERE id = ?1", [id])
                .doing(DOING, path)?
                == 0
            {
                return Err(not_found("the document", path));
            }
            t.execute(
                "DELETE FROM kept_pictures WHERE blake3 NOT IN (SELECT blake3 FROM document_sources)",
                [],
            )
            .doing(DOING, path)
            .map(drop)
        })?;
        self.remove_unused_blobs();
        Ok(())
    }

    /// Encodes a document anew (another model, another wrap): its strokes, which belong to the old
    /// codes, are forgotten.
    pub fn replace_document_codes(
        &mut self,
        id: DocumentId,
        codes: &Codes,
        checkpoint: ContentHash,
        codebooks: Codebooks,
        wrap: Wrap,
    ) -> Result<()> {
        const DOING: &str = "store the codes of a document";
        check_codebooks(codebooks)?;
        codes.check(self.document(id)?.geometry()?, Some(codebooks))?;
        self.transact(DOING, |t, path| {
            t.execute("DELETE FROM strokes WHERE document = ?1", [id])
                .doing(DOING, path)?;
            t.execute("DELETE FROM document_codes WHERE document = ?1", [id])
                .doing(DOING, path)?;
            t.execute(
                "UPDATE documents SET checkpoint = ?2, structure_codes = ?3, detail_codes = ?4, wrap_x = ?5, wrap_y = ?6,
                     applied_strokes = 0, modified_ms = ?7 WHERE id = ?1",
                params![id, checkpoint, codebooks.structure, codebooks.detail, wrap.x, wrap.y, now_ms()],
            )
            .doing(DOING, path)?;
            store_encoded(t, id, codes, path)
        })
    }

    /// Encodes a document anew on a canvas that wraps differently. Its strokes stay; those on the first layer are
    /// written anew, so that they say the same over the new codes.
    ///
    /// # Errors
    /// `Damaged` or `Usage` where the codes do not fit the document; `DiskFull`.
    pub fn rewrap_document(&mut self, id: DocumentId, wrap: Wrap, codes: &Codes) -> Result<()> {
        const DOING: &str = "store the codes of a document";
        const PAGE: u64 = 512;
        let row = self.document(id)?;
        codes.check(row.geometry()?, Some(row.codebooks))?;
        let old = self.encoded_codes(&row)?;
        let mut rewritten = Vec::new();
        for first in (1..=row.strokes).step_by(PAGE as usize) {
            let last = (first + PAGE - 1).min(row.strokes);
            self.for_strokes(&row, first, last, &mut |number, stroke| {
                if stroke.target == crate::document::Target::default() {
                    let renewed = stroke.reencoded(&old, codes);
                    rewritten.push((number, journal::encode_deltas(&renewed.deltas)));
                }
                Ok(())
            })?;
        }
        self.transact(DOING, |t, path| {
            t.execute("DELETE FROM document_codes WHERE document = ?1", [id])
                .doing(DOING, path)?;
            store_encoded(t, id, codes, path)?;
            for (number, deltas) in rewritten {
                t.prepare_cached(
                    "UPDATE strokes SET deltas = ?3 WHERE document = ?1 AND number = ?2",
                )
                .and_then(|mut s| s.execute(params![id, number.cast_signed(), deltas]))
                .doing(DOING, path)?;
            }
            t.execute(
                "UPDATE documents SET wrap_x = ?2, wrap_y = ?3, modified_ms = ?4 WHERE id = ?1",
                params![id, wrap.x, wrap.y, now_ms()],
            )
            .doing(DOING, path)
            .map(drop)
        })?;
        self.store_snapshot(id)
    }

    /// Codes and history, as they were when the document was last left.
    ///
    /// # Errors
    /// `Damaged` where codes or strokes fit neither the picture nor each other.
    pub fn load_document(&self, id: DocumentId) -> Result<LoadedDocument> {
        let row = self.document(id)?;
        let (encoded, layers) = self.state_after(&row, row.applied_strokes)?;
        let edited = layers.compose(layers.layers().len(), &encoded);
        let older_strokes = self.strokes_beyond_memory(&row)?;
        let mut strokes = Vec::new();
        self.for_strokes(&row, older_strokes + 1, row.strokes, &mut |_, stroke| {
            strokes.push(Arc::new(stroke));
            Ok(())
        })?;
        // Both are at most the number of strokes just read.
        let cursor = (row.applied_strokes - older_strokes) as usize;
        let history = History::from_parts(strokes, cursor)
            .map_err(|e| e.at(&self.path))?
            .after(older_strokes);
        Ok(LoadedDocument {
            row,
            encoded,
            edited,
            layers,
            sources: self.document_sources(id)?,
            history,
            older_strokes,
        })
    }

    /// How many of the oldest applied strokes must stay in the file so that the rest fits in memory.
    fn strokes_beyond_memory(&self, row: &DocumentRow) -> Result<u64> {
        // A cheap bound first: no document of few or small strokes gets further than this.
        if (row.strokes as usize).saturating_mul(cell_count(row.geometry()?)) <= History::MAX_CELLS
        {
            return Ok(0);
        }
        let mut sizes = Vec::new();
        self.for_strokes(row, 1, row.strokes, &mut |_, stroke| {
            sizes.push(stroke.deltas.len() + stroke.coordinates.len());
            Ok(())
        })?;
        let mut room = History::MAX_CELLS;
        let kept = sizes
            .iter()
            .rev()
            .take_while(|&&n| {
                let fits = n <= room;
                room = room.saturating_sub(n);
                fits
            })
            .count();
        Ok((row.strokes - kept as u64).min(row.applied_strokes))
    }
}
