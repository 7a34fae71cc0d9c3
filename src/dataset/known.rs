//! Files that were imported before: which of them need not be decoded again.
//!
//! A file is taken for unchanged without being read when its size, its time of writing and (where the system tells) its
//! time of change are those noted, and none of these times is so near to the reading that a later change could have left
//! them as they were. In any doubt its content is read and compared by hash, which is still far cheaper than decoding.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::fingerprint::Fingerprint;
use super::flags::Flag;
use super::walk::Found;
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;

/// Version of what an import measures. Raise it when decoding, flags, fingerprints or thumbnails change: pictures of an older
/// version are decoded again.
pub const ANALYSIS_VERSION: u32 = 1;

/// The coarsest clock of a file system, ms: FAT counts in steps of two seconds.
const COARSEST_CLOCK_MS: i64 = 2_000;

/// Compared files whose answers may wait.
const WAITING_ANSWERS: usize = 64;

/// What an earlier import found at a path.
#[derive(Debug, Clone)]
pub struct KnownFile {
    /// The caller's own number for it, handed back.
    pub id: i64,
    pub file_bytes: u64,
    /// When the content was written last; `None` where that was not known.
    pub modified_unix_ms: Option<i64>,
    /// When content, name or rights changed last; `None` where that was not known.
    pub changed_unix_ns: Option<i64>,
    /// When the import that read the file began.
    pub read_unix_ms: i64,
    /// BLAKE3 of the file's bytes.
    pub content_hash: [u8; 32],
    pub fingerprint: Fingerprint,
    pub flags: Vec<KnownFlag>,
}

/// A flag as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFlag {
    /// As [`Flag::name`].
    pub name: String,
    /// In plain words.
    pub reason: String,
}

impl From<&Flag> for KnownFlag {
    fn from(flag: &Flag) -> Self {
        Self {
            name: flag.name().to_owned(),
            reason: flag.notice().to_string(),
        }
    }
}

impl KnownFlag {
    /// Whether it says that another picture shows the same.
    pub(super) fn is_of_copy(&self) -> bool {
        matches!(self.name.as_str(), "duplicate" | "near_duplicate")
    }
}

impl KnownFile {
    pub(super) fn is_copy(&self) -> bool {
        self.flags.iter().any(KnownFlag::is_of_copy)
    }

    /// What other pictures are compared with; flat pictures have no layout.
    pub(super) fn print(&self) -> Option<Fingerprint> {
        let is_flat = self.flags.iter().any(|flag| flag.name == "flat");
        (!is_flat).then_some(self.fingerprint)
    }
}

/// What earlier imports found below the scanned folders, by path.
#[derive(Debug, Default)]
pub struct KnownFiles {
    files: HashMap<PathBuf, KnownFile>,
    /// Sizes and times of writing that several files share.
    shared: HashSet<(u64, Option<i64>)>,
    seen: HashSet<(u64, Option<i64>)>,
}

/// What size and times say of a found file.
#[derive(Debug, Clone, Copy)]
enum Verdict<'a> {
    /// Nothing is known, or the content is certainly another.
    New,
    /// Only the content can tell.
    Doubtful(&'a KnownFile),
    Same(&'a KnownFile),
}

impl KnownFiles {
    pub fn insert(&mut self, path: PathBuf, file: KnownFile) {
        let size_and_time = (file.file_bytes, file.modified_unix_ms);
        if !self.seen.insert(size_and_time) {
            self.shared.insert(size_and_time);
        }
        self.files.insert(path, file);
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn judge(&self, found: &Found) -> Verdict<'_> {
        let Some(known) = self.files.get(&found.path) else {
            return Verdict::New;
        };
        if known.file_bytes != found.len_bytes {
            return Verdict::New;
        }
        let (Some(modified), true) = (
            found.modified_unix_ms(),
            known.modified_unix_ms == found.modified_unix_ms(),
        ) else {
            return Verdict::Doubtful(known);
        };
        if known.changed_unix_ns != found.changed_unix_ns {
            return Verdict::Doubtful(known);
        }
        let newest = match found.changed_unix_ns {
            Some(changed) => modified.max(changed / 1_000_000),
            // Without a time of change files that were swapped for each other look untouched, such as pictures
            // without compression that came out of one archive.
            None if self.shared.contains(&(known.file_bytes, Some(modified))) => {
                return Verdict::Doubtful(known);
            }
            None => modified,
        };
        if newest.saturating_add(COARSEST_CLOCK_MS) > known.read_unix_ms {
            return Verdict::Doubtful(known);
        }
        Verdict::Same(known)
    }
}

/// A file with the known content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Same<'a> {
    pub known: &'a KnownFile,
    /// Whether the content was compared.
    pub was_read: bool,
}

