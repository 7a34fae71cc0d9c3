//! The index of encoded pictures: the codes and the embedding of each picture under a model.
//!
//! A row counts only while its picture has the content that was encoded. Nothing in a row is trusted: its sizes are checked
//! before it is read, and a row that does not fit its model is reported as damaged, never handed out.

use std::path::PathBuf;

use rusqlite::{Row, ToSql, params};

use super::limits::{
    MAX_EMBEDDING_LEN, MAX_INDEXED_PIXELS, MAX_NAME_BYTES, MAX_PAGE_ROWS, MAX_PATH_BYTES,
};
use super::packed::{pack, packed_len, unpack};
use super::pictures::optional;
use super::sqlite::{Doing, bytes, limited_len, over_limit, text, to_json, unsigned};
use super::{ContentHash, PictureFilter, PictureId, Project, paths};
use crate::document::{CodeGrid, Codebooks, Codes, EMPTY, Geometry, Level};
use crate::error::{Error, Kind, Result};

/// Codes and embeddings that one page may hold, in bytes of memory.
const PAGE_BYTES: usize = 8 << 20;
/// Rows removed in one transaction: each frees pages that have to be noted.
const REMOVED_AT_ONCE: i64 = 2_000;

/// A model as its rows have to fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodingModel {
    /// Hash of the weights.
    pub hash: ContentHash,
    pub codebooks: Codebooks,
    /// Values of an embedding; 0 for a model without.
    pub embedding_len: usize,
}

/// A picture's codes to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEncoding {
    pub picture: PictureId,
    /// Hash of the file that was encoded.
    pub content_hash: ContentHash,
    /// Size of the picture as it was encoded, at most [`MAX_INDEXED_PIXELS`].
    pub geometry: Geometry,
    pub codes: Codes,
    /// A unit vector; empty for a model without embedding.
    pub embedding: Vec<f32>,
}

/// A picture's codes as they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodingRow {
    pub picture: PictureId,
    pub path: PathBuf,
    pub label: Option<String>,
    /// Hash of the picture's file.
    pub content_hash: ContentHash,
    /// Size of the picture as it was encoded.
    pub geometry: Geometry,
    pub codes: Codes,
    pub embedding: Vec<f32>,
}

/// Rows in the order of their pictures' ids.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodingPage<T> {
    pub rows: Vec<T>,
    /// Pictures whose rows do not fit the model.
    pub damaged: Vec<PictureId>,
    /// The last picture looked at; `None` when there are no more.
    pub last: Option<PictureId>,
}

/// A picture whose codes the index does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unencoded {
    pub picture: PictureId,
    pub path: PathBuf,
    /// Hash of the file, as the last import found it.
    pub content_hash: ContentHash,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// It has a row, of other content.
    pub is_stale: bool,
}

/// How many of a filter's pictures the index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodingCounts {
    /// With the codes of their present content.
    pub current: u64,
    /// With codes of other content.
    pub stale: u64,
    /// Without codes.
    pub missing: u64,
}

/// Which pictures' rows are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodingsOf {
    Matching(PictureFilter),
    /// At most [`MAX_PAGE_ROWS`].
    Pictures(Vec<PictureId>),
}

impl EncodingsOf {
    /// As [`PictureFilter::condition`]; `id`: the column with the pictures' ids.
    fn condition(&self, id: &str) -> Result<(String, Vec<Box<dyn ToSql>>)> {
        let ids = match self {
            Self::Matching(filter) => return Ok(filter.condition()),
            Self::Pictures(ids) => ids,
        };
        limited_len("a list of pictures", ids.len(), MAX_PAGE_ROWS as usize)?;
        let first = ids.iter().min().copied().unwrap_or(PictureId::MAX);
        let last = ids.iter().max().copied().unwrap_or(PictureId::MIN);
        let list = to_json("a list of pictures", ids)?;
        // The range keeps what is looked through to the part of the index where they are.
        let sql = format!("{id} IN (SELECT value FROM json_each(?1)) AND {id} BETWEEN ?2 AND ?3");
        Ok((sql, vec![Box::new(list), Box::new(first), Box::new(last)]))
    }
}

/// Most cells that a level of an indexed picture has: those of the area, and a row and a column more than fill it.
fn max_cells(level: Level) -> usize {
    let per_side = (Level::Structure.stride_px() / level.stride_px()) as usize;
    let whole = MAX_INDEXED_PIXELS as usize / 256;
    let edges = 2 * crate::document::MAX_SIDE_PX as usize / 16 + 1;
    (whole + edges) * per_side * per_side
}

impl EncodingModel {
    fn check(&self) -> Result<()> {
        let is_codebook = |codes: u32| (1..=65_534).contains(&codes);
        if !is_codebook(self.codebooks.structure) || !is_codebook(self.codebooks.detail) {
            return Err(Error::usage(
                "could not use the index of encoded pictures",
                "the model's codebooks have no usable size",
                "",
            ));
        }
        limited_len("an embedding", self.embedding_len, MAX_EMBEDDING_LEN)
    }

