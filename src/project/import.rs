//! Putting a scanned folder into the dataset index: what is new, changed, moved or gone.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::limits::{
    MAX_FLAGS, MAX_NOTICES_PER_IMPORT, MAX_PAGE_ROWS, MAX_PATH_BYTES, MAX_PHASH_BYTES,
    MAX_TEXT_BYTES, MAX_THUMBNAIL_BYTES,
};
use super::moves::{follow_moves, mark_missing};
use super::pictures::{COLUMN_COUNT, COLUMNS, optional, picture_row, read_flag};
use super::sqlite::{Doing, checked_name, json, limited_len, signed, text, to_json, unsigned};
use super::{ContentHash, PictureFlag, PictureId, PictureRow, Project, names, paths};
use crate::error::{Notice, Result};
use crate::foundation::time::now_ms;

pub type ImportId = i64;

/// A picture that a scan found and could decode.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPicture {
    pub path: PathBuf,
    /// For example the sub-folder's name.
    pub label: Option<String>,
    /// Hash of the file's bytes.
    pub blake3: ContentHash,
    pub file_bytes: u64,
    /// When the content was written last, in milliseconds since 1970; 0 where that is not known.
    pub modified_ms: i64,
    /// When content, name or rights of the file changed last, in nanoseconds since 1970, where the system tells.
    pub changed_ns: Option<i64>,
    /// Version of the program's measuring that made this entry.
    pub analysis: u32,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPicture {
    pub row: PictureRow,
    /// As [`NewPicture::changed_ns`].
    pub changed_ns: Option<i64>,
    /// As [`NewPicture::analysis`].
    pub analysis: u32,
    /// When the import that last read the file began, in milliseconds since 1970.
    pub read_ms: i64,
    pub has_thumbnail: bool,
}

/// A known picture whose file was found with the content that the index knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPicture {
    pub id: PictureId,
    /// What its entry has to say from now on; `None` where it says all that already.
    pub change: Option<SeenChange>,
}

/// The part of an unchanged file's entry that its content does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenChange {
    pub path: PathBuf,
    pub label: Option<String>,
    /// As [`NewPicture::modified_ms`].
    pub modified_ms: i64,
    /// As [`NewPicture::changed_ns`].
    pub changed_ns: Option<i64>,
    /// In place of the stored ones, where there are any.
    pub flags: Option<Vec<PictureFlag>>,
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
    /// Pictures found unchanged, whose entries were not touched.
    seen: Vec<PictureId>,
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
    check_flags(&new.flags)
}

fn check_flags(flags: &[PictureFlag]) -> Result<()> {
    limited_len("a picture's list of flags", flags.len(), MAX_FLAGS)?;
    for flag in flags {
        checked_name("a flag", &flag.name)?;
        limited_len("a flag's reason", flag.reason.len(), MAX_TEXT_BYTES)?;
    }
    Ok(())
}

/// Everything of a row that the file and the import's folder decide; `?19`: the file is imported by itself, and keeps the
/// place in a folder that it may have.
const INSERT: &str = "INSERT INTO pictures (path, path_text, relative_text, label, blake3, file_bytes, modified_ms,
         width, height, format, bit_depth, has_alpha, phash, excluded, missing, import, added_by,
         changed_ns, analysis, sort_key)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, ?15, ?16, ?17, ?18)
     ON CONFLICT (path) DO UPDATE SET path_text = excluded.path_text,
         relative_text = CASE WHEN ?19 THEN relative_text ELSE excluded.relative_text END,
         label = CASE WHEN ?19 THEN label ELSE excluded.label END, blake3 = excluded.blake3, file_bytes = excluded.file_bytes,
         modified_ms = excluded.modified_ms, width = excluded.width, height = excluded.height,
         format = excluded.format, bit_depth = excluded.bit_depth, has_alpha = excluded.has_alpha,
         phash = excluded.phash, missing = 0, import = excluded.import, changed_ns = excluded.changed_ns,
         analysis = excluded.analysis, sort_key = excluded.sort_key
     RETURNING id";

fn store(t: &Connection, import: &mut Import, new: &NewPicture, path: &Path) -> Result<PictureId> {
    const DOING: &str = "store a picture";
    check_new(new)?;
    let file_path = paths::to_bytes(&new.path)?;
    let path_text = new.path.to_string_lossy();
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
                path_text,
                relative_text(&import.root, &new.path),
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
                new.changed_ns,
                new.analysis,
                names::sort_key(&path_text),
                new.path == import.root,
            ],
            |row| row.get(0),
        )?;
        if known.is_some() {
            delete_flags(t, id)?;
        }
        insert_flags(t, id, &new.flags)?;
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

