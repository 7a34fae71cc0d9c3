//! Folders to pictures: parallel, in path order, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::analysis::Analysis;
use super::copies::{Copies, Known};
use super::decode::{
    self, Content, Limits, decode_bytes, not_a_picture, other_picture, probe_bytes, sniff,
};
use super::fingerprint::Fingerprint;
use super::flags::{self, Flag, FlagOptions};
use super::gate::Gate;
use super::known::{KnownFile, KnownFiles, KnownFlag, Same, unchanged};
use super::walk::{Found, walk};
use crate::error::{Error, Kind, Notice, Result};
use crate::foundation::formats::{Format, SNIFF_LEN};
use crate::foundation::panics::panic_message;
use crate::progress::Observer;

/// A picture that can be trained on.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file, as found: any bytes the file system allows.
    pub path: PathBuf,
    /// Path below the imported folder.
    pub relative: PathBuf,
    /// First folder below the imported one; `None` at the top.
    pub label: Option<String>,
    /// BLAKE3 of the file's bytes.
    pub content_hash: [u8; 32],
    pub file_bytes: u64,
    /// Milliseconds since 1970; `None` where the file system does not know.
    pub modified_unix_ms: Option<i64>,
    /// When content, name or rights of the file changed last, nanoseconds since 1970, where the system tells.
    pub changed_unix_ns: Option<i64>,
    /// Upright, px.
    pub width: u32,
    pub height: u32,
    pub format: &'static Format,
    /// 8 or 16.
    pub bits_per_channel: u8,
    /// Whether any pixel is not opaque.
    pub has_alpha: bool,
    pub flags: Vec<Flag>,
    pub fingerprint: Fingerprint,
    /// PNG or JPEG, longer side at most 128 px; PNG where there is alpha.
    pub thumbnail: Vec<u8>,
    /// What could not be honoured, such as an unreadable colour profile.
    pub warnings: Vec<Notice>,
}

/// A picture that an earlier scan decoded and whose file has the same content still.
#[derive(Debug, Clone)]
pub struct Unchanged {
    /// As [`KnownFile::id`].
    pub id: i64,
    pub path: PathBuf,
    /// First folder below the imported one; `None` at the top.
    pub label: Option<String>,
    /// Milliseconds since 1970; `None` where the file system does not know.
    pub modified_unix_ms: Option<i64>,
    /// When content, name or rights of the file changed last, nanoseconds since 1970, where the system tells.
    pub changed_unix_ns: Option<i64>,
    /// Whether the content was compared, because size and times left a doubt.
    pub was_read: bool,
    /// All its flags, where they are no longer those noted: what it was a copy of is gone or has another name.
    pub flags: Option<Vec<KnownFlag>>,
}

impl Unchanged {
    fn new(found: &Found, same: &Same<'_>, flags: Option<Vec<KnownFlag>>) -> Self {
        Self {
            id: same.known.id,
            path: found.path.clone(),
            label: found.label.clone(),
            modified_unix_ms: found.modified_unix_ms(),
            changed_unix_ns: found.changed_unix_ns,
            was_read: same.was_read,
            flags,
        }
    }
}

/// What a scan hands over.
#[derive(Debug, Clone)]
pub enum Scanned {
    /// New, or with new content.
    Picture(Box<Picture>),
    Unchanged(Unchanged),
}

#[derive(Debug, Clone)]
pub struct ImportOptions {
    pub limits: Limits,
    pub flags: FlagOptions,
    /// Also files and folders whose names begin with a dot.
    pub includes_hidden: bool,
    /// Files decoded at once; 0 is one per core, at most 8.
    pub threads: usize,
    /// What all decoders together may hold, bytes. One picture that needs more is decoded alone.
    pub memory_budget_bytes: u64,
    /// Pictures outside the scanned folders that found ones may be copies of.
    pub known: Vec<Known>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            flags: FlagOptions::default(),
            includes_hidden: false,
            threads: 0,
            memory_budget_bytes: 512 << 20,
            known: Vec::new(),
        }
    }
}

/// What came of every file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Pictures handed over.
    pub imported: u64,
    /// Pictures with at least one flag.
    pub flagged: u64,
    /// How often each flag was given, by its name.
    pub flag_counts: BTreeMap<String, u64>,
    /// Files somebody may have expected among the pictures, each with its reason.
    pub rejected: Vec<Notice>,
    /// Files nobody would expect there (texts, hidden files, links to what is imported anyway), each with its reason:
    /// the first [`ImportReport::MAX_SKIPPED`] of them.
    pub skipped: Vec<Notice>,
    pub skipped_total: u64,
}

impl ImportReport {
    pub const MAX_SKIPPED: usize = 1000;

