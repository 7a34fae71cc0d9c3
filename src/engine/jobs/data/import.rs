//! Folders and files → the project's dataset index.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::{
    ANALYSIS_VERSION, Fingerprint, Flag, ImportOptions, ImportReport, Known, KnownFile, KnownFiles,
    KnownFlag, Picture, Scanned, Unchanged, label_of, scan_again,
};
use crate::engine::device::choice::DeviceChoice;
use crate::engine::jobs::document::edit::open_in;
use crate::engine::jobs::train::fine_tune::usable_pictures;
use crate::engine::lanes::job::{Job, Report, WhenLeft, pictures};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, ModelSource};
use crate::engine::pictures::documents::{self, Opened};
use crate::error::{Error, Notice, Result};
use crate::progress::Observer;
use crate::project::{
    ContentHash, Import, ImportSummary, KnownPicture, NewPicture, PictureFlag, PictureId,
    SeenChange, SeenPicture,
};

/// Pictures written in one transaction.
const BATCH: usize = 256;
/// Unchanged pictures told to the project at a time.
const SEEN_BATCH: usize = 4096;
/// Rows of the index read at a time.
const PAGE: u64 = 1000;

/// Adds the pictures below `paths` to the project; what is known already keeps the user's choices.
pub struct ImportJob {
    pub project: Storage,
    pub paths: Vec<PathBuf>,
    pub options: ImportOptions,
    /// For pictures that bring a document along.
    pub device: DeviceChoice,
}

/// What an import found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Imported {
    /// Pictures found.
    pub imported: u64,
    /// Pictures that the project did not know.
    pub added: u64,
    pub changed: u64,
    pub unchanged: u64,
    pub moved: u64,
    pub missing: u64,
    /// How many pictures got each flag.
    pub flags: BTreeMap<String, u64>,
    /// Pictures with at least one flag.
    #[serde(skip)]
    pub flagged: u64,
    /// Files that somebody may have expected among the pictures, each with its reason.
    pub rejected: Vec<Notice>,
    /// Other files: texts and the like.
    pub skipped: u64,
    /// Exported pictures that became documents again.
    pub restored_documents: u64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Imported {} ({} new, {} unchanged",
            pictures(self.imported),
            self.added,
            self.unchanged
        )?;
        if self.missing > 0 {
            write!(f, ", {} missing", self.missing)?;
        }
        write!(
            f,
            "); {} flagged, {} rejected, {} other files skipped.",
            self.flagged,
            self.rejected.len(),
            self.skipped
        )?;
        if self.restored_documents > 0 {
            write!(
                f,
                " {} brought back as editable documents.",
                self.restored_documents
            )?;
        }
        Ok(())
    }
}

impl Report for Imported {}

impl Job for ImportJob {
    type Output = Imported;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Importing pictures"
    }

    fn run(self, context: &JobContext) -> Result<Imported> {
        for path in &self.paths {
            std::fs::metadata(path)
                .map_err(|source| Error::io("could not import", path, &source))?;
        }
        let mut total = ImportReport::default();
        let mut summary = ImportSummary::default();
        let mut restored = 0;
        for root in &self.paths {
            let root = std::path::absolute(root)
                .map_err(|source| Error::io("could not find the folder", root, &source))?;
            let (report, stored) = import_root(&self.project, &root, &self.options, context)?;
            add_report(&mut total, report);
            add_summary(&mut summary, stored);
            restored += u64::from(self.restore_document(&root, context)?);
        }
        // Which pictures are alike is looked for now, and kept: with very many of them, whoever asks first would wait for seconds.
        if summary.added + summary.changed > 0
            && let Err(error) = usable_pictures(&self.project)
        {
            log::info!("{error}");
        }
        Ok(Imported {
            imported: total.imported,
            added: summary.added,
            changed: summary.changed,
            unchanged: summary.unchanged,
            moved: summary.moved,
            missing: summary.missing,
            flags: total.flag_counts,
            flagged: total.flagged,
            rejected: total.rejected,
            skipped: total.skipped_total,
            restored_documents: restored,
        })
    }
}

