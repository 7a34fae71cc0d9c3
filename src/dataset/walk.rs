//! Finds the files of folders: each real file once, whatever links there are, and nothing but plain files.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Notice, Result};
use crate::progress::Observer;

/// A plain file to look at.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub path: PathBuf,
    pub relative: PathBuf,
    /// First folder below the root.
    pub label: Option<String>,
    pub len_bytes: u64,
    pub modified: Option<SystemTime>,
    /// When content, name or rights changed last, ns since 1970; `None` where the system does not tell.
    pub changed_unix_ns: Option<i64>,
}

impl Found {
    /// When the content was written last; `None` where the file system does not know, and before 1970.
    pub fn modified_unix_ms(&self) -> Option<i64> {
        self.modified
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok())
    }
}

/// The first folder of a path below an imported one; `None` at its top.
pub fn label_of(relative: &Path) -> Option<String> {
    let mut parts = relative.components();
    let first = parts.next()?;
    parts.next()?;
    Some(first.as_os_str().to_string_lossy().into_owned())
}

#[derive(Debug, Default)]
pub(super) struct Walked {
    /// In path order.
    pub files: Vec<Found>,
    /// What nobody would expect to be imported.
    pub skipped: Vec<Notice>,
    /// What somebody may have expected: unreadable folders, links that lead nowhere.
    pub failed: Vec<Notice>,
}

struct Folder {
    path: PathBuf,
    relative: PathBuf,
}

struct Walker<'a> {
    observer: &'a dyn Observer,
    includes_hidden: bool,
    /// Real paths of the folders walked, against loops and repeats.
    seen: HashSet<PathBuf>,
    walked: Walked,
    /// Links are followed last, so that a file keeps the name it has in its own folder.
    linked_folders: Vec<Folder>,
    linked_files: Vec<Found>,
}

fn skipped(why: impl Into<String>, path: &Path) -> Notice {
    Notice::new("skipped", why, "").at(path)
}

/// Walks `roots` (folders or files).
///
/// # Errors
/// Only `Cancelled`; everything else is a notice.
pub(super) fn walk(
    roots: &[PathBuf],
    includes_hidden: bool,
    observer: &dyn Observer,
) -> Result<Walked> {
    let mut walker = Walker {
        observer,
        includes_hidden,
        seen: HashSet::new(),
        walked: Walked::default(),
        linked_folders: Vec::new(),
        linked_files: Vec::new(),
    };
    for root in roots {
        walker.root(root)?;
    }
    while let Some(folder) = walker.linked_folders.pop() {
        walker.linked_folder(folder, roots)?;
    }
    walker.finish()
}

