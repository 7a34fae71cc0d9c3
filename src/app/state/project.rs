//! The project that is open.

use std::path::{Path, PathBuf};

use super::code_marks::CodeMarks;
use crate::engine::{Overview, Storage};

/// The project that is open.
pub struct OpenProject {
    pub path: PathBuf,
    pub(in crate::app) storage: Storage,
    /// The project's lists, as they were read last; `None` until the first time.
    pub overview: Option<Overview>,
    /// Names, tags and favourites of codes, as the project keeps them.
    pub marks: CodeMarks,
}

impl OpenProject {
    /// The project's file.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The project's name: that of its file.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// The name of a file without its extension.
pub fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(
        || path.display().to_string(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// The last part of a path, for messages.
pub(in crate::app) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
