//! Undo without a limit.

use std::sync::Arc;

use crate::document::edit::stroke::Stroke;
use crate::error::{Error, Kind, Result};

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

    /// This history with so many applied strokes before its first one.
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
    pub(crate) fn push(&mut self, stroke: Arc<Stroke>) {
        for undone in self.strokes.drain(self.cursor..) {
            self.cells -= undone.cells();
        }
        self.cells += stroke.cells();
        self.strokes.push(stroke);
        self.cursor += 1;
    }

    pub(crate) fn step_back(&mut self) -> Option<Arc<Stroke>> {
        self.cursor = self.cursor.checked_sub(1)?;
        self.strokes.get(self.cursor).cloned()
    }

    pub(crate) fn step_forward(&mut self) -> Option<Arc<Stroke>> {
        let stroke = self.strokes.get(self.cursor).cloned()?;
        self.cursor += 1;
        Some(stroke)
    }

    /// Lets the oldest applied strokes go until the rest changes at most `cells` cells, except the last one
    /// applied and those with a number above `stored`.
    pub(crate) fn forget(&mut self, cells: usize, stored: u64) {
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
    pub(crate) fn recall(&mut self, first: u64, strokes: Vec<Arc<Stroke>>) -> bool {
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
    use crate::document::edit::stroke::CellDelta;
    use crate::document::grid::geometry::{Geometry, Level};

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
}
