//! What is done to many cells at once: fill, bucket, gradient, replace, erase, move. Each works within a
//! stroke that its caller opens ([`Easel::stroke`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Easel, PlacedCode, Under};
use crate::document::edit::selection::{Selection, like_cells, step};
use crate::document::edit::stroke::Stroke;
use crate::document::grid::codes::{ABSENT, code_from_raw, raw_code};
use crate::document::grid::geometry::{Level, Rect};
use crate::document::layers::BASE_LAYER;
use crate::document::tools::brush::mix;
use crate::document::{DetailPolicy, Document};
use crate::error::{Error, Result};

/// The cells of a level in a rectangle (of cells, cut at the picture), or all of them.
fn cells_in(
    easel: &Easel<'_>,
    level: Level,
    rect: Option<Rect>,
) -> impl Iterator<Item = u32> + use<> {
    let bounds = easel.document.geometry().grid_bounds(level);
    let rect = rect.map_or(bounds, |rect| rect.intersect(&bounds));
    (rect.y..rect.bottom())
        .flat_map(move |y| (rect.x..rect.right()).map(move |x| y * bounds.width + x))
}

/// One code in a rectangle of cells, or everywhere.
///
/// # Errors
/// `Usage` for a code that there is not.
pub fn fill(
    easel: &mut Easel<'_>,
    level: Level,
    rect: Option<Rect>,
    code: Option<u16>,
    detail: DetailPolicy,
) -> Result<()> {
    easel.alphabet.codebooks.check(level, code)?;
    for index in cells_in(easel, level, rect) {
        easel.put(level, index, code, Under::Policy(detail))?;
    }
    Ok(())
}

/// The source's codes in a rectangle of cells, or everywhere.
///
/// # Errors
/// `Internal` when no stroke is open.
pub fn erase(easel: &mut Easel<'_>, level: Level, rect: Option<Rect>) -> Result<()> {
    for index in cells_in(easel, level, rect) {
        easel.restore(level, index)?;
    }
    Ok(())
}

/// Empties the detail in a rectangle of detail cells, or everywhere.
///
/// # Errors
/// `Internal` when no stroke is open.
pub fn empty(easel: &mut Easel<'_>, rect: Option<Rect>) -> Result<()> {
    for index in cells_in(easel, Level::Detail, rect) {
        easel.set(Level::Detail, index, None)?;
    }
    Ok(())
}

/// Every cell of one code gets another.
///
/// # Errors
/// `Usage` for codes that there are not.
pub fn replace(
    easel: &mut Easel<'_>,
    level: Level,
    (from, to): (Option<u16>, Option<u16>),
    rect: Option<Rect>,
    detail: DetailPolicy,
) -> Result<()> {
    easel.alphabet.codebooks.check(level, from)?;
    easel.alphabet.codebooks.check(level, to)?;
    for index in cells_in(easel, level, rect) {
        if easel.document.edited().level(level).at(index) == from {
            easel.put(level, index, to, Under::Policy(detail))?;
        }
    }
    Ok(())
}

/// [`replace`] everywhere the easel allows, as a stroke of its own; `None` where there is no such code.
///
/// # Errors
/// As [`replace`]; `Internal` when a stroke is open already.
pub fn replace_stroke(
    easel: &mut Easel<'_>,
    level: Level,
    (from, to): (u16, u16),
    detail: DetailPolicy,
) -> Result<Option<Arc<Stroke>>> {
    easel.stroke(format!("Replace {level} {from} by {to}"), |easel| {
        replace(easel, level, (Some(from), Some(to)), None, detail)
    })
}

/// The cells like the one at `start`, connected or all of them, get a code.
///
/// # Errors
/// `Usage` for a code that there is not, or a tolerance without vectors.
pub fn bucket(
    easel: &mut Easel<'_>,
    level: Level,
    start: u32,
    (tolerance, is_contiguous): (f32, bool),
    code: Option<u16>,
    detail: DetailPolicy,
) -> Result<()> {
    easel.alphabet.codebooks.check(level, code)?;
    let wrap = easel.document.wrap();
    let grid = easel.document.edited().level(level);
    let alike = easel.alphabet.alike(level, grid.at(start), tolerance)?;
    for index in like_cells(grid, start, &alike, is_contiguous, wrap) {
        easel.put(level, index, code, Under::Policy(detail))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientShape {
    #[default]
    Linear,
    Radial,
}

/// From one code to another, through those whose vectors lie between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradient {
    pub level: Level,
    pub shape: GradientShape,
    pub codes: (u16, u16),
    /// Where the first code ends and the second begins, in canvas pixels; for a radial one the middle and
    /// the rim.
    pub from_px: (f32, f32),
    pub to_px: (f32, f32),
    /// How far neighbouring steps mingle, as a share of the whole way: 0 for clean bands.
    pub scatter: f32,
    pub seed: u64,
    pub detail: DetailPolicy,
}

/// Steps that a gradient is worked out in.
const GRADIENT_STEPS: usize = 256;

/// # Errors
/// `Usage` for codes that there are not, or where the vectors are not known.
pub fn gradient(easel: &mut Easel<'_>, gradient: &Gradient) -> Result<()> {
    let level = gradient.level;
    let (first, second) = gradient.codes;
    easel.alphabet.codebooks.check(level, Some(first))?;
    easel.alphabet.codebooks.check(level, Some(second))?;
    let vectors = easel.alphabet.vectors(level)?;
    let steps: Vec<u16> = (0..GRADIENT_STEPS)
        .map(|i| vectors.mix(first, second, i as f32 / (GRADIENT_STEPS - 1) as f32))
        .collect();
    let ((x0, y0), (x1, y1)) = (gradient.from_px, gradient.to_px);
    let (dx, dy) = (x1 - x0, y1 - y0);
    // A click without a way has no direction: all of it is the second code.
    let length = dx.hypot(dy).max(1e-3);
    let stride = level.stride_px() as f32;
    let columns = easel.document.geometry().grid_width(level);
    for index in cells_in(easel, level, None) {
        let (x, y) = (index % columns, index / columns);
        let px = (x as f32 + 0.5) * stride - x0;
        let py = (y as f32 + 0.5) * stride - y0;
        let mut t = match gradient.shape {
            GradientShape::Linear => (px * dx + py * dy) / (length * length),
            GradientShape::Radial => px.hypot(py) / length,
        };
        if gradient.scatter > 0.0 {
            let unit = (mix(gradient.seed ^ mix(u64::from(index))) >> 40) as f32 / (1 << 24) as f32;
            t += (unit - 0.5) * gradient.scatter;
        }
        let at = (t.clamp(0.0, 1.0) * (GRADIENT_STEPS - 1) as f32).round() as usize;
        easel.put(
            level,
            index,
            Some(steps[at]),
            Under::Policy(gradient.detail),
        )?;
    }
    Ok(())
}

/// Selected cells to another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    pub level: Level,
    /// Cells of the level.
    pub by: (i64, i64),
    /// What is seen comes to the active layer once more; its place stays as it is. Otherwise what the active
    /// layer has is moved.
    pub is_copy: bool,
    /// What a move leaves behind on the lowest layer: this structure code and empty detail. Other layers leave
    /// nothing.
    pub leaves: u16,
}

