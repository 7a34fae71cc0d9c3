//! Layers of the open document.

use std::sync::Arc;

use super::App;
use crate::app::command::LayerCommand;
use crate::document::{Document, LayerLook, Stroke, Target};
use crate::error::Result;

impl App {
    pub(super) fn apply_layer(&mut self, command: LayerCommand) {
        if self.is_being_encoded() {
            return;
        }
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        if canvas.document.is_stroke_open() {
            return;
        }
        match act(&mut canvas.document, command) {
            Ok(stroke) => {
                let id = canvas.id;
                // Also without an entry in the history: an opacity may be tried out.
                self.repaint(stroke.as_ref().map_or(&[], |stroke| &stroke.deltas));
                if let Some(stroke) = stroke {
                    self.journal(id, stroke);
                    self.refresh_mask();
                }
            }
            Err(error) => self.tell(error),
        }
    }
}

/// What the history gets, where it gets something.
fn act(document: &mut Document, command: LayerCommand) -> Result<Option<Arc<Stroke>>> {
    use LayerCommand as L;
    let Target { layer: id, is_mask } = document.active();
    let place = document.layers().position(id).unwrap_or_default();
    let select = |document: &mut Document, layer, is_mask| {
        document.set_active(Target { layer, is_mask });
        Ok(None)
    };
    let at =
        |document: &Document, place: usize| document.layers().layers().get(place).map(|l| l.id());
    let change = |document: &mut Document, change: fn(&mut LayerLook)| {
        let Some(layer) = document.layers().get(id) else {
            return Ok(None);
        };
        let mut look = layer.look().clone();
        change(&mut look);
        document.set_layer_look(id, look)
    };
    match command {
        L::Add => document.add_layer().map(Some),
        L::Duplicate => document.duplicate_layer(id).map(Some),
        L::MergeDown => document.merge_down(id).map(Some),
        L::Delete => document.delete_layer(id).map(Some),
        L::Raise => document.move_layer(id, place + 1),
        L::Lower => document.move_layer(id, place.saturating_sub(1)),
        L::SelectAbove => {
            let above = at(document, place + 1).unwrap_or(id);
            select(document, above, false)
        }
        L::SelectBelow => {
            let below = place.checked_sub(1).and_then(|below| at(document, below));
            select(document, below.unwrap_or(id), false)
        }
        L::ToggleVisible => change(document, |look| look.is_visible ^= true),
        L::ToggleLock => change(document, |look| look.is_locked ^= true),
        L::ToggleMask => change(document, |look| look.is_mask_on ^= true),
        L::EditMask => select(document, id, !is_mask),
        L::ClearMask => document.clear_mask(id),
        L::Select(layer) => select(document, layer, false),
        L::MoveTo(layer, to) => document.move_layer(layer, to),
        L::SetLook(layer, look) => document.set_layer_look(layer, look),
        L::TryOpacity(layer, percent) => {
            document.try_opacity(layer, percent);
            Ok(None)
        }
    }
}