    fn check_new(&self, new: &NewEncoding) -> Result<()> {
        let geometry = new.geometry;
        let pixels = u64::from(geometry.width()) * u64::from(geometry.height());
        if pixels > MAX_INDEXED_PIXELS {
            return Err(over_limit(
                "a picture's codes (pixels)",
                pixels,
                MAX_INDEXED_PIXELS,
            ));
        }
        new.codes.check(geometry, Some(self.codebooks))?;
        let has_whole_codes = !new.codes.detail.cells().contains(&EMPTY);
        let has_embedding = new.embedding.len() == self.embedding_len
            && new.embedding.iter().all(|value| value.is_finite());
        if has_whole_codes && has_embedding {
            return Ok(());
        }
        Err(Error::new(
            Kind::Internal,
            "could not keep a picture's codes",
            "they are not those that the model gives",
            "Report this with the log",
        ))
    }

    /// Columns with values of wrong length as NULL, so that they are not read. Parameters follow the `used` ones.
    fn bounded(
        &self,
        column: &str,
        level: Option<Level>,
        used: &mut Vec<Box<dyn ToSql>>,
    ) -> String {
        let (compare, length) = match level {
            None => ("=", self.embedding_len * size_of::<f32>()),
            Some(level) => (
                "<=",
                packed_len(max_cells(level), self.codebooks.size(level)),
            ),
        };
        used.push(Box::new(length as i64)); // far below the largest
        let number = used.len();
        format!("CASE WHEN length(e.{column}) {compare} ?{number} THEN e.{column} END")
    }

    /// The row's content; `None` where it does not fit. Columns: id, path, label, hash, width, height, embedding,
    /// structure, detail.
    fn row(&self, row: &Row<'_>) -> rusqlite::Result<Option<EncodingRow>> {
        let side =
            |column| Ok::<_, rusqlite::Error>(u32::try_from(row.get::<_, i64>(column)?).ok());
        let (Some(width), Some(height)) = (side(4)?, side(5)?) else {
            return Ok(None);
        };
        let Ok(geometry) = Geometry::new(width, height) else {
            return Ok(None);
        };
        if u64::from(width) * u64::from(height) > MAX_INDEXED_PIXELS {
            return Ok(None);
        }
        let Some(embedding) = self.embedding(row, 6)? else {
            return Ok(None);
        };
        let grid = |level, column| -> rusqlite::Result<Option<CodeGrid>> {
            let Some(packed) = blob(row, column)? else {
                return Ok(None);
            };
            let count = geometry.cell_count(level);
            let cells = unpack(packed, count, self.codebooks.size(level));
            let sides = (geometry.grid_width(level), geometry.grid_height(level));
            Ok(cells.and_then(|cells| CodeGrid::from_cells(sides.0, sides.1, cells).ok()))
        };
        let (Some(structure), Some(detail)) = (grid(Level::Structure, 7)?, grid(Level::Detail, 8)?)
        else {
            return Ok(None);
        };
        Ok(Some(EncodingRow {
            picture: row.get(0)?,
            path: paths::from_bytes(&bytes(row, 1, MAX_PATH_BYTES)?),
            label: optional(row, 2, |r, c| text(r, c, MAX_NAME_BYTES))?,
            content_hash: row.get(3)?,
            geometry,
            codes: Codes { structure, detail },
            embedding,
        }))
    }

    fn embedding(&self, row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<f32>>> {
        let Some(stored) = blob(row, column)? else {
            return Ok(None);
        };
        let (values, rest) = stored.as_chunks::<4>();
        let values: Vec<f32> = values
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect();
        let fits = rest.is_empty()
            && values.len() == self.embedding_len
            && values.iter().all(|value| value.is_finite());
        Ok(fits.then_some(values))
    }
}

/// A page of rows in the order of the index, so that reading it can end at any row; the last two of `parameters` are the model's
/// hash and the picture after which it begins.
fn page_sql(columns: &str, condition: &str, parameters: usize) -> String {
    format!(
        "SELECT {columns} FROM encodings e JOIN pictures p ON p.id = e.picture
         WHERE e.model_hash = ?{} AND e.picture > ?{parameters} AND e.content_hash = p.blake3 AND {condition}
         ORDER BY e.picture LIMIT {MAX_PAGE_ROWS}",
        parameters - 1
    )
}

/// `None` for NULL.
fn blob<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a [u8]>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        value => Ok(value.as_blob().ok()),
    }
}

