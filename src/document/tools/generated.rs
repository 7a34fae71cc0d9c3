//! Cells that were worked out elsewhere, put down at once.

use std::sync::Arc;

use super::{Easel, PlacedCode, Under};
use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::edit::stroke::Stroke;
use crate::document::grid::coordinates::{Coordinate, OWN_SOURCE, SourceRef};
use crate::document::grid::geometry::Level;
use crate::error::{Error, Result};

/// A detail cell to put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedDetail {
    /// Row by row in the document's detail grid.
    pub index: u32,
    /// `None` is empty detail.
    pub code: Option<u16>,
    /// Where it comes from; its source is [`OWN_SOURCE`] or one more than a place in [`Generated::sources`].
    pub from: Option<Coordinate>,
}

/// Cells to put down, for those who know which codes a place shall have and where each comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// Structure cells, row by row in the document's grid, and their codes. Put down before the details.
    pub structure: Vec<(u32, u16)>,
    pub details: Vec<GeneratedDetail>,
    /// The pictures, beside the document's own, that details come from.
    pub sources: Vec<SourceRef>,
}

/// Puts cells down as one stroke, where the selection lets it; `None` where they are there already.
///
/// # Errors
/// `Usage` for codes that there are not, cells outside the picture, places outside their source, or a layer that is
/// locked or hidden; `Limit` for too many sources. The document then stays as it was.
pub fn put_generated(
    easel: &mut Easel<'_>,
    label: impl Into<String>,
    cells: &Generated,
) -> Result<Option<Arc<Stroke>>> {
    let numbers = (cells.sources.iter())
        .map(|source| easel.document.add_source(source))
        .collect::<Result<Vec<u16>>>()?;
    easel.stroke(label, |easel| {
        for &(index, code) in &cells.structure {
            let policy = Under::Policy(DetailPolicy::Keep);
            easel
                .alphabet
                .codebooks
                .check(Level::Structure, Some(code))?;
            easel.put(Level::Structure, index, Some(code), policy)?;
        }
        for detail in &cells.details {
            easel.alphabet.codebooks.check(Level::Detail, detail.code)?;
            let from = (detail.from)
                .map(|from| renumbered(from, &numbers))
                .transpose()?;
            let cell: PlacedCode = (detail.code, from);
            easel.place(detail.index, cell)?;
        }
        Ok(())
    })
}

fn renumbered(from: Coordinate, numbers: &[u16]) -> Result<Coordinate> {
    if from.source == OWN_SOURCE {
        return Ok(from);
    }
    let source = numbers.get(usize::from(from.source) - 1);
    source
        .map(|&source| Coordinate { source, ..from })
        .ok_or_else(|| {
            Error::usage(
                "could not put the cells down",
                "one comes from a picture that is not among the sources",
                "",
            )
        })
}
