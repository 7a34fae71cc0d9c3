//! The document itself: its codes as encoded and under its layers, the open stroke and the history.

use std::sync::Arc;

use super::history::History;
use super::stroke::{CellDelta, OpenStroke, Stroke};
use crate::document::grid::codes::Codes;
use crate::document::grid::coordinates::{
    Coordinate, CoordinateDelta, CoordinateGrid, SourcePictures, SourceRef, Sources, origin,
};
use crate::document::grid::geometry::{DETAIL_STRIDE_PX, Geometry, Level, Wrap};
use crate::document::grid::source::Source;
use crate::document::layers::{
    BASE_LAYER, Layer, LayerEdit, LayerId, LayerLook, LayerStack, Target,
};
use crate::error::{Error, Kind, Result};

/// A picture being edited.
///
/// The codes as encoded never change. Layers lie over them; tools change the active one. Erasing a cell takes
/// the layer's code away, and where nothing differs from the codes as encoded the picture is its source, byte
/// for byte.
#[derive(Debug, Clone)]
pub struct Document {
    pub(in crate::document) geometry: Geometry,
    pub(in crate::document) source: Source,
    pub(in crate::document) encoded: Arc<Codes>,
    pub(in crate::document) edited: Arc<Codes>,
    /// Where cells of the picture come from, under all shown layers; a cell without an entry comes from its own place
    /// where its codes are those as encoded, and from nowhere else.
    pub(in crate::document) coordinates: Arc<CoordinateGrid>,
    pub(in crate::document) sources: Sources,
    pub(in crate::document) layers: LayerStack,
    pub(in crate::document) active: Target,
    /// Grows when the layers themselves change, not their cells.
    pub(in crate::document) arrangement: u64,
    /// A layer whose opacity is being tried out, and how it was.
    pub(in crate::document) tried: Option<(LayerId, LayerLook)>,
    pub(in crate::document) wrap: Wrap,
    pub(in crate::document) model_hash: String,
    pub(in crate::document) history: History,
    pub(in crate::document) open: Option<OpenStroke>,
    pub(in crate::document) revision: u64,
}

impl Document {
    /// A fresh document. `encoded` are the codes of `source` under the model named by `model_hash`.
    ///
    /// # Errors
    /// As [`Codes::check`] when the grids do not fit the source.
    pub fn new(
        source: Source,
        encoded: Codes,
        wrap: Wrap,
        model_hash: impl Into<String>,
    ) -> Result<Self> {
        Self::with_layers(
            source,
            encoded,
            LayerStack::default(),
            wrap,
            model_hash,
            History::default(),
        )
    }

    /// A stored document of one layer: `edited` is the state after the applied strokes of `history`.
    ///
    /// # Errors
    /// `Damaged` when grids or strokes do not fit the source.
    pub fn restore(
        source: Source,
        encoded: Codes,
        edited: Codes,
        wrap: Wrap,
        model_hash: impl Into<String>,
        history: History,
    ) -> Result<Self> {
        encoded.check(source.geometry(), None)?;
        edited.check(source.geometry(), None)?;
        let layers = LayerStack::of_codes(&encoded, &edited);
        Self::with_layers(source, encoded, layers, wrap, model_hash, history)
    }

