//! Large values as rows of bounded size, found by content. Writing one takes many small transactions,
//! so that neither memory nor the write-ahead log has to hold it; it counts only once it is complete.

use std::io::Write;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, params};

use super::hash::ContentHash;
use super::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};
use super::sqlite::{Doing, damaged, over_limit, unsigned};
use super::{Project, limits};
use crate::error::{Error, Result};

/// Rows per transaction while writing.
const CHUNKS_PER_COMMIT: usize = 8;

pub(super) type BlobId = i64;

/// Every place that may refer to a blob.
const UNREFERENCED: &str = "id NOT IN (SELECT weights FROM checkpoints)
     AND id NOT IN (SELECT training_state FROM checkpoints WHERE training_state IS NOT NULL)
     AND id NOT IN (SELECT source_blob FROM documents WHERE source_blob IS NOT NULL)";

pub(super) fn delete_unreferenced(t: &Transaction<'_>) -> rusqlite::Result<()> {
    t.execute(&format!("DELETE FROM blobs WHERE {UNREFERENCED}"), [])
        .map(drop)
}

impl Project {
    /// Stores `bytes`, or finds them where they are stored already. What refers to them must be
    /// stored before the next blob is collected.
    ///
    /// # Errors
    /// `Limit`, `DiskFull`; nothing stays then.
    pub(super) fn write_blob(&mut self, bytes: &[u8]) -> Result<BlobId> {
        const DOING: &str = "store a large value";
        let length = bytes.len() as u64;
        if length > MAX_BLOB_BYTES {
            return Err(over_limit("a large value (bytes)", length, MAX_BLOB_BYTES));
        }
        let hash = ContentHash::of(bytes);
        if let Some(id) = self.find_blob(hash)? {
            return Ok(id);
        }
        let id = self.transact(DOING, |t, path| {
            t.execute(
                "INSERT INTO blobs (blake3, length, complete) VALUES (?1, ?2, 0)",
                params![hash, length as i64], // at most MAX_BLOB_BYTES
            )
            .doing(DOING, path)?;
            Ok(t.last_insert_rowid())
        })?;
        let written = self.write_chunks(id, bytes);
        if written.is_err() {
            // The disk may be full: what cannot be removed now goes at the next opening.
            if let Err(error) = self.remove_unused_blobs() {
                log::warn!("{error}");
            }
        }
        written.map(|()| id)
    }

    fn write_chunks(&mut self, id: BlobId, bytes: &[u8]) -> Result<()> {
        const DOING: &str = "store a large value";
        let mut number = 0_i64;
        for group in bytes.chunks(BLOB_CHUNK_BYTES * CHUNKS_PER_COMMIT) {
            self.transact(DOING, |t, path| {
                let mut insert = t
                    .prepare_cached(
                        "INSERT INTO blob_chunks (blob, number, bytes) VALUES (?1, ?2, ?3)",
                    )
                    .doing(DOING, path)?;
                for chunk in group.chunks(BLOB_CHUNK_BYTES) {
                    insert
                        .execute(params![id, number, chunk])
                        .doing(DOING, path)?;
                    number += 1;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A complete blob of this content.
    pub(super) fn find_blob(&self, hash: ContentHash) -> Result<Option<BlobId>> {
        self.connection
            .query_row(
                "SELECT id FROM blobs WHERE blake3 = ?1 AND complete = 1",
                [hash],
                |row| row.get(0),
            )
            .optional()
            .doing("find a large value", &self.path)
    }

    /// Hash and length, as stored.
    pub(super) fn blob_facts(&self, id: BlobId) -> Result<(ContentHash, u64)> {
        const DOING: &str = "read a large value";
        let (hash, length) = self
            .connection
            .query_row(
                "SELECT blake3, length FROM blobs WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, unsigned(row, 1)?)),
            )
            .doing(DOING, &self.path)?;
        // SQLite knows the rows' lengths without reading them.
        let stored = self
            .connection
            .query_row(
                "SELECT coalesce(sum(length(bytes)), 0) FROM blob_chunks WHERE blob = ?1",
                [id],
                |row| unsigned(row, 0),
            )
            .doing(DOING, &self.path)?;
        if length != stored || length > MAX_BLOB_BYTES || length > self.size_bytes() {
            return Err(damaged(
                DOING,
                &self.path,
                format!("a value should have {length} bytes and has {stored}"),
            ));
        }
        Ok((hash, length))
    }

    /// Writes the bytes to `out`, row by row, and checks their hash at the end.
    ///
    /// # Errors
    /// `Damaged` where the bytes are not what was stored; `out` has received them then.
    pub(super) fn read_blob(&self, id: BlobId, out: &mut dyn Write) -> Result<()> {
        const DOING: &str = "read a large value";
        let (hash, _) = self.blob_facts(id)?;
        let mut hasher = blake3::Hasher::new();
        let mut statement = self
            .connection
            .prepare_cached("SELECT number, bytes FROM blob_chunks WHERE blob = ?1 ORDER BY number")
            .doing(DOING, &self.path)?;
        let mut rows = statement.query([id]).doing(DOING, &self.path)?;
        let mut expected = 0_u64;
        while let Some(row) = rows.next().doing(DOING, &self.path)? {
            let number = unsigned(row, 0).doing(DOING, &self.path)?;
            let bytes = row
                .get_ref(1)
                .and_then(|v| {
                    v.as_blob()
                        .map_err(|e| super::sqlite::bad_value(1, e.to_string()))
                })
                .doing(DOING, &self.path)?;
            if number != expected || bytes.len() > limits::BLOB_CHUNK_BYTES {
                return Err(damaged(
                    DOING,
                    &self.path,
                    "its parts do not follow each other",
                ));
            }
            expected += 1;
            hasher.update(bytes);
            out.write_all(bytes)
                .map_err(|e| Error::io("could not write a large value", "", &e))?;
        }
        if ContentHash::from(hasher.finalize()) != hash {
            return Err(damaged(
                DOING,
                &self.path,
                "its content does not match its hash",
            ));
        }
        Ok(())
    }

    pub(super) fn read_blob_to_vec(&self, id: BlobId) -> Result<Vec<u8>> {
        let (_, length) = self.blob_facts(id)?;
        let mut bytes = Vec::new();
        // The length is no more than the file's own size, but memory may still be short.
        bytes
            .try_reserve_exact(length as usize)
            .map_err(|_| over_limit("a large value in memory (bytes)", length, 0))?;
        self.read_blob(id, &mut bytes)?;
        Ok(bytes)
    }

    /// Removes what interrupted writes left.
    pub(super) fn remove_unused_blobs(&mut self) -> Result<()> {
        const DOING: &str = "remove unfinished values";
        let has_some: bool = self
            .connection
            .query_row(
                &format!("SELECT EXISTS (SELECT 1 FROM blobs WHERE {UNREFERENCED})"),
                [],
                |row| row.get(0),
            )
            .doing(DOING, &self.path)?;
        if has_some {
            self.transact(DOING, |t, path| delete_unreferenced(t).doing(DOING, path))?;
        }
        Ok(())
    }
}

/// Marks a blob as whole, in the transaction that also stores what refers to it.
pub(super) fn complete(t: &Transaction<'_>, id: BlobId, path: &Path) -> Result<()> {
    t.execute("UPDATE blobs SET complete = 1 WHERE id = ?1", [id])
        .doing("store a large value", path)
        .map(drop)
}
