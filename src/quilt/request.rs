//! What is asked for: pictures to take from, a canvas to fill and how.

use std::sync::Arc;

use crate::document::{Codes, Level, Wrap};
use crate::error::{Error, Kind, Result};

/// Shortest side of a source, in structure cells (32 pixels).
pub const MIN_SOURCE_CELLS: u32 = 2;
/// Most sources of one request.
pub const MAX_SOURCES: usize = 65_534;
/// Largest canvas, in structure cells (16,384 × 16,384 pixels).
pub const MAX_CANVAS_CELLS: u64 = 1 << 20;

/// A picture whose cells may be taken. Per-cell lists go row by row over its structure cells.
#[derive(Debug, Clone)]
pub struct Source {
    pub codes: Arc<Codes>,
    /// Cells that may be taken: not those that are transparent throughout, padded or about to be filled. `None`: all.
    pub usable: Option<Vec<bool>>,
    /// What each cell shows, for [`Controls::labels`]. `None`: label 0 everywhere.
    pub labels: Option<Vec<u8>>,
    /// Mean colour of each cell, for [`Sketch`]; in any space where distances mean something.
    pub colours: Option<Vec<[f32; 3]>>,
}

impl Source {
    /// All of a picture.
    pub const fn new(codes: Arc<Codes>) -> Self {
        Self {
            codes,
            usable: None,
            labels: None,
            colours: None,
        }
    }
}

/// What is made: so many structure cells, all new or around cells that stay.
#[derive(Debug, Clone)]
pub struct Canvas {
    /// In structure cells.
    pub width: u32,
    /// In structure cells.
    pub height: u32,
    pub wrap: Wrap,
    /// Cells that stay as they are. `None`: all are made.
    pub kept: Option<Kept>,
}

/// Cells of the canvas that stay as they are.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Codes of the whole canvas; those of cells to be made do not matter.
    pub codes: Arc<Codes>,
    /// Per structure cell: whether it is made anew, with the detail under it. The others are locked.
    pub fill: Vec<bool>,
    /// Where the kept cells come from, so that what is made can continue them. `None`: from none of the sources.
    pub home: Option<Home>,
}

/// A source laid on the canvas with its first cell at (`y`, `x`), in structure cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    pub source: u16,
    pub y: i32,
    pub x: i32,
}

/// What the cells to be made are before the first search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Random blocks of the sources.
    Blocks,
    /// Grown from the kept cells inwards (or outwards), each cell as it follows most nearly in a source.
    Grown,
    /// A source moved about by up to `reach` (0 to 1) of half its size: a variation of it. The canvas has its size.
    Moved { source: u16, reach: f32 },
}

/// Colours that the result should have.
#[derive(Debug, Clone)]
pub struct Sketch {
    /// Per structure cell of the canvas; `None` where any colour will do.
    pub colours: Vec<Option<[f32; 3]>>,
    /// 0: ignored; 1: as important as fitting the neighbours.
    pub weight: f32,
}

/// How the result is made. All start off.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// The same seed gives the same result.
    pub seed: u64,
    /// From 0 (always the patch that fits best) to 1 (one of the 16 that fit best).
    pub freedom: f32,
    /// From 0 to 1: how strongly patches that are in use already are avoided, so that all of the sources appears
    /// (Granot et al., "Drop the GAN", CVPR 2022).
    pub variety: f32,
    /// Most structure cells, on each axis, that may be taken in one piece; at least 2.
    pub largest_piece: Option<u32>,
    /// Codes that must not appear in what is made, by number; empty: none.
    pub muted_structure: Vec<bool>,
    /// As [`Self::muted_structure`]. Empty detail is never muted.
    pub muted_detail: Vec<bool>,
    /// Codes that should appear more often, by number; empty: none.
    pub boosted_structure: Vec<bool>,
    pub boosted_detail: Vec<bool>,
    pub sketch: Option<Sketch>,
    /// Per structure cell of the canvas: the label that its source cell must have; 0: any.
    pub labels: Option<Vec<u8>>,
    /// From 0 (off) to 1: how strongly a cell is kept as high up as it is in its source.
    pub height: f32,
    /// Whether small patches and few searches are enough: a few cells are made while somebody paints.
    pub is_quick: bool,
}

/// A whole request.
#[derive(Debug, Clone)]
pub struct Request {
    pub sources: Vec<Source>,
    pub canvas: Canvas,
    pub start: Start,
    pub controls: Controls,
}

impl Request {
    /// # Errors
    /// `Usage` where the parts do not fit each other; `Limit` for a canvas that is too large; `NoPictures` where no source can
    /// be used.
    pub(super) fn check(&self) -> Result<()> {
        self.check_sources()?;
        self.check_canvas()?;
        self.check_controls()
    }

