//! A brush as it is set for one stroke: what it leaves behind, and the way it goes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Easel;
use super::symmetry::Symmetry;
use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::grid::geometry::Level;
use crate::document::tools::block::Block;
use crate::document::tools::brush::Brush;
use crate::error::{Error, Result};

/// What the brush leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub enum Medium {
    /// `None` is empty detail: the eraser that leaves structure alone. At structure level it empties the
    /// detail and keeps the structure.
    Code(Option<u16>),
    /// The codes of the source.
    Source,
    Pattern {
        block: Arc<Block>,
        layout: Layout,
        /// On a grid of whole blocks from the canvas's corner, instead of from where the stroke began.
        is_aligned: bool,
    },
    /// The codes this many cells away, as they were when the stroke began.
    Clone { offset: (i64, i64) },
    /// Drags codes along: each cell goes this far (above 0, up to 1) towards what was dragged onto it.
    Smudge { strength: f32 },
}

/// How a pattern is put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// The whole block at once, again wherever the stroke has gone one block further.
    #[default]
    Stamp,
    /// An endless tiling of which the brush shows a part.
    Tile,
}

/// The way from press to release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    #[default]
    Freehand,
    Line,
    /// All cells between the two corners.
    Rectangle,
}

/// A brush as it is set for one stroke.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    pub level: Level,
    pub brush: Brush,
    pub medium: Medium,
    /// For the detail under structure cells, where the medium does not bring its own.
    pub detail: DetailPolicy,
    pub symmetry: Symmetry,
    pub path: Path,
    /// How hard the pen is pressed at the first point, 0 to 1: codes, the source and clones are painted that much narrower.
    pub pressure: f32,
}

impl Setup {
    /// A freehand brush in full pressure, without symmetry; detail under structure cells becomes empty.
    pub fn new(level: Level, brush: Brush, medium: Medium) -> Self {
        Self {
            level,
            brush,
            medium,
            detail: DetailPolicy::default(),
            symmetry: Symmetry::default(),
            path: Path::Freehand,
            pressure: 1.0,
        }
    }

    /// # Errors
    /// `Usage` for values out of range, codes that there are not, and a smudge without vectors.
    pub fn check(&self, easel: &Easel<'_>) -> Result<()> {
        self.brush.check()?;
        self.symmetry.check()?;
        let under = self.detail.code();
        easel.alphabet.codebooks.check(Level::Detail, under)?;
        let refused = |why: &str| Err(Error::usage("could not paint", why, "Change the tool"));
        match &self.medium {
            Medium::Code(None) | Medium::Source | Medium::Clone { .. } => Ok(()),
            Medium::Code(code) => easel.alphabet.codebooks.check(self.level, *code),
            Medium::Pattern { block, .. } if block.level != self.level => {
                refused("the block was picked up from the other level")
            }
            Medium::Pattern { block, .. } => block.check(easel.alphabet.codebooks),
            Medium::Smudge { strength } if !(*strength > 0.0 && *strength <= 1.0) => {
                refused("a smudge's strength lies above 0 and is at most 1")
            }
            Medium::Smudge { .. } => easel.alphabet.vectors(self.level).map(drop),
        }
    }
}

/// The end of a line at a multiple of 45°, or of a square; a free stroke goes where it goes.
pub fn constrained(path: Path, from: (f32, f32), to: (f32, f32)) -> (f32, f32) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    match path {
        Path::Freehand => to,
        Path::Line => {
            let step = std::f32::consts::FRAC_PI_4;
            let angle = (dy.atan2(dx) / step).round() * step;
            let length = dx.hypot(dy);
            (from.0 + angle.cos() * length, from.1 + angle.sin() * length)
        }
        Path::Rectangle => {
            let side = dx.abs().max(dy.abs());
            (from.0 + side.copysign(dx), from.1 + side.copysign(dy))
        }
    }
}
