//! Whether the pictures' files are still where the last import found them.

use std::time::UNIX_EPOCH;

use crate::engine::lanes::job::Job;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::error::Result;
use crate::progress::Observer;
use crate::project::{PictureFile, PictureId, is_gone, is_remote};

/// Files looked at between two reads of the index.
const PAGE: u64 = 1000;

/// Notes in the project which pictures' files are gone, and which are back as they were.
pub struct CheckFilesJob {
    pub project: Storage,
}

/// How many pictures' files changed their state.
#[derive(Debug, Clone, Copy)]
pub struct FilesChecked {
    /// No longer where they were.
    pub gone: u64,
    /// Back where they were.
    pub back: u64,
}

impl Job for CheckFilesJob {
    type Output = FilesChecked;
    const IS_QUIET: bool = true;

    fn title(&self) -> &'static str {
        "Looking for the pictures' files"
    }

    fn run(self, context: &JobContext) -> Result<FilesChecked> {
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        let mut after = PictureId::MIN;
        loop {
            context.check()?;
            let files = (self.project).call(move |project| project.picture_files(after, PAGE))?;
            let Some(last) = files.last() else { break };
            after = last.id;
            for file in &files {
                if !file.missing && is_gone(&file.path) {
                    gone.push(file.id);
                } else if file.missing && is_as_imported(file) {
                    back.push(file.id);
                }
            }
        }
        let checked = FilesChecked {
            gone: gone.len() as u64,
            back: back.len() as u64,
        };
        if checked.gone + checked.back > 0 {
            self.project.call(move |project| {
                project.set_missing(&gone, true)?;
                project.set_missing(&back, false)
            })?;
        }
        Ok(checked)
    }
}

/// A file of another size or time may be another picture: only an import can tell.
fn is_as_imported(file: &PictureFile) -> bool {
    if is_remote(&file.path) {
        return false;
    }
    let Ok(metadata) = std::fs::metadata(&file.path) else {
        return false;
    };
    let modified_ms = (metadata.modified().ok())
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok());
    metadata.is_file() && metadata.len() == file.file_bytes && modified_ms == Some(file.modified_ms)
}
