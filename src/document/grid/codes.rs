//! The codes of a picture: one grid per level.

use serde::{Deserialize, Serialize};

use crate::document::grid::geometry::{Geometry, Level, Rect};
use crate::error::{Error, Kind, Result};

/// How an empty (masked) cell is stored.
pub const EMPTY: u16 = u16::MAX;
/// In changes of a layer: it has no code of its own at a cell. Codebooks therefore have at most 65,534 codes.
pub const ABSENT: u16 = u16::MAX - 1;

/// The codes of one level, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawGrid")]
pub struct CodeGrid {
    width: u32,
    height: u32,
    cells: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrid {
    width: u32,
    height: u32,
    cells: Vec<u16>,
}

impl TryFrom<RawGrid> for CodeGrid {
    type Error = Error;
    fn try_from(raw: RawGrid) -> Result<Self> {
        CodeGrid::from_cells(raw.width, raw.height, raw.cells)
    }
}

impl CodeGrid {
    /// A grid with `code` in every cell.
    pub fn filled(width: u32, height: u32, code: Option<u16>) -> Self {
        Self {
            width,
            height,
            cells: vec![raw_code(code); width as usize * height as usize],
        }
    }

    /// From stored cells ([`EMPTY`] where there is no code).
    ///
    /// # Errors
    /// `Damaged` unless there are exactly `width × height` cells.
    pub fn from_cells(width: u32, height: u32, cells: Vec<u16>) -> Result<Self> {
        if cells.len() as u64 != u64::from(width) * u64::from(height) {
            return Err(Error::new(
                Kind::Damaged,
                "could not read a code grid",
                format!(
                    "it has {} cells where {width} × {height} are needed",
                    cells.len()
                ),
                "",
            ));
        }
        Ok(Self {
            width,
            height,
            cells,
        })
    }

    pub const fn width(&self) -> u32 {
        self.width
    }

    pub const fn height(&self) -> u32 {
        self.height
    }

    pub const fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    /// Stored cells, row by row; [`EMPTY`] where there is no code.
    pub fn cells(&self) -> &[u16] {
        &self.cells
    }

    pub fn into_cells(self) -> Vec<u16> {
        self.cells
    }

    /// The code at a cell; `None` when the cell is empty or outside.
    pub fn get(&self, x: u32, y: u32) -> Option<u16> {
        self.index(x, y)
            .and_then(|index| code_from_raw(self.cells[index as usize]))
    }

    /// The code at an index; `None` when the cell is empty or outside.
    pub fn at(&self, index: u32) -> Option<u16> {
        self.cells
            .get(index as usize)
            .and_then(|&raw| code_from_raw(raw))
    }

    /// The index of a cell, or `None` outside.
    pub fn index(&self, x: u32, y: u32) -> Option<u32> {
        (x < self.width && y < self.height).then(|| y * self.width + x)
    }

    /// Writes a cell and returns what was there; outside nothing happens and `None` comes back.
    pub fn set(&mut self, index: u32, code: Option<u16>) -> Option<u16> {
        let cell = self.cells.get_mut(index as usize)?;
        code_from_raw(std::mem::replace(cell, raw_code(code)))
    }

    pub(crate) fn raw_at(&self, index: u32) -> Option<u16> {
        self.cells.get(index as usize).copied()
    }

    pub(crate) fn set_raw(&mut self, index: u32, raw: u16) {
        if let Some(cell) = self.cells.get_mut(index as usize) {
            *cell = raw;
        }
    }

    /// The largest code in use, or `None` when every cell is empty.
    pub fn max_code(&self) -> Option<u16> {
        self.cells.iter().copied().filter(|&c| c != EMPTY).max()
    }
}

/// `None` for [`EMPTY`].
pub const fn code_from_raw(raw: u16) -> Option<u16> {
    if raw == EMPTY { None } else { Some(raw) }
}

/// [`EMPTY`] for `None`.
pub const fn raw_code(code: Option<u16>) -> u16 {
    match code {
        Some(code) => code,
        None => EMPTY,
    }
}

/// Both code grids of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Codes {
    pub structure: CodeGrid,
    pub detail: CodeGrid,
}