    fn count<'a>(&mut self, flags: impl Iterator<Item = &'a str>) {
        self.imported += 1;
        let mut flags = flags.peekable();
        self.flagged += u64::from(flags.peek().is_some());
        for flag in flags {
            *self.flag_counts.entry(flag.to_owned()).or_default() += 1;
        }
    }

    fn skip(&mut self, notice: Notice) {
        self.skipped_total += 1;
        if self.skipped.len() < Self::MAX_SKIPPED {
            self.skipped.push(notice);
        }
    }
}

/// Finished pictures that may wait for an earlier one.
const WINDOW: usize = 256;

/// Imports folders and files. Pictures are handed to `sink` one by one in path order as they are done. Each rejected
/// file is also sent to `observer` as a warning. Progress counts files.
///
/// # Errors
/// `Cancelled` when stopped (what `sink` got stays valid), and whatever `sink` returns. A bad file is no error.
pub fn scan(
    roots: &[PathBuf],
    options: &ImportOptions,
    observer: &dyn Observer,
    sink: &mut dyn FnMut(Picture) -> Result<()>,
) -> Result<ImportReport> {
    let nothing = KnownFiles::default();
    scan_again(
        roots,
        options,
        &nothing,
        observer,
        &mut |found| match found {
            Scanned::Picture(picture) => sink(*picture),
            Scanned::Unchanged(_) => Ok(()),
        },
    )
}

/// As [`scan`], but decodes only files that are not known or have other content now ([`KnownFiles`]).
///
/// An unchanged picture is never flagged as a copy of one that came later; where it was flagged as a copy before, that is
/// told anew as soon as anything below the scanned folders has changed.
///
/// # Errors
/// As [`scan`].
pub fn scan_again(
    roots: &[PathBuf],
    options: &ImportOptions,
    known: &KnownFiles,
    observer: &dyn Observer,
    sink: &mut dyn FnMut(Scanned) -> Result<()>,
) -> Result<ImportReport> {
    observer.check()?;
    let walked = walk(roots, options.includes_hidden, observer)?;
    let mut report = ImportReport::default();
    for notice in walked.skipped {
        report.skip(notice);
    }
    for notice in walked.failed {
        observer.warning(notice.clone());
        report.rejected.push(notice);
    }
    let files = walked.files;
    let total = files.len() as u64;
    observer.progress(0, total);
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
        n => n,
    };
    let mut done = 0;
    let same = unchanged(&files, known, threads, observer, &mut || {
        done += 1;
        observer.progress(done, total);
    })?;
    let to_read: Vec<&Found> = (files.iter().zip(&same))
        .filter_map(|(found, same)| same.is_none().then_some(found))
        .collect();
    let mut copies = Renewed::default();
    if files.len() - to_read.len() < known.len() || !to_read.is_empty() {
        copies = Renewed::of(&files, &same, &options.known);
    }
    let queue = Queue::new(&to_read);
    let gate = Gate::new(options.memory_budget_bytes);
    std::thread::scope(|scope| {
        // Dropped on every way out, so that the workers end before the scope waits for them.
        let _closing = CloseOnDrop(&queue);
        for i in 0..threads.min(to_read.len()) {
            let worker = || {
                while let Some((index, found)) = queue.take() {
                    // A worker that died without an answer would be waited for for ever.
                    let outcome = catch_unwind(AssertUnwindSafe(|| look_at(found, options, &gate)))
                        .unwrap_or_else(|p| Looked::Rejected(defect(found, p.as_ref())));
                    queue.give(index, outcome);
                }
            };
            std::thread::Builder::new()
                .name(format!("import-{i}"))
                .spawn_scoped(scope, worker)
                .map_err(|e| {
                    Error::new(
                        Kind::Io,
                        "could not start the import",
                        e.to_string(),
                        "Close other programs and try again",
                    )
                })?;
        }
        for (index, (found, same)) in files.iter().zip(&same).enumerate() {
            observer.check()?;
            if let Some(same) = same {
                let flags = copies.flags.remove(&index);
                let names = flags.as_ref().unwrap_or(&same.known.flags).iter();
                report.count(names.map(|flag| flag.name.as_str()));
                sink(Scanned::Unchanged(Unchanged::new(found, same, flags)))?;
                if !same.was_read {
                    done += 1;
                    observer.progress(done, total);
                }
                continue;
            }
            let outcome = loop {
                observer.check()?;
                if let Some(outcome) = queue.next(Duration::from_millis(100)) {
                    break outcome;
                }
            };
            match outcome {
                Looked::Picture(mut picture) => {
                    copies.flag(&mut picture);
                    for warning in &picture.warnings {
                        observer.warning(warning.clone());
                    }
                    report.count(picture.flags.iter().map(Flag::name));
                    sink(Scanned::Picture(picture))?;
                }
                Looked::Skipped(notice) => report.skip(notice),
                Looked::Rejected(notice) => {
                    observer.warning(notice.clone());
                    report.rejected.push(notice);
                }
            }
            done += 1;
            observer.progress(done, total);
        }
        Ok(report)
    })
}

