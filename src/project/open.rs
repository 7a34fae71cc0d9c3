//! Telling projects from everything else before SQLite may touch the file, and the connections.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::limits::MAX_VALUE_BYTES;
use super::names;
use super::schema::{self, APPLICATION_ID, MIGRATIONS};
use super::sqlite::{Doing, damaged};
use crate::error::{Error, Kind, Result};

const OPEN: &str = "open the project";
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
/// Up to this size opening checks every page; above it, every table but the large values, whose hashes
/// are checked when they are read.
const FULL_CHECK_BYTES: u64 = 256 << 20;

/// `path` with `suffix` added to its last name, as SQLite names its side files.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

/// The one name of the file, so that two spellings share one lock and one write-ahead log.
pub(super) fn resolved(path: &Path) -> Result<PathBuf> {
    let io = |e: std::io::Error| Error::io("could not open the project", path, &e);
    // Windows' canonical names (`\\?\…`) are refused by other programs; its links are rare.
    if cfg!(unix) {
        std::fs::canonicalize(path).map_err(io)
    } else {
        std::path::absolute(path).map_err(io)
    }
}

fn refuse(kind: Kind, why: &str, next: &str, path: &Path) -> Error {
    Error::new(kind, "could not open the project", why, next).at(path)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// What stands beside the project file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SideFiles {
    /// A write-ahead log with changes that are not in the main file yet.
    pub has_wal: bool,
    had_shm: bool,
}

/// Reads the header by hand, so that a file which is not a project is never given to SQLite.
/// `path` must be resolved and not open in this process.
///
/// # Errors
/// `NotFound`, `Usage` (a folder or a device), `Foreign`, `Newer`, `Damaged`.
pub(super) fn inspect(path: &Path) -> Result<SideFiles> {
    let metadata =
        std::fs::metadata(path).map_err(|e| Error::io("could not open the project", path, &e))?;
    if metadata.is_dir() {
        return Err(refuse(
            Kind::Usage,
            "this is a folder",
            "Name the .tessera file itself",
            path,
        ));
    }
    if !metadata.is_file() {
        return Err(refuse(
            Kind::Usage,
            "this is not a regular file",
            "Name a .tessera file",
            path,
        ));
    }
    if metadata.len() == 0 {
        return Err(refuse(
            Kind::Damaged,
            "the file is empty",
            "Open a copy saved earlier, or delete it and make a new project",
            path,
        ));
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)
        .and_then(|f| f.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(|e| Error::io("could not open the project", path, &e))?;
    let side_files = SideFiles {
        has_wal: size_of(&with_suffix(path, "-wal")) > 0,
        had_shm: with_suffix(path, "-shm").exists(),
    };
    inspect_header(path, &header, metadata.len(), side_files.has_wal)?;
    // Tessera writes no rollback journal; SQLite would obey a foreign one, which can name other files.
    if with_suffix(path, "-journal").exists() {
        return Err(refuse(
            Kind::Damaged,
            "a rollback journal that Tessera did not write lies beside it",
            "Move the file ending in -journal away if you trust the project",
            path,
        ));
    }
    Ok(side_files)
}

fn inspect_header(path: &Path, header: &[u8], file_bytes: u64, has_wal: bool) -> Result<()> {
    const COPY: &str = "Open a copy saved earlier";
    let cut_off = || {
        refuse(
            Kind::Damaged,
            "the file is cut off: its end is missing",
            COPY,
            path,
        )
    };
    if header.len() < HEADER_BYTES {
        let is_start = header.len() >= 16 && header.starts_with(SQLITE_MAGIC);
        return Err(if is_start {
            cut_off()
        } else {
            refuse(
                Kind::Foreign,
                "this is not a Tessera project",
                "Choose a .tessera file",
                path,
            )
        });
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[at..at + 4]);
        u32::from_be_bytes(bytes)
    };
    let is_ours = word(68) == APPLICATION_ID.cast_unsigned();
    if !header.starts_with(SQLITE_MAGIC) {
        return Err(if is_ours {
            refuse(Kind::Damaged, "its header is damaged", COPY, path)
        } else {
            refuse(
                Kind::Foreign,
                "this is not a Tessera project",
                "Choose a .tessera file",
                path,
            )
        });
    }
    if !is_ours {
        return Err(refuse(
            Kind::Foreign,
            "this is a database of another program",
            "Choose a .tessera file",
            path,
        ));
    }
    check_version(path, i64::from(word(60).cast_signed()))?;
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let is_sound = page_bytes.is_power_of_two()
        && page_bytes >= 512
        && matches!((header[18], header[19]), (1, 1) | (2, 2))
        && header[21..24] == [64, 32, 32]
        && (1..=4).contains(&word(44)) // schema format
        && (1..=3).contains(&word(56)); // text encoding
    if !is_sound {
        return Err(refuse(Kind::Damaged, "its header is damaged", COPY, path));
    }
    // With changes still in the write-ahead log the main file may rightly be shorter than it will be.
    if !has_wal {
        let pages = u64::from(word(28));
        if pages == 0 || word(24) != word(92) {
            return Err(refuse(Kind::Damaged, "its header is damaged", COPY, path));
        }
        if pages * page_bytes > file_bytes {
            return Err(cut_off());
        }
    }
    Ok(())
}

