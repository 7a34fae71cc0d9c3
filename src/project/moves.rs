//! What an import did not come upon: pictures that are gone, and those found at another place.

use std::collections::{HashMap, HashSet};

use rusqlite::{Transaction, params};

use super::import::ImportId;
use super::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES};
use super::sqlite::text;
use super::{ContentHash, PictureId, names, paths};

/// Pictures of a folder (its path, and the range of paths below it) that an import did not come upon are missing.
pub(super) fn mark_missing(
    t: &Transaction<'_>,
    range: &[&dyn rusqlite::ToSql],
    seen: &HashSet<PictureId>,
) -> rusqlite::Result<()> {
    let others: Vec<PictureId> = t
        .prepare(
            "SELECT id FROM pictures
             WHERE (path = ?1 OR (path >= ?2 AND path < ?3)) AND import <> ?4 AND missing = 0",
        )?
        .query_map(range, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut update = t.prepare("UPDATE pictures SET missing = 1 WHERE id = ?1")?;
    for id in others.iter().filter(|id| !seen.contains(id)) {
        update.execute([id])?;
    }
    Ok(())
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
pub(super) fn follow_moves(t: &Transaction<'_>, import: ImportId) -> rusqlite::Result<u64> {
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
    type Moved = (
        Vec<u8>,
        String,
        String,
        Option<String>,
        i64,
        ImportId,
        Option<i64>,
    );
    let row: Moved = t
        .prepare_cached(
            "SELECT path, path_text, relative_text, label, modified_ms, import, changed_ns FROM pictures WHERE id = ?1",
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
                r.get(6)?,
            ))
        })?;
    t.prepare_cached("DELETE FROM pictures WHERE id = ?1")?
        .execute([new])?;
    t.prepare_cached(
        "UPDATE pictures SET path = ?2, path_text = ?3, relative_text = ?4, label = ?5, modified_ms = ?6,
             import = ?7, changed_ns = ?8, sort_key = ?9, missing = 0 WHERE id = ?1",
    )?
    .execute(params![
        old,
        row.0,
        row.1,
        row.2,
        row.3,
        row.4,
        row.5,
        row.6,
        names::sort_key(&row.1)
    ])?;
    Ok(())
}
