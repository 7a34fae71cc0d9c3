//! The project file: one `.tessera` file is one SQLite database holding the dataset index, runs,
//! checkpoints, documents and their stroke journal.
//!
//! What is promised, and tested in `tests/project_file.rs`:
//! - A method that returned `Ok` has reached the disk; killing the process loses only the call in progress.
//! - A file that cannot be opened (newer, damaged, foreign, read-only, held by another process) is left
//!   byte for byte as it was, with nothing beside it.
//! - Nothing read from the file is trusted: sizes are checked before memory is taken, content is checked
//!   against its hash, and nothing in it names a place to write to.
//!
//! Weights and settings are bytes and JSON here; this module knows no model.
//!
//! # Limitations
//! One process at a time writes a project. Pictures stay where they are: the file has their paths, hashes, thumbnails and codes, and
//! the bytes only of pictures that were opened for editing.

mod blobs;
mod check;
mod checkpoints;
mod copy;
mod documents;
mod encodings;
mod hash;
mod import;
pub mod journal;
mod layers;
pub mod limits;
mod lock;
mod moves;
mod named_states;
mod names;
mod open;
mod packed;
mod paths;
mod pictures;
mod runs;
mod schema;
mod settings;
mod snapshots;
mod sources;
mod sqlite;
mod strokes;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use checkpoints::{
    CheckpointId, CheckpointKind, CheckpointRow, CheckpointWrite, NewCheckpoint,
};
pub use documents::{
    DocumentId, DocumentRow, DocumentSource, LoadedDocument, NewDocument, NewSource,
};
pub use encodings::{
    EncodingCounts, EncodingModel, EncodingPage, EncodingRow, EncodingsOf, NewEncoding, Unencoded,
};
pub use hash::ContentHash;
pub use import::{
    Import, ImportId, ImportRow, ImportSummary, KnownPicture, NewPicture, SeenChange, SeenPicture,
};
pub use lock::Holder;
pub use named_states::{MAX_NAMED_STATES, NamedState};
pub use paths::{is_gone, is_remote};
pub use pictures::{PictureCounts, PictureFile, PictureFilter, PictureFlag, PictureId, PictureRow};
pub use runs::{MetricRow, NewRun, RunId, RunRow, RunStatus};
pub use schema::APPLICATION_ID;
pub use sources::{SourceFile, decode_coordinates, encode_coordinates};
pub use strokes::StrokeRow;

use crate::error::{Error, Kind, Result};
use crate::foundation::files::Existing;
use crate::foundation::time::now_ms;
use lock::{Registration, WriteLock};
use sqlite::Doing;

/// The name extension of project files.
pub const EXTENSION: &str = "tessera";

/// Page size of new files, in bytes: a stroke writes few of them, large values need not too many.
const PAGE_BYTES: u32 = 8192;

/// What one transaction takes off the file's end, in bytes.
const GIVE_BACK_BYTES: u64 = 1 << 20;

/// An open project. One process at a time may write to it; reading may happen beside that.
///
/// It is `Send` but not `Sync`: the storage lane owns the writer.
#[derive(Debug)]
pub struct Project {
    // Dropped in this order: the connection writes back and closes before the lock goes.
    connection: Connection,
    path: PathBuf,
    is_read_only: bool,
    /// Large values that something not stored yet will refer to.
    held_blobs: Vec<blobs::BlobId>,
    _registration: Registration,
    _lock: Option<WriteLock>,
}

