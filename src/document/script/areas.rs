//! The operations of a script that change areas at once, and the cells that its coordinates mean.

use std::sync::Arc;

use super::{EraseTo, Operation, Pattern, StampDetail, Unit};
use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::edit::selection::step;
use crate::document::grid::coordinates::origin;
use crate::document::grid::geometry::DETAIL_STRIDE_PX;
use crate::document::grid::geometry::{Geometry, Level, Rect, STRUCTURE_STRIDE_PX};
use crate::document::tools::{self, Easel, Gradient, PlacedCode, Under};
use crate::error::{Error, Result};

/// Operations on areas, within an open stroke.
pub(super) fn area(easel: &mut Easel<'_>, operation: &Operation) -> Result<()> {
    let geometry = easel.document.geometry();
    let cells = |rect: &Option<Rect>, unit: Unit, level: Level| {
        rect.map(|rect| {
            let rect = to_cells(rect, unit, level);
            inside(rect, geometry.grid_bounds(level)).map(|()| rect)
        })
        .transpose()
    };
    match operation {
        Operation::Erase {
            level,
            rect,
            unit,
            to,
            ..
        } => match to {
            EraseTo::Source => tools::erase(easel, *level, cells(rect, *unit, *level)?),
            EraseTo::Empty => {
                let finer = level.stride_px() / DETAIL_STRIDE_PX;
                let rect = cells(rect, *unit, *level)?.map(|rect| rect.to_pixels(finer));
                tools::empty(easel, rect)
            }
        },
        Operation::Fill {
            level,
            code,
            rect,
            unit,
            detail,
        } => tools::fill(easel, *level, cells(rect, *unit, *level)?, *code, *detail),
        Operation::Replace {
            level,
            from,
            to,
            rect,
            unit,
            detail,
        } => tools::replace(
            easel,
            *level,
            (*from, *to),
            cells(rect, *unit, *level)?,
            *detail,
        ),
        Operation::EmptyDetail { rect, unit } => {
            tools::empty(easel, cells(rect, *unit, Level::Detail)?)
        }
        Operation::Bucket {
            level,
            at,
            unit,
            code,
            tolerance,
            contiguous,
            detail,
        } => {
            let start = cell_at(geometry, *level, to_px(*at, *unit, *level))?;
            let takes = (*tolerance, *contiguous);
            tools::bucket(easel, *level, start, takes, *code, *detail)
        }
        Operation::Gradient {
            level,
            from,
            to,
            unit,
            codes,
            shape,
            scatter,
            seed,
            detail,
        } => tools::gradient(
            easel,
            &Gradient {
                level: *level,
                shape: *shape,
                codes: *codes,
                from_px: to_px(*from, *unit, *level),
                to_px: to_px(*to, *unit, *level),
                scatter: *scatter,
                seed: *seed,
                detail: *detail,
            },
        ),
        Operation::Stamp {
            level,
            at,
            unit,
            pattern,
            copy,
            detail,
        } => {
            let at = match unit {
                Unit::Cells => *at,
                Unit::Pixels => (at.0 / level.stride_px(), at.1 / level.stride_px()),
            };
            let copy = copy.map(|rect| to_cells(rect, *unit, *level));
            stamp(easel, *level, at, pattern.as_ref(), copy, *detail)
        }
        _ => Ok(()),
    }
}

fn stamp(
    easel: &mut Easel<'_>,
    level: Level,
    at: (u32, u32),
    pattern: Option<&Pattern>,
    copy: Option<Rect>,
    detail: Option<StampDetail>,
) -> Result<()> {
    // As it was before: the copy may overlap what it is made of.
    let now = Arc::clone(easel.document.edited());
    let places = Arc::clone(easel.document.coordinates());
    let (geometry, encoded) = (
        easel.document.geometry(),
        Arc::clone(easel.document.encoded()),
    );
    let comes_from = |x: u32, y: u32| {
        let index = now.detail.index(x, y)?;
        origin(geometry, (&*encoded, &*now), &places, index)
    };
    let policy = match detail {
        Some(StampDetail::Keep) => DetailPolicy::Keep,
        _ => DetailPolicy::Empty,
    };
    match (pattern, copy) {
        (Some(block), _) => {
            for code in &block.codes {
                easel.alphabet.codebooks.check(level, *code)?;
            }
            place(
                easel,
                level,
                at,
                (block.width, block.height),
                policy,
                |x, y| (block.codes[(y * block.width + x) as usize], None),
            )?;
        }
        (None, Some(rect)) => {
            let grid = now.level(level);
            inside(rect, grid.bounds())?;
            place(
                easel,
                level,
                at,
                (rect.width, rect.height),
                policy,
                |x, y| {
                    let (x, y) = (rect.x + x, rect.y + y);
                    let from = (level == Level::Detail).then(|| comes_from(x, y));
                    (grid.get(x, y), from.flatten())
                },
            )?;
            if level == Level::Structure && matches!(detail, None | Some(StampDetail::Copy)) {
                let per = STRUCTURE_STRIDE_PX / DETAIL_STRIDE_PX;
                let size = (rect.width * per, rect.height * per);
                // The stamp is at most `MAX_PATTERN_CELLS` wide and `at` was cut to the grid.
                let at = (at.0.saturating_mul(per), at.1.saturating_mul(per));
                place(easel, Level::Detail, at, size, policy, |x, y| {
                    let (x, y) = (rect.x * per + x, rect.y * per + y);
                    (now.detail.get(x, y), comes_from(x, y))
                })?;
            }
        }
        (None, None) => {}
    }
    Ok(())
}

fn place(
    easel: &mut Easel<'_>,
    level: Level,
    at: (u32, u32),
    size: (u32, u32),
    policy: DetailPolicy,
    cell: impl Fn(u32, u32) -> PlacedCode,
) -> Result<()> {
    let bounds = easel.document.geometry().grid_bounds(level);
    let wrap = easel.document.wrap();
    for y in 0..size.1 {
        let Some(row) = step(at.1, i64::from(y), bounds.height, wrap.y) else {
            break;
        };
        for x in 0..size.0 {
            let Some(column) = step(at.0, i64::from(x), bounds.width, wrap.x) else {
                break;
            };
            let index = row * bounds.width + column;
            let cell = cell(x, y);
            match level {
                Level::Structure => easel.put(level, index, cell.0, Under::Policy(policy))?,
                Level::Detail => easel.place(index, cell)?,
            }
        }
    }
    Ok(())
}

pub(super) fn to_cells(rect: Rect, unit: Unit, level: Level) -> Rect {
    match unit {
        Unit::Cells => rect,
        Unit::Pixels => rect.to_cells(level.stride_px()),
    }
}

pub(super) fn to_px(at: (f32, f32), unit: Unit, level: Level) -> (f32, f32) {
    let stride = level.stride_px() as f32;
    match unit {
        Unit::Cells => (at.0 * stride, at.1 * stride),
        Unit::Pixels => at,
    }
}

pub(super) fn cell_at(geometry: Geometry, level: Level, at_px: (f32, f32)) -> Result<u32> {
    let cell = tools::cells_between(geometry, level, at_px, at_px);
    if cell.is_empty() {
        return Err(Error::usage(
            "could not run the edit script",
            format!("({}, {}) does not lie in the picture", at_px.0, at_px.1),
            "Correct the point",
        ));
    }
    Ok(cell.y * geometry.grid_width(level) + cell.x)
}

pub(super) fn inside(rect: Rect, bounds: Rect) -> Result<()> {
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
