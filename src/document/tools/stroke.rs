//! Everything painted dab by dab: code brush, eraser, pattern, clone and smudge, freehand, along a line or
//! over a rectangle, with symmetry.

use std::sync::Arc;

use super::setup::{Layout, Medium, Path, Setup};
use super::symmetry::Image;
use super::{Easel, PlacedCode, Under};
use crate::document::alphabet::companions::DETAILS_PER_CELL;
use crate::document::alphabet::vectors::blend;
use crate::document::edit::document::Document;
use crate::document::edit::selection::step;
use crate::document::edit::stroke::Stroke;
use crate::document::grid::codes::Codes;
use crate::document::grid::coordinates::{CoordinateGrid, origin};
use crate::document::grid::geometry::Level;
use crate::document::tools::block::Block;
use crate::document::tools::brush::Brush;
use crate::error::Result;

/// A stroke in progress. Dropping it leaves the document's transaction open: release or abort it.
#[derive(Debug)]
pub struct BrushStroke {
    setup: Setup,
    images: Vec<Image>,
    /// Where it began and where it stands, in cells.
    from: (f32, f32),
    at: (f32, f32),
    /// The codes, and where they come from, as they were at the start, for cloning.
    before: Option<(Arc<Codes>, Arc<CoordinateGrid>)>,
    /// The upper left cell of the first stamp, and of the last one.
    anchor: (i64, i64),
    last_stamp: Option<(i64, i64)>,
    smears: Vec<Smear>,
    /// The pressure at the last dab, and at the point to come.
    pressure: f32,
    next_pressure: f32,
}

/// What a smudge drags along, for one image: a vector per cell of the footprint.
#[derive(Debug, Default, Clone)]
struct Smear {
    centre: Option<(i64, i64)>,
    carried: Vec<Option<Vec<f32>>>,
}

/// What one cell gets.
enum Mark {
    Code(Option<u16>),
    /// A detail code from some place.
    Placed(PlacedCode),
    WithDetails(Option<u16>, [PlacedCode; DETAILS_PER_CELL]),
    Source,
    EmptyDetail,
}

impl BrushStroke {
    /// Opens the document's transaction and makes the first dab; a line or a rectangle waits for its end.
    ///
    /// # Errors
    /// As [`Setup::check`]; `Internal` when a stroke is open already.
    pub fn press(
        easel: &mut Easel<'_>,
        setup: Setup,
        label: impl Into<String>,
        at_px: (f32, f32),
    ) -> Result<Self> {
        setup.check(easel)?;
        let geometry = easel.document.geometry();
        let images = setup.symmetry.images(setup.level, geometry);
        let is_clone = matches!(setup.medium, Medium::Clone { .. });
        let document = &easel.document;
        let before = is_clone.then(|| {
            (
                Arc::clone(document.edited()),
                Arc::clone(document.coordinates()),
            )
        });
        if let Medium::Pattern { block, .. } = &setup.medium
            && let Some(places) = &block.places
        {
            places.introduce(easel.document)?;
        }
        easel.document.begin(label)?;
        let mut stroke = Self {
            smears: vec![Smear::default(); images.len()],
            images,
            from: (0.0, 0.0),
            at: (0.0, 0.0),
            before,
            anchor: (0, 0),
            last_stamp: None,
            pressure: setup.pressure,
            next_pressure: setup.pressure,
            setup,
        };
        stroke.from = stroke.cells(at_px);
        stroke.at = stroke.from;
        stroke.anchor = stroke.stamp_at(stroke.from);
        if stroke.setup.path == Path::Freehand {
            stroke.dab_or_abort(easel, stroke.from)?;
        }
        Ok(stroke)
    }

    /// How hard the pen is pressed, 0 to 1, at the point that the stroke goes to next.
    pub fn set_pressure(&mut self, pressure: f32) {
        self.next_pressure = pressure;
    }

    /// The brush at a pressure. A smudge carries what lay under all of its cells, so it stays as wide as it is.
    fn pressed(&self, pressure: f32) -> Brush {
        match self.setup.medium {
            Medium::Smudge { .. } => self.setup.brush,
            // Lines and rectangles are as wide all along.
            _ if self.setup.path != Path::Freehand => self.setup.brush,
            _ => self.setup.brush.pressed(pressure),
        }
    }

    /// Goes on to a point.
    ///
    /// # Errors
    /// `Internal` when the document has no open stroke.
    pub fn drag(&mut self, easel: &mut Easel<'_>, to_px: (f32, f32)) -> Result<()> {
        let to = self.cells(to_px);
        if self.setup.path == Path::Freehand {
            self.go(easel, to)?;
        }
        self.at = to;
        Ok(())
    }

