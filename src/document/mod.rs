//! A picture being edited, as pure data: source pixels, code grids as encoded and as edited,
//! strokes with unlimited undo, brushes and edit scripts. Nothing here touches a model or a disk.

mod brush;
mod codes;
mod geometry;
mod history;
mod raster;
pub mod script;

mod source;

use std::sync::Arc;

pub use brush::{Brush, Shape};
pub use codes::{CodeGrid, Codebooks, Codes, EMPTY, code_from_raw, raw_code};
pub use geometry::{
    DETAIL_STRIDE_PX, Geometry, Level, MAX_PIXELS, MAX_SIDE_PX, Rect, STRUCTURE_STRIDE_PX, Wrap,
};
use history::OpenStroke;
pub use history::{CellDelta, Dirty, History, Stroke};
pub use raster::{Raster, Samples, SamplesMut, to_16_bit};
use serde::{Deserialize, Serialize};
pub use source::{Source, to_8_bit};

use crate::error::{Error, Kind, Result};

/// What a structure stroke does to the detail cells under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailPolicy {
    /// Detail stays: the old texture on the new layout.
    Keep,
    /// Detail becomes empty, so that the structure code shows.
    #[default]
    Empty,
}

/// What a dab leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// A code (`None`: empty detail), and what happens to the detail under structure cells.
    Code {
        code: Option<u16>,
        detail: DetailPolicy,
    },
    /// The codes of the source: the eraser. At structure level the detail comes back as well.
    Source,
}

