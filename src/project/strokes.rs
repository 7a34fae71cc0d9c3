//! The journal of strokes on a document.

use rusqlite::types::ValueRef;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::documents::cell_count;
use super::limits::{MAX_NAME_BYTES, MAX_PAGE_ROWS, MAX_VALUE_BYTES};
use super::snapshots::SNAPSHOT_STROKES;
use super::sqlite::{Doing, bad_value, checked_name, damaged, limited_len, text, unsigned};
use super::{DocumentId, DocumentRow, Project, journal, layers, sources};
use crate::document::{ABSENT, Codebooks, Stroke};
use crate::error::{Error, Kind, Result};
use crate::foundation::time::now_ms;

/// One line of a document's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrokeRow {
    /// From 1.
    pub number: u64,
    pub label: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub is_applied: bool,
}

/// A row of the table of strokes.
pub(super) struct StoredStroke<'a> {
    pub label: String,
    pub target: i64,
    pub deltas: &'a [u8],
    pub edits: Option<&'a [u8]>,
    pub coordinates: Option<&'a [u8]>,
    pub settings: Option<&'a str>,
}

impl<'a> StoredStroke<'a> {
    /// The columns that [`StoredStroke::read`] expects.
    pub const COLUMNS: &'static str =
        "number, label, target, deltas, layer_edits, coordinates, settings";

    pub fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let limited = |column, bytes: &'a [u8]| match bytes.len() <= MAX_VALUE_BYTES {
            true => Ok(bytes),
            false => Err(bad_value(column, "it is too large")),
        };
        let deltas = row.get_ref(3)?;
        let optional = |column| {
            let value: ValueRef<'a> = row.get_ref(column)?;
            (value.as_blob_or_null())
                .map_err(|e| bad_value(column, e.to_string()))?
                .map(|bytes| limited(column, bytes))
                .transpose()
        };
        let settings =
            (row.get_ref(6)?.as_str_or_null()).map_err(|e| bad_value(6, e.to_string()))?;
        if let Some(settings) = settings {
            limited(6, settings.as_bytes())?;
        }
        Ok(Self {
            label: text(row, 1, MAX_NAME_BYTES)?,
            target: row.get(2)?,
            deltas: limited(
                3,
                deltas.as_blob().map_err(|e| bad_value(3, e.to_string()))?,
            )?,
            edits: optional(4)?,
            coordinates: optional(5)?,
            settings,
        })
    }

    /// The stroke, checked against the row of its document.
    pub fn decode(self, row: &DocumentRow) -> Result<Stroke> {
        let geometry = row.geometry()?;
        let stroke = Stroke {
            label: self.label,
            target: layers::target_of(self.target)?,
            deltas: journal::decode_deltas(self.deltas, cell_count(geometry))?,
            coordinates: match self.coordinates {
                Some(stored) => sources::decode_coordinates(stored, geometry)?,
                None => Vec::new(),
            },
            sources: Vec::new(),
            edits: match self.edits {
                Some(stored) => layers::decode_edits(stored, geometry, row.codebooks)?,
                None => Vec::new(),
            },
            settings: self.settings.map(Into::into),
        };
        stroke.check(geometry)?;
        check_stroke_codes(&stroke, row.codebooks).map_err(|e| Error {
            kind: Kind::Damaged,
            ..e
        })?;
        Ok(stroke)
    }
}

fn check_stroke_codes(stroke: &Stroke, codebooks: Codebooks) -> Result<()> {
    if stroke.target.is_mask {
        return Ok(());
    }
    for delta in &stroke.deltas {
        for raw in [delta.before, delta.after] {
            if raw != ABSENT {
                codebooks.check(delta.level, crate::document::code_from_raw(raw))?;
            }
        }
    }
    Ok(())
}

