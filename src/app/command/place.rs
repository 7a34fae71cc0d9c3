//! On which pages a command works, so that nobody changes what they do not see.

use crate::app::state::Workspace;

/// The pages where what a command changes is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Everywhere,
    /// On the pages with the picture on the canvas.
    Canvas,
    /// Among the pictures to learn from.
    Pictures,
    /// On the page that makes pictures.
    Generate,
    /// On the canvas and among the pictures, each in its own way.
    CanvasAndPictures,
}

impl Place {
    /// Whether this page is one of them.
    pub(super) const fn has(self, page: Workspace) -> bool {
        let is_canvas = matches!(page, Workspace::Paint | Workspace::Export);
        let is_pictures = matches!(page, Workspace::Dataset);
        match self {
            Self::Everywhere => true,
            Self::Canvas => is_canvas,
            Self::Pictures => is_pictures,
            Self::Generate => matches!(page, Workspace::Generate),
            Self::CanvasAndPictures => is_canvas || is_pictures,
        }
    }

    /// Whether some page is one of both.
    pub(super) fn meets(self, other: Self) -> bool {
        Workspace::all().any(|page| self.has(page) && other.has(page))
    }
}
