//! Texture: cells are made anew by what lies around them, each copied from somewhere.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::generated::put_in_stroke;
use super::{Easel, Generated, put_generated};
use crate::document::Document;
use crate::document::edit::stroke::Stroke;
use crate::document::grid::geometry::Level;
use crate::document::tools::brush::Brush;
use crate::error::{Error, Result};
use crate::progress::Observer;

/// Makes cells that continue what lies around them.
pub trait TextureMaker: Debug + Send + Sync {
    /// New codes for these structure cells, with the detail under them, and where each comes from. The others stay.
    ///
    /// # Errors
    /// `NoPictures` where there is nothing to take from; `Usage` for values out of range; `Cancelled`.
    fn make(
        &self,
        document: &Document,
        wanted: &Wanted<'_>,
        observer: &dyn Observer,
    ) -> Result<Generated>;
}

/// How textures are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextureLook {
    /// Picture files to take from; the picture itself where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The same seed gives the same result.
    pub seed: u64,
    /// From 0 (always what fits best) to 1 (something that fits well).
    pub freedom: f32,
}

impl Default for TextureLook {
    fn default() -> Self {
        Self {
            from: Vec::new(),
            seed: 0,
            freedom: 0.2,
        }
    }
}

impl TextureLook {
    /// Most pictures to take from.
    pub const MAX_PICTURES: usize = 256;

    /// # Errors
    /// `Usage` for values out of range.
    pub fn check(&self) -> Result<()> {
        let why = if !(0.0..=1.0).contains(&self.freedom) {
            format!("freedom {} is not from 0 to 1", self.freedom)
        } else if self.from.len() > Self::MAX_PICTURES {
            format!(
                "{} pictures to take from; {} are the most",
                self.from.len(),
                Self::MAX_PICTURES
            )
        } else {
            return Ok(());
        };
        Err(Error::usage("could not make a texture", why, "Change it"))
    }
}

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Structure cells.
    pub cells: &'a [u32],
    pub look: &'a TextureLook,
    /// Of several with one look: each draws differently.
    pub number: u64,
    /// Whether it is one dab of many, which must be there at once.
    pub is_dab: bool,
}

/// Makes these structure cells anew as one stroke, where the selection lets it; `None` where nothing changed.
///
/// # Errors
/// As [`TextureMaker::make`], and as [`put_generated`]; `Usage` where no cell may be changed.
pub fn texture_fill(
    easel: &mut Easel<'_>,
    label: impl Into<String>,
    maker: &dyn TextureMaker,
    (cells, look): (&[u32], &TextureLook),
    observer: &dyn Observer,
) -> Result<Option<Arc<Stroke>>> {
    look.check()?;
    let cells = allowed(easel, cells.iter().copied());
    if cells.is_empty() {
        return Err(Error::usage(
            "could not fill",
            "there is no whole cell of 16 pixels to fill",
            "Select what should be made anew",
        ));
    }
    let wanted = Wanted {
        cells: &cells,
        look,
        number: 0,
        is_dab: false,
    };
    let made = maker.make(easel.document, &wanted, observer)?;
    put_generated(easel, label, &made)
}

/// Structure cells that may be changed, each once, in rising order.
fn allowed(easel: &Easel<'_>, cells: impl Iterator<Item = u32>) -> Vec<u32> {
    let count = easel.document.geometry().cell_count(Level::Structure);
    let mut cells: Vec<u32> = cells
        .filter(|index| (*index as usize) < count && easel.allows(Level::Structure, *index))
        .collect();
    cells.sort_unstable();
    cells.dedup();
    cells
}

/// A texture stroke in progress: each dab makes the cells under the brush that the stroke has not made yet, with all others as
/// their border. Dropping it leaves the document's transaction open: release it, or abort the document's stroke.
#[derive(Debug)]
pub struct TextureStroke {
    brush: Brush,
    look: TextureLook,
    maker: Arc<dyn TextureMaker>,
    /// Where it stands, in structure cells.
    at: (f32, f32),
    done: HashSet<u32>,
    dabs: u64,
}

impl TextureStroke {
    /// Widest brush, in structure cells.
    pub const MAX_SIZE_CELLS: u32 = 16;

    /// Opens the document's transaction; [`TextureStroke::dab`] makes the first dab.
    ///
    /// # Errors
    /// `Usage` for values out of range, a layer that is locked or hidden; `Internal` when a stroke is open already.
    pub fn press(
        easel: &mut Easel<'_>,
        (brush, look): (Brush, TextureLook),
        maker: Arc<dyn TextureMaker>,
        label: impl Into<String>,
        at_px: (f32, f32),
    ) -> Result<Self> {
        brush.check()?;
        look.check()?;
        if brush.size > Self::MAX_SIZE_CELLS {
            return Err(Error::usage(
                "could not use the brush",
                format!(
                    "size {} is above {} cells",
                    brush.size,
                    Self::MAX_SIZE_CELLS
                ),
                "Fill a selection instead",
            ));
        }
        easel.document.begin(label)?;
        Ok(Self {
            brush,
            look,
            maker,
            at: in_cells(at_px),
            done: HashSet::new(),
            dabs: 0,
        })
    }

    /// Where dabs go until a point is reached, in canvas pixels.
    pub fn steps(&self, to_px: (f32, f32)) -> Vec<(f32, f32)> {
        let stride = Level::Structure.stride_px() as f32;
        let path = self.brush.path(self.at, in_cells(to_px));
        path.map(|(x, y)| (x * stride, y * stride)).collect()
    }

    /// One dab. What it has made is put down, and comes back for those who put it down elsewhere too; `None` where every cell
    /// under the brush has been made.
    ///
    /// # Errors
    /// Those of the maker; the stroke is taken back then.
    pub fn dab(
        &mut self,
        easel: &mut Easel<'_>,
        at_px: (f32, f32),
        observer: &dyn Observer,
    ) -> Result<Option<Generated>> {
        let made = self.try_dab(easel, at_px, observer);
        if made.is_err() {
            easel.document.abort();
        }
        made
    }

    fn try_dab(
        &mut self,
        easel: &mut Easel<'_>,
        at_px: (f32, f32),
        observer: &dyn Observer,
    ) -> Result<Option<Generated>> {
        self.at = in_cells(at_px);
        let (geometry, wrap) = (easel.document.geometry(), easel.document.wrap());
        let mut cells = Vec::new();
        (self.brush).dab(self.at, Level::Structure, geometry, wrap, |index| {
            cells.push(index);
        });
        let cells = allowed(
            easel,
            cells.into_iter().filter(|index| !self.done.contains(index)),
        );
        if cells.is_empty() {
            return Ok(None);
        }
        let wanted = Wanted {
            cells: &cells,
            look: &self.look,
            number: self.dabs,
            is_dab: true,
        };
        let made = self.maker.make(easel.document, &wanted, observer)?;
        put_in_stroke(easel, &made)?;
        self.dabs += 1;
        self.done.extend(cells);
        Ok(Some(made))
    }

    /// Ends the stroke; `None` when it changed nothing.
    pub fn release(self, easel: &mut Easel<'_>) -> Option<Arc<Stroke>> {
        easel.document.commit()
    }
}

fn in_cells((x, y): (f32, f32)) -> (f32, f32) {
    let stride = Level::Structure.stride_px() as f32;
    (x / stride, y / stride)
}
