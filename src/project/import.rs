//! Putting a scanned folder into the dataset index: what is new, changed, moved or gone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::limits::{
    MAX_FLAGS, MAX_NAME_BYTES, MAX_NOTICES_PER_IMPORT, MAX_PAGE_ROWS, MAX_PATH_BYTES,
    MAX_PHASH_BYTES, MAX_TEXT_BYTES, MAX_THUMBNAIL_BYTES,
};
use super::sqlite::{Doing, checked_name, json, limited_len, signed, text, to_json, unsigned};
use super::{ContentHash, PictureFlag, PictureId, Project, paths};
use crate::error::{Notice, Result};
use crate::foundation::time::now_ms;

pub type ImportId = i64;

/// A picture that a scan found and could decode.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPicture {
    pub path: PathBuf,
    /// For example the sub-folder's name.
    pub label: Option<String>,
    /// Of the file's bytes.
    pub blake3: ContentHash,
    pub file_bytes: u64,
    /// The file's time of change, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Pixels, after orientation.
    pub width: u32,
    pub height: u32,
    /// "png", "jpeg", …
    pub format: String,
    /// Per channel.
    pub bit_depth: u8,
    pub has_alpha: bool,
    /// A perceptual hash, at most [`MAX_PHASH_BYTES`].
    pub phash: Option<Vec<u8>>,
    pub flags: Vec<PictureFlag>,
    /// An encoded picture (PNG or WebP), empty for none.
    pub thumbnail: Vec<u8>,
    /// Left out of training from the start. A picture that is already known keeps the user's choice.
    pub excluded: bool,
}

/// What the index knows of a file, to tell whether it has to be decoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPicture {
    pub id: PictureId,
    pub blake3: ContentHash,
    pub file_bytes: u64,
    pub modified_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportSummary {
    pub added: u64,
    /// The file at a known path has other content now.
    pub changed: u64,
    pub unchanged: u64,
    /// Known by content, found at another place.
    pub moved: u64,
    /// Known, but no longer in the folder.
    pub missing: u64,
    pub notices: u64,
}

/// An import in progress.
#[derive(Debug)]
pub struct Import {
    pub id: ImportId,
    root: PathBuf,
    pub summary: ImportSummary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    pub id: ImportId,
    /// The folder, shown lossily.
    pub root: String,
    /// Milliseconds since 1970.
    pub started_ms: i64,
    /// `None` where it was interrupted.
    pub finished_ms: Option<i64>,
    pub summary: ImportSummary,
}

fn check_new(new: &NewPicture) -> Result<()> {
    checked_name("a picture's label", new.label.as_deref().unwrap_or(""))?;
    checked_name("a picture's format", &new.format)?;
    limited_len("a thumbnail", new.thumbnail.len(), MAX_THUMBNAIL_BYTES)?;
    limited_len(
        "a perceptual hash",
        new.phash.as_ref().map_or(0, Vec::len),
        MAX_PHASH_BYTES,
    )?;
    limited_len("a picture's list of flags", new.flags.len(), MAX_FLAGS)?;
    for flag in &new.flags {
        checked_name("a flag", &flag.name)?;
        limited_len("a flag's reason", flag.reason.len(), MAX_TEXT_BYTES)?;
    }
    Ok(())
}

/// Everything of a row that the file itself decides.
const INSERT: &str = "INSERT INTO pictures (path, path_text, relative_text, label, blake3, file_bytes, modified_ms,
         width, height, format, bit_depth, has_alpha, phash, excluded, missing, import, added_by)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, ?15)
     ON CONFLICT (path) DO UPDATE SET path_text = excluded.path_text, relative_text = excluded.relative_text,
         label = excluded.label, blake3 = excluded.blake3, file_bytes = excluded.file_bytes,
         modified_ms = excluded.modified_ms, width = excluded.width, height = excluded.height,
         format = excluded.format, bit_depth = excluded.bit_depth, has_alpha = excluded.has_alpha,
         phash = excluded.phash, missing = 0, import = excluded.import
     RETURNING id";

