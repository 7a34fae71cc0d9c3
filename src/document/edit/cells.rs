//! Setting cells within a stroke: codes, and where detail cells come from.

use std::sync::Arc;

use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::edit::document::Document;
use crate::document::edit::stroke::CellDelta;
use crate::document::grid::codes::{ABSENT, EMPTY, raw_code};
use crate::document::grid::coordinates::{Coordinate, CoordinateDelta, OWN_SOURCE};
use crate::document::grid::geometry::{Geometry, Level};
use crate::document::layers::{BASE_LAYER, Target};
use crate::error::{Error, Kind, Result};

impl Document {
    /// Sets one cell of the active layer within the open stroke and says whether that changed the layer.
    ///
    /// # Errors
    /// `Internal` when no stroke is open; `Usage` for a cell outside or an emptied structure cell.
    pub fn set_cell(&mut self, level: Level, index: u32, code: Option<u16>) -> Result<bool> {
        let is_mask = self.open.as_ref().is_some_and(|open| open.target.is_mask);
        let after = if is_mask { 1 } else { raw_code(code) };
        self.put_cell(level, index, after)
    }

    /// Sets one detail cell as [`Document::set_cell`] does, and says where it comes from. Its texture there is carried
    /// along. Painting the cell again, or the structure over it, on the same layer or one above, takes that away.
    ///
    /// # Errors
    /// As [`Document::set_cell`]; `Usage` for a picture that [`Document::sources`] does not list, or a place
    /// outside it.
    pub fn place_cell(
        &mut self,
        index: u32,
        code: Option<u16>,
        from: Option<Coordinate>,
    ) -> Result<bool> {
        let is_mask = self.open.as_ref().is_some_and(|open| open.target.is_mask);
        if is_mask {
            return self.set_cell(Level::Detail, index, code);
        }
        if let Some(from) = from {
            let geometry = match self.sources.get(from.source) {
                Some(source) => Geometry::new(source.width, source.height).ok(),
                None => (from.source == OWN_SOURCE).then_some(self.geometry),
            };
            if !geometry.is_some_and(|geometry| from.is_within(geometry)) {
                return Err(Error::usage(
                    "could not place a cell",
                    "it comes from a picture that is not known, or from beyond it",
                    "",
                ));
            }
        }
        self.put_from(Level::Detail, index, raw_code(code), from)
    }

    /// Writes a value as [`LayerStack::value`] gives it.
    pub(crate) fn put_cell(&mut self, level: Level, index: u32, after: u16) -> Result<bool> {
        self.put_from(level, index, after, None)
    }

    /// As [`Document::put_cell`], with the place that a detail cell comes from.
    fn put_from(
        &mut self,
        level: Level,
        index: u32,
        after: u16,
        from: Option<Coordinate>,
    ) -> Result<bool> {
        let Some(target) = self.open.as_ref().map(|open| open.target) else {
            return Err(Error::new(
                Kind::Internal,
                "could not paint a cell",
                "no stroke is open",
                "",
            ));
        };
        let is_inside = (index as usize) < self.geometry.cell_count(level);
        if !is_inside || (level == Level::Structure && after == EMPTY) {
            return Err(Error::usage(
                "could not paint a cell",
                format!("{level} cell {index} is outside, or a structure cell would be empty"),
                "",
            ));
        }
        let before = self.layers.value(target, level, index, &self.encoded);
        let came_from = match level {
            Level::Detail => self.layers.coordinate(target, index),
            Level::Structure => None,
        };
        // A cell of the lowest layer that is as encoded and comes from its own place is not changed.
        let is_itself = target.layer == BASE_LAYER
            && self.encoded.level(level).raw_at(index) == Some(after)
            && from == Some(Coordinate::own(self.geometry, index))
            && self.is_structure_as_encoded(target, index);
        let from = from.filter(|_| !is_itself);
        if before == after && came_from == from {
            return Ok(false);
        }
        if let Some(open) = self.open.as_mut() {
            open.record(CellDelta {
                level,
                index,
                before,
                after,
            });
            if came_from.is_some() || from.is_some() {
                open.record_coordinate(CoordinateDelta {
                    index,
                    before: came_from,
                    after: from,
                });
            }
        }
        self.layers.put(target, level, index, after, &self.encoded);
        if level == Level::Detail {
            self.layers.put_coordinate(target, index, from);
        }
        if level == Level::Structure && !target.is_mask {
            self.forget_coordinates_under(target, index);
        }
        self.compose_cell(level, index);
        self.revision += 1;
        Ok(true)
    }

