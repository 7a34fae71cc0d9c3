//! Files that appear under their name only when they are complete: new projects and saved copies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::Project;
use super::lock::{self, WriteLock};
use super::open::with_suffix;
use super::sqlite::Doing;
use crate::error::{Error, Kind, Result};
use crate::foundation::files::{self, Existing};
use crate::progress::Observer;

/// Pages copied between two looks at the observer.
const PAGES_PER_STEP: i32 = 512;
/// How long a copy waits for another process that is writing.
const MAX_BUSY_STEPS: u32 = 500;

fn exists(path: &Path) -> Error {
    Error::new(
        Kind::Usage,
        "could not write the project",
        "a file or folder of that name exists already",
        "Choose another name",
    )
    .at(path)
}

/// The absolute name of a file that need not exist; its folder must.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("could not write the project", path, &e))
}

/// # Errors
/// `Usage` where `path` exists, or a log lies there that SQLite would take for the new file's.
pub(super) fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    for suffix in ["-wal", "-journal"] {
        let leftover = with_suffix(path, suffix);
        if leftover.symlink_metadata().is_ok() {
            return Err(Error::new(
                Kind::Usage,
                "could not write the project",
                "unsaved changes of a project that had this name lie there",
                "Choose another name, or move that file away",
            )
            .at(leftover));
        }
    }
    Ok(())
}

/// An empty file in the same folder, removed again unless it is published.
pub(super) fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    let path = absolute(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    files::temporary_in(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => Error::new(
            Kind::ReadOnly,
            "could not write the project",
            "its folder is read-only",
            "Choose a folder you may write to",
        )
        .at(&path),
        _ => Error::io("could not write the project", &path, &e),
    })
}

/// Gives a complete file its name, durably.
pub(super) fn publish(file: NamedTempFile, path: &Path, existing: Existing) -> Result<()> {
    let path = absolute(path)?;
    files::publish(file, &path, existing).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&path),
        _ => Error::io("could not write the project", &path, &e),
    })
}

impl Project {
    /// Writes a complete copy under another name while the project stays open. It appears there only
    /// when it is whole and on the disk.
    ///
    /// # Errors
    /// `Usage` where `to` is this project, or exists and `overwrite` is not set; `Locked` where a
    /// project of that name is open; `DiskFull`; `Cancelled`.
    pub fn save_copy(&self, to: &Path, overwrite: bool, observer: &dyn Observer) -> Result<()> {
        const DOING: &str = "save a copy";
        let target_exists = to.symlink_metadata().is_ok();
        let _lock = if target_exists && overwrite {
            Some(self.prepare_overwrite(to)?)
        } else {
            refuse_existing(to)?;
            None
        };
        let temporary = temporary_beside(to)?;
        let mut copy = Connection::open_with_flags(
            temporary.path(),
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .doing(DOING, to)?;
        {
            let backup = Backup::new(&self.connection, &mut copy).doing(DOING, to)?;
            let mut busy = 0;
            loop {
                observer.check()?;
                match backup.step(PAGES_PER_STEP).doing(DOING, to)? {
                    StepResult::Done => break,
                    StepResult::More => busy = 0,
                    _ => {
                        busy += 1;
                        if busy > MAX_BUSY_STEPS {
                            return Err(Error::new(
                                Kind::Locked,
                                "could not save a copy",
                                "another program is writing to the project all the time",
                                "Try again when it is done",
                            )
                            .at(to));
                        }
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
                let progress = backup.progress();
                let total = u64::try_from(progress.pagecount).unwrap_or(0);
                let left = u64::try_from(progress.remaining).unwrap_or(0);
                observer.progress(total.saturating_sub(left), total);
            }
        }
        copy.close().map_err(|(_, e)| e).doing(DOING, to)?;
        let existing = match overwrite {
            true => Existing::Replace,
            false => Existing::Refuse,
        };
        publish(temporary, to, existing)
    }

    /// Makes sure that nobody has the file open that is about to be replaced, and that its log does not
    /// outlive it.
    fn prepare_overwrite(&self, to: &Path) -> Result<WriteLock> {
        let resolved = super::open::resolved(to)?;
        if resolved == self.path || lock::is_open_here(&resolved) {
            return Err(Error::new(
                Kind::Usage,
                "could not save a copy",
                "that is a project that is open here",
                "Choose another name",
            )
            .at(to));
        }
        if !resolved.is_file() {
            return Err(exists(to));
        }
        let lock = WriteLock::acquire(&resolved)?;
        for suffix in ["-wal", "-shm", "-journal"] {
            let side = with_suffix(&resolved, suffix);
            if side.symlink_metadata().is_ok() {
                std::fs::remove_file(&side)
                    .map_err(|e| Error::io("could not save a copy", &side, &e))?;
            }
        }
        Ok(lock)
    }
}
