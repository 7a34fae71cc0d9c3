//! Strokes as transactions: what one changes, and how it is done and taken back.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::document::grid::codes::{ABSENT, Codes, EMPTY};
use crate::document::grid::coordinates::{
    Coordinate, CoordinateDelta, OWN_SOURCE, SourceRef, Sources, check_sources,
};
use crate::document::grid::dirty::Dirty;
use crate::document::grid::geometry::{Geometry, Level};
use crate::document::layers::{BASE_LAYER, LayerEdit, LayerStack, Target, check_coordinate};
use crate::error::{Error, Kind, Result};

/// One cell that a stroke changed. `before` and `after` are stored codes ([`EMPTY`] for empty detail); within a
/// stroke they are what its [`Target`] has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellDelta {
    pub level: Level,
    /// Cell index, row by row, in the level's grid.
    pub index: u32,
    pub before: u16,
    pub after: u16,
}

impl CellDelta {
    /// The change that takes this one back.
    pub fn reversed(self) -> Self {
        Self {
            before: self.after,
            after: self.before,
            ..self
        }
    }
}

/// One undoable edit. Each cell appears at most once, with `before != after`, or with another coordinate than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stroke {
    /// What the person did, for the history list: "Brush, code 17".
    pub label: String,
    /// What the deltas change.
    pub target: Target,
    pub deltas: Vec<CellDelta>,
    /// Where detail cells among the deltas come from, and came from; those that came from nowhere and still do are not
    /// here.
    pub coordinates: Vec<CoordinateDelta>,
    /// The other pictures that cells come from now, and all listed before them, with their numbers. Empty in strokes
    /// from a file, which lists them by document.
    pub sources: Vec<(u16, SourceRef)>,
    /// Changes of the layers themselves, done after the deltas.
    pub edits: Vec<LayerEdit>,
}

impl Stroke {
    /// A stroke on the layer that every document begins with.
    pub fn new(label: impl Into<String>, deltas: Vec<CellDelta>) -> Self {
        Self {
            label: label.into(),
            target: Target::default(),
            deltas,
            coordinates: Vec::new(),
            sources: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty() && self.edits.is_empty()
    }

    /// Cells that it holds, of layers as well: what it takes of the memory.
    pub(crate) fn cells(&self) -> usize {
        let layers: usize = self.edits.iter().map(LayerEdit::cells).sum();
        self.deltas.len() + self.coordinates.len() + layers
    }

    /// Checks a stroke from a file before it is applied.
    ///
    /// # Errors
    /// `Damaged` when a delta points outside the grids or empties a structure cell.
    pub fn check(&self, geometry: Geometry) -> Result<()> {
        for delta in &self.deltas {
            let outside = delta.index as usize >= geometry.cell_count(delta.level);
            let emptied = !self.target.is_mask
                && delta.level == Level::Structure
                && [delta.before, delta.after].contains(&EMPTY);
            let is_odd = match self.target {
                Target { is_mask: true, .. } => delta.before.max(delta.after) > 1,
                Target { layer, .. } => {
                    layer == BASE_LAYER && [delta.before, delta.after].contains(&ABSENT)
                }
            };
            if outside || emptied || is_odd {
                return Err(Error::new(
                    Kind::Damaged,
                    "could not apply a stroke",
                    format!(
                        "it {} {} cell {}",
                        match (outside, emptied) {
                            (true, _) => "points outside the picture at",
                            (_, true) => "empties",
                            _ => "gives no code to",
                        },
                        delta.level,
                        delta.index
                    ),
                    "",
                ));
            }
        }
        for delta in &self.coordinates {
            let is_outside = delta.index as usize >= geometry.cell_count(Level::Detail);
            if is_outside || self.target.is_mask {
                return Err(Error::new(
                    Kind::Damaged,
                    "could not apply a stroke",
                    "it says of a cell that is not there where it comes from",
                    "",
                ));
            }
            for coordinate in [delta.before, delta.after].into_iter().flatten() {
                check_coordinate(coordinate, geometry)?;
            }
        }
        self.edits
            .iter()
            .try_for_each(|edit| edit.check(geometry, None))
    }

    /// Checks that every coordinate names a source of a document that has this many beside its own.
    ///
    /// # Errors
    /// `Damaged` where one does not.
    pub fn check_sources(&self, count: usize) -> Result<()> {
        let of_strokes = (self.coordinates.iter())
            .flat_map(|delta| [delta.before, delta.after])
            .flatten();
        let of_layers = self.edits.iter().flat_map(LayerEdit::coordinates);
        check_sources(of_strokes.chain(of_layers), count)
    }

    /// Names the pictures that its cells come from, and those listed before them.
    pub(crate) fn list_sources(&mut self, sources: &Sources) {
        let of_layers = self.edits.iter().flat_map(LayerEdit::coordinates);
        let last = (self.coordinates.iter().filter_map(|delta| delta.after))
            .chain(of_layers)
            .map(|coordinate| coordinate.source)
            .max();
        self.sources = (1..=last.unwrap_or(OWN_SOURCE))
            .filter_map(|number| Some((number, sources.get(number)?.clone())))
            .collect();
    }

    /// Does it to the layers over `encoded`.
    pub fn apply(&self, stack: &mut LayerStack, encoded: &Codes) {
        for delta in &self.deltas {
            stack.put(self.target, delta.level, delta.index, delta.after, encoded);
        }
        for delta in &self.coordinates {
            stack.put_coordinate(self.target, delta.index, delta.after);
        }
        for edit in &self.edits {
            stack.apply(edit);
        }
    }

    /// Takes it back.
    pub fn revert(&self, stack: &mut LayerStack, encoded: &Codes) {
        for edit in self.edits.iter().rev() {
            stack.apply(&edit.inverse());
        }
        for delta in self.deltas.iter().rev() {
            stack.put(self.target, delta.level, delta.index, delta.before, encoded);
        }
        for delta in &self.coordinates {
            stack.put_coordinate(self.target, delta.index, delta.before);
        }
    }

    /// This stroke on a picture whose codes as encoded are `new` instead of `old`: on the first layer those
    /// stand for cells without a code of its own.
    #[must_use]
    pub fn reencoded(&self, old: &Codes, new: &Codes) -> Self {
        if self.target != Target::default() {
            return self.clone();
        }
        let renewed = |level: Level, index: u32, value: u16| match old.level(level).raw_at(index)
            == Some(value)
        {
            true => new.level(level).raw_at(index).unwrap_or(value),
            false => value,
        };
        let places: HashMap<u32, CoordinateDelta> = (self.coordinates.iter())
            .map(|delta| (delta.index, *delta))
            .collect();
        let deltas = (self.deltas.iter())
            .filter_map(|delta| {
                let place = places
                    .get(&delta.index)
                    .filter(|_| delta.level == Level::Detail);
                // A code that came from somewhere was copied there, and is no code as encoded.
                let renew = |value, place: Option<Coordinate>| match place {
                    Some(_) => value,
                    None => renewed(delta.level, delta.index, value),
                };
                let before = renew(delta.before, place.and_then(|place| place.before));
                let after = renew(delta.after, place.and_then(|place| place.after));
                (before != after || place.is_some()).then_some(CellDelta {
                    before,
                    after,
                    ..*delta
                })
            })
            .collect();
        Self {
            deltas,
            ..self.clone()
        }
    }

    /// Whether it was made on these layers: everything is as it says it found it.
    pub fn follows(&self, stack: &LayerStack, encoded: &Codes) -> bool {
        let has_target = self.deltas.is_empty() || stack.get(self.target.layer).is_some();
        let as_found = |delta: &CellDelta| {
            stack.value(self.target, delta.level, delta.index, encoded) == delta.before
        };
        let comes_as_found =
            |delta: &CoordinateDelta| stack.coordinate(self.target, delta.index) == delta.before;
        let is_as_found =
            self.deltas.iter().all(as_found) && self.coordinates.iter().all(comes_as_found);
        if !has_target || !is_as_found {
            return false;
        }
        match self.edits.as_slice() {
            [] => true,
            edits => {
                let mut trial = stack.clone();
                Stroke {
                    edits: Vec::new(),
                    ..self.clone()
                }
                .apply(&mut trial, encoded);
                edits.iter().all(|edit| {
                    let fits = edit.fits(&trial);
                    trial.apply(edit);
                    fits
                })
            }
        }
    }

    /// The changed cells as a few pixel rectangles in padded coordinates, without halo.
    pub fn dirty(&self, geometry: Geometry) -> Dirty {
        let mut dirty = Dirty::default();
        for delta in &self.deltas {
            dirty.add(geometry.cell_pixels(delta.level, delta.index));
        }
        dirty
    }
}

/// A stroke in progress: changes of the same cell are merged, so that undo restores what was there
/// before the stroke.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenStroke {
    label: String,
    pub target: Target,
    deltas: Vec<CellDelta>,
    position: HashMap<(Level, u32), u32>,
    coordinates: Vec<CoordinateDelta>,
    coordinate_position: HashMap<u32, u32>,
}

