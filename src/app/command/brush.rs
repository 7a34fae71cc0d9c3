//! Named brushes: kept in the project, shared as files.

use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::Spec;
use crate::app::state::{Existing, State};
use std::path::PathBuf;

/// What can be done with named brushes. A number is a place in the project's list.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum BrushCommand {
    /// Keeps the tool in hand, as it is set, as a named brush.
    Save,
    Export,
    Import,
    /// Adds the brushes of a pack for another codebook, with the nearest codes.
    #[strum(disabled)]
    MapToNearest,
    /// Takes the brush with this number in hand.
    #[strum(disabled)]
    Use(usize),
    #[strum(disabled)]
    Rename(usize, String),
    #[strum(disabled)]
    Delete(usize),
    #[strum(disabled)]
    ExportTo(PathBuf, Existing),
    #[strum(disabled)]
    ImportFrom(PathBuf),
}

impl CommandGroup for BrushCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Save => Spec::new(
                "brushes.save",
                "Save as a brush",
                "Keep the code or block in hand with the brush's settings in the project",
                Icon::BookmarkPlus,
            ),
            Self::Export => Spec::new(
                "brushes.export",
                "Export brushes…",
                "Write the project's brushes to a small file, to share them",
                Icon::Upload,
            ),
            Self::Import => Spec::new(
                "brushes.import",
                "Import brushes…",
                "Add the brushes of a file",
                Icon::Download,
            ),
            Self::MapToNearest => Spec::new(
                "brushes.map",
                "Use the nearest codes",
                "Each code is replaced by the one here that is most like it",
                Icon::Check,
            ),
            Self::Use(_)
            | Self::Rename(..)
            | Self::Delete(_)
            | Self::ExportTo(..)
            | Self::ImportFrom(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::Save => Place::Canvas,
            Self::Export
            | Self::Import
            | Self::MapToNearest
            | Self::Use(_)
            | Self::Rename(..)
            | Self::Delete(_)
            | Self::ExportTo(..)
            | Self::ImportFrom(_) => Place::Everywhere,
        }
    }

    fn is_possible(&self, _state: &State) -> bool {
        true
    }
}
