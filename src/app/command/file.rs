//! Projects and files.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::question::Question;
use super::spec::{Spec, ctrl, ctrl_shift};
use crate::app::state::{Existing, State};
use std::path::PathBuf;

/// What can be done with projects and files.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum FileCommand {
    OpenPicture,
    OpenPath,
    NewProject,
    OpenProject,
    Save,
    SaveCopy,
    /// Opens the project in this file.
    #[strum(disabled)]
    OpenProjectAt(PathBuf),
    /// Makes an empty project in this file.
    #[strum(disabled)]
    CreateProjectAt(PathBuf),
    /// Writes a copy of the whole project to this file.
    #[strum(disabled)]
    SaveCopyAs(PathBuf, Existing),
    /// Opens a path that was typed; the field stays until something is found there.
    #[strum(disabled)]
    OpenTyped(PathBuf),
    /// Opens files of any sort that were dropped, picked or named: pictures, folders, projects, packs of brushes.
    #[strum(disabled)]
    OpenFiles(Vec<PathBuf>),
    /// Opens one of the sample pictures by its file name.
    #[strum(disabled)]
    OpenSample(&'static str),
    /// Tells that the system has no dialog for this question.
    #[strum(disabled)]
    DialogFailed(Question),
}

impl CommandGroup for FileCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::OpenPicture => Spec::new(
                "file.open_picture",
                "Open picture…",
                "Open a picture to paint on. An exported PNG comes back with its edits",
                Icon::ImagePlus,
            )
            .with_keys(ctrl(Key::O)),
            Self::OpenPath => Spec::new(
                "file.open_path",
                "Open by path…",
                "Type where a picture, a folder or a project is",
                Icon::TextCursorInput,
            )
            .with_keys(ctrl(Key::L)),
            Self::NewProject => Spec::new(
                "file.new_project",
                "New project…",
                "Make an empty project file",
                Icon::FilePlus,
            )
            .with_keys(ctrl(Key::N)),
            Self::OpenProject => Spec::new(
                "file.open_project",
                "Open project…",
                "Open a .tessera file",
                Icon::FolderOpen,
            )
            .with_keys(ctrl_shift(Key::O)),
            Self::Save => Spec::new(
                "file.save",
                "Save",
                "Every stroke is saved as you make it; this says so",
                Icon::Save,
            )
            .with_keys(ctrl(Key::S)),
            Self::SaveCopy => Spec::new(
                "file.save_copy",
                "Save a copy…",
                "Write a copy of the whole project to another place",
                Icon::Copy,
            )
            .with_keys(ctrl_shift(Key::S)),
            Self::OpenProjectAt(_)
            | Self::CreateProjectAt(_)
            | Self::SaveCopyAs(..)
            | Self::OpenTyped(_)
            | Self::OpenFiles(_)
            | Self::OpenSample(_)
            | Self::DialogFailed(_) => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Everywhere
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::SaveCopy => state.session.project.is_some(),
            Self::OpenPicture
            | Self::OpenPath
            | Self::NewProject
            | Self::OpenProject
            | Self::Save
            | Self::OpenProjectAt(_)
            | Self::CreateProjectAt(_)
            | Self::SaveCopyAs(..)
            | Self::OpenTyped(_)
            | Self::OpenFiles(_)
            | Self::OpenSample(_)
            | Self::DialogFailed(_) => true,
        }
    }
}
