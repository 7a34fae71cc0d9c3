//! Blocks of codes: picked up from a picture, put down as a pattern.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::alphabet::companions::DETAILS_PER_CELL;
use crate::document::edit::document::Document;
use crate::document::grid::codes::{Codebooks, Codes};
use crate::document::grid::coordinates::{Coordinate, Sources};
use crate::document::grid::geometry::{DETAIL_STRIDE_PX, Level, Rect, STRUCTURE_STRIDE_PX};
use crate::document::grid::source::Source;
use crate::document::grid::turn::Turn;
use crate::document::tools::PlacedCode;
use crate::error::{Error, Kind, Result};

/// Detail cells along one side of a structure cell.
const SIDE: u32 = STRUCTURE_STRIDE_PX / DETAIL_STRIDE_PX;

/// A block of codes, row by row; `None` is empty detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    pub level: Level,
    /// Cells of `level`.
    pub width: u32,
    pub height: u32,
    pub codes: Vec<Option<u16>>,
    /// For a structure block the details over it, `4·width × 4·height`; absent where it leaves the detail
    /// to the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<Option<u16>>>,
    /// Where its detail cells come from; not kept in files.
    #[serde(skip)]
    pub places: Option<Places>,
}

/// Where the detail cells of a block come from.
#[derive(Debug, Clone)]
pub struct Places {
    /// The picture that the block was picked up from, and those that its cells come from.
    home: Source,
    sources: Sources,
    /// As many as the block has detail codes.
    cells: Vec<Option<Coordinate>>,
}

impl PartialEq for Places {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(&other.home) && self.cells == other.cells
    }
}

impl Eq for Places {}

impl Places {
    fn is_of(&self, source: &Source) -> bool {
        Arc::ptr_eq(self.home.rgba8(), source.rgba8())
    }

    /// The place as coordinates of a document say it. `None` where that does not know the picture.
    fn at(&self, document: &Document, cell: usize) -> Option<Coordinate> {
        let coordinate = (*self.cells.get(cell)?)?;
        if self.is_of(document.source()) {
            return Some(coordinate);
        }
        let named = self.sources.named(coordinate.source)?;
        let source = document.sources().number_of(named)?;
        Some(Coordinate {
            source,
            ..coordinate
        })
    }

    /// Tells a document of the pictures that cells come from.
    ///
    /// # Errors
    /// As [`Document::add_source`].
    pub(crate) fn introduce(&self, document: &mut Document) -> Result<()> {
        if self.is_of(document.source()) {
            return Ok(());
        }
        let numbers: BTreeSet<u16> = (self.cells.iter().flatten()).map(|c| c.source).collect();
        for named in numbers.into_iter().filter_map(|n| self.sources.named(n)) {
            document.add_source(named)?;
        }
        Ok(())
    }
}

impl Block {
    /// Largest block, in cells.
    pub const MAX_CELLS: u64 = 1 << 16;

    /// The cells of a rectangle (cells of `level`, cut at the picture), with the details over a structure
    /// block. `None` where nothing of it lies in the picture.
    ///
    /// # Errors
    /// `Limit` for more than [`Block::MAX_CELLS`].
    pub fn take(codes: &Codes, level: Level, rect: Rect) -> Result<Option<Self>> {
        let grid = codes.level(level);
        let rect = rect.intersect(&grid.bounds());
        if rect.is_empty() {
            return Ok(None);
        }
        if rect.area() > Self::MAX_CELLS {
            return Err(Error::new(
                Kind::Limit,
                "could not pick up the block",
                format!("it has {} cells; {} at most", rect.area(), Self::MAX_CELLS),
                "Pick up a smaller one",
            ));
        }
        let of = |level: Level, rect: Rect| {
            let grid = codes.level(level);
            (rect.y..rect.bottom())
                .flat_map(|y| (rect.x..rect.right()).map(move |x| grid.get(x, y)))
                .collect::<Vec<_>>()
        };
        Ok(Some(Self {
            level,
            width: rect.width,
            height: rect.height,
            codes: of(level, rect),
            details: (level == Level::Structure).then(|| of(Level::Detail, rect.to_pixels(SIDE))),
            places: None,
        }))
    }