impl Project {
    /// Keeps the codes of pictures, in place of older ones, in one transaction. Pictures that are no longer in the project are
    /// passed over.
    ///
    /// # Errors
    /// `Limit` for a picture beyond [`MAX_INDEXED_PIXELS`]; `Usage`, `Damaged` or `Internal` for codes that are not the model's.
    /// Nothing is kept then.
    pub fn add_encodings(&mut self, model: &EncodingModel, new: &[NewEncoding]) -> Result<()> {
        const DOING: &str = "keep the codes of pictures";
        model.check()?;
        new.iter().try_for_each(|new| model.check_new(new))?;
        self.transact(DOING, |t, path| {
            let mut insert = t
                .prepare_cached(
                    "INSERT INTO encodings (model_hash, picture, content_hash, width, height, embedding, structure, detail)
                     SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8 FROM pictures WHERE id = ?2
                     ON CONFLICT (model_hash, picture) DO UPDATE SET content_hash = excluded.content_hash,
                         width = excluded.width, height = excluded.height, embedding = excluded.embedding,
                         structure = excluded.structure, detail = excluded.detail",
                )
                .doing(DOING, path)?;
            for new in new {
                let embedding: Vec<u8> =
                    new.embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
                let packed =
                    |level| pack(new.codes.level(level).cells(), model.codebooks.size(level));
                insert
                    .execute(params![
                        model.hash,
                        new.picture,
                        new.content_hash,
                        new.geometry.width(),
                        new.geometry.height(),
                        embedding,
                        packed(Level::Structure),
                        packed(Level::Detail),
                    ])
                    .doing(DOING, path)?;
            }
            Ok(())
        })
    }

    /// A page of rows of pictures with ids above `after`, of those whose codes are of their present content. It holds some
    /// 8 MiB at most, so that any number of pictures can be gone through.
    pub fn encodings_after(
        &self,
        model: &EncodingModel,
        of: &EncodingsOf,
        after: PictureId,
    ) -> Result<EncodingPage<EncodingRow>> {
        let (condition, mut values) = of.condition("e.picture")?;
        let columns = [
            model.bounded("embedding", None, &mut values),
            model.bounded("structure", Some(Level::Structure), &mut values),
            model.bounded("detail", Some(Level::Detail), &mut values),
        ];
        let columns = format!(
            "p.id, p.path, p.label, e.content_hash, e.width, e.height, {}",
            columns.join(", ")
        );
        let bytes_of = |row: &EncodingRow| {
            let cells = row.codes.structure.cells().len() + row.codes.detail.cells().len();
            2 * cells + 4 * row.embedding.len()
        };
        self.encoding_page(
            model,
            (&columns, &condition),
            values,
            after,
            bytes_of,
            |row| model.row(row),
        )
    }

    /// As [`Project::encodings_after`], the embeddings alone.
    pub fn embeddings_after(
        &self,
        model: &EncodingModel,
        of: &EncodingsOf,
        after: PictureId,
    ) -> Result<EncodingPage<(PictureId, Vec<f32>)>> {
        let (condition, mut values) = of.condition("e.picture")?;
        let columns = format!("p.id, {}", model.bounded("embedding", None, &mut values));
        let bytes_of = |row: &(PictureId, Vec<f32>)| 4 * row.1.len();
        self.encoding_page(
            model,
            (&columns, &condition),
            values,
            after,
            bytes_of,
            |row| {
                let id = row.get(0)?;
                Ok(model.embedding(row, 1)?.map(|embedding| (id, embedding)))
            },
        )
    }

