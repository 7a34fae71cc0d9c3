//! The operations of a script at work.

use std::sync::Arc;

use super::{Applied, Area, EraseTo, Operation, Pattern, StampDetail, Unit, describe, limit};
use crate::document::block::Block;
use crate::document::brush::Brush;
use crate::document::coordinates::origin;
use crate::document::geometry::{Geometry, Level, Rect, STRUCTURE_STRIDE_PX};
use crate::document::selection::{Selection, step};
use crate::document::stroke::Stroke;
use crate::document::tools::{
    self, BrushStroke, Easel, Gradient, Medium, Path, PlacedCode, Setup, Symmetry, Transfer, Under,
};
use crate::document::vectors::Alphabet;
use crate::document::{DETAIL_STRIDE_PX, DetailPolicy, Document};
use crate::error::{Error, Result};

/// Cells that the brush strokes of one script may look at.
const MAX_BRUSH_WORK: u64 = 1 << 32;

pub(super) fn run(
    operations: &[Operation],
    document: &mut Document,
    alphabet: &Alphabet,
) -> Result<Applied> {
    let mut run = Run {
        document,
        alphabet,
        selection: None,
        applied: Applied::default(),
        work: 0,
    };
    for (i, operation) in operations.iter().enumerate() {
        run.operation(operation).map_err(|mut e| {
            e.notice.why = describe(i, operation, &e.notice.why);
            e
        })?;
    }
    Ok(run.applied)
}

struct Run<'a> {
    document: &'a mut Document,
    alphabet: &'a Alphabet,
    selection: Option<Selection>,
    applied: Applied,
    work: u64,
}

/// The parts that brush operations share.
struct Strokes<'a> {
    level: Level,
    points: &'a [(f32, f32)],
    unit: Unit,
    brush: Brush,
    detail: DetailPolicy,
    symmetry: Symmetry,
    path: Path,
    /// One per point, or none.
    pressure: &'a [f32],
}