impl ImportJob {
    /// A single file that Tessera exported also becomes a document again.
    fn restore_document(&self, path: &Path, context: &JobContext) -> Result<bool> {
        if !path.is_file() {
            return Ok(false);
        }
        // A file that cannot be read was reported as rejected already.
        let Ok(opened @ Opened::Restored(_)) = documents::read_picture(path) else {
            return Ok(false);
        };
        let model = ModelSource::Project(self.project.clone(), CheckpointChoice::Best);
        match open_in(&self.project, &model, path, opened, self.device, context) {
            Ok(_) => Ok(true),
            Err(error) if error.is_cancelled() => Err(error),
            Err(error) => {
                context.warning(*error.notice);
                Ok(false)
            }
        }
    }
}

fn import_root(
    project: &Storage,
    root: &Path,
    options: &ImportOptions,
    context: &JobContext,
) -> Result<(ImportReport, ImportSummary)> {
    let index = Index::read(project, root, context)?;
    let mut options = options.clone();
    options.known = index.elsewhere;
    let mut import = Some({
        let root = root.to_path_buf();
        project.call(move |project| project.begin_import(&root))?
    });
    let mut waiting = Vec::with_capacity(BATCH);
    let mut seen = Vec::new();
    let roots = [root.to_path_buf()];
    let scanned = scan_again(&roots, &options, &index.below, context, &mut |found| {
        match found {
            Scanned::Picture(picture) => waiting.push(new_picture(*picture)),
            Scanned::Unchanged(picture) => {
                let is_as_stored = !index.outdated.contains(&picture.id);
                seen.push(seen_picture(picture, is_as_stored));
            }
        }
        if waiting.len() == BATCH {
            store(project, &mut import, std::mem::take(&mut waiting))?;
        }
        if seen.len() == SEEN_BATCH {
            note_seen(project, &mut import, std::mem::take(&mut seen))?;
        }
        Ok(())
    });
    // What was found before a stop is kept.
    store(project, &mut import, waiting)?;
    note_seen(project, &mut import, seen)?;
    let report = match scanned {
        Ok(report) => report,
        Err(mut error) => {
            let kept = finish(project, import, Vec::new(), false)?;
            if error.is_cancelled() {
                let found = kept.added + kept.changed + kept.unchanged;
                error.notice.next = format!("{} found so far are in the project", pictures(found));
            }
            return Err(error);
        }
    };
    let notices = (report.rejected.iter().chain(&report.skipped))
        .cloned()
        .collect();
    let summary = finish(project, import, notices, true)?;
    Ok((report, summary))
}

/// Writes a batch on the storage thread, which borrows `import` by taking it along and handing it back.
fn store(project: &Storage, import: &mut Option<Import>, batch: Vec<NewPicture>) -> Result<()> {
    if let Some(mut taken) = import.take() {
        *import = Some(project.call(move |project| {
            project.add_pictures(&mut taken, &batch)?;
            Ok(taken)
        })?);
    }
    Ok(())
}

fn note_seen(project: &Storage, import: &mut Option<Import>, seen: Vec<SeenPicture>) -> Result<()> {
    if let Some(mut taken) = import.take() {
        *import = Some(project.call(move |project| {
            project.mark_seen(&mut taken, &seen)?;
            Ok(taken)
        })?);
    }
    Ok(())
}

fn finish(
    project: &Storage,
    import: Option<Import>,
    notices: Vec<Notice>,
    is_complete: bool,
) -> Result<ImportSummary> {
    project.call(move |project| match import {
        Some(mut import) => {
            project.add_import_notices(&mut import, &notices)?;
            project.finish_import(import, is_complete)
        }
        // A batch could not be written, and its error ended the import before.
        None => Ok(ImportSummary::default()),
    })
}

/// What the project knows before an import.
#[derive(Default)]
struct Index {
    below: KnownFiles,
    /// Pictures of the folder whose entry says more than their content, and not what it would say now.
    outdated: HashSet<PictureId>,
    /// Pictures outside the folder, so that copies of them are flagged.
    elsewhere: Vec<Known>,
}