    /// Ends the stroke; `None` when it changed nothing.
    ///
    /// # Errors
    /// As [`BrushStroke::drag`].
    pub fn release(mut self, easel: &mut Easel<'_>) -> Result<Option<Arc<Stroke>>> {
        let to = self.at;
        match self.setup.path {
            Path::Freehand => {}
            Path::Line => {
                self.dab_or_abort(easel, self.from)?;
                self.at = self.from;
                self.go(easel, to)?;
            }
            Path::Rectangle => self.rectangle(easel, to)?,
        }
        Ok(easel.document.commit())
    }

    /// Takes everything back; what had been changed comes back for repainting.
    pub fn abort(self, document: &mut Document) -> Option<Stroke> {
        document.abort()
    }

    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where it began and where it stands, in canvas pixels.
    pub fn ends_px(&self) -> [(f32, f32); 2] {
        let stride = self.setup.level.stride_px() as f32;
        [self.from, self.at].map(|(x, y)| (x * stride, y * stride))
    }

    fn cells(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let stride = self.setup.level.stride_px() as f32;
        (x / stride, y / stride)
    }

    fn go(&mut self, easel: &mut Easel<'_>, to: (f32, f32)) -> Result<()> {
        // A smudge must not jump over a cell.
        let brush = match self.setup.medium {
            Medium::Smudge { .. } => Brush {
                size: 1,
                ..self.setup.brush
            },
            // As close as the narrower end needs it.
            _ => self.pressed(self.pressure.min(self.next_pressure)),
        };
        let path: Vec<_> = brush.path(self.at, to).collect();
        let (from, change) = (self.pressure, self.next_pressure - self.pressure);
        let count = path.len() as f32;
        for (index, at) in path.into_iter().enumerate() {
            self.pressure = from + change * (index as f32 + 1.0) / count;
            self.dab_or_abort(easel, at)?;
        }
        self.pressure = self.next_pressure;
        Ok(())
    }

    fn dab_or_abort(&mut self, easel: &mut Easel<'_>, at: (f32, f32)) -> Result<()> {
        let done = self.dab(easel, at);
        if done.is_err() {
            easel.document.abort();
        }
        done
    }

    fn dab(&mut self, easel: &mut Easel<'_>, at: (f32, f32)) -> Result<()> {
        if let Medium::Pattern {
            layout: Layout::Stamp,
            block,
            ..
        } = &self.setup.medium
        {
            let (block, to) = (Arc::clone(block), self.stamp_at(at));
            let is_far = self.last_stamp.is_none_or(|last| {
                to.0.abs_diff(last.0) >= u64::from(block.width)
                    || to.1.abs_diff(last.1) >= u64::from(block.height)
            });
            if is_far {
                self.last_stamp = Some(to);
                self.stamp(easel, &block, to)?;
            }
            return Ok(());
        }
        let brush = self.pressed(self.pressure);
        let snapped = brush.snapped(at);
        for number in 0..self.images.len() {
            let reflection = self.images[number];
            let (x, y) = reflection.of(snapped);
            let centre = brush.snapped((x as f32, y as f32));
            if let Medium::Smudge { strength } = self.setup.medium {
                self.smear(easel, number, centre, strength)?;
                continue;
            }
            let mut cells = Vec::new();
            brush.footprint(centre, |x, y| cells.push((x, y)));
            for cell in cells {
                let origin = reflection.origin(cell);
                self.mark(easel, cell, origin, reflection.is_upright())?;
            }
        }
        Ok(())
    }

    /// Puts down what the medium has for `origin` at `cell`, its image. Texture is carried upright only.
    fn mark(
        &self,
        easel: &mut Easel<'_>,
        cell: (i64, i64),
        origin: (i64, i64),
        is_upright: bool,
    ) -> Result<()> {
        let Some(index) = index_of(easel.document, self.setup.level, cell) else {
            return Ok(());
        };
        if !self.is_kept(easel.document, origin) {
            return Ok(());
        }
        match self.found(easel.document, origin) {
            Some(mark) if is_upright => self.put(easel, index, mark),
            Some(mark) => self.put(easel, index, mark.without_places()),
            None => Ok(()),
        }
    }

