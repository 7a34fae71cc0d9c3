//! The pictures that the model learns from.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, plain};
use crate::app::state::State;
use crate::project::{PictureFilter, PictureId};
use std::ops::Range;
use std::path::PathBuf;

/// What can be done with the pictures to learn from.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum DatasetCommand {
    ImportFolder,
    ImportFiles,
    ImportSamples,
    /// Asks where the missing pictures are now.
    FindMissing,
    /// Leaves the chosen picture out of what is learned from.
    LeaveOut,
    /// Adds these pictures and folders to the project.
    #[strum(disabled)]
    Import(Vec<PathBuf>),
    /// Lists the pictures that this filter lets through.
    #[strum(disabled)]
    Filter(PictureFilter),
    /// Tells which rows of the gallery are on the screen: they are read, and their thumbnails.
    #[strum(disabled)]
    ShowRows(Range<u64>),
    /// Leaves pictures out of what is learned from, or takes them back in.
    #[strum(disabled)]
    Exclude(Vec<PictureId>, bool),
    /// Takes pictures out of the project; their files stay.
    #[strum(disabled)]
    Remove(Vec<PictureId>),
    /// Shows a picture beside the gallery, with what training does to it.
    #[strum(disabled)]
    Select(Option<PictureId>),
    /// Cuts other crops of the picture shown.
    #[strum(disabled)]
    OtherCrops,
}

impl CommandGroup for DatasetCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::ImportFolder => Spec::new(
                "dataset.import_folder",
                "Import folder…",
                "Add all pictures of a folder to the project; your files are never changed",
                Icon::FolderPlus,
            )
            .with_keys(ctrl(Key::I)),
            Self::ImportFiles => Spec::new(
                "dataset.import_files",
                "Import pictures…",
                "Add single pictures to the project",
                Icon::Images,
            ),
            Self::ImportSamples => Spec::new(
                "dataset.import_samples",
                "Import the sample pictures",
                "22 free pictures that come with Tessera, to try everything out",
                Icon::Shapes,
            ),
            Self::FindMissing => Spec::new(
                "dataset.find",
                "Find missing pictures…",
                "Show Tessera where moved pictures are now; it knows them by their content",
                Icon::FolderSearch,
            ),
            Self::LeaveOut => Spec::new(
                "dataset.leave_out",
                "Leave out the chosen picture",
                "It stays in the project and is not learned from",
                Icon::EyeOff,
            )
            .with_keys(plain(Key::Delete)),
            Self::Import(_)
            | Self::Filter(_)
            | Self::ShowRows(_)
            | Self::Exclude(..)
            | Self::Remove(_)
            | Self::Select(_)
            | Self::OtherCrops => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::LeaveOut => Place::Pictures,
            Self::ImportFolder
            | Self::ImportFiles
            | Self::ImportSamples
            | Self::FindMissing
            | Self::Import(_)
            | Self::Filter(_)
            | Self::ShowRows(_)
            | Self::Exclude(..)
            | Self::Remove(_)
            | Self::Select(_)
            | Self::OtherCrops => Place::Everywhere,
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::FindMissing => state
                .overview()
                .is_some_and(|overview| overview.counts.missing > 0),
            Self::LeaveOut => {
                (state.session.gallery.selected.as_ref()).is_some_and(|row| !row.excluded)
            }
            Self::ImportFolder
            | Self::ImportFiles
            | Self::ImportSamples
            | Self::Import(_)
            | Self::Filter(_)
            | Self::ShowRows(_)
            | Self::Exclude(..)
            | Self::Remove(_)
            | Self::Select(_)
            | Self::OtherCrops => true,
        }
    }
}
