//! The operations of a script at work, one after the other; those that a brush does.

use std::sync::Arc;

use super::areas::{area, cell_at, inside, to_cells, to_px};
use super::{Applied, Area, EraseTo, Operation, Textures, Unit, describe, limit};
use crate::document::alphabet::vectors::Alphabet;
use crate::document::edit::selection::Selection;
use crate::document::edit::stroke::Stroke;
use crate::document::grid::geometry::DETAIL_STRIDE_PX;
use crate::document::grid::geometry::Level;
use crate::document::tools::block::Block;
use crate::document::tools::brush::Brush;
use crate::document::tools::{
    self, BrushStroke, Easel, Medium, Path, Setup, Symmetry, TextureLook, TextureMaker,
    TextureStroke, Transfer,
};
use crate::document::{DetailPolicy, Document};
use crate::error::{Error, Result};

/// Cells that the brush strokes of one script may look at.
const MAX_BRUSH_WORK: u64 = 1 << 32;

pub(super) fn run(
    operations: &[Operation],
    document: &mut Document,
    alphabet: &Alphabet,
    textures: Textures<'_>,
) -> Result<Applied> {
    let mut run = Run {
        document,
        alphabet,
        textures,
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
    textures: Textures<'a>,
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
            Operation::Quilt { look, .. } | Operation::Seamless { look, .. } => {
                let cells = self.cells_to_make(operation)?;
                let maker = Arc::clone(self.maker()?);
                let observer = self.textures.observer;
                let label = label(operation);
                tools::texture_fill(&mut self.easel(), label, &*maker, (&cells, look), observer)?
            }
            Operation::Texture {
                points,
                unit,
                brush,
                look,
            } => {
                let points: Vec<_> = (points.iter())
                    .map(|p| to_px(*p, *unit, Level::Structure))
                    .collect();
                self.texture(&points, (*brush, look.clone()), label(operation))?
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

    fn maker(&self) -> Result<&Arc<dyn TextureMaker>> {
        self.textures.maker.ok_or_else(|| {
            Error::usage(
                "could not run the edit script",
                "textures need a model, and there is none here",
                "Open the document with its model first",
            )
        })
    }

    /// Structure cells that are to be made anew.
    fn cells_to_make(&self, operation: &Operation) -> Result<Vec<u32>> {
        let geometry = self.document.geometry();
        let bounds = geometry.grid_bounds(Level::Structure);
        let count = geometry.cell_count(Level::Structure) as u32;
        let of = |is_in: &dyn Fn(u32, u32) -> bool| {
            (0..count)
                .filter(|index| is_in(index % bounds.width, index / bounds.width))
                .collect::<Vec<_>>()
        };
        match operation {
            Operation::Quilt {
                rect: Some(rect),
                unit,
                ..
            } => {
                let rect = to_cells(*rect, *unit, Level::Structure);
                inside(rect, bounds)?;
                Ok(of(&|x, y| rect.contains(x, y)))
            }
            Operation::Quilt { .. } => match &self.selection {
                Some(selection) => Ok(selection.cells(Level::Structure).collect()),
                None => Err(Error::usage(
                    "could not run the edit script",
                    "nothing is selected, and without surroundings there is nothing to continue",
                    "Give a `rect`, or select first",
                )),
            },
            Operation::Seamless { border, .. } => {
                let wrap = self.document.wrap();
                if !wrap.x && !wrap.y {
                    return Err(Error::usage(
                        "could not run the edit script",
                        "the picture wraps on no axis, so that none of its borders meet",
                        "Let the picture wrap first",
                    ));
                }
                let is_near = |at: u32, cells: u32, wraps: bool| {
                    wraps && (at < *border || at >= cells.saturating_sub(*border))
                };
                Ok(of(&|x, y| {
                    is_near(x, bounds.width, wrap.x) || is_near(y, bounds.height, wrap.y)
                }))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn texture(
        &mut self,
        points: &[(f32, f32)],
        how: (Brush, TextureLook),
        label: String,
    ) -> Result<Option<Arc<Stroke>>> {
        let Some((first, others)) = points.split_first() else {
            return Ok(None);
        };
        let maker = Arc::clone(self.maker()?);
        let observer = self.textures.observer;
        let mut easel = self.easel();
        let mut stroke = TextureStroke::press(&mut easel, how, maker, label, *first)?;
        stroke.dab(&mut easel, *first, observer)?;
        for point in others {
            for at in stroke.steps(*point) {
                stroke.dab(&mut easel, at, observer)?;
            }
        }
        Ok(stroke.release(&mut easel))
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
        Operation::Quilt { .. } => "Fill from pictures".to_owned(),
        Operation::Texture { .. } => "Texture".to_owned(),
        Operation::Seamless { .. } => "Seamless borders".to_owned(),
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