    /// As [`Block::take`] from what a document shows, with the places that the cells come from.
    ///
    /// # Errors
    /// As [`Block::take`].
    pub fn of_document(document: &Document, level: Level, rect: Rect) -> Result<Option<Self>> {
        let Some(block) = Self::take(document.edited(), level, rect)? else {
            return Ok(None);
        };
        let grid = &document.edited().detail;
        let rect = rect.intersect(&document.geometry().grid_bounds(level));
        let details = match level {
            Level::Structure => rect.to_pixels(SIDE),
            Level::Detail => rect,
        };
        let cells = (details.y..details.bottom())
            .flat_map(|y| (details.x..details.right()).map(move |x| (x, y)))
            .map(|(x, y)| document.origin(grid.index(x, y)?))
            .collect();
        Ok(Some(Self {
            places: Some(Places {
                home: document.source().clone(),
                sources: document.sources().clone(),
                cells,
            }),
            ..block
        }))
    }

    /// Checks a block that came from a file.
    ///
    /// # Errors
    /// `Damaged` when its lists have other lengths than its size says; `Limit` when it is too large;
    /// `Usage` for a code that the codebooks do not have.
    pub fn check(&self, codebooks: Codebooks) -> Result<()> {
        let cells = u64::from(self.width) * u64::from(self.height);
        let wrong = |kind, why: &str| {
            Err(Error::new(
                kind,
                "could not use the block of codes",
                why,
                "",
            ))
        };
        if cells == 0 || cells > Self::MAX_CELLS {
            return wrong(Kind::Limit, "it is empty or too large");
        }
        let is_structure = self.level == Level::Structure;
        let has_details = |details: &Vec<_>| {
            is_structure && details.len() as u64 == cells * DETAILS_PER_CELL as u64
        };
        if self.codes.len() as u64 != cells || !self.details.as_ref().is_none_or(has_details) {
            return wrong(Kind::Damaged, "its codes do not fill its size");
        }
        for code in &self.codes {
            codebooks.check(self.level, *code)?;
        }
        for code in self.details.iter().flatten() {
            codebooks.check(Level::Detail, *code)?;
        }
        Ok(())
    }

    /// The code at a cell within the block.
    pub fn at(&self, x: u32, y: u32) -> Option<u16> {
        self.codes[(y * self.width + x) as usize]
    }

    /// The details over a structure cell within the block, row by row, where it brings its own, and where they come
    /// from in coordinates of a document.
    pub fn details_at(
        &self,
        document: &Document,
        x: u32,
        y: u32,
    ) -> Option<[PlacedCode; DETAILS_PER_CELL]> {
        let details = self.details.as_ref()?;
        Some(std::array::from_fn(|at| {
            let at = at as u32;
            let (x, y) = (x * SIDE + at % SIDE, y * SIDE + at / SIDE);
            let cell = (y * self.width * SIDE + x) as usize;
            let places = self.places.as_ref();
            (details[cell], places.and_then(|p| p.at(document, cell)))
        }))
    }

    /// The code at a cell within a block of details, and where it comes from in coordinates of a document.
    pub fn placed_at(&self, document: &Document, x: u32, y: u32) -> PlacedCode {
        let cell = (y * self.width + x) as usize;
        let places = self.places.as_ref();
        (self.codes[cell], places.and_then(|p| p.at(document, cell)))
    }

