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
//!     {"op": "undo", "count": 2},
//!     {"op": "redo"}
//!   ]
//! }"#).unwrap();
//! assert_eq!(script.operations.len(), 11);
//! ```
//!
//! - `unit` is `"cells"` of the operation's level (the default; the first cell's middle is
//!   [0.5, 0.5]) or `"pixels"`. A pixel rectangle means every cell it touches.
//! - `code: null` is empty detail. Structure cells cannot be empty.
//! - `detail` says what a structure operation does to the detail under the cells it sets:
//!   `"empty"` (the default, so that the structure shows), `"keep"`, or, for `stamp` with `copy`
//!   only, where it is the default, `"copy"`: detail comes along.
//! - `erase` brings back the codes of the source; at structure level (the default) with the detail
//!   under it, at detail level the detail alone.
//! - `stamp` places the block's top left cell at `at`; what hangs over the border is cut, or
//!   wrapped on a wrapping canvas. `copy` reads the cells as they are at that moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::brush::{Brush, for_cells};
use super::codes::Codebooks;
use super::geometry::{Geometry, Level, Rect, STRUCTURE_STRIDE_PX};
use super::history::{Dirty, Stroke};
use super::{DETAIL_STRIDE_PX, DetailPolicy, Document};
use crate::error::{Error, Kind, Result};

