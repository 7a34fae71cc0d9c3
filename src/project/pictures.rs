//! The dataset index as the panels see it: pages of pictures, counts, thumbnails, the user's choice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::{Deserialize, Serialize};

use super::limits::{
    MAX_FLAGS, MAX_NAME_BYTES, MAX_PAGE_ROWS, MAX_PATH_BYTES, MAX_PHASH_BYTES, MAX_TEXT_BYTES,
    MAX_THUMBNAIL_BYTES,
};
use super::sqlite::{Doing, bytes, not_found, signed, text, unsigned};
use super::{ContentHash, Project, names, paths};
use crate::error::Result;

pub type PictureId = i64;

/// A doubt about a picture ("blurry"), with its reason in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFlag {
    pub name: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureRow {
    pub id: PictureId,
    /// Where the last import found it. Only ever read from.
    pub path: PathBuf,
    /// Below the import's folder, shown lossily.
    pub relative: String,
    pub label: Option<String>,
    /// Hash of the file's bytes.
    pub blake3: ContentHash,
    pub file_bytes: u64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub format: String,
    pub bit_depth: u8,
    pub has_alpha: bool,
    pub phash: Option<Vec<u8>>,
    /// The user's choice.
    pub excluded: bool,
    /// The last import of its folder did not find it.
    pub missing: bool,
    pub flags: Vec<PictureFlag>,
}

/// Where a picture's file was, and what tells whether it is the same still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    pub id: PictureId,
    pub path: PathBuf,
    pub file_bytes: u64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    pub missing: bool,
}

/// Which pictures are asked for; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureFilter {
    pub flag: Option<String>,
    pub label: Option<String>,
    pub excluded: Option<bool>,
    pub missing: Option<bool>,
    /// Part of the path, letter case ignored.
    pub text: Option<String>,
}

impl PictureFilter {
    /// What training uses: neither excluded nor missing.
    pub fn usable() -> Self {
        Self {
            excluded: Some(false),
            missing: Some(false),
            ..Self::default()
        }
    }

