//! What a user can do with whole pictures: tabs, canvases, wrap, other models, timelapses.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};
use lucide_icons::Icon;

use super::spec::Spec;
use crate::document::Wrap;
use crate::engine::{AnimationWriter, CheckpointChoice, Reframe};
use crate::project::DocumentId;

/// A canvas that one code fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCanvas {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub wrap: Wrap,
}

/// How a timelapse is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelapseForm {
    pub writer: &'static AnimationWriter,
    pub longest_px: u32,
    pub frames_per_second: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DocumentCommand {
    ToggleWrapX,
    ToggleWrapY,
    /// Encodes the picture anew, as soon as all strokes are stored.
    Rewrap(DocumentId, Wrap),
    ToggleWrapPreview,
    New(NewCanvas),
    Reframe(Reframe),
    SwitchTo(DocumentId),
    CloseTab(DocumentId),
    CloseThis,
    NextTab,
    PreviousTab,
    /// The open picture through another checkpoint as well; `None` ends that.
    Reskin(Option<CheckpointChoice>),
    ExportReskin,
    SetTimelapse(TimelapseForm),
    WriteTimelapse,
}

impl DocumentCommand {
    pub(super) const LISTED: [DocumentCommand; 9] = [
        DocumentCommand::ToggleWrapX,
        DocumentCommand::ToggleWrapY,
        DocumentCommand::ToggleWrapPreview,
        DocumentCommand::CloseThis,
        DocumentCommand::NextTab,
        DocumentCommand::PreviousTab,
        DocumentCommand::ExportReskin,
        DocumentCommand::Reskin(None),
        DocumentCommand::WriteTimelapse,
    ];

    pub fn spec(&self) -> Option<Spec> {
        let keys = |modifiers, key| Some(KeyboardShortcut::new(modifiers, key));
        let ctrl_shift = Modifiers::COMMAND.plus(Modifiers::SHIFT);
        let (id, label, tooltip, icon, shortcut) = match self {
            Self::ToggleWrapX => (
                "picture.wrap_x",
                "Join left and right",
                "The left side goes on at the right one: strokes and pixels run across it without a seam",
                Icon::MoveHorizontal,
                None,
            ),
            Self::ToggleWrapY => (
                "picture.wrap_y",
                "Join top and bottom",
                "The top goes on at the bottom: strokes and pixels run across it without a seam",
                Icon::MoveVertical,
                None,
            ),
            Self::ToggleWrapPreview => (
                "view.wrap_preview",
                "Tile preview",
                "Show the picture with its copies around it, live",
                Icon::Grid2x2,
                keys(Modifiers::SHIFT, Key::W),
            ),
            Self::CloseThis => (
                "picture.close",
                "Close picture",
                "Every stroke is saved; open it again from the File menu",
                Icon::X,
                keys(Modifiers::COMMAND, Key::W),
            ),
            Self::NextTab => (
                "picture.next",
                "Next picture",
                "Go to the tab on the right",
                Icon::ChevronRight,
                keys(ctrl_shift, Key::PageDown),
            ),
            Self::PreviousTab => (
                "picture.previous",
                "Previous picture",
                "Go to the tab on the left",
                Icon::ChevronLeft,
                keys(ctrl_shift, Key::PageUp),
            ),
            Self::ExportReskin => (
                "reskin.export",
                "Export what the other model shows",
                "Write the picture as seen through the other model",
                Icon::Download,
                None,
            ),
            Self::WriteTimelapse => (
                "export.timelapse",
                "Write timelapse",
                "The strokes of this picture one after the other, as a moving picture",
                Icon::Film,
                None,
            ),
            Self::Reskin(None) => (
                "reskin.close",
                "Close the other model",
                "Compare with the picture as it came in again",
                Icon::X,
                None,
            ),
            Self::Rewrap(..)
            | Self::New(_)
            | Self::Reframe(_)
            | Self::SwitchTo(_)
            | Self::CloseTab(_)
            | Self::Reskin(Some(_))
            | Self::SetTimelapse(_) => return None,
        };
        Some(Spec::new(id, label, tooltip, icon, shortcut))
    }
}