/// The script format written and read here.
pub const VERSION: u32 = 1;
/// Largest script, in bytes of JSON.
pub const MAX_BYTES: usize = 16 << 20;
const MAX_OPERATIONS: usize = 100_000;
const MAX_POINTS: usize = 1_000_000;
const MAX_PATTERN_CELLS: u64 = 1 << 20;
/// Cells that the brush strokes of one script may look at.
const MAX_BRUSH_WORK: u64 = 1 << 32;

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
        rect: Rect,
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
    },
    EmptyDetail {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rect: Option<Rect>,
        #[serde(default)]
        unit: Unit,
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
                Operation::Paint { points, brush, .. } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
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

    /// Does every operation, or none: a failing script leaves the document as it was.
    ///
    /// # Errors
    /// `Usage` naming the operation for a code or a place that does not exist; `Limit` for strokes
    /// that would take minutes.
    pub fn apply(&self, document: &mut Document, codebooks: Codebooks) -> Result<Applied> {
        self.check()?;
        let mut edited = document.clone();
        let mut applied = Applied::default();
        let mut work = 0u64;
        for (i, operation) in self.operations.iter().enumerate() {
            let mut run = Run {
                document: &mut edited,
                codebooks,
                applied: &mut applied,
                work: &mut work,
            };
            run.operation(operation).map_err(|mut e| {
                e.notice.why = describe(i, operation, &e.notice.why);
                e
            })?;
        }
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

fn check_path(points: &[(f32, f32)], brush: &Brush) -> Result<(), String> {
    if points.is_empty() {
        return Err("`points` is empty".into());
    }
    if points.iter().any(|p| !p.0.is_finite() || !p.1.is_finite()) {
        return Err("a point is not a finite number".into());
    }
    brush.check().map_err(|e| e.notice.why.clone())
}

/// One operation at work.
struct Run<'a> {
    document: &'a mut Document,
    codebooks: Codebooks,
    applied: &'a mut Applied,
    work: &'a mut u64,
}

impl Run<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::Undo { count } => {
                for _ in 0..*count {
                    let Some(stroke) = self.document.undo() else {
                        break;
                    };
                    self.touched(&stroke);
                }
                return Ok(());
            }
            Operation::Redo { count } => {
                for _ in 0..*count {
                    let Some(stroke) = self.document.redo() else {
                        break;
                    };
                    self.touched(&stroke);
                }
                return Ok(());
            }
            _ => {}
        }
        self.document.begin(label(operation))?;
        self.paint(operation)?;
        if let Some(stroke) = self.document.commit() {
            self.touched(&stroke);
            self.applied.strokes.push(stroke);
        }
        Ok(())
    }

    fn touched(&mut self, stroke: &Stroke) {
        let dirty = stroke.dirty(self.document.geometry());
        self.applied.dirty.extend(&dirty);
    }

    fn paint(&mut self, operation: &Operation) -> Result<()> {
        let geometry = self.document.geometry();
        match operation {
            Operation::Paint {
                level,
                code,
                points,
                unit,
                brush,
                detail,
            } => {
                self.codebooks.check(*level, *code)?;
                for index in self.path_cells(points, *unit, *level, brush)? {
                    self.document.paint_cell(*level, index, *code, *detail)?;
                }
            }
            Operation::Erase {
                level,
                rect,
                points,
                unit,
                brush,
            } => {
                let cells = match (rect, points) {
                    (Some(rect), _) => rect_cells(*rect, *unit, *level, geometry)?,
                    (None, points) => {
                        self.path_cells(points.as_deref().unwrap_or(&[]), *unit, *level, brush)?
                    }
                };
                for index in cells {
                    self.document.erase_cell(*level, index)?;
                }
            }
            Operation::Fill {
                level,
                code,
                rect,
                unit,
                detail,
            } => {
                self.codebooks.check(*level, *code)?;
                for index in rect_cells(*rect, *unit, *level, geometry)? {
                    self.document.paint_cell(*level, index, *code, *detail)?;
                }
            }
            Operation::Replace {
                level,
                from,
                to,
                rect,
                unit,
                detail,
            } => {
                self.codebooks.check(*level, *from)?;
                self.codebooks.check(*level, *to)?;
                let cells = match rect {
                    Some(rect) => rect_cells(*rect, *unit, *level, geometry)?,
                    None => (0..geometry.cell_count(*level) as u32).collect(),
                };
                let now = Arc::clone(self.document.edited());
                for index in cells {
                    if now.level(*level).at(index) == *from {
                        self.document.paint_cell(*level, index, *to, *detail)?;
                    }
                }
            }
            Operation::EmptyDetail { rect, unit } => {
                let cells = match rect {
                    Some(rect) => rect_cells(*rect, *unit, Level::Detail, geometry)?,
                    None => (0..geometry.cell_count(Level::Detail) as u32).collect(),
                };
                for index in cells {
                    self.document.set_cell(Level::Detail, index, None)?;
                }
            }
            Operation::Stamp {
                level,
                at,
                unit,
                pattern,
                copy,
                detail,
            } => self.stamp(
                *level,
                scale_point(*at, *unit, *level),
                pattern.as_ref(),
                copy.map(|rect| to_cells(rect, *unit, *level)),
                *detail,
            )?,
            Operation::Undo { .. } | Operation::Redo { .. } => {}
        }
        Ok(())
    }

    /// The cells of a brush path, each once.
    fn path_cells(
        &mut self,
        points: &[(f32, f32)],
        unit: Unit,
        level: Level,
        brush: &Brush,
    ) -> Result<Vec<u32>> {
        let geometry = self.document.geometry();
        let scale = match unit {
            Unit::Cells => 1.0,
            Unit::Pixels => 1.0 / level.stride_px() as f32,
        };
        let points: Vec<_> = points.iter().map(|p| (p.0 * scale, p.1 * scale)).collect();
        *self.work = self.work.saturating_add(brush.work(&points));
        if *self.work > MAX_BRUSH_WORK {
            return Err(limit(
                "the brush strokes are too long for their size".to_owned(),
            ));
        }
        let mut seen = vec![false; geometry.cell_count(level)];
        let mut cells = Vec::new();
        brush.stroke(&points, level, geometry, self.document.wrap(), |index| {
            if !std::mem::replace(&mut seen[index as usize], true) {
                cells.push(index);
            }
        });
        Ok(cells)
    }

    fn stamp(
        &mut self,
        level: Level,
        at: (u32, u32),
        pattern: Option<&Pattern>,
        copy: Option<Rect>,
        detail: Option<StampDetail>,
    ) -> Result<()> {
        let now = Arc::clone(self.document.edited());
        let policy = match detail {
            Some(StampDetail::Keep) => DetailPolicy::Keep,
            _ => DetailPolicy::Empty,
        };
        match (pattern, copy) {
            (Some(block), _) => {
                for code in &block.codes {
                    self.codebooks.check(level, *code)?;
                }
                self.place(level, at, (block.width, block.height), policy, |x, y| {
                    block.codes[(y * block.width + x) as usize]
                })?;
            }
            (None, Some(rect)) => {
                let grid = now.level(level);
                inside(rect, grid.bounds())?;
                self.place(level, at, (rect.width, rect.height), policy, |x, y| {
                    grid.get(rect.x + x, rect.y + y)
                })?;
                if level == Level::Structure && matches!(detail, None | Some(StampDetail::Copy)) {
                    let per = STRUCTURE_STRIDE_PX / DETAIL_STRIDE_PX;
                    let size = (rect.width * per, rect.height * per);
                    // The stamp is at most `MAX_PATTERN_CELLS` wide and `at` was cut to the grid.
                    let at = (at.0.saturating_mul(per), at.1.saturating_mul(per));
                    self.place(Level::Detail, at, size, policy, |x, y| {
                        now.detail.get(rect.x * per + x, rect.y * per + y)
                    })?;
                }
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn place(
        &mut self,
        level: Level,
        at: (u32, u32),
        size: (u32, u32),
        policy: DetailPolicy,
        code: impl Fn(u32, u32) -> Option<u16>,
    ) -> Result<()> {
        let bounds = self.document.geometry().grid_bounds(level);
        let wrap = self.document.wrap();
        let axis = |start: u32, offset: u32, length: u32, wraps: bool| {
            let position = u64::from(start) + u64::from(offset);
            let length = u64::from(length);
            if wraps {
                Some((position % length) as u32)
            } else {
                (position < length).then_some(position as u32)
            }
        };
        for y in 0..size.1 {
            let Some(row) = axis(at.1, y, bounds.height, wrap.y) else {
                break;
            };
            for x in 0..size.0 {
                let Some(column) = axis(at.0, x, bounds.width, wrap.x) else {
                    break;
                };
                let index = row * bounds.width + column;
                self.document.paint_cell(level, index, code(x, y), policy)?;
            }
        }
        Ok(())
    }
}

fn to_cells(rect: Rect, unit: Unit, level: Level) -> Rect {
    match unit {
        Unit::Cells => rect,
        Unit::Pixels => rect.to_cells(level.stride_px()),
    }
}

fn scale_point(at: (u32, u32), unit: Unit, level: Level) -> (u32, u32) {
    match unit {
        Unit::Cells => at,
        Unit::Pixels => (at.0 / level.stride_px(), at.1 / level.stride_px()),
    }
}

fn inside(rect: Rect, bounds: Rect) -> Result<()> {
    if rect.is_empty() || rect.intersect(&bounds) != rect {
        return Err(Error::usage(
            "could not run the edit script",
            format!(
                "the rectangle {} × {} at ({}, {}) does not lie within the {} × {} cells of the picture",
                rect.width, rect.height, rect.x, rect.y, bounds.width, bounds.height
            ),
            "Correct the rectangle",
        ));
    }
    Ok(())
}

fn rect_cells(rect: Rect, unit: Unit, level: Level, geometry: Geometry) -> Result<Vec<u32>> {
    let rect = to_cells(rect, unit, level);
    inside(rect, geometry.grid_bounds(level))?;
    let mut cells = Vec::with_capacity(rect.area() as usize);
    for_cells(rect, geometry.grid_width(level), |index| cells.push(index));
    Ok(cells)
}

fn label(operation: &Operation) -> String {
    let code = |code: &Option<u16>| code.map_or_else(|| "empty".to_owned(), |c| c.to_string());
    match operation {
        Operation::Paint { level, code: c, .. } => format!("Brush, {level} {}", code(c)),
        Operation::Stamp { level, .. } => format!("Stamp, {level}"),
        Operation::Replace {
            level, from, to, ..
        } => format!("Replace {level} {} by {}", code(from), code(to)),
        Operation::Fill { level, code: c, .. } => format!("Fill, {level} {}", code(c)),
        Operation::Erase { .. } => "Erase to source".to_owned(),
        Operation::EmptyDetail { .. } => "Empty detail".to_owned(),
        Operation::Undo { .. } => "Undo".to_owned(),
        Operation::Redo { .. } => "Redo".to_owned(),
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
