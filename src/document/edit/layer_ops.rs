//! What an artist does to layers. Each is one entry of the history.

use std::sync::Arc;

use crate::document::edit::document::Document;
use crate::document::edit::stroke::{CellDelta, Stroke};
use crate::document::grid::coordinates::CoordinateDelta;
use crate::document::grid::geometry::Level;
use crate::document::layers::{
    BASE_LAYER, Layer, LayerEdit, LayerId, LayerLook, LayerStack, MAX_LAYERS, Target,
};
use crate::error::{Error, Kind, Result};

impl Document {
    /// Strokes change this from now on. `false` where there is no such layer or a stroke is open.
    pub fn set_active(&mut self, target: Target) -> bool {
        let can = self.open.is_none() && self.layers.get(target.layer).is_some();
        if can {
            self.active = target;
        }
        can
    }

    /// A new empty layer above the active one, which becomes the active one.
    ///
    /// # Errors
    /// `Limit` beyond [`MAX_LAYERS`]; `Internal` while a stroke is open.
    pub fn add_layer(&mut self) -> Result<Arc<Stroke>> {
        let id = self.layers.fresh_id();
        let look = LayerLook::new(format!("Layer {}", id + 1));
        let label = format!("Add {}", look.name);
        self.insert(label, Layer::new(id, look))
    }

    /// A copy of a layer above it, which becomes the active one.
    ///
    /// # Errors
    /// As [`Document::add_layer`]; `NotFound` for an unknown layer.
    pub fn duplicate_layer(&mut self, id: LayerId) -> Result<Arc<Stroke>> {
        let (_, layer) = self.found(id)?;
        let look = LayerLook {
            is_locked: false,
            ..layer.look().clone()
        };
        let label = format!("Duplicate {}", look.name);
        let look = LayerLook {
            name: LayerLook::new(format!("{} copy", look.name)).name,
            ..look
        };
        let mut copy = layer.copied(self.layers.fresh_id(), look);
        // Only on the lowest layer does a cell without a code have the one as encoded.
        for index in layer.coordinates_alone() {
            copy.set(Level::Detail, index, self.encoded.detail.raw_at(index));
        }
        self.active.layer = id;
        self.insert(label, copy)
    }

    fn insert(&mut self, label: String, layer: Layer) -> Result<Arc<Stroke>> {
        if self.layers.layers().len() >= MAX_LAYERS {
            return Err(Error::new(
                Kind::Limit,
                "could not add a layer",
                format!("a picture has at most {MAX_LAYERS}"),
                "Merge or delete some",
            ));
        }
        let id = layer.id();
        let place = (self.layers.position(self.active.layer))
            .map_or(self.layers.layers().len(), |place| place + 1);
        let edit = LayerEdit::Insert {
            place,
            layer: Box::new(layer),
        };
        let stroke = self.rearrange(label, Vec::new(), vec![edit])?;
        self.active = Target {
            layer: id,
            is_mask: false,
        };
        Ok(stroke)
    }

    /// # Errors
    /// `Usage` for the only layer or a locked one; `NotFound`; `Internal` while a stroke is open.
    pub fn delete_layer(&mut self, id: LayerId) -> Result<Arc<Stroke>> {
        let (place, layer) = self.found(id)?;
        unlocked("could not delete the layer", layer)?;
        if self.layers.layers().len() == 1 {
            return Err(Error::usage(
                "could not delete the layer",
                "it is the only one",
                "Erase what it changes, or hide it",
            ));
        }
        let label = format!("Delete {}", layer.look().name);
        let edit = LayerEdit::Remove {
            place,
            layer: Box::new(layer.clone()),
        };
        self.rearrange(label, Vec::new(), vec![edit])
    }

    /// Moves a layer to a place counted from below. `None` where it is there already.
    ///
    /// # Errors
    /// `NotFound`; `Internal` while a stroke is open.
    pub fn move_layer(&mut self, id: LayerId, to: usize) -> Result<Option<Arc<Stroke>>> {
        let (from, layer) = self.found(id)?;
        let to = to.min(self.layers.layers().len() - 1);
        if from == to {
            return Ok(None);
        }
        let label = format!("Move {}", layer.look().name);
        let edit = LayerEdit::Move { from, to };
        self.rearrange(label, Vec::new(), vec![edit]).map(Some)
    }

    /// Shows a layer with this opacity (0 to 100) until the next change, outside the history: while a slider
    /// is dragged.
    pub fn try_opacity(&mut self, id: LayerId, opacity_percent: u8) {
        let Some(layer) = self.layers.get(id).filter(|_| self.open.is_none()) else {
            return;
        };
        let before = layer.look().clone();
        let after = LayerLook {
            opacity_percent: opacity_percent.min(100),
            ..before.clone()
        };
        if self.tried.as_ref().is_none_or(|(tried, _)| *tried != id) {
            self.end_trial();
            self.tried = Some((id, before.clone()));
        }
        self.layers.apply(&LayerEdit::Look { id, before, after });
        self.revision += 1;
        self.rearranged();
    }

