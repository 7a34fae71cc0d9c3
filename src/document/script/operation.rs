//! The operations of a script as they are written in JSON.

use serde::{Deserialize, Serialize};

use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::edit::selection::Combine;
use crate::document::grid::geometry::{Level, Rect};
use crate::document::grid::turn::Turn;
use crate::document::tools::block::Block;
use crate::document::tools::brush::Brush;
use crate::document::tools::{GradientShape, Layout, Path, Symmetry, TextureLook};

/// What coordinates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    Cells,
    Pixels,
}

/// A block of codes, row by row; `None` is empty detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    pub width: u32,
    pub height: u32,
    pub codes: Vec<Option<u16>>,
}

/// What a stamp does to detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampDetail {
    Keep,
    Empty,
    Copy,
}

/// What a `select` takes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Area {
    Rect(Rect),
    Ellipse(Rect),
    Lasso(Vec<(f32, f32)>),
    Wand {
        at: (f32, f32),
        #[serde(default)]
        tolerance: f32,
        #[serde(default = "yes")]
        contiguous: bool,
    },
    All,
    None,
    Inverted,
    /// By this many cells of the level.
    Grown(u32),
    Shrunk(u32),
}

/// What an eraser leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseTo {
    #[default]
    Source,
    /// Empty detail; structure stays.
    Empty,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    Paint {
        level: Level,
        #[serde(deserialize_with = "code_or_null")]
        code: Option<u16>,
        points: Vec<(f32, f32)>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        brush: Brush,
        #[serde(default)]
        detail: DetailPolicy,
        #[serde(default)]
        symmetry: Symmetry,
        #[serde(default)]
        path: Path,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pressure: Vec<f32>,
    },
    Stamp {
        level: Level,
        at: (u32, u32),
        #[serde(default)]
        unit: Unit,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<Pattern>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<Rect>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<StampDetail>,
    },
    Replace {
        level: Level,
        #[serde(deserialize_with = "code_or_null")]
        from: Option<u16>,
        #[serde(deserialize_with = "code_or_null")]
        to: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        detail: DetailPolicy,
    },
    Fill {
        level: Level,
        #[serde(deserialize_with = "code_or_null")]
        code: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        detail: DetailPolicy,
    },
    Erase {
        #[serde(default = "structure")]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        points: Option<Vec<(f32, f32)>>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        brush: Brush,
        #[serde(default)]
        to: EraseTo,
        #[serde(default)]
        symmetry: Symmetry,
        #[serde(default)]
        path: Path,
    },
    EmptyDetail {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default)]
        unit: Unit,
    },
    Select {
        area: Area,
        #[serde(default)]
        how: Combine,
        #[serde(default = "structure")]
        level: Level,
        #[serde(default)]
        unit: Unit,
    },
    Bucket {
        level: Level,
        at: (f32, f32),
        #[serde(default)]
        unit: Unit,
        #[serde(deserialize_with = "code_or_null")]
        code: Option<u16>,
        #[serde(default)]
        tolerance: f32,
        #[serde(default = "yes")]
        contiguous: bool,
        #[serde(default)]
        detail: DetailPolicy,
    },
    Gradient {
        level: Level,
        from: (f32, f32),
        to: (f32, f32),
        #[serde(default)]
        unit: Unit,
        codes: (u16, u16),
        #[serde(default)]
        shape: GradientShape,
        #[serde(default)]
        scatter: f32,
        #[serde(default)]
        seed: u64,
        #[serde(default)]
        detail: DetailPolicy,
    },
    Pattern {
        level: Level,
        points: Vec<(f32, f32)>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        brush: Brush,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<Block>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<Rect>,
        #[serde(default)]
        turn: Turn,
        #[serde(default)]
        layout: Layout,
        #[serde(default)]
        aligned: bool,
        #[serde(default)]
        detail: DetailPolicy,
        #[serde(default)]
        symmetry: Symmetry,
        #[serde(default)]
        path: Path,
    },
    Clone {
        level: Level,
        source: (f32, f32),
        points: Vec<(f32, f32)>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        brush: Brush,
        #[serde(default)]
        symmetry: Symmetry,
        #[serde(default)]
        path: Path,
    },
    Smudge {
        level: Level,
        points: Vec<(f32, f32)>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        brush: Brush,
        #[serde(default = "half")]
        strength: f32,
        #[serde(default)]
        detail: DetailPolicy,
        #[serde(default)]
        symmetry: Symmetry,
    },
    /// Makes the selection, or a rectangle, anew by what lies around it.
    Quilt {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default)]
        unit: Unit,
        #[serde(default)]
        look: TextureLook,
    },
    /// Paints with texture that continues what lies around it.
    Texture {
        points: Vec<(f32, f32)>,
        #[serde(default)]
        unit: Unit,
        /// In structure cells.
        #[serde(default = "texture_brush")]
        brush: Brush,
        #[serde(default)]
        look: TextureLook,
    },
    /// Makes the cells along the borders that wrap anew, so that they meet without a seam.
    Seamless {
        /// Structure cells on each side of a border.
        #[serde(default = "border")]
        border: u32,
        #[serde(default)]
        look: TextureLook,
    },
    Move {
        level: Level,
        /// Cells of the level.
        by: (i64, i64),
        #[serde(default)]
        copy: bool,
        #[serde(default)]
        leaves: u16,
    },
    Undo {
        #[serde(default = "once")]
        count: u32,
    },
    Redo {
        #[serde(default = "once")]
        count: u32,
    },
}

impl Operation {
    /// How its texture is made; `None` where it makes none.
    pub(super) const fn texture_look(&self) -> Option<&TextureLook> {
        match self {
            Operation::Quilt { look, .. }
            | Operation::Texture { look, .. }
            | Operation::Seamless { look, .. } => Some(look),
            _ => None,
        }
    }

    /// Its name in the script and the history.
    pub const fn name(&self) -> &'static str {
        match self {
            Operation::Paint { .. } => "paint",
            Operation::Stamp { .. } => "stamp",
            Operation::Replace { .. } => "replace",
            Operation::Fill { .. } => "fill",
            Operation::Erase { .. } => "erase",
            Operation::EmptyDetail { .. } => "empty_detail",
            Operation::Select { .. } => "select",
            Operation::Bucket { .. } => "bucket",
            Operation::Gradient { .. } => "gradient",
            Operation::Pattern { .. } => "pattern",
            Operation::Clone { .. } => "clone",
            Operation::Smudge { .. } => "smudge",
            Operation::Quilt { .. } => "quilt",
            Operation::Texture { .. } => "texture",
            Operation::Seamless { .. } => "seamless",
            Operation::Move { .. } => "move",
            Operation::Undo { .. } => "undo",
            Operation::Redo { .. } => "redo",
        }
    }
}

fn texture_brush() -> Brush {
    Brush {
        size: 3,
        ..Brush::default()
    }
}

fn border() -> u32 {
    2
}

fn yes() -> bool {
    true
}

fn half() -> f32 {
    0.5
}

fn structure() -> Level {
    Level::Structure
}

fn once() -> u32 {
    1
}

/// A field that must be there, although it may be `null`.
fn code_or_null<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<u16>, D::Error> {
    Option::<u16>::deserialize(d)
}