    /// A condition on a row of `pictures`, with the values of its parameters `?1`, `?2`, …
    pub(super) fn condition(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut parts = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut add = |sql: &str, value: Box<dyn ToSql>| {
            values.push(value);
            parts.push(sql.replace('?', &format!("?{}", values.len())));
        };
        if let Some(flag) = &self.flag {
            add(
                "id IN (SELECT picture FROM picture_flags WHERE flag = ?)",
                Box::new(flag.clone()),
            );
        }
        if let Some(label) = &self.label {
            add("label = ?", Box::new(label.clone()));
        }
        if let Some(excluded) = self.excluded {
            add("excluded = ?", Box::new(excluded));
        }
        if let Some(missing) = self.missing {
            add("missing = ?", Box::new(missing));
        }
        if let Some(text) = &self.text {
            add(
                "instr(folded(path_text), ?) > 0",
                Box::new(names::folded(text)),
            );
        }
        (parts.join(" AND "), values)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PictureCounts {
    pub total: u64,
    /// Neither excluded nor missing.
    pub usable: u64,
    pub excluded: u64,
    pub missing: u64,
    pub by_flag: BTreeMap<String, u64>,
    pub by_label: BTreeMap<String, u64>,
}

pub(super) const COLUMNS: &str = "id, path, relative_text, label, blake3, file_bytes, modified_ms, width, height, format, bit_depth, has_alpha, phash, excluded, missing";
/// How many columns that are.
pub(super) const COLUMN_COUNT: usize = 15;

pub(super) fn optional<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(&Row<'_>, usize) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => read(row, column).map(Some),
    }
}

pub(super) fn picture_row(row: &Row<'_>) -> rusqlite::Result<PictureRow> {
    Ok(PictureRow {
        id: row.get(0)?,
        path: paths::from_bytes(&bytes(row, 1, MAX_PATH_BYTES)?),
        relative: text(row, 2, 3 * MAX_PATH_BYTES)?,
        label: optional(row, 3, |r, c| text(r, c, MAX_NAME_BYTES))?,
        blake3: row.get(4)?,
        file_bytes: unsigned(row, 5)?,
        modified_ms: row.get(6)?,
        width: row.get(7)?,
        height: row.get(8)?,
        format: text(row, 9, MAX_NAME_BYTES)?,
        bit_depth: row.get(10)?,
        has_alpha: row.get(11)?,
        phash: optional(row, 12, |r, c| bytes(r, c, MAX_PHASH_BYTES))?,
        excluded: row.get(13)?,
        missing: row.get(14)?,
        flags: Vec::new(),
    })
}

/// Adds the flag that a joined row has at `column`, where it has one.
pub(super) fn read_flag(
    row: &Row<'_>,
    column: usize,
    flags: &mut Vec<PictureFlag>,
) -> rusqlite::Result<()> {
    // A forged file may have any number.
    if flags.len() < MAX_FLAGS
        && let Some(name) = optional(row, column, |r, c| text(r, c, MAX_NAME_BYTES))?
    {
        let reason = text(row, column + 1, MAX_TEXT_BYTES)?;
        flags.push(PictureFlag { name, reason });
    }
    Ok(())
}

impl Project {
    /// A page of pictures by name, in the order people expect (`img2` before `img10`), for a view that jumps to any place.
    /// At most `limit` and [`MAX_PAGE_ROWS`].
    ///
    /// While an import writes, a picture may appear on two pages or on none: whoever needs each picture once uses
    /// [`Project::pictures_after`].
    pub fn pictures(
        &self,
        filter: &PictureFilter,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<PictureRow>> {
        let (condition, mut values) = filter.condition();
        values.push(Box::new(limit.min(MAX_PAGE_ROWS) as i64)); // small, so it fits
        values.push(Box::new(signed("an offset", offset)?));
        let page = format!(
            "WHERE {condition} ORDER BY sort_key, id LIMIT ?{} OFFSET ?{}",
            values.len() - 1,
            values.len()
        );
        self.picture_rows(&page, "p.sort_key, p.id", &values)
    }

    /// At most `limit` (and [`MAX_PAGE_ROWS`]) pictures with ids above `after`, by id. Beginning at [`PictureId::MIN`] and going
    /// on from the last id, each picture that is there all the time comes exactly once, whatever is written meanwhile.
    pub fn pictures_after(
        &self,
        filter: &PictureFilter,
        after: PictureId,
        limit: u64,
    ) -> Result<Vec<PictureRow>> {
        let (condition, mut values) = filter.condition();
        values.push(Box::new(after));
        values.push(Box::new(limit.min(MAX_PAGE_ROWS) as i64)); // small, so it fits
        let page = format!(
            "WHERE id > ?{} AND {condition} ORDER BY id LIMIT ?{}",
            values.len() - 1,
            values.len()
        );
        self.picture_rows(&page, "p.id", &values)
    }

    pub fn picture(&self, id: PictureId) -> Result<PictureRow> {
        let rows = self.picture_rows("WHERE id = ?1", "p.id", &[Box::new(id)])?;
        let row = rows.into_iter().next();
        row.ok_or_else(|| not_found("the picture", &self.path))
    }

    /// The rows that `page` selects, with their flags, in one query.
    fn picture_rows(
        &self,
        page: &str,
        order: &str,
        values: &[Box<dyn ToSql>],
    ) -> Result<Vec<PictureRow>> {
        let sql = format!(
            "SELECT {COLUMNS}, f.flag, f.reason FROM (SELECT * FROM pictures {page}) p
             LEFT JOIN picture_flags f ON f.picture = p.id ORDER BY {order}, f.flag"
        );
        let list = || -> rusqlite::Result<Vec<PictureRow>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut pictures: Vec<PictureRow> = Vec::new();
            while let Some(row) = rows.next()? {
                let id: PictureId = row.get(0)?;
                if pictures.last().is_none_or(|last| last.id != id) {
                    pictures.push(picture_row(row)?);
                }
                if let Some(last) = pictures.last_mut() {
                    read_flag(row, COLUMN_COUNT, &mut last.flags)?;
                }
            }
            Ok(pictures)
        };
        list().doing("list the pictures", &self.path)
    }

    /// The ids of all pictures that a filter lets through, in order: 8 bytes each, however many there are.
    pub fn picture_ids(&self, filter: &PictureFilter) -> Result<Vec<PictureId>> {
        let (condition, values) = filter.condition();
        let list = || -> rusqlite::Result<Vec<PictureId>> {
            self.connection
                .prepare_cached(&format!(
                    "SELECT id FROM pictures WHERE {condition} ORDER BY id"
                ))?
                .query_map(rusqlite::params_from_iter(values.iter()), |row| row.get(0))?
                .collect()
        };
        list().doing("list the pictures", &self.path)
    }

    /// A picture whose file has this content; that with the lowest id where there are copies.
    pub fn picture_by_content(&self, hash: ContentHash) -> Result<Option<PictureId>> {
        self.connection
            .prepare_cached("SELECT min(id) FROM pictures WHERE blake3 = ?1")
            .and_then(|mut s| s.query_row([hash], |row| row.get(0)))
            .doing("find a picture", &self.path)
    }