    /// Whether a layer is shown otherwise than the history says: see [`Document::try_opacity`].
    pub const fn is_trying(&self) -> bool {
        self.tried.is_some()
    }

    /// The layer tried out is as it was.
    pub(crate) fn end_trial(&mut self) {
        if let Some((id, look)) = self.tried.take() {
            let before = look.clone();
            let after = look;
            self.layers.apply(&LayerEdit::Look { id, before, after });
            self.revision += 1;
            self.rearranged();
        }
    }

    /// Shows a layer differently. `None` where nothing changes.
    ///
    /// # Errors
    /// `Usage` for an opacity out of range; `NotFound`; `Internal` while a stroke is open.
    pub fn set_layer_look(&mut self, id: LayerId, look: LayerLook) -> Result<Option<Arc<Stroke>>> {
        self.end_trial();
        let (_, layer) = self.found(id)?;
        let before = layer.look().clone();
        let look = LayerLook {
            name: LayerLook::new(look.name.trim()).name,
            ..look
        };
        if look.opacity_percent > 100 || look.name.is_empty() {
            return Err(Error::usage(
                "could not change the layer",
                "its opacity goes from 0 to 100 % and its name is not empty",
                "",
            ));
        }
        if before == look {
            return Ok(None);
        }
        let name = &before.name;
        let label = if before.name != look.name {
            format!("Rename {name} to {}", look.name)
        } else if before.opacity_percent != look.opacity_percent {
            format!("{name}: opacity {} %", look.opacity_percent)
        } else if before.is_locked != look.is_locked {
            format!("{} {name}", if look.is_locked { "Lock" } else { "Unlock" })
        } else if before.is_visible != look.is_visible {
            format!("{} {name}", if look.is_visible { "Show" } else { "Hide" })
        } else {
            format!(
                "Mask of {name} {}",
                if look.is_mask_on { "on" } else { "off" }
            )
        };
        let edit = LayerEdit::Look {
            id,
            before,
            after: look,
        };
        self.rearrange(label, Vec::new(), vec![edit]).map(Some)
    }

    /// Writes what a layer shows into the one below it and takes it away. Codes cannot be mixed: where it has
    /// one, it replaces the lower one's, whatever its opacity.
    ///
    /// # Errors
    /// `Usage` where nothing is below, or one of both is locked or hidden; `NotFound`; `Internal` while a stroke is open.
    pub fn merge_down(&mut self, id: LayerId) -> Result<Arc<Stroke>> {
        const WHAT: &str = "could not merge the layer";
        let (place, upper) = self.found(id)?;
        let Some(lower) = place
            .checked_sub(1)
            .map(|below| &self.layers.layers()[below])
        else {
            return Err(Error::usage(
                WHAT,
                "there is none below it",
                "Move it up first",
            ));
        };
        for layer in [upper, lower] {
            unlocked(WHAT, layer)?;
            if !layer.look().is_visible {
                return Err(Error::usage(
                    WHAT,
                    format!("“{}” is hidden", layer.look().name),
                    "Show it first",
                ));
            }
        }
        let target = Target {
            layer: lower.id(),
            is_mask: false,
        };
        let (deltas, coordinates) = self.merged(upper, target);
        let label = format!("Merge {} into {}", upper.look().name, lower.look().name);
        let edit = LayerEdit::Remove {
            place,
            layer: Box::new(upper.clone()),
        };
        self.active = target;
        self.rearrange_with(label, deltas, coordinates, vec![edit])
    }

    /// What a layer's cells do to the target below it.
    fn merged(&self, upper: &Layer, target: Target) -> (Vec<CellDelta>, Vec<CoordinateDelta>) {
        let mut cells: Vec<(Level, u32)> = upper.changed().collect();
        // Structure that is painted takes the coordinates under it away.
        let painted: Vec<u32> = (upper.cells(Level::Structure).iter())
            .filter(|(index, _)| upper.shown(Level::Structure, *index).is_some())
            .map(|(index, _)| index)
            .collect();
        for structure in painted {
            let under = self.detail_under(structure);
            let carries = |index: &u32| self.layers.coordinate(target, *index).is_some();
            cells.extend(under.filter(carries).map(|index| (Level::Detail, index)));
        }
        cells.sort_unstable();
        cells.dedup();
        let (mut deltas, mut coordinates) = (Vec::new(), Vec::new());
        for (level, index) in cells {
            let before = self.layers.value(target, level, index, &self.encoded);
            let mut after = upper.shown(level, index).unwrap_or(before);
            let mut moved = None;
            if level == Level::Detail {
                let (from, to) = (
                    self.layers.coordinate(target, index),
                    upper.shown_coordinate(index),
                );
                let over = self.geometry.structure_over(index);
                let is_covered = upper.shown(level, index).is_some()
                    || upper.shown(Level::Structure, over).is_some();
                if to.is_some() && upper.shown(level, index).is_none() {
                    after = self.encoded.detail.raw_at(index).unwrap_or(after);
                }
                let to = to.or(from.filter(|_| !is_covered));
                moved = (from.is_some() || to.is_some()).then_some((from, to));
            }
            let is_moved = moved.is_some_and(|(from, to)| from != to);
            if before == after && !is_moved {
                continue;
            }
            deltas.push(CellDelta {
                level,
                index,
                before,
                after,
            });
            if let Some((before, after)) = moved {
                coordinates.push(CoordinateDelta {
                    index,
                    before,
                    after,
                });
            }
        }
        (deltas, coordinates)
    }