/// Where a file lies below the import's folder; a file that was imported by itself has its name.
fn relative_text(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).unwrap_or(file);
    let shown = match file.file_name() {
        Some(name) if below.as_os_str().is_empty() => Path::new(name),
        _ => below,
    };
    shown.to_string_lossy().into_owned()
}

fn delete_flags(t: &Connection, id: PictureId) -> rusqlite::Result<()> {
    t.prepare_cached("DELETE FROM picture_flags WHERE picture = ?1")?
        .execute([id])
        .map(drop)
}

fn insert_flags(t: &Connection, id: PictureId, flags: &[PictureFlag]) -> rusqlite::Result<()> {
    for flag in flags {
        t.prepare_cached(
            "INSERT OR REPLACE INTO picture_flags (picture, flag, reason) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![id, flag.name, flag.reason])?;
    }
    Ok(())
}

/// Brings the entry of an unchanged file up to date.
fn store_seen(
    t: &Connection,
    import: &Import,
    id: PictureId,
    change: &SeenChange,
    path: &Path,
) -> Result<()> {
    checked_name("a picture's label", change.label.as_deref().unwrap_or(""))?;
    if let Some(flags) = &change.flags {
        check_flags(flags)?;
    }
    let write = || -> rusqlite::Result<()> {
        t.prepare_cached(
            "UPDATE pictures SET relative_text = CASE WHEN ?7 THEN relative_text ELSE ?2 END,
                 label = CASE WHEN ?7 THEN label ELSE ?3 END, modified_ms = ?4, changed_ns = ?5, import = ?6,
                 missing = 0 WHERE id = ?1",
        )?
        .execute(params![
            id,
            relative_text(&import.root, &change.path),
            change.label,
            change.modified_ms,
            change.changed_ns,
            import.id,
            change.path == import.root
        ])?;
        if let Some(flags) = &change.flags {
            delete_flags(t, id)?;
            insert_flags(t, id, flags)?;
        }
        Ok(())
    };
    write().doing("store a picture", path)
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
            seen: Vec::new(),
            summary: ImportSummary::default(),
        })
    }

    /// What the index knows of at most `limit` (and [`MAX_PAGE_ROWS`]) pictures with ids above `after`, by id.
    pub fn known_pictures(&self, after: PictureId, limit: u64) -> Result<Vec<KnownPicture>> {
        let limit = limit.min(MAX_PAGE_ROWS) as i64; // small, so it fits
        let columns: Vec<String> = COLUMNS
            .split(", ")
            .map(|name| format!("p.{name}"))
            .collect();
        let sql = format!(
            "SELECT {}, f.flag, f.reason, p.changed_ns, p.analysis, i.started_ms,
                 EXISTS (SELECT 1 FROM thumbnails t WHERE t.picture = p.id)
             FROM (SELECT * FROM pictures WHERE id > ?1 ORDER BY id LIMIT ?2) p
             JOIN imports i ON i.id = p.import
             LEFT JOIN picture_flags f ON f.picture = p.id ORDER BY p.id, f.flag",
            columns.join(", ")
        );
        let list = || -> rusqlite::Result<Vec<KnownPicture>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([after, limit])?;
            let mut known: Vec<KnownPicture> = Vec::new();
            while let Some(row) = rows.next()? {
                let id: PictureId = row.get(0)?;
                if known.last().is_none_or(|last| last.row.id != id) {
                    known.push(KnownPicture {
                        row: picture_row(row)?,
                        changed_ns: optional(row, COLUMN_COUNT + 2, |r, c| r.get(c))?,
                        analysis: row.get(COLUMN_COUNT + 3)?,
                        read_ms: row.get(COLUMN_COUNT + 4)?,
                        has_thumbnail: row.get(COLUMN_COUNT + 5)?,
                    });
                }
                if let Some(last) = known.last_mut() {
                    read_flag(row, COLUMN_COUNT, &mut last.row.flags)?;
                }
            }
            Ok(known)
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

    /// Notes that known files are still there with the same content. Entries that say so already are not written.
    pub fn mark_seen(&mut self, import: &mut Import, pictures: &[SeenPicture]) -> Result<()> {
        let changed: Vec<_> = (pictures.iter())
            .filter_map(|seen| Some((seen.id, seen.change.as_ref()?)))
            .collect();
        if !changed.is_empty() {
            self.transact("store pictures", |t, path| {
                (changed.iter())
                    .try_for_each(|(id, change)| store_seen(t, import, *id, change, path))
            })?;
        }
        import.seen.extend(pictures.iter().map(|seen| seen.id));
        import.summary.unchanged += pictures.len() as u64;
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
                let seen = import.seen.iter().copied().collect();
                let range = params![root, first, end, import.id];
                mark_missing(t, range, &seen).doing(DOING, path)?;
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
