//! Edit scripts: what an artist does by hand, as JSON for the command line.
//!
//! A script is a version and a list of operations, done in order; each is one stroke in the
//! history. Unknown fields are errors, so that a typing mistake never passes for a default.
//!
//! ```
//! # use tessera::document::script::EditScript;
//! let script = EditScript::from_json(r#"{
//!   "tessera_edits": 1,
//!   "operations": [
//!     {"op": "paint", "level": "structure", "code": 17, "points": [[2.5, 3.5], [9.5, 3.5]],
//!      "brush": {"shape": "round", "size": 3, "scatter": 0.25, "seed": 7}, "detail": "empty"},
//!     {"op": "paint", "level": "detail", "code": null, "unit": "pixels", "points": [[40, 40]]},
//!     {"op": "stamp", "level": "detail", "at": [4, 4],
//!      "pattern": {"width": 2, "height": 2, "codes": [5, 6, null, 7]}},
//!     {"op": "stamp", "level": "structure", "at": [8, 0],
//!      "copy": {"x": 0, "y": 0, "width": 4, "height": 4}},
//!     {"op": "replace", "level": "detail", "from": 5, "to": 9},
//!     {"op": "fill", "level": "structure", "code": 3, "unit": "pixels",
//!      "rect": {"x": 0, "y": 0, "width": 64, "height": 32}, "detail": "keep"},
//!     {"op": "empty_detail", "unit": "pixels", "rect": {"x": 0, "y": 0, "width": 64, "height": 32}},
//!     {"op": "erase", "unit": "pixels", "rect": {"x": 0, "y": 0, "width": 32, "height": 32}},
//!     {"op": "erase", "level": "detail", "points": [[3, 3], [9, 9]], "brush": {"size": 2}},
//!     {"op": "select", "level": "structure", "area": {"ellipse": {"x": 2, "y": 2, "width": 8, "height": 6}}},
//!     {"op": "select", "how": "add", "area": {"wand": {"at": [4, 4], "tolerance": 0.3}}},
//!     {"op": "select", "area": "inverted"},
//!     {"op": "bucket", "level": "structure", "at": [4, 4], "code": 9, "tolerance": 0.2},
//!     {"op": "gradient", "level": "structure", "from": [0, 0], "to": [0, 12], "codes": [3, 40], "scatter": 0.2},
//!     {"op": "pattern", "level": "structure", "copy": {"x": 0, "y": 0, "width": 2, "height": 2},
//!      "turn": {"quarters": 1}, "layout": "tile", "points": [[8, 8], [12, 8]], "brush": {"size": 3}},
//!     {"op": "clone", "level": "detail", "source": [4, 4], "points": [[20, 20], [24, 20]], "brush": {"size": 4}},
//!     {"op": "smudge", "level": "structure", "points": [[2, 2], [9, 2]], "strength": 0.7},
//!     {"op": "move", "level": "structure", "by": [3, 0], "copy": true},
//!     {"op": "undo", "count": 2},
//!     {"op": "redo"}
//!   ]
//! }"#).unwrap();
//! assert_eq!(script.operations.len(), 20);
//! ```
//!
//! - `unit` is `"cells"` of the operation's level (the default; the first cell's middle is
//!   [0.5, 0.5]) or `"pixels"`. A pixel rectangle means every cell it touches.
//! - `code: null` is empty detail. Structure cells cannot be empty.
//! - `detail` says what a structure operation does to the detail under the cells it sets:
//!   `"empty"` (the default, so that the structure shows), `"keep"`, `"pull"` (the details that most often
//!   go with the structure code), `{"code": 7}` (both levels at once), or, for `stamp` with `copy` only, where it is the default, `"copy"`:
//!   detail comes along.
//! - `paint` may have a `pressure` for each point, from 0 to 1, as a pen gives it: the brush is that much narrower.
//! - `erase` brings back the codes of the source; at structure level (the default) with the detail
//!   under it, at detail level the detail alone. With `"to": "empty"` it empties the detail instead.
//! - `select` restricts everything after it. `area` is `{"rect": …}`, `{"ellipse": …}` (both a rectangle of
//!   cells), `{"lasso": [[x, y], …]}`, `{"wand": {"at": …, "tolerance": 0, "contiguous": true}}`, `"all"`,
//!   `"none"`, `"inverted"`, `{"grown": n}` or `{"shrunk": n}`; `how` is `"replace"` (the default), `"add"`,
//!   `"subtract"` or `"intersect"`.
//! - A `tolerance` of 0 means the same code, 1 codes as unlike as two taken at random.
//! - Brushes take `"path": "line"` or `"rectangle"` (first to last point), and `"symmetry": {"x": true,
//!   "y": false, "turns": 1, "centre": [x, y]}` with the centre in pixels, the middle where it is left out.
//! - `pattern` lays a block out after `turn` (`{"is_mirrored": false, "quarters": 0}`), as a `"stamp"`
//!   (the default) or `"tile"`, `"aligned"` to the canvas or free. `clone` paints what lies at `source` when
//!   its first point is there. `smudge` drags codes along; `move` takes the selection elsewhere and leaves
//!   the code `leaves` behind, with empty detail, or the cells as they were with `copy`.
//! - `stamp` places the block's top left cell at `at`; what hangs over the border is cut, or
//!   wrapped on a wrapping canvas. `copy` reads the cells as they are at that moment.

