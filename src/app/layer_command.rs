//! What a user can do to layers. Where no layer is named it is the active one.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};
use lucide_icons::Icon;

use super::spec::Spec;
use crate::document::{LayerId, LayerLook};

#[derive(Debug, Clone, PartialEq)]
pub enum LayerCommand {
    Add,
    Duplicate,
    MergeDown,
    Delete,
    Raise,
    Lower,
    SelectAbove,
    SelectBelow,
    ToggleVisible,
    ToggleLock,
    /// Strokes change the mask instead of the codes, and back.
    EditMask,
    ToggleMask,
    ClearMask,
    Select(LayerId),
    /// To a place counted from below.
    MoveTo(LayerId, usize),
    Look(LayerId, LayerLook),
    /// While the slider is dragged.
    TryOpacity(LayerId, u8),
}

impl LayerCommand {
    pub(super) const LISTED: [LayerCommand; 13] = [
        LayerCommand::Add,
        LayerCommand::Duplicate,
        LayerCommand::MergeDown,
        LayerCommand::Delete,
        LayerCommand::Raise,
        LayerCommand::Lower,
        LayerCommand::SelectAbove,
        LayerCommand::SelectBelow,
        LayerCommand::ToggleVisible,
        LayerCommand::ToggleLock,
        LayerCommand::EditMask,
        LayerCommand::ToggleMask,
        LayerCommand::ClearMask,
    ];

    pub fn spec(&self) -> Option<Spec> {
        let keys = |modifiers, key| Some(KeyboardShortcut::new(modifiers, key));
        let ctrl = Modifiers::COMMAND;
        let (id, label, tooltip, icon, shortcut) = match self {
            Self::Add => (
                "layer.add",
                "New layer",
                "An empty layer above this one; strokes on it leave the others as they are",
                Icon::Plus,
                keys(Modifiers::NONE, Key::Insert),
            ),
            Self::Duplicate => (
                "layer.duplicate",
                "Duplicate layer",
                "A copy above this layer",
                Icon::Copy,
                keys(ctrl, Key::J),
            ),
            Self::MergeDown => (
                "layer.merge",
                "Merge down",
                "Write this layer into the one below it. Codes cannot be mixed: its opacity is dropped",
                Icon::LayersArrowDown,
                keys(ctrl.plus(Modifiers::SHIFT), Key::E),
            ),
            Self::Delete => (
                "layer.delete",
                "Delete layer",
                "Take this layer and what it changes away",
                Icon::Trash2,
                None,
            ),
            Self::Raise => (
                "layer.raise",
                "Raise layer",
                "Move this layer one up",
                Icon::ArrowUp,
                keys(ctrl, Key::PageUp),
            ),
            Self::Lower => (
                "layer.lower",
                "Lower layer",
                "Move this layer one down",
                Icon::ArrowDown,
                keys(ctrl, Key::PageDown),
            ),
            Self::SelectAbove => (
                "layer.above",
                "Go to the layer above",
                "Strokes change the layer above from now on",
                Icon::ChevronUp,
                keys(Modifiers::NONE, Key::PageUp),
            ),
            Self::SelectBelow => (
                "layer.below",
                "Go to the layer below",
                "Strokes change the layer below from now on",
                Icon::ChevronDown,
                keys(Modifiers::NONE, Key::PageDown),
            ),
            Self::ToggleVisible => (
                "layer.visible",
                "Show or hide layer",
                "See the picture with and without this layer",
                Icon::Eye,
                None,
            ),
            Self::ToggleLock => (
                "layer.lock",
                "Lock or unlock layer",
                "A locked layer takes no strokes",
                Icon::Lock,
                None,
            ),
            Self::EditMask => (
                "layer.edit_mask",
                "Paint on the mask",
                "The brush hides cells of this layer, the eraser shows them again",
                Icon::SquareDashed,
                None,
            ),
            Self::ToggleMask => (
                "layer.mask",
                "Mask on or off",
                "Whether the mask hides anything",
                Icon::ScanEye,
                None,
            ),
            Self::ClearMask => (
                "layer.clear_mask",
                "Clear mask",
                "Show all of this layer again",
                Icon::BrushCleaning,
                None,
            ),
            Self::Select(_) | Self::MoveTo(..) | Self::Look(..) | Self::TryOpacity(..) => {
                return None;
            }
        };
        Some(Spec::new(id, label, tooltip, icon, shortcut))
    }
}
