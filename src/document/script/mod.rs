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

mod areas;
mod check;
mod operation;
mod run;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::alphabet::vectors::Alphabet;
use crate::document::edit::stroke::Stroke;
use crate::document::grid::codes::Codebooks;
use crate::document::grid::dirty::Dirty;
use crate::document::{DetailPolicy, Document};
use crate::error::{Error, Kind, Result};
pub use operation::{Area, EraseTo, Operation, Pattern, StampDetail, Unit};

/// The script format written and read here.
pub const VERSION: u32 = 1;
/// Largest script, in bytes of JSON.
pub const MAX_BYTES: usize = 16 << 20;
const MAX_OPERATIONS: usize = 100_000;

/// A checked list of operations. See the module for the format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditScript {
    pub tessera_edits: u32,
    pub operations: Vec<Operation>,
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

#[cfg(test)]
mod tests;