    fn check_sources(&self) -> Result<()> {
        if self.sources.is_empty() {
            return Err(Error::new(
                Kind::NoPictures,
                WHAT,
                "there is no picture to take from",
                "Choose at least one picture",
            ));
        }
        if self.sources.len() > MAX_SOURCES {
            return Err(Error::new(
                Kind::Limit,
                WHAT,
                format!(
                    "{} pictures to take from; {MAX_SOURCES} are the most",
                    self.sources.len()
                ),
                "Choose fewer pictures",
            ));
        }
        for (number, source) in self.sources.iter().enumerate() {
            let (structure, detail) = (&source.codes.structure, &source.codes.detail);
            let (width, height) = (structure.width(), structure.height());
            let named = format!("picture {} of {}", number + 1, self.sources.len());
            if width < MIN_SOURCE_CELLS || height < MIN_SOURCE_CELLS {
                return Err(usage(
                    format!(
                        "{named} is too small to take from: {} × {} pixels, and at least 32 × 32 are needed",
                        width * 16,
                        height * 16
                    ),
                    "Choose a larger picture",
                ));
            }
            if (detail.width(), detail.height()) != (width * 4, height * 4) {
                return Err(Error::new(
                    Kind::Damaged,
                    WHAT,
                    format!("the grids of {named} do not belong together"),
                    "Encode the picture again",
                ));
            }
            if width > u32::from(u16::MAX) / 4 || height > u32::from(u16::MAX) / 4 {
                return Err(Error::new(
                    Kind::Limit,
                    WHAT,
                    format!("{named} is too large to take from"),
                    "Scale it down or cut it into parts",
                ));
            }
            let cells = structure.cells().len();
            for (list, found) in [
                ("usable cells", source.usable.as_ref().map(Vec::len)),
                ("labels", source.labels.as_ref().map(Vec::len)),
                ("colours", source.colours.as_ref().map(Vec::len)),
            ] {
                if found.is_some_and(|found| found != cells) {
                    return Err(another_size(&format!("the list of {list} of {named}")));
                }
            }
        }
        Ok(())
    }

    fn check_canvas(&self) -> Result<()> {
        let canvas = &self.canvas;
        let cells = u64::from(canvas.width) * u64::from(canvas.height);
        if cells == 0 || cells > MAX_CANVAS_CELLS || canvas.width.max(canvas.height) > 2048 {
            return Err(Error::new(
                Kind::Limit,
                WHAT,
                format!(
                    "the result would have {} × {} pixels; sides go up to 32,768 and the area to 16,384 × 16,384 pixels",
                    u64::from(canvas.width) * 16,
                    u64::from(canvas.height) * 16
                ),
                "Choose another size",
            ));
        }
        if let Some(kept) = &canvas.kept {
            let size = |level| {
                let grid = kept.codes.level(level);
                (grid.width(), grid.height())
            };
            if kept.fill.len() as u64 != cells {
                return Err(another_size("the mask of what to fill"));
            }
            if size(Level::Structure) != (canvas.width, canvas.height)
                || size(Level::Detail) != (canvas.width * 4, canvas.height * 4)
            {
                return Err(another_size("the picture around what to fill"));
            }
            if !kept.fill.contains(&true) {
                return Err(usage(
                    "the mask is empty: there is no cell to fill",
                    "Select what should be made anew",
                ));
            }
            if kept
                .home
                .is_some_and(|home| usize::from(home.source) >= self.sources.len())
            {
                return Err(no_such_source());
            }
        }
        match self.start {
            Start::Moved { source, reach } => {
                let Some(source) = self.sources.get(usize::from(source)) else {
                    return Err(no_such_source());
                };
                check_share("the reach of a variation", reach)?;
                let grid = &source.codes.structure;
                if (grid.width(), grid.height()) != (canvas.width, canvas.height) {
                    return Err(another_size("the picture to vary"));
                }
                Ok(())
            }
            Start::Blocks | Start::Grown => Ok(()),
        }
    }

    fn check_controls(&self) -> Result<()> {
        let controls = &self.controls;
        let cells = self.canvas.width as usize * self.canvas.height as usize;
        check_share("freedom", controls.freedom)?;
        check_share("variety", controls.variety)?;
        check_share("the weight of the height", controls.height)?;
        if let Some(piece) = controls.largest_piece
            && piece < 2
        {
            return Err(usage(
                format!("the largest piece is {} pixels", piece * 16),
                "Allow at least 32 pixels",
            ));
        }
        if let Some(labels) = &controls.labels {
            if labels.len() != cells {
                return Err(another_size("the label map"));
            }
            for &label in labels {
                let is_there = |source: &Source| match &source.labels {
                    Some(labels) => labels.contains(&label),
                    None => label == 0,
                };
                if label != 0 && !self.sources.iter().any(is_there) {
                    return Err(usage(
                        format!("the label map asks for label {label}, and no picture has it"),
                        "Label the pictures, or leave this label out of the map",
                    ));
                }
            }
        }
        if let Some(sketch) = &controls.sketch {
            check_share("the weight of the guide", sketch.weight)?;
            if sketch.colours.len() != cells {
                return Err(another_size("the colour guide"));
            }
            if self.sources.iter().any(|source| source.colours.is_none()) {
                return Err(Error::new(
                    Kind::Internal,
                    WHAT,
                    "a colour guide needs the colours of every picture",
                    "",
                ));
            }
            if (sketch.colours.iter().flatten().flatten()).any(|value| !value.is_finite()) {
                return Err(usage(
                    "a colour of the guide is no number",
                    "Paint the guide again",
                ));
            }
        }
        Ok(())
    }
}

pub(super) const WHAT: &str = "could not make new pixels";

pub(super) fn usage(why: impl Into<String>, next: &str) -> Error {
    Error::usage(WHAT, why, next)
}

fn another_size(list: &str) -> Error {
    usage(
        format!("{list} has another size"),
        "Use one of the same size in cells",
    )
}

fn no_such_source() -> Error {
    usage(
        "it names a picture that is not among the sources",
        "Add the picture to the sources",
    )
}

fn check_share(name: &str, value: f32) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(usage(
        format!("{name} is {value}; it goes from 0 to 1"),
        "Choose a value between 0 and 1",
    ))
}