impl Codes {
    /// Structure code 0 and empty detail everywhere.
    pub fn blank(geometry: Geometry) -> Self {
        let grid = |level, code| {
            CodeGrid::filled(
                geometry.grid_width(level),
                geometry.grid_height(level),
                code,
            )
        };
        Self {
            structure: grid(Level::Structure, Some(0)),
            detail: grid(Level::Detail, None),
        }
    }

    pub fn level(&self, level: Level) -> &CodeGrid {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }

    pub fn level_mut(&mut self, level: Level) -> &mut CodeGrid {
        match level {
            Level::Structure => &mut self.structure,
            Level::Detail => &mut self.detail,
        }
    }

    /// Checks that the grids belong to a document of this size and that every code exists.
    ///
    /// # Errors
    /// `Damaged` when a grid has another size or a structure cell is empty; `Usage` for a code
    /// that the codebooks do not have.
    pub fn check(&self, geometry: Geometry, codebooks: Option<Codebooks>) -> Result<()> {
        for level in Level::ALL {
            let grid = self.level(level);
            if grid.bounds() != geometry.grid_bounds(level) {
                return Err(Error::new(
                    Kind::Damaged,
                    "could not use the codes",
                    format!(
                        "the {level} grid is {} × {} cells; a picture of {} × {} pixels needs {} × {}",
                        grid.width(),
                        grid.height(),
                        geometry.width(),
                        geometry.height(),
                        geometry.grid_width(level),
                        geometry.grid_height(level)
                    ),
                    "Encode the picture again",
                ));
            }
            if let Some(codebooks) = codebooks
                && let Some(code) = grid.max_code()
            {
                codebooks.check(level, Some(code))?;
            }
        }
        if self.structure.cells().contains(&EMPTY) {
            return Err(Error::new(
                Kind::Damaged,
                "could not use the codes",
                "a structure cell is empty; only detail cells may be",
                "Encode the picture again",
            ));
        }
        Ok(())
    }
}

/// How many codes each codebook has (1 to 65,534).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codebooks {
    pub structure: u32,
    pub detail: u32,
}

impl Codebooks {
    pub const fn size(&self, level: Level) -> u32 {
        match level {
            Level::Structure => self.structure,
            Level::Detail => self.detail,
        }
    }

    /// # Errors
    /// `Usage` when the codebook has no such code, or for an empty structure cell.
    pub fn check(&self, level: Level, code: Option<u16>) -> Result<()> {
        match code {
            Some(code) if u32::from(code) >= self.size(level) => Err(Error::usage(
                "could not use a code",
                format!(
                    "there is no {level} code {code}; this model has {level} codes 0 to {}",
                    self.size(level).saturating_sub(1)
                ),
                "Choose a code that the codebook has",
            )),
            None if level == Level::Structure => Err(Error::usage(
                "could not empty a structure cell",
                "only detail cells can be empty",
                "Give a structure code",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_options_at_the_api() {
        let mut grid = CodeGrid::filled(3, 2, None);
        assert_eq!(grid.get(1, 1), None);
        assert_eq!(grid.set(4, Some(7)), None);
        assert_eq!(grid.get(1, 1), Some(7));
        assert_eq!(grid.set(4, None), Some(7));
        assert_eq!(grid.set(6, Some(1)), None);
        assert_eq!(grid.index(3, 0), None);
        assert_eq!(grid.max_code(), None);
    }

    #[test]
    fn a_grid_of_the_wrong_length_is_damaged() {
        assert_eq!(
            CodeGrid::from_cells(2, 2, vec![0; 3]).unwrap_err().kind,
            Kind::Damaged
        );
        let json = r#"{"width":4294967295,"height":4294967295,"cells":[1]}"#;
        assert!(serde_json::from_str::<CodeGrid>(json).is_err());
    }

    #[test]
    fn codes_are_checked_against_size_and_codebooks() {
        let geometry = Geometry::new(33, 20).unwrap();
        let mut codes = Codes::blank(geometry);
        let books = Codebooks {
            structure: 4,
            detail: 4,
        };
        codes.check(geometry, Some(books)).unwrap();
        codes.detail.set(3, Some(4));
        assert!(codes.check(geometry, Some(books)).is_err());
        codes.detail.set(3, Some(3));
        codes.structure.set(0, None);
        assert!(codes.check(geometry, Some(books)).is_err());
        assert!(codes.check(Geometry::new(8, 8).unwrap(), None).is_err());
    }
}