impl Project {
    /// Adds a finished stroke to the journal; undone strokes are forgotten. When this returns, the
    /// stroke survives a kill and a power cut. Returns its number.
    ///
    /// # Errors
    /// `Damaged` or `Usage` where the stroke does not fit the document; `Limit`, `DiskFull`.
    pub fn append_stroke(&mut self, id: DocumentId, stroke: &Stroke) -> Result<u64> {
        const DOING: &str = "store a stroke";
        checked_name("a stroke's label", &stroke.label)?;
        let row = self.document(id)?;
        stroke.check(row.geometry()?)?;
        check_stroke_codes(stroke, row.codebooks)?;
        let stored = journal::encode_deltas(&stroke.deltas);
        let edits = layers::encode_edits(stroke);
        let coordinates = sources::encode_coordinates(&stroke.coordinates);
        limited_len("a stroke", stored.len(), MAX_VALUE_BYTES)?;
        limited_len(
            "a stroke",
            coordinates.as_ref().map_or(0, Vec::len),
            MAX_VALUE_BYTES,
        )?;
        limited_len(
            "a stroke",
            edits.as_ref().map_or(0, Vec::len),
            MAX_VALUE_BYTES,
        )?;
        limited_len(
            "what a stroke was generated with",
            stroke
                .settings
                .as_ref()
                .map_or(0, |settings| settings.len()),
            MAX_VALUE_BYTES,
        )?;
        let number = row.applied_strokes + 1;
        let kept = row.applied_strokes.cast_signed();
        self.transact(DOING, |t, path| {
            if row.strokes > row.applied_strokes {
                for table in ["strokes WHERE number", "document_codes WHERE applied_strokes"] {
                    t.execute(
                        &format!("DELETE FROM {table} > ?2 AND document = ?1"),
                        [id, kept],
                    )
                    .doing(DOING, path)?;
                }
            }
            sources::keep_sources(t, id, stroke, path)?;
            let now = now_ms();
            t.prepare_cached(
                "INSERT INTO strokes (document, number, label, deltas, created_ms, target, layer_edits, coordinates,
                     settings)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .and_then(|mut s| {
                let target = layers::target_number(stroke.target);
                let label = &stroke.label;
                let settings = stroke.settings.as_deref();
                s.execute(params![
                    id,
                    kept + 1,
                    label,
                    stored,
                    now,
                    target,
                    edits,
                    coordinates,
                    settings
                ])
            })
            .doing(DOING, path)?;
            t.prepare_cached(
                "UPDATE documents SET applied_strokes = ?2, modified_ms = ?3 WHERE id = ?1",
            )
            .and_then(|mut s| s.execute(params![id, kept + 1, now]))
            .doing(DOING, path)?;
            Ok(())
        })?;
        if number.is_multiple_of(SNAPSHOT_STROKES) {
            // The stroke is safe; a snapshot only makes the next opening faster.
            if let Err(error) = self.store_snapshot(id) {
                log::warn!("{error}");
            }
        }
        Ok(number)
    }

    /// Notes that the last applied stroke was undone. `false` where there is none.
    pub fn undo_stroke(&mut self, id: DocumentId) -> Result<bool> {
        self.move_cursor(
            id,
            "UPDATE documents SET applied_strokes = applied_strokes - 1, modified_ms = ?2
             WHERE id = ?1 AND applied_strokes > 0",
        )
    }