/// A cell on its way: where it was, where it goes (`None` beyond the canvas), its code, and where its texture is.
type Moving = (u32, Option<u32>, PlacedCode);

/// Moves the easel's selection, or everything. A structure selection takes the detail under it along.
///
/// Returns the selection at its new place.
///
/// # Errors
/// `Usage` for a code that there is not, or while a mask is painted on.
pub fn transfer(easel: &mut Easel<'_>, transfer: &Transfer) -> Result<Selection> {
    let geometry = easel.document.geometry();
    let wrap = easel.document.wrap();
    let level = transfer.level;
    let leaves = Some(transfer.leaves);
    easel.alphabet.codebooks.check(level, leaves)?;
    if easel.document.active().is_mask {
        return Err(Error::usage(
            "could not move",
            "the layer's mask is being painted",
            "Choose the layer itself",
        ));
    }
    let all;
    let selection = match easel.selection {
        Some(selection) => selection,
        None => {
            all = Selection::all(geometry);
            &all
        }
    };
    let finer = i64::from(level.stride_px() / Level::Detail.stride_px());
    let by = (
        transfer.by.0.saturating_mul(finer),
        transfer.by.1.saturating_mul(finer),
    );
    let moved = selection.moved(by, wrap);
    if transfer.by == (0, 0) {
        return Ok(moved);
    }
    let details = lifted(easel.document, selection, Level::Detail, by, transfer);
    let structure = match level {
        Level::Structure => lifted(easel.document, selection, level, transfer.by, transfer),
        Level::Detail => Vec::new(),
    };
    // The cells go where they go, selected there or not.
    let restricted_to = easel.selection.take();
    let done = put_down(easel, transfer, &structure, &details);
    easel.selection = restricted_to;
    done.map(|()| moved)
}

fn lifted(
    document: &Document,
    selection: &Selection,
    level: Level,
    by: (i64, i64),
    transfer: &Transfer,
) -> Vec<Moving> {
    let bounds = document.geometry().grid_bounds(level);
    let wrap = document.wrap();
    let seen = document.edited().level(level);
    let has = |index: u32| match transfer.is_copy {
        true => raw_code(seen.at(index)),
        false => (document.layers()).value(document.active(), level, index, document.encoded()),
    };
    let comes_from = |index: u32| match (level, transfer.is_copy) {
        (Level::Structure, _) => None,
        (Level::Detail, true) => document.origin(index),
        (Level::Detail, false) => document.origin_on_active(index),
    };
    selection
        .cells(level)
        .map(|index| (index, has(index)))
        .filter(|(_, value)| *value != ABSENT)
        .map(|(index, value)| {
            let x = step(index % bounds.width, by.0, bounds.width, wrap.x);
            let y = step(index / bounds.width, by.1, bounds.height, wrap.y);
            let to = x.zip(y).map(|(x, y)| y * bounds.width + x);
            (index, to, (code_from_raw(value), comes_from(index)))
        })
        .collect()
}

fn put_down(
    easel: &mut Easel<'_>,
    transfer: &Transfer,
    structure: &[Moving],
    details: &[Moving],
) -> Result<()> {
    let is_lowest = easel.document.active().layer == BASE_LAYER;
    let cells = [(Level::Structure, structure), (Level::Detail, details)];
    for (level, cells) in cells.iter().filter(|_| !transfer.is_copy) {
        let left = (*level == Level::Structure).then_some(transfer.leaves);
        for (from, ..) in *cells {
            if is_lowest {
                easel.set(*level, *from, left)?;
            } else {
                easel.clear(*level, *from)?;
            }
        }
    }
    for (level, cells) in cells {
        for (_, to, cell) in cells {
            match (to, level) {
                (Some(to), Level::Structure) => easel.set(level, *to, cell.0)?,
                (Some(to), Level::Detail) => easel.place(*to, *cell)?,
                (None, _) => {}
            }
        }
    }
    Ok(())
}
