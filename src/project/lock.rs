//! Who holds a project. The lock dies with its process; the sidecar's text only says who it was.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::foundation::time::{local_text, now_ms};

/// A sidecar longer than this is not ours.
const MAX_SIDECAR_BYTES: u64 = 4096;
/// How often to try again when the sidecar vanishes between opening and locking it.
const ATTEMPTS: usize = 16;

/// What the sidecar `NAME.tessera.lock` says of the process that has the project open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub program: String,
    pub pid: u32,
    pub host: String,
    /// When it opened the project, in milliseconds since 1970.
    pub since_ms: i64,
}

impl Holder {
    fn this_process() -> Self {
        let program = std::env::current_exe()
            .ok()
            .and_then(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()));
        Self {
            program: program.unwrap_or_else(|| "tessera".to_owned()),
            pid: std::process::id(),
            host: host_name(),
            since_ms: now_ms(),
        }
    }
}

#[cfg(unix)]
fn host_name() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the pointer and the length are those of `name`, which outlives the call.
    let status = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    if status == 0 && end > 0 {
        String::from_utf8_lossy(&name[..end]).into_owned()
    } else {
        "this computer".to_owned()
    }
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this computer".to_owned())
}

/// Projects open in this process. POSIX drops every record lock of a file as soon as the process closes
/// *any* descriptor of it, so a project that SQLite has open here must not be opened a second time by hand.
static OPEN_HERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn open_here() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes, for as long as it lives, that this process has the project open.
#[derive(Debug)]
pub(super) struct Registration(PathBuf);

impl Registration {
    pub(super) fn new(path: &Path) -> Self {
        open_here().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = open_here();
        if let Some(at) = open.iter().position(|p| p == &self.0) {
            open.swap_remove(at);
        }
    }
}

pub(super) fn is_open_here(path: &Path) -> bool {
    open_here().iter().any(|p| p == path)
}

/// The right to write to a project, held until dropped; the sidecar goes with it.
#[derive(Debug)]
pub(super) struct WriteLock {
    sidecar: PathBuf,
    /// `None` only while being dropped.
    file: Option<File>,
}

pub(super) fn sidecar_of(project: &Path) -> PathBuf {
    super::open::with_suffix(project, ".lock")
}

impl WriteLock {
    /// # Errors
    /// [`Kind::Locked`] naming the holder, [`Kind::ReadOnly`] where the sidecar cannot be made.
    pub(super) fn acquire(project: &Path) -> Result<Self> {
        let sidecar = sidecar_of(project);
        for _ in 0..ATTEMPTS {
            match std::fs::symlink_metadata(&sidecar) {
                // A link or a pipe in its place would have us write somewhere else.
                Ok(found) if !found.is_file() => {
                    return Err(Error::new(
                        Kind::Foreign,
                        "could not lock the project",
                        "something that is not a lock file has its place",
                        "Move it away and open the project again",
                    )
                    .at(&sidecar));
                }
                _ => {}
            }
            let Some(mut file) = try_open_locked(project, &sidecar)? else {
                return Err(held(project, &sidecar));
            };
            if is_same_file(&file, &sidecar) {
                let holder = Holder::this_process();
                let text = serde_json::to_vec(&holder).unwrap_or_default();
                file.set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| file.write_all(&text))
                    .and_then(|()| file.flush())
                    .map_err(|e| Error::io("could not lock the project", &sidecar, &e))?;
                return Ok(Self {
                    sidecar,
                    file: Some(file),
                });
            }
            // The former holder removed this very file before we got its lock: take the next one.
        }
        Err(held(project, &sidecar))
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // While the lock is held, on Unix; Windows only removes what nobody has open.
        if cfg!(windows) {
            self.file = None;
        }
        if let Err(error) = std::fs::remove_file(&self.sidecar) {
            log::warn!("could not remove {}: {error}", self.sidecar.display());
        }
        self.file = None;
    }
}

fn open_error(sidecar: &Path, error: &std::io::Error) -> Error {
    use std::io::ErrorKind as E;
    if matches!(error.kind(), E::PermissionDenied | E::ReadOnlyFilesystem) {
        return Error::new(
            Kind::ReadOnly,
            "could not open the project for writing",
            "its folder is read-only",
            "Copy the project to a folder you may write to, and open the copy",
        )
        .at(sidecar);
    }
    Error::io("could not lock the project", sidecar, error)
}

/// `None` where another process, or this one, holds the lock.
#[cfg(unix)]
fn try_open_locked(_project: &Path, sidecar: &Path) -> Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(sidecar)
        .map_err(|e| open_error(sidecar, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => {
            Err(Error::io("could not lock the project", sidecar, &e))
        }
    }
}

/// Windows refuses to open a file for writing that another process opened without sharing writes; its
/// byte locks would keep the second program from reading who holds the first one.
#[cfg(windows)]
fn try_open_locked(_project: &Path, sidecar: &Path) -> Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_SHARE_READ: u32 = 1;
    const ERROR_SHARING_VIOLATION: i32 = 32;
    match OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .share_mode(FILE_SHARE_READ)
        .open(sidecar)
    {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
        Err(e) => Err(open_error(sidecar, &e)),
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(windows)]
fn is_same_file(_file: &File, _path: &Path) -> bool {
    true // no one can remove a file that is open without shared deletion
}

/// Who holds the project, as far as its sidecar tells.
fn read_holder(sidecar: &Path) -> Option<Holder> {
    let mut text = Vec::new();
    File::open(sidecar)
        .ok()?
        .take(MAX_SIDECAR_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

fn held(project: &Path, sidecar: &Path) -> Error {
    let why = match read_holder(sidecar) {
        Some(holder) => format!(
            "{} (process {} on {}) has it open since {}",
            holder.program,
            holder.pid,
            holder.host,
            local_text(holder.since_ms)
        ),
        None => "another program has it open".to_owned(),
    };
    Error::new(
        Kind::Locked,
        "could not open the project for writing",
        why,
        "Close it there first",
    )
    .at(project)
}