    /// The block laid out another way. Texture is carried upright only: a turned block is its codes alone.
    #[must_use]
    pub fn turned(&self, turn: Turn) -> Self {
        let is_on_its_side = turn.quarters % 2 == 1;
        let (width, height) = if is_on_its_side {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let lay = |cells: &[Option<u16>], finer: u32| {
            let (from_width, from_height) = (self.width * finer, self.height * finer);
            let (width, height) = (width * finer, height * finer);
            (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .map(|(x, y)| {
                    let (mut x, y) = match turn.quarters % 4 {
                        0 => (x, y),
                        1 => (y, from_height - 1 - x),
                        2 => (from_width - 1 - x, from_height - 1 - y),
                        _ => (from_width - 1 - y, x),
                    };
                    if turn.is_mirrored {
                        x = from_width - 1 - x;
                    }
                    cells[(y * from_width + x) as usize]
                })
                .collect::<Vec<_>>()
        };
        Self {
            level: self.level,
            width,
            height,
            codes: lay(&self.codes, 1),
            details: self.details.as_deref().map(|details| lay(details, SIDE)),
            places: self.places.clone().filter(|_| turn == Turn::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::grid::geometry::Geometry;

    fn codes() -> Codes {
        let mut codes = Codes::blank(Geometry::new(64, 48).unwrap());
        for level in Level::ALL {
            for i in 0..codes.level(level).cells().len() as u32 {
                codes.level_mut(level).set(i, Some(i as u16));
            }
        }
        codes
    }

    fn document() -> Document {
        let source = Source::from_rgba8(64, 48, vec![0; 64 * 48 * 4]).unwrap();
        Document::new(
            source,
            codes(),
            crate::document::grid::geometry::Wrap::default(),
            "m",
        )
        .unwrap()
    }

    #[test]
    fn a_structure_block_brings_its_details_along() {
        let block = Block::take(&codes(), Level::Structure, Rect::new(1, 1, 2, 1))
            .unwrap()
            .unwrap();
        assert_eq!(block.codes, [Some(5), Some(6)]);
        assert_eq!(
            block.details_at(&document(), 1, 0).unwrap()[0].0,
            Some(4 * 16 + 8)
        );
        let cut = Block::take(&codes(), Level::Detail, Rect::new(15, 11, 9, 9))
            .unwrap()
            .unwrap();
        assert_eq!((cut.width, cut.height, cut.details), (1, 1, None));
        assert_eq!(
            Block::take(&codes(), Level::Detail, Rect::new(16, 0, 9, 9)).unwrap(),
            None
        );
    }

    #[test]
    fn turning_four_times_and_mirroring_twice_change_nothing() {
        let block = Block::take(&codes(), Level::Structure, Rect::new(0, 0, 3, 2))
            .unwrap()
            .unwrap();
        let quarter = Turn {
            is_mirrored: false,
            quarters: 1,
        };
        let once = block.turned(quarter);
        // 0 1 2      4 0
        // 4 5 6  →   5 1
        //            6 2
        let expected = [4, 0, 5, 1, 6, 2].map(Some);
        assert_eq!((once.width, once.codes.as_slice()), (2, &expected[..]));
        let mut turned = block.clone();
        for _ in 0..4 {
            turned = turned.turned(quarter);
        }
        assert_eq!(turned, block);
        let mirror = Turn {
            is_mirrored: true,
            quarters: 0,
        };
        assert_eq!(block.turned(mirror).codes[..3], [2, 1, 0].map(Some));
        assert_eq!(block.turned(mirror).turned(mirror), block);
        // Details go with their cell.
        assert_eq!(
            once.details_at(&document(), 1, 0).unwrap()[3],
            block.details_at(&document(), 0, 0).unwrap()[0]
        );
    }

    #[test]
    fn blocks_from_files_are_checked() {
        let books = Codebooks {
            structure: 12,
            detail: 192,
        };
        let good = Block::take(&codes(), Level::Structure, Rect::new(0, 0, 2, 2))
            .unwrap()
            .unwrap();
        good.check(books).unwrap();
        for spoil in [
            |block: &mut Block| block.width = 3,
            |block: &mut Block| block.height = 0,
            |block: &mut Block| (block.width, block.height) = (u32::MAX, u32::MAX),
            |block: &mut Block| block.codes[0] = Some(12),
            |block: &mut Block| block.codes[0] = None,
            |block: &mut Block| block.details = Some(vec![Some(1)]),
            |block: &mut Block| block.level = Level::Detail,
        ] {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(bad.check(books).is_err());
        }
    }
}
