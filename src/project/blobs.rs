//! Large values as rows of bounded size, found by content. Writing one takes many small transactions,
//! so that neither memory nor the write-ahead log has to hold it; it counts only once it is complete.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, params};

use super::hash::ContentHash;
use super::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};
use super::sqlite::{Doing, damaged, over_limit, unsigned};
use super::{Project, limits};
use crate::error::{Error, Result};

/// Rows that one transaction writes or removes: what other work on the file may have to wait for.
const CHUNKS_PER_COMMIT: usize = 1;

pub(super) type BlobId = i64;

/// Every place that may refer to a blob.
pub(super) const UNREFERENCED: &str = "id NOT IN (SELECT weights FROM checkpoints)
     AND id NOT IN (SELECT training_state FROM checkpoints WHERE training_state IS NOT NULL)
     AND id NOT IN (SELECT source_blob FROM documents WHERE source_blob IS NOT NULL)
     AND id NOT IN (SELECT blob FROM kept_pictures)";

/// A large value on its way into the file, in steps of one short transaction each. Other work may come between them: the
/// blob is held, so that nothing collects it before what refers to it is stored.
#[derive(Debug)]
pub(super) struct BlobWrite<'a> {
    bytes: Cow<'a, [u8]>,
    hash: ContentHash,
    id: Option<BlobId>,
    /// Bytes stored.
    done: usize,
}

impl<'a> BlobWrite<'a> {
    /// Hashes the bytes.
    ///
    /// # Errors
    /// `Limit`.
    pub fn new(bytes: Cow<'a, [u8]>) -> Result<Self> {
        let length = bytes.len() as u64;
        if length > MAX_BLOB_BYTES {
            return Err(over_limit("a large value (bytes)", length, MAX_BLOB_BYTES));
        }
        Ok(Self {
            hash: ContentHash::of(&bytes),
            bytes,
            id: None,
            done: 0,
        })
    }

    /// The blob, once all of it is in the file.
    pub fn id(&self) -> Option<BlobId> {
        self.id.filter(|_| self.done == self.bytes.len())
    }

    /// Finds the bytes where they are stored already, or stores the next few of them. To be called until [`Self::id`] says so.
    ///
    /// # Errors
    /// `DiskFull`; [`Self::release`] is to be called then.
    pub fn step(&mut self, project: &mut Project) -> Result<()> {
        const DOING: &str = "store a large value";
        let id = match self.id {
            Some(id) => id,
            None => {
                if let Some(id) = project.find_blob(self.hash)? {
                    self.done = self.bytes.len();
                    self.hold(id, project);
                    return Ok(());
                }
                let (hash, length) = (self.hash, self.bytes.len() as i64); // at most MAX_BLOB_BYTES
                let id = project.transact(DOING, |t, path| {
                    t.execute(
                        "INSERT INTO blobs (blake3, length, complete) VALUES (?1, ?2, 0)",
                        params![hash, length],
                    )
                    .doing(DOING, path)?;
                    Ok(t.last_insert_rowid())
                })?;
                self.hold(id, project);
                id
            }
        };
        let rest = &self.bytes[self.done..];
        let slice = &rest[..rest.len().min(BLOB_CHUNK_BYTES * CHUNKS_PER_COMMIT)];
        let first = (self.done / BLOB_CHUNK_BYTES) as i64; // chunks are small
        project.transact(DOING, |t, path| {
            let mut insert = t
                .prepare_cached("INSERT INTO blob_chunks (blob, number, bytes) VALUES (?1, ?2, ?3)")
                .doing(DOING, path)?;
            for (number, chunk) in (first..).zip(slice.chunks(BLOB_CHUNK_BYTES)) {
                insert
                    .execute(params![id, number, chunk])
                    .doing(DOING, path)?;
            }
            Ok(())
        })?;
        self.done += slice.len();
        Ok(())
    }

    fn hold(&mut self, id: BlobId, project: &mut Project) {
        self.id = Some(id);
        project.held_blobs.push(id);
    }

    /// Lets it be collected where nothing refers to it.
    pub fn release(&self, project: &mut Project) {
        let held = &mut project.held_blobs;
        if let Some(at) = held.iter().position(|id| Some(*id) == self.id) {
            held.swap_remove(at);
        }
    }
}

impl Project {
    /// Stores `bytes`, or finds them where they are stored already. What refers to them must be
    /// stored before the next blob is collected.
    ///
    /// # Errors
    /// `Limit`, `DiskFull`; nothing stays then.
    pub(super) fn write_blob(&mut self, bytes: &[u8]) -> Result<BlobId> {
        let mut write = BlobWrite::new(Cow::Borrowed(bytes))?;
        let written = loop {
            if let Some(id) = write.id() {
                break Ok(id);
            }
            if let Err(error) = write.step(self) {
                break Err(error);
            }
        };
        write.release(self);
        if written.is_err() {
            self.remove_unused_blobs();
        }
        written
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

    /// Removes what nothing refers to, left by deletions and interrupted writes. Where that fails (the disk may be full) it
    /// is left for the next opening.
    pub(super) fn remove_unused_blobs(&mut self) {
        loop {
            match self.remove_some_unused() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("{error}");
                    break;
                }
            }
        }
    }

    /// One short transaction of [`Self::remove_unused_blobs`]. True while there may be more.
    pub(super) fn remove_some_unused(&mut self) -> Result<bool> {
        const DOING: &str = "remove unfinished values";
        let unused = || -> rusqlite::Result<Option<BlobId>> {
            let mut statement = self
                .connection
                .prepare_cached(&format!("SELECT id FROM blobs WHERE {UNREFERENCED}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if !self.held_blobs.contains(&id) {
                    return Ok(Some(id));
                }
            }
            Ok(None)
        };
        let Some(id) = unused().doing(DOING, &self.path)? else {
            return Ok(false);
        };
        self.transact(DOING, |t, path| {
            // Nobody may find it any more: soon it is not whole.
            t.execute("UPDATE blobs SET complete = 0 WHERE id = ?1", [id])
                .doing(DOING, path)?;
            let removed = t
                .execute(
                    "DELETE FROM blob_chunks WHERE rowid IN
                     (SELECT rowid FROM blob_chunks WHERE blob = ?1 ORDER BY number LIMIT ?2)",
                    params![id, CHUNKS_PER_COMMIT as i64],
                )
                .doing(DOING, path)?;
            if removed < CHUNKS_PER_COMMIT {
                t.execute("DELETE FROM blobs WHERE id = ?1", [id])
                    .doing(DOING, path)?;
            }
            Ok(true)
        })
    }
}

/// Marks a blob as whole, in the transaction that also stores what refers to it.
pub(super) fn complete(t: &Transaction<'_>, id: BlobId, path: &Path) -> Result<()> {
    t.execute("UPDATE blobs SET complete = 1 WHERE id = ?1", [id])
        .doing("store a large value", path)
        .map(drop)
}
