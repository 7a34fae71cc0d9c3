//! One error type for everything a person may read: what failed, why, what to do next, the path last.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A message for a person, in plain words. Warnings are notices; an [`Error`] is a notice with a [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What failed, without a full stop: "could not open the project".
    pub what: String,
    /// Why, as far as it is known: "the file was written by a newer Tessera (format 7, this one reads up to 3)".
    pub why: String,
    /// The next step for the user, or empty where there is none.
    pub next: String,
    /// The file concerned, shown last. Names that are not UTF-8 are shown lossily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Notice {
    pub fn new(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            next: next.into(),
            path: None,
        }
    }

    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_string_lossy().into_owned());
        self
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}.", self.what, self.why.trim_end_matches('.'))?;
        if !self.next.is_empty() {
            write!(f, " {}.", self.next.trim_end_matches('.'))?;
        }
        if let Some(path) = &self.path {
            write!(f, " [{path}]")?;
        }
        Ok(())
    }
}

/// What sort of failure this is, for code that has to tell them apart (exit codes, tests, recovery).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The user stopped the job.
    Cancelled,
    /// The request itself makes no sense (a bad argument, an unknown code).
    Usage,
    /// The operating system refused a file operation.
    Io,
    /// No space is left, or a quota is used up.
    DiskFull,
    /// A size, memory or count limit would be passed.
    Limit,
    /// The bytes are not what they claim to be.
    Damaged,
    /// A well-formed file of a format or version that Tessera does not read.
    Unsupported,
    /// A file that is not Tessera's.
    Foreign,
    /// Written by a newer version of Tessera.
    Newer,
    ReadOnly,
    /// Another process holds the project.
    Locked,
    NotFound,
    /// No usable pictures to train on.
    NoPictures,
    /// A NaN or an infinity where a number must be.
    NotFinite,
    /// The accelerator failed or is missing.
    Device,
    /// A defect in Tessera.
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub notice: Box<Notice>,
}

impl Error {
    pub fn new(
        kind: Kind,
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            notice: Box::new(Notice::new(what, why, next)),
        }
    }

    pub fn usage(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what, why, next)
    }

    pub fn cancelled() -> Self {
        Self::new(
            Kind::Cancelled,
            "the job was stopped",
            "you cancelled it",
            "",
        )
    }

    /// A failed file operation; a full disk gets its own kind and advice.
    pub fn io(what: impl Into<String>, path: impl AsRef<Path>, source: &std::io::Error) -> Self {
        use std::io::ErrorKind as E;
        let (kind, next) = match source.kind() {
            E::StorageFull | E::QuotaExceeded => {
                (Kind::DiskFull, "Free some space on this disk and try again")
            }
            E::NotFound => (Kind::NotFound, "Check that the file or folder still exists"),
            E::ReadOnlyFilesystem => (Kind::ReadOnly, "Choose a place you may write to"),
            E::PermissionDenied => (Kind::Io, "Check the permissions of the file and its folder"),
            _ => (Kind::Io, "Check the disk and try again"),
        };
        Self::new(kind, what, source.to_string(), next).at(path)
    }

    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        *self.notice = self.notice.at(path);
        self
    }

    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notice.fmt(f)
    }
}

impl std::error::Error for Error {}

/// What candle says, without the stack traces that it adds where `RUST_BACKTRACE` is set.
pub fn candle_words(source: &candle_core::Error) -> String {
    match source {
        candle_core::Error::WithBacktrace { inner, .. } => candle_words(inner),
        other => other.to_string(),
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        let why = candle_words(&source);
        // CUDA says CUDA_ERROR_OUT_OF_MEMORY, Metal and others say it in words.
        let lower = why.to_ascii_lowercase().replace('_', " ");
        if lower.contains("out of memory") {
            return Self::new(
                Kind::Device,
                "the device ran out of memory",
                why,
                "Close other programs that use it, or compute on the CPU",
            );
        }
        Self::new(
            Kind::Internal,
            "the model could not compute this",
            why,
            "Try again on the CPU; if it stays, report it with the log",
        )
    }
}

/// The path a message is about, for callers that keep the path and the message apart.
impl Error {
    pub fn path(&self) -> Option<PathBuf> {
        self.notice.path.as_ref().map(PathBuf::from)
    }
}
