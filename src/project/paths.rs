//! Paths as bytes that survive any file name, and back.

use std::path::{Path, PathBuf};

use super::limits::MAX_PATH_BYTES;
use super::sqlite::limited_len;
use crate::error::Result;

#[cfg(unix)]
fn raw_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

/// On Windows names are 16-bit units: UTF-8 where they are text, else this byte (never part of UTF-8)
/// and the units, low byte first.
#[cfg(not(unix))]
const WIDE_MARK: u8 = 0xFF;

#[cfg(windows)]
fn raw_bytes(path: &Path) -> Vec<u8> {
    use std::os::windows::ffi::OsStrExt;
    match path.to_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => std::iter::once(WIDE_MARK)
            .chain(path.as_os_str().encode_wide().flat_map(u16::to_le_bytes))
            .collect(),
    }
}

pub(super) fn to_bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = raw_bytes(path);
    limited_len("a path", bytes.len(), MAX_PATH_BYTES)?;
    Ok(bytes)
}

#[cfg(unix)]
pub(super) fn from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(windows)]
pub(super) fn from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::windows::ffi::OsStringExt;
    match bytes.split_first() {
        Some((&WIDE_MARK, units)) => {
            let wide: Vec<u16> = units
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&u| u16::from_le_bytes(u))
                .collect();
            PathBuf::from(std::ffi::OsString::from_wide(&wide))
        }
        _ => PathBuf::from(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Whether a path leads to another machine.
pub fn is_remote(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    cfg!(windows) && (text.starts_with(b"\\\\") || text.starts_with(b"//"))
}

/// Whether the file at a path that a project names is certainly gone. Paths to other machines are
/// not looked at: asking for one would tell a stranger's server who opened the project.
pub fn is_gone(path: &Path) -> bool {
    !is_remote(path)
        && std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}