fn check_version(path: &Path, version: i64) -> Result<()> {
    let newest = MIGRATIONS.len() as i64;
    if version > newest {
        return Err(refuse(
            Kind::Newer,
            &format!(
                "it was written by a newer Tessera (format {version}, this one reads up to {newest})"
            ),
            "Open it with a newer Tessera",
            path,
        ));
    }
    if version < 1 {
        return Err(refuse(
            Kind::Damaged,
            &format!("its header is damaged (format {version})"),
            "Open a copy saved earlier",
            path,
        ));
    }
    Ok(())
}

/// # Errors
/// `ReadOnly` where the file or its folder may not be written to. Nothing is changed.
pub(super) fn check_writable(path: &Path) -> Result<()> {
    let read_only = |why: &str| {
        Error::new(
            Kind::ReadOnly,
            "could not open the project for writing",
            why,
            "Copy the project to a place you may write to, and open the copy",
        )
        .at(path)
    };
    let metadata =
        std::fs::metadata(path).map_err(|e| Error::io("could not open the project", path, &e))?;
    // The administrator may write anything: the permission bits still say what the owner wants.
    if metadata.permissions().readonly() {
        return Err(read_only("the file is read-only"));
    }
    if let Err(e) = std::fs::OpenOptions::new().write(true).open(path) {
        return Err(match e.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                read_only("the file is read-only")
            }
            _ => Error::io("could not open the project", path, &e),
        });
    }
    if folder_is_read_only(path) {
        return Err(read_only("its folder is read-only"));
    }
    Ok(())
}

#[cfg(unix)]
fn folder_is_read_only(path: &Path) -> bool {
    path.parent()
        .and_then(|p| std::fs::metadata(p).ok())
        .is_some_and(|m| m.permissions().readonly())
}

#[cfg(not(unix))]
fn folder_is_read_only(_path: &Path) -> bool {
    false // Windows' folder attribute of that name means something else; the lock file will tell
}

/// A `file:` URI that makes SQLite read the main file alone, without locks or side files.
fn immutable_uri(path: &Path) -> PathBuf {
    let text = path.as_os_str().as_encoded_bytes();
    let mut uri = String::from("file:");
    if cfg!(windows) {
        uri.push('/');
    }
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(byte.into());
            }
            b'\\' | b':' if cfg!(windows) => uri.push(if byte == b'\\' { '/' } else { ':' }),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}