    fn put(&self, easel: &mut Easel<'_>, index: u32, mark: Mark) -> Result<()> {
        let level = self.setup.level;
        match mark {
            Mark::Code(code) => easel.put(level, index, code, Under::Policy(self.setup.detail)),
            Mark::Placed(cell) => easel.place(index, cell),
            Mark::WithDetails(code, details) => {
                easel.put(level, index, code, Under::These(&details))
            }
            Mark::Source => easel.restore(level, index),
            Mark::EmptyDetail => {
                for under in easel.document.detail_under(index) {
                    easel.set(Level::Detail, under, None)?;
                }
                Ok(())
            }
        }
    }

    /// Whether scatter leaves this cell in.
    fn is_kept(&self, document: &Document, (x, y): (i64, i64)) -> bool {
        let columns = i64::from(document.geometry().grid_width(self.setup.level));
        self.setup
            .brush
            .paints(y.wrapping_mul(columns).wrapping_add(x) as u64)
    }

    fn found(&self, document: &Document, (x, y): (i64, i64)) -> Option<Mark> {
        let level = self.setup.level;
        match &self.setup.medium {
            Medium::Code(None) if level == Level::Structure => Some(Mark::EmptyDetail),
            Medium::Code(code) => Some(Mark::Code(*code)),
            Medium::Source => Some(Mark::Source),
            Medium::Pattern {
                block, is_aligned, ..
            } => {
                let anchor = if *is_aligned { (0, 0) } else { self.anchor };
                Some(of_block(
                    document,
                    block,
                    (x - anchor.0).rem_euclid(i64::from(block.width)) as u32,
                    (y - anchor.1).rem_euclid(i64::from(block.height)) as u32,
                ))
            }
            Medium::Clone { offset } => {
                let from = (x.saturating_add(offset.0), y.saturating_add(offset.1));
                let index = index_of(document, level, from)?;
                let (before, places) = self.before.as_ref()?;
                let code = before.level(level).at(index);
                let placed = |index: u32| {
                    let codes = (&**document.encoded(), &**before);
                    let from = origin(document.geometry(), codes, places, index);
                    (before.detail.at(index), from)
                };
                Some(if level == Level::Structure {
                    let mut details = [(None, None); DETAILS_PER_CELL];
                    for (detail, under) in details.iter_mut().zip(document.detail_under(index)) {
                        *detail = placed(under);
                    }
                    Mark::WithDetails(code, details)
                } else {
                    Mark::Placed(placed(index))
                })
            }
            Medium::Smudge { .. } => None,
        }
    }

    /// The upper left cell of a stamp at a point.
    fn stamp_at(&self, (x, y): (f32, f32)) -> (i64, i64) {
        let Medium::Pattern {
            block, is_aligned, ..
        } = &self.setup.medium
        else {
            return (0, 0);
        };
        let axis = |at: f32, length: u32| {
            let length = i64::from(length);
            let at = f64::from(at).clamp(-1e9, 1e9);
            if *is_aligned {
                (at.floor() as i64).div_euclid(length) * length
            } else {
                (at - length as f64 / 2.0).round() as i64
            }
        };
        (axis(x, block.width), axis(y, block.height))
    }