    pub(crate) fn is_structure_as_encoded(&self, target: Target, detail_index: u32) -> bool {
        let over = self.geometry.structure_over(detail_index);
        let found = self
            .layers
            .value(target, Level::Structure, over, &self.encoded);
        self.encoded.structure.raw_at(over) == Some(found)
    }

    /// What a structure cell of the target has painted over it does not look like its source any more.
    fn forget_coordinates_under(&mut self, target: Target, structure_index: u32) {
        if !self.layers.has_coordinates() {
            return;
        }
        for index in self.detail_under(structure_index) {
            let Some(before) = self.layers.coordinate(target, index) else {
                continue;
            };
            let code = (self.layers).value(target, Level::Detail, index, &self.encoded);
            if let Some(open) = self.open.as_mut() {
                open.record(CellDelta {
                    level: Level::Detail,
                    index,
                    before: code,
                    after: code,
                });
                open.record_coordinate(CoordinateDelta {
                    index,
                    before: Some(before),
                    after: None,
                });
            }
            self.layers.put_coordinate(target, index, None);
        }
    }

    pub(crate) fn compose_cell(&mut self, level: Level, index: u32) {
        if !self.coordinates.is_empty() || self.layers.has_coordinates() {
            match level {
                Level::Detail => self.compose_coordinate(index),
                Level::Structure => {
                    for under in self.detail_under(index) {
                        self.compose_coordinate(under);
                    }
                }
            }
        }
        let raw = self.layers.composed(level, index, &self.encoded);
        if self.edited.level(level).raw_at(index) != Some(raw) {
            Arc::make_mut(&mut self.edited)
                .level_mut(level)
                .set_raw(index, raw);
        }
    }

    fn compose_coordinate(&mut self, index: u32) {
        let over = self.geometry.structure_over(index);
        let count = self.layers.layers().len();
        let from = self.layers.coordinate_of(count, index, over);
        if self.coordinates.get(index) != from {
            Arc::make_mut(&mut self.coordinates).set(index, from);
        }
    }

    /// Paints one cell; a structure cell also decides over the detail under it.
    ///
    /// # Errors
    /// As [`Document::set_cell`].
    pub fn paint_cell(
        &mut self,
        level: Level,
        index: u32,
        code: Option<u16>,
        detail: DetailPolicy,
    ) -> Result<bool> {
        let mut changed = self.set_cell(level, index, code)?;
        if level == Level::Structure && detail != DetailPolicy::Keep {
            for under in self.detail_under(index) {
                changed |= self.set_cell(Level::Detail, under, detail.code())?;
            }
        }
        Ok(changed)
    }

    /// Takes the active layer's code of a cell away, so that what is below shows; a structure cell's together
    /// with those of the detail under it.
    ///
    /// # Errors
    /// As [`Document::set_cell`].
    pub fn erase_cell(&mut self, level: Level, index: u32) -> Result<bool> {
        let mut changed = self.put_cell(level, index, self.erased(level, index))?;
        if level == Level::Structure {
            for under in self.detail_under(index) {
                changed |= self.erase_cell(Level::Detail, under)?;
            }
        }
        Ok(changed)
    }

    /// As [`Document::erase_cell`], for the cell alone: the detail under it stays.
    ///
    /// # Errors
    /// As [`Document::set_cell`].
    pub fn clear_cell(&mut self, level: Level, index: u32) -> Result<bool> {
        self.put_cell(level, index, self.erased(level, index))
    }

    /// What an erased cell of the open stroke's target has.
    fn erased(&self, level: Level, index: u32) -> u16 {
        let target = self.open.as_ref().map_or(self.active, |open| open.target);
        match target {
            Target { is_mask: true, .. } => 0,
            Target {
                layer: BASE_LAYER, ..
            } => self.encoded.level(level).raw_at(index).unwrap_or(EMPTY),
            _ => ABSENT,
        }
    }
}
