//! Files that appear whole or not at all, and never replace another one unasked.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Kind, Result};

/// What to do when the file is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Fail and leave it alone.
    #[default]
    Refuse,
    Replace,
}

/// Writes a file through a temporary one in the same folder: data synced, renamed, folder synced.
/// When anything fails, nothing new is left behind and an existing file is as it was.
///
/// # Errors
/// `Usage` when the file exists and must not be replaced; `DiskFull`, `ReadOnly`, `NotFound` or
/// `Io` from the operating system; whatever `write` returns.
pub fn write_atomic(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    crate::window_thread::count_blocking("writing a file");
    let failed = |e: &io::Error| Error::io("could not write the file", path, e);
    let target = target_of(path, existing)?;
    let folder = folder_of(&target);
    let file = temporary_in(folder).map_err(|e| failed(&e))?;
    // Written through the plain file: its errors do not name the temporary path.
    let mut buffered = BufWriter::with_capacity(1 << 16, file.as_file());
    write(&mut buffered)?;
    buffered.flush().map_err(|e| failed(&e))?;
    drop(buffered);
    match publish(file, &target, existing) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(taken(path)),
        other => other.map_err(|e| failed(&e)),
    }
}

/// An empty file in `folder` with the permissions that the user's other files get; removed again unless it is published.
///
/// # Errors
/// Whatever the operating system says.
pub fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tessera-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are private by default; what becomes a file of the user's follows the umask.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Gives a complete file its name: data synced, renamed, folder synced.
///
/// # Errors
/// `AlreadyExists` where the name is taken and must not be replaced; others of the operating system. The temporary file is
/// removed then.
pub fn publish(file: NamedTempFile, target: &Path, existing: Existing) -> io::Result<()> {
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => {
            file.persist(target)?;
        }
        Existing::Refuse => {
            if let Err(refused) = file.persist_noclobber(target) {
                // Network and FAT file systems have neither hard links nor a rename that refuses; there, looking first has to do.
                if !lacks_exclusive_rename(&refused.error) || target.symlink_metadata().is_ok() {
                    return Err(refused.error);
                }
                refused.file.persist(target)?;
            }
        }
    }
    sync_folder(folder_of(target))
}

fn lacks_exclusive_rename(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
    )
}

/// The folder that holds a file; the current one for a bare name.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether a file could be written here, for asking before the work that makes it. Nothing is left behind.
///
/// # Errors
/// As [`write_atomic`].
pub fn check_writable(path: &Path, existing: Existing) -> Result<()> {
    let target = target_of(path, existing)?;
    tempfile::tempfile_in(folder_of(&target))
        .map(drop)
        .map_err(|e| Error::io("could not write the file", path, &e))
}

/// The file that is written: a link is written through, not replaced by a file.
fn target_of(path: &Path, existing: Existing) -> Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(Error::usage(
            "could not write the file",
            "the path names no file",
            "Give a file name",
        )
        .at(path));
    }
    if path.is_dir() {
        return Err(Error::usage(
            "could not write the file",
            "a folder of this name is already there",
            "Name a file in it, or choose another name",
        )
        .at(path));
    }
    let target: PathBuf = match (existing, path.canonicalize()) {
        (Existing::Replace, Ok(resolved)) => resolved,
        _ => path.to_path_buf(),
    };
    if existing == Existing::Refuse && path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    Ok(target)
}

/// [`write_atomic`] for bytes that are ready.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: &Path, existing: Existing, bytes: &[u8]) -> Result<()> {
    write_atomic(path, existing, |file| {
        file.write_all(bytes)
            .map_err(|e| Error::io("could not write the file", path, &e))
    })
}

fn taken(path: &Path) -> Error {
    Error::new(
        Kind::Usage,
        "could not write the file",
        "a file of this name is already there",
        "Choose another name, or allow overwriting",
    )
    .at(path)
}

/// The rename itself must survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        match File::open(folder)?.sync_all() {
            // Some network file systems cannot sync a folder; the file itself is safe.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    } else {
        Ok(())
    }
}
/// A text file of limited length.
pub fn read_text(path: &Path, max_bytes: u64, what: &str) -> Result<String> {
    let failed = |source| Error::io(what, path, &source);
    // Before opening: opening a pipe would wait for ever.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::usage(what, "it is not a file", "Name a file").at(path));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        let why = format!("it is longer than {} MiB", max_bytes >> 20);
        return Err(Error::new(Kind::Limit, what, why, "Use a smaller file").at(path));
    }
    String::from_utf8(bytes).map_err(|_| {
        Error::new(
            Kind::Damaged,
            what,
            "it is not UTF-8 text",
            "Check the file",
        )
        .at(path)
    })
}