/// Copies where something has changed: among the unchanged files too.
#[derive(Default)]
struct Renewed {
    /// `None` where nothing has changed.
    copies: Option<Copies>,
    /// Flags of unchanged files that are others now, by the file's place.
    flags: HashMap<usize, Vec<KnownFlag>>,
}

impl Renewed {
    fn of(files: &[Found], same: &[Option<Same<'_>>], elsewhere: &[Known]) -> Self {
        let unchanged = |is_copy: bool| {
            (files.iter().zip(same).enumerate())
                .filter_map(|(index, (found, same))| Some((index, found, same.as_ref()?.known)))
                .filter(move |(.., known)| known.is_copy() == is_copy)
        };
        let mut copies = Copies::new(elsewhere);
        for (_, found, known) in unchanged(false) {
            copies.insert(name_of(&found.relative), known.content_hash, known.print());
        }
        let mut flags = HashMap::new();
        for (index, found, known) in unchanged(true) {
            let name = || name_of(&found.relative);
            let flag = copies.flag(name, known.content_hash, known.print());
            if let Some(renewed) = renewed_flags(known, flag.as_ref()) {
                flags.insert(index, renewed);
            }
        }
        Self {
            copies: Some(copies),
            flags,
        }
    }

    fn flag(&mut self, picture: &mut Picture) {
        let Some(copies) = &mut self.copies else {
            return;
        };
        let is_flat = picture.flags.iter().any(|f| matches!(f, Flag::Flat { .. }));
        let print = (!is_flat).then_some(picture.fingerprint);
        let name = || name_of(&picture.relative);
        let flag = copies.flag(name, picture.content_hash, print);
        picture.flags.extend(flag);
    }
}

/// The flags of an unchanged file that is a copy as `flag` says, where they are not those noted.
fn renewed_flags(known: &KnownFile, flag: Option<&Flag>) -> Option<Vec<KnownFlag>> {
    let own = known
        .flags
        .iter()
        .filter(|flag| !flag.is_of_copy())
        .cloned();
    let mut flags: Vec<_> = own.chain(flag.map(KnownFlag::from)).collect();
    flags.sort_by(|a, b| a.name.cmp(&b.name));
    let mut before = known.flags.clone();
    before.sort_by(|a, b| a.name.cmp(&b.name));
    (flags != before).then_some(flags)
}

fn name_of(relative: &Path) -> String {
    relative.to_string_lossy().into_owned()
}

/// The picture files of a folder, in path order, told by their first bytes.
///
/// # Errors
/// Only `Cancelled`: what cannot be read is left out.
pub fn find_pictures(folder: &Path, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let walked = walk(&[folder.to_path_buf()], false, observer)?;
    let is_picture = |path: &PathBuf| {
        read_start(path).is_ok_and(|start| matches!(sniff(&start), Content::Picture(_)))
    };
    Ok(walked
        .files
        .into_iter()
        .map(|found| found.path)
        .filter(is_picture)
        .collect())
}

enum Looked {
    Picture(Box<Picture>),
    Skipped(Notice),
    Rejected(Notice),
}

/// Hands out files in order and returns outcomes in the same order. Workers wait when they are a window ahead.
struct Queue<'a> {
    files: &'a [&'a Found],
    state: Mutex<QueueState>,
    changed: Condvar,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct QueueState {
    next_file: usize,
    next_outcome: usize,
    waiting: BTreeMap<usize, Looked>,
}

impl<'a> Queue<'a> {
    fn new(files: &'a [&'a Found]) -> Self {
        Self {
            files,
            state: Mutex::default(),
            changed: Condvar::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    fn take(&self) -> Option<(usize, &'a Found)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .changed
            .wait_while(state, |s| {
                s.next_file >= s.next_outcome + WINDOW && !self.is_closed.load(Ordering::Relaxed)
            })
            .unwrap_or_else(PoisonError::into_inner);
        if self.is_closed.load(Ordering::Relaxed) {
            return None;
        }
        let index = state.next_file;
        let found = self.files.get(index)?;
        state.next_file += 1;
        Some((index, found))
    }

    fn give(&self, index: usize, outcome: Looked) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(index, outcome);
        drop(state);
        self.changed.notify_all();
    }

    /// The next outcome in order, or `None` after waiting `at_most`.
    fn next(&self, at_most: Duration) -> Option<Looked> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, at_most, |s| !s.waiting.contains_key(&s.next_outcome))
            .unwrap_or_else(PoisonError::into_inner);
        let index = state.next_outcome;
        let outcome = state.waiting.remove(&index)?;
        state.next_outcome += 1;
        drop(state);
        self.changed.notify_all();
        Some(outcome)
    }
}