impl Project {
    /// Makes a new, empty project and opens it. The file appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`Kind::Usage`] where something of that name exists already; it is never overwritten.
    pub fn create(path: &Path) -> Result<Self> {
        copy::refuse_existing(path)?;
        let temporary = copy::temporary_beside(path)?;
        let make = || -> rusqlite::Result<()> {
            let mut connection = Connection::open(temporary.path())?;
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            schema::migrate(&mut connection, schema::MIGRATIONS, 0)?;
            connection.execute(
                "INSERT INTO meta (key, value) VALUES
                 ('project_id', lower(hex(randomblob(16)))), ('created_ms', ?1), ('created_with', ?2)",
                (now_ms().to_string(), env!("CARGO_PKG_VERSION")),
            )?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| {
                row.get::<_, String>(0)
            })?;
            connection.close().map_err(|(_, e)| e)
        };
        make().doing("create the project", path)?;
        copy::publish(temporary, path, Existing::Refuse)?;
        Self::open(path)
    }

    /// Opens a project for reading and writing, brings an older one up to date, and clears what an
    /// interrupted process left behind (its running runs become paused).
    ///
    /// # Errors
    /// Each leaves the file as it was: [`Kind::NotFound`], [`Kind::Usage`] (a folder),
    /// [`Kind::Foreign`], [`Kind::Newer`], [`Kind::Damaged`], [`Kind::ReadOnly`], [`Kind::Locked`]
    /// (naming who holds it).
    pub fn open(path: &Path) -> Result<Self> {
        let path = open::resolved(path)?;
        if lock::is_open_here(&path) {
            // Also keeps us from touching a file whose record locks this process holds.
            let _held_here = WriteLock::acquire(&path)?;
            return Err(Error::new(
                Kind::Locked,
                "could not open the project for writing",
                "this program is reading it",
                "Close it here first",
            )
            .at(path));
        }
        let before = open::inspect(&path)?;
        open::check_writable(&path)?;
        let lock = WriteLock::acquire(&path)?;
        let registration = Registration::new(&path);
        if !before.has_wal {
            // Reading the main file alone leaves no trace should it be refused.
            open::verify(&open::connect_read_only(&path, false)?, &path)?;
        }
        let connect = || -> Result<(Connection, usize)> {
            let connection = open::connect_for_writing(&path)?;
            let version = open::verify(&connection, &path)?;
            Ok((connection, version))
        };
        let (mut connection, version) =
            connect().inspect_err(|_| open::remove_traces(&path, before))?;
        open::accept(&connection, &path)?;
        if version < schema::MIGRATIONS.len() {
            schema::migrate(&mut connection, schema::MIGRATIONS, version)
                .doing("bring the project up to date", &path)?;
        }
        let mut project = Self {
            connection,
            path,
            is_read_only: false,
            held_blobs: Vec::new(),
            _registration: registration,
            _lock: Some(lock),
        };
        project.pause_interrupted_runs()?;
        project.remove_unused_blobs();
        Ok(project)
    }

    /// Opens a project for reading, also on read-only media and while another process writes to it.
    /// Where no process writes and no changes are pending, nothing at all is written beside the file;
    /// such a view must not outlive the next writer's start.
    ///
    /// # Errors
    /// As [`Project::open`], except `ReadOnly` and `Locked`.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let path = open::resolved(path)?;
        let has_wal = if lock::is_open_here(&path) {
            true
        } else {
            open::inspect(&path)?.has_wal
        };
        let registration = Registration::new(&path);
        let connection = open::connect_read_only(&path, has_wal)?;
        let version = open::verify(&connection, &path)?;
        if version < schema::MIGRATIONS.len() {
            return Err(Error::new(
                Kind::Unsupported,
                "could not view the project",
                format!("it has the older format {version}"),
                "Open it once for writing to bring it up to date",
            )
            .at(path));
        }
        Ok(Self {
            connection,
            path,
            is_read_only: true,
            held_blobs: Vec::new(),
            _registration: registration,
            _lock: None,
        })
    }

    /// The file, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The size of the project on disk, in bytes: the file and its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
        size(&self.path) + size(&open::with_suffix(&self.path, "-wal"))
    }

    /// Gives unused pages back to the disk and closes the file. Dropping the project does the same
    /// without telling what went wrong; nothing already stored depends on either.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly` or `Io` from the operating system.
    pub fn close(self) -> Result<()> {
        if !self.is_read_only {
            self.give_back_pages(0)?;
        }
        let path = self.path.clone();
        self.connection
            .close()
            .map_err(|(_, e)| e)
            .doing("close the project", &path)
    }

    /// One transaction: all of `work` or nothing of it.
    fn transact<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>, &Path) -> Result<T>,
    ) -> Result<T> {
        if self.is_read_only {
            return Err(Error::new(
                Kind::ReadOnly,
                format!("could not {doing}"),
                "the project is open for viewing only",
                "Open it for writing",
            )
            .at(&self.path));
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .doing(doing, &self.path)?;
        let outcome = work(&transaction, &self.path)?;
        transaction.commit().doing(doing, &self.path)?;
        Ok(outcome)
    }

    /// Moves what the write-ahead log holds into the file, as far as no reader stands in the way.
    fn carry_log_over(&self) -> Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .doing("write the log back", &self.path)
    }

    /// Shrinks the file until at most `keep_bytes` of it are unused.
    fn give_back_pages(&self, keep_bytes: u64) -> Result<()> {
        while self.give_back_some(keep_bytes)? {}
        Ok(())
    }

    /// Takes a few MB of what the file has unused beyond `keep_bytes` off its end, in one short transaction. True while there
    /// is more.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly` or `Io` from the operating system.
    pub fn give_back_some(&self, keep_bytes: u64) -> Result<bool> {
        const DOING: &str = "give unused space back";
        let number = |pragma: &str| -> Result<u64> {
            self.connection
                .pragma_query_value(None, pragma, |row| sqlite::unsigned(row, 0))
                .doing(DOING, &self.path)
        };
        let page_bytes = number("page_size")?.max(512);
        let unused = number("freelist_count")?.saturating_sub(keep_bytes / page_bytes);
        if unused == 0 {
            return Ok(false);
        }
        // It returns a row per page, so it has to be stepped to its end.
        let pages = unused.min(GIVE_BACK_BYTES / page_bytes);
        let sql = format!("PRAGMA incremental_vacuum({pages})");
        let vacuum = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        vacuum().doing(DOING, &self.path)?;
        Ok(pages < unused)
    }
}
