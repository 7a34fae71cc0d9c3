//! Questions that a file dialog asks.

/// What a file dialog asks for. The answer comes back as a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A picture to open.
    Picture,
    /// Folders of pictures to import.
    ImportFolder,
    /// Pictures to import.
    ImportFiles,
    /// Where missing pictures are now.
    FindPictures,
    /// A project to open.
    OpenProject,
    /// Where a new project goes.
    NewProject,
    /// Where a copy of the project goes.
    SaveCopy {
        /// The file name that is proposed, without its extension.
        name: String,
    },
    /// Where exported pictures go.
    ExportFolder,
    /// A pack of brushes to import.
    ImportBrushes,
    /// Where a pack of brushes goes.
    ExportBrushes {
        /// The file name that is proposed, without its extension.
        name: String,
    },
}