/// Which of `files` have the content that is known, `None` for the others: in doubt their content is compared, on so many
/// threads. `settled` is called for each one that was compared and found the same.
///
/// # Errors
/// `Cancelled`. A file that cannot be read is not the same.
pub(super) fn unchanged<'a>(
    files: &[Found],
    known: &'a KnownFiles,
    threads: usize,
    observer: &dyn Observer,
    settled: &mut dyn FnMut(),
) -> Result<Vec<Option<Same<'a>>>> {
    let verdicts: Vec<Verdict<'a>> = files.iter().map(|found| known.judge(found)).collect();
    let mut same: Vec<Option<Same<'a>>> = (verdicts.iter())
        .map(|verdict| match verdict {
            Verdict::Same(known) => Some(Same {
                known,
                was_read: false,
            }),
            _ => None,
        })
        .collect();
    let doubtful: Vec<(usize, &'a KnownFile)> = (verdicts.iter().enumerate())
        .filter_map(|(index, verdict)| match verdict {
            Verdict::Doubtful(known) => Some((index, *known)),
            _ => None,
        })
        .collect();
    let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, compared) = bounded(WAITING_ANSWERS);
    std::thread::scope(|scope| {
        // Dropped on every way out, so that no thread waits to be heard.
        let compared = compared;
        for i in 0..threads.min(doubtful.len()) {
            let sender = sender.clone();
            let (doubtful, next, is_stopped) = (&doubtful, &next, &is_stopped);
            let work = move || {
                while let Some(&(index, known)) = doubtful.get(next.fetch_add(1, Ordering::Relaxed))
                    && !is_stopped.load(Ordering::Relaxed)
                {
                    let is_same =
                        hash_of(&files[index].path).is_ok_and(|hash| hash == known.content_hash);
                    // Nobody listens any more where the scan was stopped.
                    let _ = sender.send((index, is_same.then_some(known)));
                }
            };
            std::thread::Builder::new()
                .name(format!("compare-{i}"))
                .spawn_scoped(scope, work)
                .map_err(|source| {
                    let (why, next) = (source.to_string(), "Close other programs and try again");
                    Error::new(Kind::Io, "could not start the import", why, next)
                })?;
        }
        drop(sender);
        loop {
            observer
                .check()
                .inspect_err(|_| is_stopped.store(true, Ordering::Relaxed))?;
            match compared.recv_timeout(Duration::from_millis(100)) {
                Ok((index, Some(known))) => {
                    same[index] = Some(Same {
                        known,
                        was_read: true,
                    });
                    settled();
                }
                Ok((_, None)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok::<(), Error>(()),
            }
        }
    })?;
    Ok(same)
}

/// BLAKE3 of a plain file, whatever its length.
fn hash_of(path: &Path) -> std::io::Result<[u8; 32]> {
    // Opening a pipe would wait for a writer for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::pixels::Premultiplied;
    use super::*;

    const WRITTEN_MS: i64 = 1_700_000_000_000;

    fn found(changed_unix_ns: Option<i64>) -> Found {
        Found {
            path: "a/1.bmp".into(),
            relative: "1.bmp".into(),
            label: None,
            len_bytes: 700,
            modified: Some(UNIX_EPOCH + Duration::from_millis(WRITTEN_MS as u64)),
            changed_unix_ns,
        }
    }

    fn known(changed_unix_ns: Option<i64>) -> KnownFile {
        let picture = Premultiplied {
            width: 1,
            height: 1,
            rgba: vec![0; 4],
        };
        KnownFile {
            id: 1,
            file_bytes: 700,
            modified_unix_ms: Some(WRITTEN_MS),
            changed_unix_ns,
            read_unix_ms: WRITTEN_MS + 10_000,
            content_hash: [0; 32],
            fingerprint: Fingerprint::of(&picture),
            flags: Vec::new(),
        }
    }

    fn verdict(file: KnownFile, found: &Found, neighbour: Option<KnownFile>) -> &'static str {
        let mut files = KnownFiles::default();
        files.insert(found.path.clone(), file);
        if let Some(neighbour) = neighbour {
            files.insert("a/2.bmp".into(), neighbour);
        }
        match files.judge(found) {
            Verdict::New => "new",
            Verdict::Doubtful(_) => "doubtful",
            Verdict::Same(_) => "same",
        }
    }

    #[test]
    fn only_a_file_that_cannot_have_changed_is_not_read() {
        let changed = Some(WRITTEN_MS * 1_000_000 + 5);
        let as_found = || known(changed);
        assert_eq!(verdict(as_found(), &found(changed), None), "same");
        let other_size = KnownFile {
            file_bytes: 701,
            ..as_found()
        };
        assert_eq!(verdict(other_size, &found(changed), None), "new");
        let other_time = KnownFile {
            modified_unix_ms: Some(WRITTEN_MS - 1),
            ..as_found()
        };
        assert_eq!(verdict(other_time, &found(changed), None), "doubtful");
        let renamed = changed.map(|ns| ns + 1);
        assert_eq!(verdict(as_found(), &found(renamed), None), "doubtful");
        // Noted by a version that did not ask for the time of change.
        assert_eq!(verdict(known(None), &found(changed), None), "doubtful");
        // Written while it may have been read.
        let just_read = KnownFile {
            read_unix_ms: WRITTEN_MS + 1_000,
            ..as_found()
        };
        assert_eq!(verdict(just_read, &found(changed), None), "doubtful");
        let late = Some((WRITTEN_MS + 9_000) * 1_000_000);
        assert_eq!(verdict(known(late), &found(late), None), "doubtful");
    }

    #[test]
    fn without_a_time_of_change_files_that_could_be_swapped_are_read() {
        assert_eq!(verdict(known(None), &found(None), None), "same");
        let twin = Some(known(None));
        assert_eq!(verdict(known(None), &found(None), twin), "doubtful");
        let changed = Some(WRITTEN_MS * 1_000_000);
        let twin = Some(known(changed));
        assert_eq!(verdict(known(changed), &found(changed), twin), "same");
    }
}
