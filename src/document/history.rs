//! Strokes as transactions, and undo without a limit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codes::{ABSENT, Codes, EMPTY};
use super::coordinates::{Coordinate, CoordinateDelta, OWN_SOURCE, SourceRef, Sources};
use super::geometry::{Geometry, Level, Rect, Wrap};
use super::layers::{BASE_LAYER, LayerEdit, LayerStack, Target, check_coordinate};
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
    pub(super) fn cells(&self) -> usize {
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
    pub(super) fn list_sources(&mut self, sources: &Sources) {
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

    /// The same stroke on a picture whose codes as encoded are `new` instead of `old`: on the first layer those
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

/// # Errors
/// `Damaged` where a coordinate names a source that a document with this many, beside its own, does not have.
pub(super) fn check_sources(
    coordinates: impl Iterator<Item = Coordinate>,
    count: usize,
) -> Result<()> {
    let mut coordinates = coordinates;
    if coordinates.any(|c| c.source != OWN_SOURCE && usize::from(c.source) > count) {
        return Err(Error::new(
            Kind::Damaged,
            "could not read where a cell comes from",
            "the document does not list that picture",
            "",
        ));
    }
    Ok(())
}

/// A few pixel rectangles that together cover everything added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dirty {
    rects: Vec<Rect>,
}

impl Dirty {
    /// More than this many are merged: each costs a decode window of its own.
    const MAX_RECTS: usize = 16;

    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// The smallest rectangle around all; empty when nothing was added.
    pub fn bounds(&self) -> Rect {
        self.rects
            .iter()
            .fold(Rect::default(), |all, rect| all.union(rect))
    }

    pub fn extend(&mut self, other: &Dirty) {
        for &rect in &other.rects {
            self.add(rect);
        }
    }

    pub fn add(&mut self, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        let waste =
            |a: &Rect, b: &Rect| a.union(b).area() as i64 - a.area() as i64 - b.area() as i64;
        let nearest =
            |rects: &[Rect], rect: &Rect| (0..rects.len()).min_by_key(|&i| waste(&rects[i], rect));
        let mut rect = rect;
        // Uniting is free when the pair covers at most a quarter more than it has to.
        while let Some(i) = nearest(&self.rects, &rect) {
            let free = waste(&self.rects[i], &rect) * 4 <= rect.area() as i64;
            if !free && self.rects.len() < Self::MAX_RECTS {
                break;
            }
            rect = rect.union(&self.rects.swap_remove(i));
        }
        self.rects.push(rect);
    }

    /// What pixels can change when the cells under these rectangles change: grown by `halo_px`,
    /// cut at the padded canvas or wrapped around it.
    pub fn with_halo(&self, halo_px: u32, geometry: Geometry, wrap: Wrap) -> Dirty {
        let mut grown = Dirty::default();
        for rect in &self.rects {
            let columns = span(rect.x, rect.width, halo_px, geometry.padded_width(), wrap.x);
            let rows = span(
                rect.y,
                rect.height,
                halo_px,
                geometry.padded_height(),
                wrap.y,
            );
            for &(y0, y1) in &rows {
                for &(x0, x1) in &columns {
                    grown.add(Rect::from_edges(x0, y0, x1, y1));
                }
            }
        }
        grown
    }
}

/// The one or two intervals that `[start, start + len)` grown by `by` covers on an axis of `size`.
fn span(start: u32, len: u32, by: u32, size: u32, wraps: bool) -> Vec<(u32, u32)> {
    let (from, to) = (
        i64::from(start) - i64::from(by),
        i64::from(start) + i64::from(len) + i64::from(by),
    );
    let size_i = i64::from(size);
    let inside = (from.clamp(0, size_i) as u32, to.clamp(0, size_i) as u32);
    if !wraps {
        return vec![inside];
    }
    if to - from >= size_i {
        return vec![(0, size)];
    }
    let mut spans = vec![inside];
    if from < 0 {
        spans.push(((from + size_i) as u32, size));
    }
    if to > size_i {
        spans.push((0, (to - size_i) as u32));
    }
    spans
}

/// A stroke in progress: changes of the same cell are merged, so that undo restores what was there
/// before the stroke.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenStroke {
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

/// The strokes of a document, and how many of them are applied. The oldest may be in the project's file only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Applied strokes older than `strokes`.
    older: u64,
    strokes: Vec<Arc<Stroke>>,
    cursor: usize,
    /// Cells that all strokes in memory change.
    cells: usize,
}