impl OpenStroke {
    pub fn new(label: String, target: Target) -> Self {
        Self {
            label,
            target,
            ..Self::default()
        }
    }

    pub fn record(&mut self, delta: CellDelta) {
        match self.position.entry((delta.level, delta.index)) {
            std::collections::hash_map::Entry::Occupied(at) => {
                self.deltas[*at.get() as usize].after = delta.after;
            }
            std::collections::hash_map::Entry::Vacant(at) => {
                at.insert(self.deltas.len() as u32);
                self.deltas.push(delta);
            }
        }
    }

    /// Takes down where a detail cell comes from; its code is recorded as well, also where it stays.
    pub fn record_coordinate(&mut self, delta: CoordinateDelta) {
        match self.coordinate_position.entry(delta.index) {
            std::collections::hash_map::Entry::Occupied(at) => {
                self.coordinates[*at.get() as usize].after = delta.after;
            }
            std::collections::hash_map::Entry::Vacant(at) => {
                at.insert(self.coordinates.len() as u32);
                self.coordinates.push(delta);
            }
        }
    }

    pub fn finish(mut self) -> Stroke {
        let code_of = |index: u32| {
            let at = self.position.get(&(Level::Detail, index))?;
            self.deltas.get(*at as usize)
        };
        (self.coordinates).retain(|d| {
            let is_recoded = code_of(d.index).is_some_and(|code| code.before != code.after);
            d.before != d.after || (is_recoded && d.after.is_some())
        });
        let moved: HashSet<u32> = (self.coordinates.iter()).map(|delta| delta.index).collect();
        self.deltas.retain(|d| {
            d.before != d.after || (d.level == Level::Detail && moved.contains(&d.index))
        });
        Stroke {
            label: self.label,
            target: self.target,
            deltas: self.deltas,
            coordinates: self.coordinates,
            sources: Vec::new(),
            edits: Vec::new(),
        }
    }
}