mod run;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block::{Block, Turn};
use super::brush::Brush;
use super::codes::Codebooks;
use super::dirty::Dirty;
use super::geometry::{Level, Rect};
use super::selection::Combine;
use super::stroke::Stroke;
use super::tools::{GradientShape, Layout, Path, Symmetry};
use super::vectors::Alphabet;
use super::{DetailPolicy, Document};
use crate::error::{Error, Kind, Result};

/// The script format written and read here.
pub const VERSION: u32 = 1;
/// Largest script, in bytes of JSON.
pub const MAX_BYTES: usize = 16 << 20;
const MAX_OPERATIONS: usize = 100_000;
const MAX_POINTS: usize = 1_000_000;
const MAX_PATTERN_CELLS: u64 = 1 << 20;

/// A checked list of operations. See the module for the format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditScript {
    pub tessera_edits: u32,
    pub operations: Vec<Operation>,
}

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

/// What a script did.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// Strokes added, in order; an operation that changed nothing adds none. Strokes that a later
    /// operation of the script undid are among them.
    pub strokes: Vec<Arc<Stroke>>,
    /// The cells touched, in padded pixels, without halo.
    pub dirty: Dirty,
}

impl Operation {
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
            Operation::Move { .. } => "move",
            Operation::Undo { .. } => "undo",
            Operation::Redo { .. } => "redo",
        }
    }
}

impl EditScript {
    pub fn new(operations: Vec<Operation>) -> Self {
        Self {
            tessera_edits: VERSION,
            operations,
        }
    }