impl Index {
    fn read(project: &Storage, root: &Path, observer: &dyn Observer) -> Result<Self> {
        let mut index = Self::default();
        let mut after = PictureId::MIN;
        loop {
            observer.check()?;
            let known = project.call(move |project| project.known_pictures(after, PAGE))?;
            let Some(last) = known.last() else {
                return Ok(index);
            };
            after = last.row.id;
            for picture in known {
                index.add(picture, root);
            }
        }
    }

    fn add(&mut self, known: KnownPicture, root: &Path) {
        let KnownPicture { row, .. } = known;
        let Some(fingerprint) = row.phash.as_deref().and_then(Fingerprint::from_bytes) else {
            return;
        };
        let has_flag = |name: &str| row.flags.iter().any(|flag| flag.name == name);
        let Ok(relative) = row.path.strip_prefix(root) else {
            // What it is a copy of is in the list already.
            if !has_flag("duplicate") {
                self.elsewhere.push(Known {
                    name: row.path.display().to_string(),
                    content_hash: row.blake3.0,
                    fingerprint,
                    is_flat: has_flag("flat"),
                });
            }
            return;
        };
        if known.analysis != ANALYSIS_VERSION || !known.has_thumbnail {
            return;
        }
        let is_alone = relative.as_os_str().is_empty();
        let is_placed_so = is_alone
            || (row.relative == relative.to_string_lossy() && row.label == label_of(relative));
        if row.missing || !is_placed_so {
            self.outdated.insert(row.id);
        }
        let flags = row.flags.into_iter().map(|flag| KnownFlag {
            name: flag.name,
            reason: flag.reason,
        });
        let file = KnownFile {
            id: row.id,
            file_bytes: row.file_bytes,
            modified_unix_ms: (row.modified_ms != 0).then_some(row.modified_ms),
            changed_unix_ns: known.changed_ns,
            read_unix_ms: known.read_ms,
            content_hash: row.blake3.0,
            fingerprint,
            flags: flags.collect(),
        };
        self.below.insert(row.path, file);
    }
}

fn seen_picture(picture: Unchanged, is_as_stored: bool) -> SeenPicture {
    let is_unchanged = is_as_stored && !picture.was_read && picture.flags.is_none();
    let flags = picture
        .flags
        .map(|flags| flags.into_iter().map(picture_flag).collect());
    SeenPicture {
        id: picture.id,
        change: (!is_unchanged).then_some(SeenChange {
            path: picture.path,
            label: picture.label,
            modified_ms: picture.modified_unix_ms.unwrap_or(0),
            changed_ns: picture.changed_unix_ns,
            flags,
        }),
    }
}

fn picture_flag(flag: KnownFlag) -> PictureFlag {
    PictureFlag {
        name: flag.name,
        reason: flag.reason,
    }
}

fn new_picture(picture: Picture) -> NewPicture {
    NewPicture {
        path: picture.path,
        label: picture.label,
        blake3: ContentHash(picture.content_hash),
        file_bytes: picture.file_bytes,
        modified_ms: picture.modified_unix_ms.unwrap_or(0),
        changed_ns: picture.changed_unix_ns,
        analysis: ANALYSIS_VERSION,
        width: picture.width,
        height: picture.height,
        format: picture.format.name.to_owned(),
        bit_depth: picture.bits_per_channel,
        has_alpha: picture.has_alpha,
        phash: Some(picture.fingerprint.to_bytes().to_vec()),
        excluded: picture.flags.iter().any(Flag::suggests_exclusion),
        flags: picture
            .flags
            .iter()
            .map(|flag| picture_flag(flag.into()))
            .collect(),
        thumbnail: picture.thumbnail,
    }
}

fn add_report(total: &mut ImportReport, report: ImportReport) {
    total.imported += report.imported;
    total.flagged += report.flagged;
    total.skipped_total += report.skipped_total;
    total.rejected.extend(report.rejected);
    for (flag, count) in report.flag_counts {
        *total.flag_counts.entry(flag).or_default() += count;
    }
}

fn add_summary(total: &mut ImportSummary, summary: ImportSummary) {
    total.added += summary.added;
    total.changed += summary.changed;
    total.unchanged += summary.unchanged;
    total.moved += summary.moved;
    total.missing += summary.missing;
    total.notices += summary.notices;
}
