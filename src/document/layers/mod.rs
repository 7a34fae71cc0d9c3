//! Edit layers: what each changes, and how they lie over the source.
//!
//! A layer is a sparse set of codes per level. A cell of the picture has the code of the topmost shown layer
//! that has one there, and the code as encoded where none has. Nothing a layer does touches what is below it.
//! A detail cell can carry a [`Coordinate`]; painting it, or the structure over it, takes that away.
//!
//! # Limitations
//! Layers hold codes and have no pixels of their own: where two change the same cell in full strength, the upper one wins, as nothing
//! of the lower one is left to blend with.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::document::grid::codes::{ABSENT, Codebooks, Codes, EMPTY, code_from_raw};
use crate::document::grid::coordinates::{Coordinate, CoordinateGrid};
use crate::document::grid::geometry::{Geometry, Level};
use crate::document::grid::sparse::SparseGrid;
use crate::error::{Error, Kind, Result};

mod edit;
mod places;

pub use edit::LayerEdit;
pub(crate) use places::check_coordinate;
use places::reframed;

/// Names a layer as long as its document lives; never given twice.
pub type LayerId = u32;

/// The layer that every document begins with.
///
/// Its changes are written down with the code as encoded where it has none, so that a document of one layer
/// reads like one from before there were layers. Painting the code as encoded on it is the same as erasing.
pub const BASE_LAYER: LayerId = 0;
/// Most layers of a document.
pub const MAX_LAYERS: usize = 64;
/// Longest name of a layer, in bytes.
pub const MAX_LAYER_NAME_BYTES: usize = 256;

/// What a stroke paints on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub layer: LayerId,
    /// The layer's mask instead of its codes: any code hides a cell, erasing shows it again. In changes,
    /// 1 stands for a hidden cell and 0 for a shown one.
    pub is_mask: bool,
}

/// How a layer is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerLook {
    pub name: String,
    pub is_visible: bool,
    pub is_locked: bool,
    /// 0 to 100. Below 100 the layer is a blend of the picture without it and the picture with it.
    pub opacity_percent: u8,
    /// Whether the mask hides what it covers.
    pub is_mask_on: bool,
}

impl LayerLook {
    fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            is_visible: true,
            is_locked: false,
            opacity_percent: 100,
            is_mask_on: true,
        }
    }

    fn is_seen(&self) -> bool {
        self.is_visible && self.opacity_percent > 0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    id: LayerId,
    look: LayerLook,
    cells: [SparseGrid; 2],
    hidden: [SparseGrid; 2],
    /// Where detail cells come from; on the base layer also cells whose code is the one as encoded.
    coordinates: CoordinateGrid,
}

const fn at(level: Level) -> usize {
    match level {
        Level::Structure => 0,
        Level::Detail => 1,
    }
}

impl Layer {
    pub fn new(id: LayerId, look: LayerLook) -> Self {
        Self {
            id,
            look,
            cells: Default::default(),
            hidden: Default::default(),
            coordinates: CoordinateGrid::default(),
        }
    }

    pub const fn id(&self) -> LayerId {
        self.id
    }

    pub const fn look(&self) -> &LayerLook {
        &self.look
    }

    /// Stored codes ([`EMPTY`] for empty detail) of the cells that the layer changes.
    pub const fn cells(&self, level: Level) -> &SparseGrid {
        &self.cells[at(level)]
    }

    /// The cells that the mask hides.
    pub const fn hidden(&self, level: Level) -> &SparseGrid {
        &self.hidden[at(level)]
    }

    /// Where detail cells come from.
    pub const fn coordinates(&self) -> &CoordinateGrid {
        &self.coordinates
    }

    pub fn set(&mut self, level: Level, index: u32, code: Option<u16>) {
        self.cells[at(level)].set(index, code);
    }

    /// Says where a detail cell comes from.
    pub fn set_coordinate(&mut self, index: u32, coordinate: Option<Coordinate>) {
        self.coordinates.set(index, coordinate);
    }

    pub fn hide(&mut self, level: Level, index: u32, is_hidden: bool) {
        self.hidden[at(level)].set(index, is_hidden.then_some(1));
    }

    /// This layer's changes and mask under another id and look.
    pub(crate) fn copied(&self, id: LayerId, look: LayerLook) -> Self {
        Self {
            id,
            look,
            ..self.clone()
        }
    }