impl History {
    /// Cell changes kept in memory for one document: 12 bytes each, 200 MB. Older strokes stay in the project's
    /// file and are read from there when they are taken back.
    pub const MAX_CELLS: usize = 1 << 24;

    /// From stored strokes, the first `cursor` of them applied.
    ///
    /// # Errors
    /// `Damaged` when the cursor lies beyond the strokes.
    pub fn from_parts(strokes: Vec<Arc<Stroke>>, cursor: usize) -> Result<Self> {
        if cursor > strokes.len() {
            return Err(Error::new(
                Kind::Damaged,
                "could not read the history",
                format!("it stands at stroke {cursor} of {}", strokes.len()),
                "",
            ));
        }
        Ok(Self {
            older: 0,
            cells: strokes.iter().map(|stroke| stroke.cells()).sum(),
            strokes,
            cursor,
        })
    }

    /// The same with this many applied strokes before its first one.
    #[must_use]
    pub fn after(self, older: u64) -> Self {
        Self { older, ..self }
    }

    /// The strokes in memory, oldest first; those from [`History::cursor`] on are undone.
    pub fn strokes(&self) -> &[Arc<Stroke>] {
        &self.strokes
    }

    /// How many of the strokes in memory are applied.
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// How many applied strokes are not in memory: all of them are older than those that are.
    pub const fn older(&self) -> u64 {
        self.older
    }

    /// How many strokes are applied, those that are not in memory included: the number of the last one.
    pub const fn applied(&self) -> u64 {
        self.older + self.cursor as u64
    }

    pub fn can_undo(&self) -> bool {
        self.applied() > 0
    }

    pub fn can_redo(&self) -> bool {
        self.cursor < self.strokes.len()
    }

    /// Adds an applied stroke; undone strokes are forgotten, as everywhere.
    pub(super) fn push(&mut self, stroke: Arc<Stroke>) {
        for undone in self.strokes.drain(self.cursor..) {
            self.cells -= undone.cells();
        }
        self.cells += stroke.cells();
        self.strokes.push(stroke);
        self.cursor += 1;
    }

    pub(super) fn step_back(&mut self) -> Option<Arc<Stroke>> {
        self.cursor = self.cursor.checked_sub(1)?;
        self.strokes.get(self.cursor).cloned()
    }

    pub(super) fn step_forward(&mut self) -> Option<Arc<Stroke>> {
        let stroke = self.strokes.get(self.cursor).cloned()?;
        self.cursor += 1;
        Some(stroke)
    }

    /// Lets the oldest applied strokes go until the rest changes at most `cells` cells, except the last one
    /// applied and those with a number above `stored`.
    pub(super) fn forget(&mut self, cells: usize, stored: u64) {
        let mut count = 0;
        while self.cells > cells && count + 1 < self.cursor && self.older + (count as u64) < stored
        {
            self.cells -= self.strokes[count].cells();
            count += 1;
        }
        self.strokes.drain(..count);
        self.older += count as u64;
        self.cursor -= count;
    }