struct CloseOnDrop<'a, 'b>(&'a Queue<'b>);

impl Drop for CloseOnDrop<'_, '_> {
    fn drop(&mut self) {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.is_closed.store(true, Ordering::Relaxed);
        drop(state);
        self.0.changed.notify_all();
    }
}

fn defect(found: &Found, payload: &(dyn std::any::Any + Send)) -> Notice {
    Notice::new(
        "could not import the picture",
        format!("Tessera failed on it ({})", panic_message(payload)),
        "Please report it with the picture",
    )
    .at(&found.path)
}

/// Extensions under which people expect a picture; anything else that is no picture is skipped quietly.
fn looks_like_a_picture(path: &Path) -> bool {
    const EXTENSIONS: [&str; 24] = [
        "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff",
        "avif", "heic", "heif", "jxl", "jp2", "psd", "kra", "xcf", "exr", "tga", "qoi", "dng",
    ];
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

fn look_at(found: &Found, options: &ImportOptions, gate: &Gate) -> Looked {
    match read_start(&found.path) {
        Err(error) => return Looked::Rejected(*error.notice),
        Ok(start) => {
            let error = match sniff(&start) {
                Content::Picture(_) => None,
                Content::OtherPicture(format) if format == Format::SVG => {
                    let why = "SVG files are drawings without pixels";
                    return Looked::Skipped(Notice::new("skipped", why, "").at(&found.path));
                }
                Content::OtherPicture(format) => Some(other_picture(format)),
                Content::Other(what) => Some(not_a_picture(what)),
                Content::Unknown => Some(not_a_picture("of no known kind")),
            };
            if let Some(error) = error {
                let is_expected = looks_like_a_picture(&found.path)
                    || matches!(sniff(&start), Content::OtherPicture(_));
                let notice = error.notice.at(&found.path);
                return if is_expected {
                    Looked::Rejected(notice)
                } else {
                    Looked::Skipped(Notice {
                        what: "skipped".to_owned(),
                        ..notice
                    })
                };
            }
        }
    }
    match read_picture(found, options, gate) {
        Ok(picture) => Looked::Picture(Box::new(picture)),
        Err(error) => Looked::Rejected(error.notice.at(&found.path)),
    }
}

fn read_start(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::with_capacity(SNIFF_LEN);
    File::open(path)
        .and_then(|file| file.take(SNIFF_LEN as u64).read_to_end(&mut start))
        .map_err(|e| Error::io("could not read the file", path, &e))?;
    Ok(start)
}

fn read_picture(found: &Found, options: &ImportOptions, gate: &Gate) -> Result<Picture> {
    let limits = &options.limits;
    let mut pass = gate.enter(found.len_bytes.min(limits.max_file_bytes));
    let mut bytes = decode::read_file(&found.path, limits)?;
    let header = probe_bytes(&bytes, limits)?;
    if !pass.try_grow(header.decode_bytes) {
        // Others are decoding: let go of the file while waiting for room.
        let need = header.decode_bytes + bytes.len() as u64;
        drop(bytes);
        drop(pass);
        pass = gate.enter(need);
        bytes = decode::read_file(&found.path, limits)?;
    }
    let content_hash = *blake3::hash(&bytes).as_bytes();
    let decoded = decode_bytes(&bytes, limits)?;
    let file_bytes = bytes.len() as u64;
    drop(bytes);
    let analysis = Analysis::of(&decoded);
    let (width, height) = (decoded.width, decoded.height);
    let (format, bits_per_channel, has_alpha) =
        (decoded.format, decoded.bits_per_channel, decoded.has_alpha);
    let warnings = decoded
        .warnings
        .iter()
        .map(|w| w.clone().at(&found.path))
        .collect();
    drop(decoded);
    drop(pass);
    Ok(Picture {
        path: found.path.clone(),
        relative: found.relative.clone(),
        label: found.label.clone(),
        content_hash,
        file_bytes,
        modified_unix_ms: found.modified_unix_ms(),
        changed_unix_ns: found.changed_unix_ns,
        width,
        height,
        format,
        bits_per_channel,
        has_alpha,
        flags: flags::of_picture(width, height, &analysis, &options.flags),
        fingerprint: Fingerprint::of(analysis.miniature()),
        thumbnail: analysis.thumbnail()?,
        warnings,
    })
}
