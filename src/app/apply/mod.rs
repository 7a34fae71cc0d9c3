//! What each command does. One file per subject; this one hands them out.

mod brushes;
mod canvas;
mod dataset;
mod documents;
mod export;
mod files;
mod history;
mod layers;
mod marks;
mod overlay;
mod pixels;
mod replace;
mod selection;
mod stroke;
mod texture;
mod tools;
mod training;
mod window;

pub use export::file_path as export_path;

use super::command::Command;
use super::{App, Severity};
use crate::error::Error;

impl App {
    /// Does what was asked. What goes wrong is told and not returned: there is nobody else to handle it.
    pub fn apply(&mut self, command: Command) {
        use Command as C;
        match command {
            C::NewProject
            | C::OpenProject
            | C::OpenProjectAt(_)
            | C::CreateProjectAt(_)
            | C::SaveCopy
            | C::SaveCopyAs(_)
            | C::Save
            | C::OpenPicture
            | C::OpenPath
            | C::DialogFailed(_)
            | C::OpenFiles(_)
            | C::OpenSample(_)
            | C::OpenDocument(_)
            | C::RenameDocument(..)
            | C::DeleteDocument(_)
            | C::RevealInFolder(_)
            | C::ReopenWithModel
            | C::DismissNews
            | C::OpenTyped(_) => self.apply_files(command),
            C::ImportFolder
            | C::ImportFiles
            | C::Import(_)
            | C::ImportSamples
            | C::FilterPictures(_)
            | C::ShowRows(_)
            | C::Exclude(..)
            | C::LeaveOut
            | C::RemoveFromProject(_)
            | C::SelectPicture(_)
            | C::OtherCrops
            | C::FindPictures => self.apply_dataset(command),
            C::SetTraining(_)
            | C::SetPreset(_)
            | C::StartTraining
            | C::PauseTraining
            | C::ResumeTraining
            | C::CancelTraining
            | C::SelectRun(_)
            | C::RenameRun(..)
            | C::DeleteRun(_)
            | C::PinCheckpoint(..)
            | C::UseModel(_)
            | C::CountUsage => self.apply_training(command),
            C::NameCode(..) | C::TagCode(..) | C::ToggleFavourite(..) | C::ToggleMuted(..) => {
                self.apply_marks(command);
            }
            C::SetExport(_) | C::ChooseExportFolder | C::ExportFolder(_) | C::Export => {
                self.apply_export(command);
            }
            C::Undo
            | C::Redo
            | C::GoToHistory(_)
            | C::ShowHistory(_)
            | C::TakeSnapshot
            | C::BackToSnapshot(_)
            | C::RenameSnapshot(..)
            | C::DeleteSnapshot(_) => self.apply_history(command),
            C::Document(command) => self.apply_document(command),
            C::Layer(command) => self.apply_layers(command),
            C::Stroke(_)
            | C::SetTool(_)
            | C::SetOption(_)
            | C::SetDetailPolicy(_)
            | C::SelectAll
            | C::SelectNone
            | C::Reselect
            | C::InvertSelection
            | C::GrowSelection
            | C::ShrinkSelection
            | C::FillSelection
            | C::EraseSelection
            | C::ReplaceEverywhere { .. }
            | C::ReplaceInProject { .. }
            | C::ToggleMirrorX
            | C::ToggleMirrorY
            | C::TurnBlock
            | C::MirrorBlock
            | C::ToggleCodeTint
            | C::ToggleChangedCells
            | C::ChooseTexture
            | C::TextureFrom(_) => self.apply_tools(command),
            C::SaveBrush
            | C::UseBrush(_)
            | C::RenameBrush(..)
            | C::DeleteBrush(_)
            | C::ExportBrushes
            | C::ExportBrushesTo(_)
            | C::ImportBrushes
            | C::ImportBrushesFrom(_)
            | C::MapBrushes => self.apply_brushes(command),
            C::Show(_)
            | C::Open(_)
            | C::CloseOverlay
            | C::ToggleDock
            | C::ToggleHistory
            | C::ToggleLayers
            | C::SetTheme(_)
            | C::ToggleTheme
            | C::SetScale(_)
            | C::ScaleUp
            | C::ScaleDown
            | C::SetDevice(_)
            | C::BindKey(..)
            | C::DismissNotice(_)
            | C::CancelJob
            | C::Quit => self.apply_window(command),
            _ => self.apply_canvas(command),
        }
    }

    pub(super) fn tell(&mut self, error: Error) {
        self.state.notices.push(Severity::Error, *error.notice);
    }
}
