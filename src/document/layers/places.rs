//! Where the cells of layers come from.

use crate::document::grid::coordinates::{Coordinate, CoordinateGrid, OWN_SOURCE, check_sources};
use crate::document::grid::geometry::{Geometry, Level};
use crate::document::layers::{BASE_LAYER, LayerStack, Target};
use crate::error::{Error, Kind, Result};

impl LayerStack {
    /// Where a detail cell of a target comes from, as changes write it down.
    pub fn coordinate(&self, target: Target, index: u32) -> Option<Coordinate> {
        let layer = self.get(target.layer).filter(|_| !target.is_mask)?;
        layer.coordinates().get(index)
    }

    /// Writes what [`LayerStack::coordinate`] reads; a mask and a cell that is not there have none.
    pub fn put_coordinate(&mut self, target: Target, index: u32, coordinate: Option<Coordinate>) {
        let mut layers = self.layers.iter_mut();
        let Some(layer) = layers.find(|layer| layer.id == target.layer) else {
            return;
        };
        let is_there = target.layer == BASE_LAYER || layer.cells(Level::Detail).contains(index);
        if !target.is_mask && is_there {
            layer.set_coordinate(index, coordinate);
        }
    }

    pub(crate) fn coordinates(&self) -> impl Iterator<Item = Coordinate> + '_ {
        (self.layers.iter()).flat_map(|layer| layer.coordinates.iter().map(|(_, at)| at))
    }

    /// Checks that every coordinate names a source of a document that has this many beside its own.
    ///
    /// # Errors
    /// `Damaged` where one does not.
    pub fn check_sources(&self, count: usize) -> Result<()> {
        check_sources(self.coordinates(), count)
    }

    /// Whether any cell of any layer carries a coordinate.
    pub fn has_coordinates(&self) -> bool {
        (self.layers.iter()).any(|layer| !layer.coordinates.is_empty())
    }

    /// Where a detail cell comes from, under the first `count` layers: what the topmost layer that shows the cell
    /// says, unless a layer above it has painted the structure cell (`over`) there.
    pub fn coordinate_of(&self, count: usize, index: u32, over: u32) -> Option<Coordinate> {
        let below = &self.layers[..count.min(self.layers.len())];
        for layer in below.iter().rev().filter(|layer| layer.look.is_seen()) {
            let coordinate = layer.shown_coordinate(index);
            if coordinate.is_some()
                || layer.shown(Level::Detail, index).is_some()
                || layer.shown(Level::Structure, over).is_some()
            {
                return coordinate;
            }
        }
        None
    }

    /// Where detail cells come from under the first `count` layers.
    pub fn compose_coordinates(&self, count: usize, geometry: Geometry) -> CoordinateGrid {
        let mut grid = CoordinateGrid::default();
        for layer in self.layers.iter().take(count) {
            for (index, _) in layer.coordinates.iter() {
                let over = geometry.structure_over(index);
                grid.set(index, self.coordinate_of(count, index, over));
            }
        }
        grid
    }
}

/// # Errors
/// `Damaged` for a place that the document's own picture does not have.
pub(crate) fn check_coordinate(coordinate: Coordinate, geometry: Geometry) -> Result<()> {
    if coordinate.source == OWN_SOURCE && !coordinate.is_within(geometry) {
        return Err(Error::new(
            Kind::Damaged,
            "could not read where a cell comes from",
            "the picture has no such place",
            "",
        ));
    }
    Ok(())
}

/// A coordinate on a canvas of another size, where `place` says to which detail cell of it one of the old goes. `None`
/// where the own picture has lost the place.
pub(crate) fn reframed(
    coordinate: Coordinate,
    (from, to): (Geometry, Geometry),
    place: impl Fn(u32) -> Option<u32>,
) -> Option<Coordinate> {
    if coordinate.source != OWN_SOURCE {
        return Some(coordinate);
    }
    let columns = from.grid_width(Level::Detail);
    let index = u32::from(coordinate.y) * columns + u32::from(coordinate.x);
    place(index).map(|index| Coordinate::own(to, index))
}
