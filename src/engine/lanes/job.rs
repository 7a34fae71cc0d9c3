//! What a job is. A job owns what it needs; nothing is shared with its sender but the project's handle.

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use crate::engine::lanes::worker::JobContext;
use crate::error::Result;

/// A piece of work that takes longer than a frame: it runs on a [`Worker`](crate::engine::lanes::worker::Worker), reports progress and can be stopped.
pub trait Job: Send + 'static {
    /// What it hands to its sender when it finishes.
    type Output: Send + 'static;

    /// Which of a window's workers runs it.
    const LANE: Lane = Lane::Background;

    /// Whether nobody asked for it: its end is not told. On other lanes than [`Lane::Upkeep`] a status bar leaves it out.
    const IS_QUIET: bool = false;

    /// What becomes of it when the window turns to another project.
    const WHEN_LEFT: WhenLeft = WhenLeft::Cancel;

    /// In words, for the status bar and the log: "Importing pictures".
    fn title(&self) -> &'static str;

    /// Does the work.
    ///
    /// # Errors
    /// `Cancelled` soon after the context asks to stop; otherwise what went wrong.
    fn run(self, context: &JobContext) -> Result<Self::Output>;
}

/// The workers of a window. Jobs of one lane run one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Fine-tuning.
    Training,
    /// Importing, counting, exporting: minutes.
    Background,
    /// Opening things: somebody waits for it.
    Foreground,
    /// What gets ready for later, and nobody asked for: minutes to hours.
    Upkeep,
}

/// What becomes of a job whose project is left for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLeft {
    /// It is stopped: it only makes what the window shows.
    Cancel,
    /// It is paused, and can be resumed when the project is opened again.
    Pause,
    /// It goes on into its own project or file; only a failure is told.
    Finish,
}

/// An output that can be told: `Display` says it in a sentence, `Serialize` gives the figures to programs.
pub trait Report: Serialize + Display {
    /// The files that were written.
    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// Lines for reading, in place of a listing of the figures.
    fn page(&self) -> Option<String> {
        None
    }
}

/// "1 picture", "7 pictures".
pub(crate) fn pictures(count: u64) -> String {
    if count == 1 {
        "1 picture".into()
    } else {
        format!("{count} pictures")
    }
}

/// The last part of a path, for messages.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