impl Run<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<()> {
        let stroke = match operation {
            Operation::Undo { count } => {
                for _ in 0..*count {
                    let Some(stroke) = self.document.undo() else {
                        break;
                    };
                    self.touched(&stroke);
                }
                None
            }
            Operation::Redo { count } => {
                for _ in 0..*count {
                    let Some(stroke) = self.document.redo() else {
                        break;
                    };
                    self.touched(&stroke);
                }
                None
            }
            Operation::Select {
                area,
                how,
                level,
                unit,
            } => {
                self.select(area, *how, *level, *unit)?;
                None
            }
            Operation::Move {
                level,
                by,
                copy,
                leaves,
            } => {
                let transfer = Transfer {
                    level: *level,
                    by: *by,
                    is_copy: *copy,
                    leaves: *leaves,
                };
                let mut moved = None;
                let stroke = self.easel().stroke(label(operation), |easel| {
                    moved = Some(tools::transfer(easel, &transfer)?);
                    Ok(())
                })?;
                if self.selection.is_some() {
                    self.selection = moved.filter(|moved| !moved.is_empty());
                }
                stroke
            }
            _ => match self.brush(operation)? {
                Some((strokes, medium)) => self.paint(&strokes, medium, operation)?,
                None => (self.easel()).stroke(label(operation), |easel| area(easel, operation))?,
            },
        };
        if let Some(stroke) = stroke {
            self.touched(&stroke);
            self.applied.strokes.push(stroke);
        }
        Ok(())
    }

    fn easel(&mut self) -> Easel<'_> {
        Easel::new(self.document, self.selection.as_ref(), self.alphabet)
    }

    fn touched(&mut self, stroke: &Stroke) {
        let dirty = stroke.dirty(self.document.geometry());
        self.applied.dirty.extend(&dirty);
    }

    fn select(
        &mut self,
        area: &Area,
        how: crate::document::Combine,
        level: Level,
        unit: Unit,
    ) -> Result<()> {
        let geometry = self.document.geometry();
        let wrap = self.document.wrap();
        let cells = |count: u32| count.saturating_mul(level.stride_px() / DETAIL_STRIDE_PX);
        // Nothing selected stands for everything when it is inverted or shrunk; growing it changes nothing.
        let now = self.selection.clone();
        let area = match area {
            Area::Rect(rect) | Area::Ellipse(rect) => {
                let rect = to_cells(*rect, unit, level);
                inside(rect, geometry.grid_bounds(level))?;
                let px = rect.to_pixels(level.stride_px());
                let a = (px.x as f32, px.y as f32);
                // The last pixel's middle: the far edge belongs to the next cell.
                let b = (px.right() as f32 - 0.5, px.bottom() as f32 - 0.5);
                if matches!(area, Area::Rect(_)) {
                    Selection::rectangle(geometry, level, a, b)
                } else {
                    Selection::ellipse(geometry, level, a, b)
                }
            }
            Area::Lasso(points) => {
                let points: Vec<_> = points.iter().map(|p| to_px(*p, unit, level)).collect();
                Selection::lasso(geometry, level, &points)
            }
            Area::Wand {
                at,
                tolerance,
                contiguous,
            } => {
                let start = cell_at(geometry, level, to_px(*at, unit, level))?;
                let grid = self.document.edited().level(level);
                let alike = self.alphabet.alike(level, grid.at(start), *tolerance)?;
                Selection::wand(geometry, grid, level, start, &alike, *contiguous, wrap)
            }
            Area::All | Area::None => {
                self.selection = None;
                if *area == Area::All {
                    self.selection = Some(Selection::all(geometry));
                }
                return Ok(());
            }
            Area::Inverted | Area::Grown(_) | Area::Shrunk(_) => {
                if let Some(mut selection) = now {
                    match area {
                        Area::Grown(count) => selection.grow(cells(*count), wrap),
                        Area::Shrunk(count) => selection.shrink(cells(*count), wrap),
                        _ => selection.invert(),
                    }
                    self.selection = (!selection.is_empty()).then_some(selection);
                }
                return Ok(());
            }
        };
        self.selection = Selection::joined(now.as_ref(), &area, how);
        Ok(())
    }

    /// What a brush operation paints with; `None` for the others.
    fn brush<'b>(&self, operation: &'b Operation) -> Result<Option<(Strokes<'b>, Medium)>> {
        Ok(Some(match operation {
            Operation::Paint {
                level,
                code,
                points,
                unit,
                brush,
                detail,
                symmetry,
                path,
                pressure,
            } => {
                self.alphabet.codebooks.check(*level, *code)?;
                let strokes = Strokes {
                    level: *level,
                    points,
                    unit: *unit,
                    brush: *brush,
                    detail: *detail,
                    symmetry: *symmetry,
                    path: *path,
                    pressure,
                };
                (strokes, Medium::Code(*code))
            }
            Operation::Erase {
                level,
                points: Some(points),
                unit,
                brush,
                to,
                symmetry,
                path,
                ..
            } => {
                let strokes = Strokes {
                    level: *level,
                    points,
                    unit: *unit,
                    brush: *brush,
                    detail: DetailPolicy::Keep,
                    symmetry: *symmetry,
                    path: *path,
                    pressure: &[],
                };
                let medium = match to {
                    EraseTo::Source => Medium::Source,
                    EraseTo::Empty => Medium::Code(None),
                };
                (strokes, medium)
            }
            Operation::Pattern {
                level,
                points,
                unit,
                brush,
                block,
                copy,
                turn,
                layout,
                aligned,
                detail,
                symmetry,
                path,
            } => {
                let strokes = Strokes {
                    level: *level,
                    points,
                    unit: *unit,
                    brush: *brush,
                    detail: *detail,
                    symmetry: *symmetry,
                    path: *path,
                    pressure: &[],
                };
                let taken = match copy {
                    Some(rect) => {
                        let rect = to_cells(*rect, *unit, *level);
                        inside(rect, self.document.geometry().grid_bounds(*level))?;
                        Block::of_document(self.document, *level, rect)?
                    }
                    None => None,
                };
                let Some(block) = block.clone().or(taken) else {
                    return Ok(None);
                };
                block.check(self.alphabet.codebooks)?;
                let medium = Medium::Pattern {
                    block: Arc::new(block.turned(*turn)),
                    layout: *layout,
                    is_aligned: *aligned,
                };
                (strokes, medium)
            }
            Operation::Clone {
                level,
                source,
                points,
                unit,
                brush,
                symmetry,
                path,
            } => {
                let strokes = Strokes {
                    level: *level,
                    points,
                    unit: *unit,
                    brush: *brush,
                    detail: DetailPolicy::Keep,
                    symmetry: *symmetry,
                    path: *path,
                    pressure: &[],
                };
                let first = points.first().copied().unwrap_or_default();
                let offset = tools::offset_between(
                    *level,
                    to_px(first, *unit, *level),
                    to_px(*source, *unit, *level),
                );
                (strokes, Medium::Clone { offset })
            }
            Operation::Smudge {
                level,
                points,
                unit,
                brush,
                strength,
                detail,
                symmetry,
            } => {
                let strokes = Strokes {
                    level: *level,
                    points,
                    unit: *unit,
                    brush: *brush,
                    detail: *detail,
                    symmetry: *symmetry,
                    path: Path::Freehand,
                    pressure: &[],
                };
                let strength = *strength;
                (strokes, Medium::Smudge { strength })
            }
            _ => return Ok(None),
        }))
    }

    fn paint(
        &mut self,
        strokes: &Strokes<'_>,
        medium: Medium,
        operation: &Operation,
    ) -> Result<Option<Arc<Stroke>>> {
        let level = strokes.level;
        let points: Vec<_> = (strokes.points.iter())
            .map(|p| to_px(*p, strokes.unit, level))
            .collect();
        let stride = level.stride_px() as f32;
        let in_cells: Vec<_> = points
            .iter()
            .map(|p| (p.0 / stride, p.1 / stride))
            .collect();
        let images = u64::from(strokes.symmetry.turns.max(1)) * 4;
        // Dabs of a pen that is barely pressed stand as close as those of the smallest brush.
        let least = strokes.pressure.iter().copied().fold(1.0, f32::min);
        let size = u64::from(strokes.brush.size);
        let dabs = strokes.brush.pressed(least).dabs(&in_cells);
        let work = (dabs.saturating_mul(size * size)).saturating_mul(images);
        self.work = self.work.saturating_add(work);
        if self.work > MAX_BRUSH_WORK {
            return Err(limit(
                "the brush strokes are too long for their size".to_owned(),
            ));
        }
        let setup = Setup {
            level,
            brush: strokes.brush,
            medium,
            detail: strokes.detail,
            symmetry: strokes.symmetry,
            path: strokes.path,
            pressure: strokes.pressure.first().copied().unwrap_or(1.0),
        };
        let mut easel = self.easel();
        let Some((first, others)) = points.split_first() else {
            return Ok(None);
        };
        let mut stroke = BrushStroke::press(&mut easel, setup, label(operation), *first)?;
        for (index, point) in others.iter().enumerate() {
            stroke.set_pressure(strokes.pressure.get(index + 1).copied().unwrap_or(1.0));
            stroke.drag(&mut easel, *point)?;
        }
        stroke.release(&mut easel)
    }
}

