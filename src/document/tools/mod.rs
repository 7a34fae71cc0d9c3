//! What an artist does to the codes, as small state machines: press, drag, release, or abort.
//!
//! Every change goes through an [`Easel`]: the document with its open transaction, the selection that
//! restricts it, and what is known of the codes. Positions are canvas pixels.
//!
//! # Limitations
//! A tool works on whole cells, 4 or 16 px; what is smaller is left to programs that paint pixels. Pressure changes what a brush says
//! it changes, and not every system tells it.

mod area;
pub(crate) mod block;
pub(crate) mod brush;
pub mod brushes;
mod generated;
mod outline;
mod setup;
mod stroke;
mod symmetry;
mod texture;

use std::sync::Arc;

pub use area::{
    Gradient, GradientShape, Transfer, bucket, empty, erase, fill, gradient, replace,
    replace_stroke, transfer,
};
pub use block::{Block, Places};
pub use brush::{Brush, Shape};
pub use generated::{Generated, GeneratedDetail, put_generated, put_in_stroke};
pub use outline::{AreaShape, Outline};
pub use setup::{Layout, Medium, Path, Setup, constrained};
pub use stroke::BrushStroke;
pub use symmetry::Symmetry;
pub use texture::{TextureLook, TextureMaker, TextureStroke, Wanted, texture_fill};

use super::{DetailPolicy, Document};
use crate::document::alphabet::companions::DETAILS_PER_CELL;
use crate::document::alphabet::vectors::Alphabet;
use crate::document::edit::selection::{Selection, touched};
use crate::document::edit::stroke::{CellDelta, Stroke};
use crate::document::grid::codes::raw_code;
use crate::document::grid::coordinates::Coordinate;
use crate::document::grid::geometry::{Geometry, Level, Rect};
use crate::error::Result;

/// What happens to the detail cells under a structure cell.
#[derive(Debug, Clone, Copy)]
pub enum Under<'a> {
    Policy(DetailPolicy),
    /// These, row by row, with the places that they come from.
    These(&'a [PlacedCode; DETAILS_PER_CELL]),
}

/// A detail code, and the place that it comes from.
pub type PlacedCode = (Option<u16>, Option<Coordinate>);

/// A document to work on.
pub struct Easel<'a> {
    pub document: &'a mut Document,
    /// What may be changed; everything where there is none.
    pub selection: Option<&'a Selection>,
    pub alphabet: &'a Alphabet,
    deltas: Vec<CellDelta>,
}

impl<'a> Easel<'a> {
    pub const fn new(
        document: &'a mut Document,
        selection: Option<&'a Selection>,
        alphabet: &'a Alphabet,
    ) -> Self {
        Self {
            document,
            selection,
            alphabet,
            deltas: Vec::new(),
        }
    }

    /// The cells that were changed since the last call, oldest first, with the picture's codes before and after
    /// (the same where another layer covers the cell).
    pub fn take_deltas(&mut self) -> Vec<CellDelta> {
        std::mem::take(&mut self.deltas)
    }

    /// Does `work` as one stroke; where it fails, the document stays as it was.
    ///
    /// # Errors
    /// Whatever `work` returns; `Internal` when a stroke is open already.
    pub fn stroke(
        &mut self,
        label: impl Into<String>,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Option<Arc<Stroke>>> {
        self.document.begin(label)?;
        match work(self) {
            Ok(()) => Ok(self.document.commit()),
            Err(error) => {
                self.document.abort();
                self.deltas.clear();
                Err(error)
            }
        }
    }

    /// Whether a cell may be changed.
    pub fn allows(&self, level: Level, index: u32) -> bool {
        self.selection
            .is_none_or(|selection| selection.allows(level, index))
    }

    /// Sets a cell, where that is allowed.
    fn set(&mut self, level: Level, index: u32, code: Option<u16>) -> Result<()> {
        self.change(level, index, |document| {
            document.set_cell(level, index, code)
        })
    }

    /// Sets a detail cell that comes from some place, where that is allowed.
    pub(in crate::document) fn place(
        &mut self,
        index: u32,
        (code, from): PlacedCode,
    ) -> Result<()> {
        self.change(Level::Detail, index, |document| {
            document.place_cell(index, code, from)
        })
    }

    /// Takes the active layer's code away, where that is allowed.
    fn clear(&mut self, level: Level, index: u32) -> Result<()> {
        self.change(level, index, |document| document.clear_cell(level, index))
    }

    fn change(
        &mut self,
        level: Level,
        index: u32,
        change: impl FnOnce(&mut Document) -> Result<bool>,
    ) -> Result<()> {
        if !self.allows(level, index) {
            return Ok(());
        }
        let seen = |document: &Document| document.edited().level(level).at(index);
        let before = seen(self.document);
        if change(self.document)? {
            self.deltas.push(CellDelta {
                level,
                index,
                before: raw_code(before),
                after: raw_code(seen(self.document)),
            });
        }
        Ok(())
    }

    /// Sets a cell and, under a structure cell, what goes with it.
    pub(in crate::document) fn put(
        &mut self,
        level: Level,
        index: u32,
        code: Option<u16>,
        under: Under<'_>,
    ) -> Result<()> {
        if !self.allows(level, index) {
            return Ok(());
        }
        self.set(level, index, code)?;
        if level == Level::Detail {
            return Ok(());
        }
        let worked_out;
        let details = match under {
            Under::Policy(DetailPolicy::Keep) => return Ok(()),
            Under::Policy(DetailPolicy::Empty) => &[None; DETAILS_PER_CELL],
            Under::Policy(DetailPolicy::Pull) => {
                let companions = self.alphabet.companions();
                // Neighbours differ, and the same cell always gets the same.
                let choice = crate::document::tools::brush::mix(u64::from(index));
                let found = code.and_then(|code| companions?.over(code, choice));
                worked_out = found.map_or([None; DETAILS_PER_CELL], |found| found.map(Some));
                &worked_out
            }
            Under::Policy(DetailPolicy::Code(code)) => {
                self.alphabet.codebooks.check(Level::Detail, Some(code))?;
                worked_out = [Some(code); DETAILS_PER_CELL];
                &worked_out
            }
            Under::These(details) => {
                let cells = self.document.detail_under(index);
                for (index, detail) in cells.zip(details) {
                    self.place(index, *detail)?;
                }
                return Ok(());
            }
        };
        let cells = self.document.detail_under(index);
        for (index, detail) in cells.zip(details) {
            self.set(Level::Detail, index, *detail)?;
        }
        Ok(())
    }

    /// Takes the active layer's code away, so that what is below shows; at structure level also from the
    /// detail under it.
    fn restore(&mut self, level: Level, index: u32) -> Result<()> {
        if !self.allows(level, index) {
            return Ok(());
        }
        self.clear(level, index)?;
        if level == Level::Structure {
            for under in self.document.detail_under(index) {
                self.clear(Level::Detail, under)?;
            }
        }
        Ok(())
    }
}

/// The cells of a level between two canvas points, both included, cut at the canvas.
pub fn cells_between(geometry: Geometry, level: Level, a: (f32, f32), b: (f32, f32)) -> Rect {
    touched(geometry, level, a, b)
}

/// How many cells of a level lie from one canvas point to another.
pub fn offset_between(level: Level, from_px: (f32, f32), to_px: (f32, f32)) -> (i64, i64) {
    let stride = level.stride_px() as f32;
    let cell = |at: f32| (at / stride).floor() as i64;
    (
        cell(to_px.0).saturating_sub(cell(from_px.0)),
        cell(to_px.1).saturating_sub(cell(from_px.1)),
    )
}

#[cfg(test)]
mod tests;
