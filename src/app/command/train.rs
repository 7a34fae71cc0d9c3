//! Fine-tuning, its runs and their models.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl};
use crate::app::state::{State, TrainForm};
use crate::engine::{CheckpointChoice, Preset};
use crate::project::{CheckpointId, RunId};

/// What can be done about fine-tuning.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum TrainCommand {
    Start,
    /// Stops the run so that it can go on later.
    Pause,
    /// Goes on with the run that was interrupted.
    Resume,
    /// Ends the run; its best model is kept.
    Cancel,
    #[strum(disabled)]
    SetForm(TrainForm),
    #[strum(disabled)]
    SetPreset(Preset),
    /// Shows the figures of a run.
    #[strum(disabled)]
    SelectRun(RunId),
    #[strum(disabled)]
    RenameRun(RunId, String),
    #[strum(disabled)]
    DeleteRun(RunId),
    /// Keeps a checkpoint for good, or not.
    #[strum(disabled)]
    PinCheckpoint(CheckpointId, bool),
    /// Has pictures opened with this model from now on.
    #[strum(disabled)]
    UseModel(CheckpointChoice),
    /// Stops offering the codes of the last fine-tune.
    #[strum(disabled)]
    DismissNews,
}

impl CommandGroup for TrainCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Start => Spec::new(
                "train.start",
                "Start fine-tuning",
                "Let the model learn from the project's pictures",
                Icon::Play,
            )
            .with_keys(ctrl(Key::Enter)),
            Self::Pause => Spec::new(
                "train.pause",
                "Pause",
                "Keep everything and go on later; painting is not affected",
                Icon::Pause,
            ),
            Self::Resume => Spec::new(
                "train.resume",
                "Resume",
                "Go on with the interrupted run",
                Icon::Play,
            ),
            Self::Cancel => Spec::new(
                "train.cancel",
                "Stop",
                "End the run; its best model is kept",
                Icon::Square,
            ),
            Self::SetForm(_)
            | Self::SetPreset(_)
            | Self::SelectRun(_)
            | Self::RenameRun(..)
            | Self::DeleteRun(_)
            | Self::PinCheckpoint(..)
            | Self::UseModel(_)
            | Self::DismissNews => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Everywhere
    }

    fn is_possible(&self, state: &State) -> bool {
        let training = &state.session.training;
        match self {
            Self::Start => state.why_no_training().is_none(),
            Self::Pause | Self::Cancel => training.is_running() && !training.is_stopping,
            Self::Resume => {
                !training.is_running()
                    && state
                        .overview()
                        .is_some_and(|overview| overview.resumable_run.is_some())
            }
            Self::SetForm(_)
            | Self::SetPreset(_)
            | Self::SelectRun(_)
            | Self::RenameRun(..)
            | Self::DeleteRun(_)
            | Self::PinCheckpoint(..)
            | Self::UseModel(_)
            | Self::DismissNews => true,
        }
    }
}
