//! Changes of the layers themselves: done, undone and checked.

use crate::document::grid::codes::Codebooks;
use crate::document::grid::coordinates::Coordinate;
use crate::document::grid::geometry::{Geometry, Level};
use crate::document::layers::{BASE_LAYER, Layer, LayerId, LayerLook, LayerStack, MAX_LAYERS};
use crate::error::Result;

/// A change of the layers themselves, with what it takes to undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerEdit {
    Insert {
        place: usize,
        layer: Box<Layer>,
    },
    Remove {
        place: usize,
        layer: Box<Layer>,
    },
    Move {
        from: usize,
        to: usize,
    },
    Look {
        id: LayerId,
        before: LayerLook,
        after: LayerLook,
    },
    /// All layers at once: back to a snapshot.
    Replace {
        before: Box<LayerStack>,
        after: Box<LayerStack>,
    },
}

impl LayerEdit {
    /// Cells that it holds.
    pub(in crate::document) fn cells(&self) -> usize {
        let of_layer = |layer: &Layer| -> usize {
            let of_level = |level: &Level| layer.cells(*level).len() + layer.hidden(*level).len();
            layer.coordinates.len() + Level::ALL.iter().map(of_level).sum::<usize>()
        };
        let of_stack = |stack: &LayerStack| stack.layers.iter().map(of_layer).sum::<usize>();
        match self {
            Self::Insert { layer, .. } | Self::Remove { layer, .. } => of_layer(layer),
            Self::Replace { before, after } => of_stack(before) + of_stack(after),
            Self::Move { .. } | Self::Look { .. } => 0,
        }
    }

    pub(in crate::document) fn inverse(&self) -> Self {
        match self.clone() {
            Self::Insert { place, layer } => Self::Remove { place, layer },
            Self::Remove { place, layer } => Self::Insert { place, layer },
            Self::Move { from, to } => Self::Move { from: to, to: from },
            Self::Look { id, before, after } => Self::Look {
                id,
                before: after,
                after: before,
            },
            Self::Replace { before, after } => Self::Replace {
                before: after,
                after: before,
            },
        }
    }

    /// Whether it can be done to these layers and undone again.
    pub fn fits(&self, stack: &LayerStack) -> bool {
        let count = stack.layers.len();
        match self {
            Self::Insert { place, layer } => {
                *place <= count && count < MAX_LAYERS && stack.get(layer.id).is_none()
            }
            Self::Remove { place, layer } => {
                count > 1 && stack.layers.get(*place) == Some(&**layer)
            }
            Self::Move { from, to } => *from < count && *to < count,
            Self::Look { id, before, .. } => {
                stack.get(*id).is_some_and(|layer| layer.look == *before)
            }
            Self::Replace { before, .. } => before.layers == stack.layers,
        }
    }

    /// All coordinates in the layers that it brings or takes away.
    pub(in crate::document) fn coordinates(&self) -> Box<dyn Iterator<Item = Coordinate> + '_> {
        match self {
            Self::Insert { layer, .. } | Self::Remove { layer, .. } => {
                Box::new(layer.coordinates.iter().map(|(_, at)| at))
            }
            Self::Move { .. } | Self::Look { .. } => Box::new(std::iter::empty()),
            Self::Replace { before, after } => {
                Box::new(before.coordinates().chain(after.coordinates()))
            }
        }
    }

    /// The largest id that it names.
    pub(in crate::document) fn last_id(&self) -> LayerId {
        match self {
            Self::Insert { layer, .. } | Self::Remove { layer, .. } => layer.id,
            Self::Move { .. } => BASE_LAYER,
            Self::Look { id, .. } => *id,
            Self::Replace { before, after } => before.next_id.max(after.next_id).saturating_sub(1),
        }
    }

    /// Checks an edit from a file.
    ///
    /// # Errors
    /// `Damaged` when a layer in it does not fit the picture.
    pub fn check(&self, geometry: Geometry, codebooks: Option<Codebooks>) -> Result<()> {
        match self {
            Self::Insert { layer, .. } | Self::Remove { layer, .. } => {
                layer.check(geometry, codebooks)
            }
            Self::Look { after, .. } => {
                Layer::new(BASE_LAYER, after.clone()).check(geometry, codebooks)
            }
            Self::Replace { .. } | Self::Move { .. } => Ok(()),
        }
    }
}

impl LayerStack {
    pub(in crate::document) fn apply(&mut self, edit: &LayerEdit) {
        match edit {
            LayerEdit::Insert { place, layer } => {
                self.next_id = self.next_id.max(layer.id.saturating_add(1));
                let place = (*place).min(self.layers.len());
                self.layers.insert(place, (**layer).clone());
            }
            LayerEdit::Remove { layer, .. } => {
                if self.layers.len() > 1 {
                    self.layers.retain(|other| other.id != layer.id);
                }
            }
            LayerEdit::Move { from, to } => {
                if *from < self.layers.len() && *to < self.layers.len() {
                    let layer = self.layers.remove(*from);
                    self.layers.insert(*to, layer);
                }
            }
            LayerEdit::Look { id, after, .. } => {
                if let Some(layer) = self.layers.iter_mut().find(|layer| layer.id == *id) {
                    layer.look.clone_from(after);
                }
            }
            LayerEdit::Replace { after, .. } => {
                let next_id = self.next_id.max(after.next_id);
                self.clone_from(after);
                self.next_id = next_id;
            }
        }
    }
}