/// Operations on areas, within an open stroke.
fn area(easel: &mut Easel<'_>, operation: &Operation) -> Result<()> {
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

fn to_cells(rect: Rect, unit: Unit, level: Level) -> Rect {
    match unit {
        Unit::Cells => rect,
        Unit::Pixels => rect.to_cells(level.stride_px()),
    }
}

fn to_px(at: (f32, f32), unit: Unit, level: Level) -> (f32, f32) {
    let stride = level.stride_px() as f32;
    match unit {
        Unit::Cells => (at.0 * stride, at.1 * stride),
        Unit::Pixels => at,
    }
}

fn cell_at(geometry: Geometry, level: Level, at_px: (f32, f32)) -> Result<u32> {
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

fn label(operation: &Operation) -> String {
    let code = |code: &Option<u16>| code.map_or_else(|| "empty".to_owned(), |c| c.to_string());
    match operation {
        Operation::Paint { level, code: c, .. } => format!("Brush, {level} {}", code(c)),
        Operation::Stamp { level, .. } => format!("Stamp, {level}"),
        Operation::Replace {
            level, from, to, ..
        } => format!("Replace {level} {} by {}", code(from), code(to)),
        Operation::Fill { level, code: c, .. } => format!("Fill, {level} {}", code(c)),
        Operation::Bucket { level, code: c, .. } => format!("Bucket, {level} {}", code(c)),
        Operation::Gradient {
            level,
            codes: (a, b),
            ..
        } => format!("Gradient, {level} {a} to {b}"),
        Operation::Pattern { level, .. } => format!("Pattern, {level}"),
        Operation::Clone { level, .. } => format!("Clone, {level}"),
        Operation::Smudge { level, .. } => format!("Smudge, {level}"),
        Operation::Move { level, copy, .. } => {
            let what = if *copy { "Duplicate" } else { "Move" };
            format!("{what}, {level}")
        }
        Operation::Erase {
            to: EraseTo::Source,
            ..
        } => "Erase to source".to_owned(),
        Operation::Erase { .. } | Operation::EmptyDetail { .. } => "Empty detail".to_owned(),
        Operation::Select { .. } | Operation::Undo { .. } | Operation::Redo { .. } => {
            operation.name().to_owned()
        }
    }
}