    /// # Errors
    /// `Limit` for a script beyond the limits, `Newer` for a later format, `Usage` otherwise; the
    /// message names the operation (counted from 0) and the field.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            tessera_edits: u32,
            operations: Vec<serde_json::Value>,
        }
        if text.len() > MAX_BYTES {
            return Err(limit(format!(
                "it has {} bytes; {MAX_BYTES} at most",
                text.len()
            )));
        }
        #[derive(Deserialize)]
        struct Version {
            tessera_edits: u32,
        }
        if let Ok(Version { tessera_edits }) = serde_json::from_str(text)
            && tessera_edits > VERSION
        {
            return Err(Error::new(
                Kind::Newer,
                "could not read the edit script",
                format!("it has format {tessera_edits}; this Tessera reads up to {VERSION}"),
                "Use a newer Tessera",
            ));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        if raw.tessera_edits != VERSION {
            return Err(malformed(format!(
                "`tessera_edits` is {}; it must be {VERSION}",
                raw.tessera_edits
            )));
        }
        if raw.operations.len() > MAX_OPERATIONS {
            return Err(limit(format!(
                "it has {} operations; {MAX_OPERATIONS} at most",
                raw.operations.len()
            )));
        }
        let mut operations = Vec::with_capacity(raw.operations.len());
        for (i, value) in raw.operations.into_iter().enumerate() {
            let operation: Operation = serde_json::from_value(value)
                .map_err(|e| malformed(format!("operation {i}: {e}")))?;
            operations.push(operation);
        }
        let script = Self::new(operations);
        script.check()?;
        Ok(script)
    }

    /// Checks what does not depend on a document.
    fn check(&self) -> Result<()> {
        let mut points_total = 0;
        for (i, operation) in self.operations.iter().enumerate() {
            let fail = |why: &str| Err(malformed(describe(i, operation, why)));
            match operation {
                Operation::Paint {
                    points,
                    brush,
                    pressure,
                    ..
                } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                    if !pressure.is_empty() && pressure.len() != points.len() {
                        fail("give a `pressure` for each point, or none")?;
                    }
                    if !pressure.iter().all(|value| (0.0..=1.0).contains(value)) {
                        fail("a `pressure` is not from 0 to 1")?;
                    }
                }
                Operation::Clone { points, brush, .. }
                | Operation::Smudge { points, brush, .. } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                }
                Operation::Pattern {
                    points,
                    brush,
                    block,
                    copy,
                    ..
                } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                    if block.is_some() == copy.is_some() {
                        fail("give either `block` or `copy`")?;
                    }
                }
                Operation::Select { area, .. } => match area {
                    Area::Lasso(points) => {
                        points_total += points.len();
                        if !points.iter().all(is_finite) {
                            fail("a point is not a finite number")?;
                        }
                    }
                    Area::Wand { at, tolerance, .. }
                        if !is_finite(at) || !tolerance.is_finite() =>
                    {
                        fail("a number is not finite")?;
                    }
                    _ => {}
                },
                Operation::Bucket { at, tolerance, .. }
                    if !is_finite(at) || !tolerance.is_finite() =>
                {
                    fail("a number is not finite")?;
                }
                Operation::Gradient {
                    from, to, scatter, ..
                } if !is_finite(from) || !is_finite(to) || !(0.0..=1.0).contains(scatter) => {
                    fail("its points must be finite and its scatter lie between 0 and 1")?;
                }
                Operation::Erase {
                    rect,
                    points,
                    brush,
                    ..
                } => match (rect, points) {
                    (Some(_), None) => {}
                    (None, Some(points)) => {
                        points_total += points.len();
                        check_path(points, brush).or_else(|why| fail(&why))?;
                    }
                    _ => fail("give either `rect` or `points`")?,
                },
                Operation::Stamp {
                    pattern,
                    copy,
                    detail,
                    level,
                    ..
                } => {
                    let cells = match (pattern, copy) {
                        (Some(p), None) => {
                            if p.codes.len() as u64 != u64::from(p.width) * u64::from(p.height) {
                                fail("`pattern.codes` must have width × height entries")?;
                            }
                            if *detail == Some(StampDetail::Copy) {
                                fail("`detail: \"copy\"` needs `copy`")?;
                            }
                            u64::from(p.width) * u64::from(p.height)
                        }
                        (None, Some(rect)) => rect.area(),
                        _ => return fail("give either `pattern` or `copy`"),
                    };
                    if cells == 0 {
                        fail("the block is empty")?;
                    }
                    if cells > MAX_PATTERN_CELLS {
                        return Err(limit(describe(
                            i,
                            operation,
                            &format!("the block has {cells} cells; {MAX_PATTERN_CELLS} at most"),
                        )));
                    }
                    if *level == Level::Detail && detail.is_some() {
                        fail("`detail` belongs to structure stamps")?;
                    }
                }
                _ => {}
            }
        }
        if points_total > MAX_POINTS {
            return Err(limit(format!(
                "its strokes have {points_total} points; {MAX_POINTS} at most"
            )));
        }
        Ok(())
    }

    /// Whether it needs to know which details go with which structure.
    pub fn pulls_detail(&self) -> bool {
        self.operations.iter().any(|operation| {
            let policy = match operation {
                Operation::Paint { detail, .. }
                | Operation::Fill { detail, .. }
                | Operation::Replace { detail, .. }
                | Operation::Bucket { detail, .. }
                | Operation::Gradient { detail, .. }
                | Operation::Pattern { detail, .. }
                | Operation::Smudge { detail, .. } => *detail,
                _ => DetailPolicy::Keep,
            };
            policy == DetailPolicy::Pull
        })
    }

    /// As [`EditScript::apply_with`], for scripts that need no vectors.
    ///
    /// # Errors
    /// As [`EditScript::apply_with`].
    pub fn apply(&self, document: &mut Document, codebooks: Codebooks) -> Result<Applied> {
        self.apply_with(document, &Alphabet::plain(codebooks))
    }

    /// Does every operation, or none: a failing script leaves the document as it was.
    ///
    /// # Errors
    /// `Usage` naming the operation for a code or a place that does not exist; `Limit` for strokes
    /// that would take minutes.
    pub fn apply_with(&self, document: &mut Document, alphabet: &Alphabet) -> Result<Applied> {
        self.check()?;
        let mut edited = document.clone();
        let applied = run::run(&self.operations, &mut edited, alphabet)?;
        *document = edited;
        Ok(applied)
    }
}

fn describe(index: usize, operation: &Operation, why: &str) -> String {
    format!("operation {index} ({}): {why}", operation.name())
}

fn malformed(why: String) -> Error {
    Error::usage(
        "could not read the edit script",
        why,
        "Correct the script and try again",
    )
}

fn limit(why: String) -> Error {
    Error::new(
        Kind::Limit,
        "could not run the edit script",
        why,
        "Split it into smaller scripts",
    )
}

fn is_finite(at: &(f32, f32)) -> bool {
    at.0.is_finite() && at.1.is_finite()
}

fn check_path(points: &[(f32, f32)], brush: &Brush) -> Result<(), String> {
    if points.is_empty() {
        return Err("`points` is empty".into());
    }
    if !points.iter().all(is_finite) {
        return Err("a point is not a finite number".into());
    }
    brush.check().map_err(|e| e.notice.why.clone())
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