    fn encoding_page<T>(
        &self,
        model: &EncodingModel,
        (columns, condition): (&str, &str),
        mut values: Vec<Box<dyn ToSql>>,
        after: PictureId,
        bytes_of: impl Fn(&T) -> usize,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<EncodingPage<T>> {
        model.check()?;
        values.push(Box::new(model.hash));
        values.push(Box::new(after));
        let sql = page_sql(columns, condition, values.len());
        let list = || -> rusqlite::Result<EncodingPage<T>> {
            let mut page = EncodingPage {
                rows: Vec::new(),
                damaged: Vec::new(),
                last: None,
            };
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values.iter()))?;
            let mut held_bytes = 0;
            while held_bytes < PAGE_BYTES
                && let Some(row) = rows.next()?
            {
                let picture = row.get(0)?;
                page.last = Some(picture);
                match read(row)? {
                    Some(found) => {
                        held_bytes += bytes_of(&found);
                        page.rows.push(found);
                    }
                    None => page.damaged.push(picture),
                }
            }
            Ok(page)
        };
        list().doing("read the codes of pictures", &self.path)
    }

    /// At most `limit` (and [`MAX_PAGE_ROWS`]) pictures with ids above `after` that have no codes of their present content.
    pub fn unencoded_after(
        &self,
        model: &EncodingModel,
        of: &EncodingsOf,
        after: PictureId,
        limit: u64,
    ) -> Result<Vec<Unencoded>> {
        let (condition, mut values) = of.condition("p.id")?;
        values.push(Box::new(model.hash));
        values.push(Box::new(after));
        values.push(Box::new(limit.min(MAX_PAGE_ROWS) as i64)); // small, so it fits
        let count = values.len();
        let sql = format!(
            "SELECT p.id, p.path, p.blake3, p.width, p.height, e.picture IS NOT NULL
             FROM pictures p LEFT JOIN encodings e ON e.model_hash = ?{} AND e.picture = p.id
             WHERE p.id > ?{} AND (e.picture IS NULL OR e.content_hash <> p.blake3) AND {condition}
             ORDER BY p.id LIMIT ?{count}",
            count - 2,
            count - 1,
        );
        let list = || -> rusqlite::Result<Vec<Unencoded>> {
            self.connection
                .prepare_cached(&sql)?
                .query_map(rusqlite::params_from_iter(values.iter()), |row| {
                    Ok(Unencoded {
                        picture: row.get(0)?,
                        path: paths::from_bytes(&bytes(row, 1, MAX_PATH_BYTES)?),
                        content_hash: row.get(2)?,
                        width: row.get(3)?,
                        height: row.get(4)?,
                        is_stale: row.get(5)?,
                    })
                })?
                .collect()
        };
        list().doing("list pictures without codes", &self.path)
    }

    /// How many pictures the index has of those asked for.
    pub fn encoding_counts(
        &self,
        model: &EncodingModel,
        of: &EncodingsOf,
    ) -> Result<EncodingCounts> {
        let (condition, mut values) = of.condition("p.id")?;
        values.push(Box::new(model.hash));
        let sql = format!(
            "SELECT coalesce(sum(e.content_hash = p.blake3), 0), coalesce(sum(e.content_hash <> p.blake3), 0),
                 coalesce(sum(e.picture IS NULL), 0)
             FROM pictures p LEFT JOIN encodings e ON e.model_hash = ?{} AND e.picture = p.id WHERE {condition}",
            values.len()
        );
        self.connection
            .query_row(&sql, rusqlite::params_from_iter(values.iter()), |row| {
                Ok(EncodingCounts {
                    current: unsigned(row, 0)?,
                    stale: unsigned(row, 1)?,
                    missing: unsigned(row, 2)?,
                })
            })
            .doing("count the codes of pictures", &self.path)
    }

    /// Forgets the codes of pictures under a model.
    pub fn delete_encodings(&mut self, model: ContentHash, pictures: &[PictureId]) -> Result<()> {
        const DOING: &str = "forget the codes of pictures";
        self.transact(DOING, |t, path| {
            let mut delete = t
                .prepare_cached("DELETE FROM encodings WHERE model_hash = ?1 AND picture = ?2")
                .doing(DOING, path)?;
            for picture in pictures {
                delete.execute(params![model, picture]).doing(DOING, path)?;
            }
            Ok(())
        })
    }

    /// Forgets some of the codes of models that are not among `kept` and returns how many; 0 when none are left.
    pub fn delete_encodings_of_other_models(&mut self, kept: &[ContentHash]) -> Result<u64> {
        const DOING: &str = "forget the codes of former models";
        let kept = to_json("a list of models", &kept)?;
        self.transact(DOING, |t, path| {
            let removed = t
                .prepare_cached(
                    "DELETE FROM encodings WHERE rowid IN (SELECT rowid FROM encodings
                     WHERE lower(hex(model_hash)) NOT IN (SELECT value FROM json_each(?1)) LIMIT ?2)",
                )
                .and_then(|mut s| s.execute(params![kept, REMOVED_AT_ONCE]))
                .doing(DOING, path)?;
            Ok(removed as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorting a page would read all rows behind it, their codes included, before the first is there.
    #[test]
    fn a_page_is_read_in_the_order_of_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::create(&folder.path().join("p.tessera")).unwrap();
        let label = PictureFilter {
            label: Some("cats".into()),
            ..PictureFilter::usable()
        };
        for of in [
            EncodingsOf::Matching(PictureFilter::usable()),
            EncodingsOf::Matching(label),
            EncodingsOf::Pictures(vec![3, 5]),
        ] {
            let (condition, mut values) = of.condition("e.picture").unwrap();
            values.push(Box::new(ContentHash([0; 32])));
            values.push(Box::new(0));
            let sql = page_sql("p.id, e.structure", &condition, values.len());
            let steps: Vec<String> = project
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map(rusqlite::params_from_iter(values.iter()), |row| row.get(3))
                .unwrap()
                .collect::<rusqlite::Result<_>>()
                .unwrap();
            assert!(steps[0].contains("(model_hash=? AND picture"), "{steps:?}");
            assert!(
                !steps.iter().any(|step| step.contains("TEMP B-TREE")),
                "{steps:?}"
            );
        }
    }
}