    /// How many cells it changes.
    pub fn len(&self) -> usize {
        let codes: usize = self.cells.iter().map(SparseGrid::len).sum();
        codes + self.coordinates_alone().count()
    }

    /// Cells with a coordinate and the code as encoded.
    pub(crate) fn coordinates_alone(&self) -> impl Iterator<Item = u32> + '_ {
        let has_code = |index: &u32| self.cells(Level::Detail).contains(*index);
        (self.coordinates.iter())
            .map(|(index, _)| index)
            .filter(move |index| !has_code(index))
    }

    /// The cells that it changes, with their level.
    pub fn changed(&self) -> impl Iterator<Item = (Level, u32)> + '_ {
        let of = |level: Level| (self.cells(level).iter()).map(move |(index, _)| (level, index));
        (Level::ALL.into_iter().flat_map(of))
            .chain((self.coordinates_alone()).map(|index| (Level::Detail, index)))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn has_mask(&self) -> bool {
        self.hidden.iter().any(|grid| !grid.is_empty())
    }

    /// The stored code that it shows at a cell, where its mask lets it.
    pub fn shown(&self, level: Level, index: u32) -> Option<u16> {
        let code = self.cells(level).get(index)?;
        let is_hidden = self.look.is_mask_on && self.hidden(level).contains(index);
        (!is_hidden).then_some(code)
    }

    /// Where a detail cell that it shows comes from.
    pub fn shown_coordinate(&self, index: u32) -> Option<Coordinate> {
        let coordinate = self.coordinates.get(index)?;
        let is_hidden = self.look.is_mask_on && self.hidden(Level::Detail).contains(index);
        (!is_hidden).then_some(coordinate)
    }

    fn check(&self, geometry: Geometry, codebooks: Option<Codebooks>) -> Result<()> {
        let damaged = |why: String| Error::new(Kind::Damaged, "could not read a layer", why, "");
        if self.look.name.len() > MAX_LAYER_NAME_BYTES || self.look.opacity_percent > 100 {
            return Err(damaged("its name or opacity is out of range".into()));
        }
        for level in Level::ALL {
            let count = geometry.cell_count(level);
            for grid in [self.cells(level), self.hidden(level)] {
                if grid.last_index().is_some_and(|last| last as usize >= count) {
                    return Err(damaged(format!("a {level} cell lies outside the picture")));
                }
            }
            for (_, raw) in self.cells(level).iter() {
                let is_odd = raw == ABSENT || (raw == EMPTY && level == Level::Structure);
                let is_unknown =
                    codebooks.is_some_and(|books| books.check(level, code_from_raw(raw)).is_err());
                if is_odd || is_unknown {
                    return Err(damaged(format!("a {level} cell has code {raw}")));
                }
            }
        }
        let count = geometry.cell_count(Level::Detail);
        let last = self.coordinates.last_index();
        if last.is_some_and(|last| last as usize >= count) {
            return Err(damaged("a coordinate lies outside the picture".into()));
        }
        for (index, coordinate) in self.coordinates.iter() {
            check_coordinate(coordinate, geometry)?;
            if self.id != BASE_LAYER && !self.cells(Level::Detail).contains(index) {
                return Err(damaged(format!(
                    "detail cell {index} comes from somewhere and is not there"
                )));
            }
        }
        Ok(())
    }
}

/// A step of how a picture with blended layers is put together: the layers up to `top`, in the strength of
/// those that are new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The places in the stack that are new in this pass.
    pub layers: Range<usize>,
    pub opacity_percent: u8,
}

/// The layers of a document, the lowest first. There is always at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerStack {
    layers: Vec<Layer>,
    next_id: LayerId,
}

impl Default for LayerStack {
    fn default() -> Self {
        Self {
            layers: vec![Layer::new(BASE_LAYER, LayerLook::named("Layer 1"))],
            next_id: BASE_LAYER + 1,
        }
    }
}

impl LayerStack {
    /// One layer that makes `edited` of `encoded`.
    pub fn of_codes(encoded: &Codes, edited: &Codes) -> Self {
        let mut stack = Self::default();
        for level in Level::ALL {
            let pairs = (encoded.level(level).cells().iter()).zip(edited.level(level).cells());
            for (index, (old, new)) in (0u32..).zip(pairs) {
                if old != new {
                    stack.layers[0].set(level, index, Some(*new));
                }
            }
        }
        stack
    }