/// Opens for reading only. Where nobody has changes pending this leaves no trace, not even side files.
pub(super) fn connect_read_only(path: &Path, has_wal: bool) -> Result<Connection> {
    let base = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if has_wal {
        Connection::open_with_flags(path, base)
    } else {
        Connection::open_with_flags(immutable_uri(path), base | OpenFlags::SQLITE_OPEN_URI)
    }
    .doing(OPEN, path)?;
    guard(&connection).doing(OPEN, path)?;
    Ok(connection)
}

/// Opens for writing; closing it writes nothing back until [`accept`].
pub(super) fn connect_for_writing(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing(OPEN, path)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .doing(OPEN, path)?;
    guard(&connection).doing(OPEN, path)?;
    Ok(connection)
}

/// Settings for files of strangers; see <https://sqlite.org/security.html>.
fn guard(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    names::register(connection)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    let value_limit = i32::try_from(MAX_VALUE_BYTES + 4096).unwrap_or(i32::MAX);
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, value_limit),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
        (Limit::SQLITE_LIMIT_COLUMN, 100),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 30),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 4),
        (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 2_000),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 64),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 4),
    ] {
        connection.set_limit(limit, value)?;
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    // A mapped file that shrinks under us would be a bus error instead of a message.
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

/// Version, pages and tables, read through SQLite (so with the write-ahead log). Changes nothing.
/// Returns the file's version.
pub(super) fn verify(connection: &Connection, path: &Path) -> Result<usize> {
    // The statements are our own and always the same: whatever SQLite has against them is the file's fault.
    verify_contents(connection, path).map_err(|e| match e.kind {
        Kind::Internal => damaged(OPEN, path, e.notice.why),
        _ => e,
    })
}

fn verify_contents(connection: &Connection, path: &Path) -> Result<usize> {
    let number = |pragma: &str| -> Result<i64> {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .doing(OPEN, path)
    };
    if number("application_id")? != i64::from(APPLICATION_ID) {
        return Err(damaged(OPEN, path, "its log belongs to another file"));
    }
    let version = number("user_version")?;
    check_version(path, version)?;
    let version = version as usize; // 1..=MIGRATIONS.len(), just checked
    if let Some(name) =
        schema::first_difference(connection, &MIGRATIONS[..version]).doing(OPEN, path)?
    {
        return Err(damaged(
            OPEN,
            path,
            format!("its tables are not those of a project: {name}"),
        ));
    }
    let page_bytes =
        number("page_count")?.max(0).unsigned_abs() * number("page_size")?.max(0).unsigned_abs();
    if page_bytes <= FULL_CHECK_BYTES {
        quick_check(connection, path, "PRAGMA quick_check(1)")?;
    } else {
        for table in small_tables(connection).doing(OPEN, path)? {
            // The name is one of our own schema, compared just above.
            quick_check(connection, path, &format!("PRAGMA quick_check('{table}')"))?;
        }
    }
    Ok(version)
}

fn small_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             AND name NOT IN ('blob_chunks', 'thumbnails', 'document_codes', 'strokes', 'encodings')",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn quick_check(connection: &Connection, path: &Path, sql: &str) -> Result<()> {
    let finding: String = connection
        .query_row(sql, [], |row| row.get(0))
        .doing(OPEN, path)?;
    if finding == "ok" {
        return Ok(());
    }
    let first = finding
        .lines()
        .last()
        .unwrap_or("pages do not fit together");
    Err(damaged(OPEN, path, first))
}

/// Makes a verified connection the writer's: durable, and allowed to change the main file.
pub(super) fn accept(connection: &Connection, path: &Path) -> Result<()> {
    let set = || -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        // FULL syncs the log at every commit: a finished stroke survives a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(())
    };
    set().doing(OPEN, path)
}

/// Takes away what a refused opening left beside the file. Only the lock's holder may call this.
pub(super) fn remove_traces(path: &Path, before: SideFiles) {
    let wal = with_suffix(path, "-wal");
    if !before.has_wal && size_of(&wal) == 0 {
        let _ = std::fs::remove_file(wal);
    }
    if !before.had_shm {
        let _ = std::fs::remove_file(with_suffix(path, "-shm"));
    }
}
