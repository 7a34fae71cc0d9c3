//! On which pages a command works: nobody changes what they do not see.

use super::command::Command;
use super::document_command::DocumentCommand;
use super::state::Workspace;

/// Where what a command changes is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Everywhere,
    /// On the pages with the picture on the canvas.
    Canvas,
    /// Among the pictures to learn from.
    Pictures,
    /// On the canvas and among the pictures, each in its own way.
    CanvasAndPictures,
}

impl Place {
    /// The pages where it is.
    pub const fn has(self, page: Workspace) -> bool {
        let is_canvas = matches!(page, Workspace::Paint | Workspace::Export);
        let is_pictures = matches!(page, Workspace::Dataset);
        match self {
            Self::Everywhere => true,
            Self::Canvas => is_canvas,
            Self::Pictures => is_pictures,
            Self::CanvasAndPictures => is_canvas || is_pictures,
        }
    }

    /// Whether both are on some page.
    pub fn meets(self, other: Self) -> bool {
        (Workspace::ALL.iter()).any(|page| self.has(*page) && other.has(*page))
    }
}

impl Command {
    /// Where it works, by its keys and in the list of commands.
    pub const fn place(&self) -> Place {
        use DocumentCommand as D;
        match self {
            Self::Undo | Self::Redo => Place::CanvasAndPictures,
            Self::LeaveOut => Place::Pictures,
            Self::TakeSnapshot
            | Self::SetTool(_)
            | Self::BrushLarger
            | Self::BrushSmaller
            | Self::SelectAll
            | Self::SelectNone
            | Self::Reselect
            | Self::InvertSelection
            | Self::GrowSelection
            | Self::ShrinkSelection
            | Self::FillSelection
            | Self::EraseSelection
            | Self::ToggleMirrorX
            | Self::ToggleMirrorY
            | Self::TurnBlock
            | Self::MirrorBlock
            | Self::ToggleCodeTint
            | Self::ToggleChangedCells
            | Self::ChooseTexture
            | Self::SaveBrush
            | Self::ZoomFit
            | Self::ZoomTo(_)
            | Self::ZoomIn
            | Self::ZoomOut
            | Self::ToggleGrid
            | Self::ToggleSplit
            | Self::ToggleDifference
            | Self::Layer(_)
            | Self::Document(
                D::ToggleWrapX
                | D::ToggleWrapY
                | D::ToggleWrapPreview
                | D::CloseThis
                | D::Reskin(_),
            ) => Place::Canvas,
            _ => Place::Everywhere,
        }
    }
}
