//! Parts of a document's journal of strokes, for histories that do not fit into memory.

use rusqlite::params;

use super::documents::StoredStroke;
use super::sqlite::{Doing, damaged, unsigned};
use super::{DocumentId, Project};
use crate::document::Stroke;
use crate::error::Result;

impl Project {
    /// The strokes up to `last`, oldest first: as many of the newest of them as change at most `cells` cells
    /// together, and one at least.
    ///
    /// # Errors
    /// `NotFound` for an unknown document; `Damaged` where strokes are missing or do not fit it.
    pub fn strokes_up_to(&self, id: DocumentId, last: u64, cells: usize) -> Result<Vec<Stroke>> {
        const DOING: &str = "read the strokes of a document";
        let row = self.document(id)?;
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {} FROM strokes WHERE document = ?1 AND number <= ?2 ORDER BY number DESC",
                StoredStroke::COLUMNS
            ))
            .doing(DOING, &self.path)?;
        let mut rows = statement
            .query(params![id, last.cast_signed()])
            .doing(DOING, &self.path)?;
        let mut strokes: Vec<Stroke> = Vec::new();
        let mut room = cells;
        while let Some(found) = rows.next().doing(DOING, &self.path)? {
            let number = unsigned(found, 0).doing(DOING, &self.path)?;
            let expected = last - strokes.len() as u64;
            if number != expected {
                let why = format!("stroke {expected} is missing");
                return Err(damaged(DOING, &self.path, why));
            }
            let stored = StoredStroke::read(found).doing(DOING, &self.path)?;
            let stroke = stored.decode(&row).map_err(|e| e.at(&self.path))?;
            match room.checked_sub(stroke.deltas.len() + stroke.coordinates.len()) {
                Some(left) => room = left,
                None if strokes.is_empty() => room = 0,
                None => break,
            }
            strokes.push(stroke);
        }
        if strokes.is_empty() {
            let why = format!("stroke {last} is missing");
            return Err(damaged(DOING, &self.path, why));
        }
        strokes.reverse();
        Ok(strokes)
    }
}
