//! Files that leave Tessera.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl};
use crate::app::state::{ExportForm, State, TimelapseForm};
use std::path::PathBuf;

/// What can be written to files.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum ExportCommand {
    Export,
    ChooseFolder,
    /// Writes the picture as seen through the other model.
    ExportReskin,
    WriteTimelapse,
    /// Changes how pictures are written.
    #[strum(disabled)]
    SetForm(ExportForm),
    /// Has pictures written to this folder from now on.
    #[strum(disabled)]
    SetFolder(PathBuf),
    /// Changes how a timelapse is written.
    #[strum(disabled)]
    SetTimelapse(TimelapseForm),
    /// Opens the folder of a file in the file manager.
    #[strum(disabled)]
    RevealInFolder(PathBuf),
}

impl CommandGroup for ExportCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Export => Spec::new(
                "export.run",
                "Export",
                "Write the picture as a file, as the Export page says",
                Icon::Download,
            )
            .with_keys(ctrl(Key::E)),
            Self::ChooseFolder => Spec::new(
                "export.folder",
                "Choose export folder…",
                "Where exported pictures go",
                Icon::FolderOutput,
            ),
            Self::ExportReskin => Spec::new(
                "reskin.export",
                "Export what the other model shows",
                "Write the picture as seen through the other model",
                Icon::Download,
            ),
            Self::WriteTimelapse => Spec::new(
                "export.timelapse",
                "Write timelapse",
                "The strokes of this picture one after the other, as a moving picture",
                Icon::Film,
            ),
            Self::RevealInFolder(_) => Spec::new(
                "export.reveal",
                "Show in folder",
                "Open the folder in your file manager",
                Icon::FolderOpen,
            ),
            Self::SetForm(_) | Self::SetFolder(_) | Self::SetTimelapse(_) => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Everywhere
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::Export => state.session.canvas.is_some(),
            Self::ExportReskin => {
                (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.reskin.is_some())
            }
            Self::WriteTimelapse => (state.session.canvas.as_ref())
                .is_some_and(|canvas| canvas.document.history().can_undo()),
            Self::SetTimelapse(_) => state.session.canvas.is_some(),
            Self::ChooseFolder
            | Self::SetForm(_)
            | Self::SetFolder(_)
            | Self::RevealInFolder(_) => true,
        }
    }
}
