//! Whole pictures: tabs, new canvases, wrap, other models.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, ctrl_shift};
use crate::app::state::State;
use crate::document::Wrap;
use crate::engine::{CheckpointChoice, Reframe, RewrapJob};
use crate::project::DocumentId;

/// A canvas that one code fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCanvas {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The sides that join.
    pub wrap: Wrap,
}

/// What can be done with whole pictures.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum DocumentCommand {
    ToggleWrapX,
    ToggleWrapY,
    CloseThis,
    NextTab,
    PreviousTab,
    /// Ends the comparison with another model.
    CloseReskin,
    /// Opens the picture once more, as a new document under the chosen model, with its edits.
    ReopenWithModel,
    /// Opens a picture of the project.
    #[strum(disabled)]
    Open(DocumentId),
    #[strum(disabled)]
    Rename(DocumentId, String),
    #[strum(disabled)]
    Delete(DocumentId),
    /// Encodes the picture anew, as soon as all strokes are stored.
    #[strum(disabled)]
    Rewrap(DocumentId, Wrap),
    /// Makes a canvas that one code fills.
    #[strum(disabled)]
    New(NewCanvas),
    /// Crops, extends or scales the picture, as a new one.
    #[strum(disabled)]
    Reframe(Reframe),
    #[strum(disabled)]
    SwitchTo(DocumentId),
    #[strum(disabled)]
    CloseTab(DocumentId),
    /// Shows the open picture through another checkpoint as well.
    #[strum(disabled)]
    Reskin(CheckpointChoice),
}

impl CommandGroup for DocumentCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::ToggleWrapX => Spec::new(
                "picture.wrap_x",
                "Join left and right",
                "The left side goes on at the right one: strokes and pixels run across it without a seam",
                Icon::MoveHorizontal,
            ),
            Self::ToggleWrapY => Spec::new(
                "picture.wrap_y",
                "Join top and bottom",
                "The top goes on at the bottom: strokes and pixels run across it without a seam",
                Icon::MoveVertical,
            ),
            Self::CloseThis => Spec::new(
                "picture.close",
                "Close picture",
                "Every stroke is saved; open it again from the File menu",
                Icon::X,
            )
            .with_keys(ctrl(Key::W)),
            Self::NextTab => Spec::new(
                "picture.next",
                "Next picture",
                "Go to the tab on the right",
                Icon::ChevronRight,
            )
            .with_keys(ctrl_shift(Key::PageDown)),
            Self::PreviousTab => Spec::new(
                "picture.previous",
                "Previous picture",
                "Go to the tab on the left",
                Icon::ChevronLeft,
            )
            .with_keys(ctrl_shift(Key::PageUp)),
            Self::CloseReskin => Spec::new(
                "reskin.close",
                "Close the other model",
                "Compare with the picture as it came in again",
                Icon::X,
            ),
            Self::ReopenWithModel => Spec::new(
                "canvas.reopen",
                "Open a copy with the newest codes",
                "A new document beside this one: your edits come along, each with the nearest of the newest codes",
                Icon::RefreshCw,
            ),
            Self::Open(_)
            | Self::Rename(..)
            | Self::Delete(_)
            | Self::Rewrap(..)
            | Self::New(_)
            | Self::Reframe(_)
            | Self::SwitchTo(_)
            | Self::CloseTab(_)
            | Self::Reskin(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::ToggleWrapX
            | Self::ToggleWrapY
            | Self::CloseThis
            | Self::CloseReskin
            | Self::Reskin(_) => Place::Canvas,
            Self::NextTab
            | Self::PreviousTab
            | Self::ReopenWithModel
            | Self::Open(_)
            | Self::Rename(..)
            | Self::Delete(_)
            | Self::Rewrap(..)
            | Self::New(_)
            | Self::Reframe(_)
            | Self::SwitchTo(_)
            | Self::CloseTab(_) => Place::Everywhere,
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        let Some(canvas) = &state.session.canvas else {
            return false;
        };
        match self {
            Self::ToggleWrapX | Self::ToggleWrapY => !state.has_job::<RewrapJob>(),
            Self::NextTab | Self::PreviousTab => state.session.tabs.order.len() > 1,
            Self::CloseReskin => canvas.reskin.is_some(),
            Self::CloseThis
            | Self::ReopenWithModel
            | Self::Open(_)
            | Self::Rename(..)
            | Self::Delete(_)
            | Self::Rewrap(..)
            | Self::New(_)
            | Self::Reframe(_)
            | Self::SwitchTo(_)
            | Self::CloseTab(_)
            | Self::Reskin(_) => true,
        }
    }
}