fn store(t: &Connection, import: &mut Import, new: &NewPicture, path: &Path) -> Result<PictureId> {
    const DOING: &str = "store a picture";
    check_new(new)?;
    let file_path = paths::to_bytes(&new.path)?;
    let relative = new.path.strip_prefix(&import.root).unwrap_or(&new.path);
    let known: Option<Option<ContentHash>> = t
        .prepare_cached("SELECT blake3 FROM pictures WHERE path = ?1")
        .and_then(|mut s| s.query_row([&file_path], |row| row.get(0)).optional())
        .doing(DOING, path)?;
    match known {
        None => import.summary.added += 1,
        Some(Some(hash)) if hash == new.blake3 => import.summary.unchanged += 1,
        Some(_) => import.summary.changed += 1,
    }
    let write = || -> rusqlite::Result<PictureId> {
        let id: PictureId = t.prepare_cached(INSERT)?.query_row(
            params![
                file_path,
                new.path.to_string_lossy(),
                relative.to_string_lossy(),
                new.label,
                new.blake3,
                new.file_bytes.min(i64::MAX as u64).cast_signed(),
                new.modified_ms,
                new.width,
                new.height,
                new.format,
                new.bit_depth,
                new.has_alpha,
                new.phash,
                new.excluded,
                import.id,
            ],
            |row| row.get(0),
        )?;
        if known.is_some() {
            t.prepare_cached("DELETE FROM picture_flags WHERE picture = ?1")?
                .execute([id])?;
        }
        for flag in &new.flags {
            t.prepare_cached(
                "INSERT OR REPLACE INTO picture_flags (picture, flag, reason) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, flag.name, flag.reason])?;
        }
        if new.thumbnail.is_empty() {
            if known.is_some() {
                t.prepare_cached("DELETE FROM thumbnails WHERE picture = ?1")?
                    .execute([id])?;
            }
        } else {
            t.prepare_cached("INSERT OR REPLACE INTO thumbnails (picture, bytes) VALUES (?1, ?2)")?
                .execute(params![id, new.thumbnail])?;
        }
        Ok(id)
    };
    write().doing(DOING, path)
}

/// The range of path bytes that lie under a folder, the folder's own name being `root`.
fn below(root: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let separator = std::path::MAIN_SEPARATOR as u8;
    let mut first = root.to_vec();
    if first.last() != Some(&separator) {
        first.push(separator);
    }
    let mut end = first.clone();
    // The separator is `/` or `\`: the next byte exists.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (first, end)
}

impl Project {
    /// Begins an import of a folder (or of a single file). Without [`Project::finish_import`] what was
    /// added stays, and nothing is said about what is missing.
    pub fn begin_import(&mut self, root: &Path) -> Result<Import> {
        const DOING: &str = "begin an import";
        let bytes = paths::to_bytes(root)?;
        let summary = to_json("a summary", &ImportSummary::default())?;
        let id = self.transact(DOING, |t, path| {
            t.execute(
                "INSERT INTO imports (root, root_text, started_ms, summary) VALUES (?1, ?2, ?3, ?4)",
                params![bytes, root.to_string_lossy(), now_ms(), summary],
            )
            .doing(DOING, path)?;
            Ok(t.last_insert_rowid())
        })?;
        Ok(Import {
            id,
            root: root.to_owned(),
            summary: ImportSummary::default(),
        })
    }

    /// What the index knows of the files under `root`, by path. Files whose size and time of change are
    /// the same need no decoding: pass their ids to [`Project::mark_seen`].
    pub fn known_pictures(&self, root: &Path) -> Result<HashMap<PathBuf, KnownPicture>> {
        let root = paths::to_bytes(root)?;
        let (first, end) = below(&root);
        let list = || -> rusqlite::Result<HashMap<PathBuf, KnownPicture>> {
            self.connection
                .prepare(
                    "SELECT path, id, blake3, file_bytes, modified_ms FROM pictures
                     WHERE path = ?1 OR (path >= ?2 AND path < ?3)",
                )?
                .query_map(params![root, first, end], |row| {
                    Ok((
                        paths::from_bytes(&super::sqlite::bytes(row, 0, MAX_PATH_BYTES)?),
                        KnownPicture {
                            id: row.get(1)?,
                            blake3: row.get(2)?,
                            file_bytes: unsigned(row, 3)?,
                            modified_ms: row.get(4)?,
                        },
                    ))
                })?
                .collect()
        };
        list().doing("list known pictures", &self.path)
    }

    /// Adds or updates pictures, in one transaction: a few hundred at a time are fast and use little
    /// memory. Returns their ids in order.
    pub fn add_pictures(
        &mut self,
        import: &mut Import,
        pictures: &[NewPicture],
    ) -> Result<Vec<PictureId>> {
        let before = import.summary;
        let outcome = self.transact("store pictures", |t, path| {
            pictures
                .iter()
                .map(|new| store(t, import, new, path))
                .collect::<Result<Vec<_>>>()
        });
        if outcome.is_err() {
            import.summary = before;
        }
        outcome
    }

    /// Notes that known files are still there, unchanged.
    pub fn mark_seen(&mut self, import: &mut Import, pictures: &[PictureId]) -> Result<()> {
        const DOING: &str = "store pictures";
        let seen = self.transact(DOING, |t, path| {
            let mut update = t
                .prepare_cached("UPDATE pictures SET import = ?2, missing = 0 WHERE id = ?1")
                .doing(DOING, path)?;
            let mut seen = 0;
            for id in pictures {
                seen += update.execute([*id, import.id]).doing(DOING, path)? as u64;
            }
            Ok(seen)
        })?;
        import.summary.unchanged += seen;
        Ok(())
    }

    /// Keeps warnings of an import, up to [`MAX_NOTICES_PER_IMPORT`]; all are counted.
    pub fn add_import_notices(&mut self, import: &mut Import, notices: &[Notice]) -> Result<()> {
        const DOING: &str = "store an import's notices";
        let room = MAX_NOTICES_PER_IMPORT.saturating_sub(import.summary.notices);
        let kept = notices
            .len()
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        self.transact(DOING, |t, path| {
            let mut insert = t
                .prepare_cached(
                    "INSERT INTO import_notices (import, what, why, next, path) VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .doing(DOING, path)?;
            for notice in &notices[..kept] {
                let cut = |s: &str| s.chars().take(MAX_TEXT_BYTES / 4).collect::<String>();
                insert
                    .execute(params![
                        import.id,
                        cut(&notice.what),
                        cut(&notice.why),
                        cut(&notice.next),
                        notice.path.as_deref().map(cut)
                    ])
                    .doing(DOING, path)?;
            }
            Ok(())
        })?;
        import.summary.notices += notices.len() as u64;
        Ok(())
    }

    /// Ends an import. `is_complete`: the whole folder was scanned, so what it did not find is missing,
    /// and a known picture found at a new place with the same content has moved (with its `excluded`).
    pub fn finish_import(
        &mut self,
        mut import: Import,
        is_complete: bool,
    ) -> Result<ImportSummary> {
        const DOING: &str = "finish an import";
        let root = paths::to_bytes(&import.root)?;
        let (first, end) = below(&root);
        self.transact(DOING, |t, path| {
            if is_complete {
                t.execute(
                    "UPDATE pictures SET missing = 1
                     WHERE (path = ?1 OR (path >= ?2 AND path < ?3)) AND import <> ?4",
                    params![root, first, end, import.id],
                )
                .doing(DOING, path)?;
            }
            let moved = follow_moves(t, import.id).doing(DOING, path)?;
            import.summary.moved = moved;
            import.summary.added = import.summary.added.saturating_sub(moved);
            import.summary.missing = t
                .query_row(
                    "SELECT count(*) FROM pictures
                     WHERE missing = 1 AND (path = ?1 OR (path >= ?2 AND path < ?3))",
                    params![root, first, end],
                    |row| unsigned(row, 0),
                )
                .doing(DOING, path)?;
            let summary = to_json("a summary", &import.summary)?;
            t.execute(
                "UPDATE imports SET finished_ms = ?2, summary = ?3 WHERE id = ?1",
                params![import.id, now_ms(), summary],
            )
            .doing(DOING, path)?;
            Ok(())
        })?;
        Ok(import.summary)
    }

    /// Imports, newest first; at most [`MAX_PAGE_ROWS`].
    pub fn imports(&self) -> Result<Vec<ImportRow>> {
        let list = || -> rusqlite::Result<Vec<ImportRow>> {
            self.connection
                .prepare(&format!(
                    "SELECT id, root_text, started_ms, finished_ms, summary FROM imports ORDER BY id DESC LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([], |row| {
                    Ok(ImportRow {
                        id: row.get(0)?,
                        root: text(row, 1, 3 * MAX_PATH_BYTES)?,
                        started_ms: row.get(2)?,
                        finished_ms: row.get(3)?,
                        summary: json(row, 4)?,
                    })
                })?
                .collect()
        };
        list().doing("list the imports", &self.path)
    }

    /// The warnings of an import, in order; at most [`MAX_PAGE_ROWS`] a time.
    pub fn import_notices(&self, import: ImportId, offset: u64, limit: u64) -> Result<Vec<Notice>> {
        let offset = signed("an offset", offset)?;
        let limit = limit.min(MAX_PAGE_ROWS) as i64; // small, so it fits
        let list = || -> rusqlite::Result<Vec<Notice>> {
            self.connection
                .prepare_cached(
                    "SELECT what, why, next, path FROM import_notices WHERE import = ?1 ORDER BY id LIMIT ?3 OFFSET ?2",
                )?
                .query_map([import, offset, limit], |row| {
                    let mut notice = Notice::new(
                        text(row, 0, MAX_TEXT_BYTES)?,
                        text(row, 1, MAX_TEXT_BYTES)?,
                        text(row, 2, MAX_TEXT_BYTES)?,
                    );
                    if row.get_ref(3)? != rusqlite::types::ValueRef::Null {
                        notice.path = Some(text(row, 3, MAX_TEXT_BYTES)?);
                    }
                    Ok(notice)
                })?
                .collect()
        };
        list().doing("read an import's notices", &self.path)
    }
}

/// A row for the matching of moved files: content and place below the root, then the row.
type Candidate = ((ContentHash, String), PictureId);

fn candidates(
    t: &Transaction<'_>,
    sql: &str,
    import: ImportId,
) -> rusqlite::Result<Vec<Candidate>> {
    t.prepare(sql)?
        .query_map([import], |row| {
            let place = text(row, 1, 3 * MAX_PATH_BYTES)?;
            Ok(((row.get(0)?, place), row.get(2)?))
        })?
        .collect()
}

/// Gives pictures that this import added the row (id, exclusion) of a known one with the same content
/// whose own file is gone. Returns how many.
fn follow_moves(t: &Transaction<'_>, import: ImportId) -> rusqlite::Result<u64> {
    let added = candidates(
        t,
        "SELECT blake3, relative_text, id FROM pictures p WHERE added_by = ?1
         AND EXISTS (SELECT 1 FROM pictures o WHERE o.blake3 = p.blake3 AND o.import <> ?1)
         ORDER BY blake3, relative_text",
        import,
    )?;
    if added.is_empty() {
        return Ok(0);
    }
    let mut gone = candidates(
        t,
        "SELECT blake3, relative_text, id FROM pictures o WHERE import <> ?1
         AND EXISTS (SELECT 1 FROM pictures p WHERE p.blake3 = o.blake3 AND p.added_by = ?1)
         ORDER BY blake3, relative_text",
        import,
    )?;
    let mut is_gone = Vec::with_capacity(gone.len());
    for (_, id) in &gone {
        let (is_missing, path): (bool, Vec<u8>) = t
            .prepare_cached("SELECT missing, path FROM pictures WHERE id = ?1")?
            .query_row([id], |row| {
                Ok((row.get(0)?, super::sqlite::bytes(row, 1, MAX_PATH_BYTES)?))
            })?;
        is_gone.push(is_missing || paths::is_gone(&paths::from_bytes(&path)));
    }
    let mut verdicts = is_gone.into_iter();
    gone.retain(|_| verdicts.next().unwrap_or(false));

    // First the same place below another root, then any place. Each list gives a row away once.
    let mut pairs = Vec::new();
    let (rest_added, rest_gone) = pair_up(added, gone, |c| c.0.clone(), &mut pairs);
    pair_up(rest_added, rest_gone, |c| c.0.0, &mut pairs);
    for &(old, new) in &pairs {
        take_over(t, old, new)?;
    }
    Ok(pairs.len() as u64)
}

/// Pairs rows with equal keys, one to one, and returns the rest of both lists.
fn pair_up<K: std::hash::Hash + Eq>(
    added: Vec<Candidate>,
    gone: Vec<Candidate>,
    key: impl Fn(&Candidate) -> K,
    pairs: &mut Vec<(PictureId, PictureId)>,
) -> (Vec<Candidate>, Vec<Candidate>) {
    let mut by_key: HashMap<K, Vec<Candidate>> = HashMap::new();
    for old in gone.into_iter().rev() {
        by_key.entry(key(&old)).or_default().push(old);
    }
    let mut rest = Vec::new();
    for new in added {
        match by_key.get_mut(&key(&new)).and_then(Vec::pop) {
            Some(old) => pairs.push((old.1, new.1)),
            None => rest.push(new),
        }
    }
    (rest, by_key.into_values().flatten().collect())
}

/// The old row becomes the new one but for its id and the user's choice.
fn take_over(t: &Transaction<'_>, old: PictureId, new: PictureId) -> rusqlite::Result<()> {
    let row: (Vec<u8>, String, String, Option<String>, i64, ImportId) = t
        .prepare_cached(
            "SELECT path, path_text, relative_text, label, modified_ms, import FROM pictures WHERE id = ?1",
        )?
        .query_row([new], |r| {
            Ok((
                super::sqlite::bytes(r, 0, MAX_PATH_BYTES)?,
                text(r, 1, 3 * MAX_PATH_BYTES)?,
                text(r, 2, 3 * MAX_PATH_BYTES)?,
                match r.get_ref(3)? {
                    rusqlite::types::ValueRef::Null => None,
                    _ => Some(text(r, 3, MAX_NAME_BYTES)?),
                },
                r.get(4)?,
                r.get(5)?,
            ))
        })?;
    t.prepare_cached("DELETE FROM pictures WHERE id = ?1")?
        .execute([new])?;
    t.prepare_cached(
        "UPDATE pictures SET path = ?2, path_text = ?3, relative_text = ?4, label = ?5, modified_ms = ?6,
             import = ?7, missing = 0 WHERE id = ?1",
    )?
    .execute(params![old, row.0, row.1, row.2, row.3, row.4, row.5])?;
    Ok(())
}