    /// The whole block. Mirrored images are mirrored; turned ones stand upright at their place.
    fn stamp(&self, easel: &mut Easel<'_>, block: &Block, at: (i64, i64)) -> Result<()> {
        let half = (f64::from(block.width) / 2.0, f64::from(block.height) / 2.0);
        for reflection in &self.images {
            let (x, y) = reflection.of((at.0 as f64 + half.0, at.1 as f64 + half.1));
            let corner = (
                (x - half.0 + 1e-6).round() as i64,
                (y - half.1 + 1e-6).round() as i64,
            );
            for y in 0..block.height {
                for x in 0..block.width {
                    let origin = (at.0 + i64::from(x), at.1 + i64::from(y));
                    let across = match reflection.is_mirrored.0 {
                        true => block.width - 1 - x,
                        false => x,
                    };
                    let down = match reflection.is_mirrored.1 {
                        true => block.height - 1 - y,
                        false => y,
                    };
                    let cell = (corner.0 + i64::from(across), corner.1 + i64::from(down));
                    let index = index_of(easel.document, self.setup.level, cell);
                    if let Some(index) = index
                        && self.is_kept(easel.document, origin)
                    {
                        let mark = of_block(easel.document, block, x, y);
                        // Turned images of a whole stamp stand upright; mirrored ones do not.
                        let mark = match reflection.is_mirrored {
                            (false, false) => mark,
                            _ => mark.without_places(),
                        };
                        self.put(easel, index, mark)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One step of a smudge: codes are drawn to those that lay under the brush one step before.
    fn smear(
        &mut self,
        easel: &mut Easel<'_>,
        number: usize,
        centre: (f64, f64),
        strength: f32,
    ) -> Result<()> {
        let snapped = (centre.0.floor() as i64, centre.1.floor() as i64);
        if self.smears[number].centre == Some(snapped) {
            return Ok(());
        }
        let level = self.setup.level;
        let mut carried = std::mem::take(&mut self.smears[number].carried);
        let mut cells = Vec::new();
        self.setup
            .brush
            .footprint(centre, |x, y| cells.push((x, y)));
        carried.resize(cells.len(), None);
        let alphabet = easel.alphabet;
        let vectors = alphabet.vectors(level)?;
        for (cell, carried) in cells.into_iter().zip(&mut carried) {
            let index = index_of(easel.document, level, cell);
            let code = index.and_then(|index| easel.document.edited().level(level).at(index));
            // Beyond the canvas and on empty cells there is nothing to mix with.
            let (Some(index), Some(code)) = (index, code) else {
                continue;
            };
            let mut mixed = vectors.vector(code).to_vec();
            if let Some(carried) = carried {
                blend(&mut mixed, carried, strength);
                if self.is_kept(easel.document, cell) {
                    let nearest = vectors.nearest(&mixed);
                    if nearest != code {
                        self.put(easel, index, Mark::Code(Some(nearest)))?;
                    }
                }
            }
            *carried = Some(mixed);
        }
        self.smears[number] = Smear {
            centre: Some(snapped),
            carried,
        };
        Ok(())
    }

    /// All cells between the corners, and their images.
    fn rectangle(&mut self, easel: &mut Easel<'_>, to: (f32, f32)) -> Result<()> {
        let axis = |a: f32, b: f32| {
            let cell = |at: f32| f64::from(at).clamp(-1e6, 1e6).floor() as i64;
            (cell(a.min(b)), cell(a.max(b)) + 1)
        };
        let bounds = easel.document.geometry().grid_bounds(self.setup.level);
        let (x, y) = (axis(self.from.0, to.0), axis(self.from.1, to.1));
        // What hangs over the border is cut before it is turned.
        let x = (x.0.max(0), x.1.min(i64::from(bounds.width)));
        let y = (y.0.max(0), y.1.min(i64::from(bounds.height)));
        if x.0 >= x.1 || y.0 >= y.1 {
            return Ok(());
        }
        for reflection in &self.images {
            let corners = [(x.0, y.0), (x.1, y.0), (x.0, y.1), (x.1, y.1)]
                .map(|(x, y)| reflection.of((x as f64, y as f64)));
            let low = |pick: fn(&(f64, f64)) -> f64| {
                corners
                    .iter()
                    .map(pick)
                    .fold(f64::INFINITY, f64::min)
                    .floor() as i64
            };
            let high = |pick: fn(&(f64, f64)) -> f64| {
                corners
                    .iter()
                    .map(pick)
                    .fold(f64::NEG_INFINITY, f64::max)
                    .ceil() as i64
            };
            for cell_y in low(|c| c.1)..high(|c| c.1) {
                for cell_x in low(|c| c.0)..high(|c| c.0) {
                    let origin = reflection.origin((cell_x, cell_y));
                    if (x.0..x.1).contains(&origin.0) && (y.0..y.1).contains(&origin.1) {
                        let is_upright = reflection.is_upright();
                        self.mark(easel, (cell_x, cell_y), origin, is_upright)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn of_block(document: &Document, block: &Block, x: u32, y: u32) -> Mark {
    match block.details_at(document, x, y) {
        Some(details) => Mark::WithDetails(block.at(x, y), details),
        None if block.level == Level::Detail => Mark::Placed(block.placed_at(document, x, y)),
        None => Mark::Code(block.at(x, y)),
    }
}

impl Mark {
    fn without_places(self) -> Self {
        match self {
            Self::Placed((code, _)) => Self::Code(code),
            Self::WithDetails(code, details) => {
                Self::WithDetails(code, details.map(|(detail, _)| (detail, None)))
            }
            other => other,
        }
    }
}

/// The index of a cell; `None` outside a canvas that does not wrap.
fn index_of(document: &Document, level: Level, (x, y): (i64, i64)) -> Option<u32> {
    let bounds = document.geometry().grid_bounds(level);
    let wrap = document.wrap();
    let column = step(0, x, bounds.width, wrap.x)?;
    let row = step(0, y, bounds.height, wrap.y)?;
    Some(row * bounds.width + column)
}