    /// Shows again everything that a layer's mask hides. `None` where it hides nothing.
    ///
    /// # Errors
    /// `Usage` for a locked layer; `NotFound`; `Internal` while a stroke is open.
    pub fn clear_mask(&mut self, id: LayerId) -> Result<Option<Arc<Stroke>>> {
        let (_, layer) = self.found(id)?;
        unlocked("could not clear the mask", layer)?;
        let cells: Vec<(Level, u32)> = Level::ALL
            .into_iter()
            .flat_map(|level| {
                layer
                    .hidden(level)
                    .iter()
                    .map(move |(index, _)| (level, index))
            })
            .collect();
        let label = format!("Clear the mask of {}", layer.look().name);
        let target = Target {
            layer: id,
            is_mask: true,
        };
        self.begin_on(target, label)?;
        for (level, index) in cells {
            self.put_cell(level, index, 0)?;
        }
        Ok(self.commit())
    }

    /// Makes the layers those of an earlier state, as a new entry of the history. `None` where they are that already.
    ///
    /// # Errors
    /// `Damaged` where they do not fit the picture; `Internal` while a stroke is open.
    pub fn replace_layers(
        &mut self,
        label: impl Into<String>,
        after: LayerStack,
    ) -> Result<Option<Arc<Stroke>>> {
        let after = LayerStack::from_layers(after.layers().to_vec(), self.geometry, None)?;
        after.check_sources(self.sources.list().len())?;
        if after.layers() == self.layers.layers() {
            return Ok(None);
        }
        let edit = LayerEdit::Replace {
            before: Box::new(self.layers.clone()),
            after: Box::new(after),
        };
        self.rearrange(label.into(), Vec::new(), vec![edit])
            .map(Some)
    }

    fn found(&self, id: LayerId) -> Result<(usize, &Layer)> {
        let place = self.layers.position(id);
        place
            .map(|place| (place, &self.layers.layers()[place]))
            .ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    "could not change the layer",
                    "it is gone",
                    "Choose another one",
                )
            })
    }

    /// One history entry that changes the layers; its deltas are of the active target.
    fn rearrange(
        &mut self,
        label: String,
        deltas: Vec<CellDelta>,
        edits: Vec<LayerEdit>,
    ) -> Result<Arc<Stroke>> {
        self.rearrange_with(label, deltas, Vec::new(), edits)
    }

    fn rearrange_with(
        &mut self,
        label: String,
        deltas: Vec<CellDelta>,
        coordinates: Vec<CoordinateDelta>,
        edits: Vec<LayerEdit>,
    ) -> Result<Arc<Stroke>> {
        if self.open.is_some() {
            return Err(crate::document::edit::document::already_open());
        }
        self.end_trial();
        let mut stroke = Stroke {
            label,
            target: match deltas.as_slice() {
                [] => Target::default(),
                _ => self.active,
            },
            deltas,
            coordinates,
            sources: Vec::new(),
            edits,
        };
        stroke.list_sources(&self.sources);
        let stroke = Arc::new(stroke);
        self.step(&stroke, true);
        self.history.push(Arc::clone(&stroke));
        Ok(stroke)
    }

    /// After the layers themselves have changed.
    pub(crate) fn rearranged(&mut self) {
        self.arrangement += 1;
        if self.layers.get(self.active.layer).is_none() {
            self.active = Target {
                layer: self.layers.layers().last().map_or(BASE_LAYER, Layer::id),
                is_mask: false,
            };
        }
        let count = self.layers.layers().len();
        self.edited = Arc::new(self.layers.compose(count, &self.encoded));
        self.coordinates = Arc::new(self.layers.compose_coordinates(count, self.geometry));
    }
}

fn unlocked(what: &str, layer: &Layer) -> Result<()> {
    if layer.look().is_locked {
        return Err(Error::usage(
            what,
            format!("“{}” is locked", layer.look().name),
            "Unlock it first",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
