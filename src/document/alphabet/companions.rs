//! Which details stand over which structure: learned by counting, used when structure is painted with
//! the details that go with it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::document::grid::codes::{Codebooks, Codes, EMPTY};
use crate::error::{Error, Kind, Result};

/// Detail cells along one side of a structure cell.
const SIDE: u32 = crate::document::grid::geometry::STRUCTURE_STRIDE_PX
    / crate::document::grid::geometry::DETAIL_STRIDE_PX;
/// Detail cells over one structure cell, row by row.
pub const DETAILS_PER_CELL: usize = (SIDE * SIDE) as usize;
/// Arrangements kept per structure code.
const PER_CODE: usize = 6;

/// For each structure code the arrangements of details most typical of it, as they were seen.
///
/// How typical an arrangement is says the mean logarithm of how often its details stood over that
/// structure code. Whole arrangements are kept, not single codes, so that what is pulled fits together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companions {
    /// Where they were counted, in words: "22 pictures", "this picture".
    pub origin: String,
    codes: Vec<Vec<[u16; DETAILS_PER_CELL]>>,
}

impl Companions {
    /// Counts pictures, each with its codes.
    pub fn count<'a>(
        origin: impl Into<String>,
        codebooks: Codebooks,
        pictures: impl Iterator<Item = &'a Codes> + Clone,
    ) -> Self {
        let mut pairs = HashMap::<(u16, u16), u32>::new();
        for (structure, details) in pictures.clone().flat_map(arrangements) {
            for detail in details {
                *pairs.entry((structure, detail)).or_default() += 1;
            }
        }
        // Per structure code the best so far, best first.
        let mut best =
            vec![Vec::<(f32, [u16; DETAILS_PER_CELL])>::new(); codebooks.structure as usize];
        for (structure, details) in pictures.flat_map(arrangements) {
            let Some(kept) = best.get_mut(usize::from(structure)) else {
                continue;
            };
            let score = (details.iter())
                .map(|&detail| (pairs[&(structure, detail)] as f32).ln())
                .sum::<f32>();
            let is_better = kept.len() < PER_CODE || kept.last().is_some_and(|l| score > l.0);
            if !is_better || kept.iter().any(|(_, other)| *other == details) {
                continue;
            }
            let at = kept.partition_point(|(other, _)| *other >= score);
            kept.insert(at, (score, details));
            kept.truncate(PER_CODE);
        }
        let codes = best
            .into_iter()
            .map(|kept| kept.into_iter().map(|(_, details)| details).collect())
            .collect();
        Self {
            origin: origin.into(),
            codes,
        }
    }

    /// The details to put over a structure code, row by row; `choice` picks among the typical
    /// arrangements. `None` where the code was never seen.
    pub fn over(&self, structure: u16, choice: u64) -> Option<&[u16; DETAILS_PER_CELL]> {
        let kept = self.codes.get(usize::from(structure))?;
        kept.get((choice % kept.len().max(1) as u64) as usize)
    }

    /// How many structure codes were seen.
    pub fn known(&self) -> usize {
        self.codes.iter().filter(|kept| !kept.is_empty()).count()
    }

    /// Checks a table from a file.
    ///
    /// # Errors
    /// `Damaged` when it is not for codebooks of these sizes.
    pub fn check(&self, codebooks: Codebooks) -> Result<()> {
        let all = || self.codes.iter().flatten().flatten();
        let fits = self.codes.len() == codebooks.structure as usize
            && self.codes.iter().all(|kept| kept.len() <= PER_CODE)
            && all().all(|&detail| u32::from(detail) < codebooks.detail);
        if fits {
            return Ok(());
        }
        Err(Error::new(
            Kind::Damaged,
            "could not read which details go with which structure",
            "the table is for another codebook",
            "Count the use in your pictures again",
        ))
    }
}

/// Each structure cell's code with the details over it; cells with empty detail are left out.
fn arrangements(codes: &Codes) -> impl Iterator<Item = (u16, [u16; DETAILS_PER_CELL])> {
    let columns = codes.structure.width();
    (0u32..)
        .zip(codes.structure.cells())
        .filter_map(move |(index, &structure)| {
            let (x, y) = (index % columns * SIDE, index / columns * SIDE);
            let mut details = [EMPTY; DETAILS_PER_CELL];
            for (at, detail) in (0u32..).zip(&mut details) {
                *detail = codes.detail.get(x + at % SIDE, y + at / SIDE)?;
            }
            Some((structure, details))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::grid::geometry::{Geometry, Level};

    const BOOKS: Codebooks = Codebooks {
        structure: 4,
        detail: 8,
    };

    /// Structure 1 on the left with detail 5, structure 2 on the right with detail 6; one odd cell.
    fn codes() -> Codes {
        let geometry = Geometry::new(64, 32).unwrap();
        let mut codes = Codes::blank(geometry);
        for i in 0..geometry.cell_count(Level::Structure) as u32 {
            codes.structure.set(i, Some(if i % 4 < 2 { 1 } else { 2 }));
        }
        for i in 0..geometry.cell_count(Level::Detail) as u32 {
            codes.detail.set(i, Some(if i % 16 < 8 { 5 } else { 6 }));
        }
        codes.detail.set(0, Some(7));
        codes
    }

    #[test]
    fn the_details_most_often_seen_come_first() {
        let codes = codes();
        let table = Companions::count("one picture", BOOKS, [&codes].into_iter());
        table.check(BOOKS).unwrap();
        assert_eq!(table.over(1, 0), Some(&[5; 16]));
        assert_eq!(table.over(2, 3), Some(&[6; 16]));
        assert_eq!(table.over(1, 1).map(|details| details[0]), Some(7));
        assert_eq!(table.over(3, 0), None);
        assert_eq!(table.known(), 2);
    }

    #[test]
    fn emptied_cells_teach_nothing_and_foreign_tables_are_refused() {
        let mut emptied = codes();
        for i in 0..emptied.detail.cells().len() as u32 {
            emptied.detail.set(i, None);
        }
        let table = Companions::count("nothing", BOOKS, [&emptied].into_iter());
        assert_eq!(table.known(), 0);
        let smaller = Codebooks {
            structure: 4,
            detail: 6,
        };
        let full = Companions::count("one", BOOKS, [&codes()].into_iter());
        assert!(full.check(smaller).is_err());
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Companions>(&text).unwrap(), full);
    }
}