    /// How many pictures a filter lets through.
    pub fn picture_count(&self, filter: &PictureFilter) -> Result<u64> {
        let (condition, values) = filter.condition();
        self.connection
            .query_row(
                &format!("SELECT count(*) FROM pictures WHERE {condition}"),
                rusqlite::params_from_iter(values.iter()),
                |row| unsigned(row, 0),
            )
            .doing("count the pictures", &self.path)
    }

    /// The totals, and how many pictures have each flag (excluded and missing ones included).
    pub fn picture_counts(&self) -> Result<PictureCounts> {
        const DOING: &str = "count the pictures";
        let mut counts = self
            .connection
            .query_row(
                "SELECT count(*), coalesce(sum(excluded = 0 AND missing = 0), 0),
                     coalesce(sum(excluded <> 0), 0), coalesce(sum(missing <> 0), 0) FROM pictures",
                [],
                |row| {
                    Ok(PictureCounts {
                        total: unsigned(row, 0)?,
                        usable: unsigned(row, 1)?,
                        excluded: unsigned(row, 2)?,
                        missing: unsigned(row, 3)?,
                        ..PictureCounts::default()
                    })
                },
            )
            .doing(DOING, &self.path)?;
        let count_by = |column: &str, table: &str| -> rusqlite::Result<BTreeMap<String, u64>> {
            self.connection
                .prepare_cached(&format!(
                    "SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([], |row| {
                    Ok((text(row, 0, MAX_NAME_BYTES)?, unsigned(row, 1)?))
                })?
                .collect()
        };
        counts.by_flag = count_by("flag", "picture_flags").doing(DOING, &self.path)?;
        counts.by_label = count_by("label", "pictures").doing(DOING, &self.path)?;
        Ok(counts)
    }

    /// The encoded thumbnail, `None` where there is none. Its bytes are a stranger's.
    pub fn thumbnail(&self, id: PictureId) -> Result<Option<Vec<u8>>> {
        self.connection
            .prepare_cached("SELECT bytes FROM thumbnails WHERE picture = ?1")
            .and_then(|mut s| {
                s.query_row([id], |row| bytes(row, 0, MAX_THUMBNAIL_BYTES))
                    .optional()
            })
            .doing("read a thumbnail", &self.path)
    }

    /// Where the files of at most `limit` pictures are, in the order of their ids, after `after`.
    pub fn picture_files(&self, after: PictureId, limit: u64) -> Result<Vec<PictureFile>> {
        let limit = limit.min(MAX_PAGE_ROWS) as i64; // small, so it fits
        let list = || -> rusqlite::Result<Vec<PictureFile>> {
            self.connection
                .prepare_cached(
                    "SELECT id, path, file_bytes, modified_ms, missing FROM pictures WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map([after, limit], |row| {
                    Ok(PictureFile {
                        id: row.get(0)?,
                        path: paths::from_bytes(&bytes(row, 1, MAX_PATH_BYTES)?),
                        file_bytes: unsigned(row, 2)?,
                        modified_ms: row.get(3)?,
                        missing: row.get(4)?,
                    })
                })?
                .collect()
        };
        list().doing("list the pictures' files", &self.path)
    }

    /// Notes whether the files of pictures are where the last import found them.
    pub fn set_missing(&mut self, pictures: &[PictureId], missing: bool) -> Result<()> {
        self.set_column("missing", "note which files are missing", pictures, missing)
    }

    /// Takes pictures out of training, or puts them back.
    pub fn set_excluded(&mut self, pictures: &[PictureId], excluded: bool) -> Result<()> {
        self.set_column("excluded", "exclude pictures", pictures, excluded)
    }

    fn set_column(
        &mut self,
        column: &'static str,
        doing: &'static str,
        pictures: &[PictureId],
        value: bool,
    ) -> Result<()> {
        self.transact(doing, |t, path| {
            let mut update = t
                .prepare_cached(&format!("UPDATE pictures SET {column} = ?2 WHERE id = ?1"))
                .doing(doing, path)?;
            for id in pictures {
                update.execute(params![id, value]).doing(doing, path)?;
            }
            Ok(())
        })
    }

    /// Takes pictures out of the index; their files are not touched.
    pub fn delete_pictures(&mut self, pictures: &[PictureId]) -> Result<()> {
        const DOING: &str = "take pictures out of the project";
        self.transact(DOING, |t, path| {
            let mut delete = t
                .prepare_cached("DELETE FROM pictures WHERE id = ?1")
                .doing(DOING, path)?;
            for id in pictures {
                delete.execute([id]).doing(DOING, path)?;
            }
            Ok(())
        })
    }
}