    /// A stored document: `layers` are as after the applied strokes of `history`.
    ///
    /// # Errors
    /// `Damaged` when grids or strokes do not fit the source.
    pub fn with_layers(
        source: Source,
        encoded: Codes,
        mut layers: LayerStack,
        wrap: Wrap,
        model_hash: impl Into<String>,
        history: History,
    ) -> Result<Self> {
        let geometry = source.geometry();
        encoded.check(geometry, None)?;
        let mut last_id = BASE_LAYER;
        for stroke in history.strokes() {
            stroke.check(geometry)?;
            last_id = last_id.max(stroke.target.layer);
            last_id = (stroke.edits.iter().map(LayerEdit::last_id)).fold(last_id, LayerId::max);
        }
        layers.reserve_ids(last_id.saturating_add(1));
        let active = Target {
            layer: layers.layers().last().map_or(BASE_LAYER, Layer::id),
            is_mask: false,
        };
        let count = layers.layers().len();
        let edited = layers.compose(count, &encoded);
        let coordinates = layers.compose_coordinates(count, geometry);
        Ok(Self {
            geometry,
            source,
            encoded: Arc::new(encoded),
            edited: Arc::new(edited),
            coordinates: Arc::new(coordinates),
            sources: Sources::default(),
            layers,
            active,
            arrangement: 0,
            tried: None,
            wrap,
            model_hash: model_hash.into(),
            history,
            open: None,
            revision: 0,
        })
    }

    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        self.geometry.width()
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        self.geometry.height()
    }

    pub const fn source(&self) -> &Source {
        &self.source
    }

    pub const fn wrap(&self) -> Wrap {
        self.wrap
    }

    /// Hash of the checkpoint that encoded this document.
    pub fn model_hash(&self) -> &str {
        &self.model_hash
    }

    /// Shared with export and decode snapshots, which stay as they are while painting goes on.
    pub const fn encoded(&self) -> &Arc<Codes> {
        &self.encoded
    }

    /// The codes under all shown layers: what tools see, and, where every layer is in full strength, what is
    /// decoded.
    pub const fn edited(&self) -> &Arc<Codes> {
        &self.edited
    }

    /// Where detail cells of the picture say they come from, under all shown layers.
    pub const fn coordinates(&self) -> &Arc<CoordinateGrid> {
        &self.coordinates
    }

    /// Where a detail cell of the picture comes from: see [`origin`].
    pub fn origin(&self, index: u32) -> Option<Coordinate> {
        origin(
            self.geometry,
            (&self.encoded, &self.edited),
            &self.coordinates,
            index,
        )
    }

    /// Where a detail cell of the active layer comes from. On the lowest layer, cells as encoded come from their own
    /// place.
    pub fn origin_on_active(&self, index: u32) -> Option<Coordinate> {
        let target = self.active;
        let is_itself = || {
            let value = self
                .layers
                .value(target, Level::Detail, index, &self.encoded);
            target.layer == BASE_LAYER
                && self.encoded.detail.raw_at(index) == Some(value)
                && self.is_structure_as_encoded(target, index)
        };
        (self.layers.coordinate(target, index))
            .or_else(|| is_itself().then(|| Coordinate::own(self.geometry, index)))
    }

    /// The pictures, beside its own, that cells come from.
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The document with pictures that its cells come from.
    ///
    /// # Errors
    /// `Damaged` where a cell or a stroke names a picture that is not among them.
    pub fn with_sources(mut self, sources: Sources) -> Result<Self> {
        let count = sources.list().len();
        self.layers.check_sources(count)?;
        for stroke in self.history.strokes() {
            stroke.check_sources(count)?;
        }
        self.sources = sources;
        Ok(self)
    }

    /// Lists the pictures that cells of another document come from, with the same numbers, where none are listed yet.
    pub fn list_sources_of(&mut self, other: &Self) {
        self.sources.list_as(&other.sources);
    }

    /// The number of a picture in coordinates; a new one is added.
    ///
    /// # Errors
    /// As [`Sources::add`].
    pub fn add_source(&mut self, source: &SourceRef) -> Result<u16> {
        self.sources.add(source)
    }

    /// Names its own picture: see [`Sources::name_own`].
    ///
    /// # Errors
    /// As [`Sources::name_own`].
    pub fn name_source(&mut self, source: SourceRef) -> Result<()> {
        self.sources.name_own(source)
    }

    /// Where the pictures that cells come from are looked up from now on.
    pub fn find_sources_in(&mut self, pictures: Arc<dyn SourcePictures>) {
        self.sources.find_in(pictures);
    }

    pub const fn layers(&self) -> &LayerStack {
        &self.layers
    }

    /// What strokes change.
    pub const fn active(&self) -> Target {
        self.active
    }

    /// Grows when layers come, go, move or are shown differently.
    pub const fn arrangement(&self) -> u64 {
        self.arrangement
    }

    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Lets the oldest applied strokes go until the others change at most `cells` cells. They can be taken back
    /// only after [`Document::recall_strokes`]: those with a number above `stored` are kept.
    pub fn forget_strokes(&mut self, cells: usize, stored: u64) {
        self.history.forget(cells, stored);
    }

    /// Takes applied strokes back into the history that come right before its first one; `first` is the number of
    /// the oldest. `false`, and nothing changes, where they do not or do not fit the picture.
    pub fn recall_strokes(&mut self, first: u64, strokes: Vec<Arc<Stroke>>) -> bool {
        let sources = self.sources.list().len();
        let fit = (strokes.iter())
            .all(|s| s.check(self.geometry).is_ok() && s.check_sources(sources).is_ok());
        fit && self.history.recall(first, strokes)
    }

    /// Grows with every change of a cell.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether any cell of the picture differs from the codes as encoded.
    pub fn is_edited(&self) -> bool {
        if self.layers.is_one_decode() {
            return self.edited != self.encoded || !self.coordinates.is_empty();
        }
        !self.changes().is_empty()
    }

    /// Indices of the cells that differ from the codes as encoded, or come from another place, in rising order.
    pub fn changed_cells(&self, level: Level) -> impl Iterator<Item = u32> + '_ {
        let (old, new) = (self.encoded.level(level), self.edited.level(level));
        let moved = Some(&self.coordinates).filter(|_| level == Level::Detail);
        let moved = moved.filter(|grid| !grid.is_empty());
        (0u32..)
            .zip(old.cells().iter().zip(new.cells()))
            .filter(move |(index, (old, new))| {
                old != new || moved.is_some_and(|grid| grid.contains(*index))
            })
            .map(|(index, _)| index)
    }

    /// Starts a stroke on the active layer.
    ///
    /// # Errors
    /// `Usage` where the layer is locked or not shown; `Internal` when a stroke is already open.
    pub fn begin(&mut self, label: impl Into<String>) -> Result<()> {
        let target = self.active;
        let look = self.layers.get(target.layer).map(Layer::look);
        let (why, next) = match look {
            Some(look) if look.is_locked => ("is locked", "Unlock it, or choose another layer"),
            Some(look) if !look.is_visible => ("is hidden", "Show it, or choose another layer"),
            Some(_) => return self.begin_on(target, label.into()),
            None => ("is gone", "Choose another layer"),
        };
        let name = look.map_or("", |look| look.name.as_str());
        Err(Error::usage(
            "could not paint",
            format!("the layer “{name}” {why}"),
            next,
        ))
    }

    /// Starts a stroke, locked or not.
    pub(super) fn begin_on(&mut self, target: Target, label: String) -> Result<()> {
        if self.open.is_some() {
            return Err(already_open());
        }
        self.end_trial();
        self.open = Some(OpenStroke::new(label, target));
        Ok(())
    }

    pub const fn is_stroke_open(&self) -> bool {
        self.open.is_some()
    }

    /// All cells that make the picture differ from the source, with the codes as encoded and as edited; they are the
    /// same in cells that only come from another place.
    pub fn changes(&self) -> Vec<CellDelta> {
        let of = |level| {
            let (encoded, edited) = (self.encoded.level(level), self.edited.level(level));
            let delta = move |index: u32| CellDelta {
                level,
                index,
                before: encoded.cells()[index as usize],
                after: edited.cells()[index as usize],
            };
            // Under a layer that is blended, what it covers still shows.
            let covered: Vec<u32> = if self.layers.is_one_decode() {
                Vec::new()
            } else {
                (self.layers.layers().iter())
                    .flat_map(Layer::changed)
                    .filter(|(at, _)| *at == level)
                    .map(|(_, index)| index)
                    .filter(|index| self.layers.covers(&(0..usize::MAX), level, *index))
                    .collect()
            };
            let mut cells: Vec<u32> = self.changed_cells(level).chain(covered).collect();
            cells.sort_unstable();
            cells.dedup();
            cells.into_iter().map(delta)
        };
        Level::ALL.into_iter().flat_map(of).collect()
    }

    /// The detail cells under a structure cell.
    pub fn detail_under(&self, structure_index: u32) -> impl Iterator<Item = u32> + use<> {
        let cells = (self.geometry)
            .cell_pixels(Level::Structure, structure_index)
            .to_cells(DETAIL_STRIDE_PX);
        let columns = self.geometry.grid_width(Level::Detail);
        (cells.y..cells.bottom())
            .flat_map(move |y| (cells.x..cells.right()).map(move |x| y * columns + x))
    }

    /// The picture as one stroke on the codes as encoded, blended layers in full strength.
    pub fn as_stroke(&self, label: impl Into<String>) -> Stroke {
        let coordinates = (self.coordinates.iter())
            .map(|(index, from)| CoordinateDelta {
                index,
                before: None,
                after: Some(from),
            })
            .collect();
        let mut stroke = Stroke {
            coordinates,
            ..Stroke::new(label, self.changes())
        };
        stroke.list_sources(&self.sources);
        stroke
    }

    /// Ends the stroke. `None` when it changed nothing: then the history stays as it is.
    pub fn commit(&mut self) -> Option<Arc<Stroke>> {
        let mut stroke = self.open.take()?.finish();
        if stroke.deltas.is_empty() {
            return None;
        }
        stroke.list_sources(&self.sources);
        let stroke = Arc::new(stroke);
        self.history.push(Arc::clone(&stroke));
        Some(stroke)
    }

    /// Takes the open stroke back; what it had changed comes back for repainting.
    pub fn abort(&mut self) -> Option<Stroke> {
        let stroke = self.open.take()?.finish();
        self.step(&stroke, false);
        Some(stroke)
    }

    /// Takes the last stroke back and returns it; an open stroke is aborted instead.
    pub fn undo(&mut self) -> Option<Arc<Stroke>> {
        if self.open.is_some() {
            return self.abort().map(Arc::new);
        }
        self.end_trial();
        let stroke = self.history.step_back()?;
        self.step(&stroke, false);
        Some(stroke)
    }

    /// Does the last undone stroke again and returns it; nothing while a stroke is open.
    pub fn redo(&mut self) -> Option<Arc<Stroke>> {
        if self.open.is_some() {
            return None;
        }
        self.end_trial();
        let stroke = self.history.step_forward()?;
        self.step(&stroke, true);
        Some(stroke)
    }

    /// Does a stroke or takes it back.
    pub(super) fn step(&mut self, stroke: &Stroke, is_forward: bool) {
        if is_forward {
            stroke.apply(&mut self.layers, &self.encoded);
        } else {
            stroke.revert(&mut self.layers, &self.encoded);
        }
        self.revision += 1;
        if stroke.edits.is_empty() {
            for delta in &stroke.deltas {
                self.compose_cell(delta.level, delta.index);
            }
        } else {
            self.rearranged();
        }
    }
}

pub(super) fn already_open() -> Error {
    Error::new(
        Kind::Internal,
        "could not start a stroke",
        "another stroke is still open",
        "",
    )
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
