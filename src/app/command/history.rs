//! Steps back and forth in the history of the open picture, and states of it with a name.
//!
//! Among the pictures to learn from, undo and redo take back what was left out there.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, ctrl_shift};
use crate::app::state::{State, Workspace};
use crate::document::History;
use std::ops::Range;

/// What can be done in the history.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum HistoryCommand {
    Undo,
    Redo,
    /// Gives the present state a name.
    TakeSnapshot,
    /// Goes to the state after this many strokes.
    #[strum(disabled)]
    GoTo(usize),
    /// Goes back to a state with a name, by its number; one step of the history.
    #[strum(disabled)]
    BackToSnapshot(u32),
    #[strum(disabled)]
    RenameSnapshot(u32, String),
    #[strum(disabled)]
    DeleteSnapshot(u32),
    /// Tells which strokes the history shows, counted from 0: they get their small pictures.
    #[strum(disabled)]
    ShowStrokes(Range<usize>),
}

impl CommandGroup for HistoryCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Undo => Spec::new(
                "edit.undo",
                "Undo",
                "Take the last stroke back",
                Icon::Undo2,
            )
            .with_keys(ctrl(Key::Z)),
            Self::Redo => Spec::new(
                "edit.redo",
                "Redo",
                "Do the undone stroke again",
                Icon::Redo2,
            )
            .with_keys(ctrl_shift(Key::Z))
            .or(ctrl(Key::Y)),
            Self::TakeSnapshot => Spec::new(
                "edit.snapshot",
                "Take a snapshot",
                "Keep the present state under a name, whatever is undone later",
                Icon::Bookmark,
            ),
            Self::GoTo(_)
            | Self::BackToSnapshot(_)
            | Self::RenameSnapshot(..)
            | Self::DeleteSnapshot(_)
            | Self::ShowStrokes(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::Undo | Self::Redo => Place::CanvasAndPictures,
            Self::TakeSnapshot => Place::Canvas,
            Self::GoTo(_)
            | Self::BackToSnapshot(_)
            | Self::RenameSnapshot(..)
            | Self::DeleteSnapshot(_)
            | Self::ShowStrokes(_) => Place::Everywhere,
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        let canvas = state.session.canvas.as_ref();
        let is_among_pictures = state.workspace == Workspace::Dataset;
        // `None` where the choices among the pictures are meant.
        let history = (!is_among_pictures).then(|| canvas.map(|canvas| canvas.document.history()));
        match self {
            Self::Undo => match history {
                None => state.session.gallery.can_undo(),
                Some(history) => history.is_some_and(History::can_undo),
            },
            Self::Redo => match history {
                None => state.session.gallery.can_redo(),
                Some(history) => history.is_some_and(History::can_redo),
            },
            Self::TakeSnapshot => state.session.canvas.is_some(),
            Self::GoTo(_)
            | Self::BackToSnapshot(_)
            | Self::RenameSnapshot(..)
            | Self::DeleteSnapshot(_)
            | Self::ShowStrokes(_) => true,
        }
    }
}