/// A picture being edited.
///
/// The codes as encoded never change; erasing a cell puts the encoded code back, and where nothing
/// differs from it the picture is its source, byte for byte.
#[derive(Debug, Clone)]
pub struct Document {
    geometry: Geometry,
    source: Source,
    encoded: Arc<Codes>,
    edited: Arc<Codes>,
    wrap: Wrap,
    model_hash: String,
    history: History,
    open: Option<OpenStroke>,
    revision: u64,
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
        let edited = encoded.clone();
        Self::restore(
            source,
            encoded,
            edited,
            wrap,
            model_hash,
            History::default(),
        )
    }

    /// A stored document: `edited` is the state after the applied strokes of `history`.
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
        let geometry = source.geometry();
        encoded.check(geometry, None)?;
        edited.check(geometry, None)?;
        for stroke in history.strokes() {
            stroke.check(geometry)?;
        }
        Ok(Self {
            geometry,
            source,
            encoded: Arc::new(encoded),
            edited: Arc::new(edited),
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

    /// Changing the wrap changes how the picture decodes at its borders, so the codes must be
    /// encoded again under the new wrap.
    ///
    /// # Errors
    /// As [`Codes::check`].
    pub fn rewrap(&mut self, wrap: Wrap, encoded: Codes) -> Result<()> {
        *self = Self::new(self.source.clone(), encoded, wrap, self.model_hash.clone())?;
        Ok(())
    }

    /// Hash of the checkpoint that encoded this document.
    pub fn model_hash(&self) -> &str {
        &self.model_hash
    }

    /// Shared with export and decode snapshots, which stay as they are while painting goes on.
    pub const fn encoded(&self) -> &Arc<Codes> {
        &self.encoded
    }

    pub const fn edited(&self) -> &Arc<Codes> {
        &self.edited
    }

    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Grows with every change of a cell.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether any cell differs from the codes as encoded.
    pub fn is_edited(&self) -> bool {
        self.edited != self.encoded
    }

    /// Indices of the cells that differ from the codes as encoded, in rising order.
    pub fn changed_cells(&self, level: Level) -> impl Iterator<Item = u32> + '_ {
        let (old, new) = (self.encoded.level(level), self.edited.level(level));
        (old.cells().iter().zip(new.cells()))
            .enumerate()
            .filter(|(_, (old, new))| old != new)
            .map(|(index, _)| index as u32)
    }

    /// Starts a stroke.
    ///
    /// # Errors
    /// `Internal` when one is already open.
    pub fn begin(&mut self, label: impl Into<String>) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::new(
                Kind::Internal,
                "could not start a stroke",
                "another stroke is still open",
                "",
            ));
        }
        self.open = Some(OpenStroke::new(label.into()));
        Ok(())
    }

    pub const fn is_stroke_open(&self) -> bool {
        self.open.is_some()
    }

    /// Sets one cell within the open stroke and says whether it changed.
    ///
    /// # Errors
    /// `Internal` when no stroke is open; `Usage` for a cell outside or an emptied structure cell.
    pub fn set_cell(&mut self, level: Level, index: u32, code: Option<u16>) -> Result<bool> {
        let Some(open) = self.open.as_mut() else {
            return Err(Error::new(
                Kind::Internal,
                "could not paint a cell",
                "no stroke is open",
                "",
            ));
        };
        let after = raw_code(code);
        let before = self.edited.level(level).raw_at(index);
        let Some(before) = before.filter(|_| level == Level::Detail || after != EMPTY) else {
            return Err(Error::usage(
                "could not paint a cell",
                format!("{level} cell {index} is outside, or a structure cell would be empty"),
                "",
            ));
        };
        if before == after {
            return Ok(false);
        }
        open.record(CellDelta {
            level,
            index,
            before,
            after,
        });
        Arc::make_mut(&mut self.edited)
            .level_mut(level)
            .set_raw(index, after);
        self.revision += 1;
        Ok(true)
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
        if level == Level::Structure && detail == DetailPolicy::Empty {
            for under in self.detail_under(index) {
                changed |= self.set_cell(Level::Detail, under, None)?;
            }
        }
        Ok(changed)
    }

    /// Puts a cell back as it was encoded; a structure cell together with the detail under it.
    ///
    /// # Errors
    /// As [`Document::set_cell`].
    pub fn erase_cell(&mut self, level: Level, index: u32) -> Result<bool> {
        let mut changed = self.set_cell(level, index, self.encoded.level(level).at(index))?;
        if level == Level::Structure {
            for under in self.detail_under(index) {
                changed |= self.erase_cell(Level::Detail, under)?;
            }
        }
        Ok(changed)
    }

    /// One dab of a brush within the open stroke, for painting by hand. Returns what this dab
    /// changed, with `before` as it was before the dab. `centre` is in cells of `level`.
    ///
    /// # Errors
    /// `Usage` for a brush out of range; as [`Document::set_cell`].
    pub fn dab(
        &mut self,
        level: Level,
        centre: (f32, f32),
        brush: &Brush,
        ink: Ink,
    ) -> Result<Vec<CellDelta>> {
        brush.check()?;
        let mut targets = Vec::new();
        let takes_detail = level == Level::Structure
            && !matches!(
                ink,
                Ink::Code {
                    detail: DetailPolicy::Keep,
                    ..
                }
            );
        brush.dab(centre, level, self.geometry, self.wrap, |index| {
            targets.push((level, index));
            if takes_detail {
                targets.extend(self.detail_under(index).map(|under| (Level::Detail, under)));
            }
        });
        let mut deltas = Vec::new();
        for (at, index) in targets {
            let before = self.edited.level(at).at(index);
            let code = match ink {
                Ink::Source => self.encoded.level(at).at(index),
                Ink::Code { code, .. } if at == level => code,
                Ink::Code { .. } => None,
            };
            if self.set_cell(at, index, code)? {
                deltas.push(CellDelta {
                    level: at,
                    index,
                    before: raw_code(before),
                    after: raw_code(code),
                });
            }
        }
        Ok(deltas)
    }

    /// All cells that differ from the source, as changes from it.
    pub fn changes(&self) -> Vec<CellDelta> {
        let of = |level| {
            let (encoded, edited) = (self.encoded.level(level), self.edited.level(level));
            self.changed_cells(level).map(move |index| CellDelta {
                level,
                index,
                before: encoded.cells()[index as usize],
                after: edited.cells()[index as usize],
            })
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

    /// Ends the stroke. `None` when it changed nothing: then the history stays as it is.
    pub fn commit(&mut self) -> Option<Arc<Stroke>> {
        let stroke = self.open.take()?.finish();
        if stroke.deltas.is_empty() {
            return None;
        }
        let stroke = Arc::new(stroke);
        self.history.push(Arc::clone(&stroke));
        Some(stroke)
    }

    /// Takes the open stroke back; what it had changed comes back for repainting.
    pub fn abort(&mut self) -> Option<Stroke> {
        let stroke = self.open.take()?.finish();
        stroke.revert(Arc::make_mut(&mut self.edited));
        self.revision += 1;
        Some(stroke)
    }

    /// Takes the last stroke back and returns it; an open stroke is aborted instead.
    pub fn undo(&mut self) -> Option<Arc<Stroke>> {
        if self.open.is_some() {
            return self.abort().map(Arc::new);
        }
        let stroke = self.history.step_back()?;
        stroke.revert(Arc::make_mut(&mut self.edited));
        self.revision += 1;
        Some(stroke)
    }

    /// Does the last undone stroke again and returns it; nothing while a stroke is open.
    pub fn redo(&mut self) -> Option<Arc<Stroke>> {
        if self.open.is_some() {
            return None;
        }
        let stroke = self.history.step_forward()?;
        stroke.apply(Arc::make_mut(&mut self.edited));
        self.revision += 1;
        Some(stroke)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let geometry = Geometry::new(40, 24).unwrap();
        let source = Source::from_rgba8(40, 24, vec![9; 40 * 24 * 4]).unwrap();
        let mut codes = Codes::blank(geometry);
        for i in 0..geometry.cell_count(Level::Detail) as u32 {
            codes.detail.set(i, Some(i as u16 % 7));
        }
        Document::new(source, codes, Wrap::default(), "abc").unwrap()
    }

    #[test]
    fn a_stroke_merges_repeated_changes_and_undoes_to_the_start() {
        let mut doc = document();
        let start = Arc::clone(doc.edited());
        doc.begin("paint").unwrap();
        for code in [3, 5, 9] {
            doc.paint_cell(Level::Structure, 1, Some(code), DetailPolicy::Empty)
                .unwrap();
        }
        let stroke = doc.commit().unwrap();
        assert_eq!(stroke.deltas.len(), 1 + 16);
        assert_eq!(doc.edited().structure.at(1), Some(9));
        assert_eq!(doc.changed_cells(Level::Detail).count(), 16);
        doc.undo().unwrap();
        assert_eq!(doc.edited(), &start);
        assert!(!doc.is_edited());
        doc.redo().unwrap();
        assert_eq!(doc.edited().structure.at(1), Some(9));
        assert!(doc.redo().is_none());
    }

    #[test]
    fn a_stroke_that_ends_where_it_began_is_not_recorded() {
        let mut doc = document();
        doc.begin("nothing").unwrap();
        doc.set_cell(Level::Detail, 3, None).unwrap();
        doc.set_cell(Level::Detail, 3, Some(3)).unwrap();
        assert!(doc.commit().is_none());
        assert!(!doc.history().can_undo());
    }

    #[test]
    fn an_aborted_stroke_leaves_no_trace() {
        let mut doc = document();
        doc.begin("paint").unwrap();
        doc.set_cell(Level::Detail, 8, None).unwrap();
        assert_eq!(doc.abort().unwrap().deltas.len(), 1);
        assert!(!doc.is_edited());
        assert!(doc.undo().is_none());
    }

    #[test]
    fn a_new_stroke_forgets_what_was_undone() {
        let mut doc = document();
        for code in 1..=3 {
            doc.begin("paint").unwrap();
            doc.set_cell(Level::Structure, 0, Some(code)).unwrap();
            doc.commit().unwrap();
        }
        doc.undo().unwrap();
        doc.undo().unwrap();
        doc.begin("other").unwrap();
        doc.set_cell(Level::Structure, 1, Some(4)).unwrap();
        doc.commit().unwrap();
        assert_eq!(doc.history().strokes().len(), 2);
        assert!(!doc.history().can_redo());
    }

    #[test]
    fn erasing_a_structure_cell_restores_its_detail() {
        let mut doc = document();
        doc.begin("paint").unwrap();
        doc.paint_cell(Level::Structure, 2, Some(5), DetailPolicy::Empty)
            .unwrap();
        doc.commit();
        doc.begin("erase").unwrap();
        assert!(doc.erase_cell(Level::Structure, 2).unwrap());
        doc.commit();
        assert!(!doc.is_edited());
        assert_eq!(doc.history().strokes().len(), 2);
    }

    #[test]
    fn mistakes_are_errors_and_change_nothing() {
        let mut doc = document();
        assert_eq!(
            doc.set_cell(Level::Detail, 0, None).unwrap_err().kind,
            Kind::Internal
        );
        doc.begin("a").unwrap();
        assert!(doc.begin("b").is_err());
        assert!(doc.set_cell(Level::Structure, 0, None).is_err());
        assert!(doc.set_cell(Level::Detail, u32::MAX, Some(1)).is_err());
        assert!(!doc.is_edited());
    }
}