    /// Notes that the last undone stroke was done again. `false` where there is none.
    pub fn redo_stroke(&mut self, id: DocumentId) -> Result<bool> {
        self.move_cursor(
            id,
            "UPDATE documents SET applied_strokes = applied_strokes + 1, modified_ms = ?2
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM strokes s WHERE s.document = ?1 AND s.number = applied_strokes + 1)",
        )
    }

    /// Notes that exactly this many strokes are applied now, in one step: a jump in the history.
    ///
    /// # Errors
    /// `Usage` where there are fewer.
    pub fn set_applied_strokes(&mut self, id: DocumentId, applied: u64) -> Result<()> {
        let row = self.document(id)?;
        if applied > row.strokes {
            return Err(Error::usage(
                "could not go to that state",
                format!("there are {} strokes", row.strokes),
                "",
            ));
        }
        self.update_one(
            "store an undo",
            "UPDATE documents SET applied_strokes = ?2, modified_ms = ?3 WHERE id = ?1",
            params![id, applied.cast_signed(), now_ms()],
        )
    }

    fn move_cursor(&mut self, id: DocumentId, sql: &str) -> Result<bool> {
        const DOING: &str = "store an undo";
        self.transact(DOING, |t, path| {
            let changed = t.execute(sql, params![id, now_ms()]).doing(DOING, path)?;
            Ok(changed > 0)
        })
    }

    /// Calls `each` with the strokes numbered `first..=last`, which must all be there.
    pub(super) fn for_strokes(
        &self,
        row: &DocumentRow,
        first: u64,
        last: u64,
        each: &mut dyn FnMut(u64, Stroke) -> Result<()>,
    ) -> Result<()> {
        const DOING: &str = "read the strokes of a document";
        let mut statement = self
            .connection
            .prepare_cached(
                &format!(
                    "SELECT {} FROM strokes WHERE document = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number",
                    StoredStroke::COLUMNS
                ),
            )
            .doing(DOING, &self.path)?;
        let mut rows = statement
            .query([row.id, first.cast_signed(), last.cast_signed()])
            .doing(DOING, &self.path)?;
        let mut expected = first;
        while let Some(r) = rows.next().doing(DOING, &self.path)? {
            let number = unsigned(r, 0).doing(DOING, &self.path)?;
            if number != expected {
                break;
            }
            let stored = StoredStroke::read(r).doing(DOING, &self.path)?;
            let stroke = stored.decode(row).map_err(|e| e.at(&self.path))?;
            each(number, stroke)?;
            expected += 1;
        }
        if expected != last + 1 {
            return Err(super::sqlite::damaged(
                DOING,
                &self.path,
                format!("stroke {expected} is missing"),
            ));
        }
        Ok(())
    }

    /// Documents whose first stroke was made and not painted, and is applied, newest first, each with what its settings say under
    /// `what`; at most [`MAX_PAGE_ROWS`].
    pub fn made_documents(&self) -> Result<Vec<(DocumentId, String)>> {
        let list = || -> rusqlite::Result<Vec<(DocumentId, String)>> {
            self.connection
                .prepare(&format!(
                    "SELECT s.document, json_extract(s.settings, '$.what')
                     FROM strokes s JOIN documents d ON d.id = s.document
                     WHERE s.number = 1 AND d.applied_strokes > 0
                       AND json_valid(s.settings) AND json_type(s.settings, '$.what') = 'text'
                     ORDER BY d.created_ms DESC, d.id DESC LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([], |row| Ok((row.get(0)?, text(row, 1, MAX_NAME_BYTES)?)))?
                .collect()
        };
        list().doing("list the documents that were made", &self.path)
    }

    /// The history list without the strokes themselves; at most [`MAX_PAGE_ROWS`] a time.
    pub fn stroke_rows(&self, id: DocumentId, offset: u64, limit: u64) -> Result<Vec<StrokeRow>> {
        let applied = self.document(id)?.applied_strokes;
        let offset = super::sqlite::signed("an offset", offset)?;
        let limit = limit.min(MAX_PAGE_ROWS) as i64; // small, so it fits
        let list = || -> rusqlite::Result<Vec<StrokeRow>> {
            self.connection
                .prepare_cached(
                    "SELECT number, label, created_ms FROM strokes WHERE document = ?1 ORDER BY number LIMIT ?3 OFFSET ?2",
                )?
                .query_map([id, offset, limit], |row| {
                    let number = unsigned(row, 0)?;
                    Ok(StrokeRow {
                        number,
                        label: text(row, 1, MAX_NAME_BYTES)?,
                        created_ms: row.get(2)?,
                        is_applied: number <= applied,
                    })
                })?
                .collect()
        };
        list().doing("list the strokes of a document", &self.path)
    }

    /// The strokes up to `last`, oldest first: as many of the newest of them as change at most `cells` cells
    /// together, and one at least.
    ///
    /// # Errors
    /// `NotFound` for an unknown document; `Damaged` where strokes are missing or do not fit it.
    pub fn strokes_up_to(&self, id: DocumentId, last: u64, cells: usize) -> Result<Vec<Stroke>> {
        const DOING: &str = "read the strokes of a document";
        let row = self.document(id)?;
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {} FROM strokes WHERE document = ?1 AND number <= ?2 ORDER BY number DESC",
                StoredStroke::COLUMNS
            ))
            .doing(DOING, &self.path)?;
        let mut rows = statement
            .query(params![id, last.cast_signed()])
            .doing(DOING, &self.path)?;
        let mut strokes: Vec<Stroke> = Vec::new();
        let mut room = cells;
        while let Some(found) = rows.next().doing(DOING, &self.path)? {
            let number = unsigned(found, 0).doing(DOING, &self.path)?;
            let expected = last - strokes.len() as u64;
            if number != expected {
                let why = format!("stroke {expected} is missing");
                return Err(damaged(DOING, &self.path, why));
            }
            let stored = StoredStroke::read(found).doing(DOING, &self.path)?;
            let stroke = stored.decode(&row).map_err(|e| e.at(&self.path))?;
            match room.checked_sub(stroke.deltas.len() + stroke.coordinates.len()) {
                Some(left) => room = left,
                None if strokes.is_empty() => room = 0,
                None => break,
            }
            strokes.push(stroke);
        }
        if strokes.is_empty() {
            let why = format!("stroke {last} is missing");
            return Err(damaged(DOING, &self.path, why));
        }
        strokes.reverse();
        Ok(strokes)
    }
}