    /// Layers from a file.
    ///
    /// # Errors
    /// `Damaged` when they do not fit the picture, share an id, or are none or too many.
    pub fn from_layers(
        layers: Vec<Layer>,
        geometry: Geometry,
        codebooks: Option<Codebooks>,
    ) -> Result<Self> {
        let mut ids: Vec<LayerId> = layers.iter().map(Layer::id).collect();
        ids.sort_unstable();
        let is_sound = !ids.is_empty()
            && ids.len() <= MAX_LAYERS
            && ids.windows(2).all(|pair| pair[0] != pair[1])
            && ids.last().is_some_and(|id| *id < LayerId::MAX / 2);
        if !is_sound {
            return Err(Error::new(
                Kind::Damaged,
                "could not read the layers",
                "they are none, too many, or two are the same",
                "",
            ));
        }
        for layer in &layers {
            layer.check(geometry, codebooks)?;
        }
        let next_id = ids.last().map_or(1, |id| id + 1);
        Ok(Self { layers, next_id })
    }

    /// The lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub fn get(&self, id: LayerId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.id == id)
    }

    pub fn position(&self, id: LayerId) -> Option<usize> {
        self.layers.iter().position(|layer| layer.id == id)
    }

    pub(crate) fn fresh_id(&self) -> LayerId {
        self.next_id
    }

    /// No layer gets an id below this from now on.
    pub(crate) fn reserve_ids(&mut self, next: LayerId) {
        self.next_id = self.next_id.max(next);
    }

    /// Whether it is as every document begins, up to what its layer changes.
    pub fn is_single_base(&self) -> bool {
        let start = Self::default();
        matches!(self.layers.as_slice(), [only]
            if only.id == BASE_LAYER
                && only.look == start.layers[0].look
                && !only.has_mask()
                && only.coordinates.is_empty())
    }

    /// What a target has at a cell, as changes write it down.
    pub fn value(&self, target: Target, level: Level, index: u32, encoded: &Codes) -> u16 {
        let layer = self.get(target.layer);
        if target.is_mask {
            return layer.map_or(0, |l| u16::from(l.hidden(level).contains(index)));
        }
        let code = layer.and_then(|layer| layer.cells(level).get(index));
        match code {
            Some(code) => code,
            None if target.layer == BASE_LAYER => {
                encoded.level(level).raw_at(index).unwrap_or(EMPTY)
            }
            None => ABSENT,
        }
    }

    /// Writes what [`LayerStack::value`] reads; a layer that is not there stays so.
    pub fn put(&mut self, target: Target, level: Level, index: u32, value: u16, encoded: &Codes) {
        let Some(layer) = self
            .layers
            .iter_mut()
            .find(|layer| layer.id == target.layer)
        else {
            return;
        };
        if target.is_mask {
            layer.hide(level, index, value != 0);
            return;
        }
        let is_none = match target.layer {
            BASE_LAYER => encoded.level(level).raw_at(index) == Some(value),
            _ => value == ABSENT,
        };
        layer.set(level, index, (!is_none).then_some(value));
        if is_none && level == Level::Detail && target.layer != BASE_LAYER {
            layer.set_coordinate(index, None);
        }
    }

    /// The stored code of a cell under the first `count` layers, or `None` where none of them has one.
    pub fn code_of(&self, count: usize, level: Level, index: u32) -> Option<u16> {
        let below = &self.layers[..count.min(self.layers.len())];
        (below.iter().rev())
            .filter(|layer| layer.look.is_seen())
            .find_map(|layer| layer.shown(level, index))
    }

    /// The stored code that the picture has at a cell, whatever the opacities.
    pub fn composed(&self, level: Level, index: u32, encoded: &Codes) -> u16 {
        self.code_of(self.layers.len(), level, index)
            .or_else(|| encoded.level(level).raw_at(index))
            .unwrap_or(EMPTY)
    }

    /// All codes under the first `count` layers.
    pub fn compose(&self, count: usize, encoded: &Codes) -> Codes {
        let mut codes = encoded.clone();
        for layer in self.layers.iter().take(count) {
            if !layer.look.is_seen() {
                continue;
            }
            for level in Level::ALL {
                let grid = codes.level_mut(level);
                for (index, raw) in layer.cells(level).iter() {
                    if layer.shown(level, index).is_some() {
                        grid.set_raw(index, raw);
                    }
                }
            }
        }
        codes
    }

    /// These layers on a canvas of another size, which begins at `offset` (in structure cells) of this one.
    #[must_use]
    pub fn reframed(&self, from: Geometry, to: Geometry, offset: (i64, i64)) -> Self {
        let mut stack = self.clone();
        for (layer, old) in stack.layers.iter_mut().zip(&self.layers) {
            layer.cells = Default::default();
            layer.hidden = Default::default();
            layer.coordinates = CoordinateGrid::default();
            for level in Level::ALL {
                let cells = i64::from(
                    crate::document::grid::geometry::STRUCTURE_STRIDE_PX / level.stride_px(),
                );
                let (columns, bounds) = (from.grid_width(level), to.grid_bounds(level));
                let place = |index: u32| {
                    let x = i64::from(index % columns) - offset.0 * cells;
                    let y = i64::from(index / columns) - offset.1 * cells;
                    let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
                    bounds.contains(x, y).then(|| y * bounds.width + x)
                };
                for (index, code) in old.cells(level).iter() {
                    if let Some(index) = place(index) {
                        layer.set(level, index, Some(code));
                    }
                }
                for (index, _) in old.hidden(level).iter() {
                    if let Some(index) = place(index) {
                        layer.hide(level, index, true);
                    }
                }
                if level == Level::Detail {
                    for (index, coordinate) in old.coordinates.iter() {
                        if let Some(index) = place(index) {
                            let there = reframed(coordinate, (from, to), place);
                            layer.set_coordinate(index, there);
                        }
                    }
                }
            }
        }
        stack
    }

    /// These layers with other codes; empty detail stays empty, and cells come from where they came from.
    #[must_use]
    pub fn recoded(&self, map: impl Fn(Level, u16) -> u16) -> Self {
        let mut stack = self.clone();
        for (layer, old) in stack.layers.iter_mut().zip(&self.layers) {
            for level in Level::ALL {
                for (index, raw) in old.cells(level).iter() {
                    if let Some(code) = crate::document::grid::codes::code_from_raw(raw) {
                        layer.set(level, index, Some(map(level, code)));
                    }
                }
            }
        }
        stack
    }

    /// How the picture is put together: layers in full strength that lie on each other are one pass, one
    /// decode. There is always at least one.
    pub fn passes(&self) -> Vec<Pass> {
        let mut passes: Vec<Pass> = Vec::new();
        for (place, layer) in self.layers.iter().enumerate() {
            if !layer.look.is_seen() {
                continue;
            }
            let opacity_percent = layer.look.opacity_percent;
            match passes.last_mut() {
                Some(last) if last.opacity_percent == 100 && opacity_percent == 100 => {
                    last.layers.end = place + 1;
                }
                _ => passes.push(Pass {
                    layers: place..place + 1,
                    opacity_percent,
                }),
            }
        }
        if passes.is_empty() {
            passes.push(Pass {
                layers: 0..0,
                opacity_percent: 100,
            });
        }
        passes
    }

    /// Whether one decode of the composed codes is the picture.
    pub fn is_one_decode(&self) -> bool {
        (self.layers.iter()).all(|layer| !layer.look.is_seen() || layer.look.opacity_percent == 100)
    }

    /// Whether a shown layer among these places has something at a cell.
    pub fn covers(&self, places: &Range<usize>, level: Level, index: u32) -> bool {
        let carries =
            |layer: &Layer| level == Level::Detail && layer.shown_coordinate(index).is_some();
        (self.layers[places.start.min(self.layers.len())..places.end.min(self.layers.len())].iter())
            .filter(|layer| layer.look.is_seen())
            .any(|layer| layer.shown(level, index).is_some() || carries(layer))
    }
}

impl LayerLook {
    /// As a new layer is shown.
    pub fn new(name: impl Into<String>) -> Self {
        let mut name: String = name.into();
        while name.len() > MAX_LAYER_NAME_BYTES {
            name.pop();
        }
        Self::named(name)
    }
}