    /// Takes strokes back into memory that come right before those there. `false` where they do not.
    pub(super) fn recall(&mut self, first: u64, strokes: Vec<Arc<Stroke>>) -> bool {
        if first + strokes.len() as u64 != self.older + 1 {
            return false;
        }
        self.older -= strokes.len() as u64;
        self.cursor += strokes.len();
        self.cells += strokes.iter().map(|stroke| stroke.cells()).sum::<usize>();
        self.strokes.splice(..0, strokes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirty_rectangles_cover_everything_and_stay_few() {
        let mut dirty = Dirty::default();
        let mut all = Vec::new();
        for i in 0..200u32 {
            let rect = Rect::new((i * 7919) % 4000, (i * 104_729) % 4000, 4, 4);
            all.push(rect);
            dirty.add(rect);
        }
        assert!(dirty.rects().len() <= Dirty::MAX_RECTS);
        for rect in all {
            assert!(dirty.rects().iter().any(|d| d.intersect(&rect) == rect));
        }
    }

    fn stroke(cells: u32) -> Arc<Stroke> {
        let delta = |index| CellDelta {
            level: Level::Detail,
            index,
            before: 1,
            after: 2,
        };
        Arc::new(Stroke::new("a", (0..cells).map(delta).collect()))
    }

    #[test]
    fn old_strokes_leave_the_memory_once_they_are_stored_and_come_back() {
        let mut history = History::default();
        let all: Vec<Arc<Stroke>> = (1..=10).map(stroke).collect();
        for stroke in &all {
            history.push(stroke.clone());
        }
        // Nothing goes that is not in the file.
        history.forget(20, 0);
        assert_eq!((history.older(), history.strokes().len()), (0, 10));
        // 10 + 9 cells fit; the stroke of 8 does not.
        history.forget(20, 10);
        assert_eq!((history.older(), history.cursor()), (8, 2));
        assert_eq!(history.applied(), 10);
        // The last one stays, however large it is.
        history.forget(0, 10);
        assert_eq!((history.older(), history.cursor()), (9, 1));
        history.step_back().unwrap();
        assert!(history.step_back().is_none() && history.can_undo() && history.can_redo());
        assert!(!history.recall(3, all[2..5].to_vec()), "there is a gap");
        assert!(history.recall(4, all[3..9].to_vec()));
        assert_eq!((history.older(), history.cursor()), (3, 6));
        assert_eq!(history.strokes(), &all[3..]);
        // Undone strokes count until they are forgotten.
        history.push(stroke(3));
        assert_eq!((history.strokes().len(), history.applied()), (7, 10));
        history.forget(3, 10);
        assert_eq!((history.older(), history.strokes().len()), (9, 1));
    }

    #[test]
    fn twenty_fills_of_the_largest_picture_stay_within_the_budget() {
        let geometry = Geometry::new(8192, 8192).unwrap();
        let cells = geometry.cell_count(Level::Structure) + geometry.cell_count(Level::Detail);
        let fill = stroke(cells as u32);
        let mut history = History::default();
        for number in 1..=20 {
            history.push(fill.clone());
            history.forget(History::MAX_CELLS, number - 1);
            let held: usize = history.strokes().iter().map(|s| s.deltas.len()).sum();
            let bytes = held * size_of::<CellDelta>();
            assert!(bytes < 256 << 20, "{bytes} after {number}");
        }
        assert_eq!(history.applied(), 20);
    }

    #[test]
    fn neighbouring_cells_become_one_rectangle() {
        let mut dirty = Dirty::default();
        for i in 0..10 {
            dirty.add(Rect::new(i * 4, 8, 4, 4));
        }
        assert_eq!(dirty.rects(), [Rect::new(0, 8, 40, 4)]);
    }

    #[test]
    fn a_halo_is_cut_at_the_canvas_or_wraps() {
        let geometry = Geometry::new(64, 64).unwrap();
        let mut dirty = Dirty::default();
        dirty.add(Rect::new(0, 32, 4, 4));
        let cut = dirty.with_halo(8, geometry, Wrap::default());
        assert_eq!(cut.rects(), [Rect::new(0, 24, 12, 20)]);
        let wrapped = dirty.with_halo(8, geometry, Wrap { x: true, y: false });
        assert!(wrapped.rects().contains(&Rect::new(56, 24, 8, 20)));
        assert!(wrapped.rects().contains(&Rect::new(0, 24, 12, 20)));
    }
}
