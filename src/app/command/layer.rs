//! The layers of the open picture.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, ctrl_shift, plain};
use crate::app::state::State;
use crate::document::{LayerId, LayerLook};

/// What can be done with layers. Where no layer is named it is the active one.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum LayerCommand {
    /// Adds an empty layer above.
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
    /// Has strokes change the mask instead of the codes, and back.
    EditMask,
    ToggleMask,
    /// Shows all of the layer again.
    ClearMask,
    /// Makes a layer the active one.
    #[strum(disabled)]
    Select(LayerId),
    /// Moves a layer to a place counted from below.
    #[strum(disabled)]
    MoveTo(LayerId, usize),
    /// Changes name, visibility, lock, opacity or mask of a layer.
    #[strum(disabled)]
    SetLook(LayerId, LayerLook),
    /// Shows a layer with this opacity, in percent, outside the history: while the slider is dragged.
    #[strum(disabled)]
    TryOpacity(LayerId, u8),
}

impl CommandGroup for LayerCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Add => Spec::new("layer.add", "New layer", "An empty layer above this one; strokes on it leave the others as they are", Icon::Plus).with_keys(plain(Key::Insert)),
            Self::Duplicate => Spec::new("layer.duplicate", "Duplicate layer", "A copy above this layer", Icon::Copy).with_keys(ctrl(Key::J)),
            Self::MergeDown => Spec::new("layer.merge", "Merge down", "Write this layer into the one below it. Codes cannot be mixed: its opacity is dropped", Icon::LayersArrowDown).with_keys(ctrl_shift(Key::E)),
            Self::Delete => Spec::new("layer.delete", "Delete layer", "Take this layer and what it changes away", Icon::Trash2),
            Self::Raise => Spec::new("layer.raise", "Raise layer", "Move this layer one up", Icon::ArrowUp).with_keys(ctrl(Key::PageUp)),
            Self::Lower => Spec::new("layer.lower", "Lower layer", "Move this layer one down", Icon::ArrowDown).with_keys(ctrl(Key::PageDown)),
            Self::SelectAbove => Spec::new("layer.above", "Go to the layer above", "Strokes change the layer above from now on", Icon::ChevronUp).with_keys(plain(Key::PageUp)),
            Self::SelectBelow => Spec::new("layer.below", "Go to the layer below", "Strokes change the layer below from now on", Icon::ChevronDown).with_keys(plain(Key::PageDown)),
            Self::ToggleVisible => Spec::new("layer.visible", "Show or hide layer", "See the picture with and without this layer", Icon::Eye),
            Self::ToggleLock => Spec::new("layer.lock", "Lock or unlock layer", "A locked layer takes no strokes", Icon::Lock),
            Self::EditMask => Spec::new("layer.edit_mask", "Paint on the mask", "The brush hides cells of this layer, the eraser shows them again", Icon::SquareDashed),
            Self::ToggleMask => Spec::new("layer.mask", "Mask on or off", "Whether the mask hides anything", Icon::ScanEye),
            Self::ClearMask => Spec::new("layer.clear_mask", "Clear mask", "Show all of this layer again", Icon::BrushCleaning),
            Self::Select(_) | Self::MoveTo(..) | Self::SetLook(..) | Self::TryOpacity(..) => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Canvas
    }

    fn is_possible(&self, state: &State) -> bool {
        let Some(canvas) = &state.session.canvas else {
            return false;
        };
        let layers = canvas.document.layers();
        let Some(place) = layers.position(canvas.document.active().layer) else {
            return false;
        };
        let (layer, last) = (&layers.layers()[place], layers.layers().len() - 1);
        match self {
            Self::Delete => last > 0 && !layer.look().is_locked,
            Self::MergeDown | Self::Lower | Self::SelectBelow => place > 0,
            Self::Raise | Self::SelectAbove => place < last,
            Self::ClearMask | Self::ToggleMask => layer.has_mask(),
            Self::Add
            | Self::Duplicate
            | Self::ToggleVisible
            | Self::ToggleLock
            | Self::EditMask
            | Self::Select(_)
            | Self::MoveTo(..)
            | Self::SetLook(..)
            | Self::TryOpacity(..) => true,
        }
    }
}