impl Walker<'_> {
    fn root(&mut self, root: &Path) -> Result<()> {
        const WHAT: &str = "could not import";
        match std::fs::metadata(root) {
            Err(e) => {
                let error = Error::io(WHAT, root, &e);
                self.walked.failed.push(*error.notice);
            }
            Ok(meta) if meta.is_dir() => {
                if let Some(real) = self.real(root)
                    && self.seen.insert(real)
                {
                    self.tree(Folder {
                        path: root.to_owned(),
                        relative: PathBuf::new(),
                    })?;
                }
            }
            Ok(meta) if meta.is_file() => {
                let name = root.file_name().map(PathBuf::from).unwrap_or_default();
                // A single file may be part of a folder that is imported too: settled at the end.
                self.linked_files.push(found(root.to_owned(), name, &meta));
            }
            Ok(meta) => {
                let why = format!("it is {}", kind(meta.file_type()));
                let notice = Notice::new(WHAT, why, "Choose a folder or a picture file").at(root);
                self.walked.failed.push(notice);
            }
        }
        Ok(())
    }

    fn real(&mut self, path: &Path) -> Option<PathBuf> {
        match std::fs::canonicalize(path) {
            Ok(real) => Some(real),
            Err(e) => {
                self.unreadable_folder(path, &e);
                None
            }
        }
    }

    fn unreadable_folder(&mut self, path: &Path, e: &std::io::Error) {
        let error = Error::io("could not read the folder", path, e);
        self.walked.failed.push(*error.notice);
    }

    /// Walks a folder whose real path is already in `seen`.
    fn tree(&mut self, top: Folder) -> Result<()> {
        let mut stack = vec![top];
        while let Some(folder) = stack.pop() {
            self.observer.check()?;
            let entries = match std::fs::read_dir(&folder.path) {
                Ok(entries) => entries,
                Err(e) => {
                    self.unreadable_folder(&folder.path, &e);
                    continue;
                }
            };
            for entry in entries {
                match entry {
                    Ok(entry) => {
                        let name = entry.file_name();
                        let path = folder.path.join(&name);
                        let relative = folder.relative.join(&name);
                        // `symlink_metadata` opens nothing: a pipe would block.
                        match std::fs::symlink_metadata(&path) {
                            Ok(meta) => self.entry(&name, path, relative, &meta, &mut stack),
                            Err(e) => {
                                let error = Error::io("could not read the file", &path, &e);
                                self.walked.failed.push(*error.notice);
                            }
                        }
                    }
                    Err(e) => {
                        self.unreadable_folder(&folder.path, &e);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &OsStr,
        path: PathBuf,
        relative: PathBuf,
        meta: &Metadata,
        stack: &mut Vec<Folder>,
    ) {
        if !self.includes_hidden && is_hidden(name, meta) {
            self.walked
                .skipped
                .push(skipped("its name marks it as hidden", &path));
        } else if meta.is_dir() {
            if let Some(why) = system_folder(name) {
                self.walked.skipped.push(skipped(why, &path));
            } else if let Some(real) = self.real(&path)
                && self.seen.insert(real)
            {
                stack.push(Folder { path, relative });
            }
        } else if meta.is_file() {
            self.walked.files.push(found(path, relative, meta));
        } else if meta.file_type().is_symlink() {
            match std::fs::metadata(&path) {
                Ok(target) if target.is_dir() => {
                    self.linked_folders.push(Folder { path, relative });
                }
                Ok(target) if target.is_file() => {
                    self.linked_files.push(found(path, relative, &target));
                }
                Ok(target) => {
                    let why = format!("it leads to {}", kind(target.file_type()));
                    self.walked.skipped.push(skipped(why, &path));
                }
                // Dangling, or a link to itself.
                Err(e) => self.walked.skipped.push(skipped(
                    format!("it is a link that leads nowhere ({e})"),
                    &path,
                )),
            }
        } else {
            let why = format!("it is {}", kind(meta.file_type()));
            self.walked.skipped.push(skipped(why, &path));
        }
    }

    fn linked_folder(&mut self, folder: Folder, roots: &[PathBuf]) -> Result<()> {
        let Some(real) = self.real(&folder.path) else {
            return Ok(());
        };
        if self.seen.contains(&real) {
            let why = "it is a link to a folder that is imported already";
            self.walked.skipped.push(skipped(why, &folder.path));
            return Ok(());
        }
        let leads_out = roots
            .iter()
            .filter_map(|r| std::fs::canonicalize(r).ok())
            .any(|root| root.starts_with(&real));
        if leads_out {
            // Following it would import everything around the folder that was chosen.
            let why = "it is a link to a folder around the imported one";
            self.walked.skipped.push(skipped(why, &folder.path));
            return Ok(());
        }
        self.seen.insert(real);
        self.tree(folder)
    }

    fn finish(mut self) -> Result<Walked> {
        let files = &mut self.walked.files;
        if !self.linked_files.is_empty() {
            self.linked_files.sort_by(|a, b| a.path.cmp(&b.path));
            let mut real: HashSet<PathBuf> = HashSet::with_capacity(files.len());
            for file in files.iter() {
                self.observer.check()?;
                real.extend(std::fs::canonicalize(&file.path).ok());
            }
            for file in self.linked_files {
                match std::fs::canonicalize(&file.path) {
                    Ok(target) if real.insert(target.clone()) => files.push(file),
                    Ok(_) => self.walked.skipped.push(skipped(
                        "it leads to a file that is imported already",
                        &file.path,
                    )),
                    Err(e) => self
                        .walked
                        .failed
                        .push(*Error::io("could not follow the link", &file.path, &e).notice),
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        self.walked.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        self.walked.failed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.walked)
    }
}

fn found(path: PathBuf, relative: PathBuf, meta: &Metadata) -> Found {
    Found {
        label: label_of(&relative),
        path,
        relative,
        len_bytes: meta.len(),
        modified: meta.modified().ok(),
        changed_unix_ns: changed_unix_ns(meta),
    }
}

/// Folders that systems make beside people's pictures, with small copies of them, or what was thrown away.
const SYSTEM_FOLDERS: &[(&str, &str)] = &[
    ("__MACOSX", "it holds no pictures, only macOS data"),
    ("@eaDir", "a NAS keeps its previews there"),
    ("@Recycle", "it is a NAS's bin"),
    ("#recycle", "it is a NAS's bin"),
    ("#snapshot", "it holds a NAS's older copies"),
    ("@Recently-Snapshot", "it holds a NAS's older copies"),
    ("$RECYCLE.BIN", "it is the bin"),
    ("RECYCLER", "it is the bin"),
    ("System Volume Information", "it is the system's own"),
    ("lost+found", "it is the system's own"),
];

fn system_folder(name: &OsStr) -> Option<&'static str> {
    let name = name.to_str()?;
    let mut known = SYSTEM_FOLDERS.iter();
    known.find_map(|(folder, why)| name.eq_ignore_ascii_case(folder).then_some(*why))
}

#[cfg(unix)]
fn changed_unix_ns(meta: &Metadata) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    meta.ctime()
        .checked_mul(1_000_000_000)?
        .checked_add(meta.ctime_nsec())
}

#[cfg(not(unix))]
fn changed_unix_ns(_: &Metadata) -> Option<i64> {
    None
}

fn is_hidden(name: &OsStr, meta: &Metadata) -> bool {
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt;
        const FILE_ATTRIBUTE_HIDDEN: u32 = 2;
        if meta.file_attributes() & FILE_ATTRIBUTE_HIDDEN != 0 {
            return true;
        }
    }
    let _ = meta;
    name.as_encoded_bytes().starts_with(b".")
}

fn kind(file_type: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file_type.is_fifo() {
            return "a pipe, not a file";
        }
        if file_type.is_socket() {
            return "a socket, not a file";
        }
        if file_type.is_block_device() || file_type.is_char_device() {
            return "a device, not a file";
        }
    }
    let _ = file_type;
    "not a plain file"
}
