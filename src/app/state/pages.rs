//! The pages of the window and what lies over them.

use strum::IntoEnumIterator;

/// The pages of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Workspace {
    Dataset,
    FineTune,
    Codebook,
    Paint,
    Generate,
    Export,
}

impl Workspace {
    /// All pages, in the order of their tabs.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }
}

/// What lies over the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Overlay {
    Welcome,
    Commands,
    OpenPath,
    /// A pack of brushes was made for another codebook.
    BrushPack,
    NewCanvas,
    CanvasSize,
    Notices,
    Settings,
    Help,
    About,
}

impl Overlay {
    /// Whether it asks about something of the open project.
    pub(in crate::app) fn is_of_project(self) -> bool {
        matches!(self, Self::BrushPack | Self::CanvasSize | Self::NewCanvas)
    }
}
