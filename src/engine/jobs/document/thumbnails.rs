//! Small pictures of what strokes did, for the history.

use std::sync::Arc;

use crate::canvas::LiveCanvas;
use crate::dataset::pixels::{Premultiplied, fit, unpremultiply};
use crate::document::{Document, Geometry, Raster, Rect, Samples, Stroke};
use crate::engine::lanes::job::Job;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::project::DocumentId;

/// Longer side of a thumbnail, px.
const SIDE_PX: u32 = 56;
/// A thumbnail shows at least this much of the picture, px a side: a dab alone says nothing.
const MIN_VIEW_PX: u32 = 64;
/// Longest side of what a thumbnail shows, px, so that a row costs little: of a stroke across a large picture, its middle.
const MAX_VIEW_PX: u32 = 384;
/// One window and what surrounds it.
const BUDGET_BYTES: u64 = 32 << 20;

/// Decodes the places that strokes changed, each in the state right after the stroke.
pub struct ThumbnailsJob {
    pub id: DocumentId,
    pub document: Box<Document>,
    pub model: Model,
    /// Places in the history, from 0.
    pub strokes: Vec<usize>,
}

/// What [`ThumbnailsJob`] makes.
pub struct Thumbnails {
    pub id: DocumentId,
    /// `None` for a stroke that changed no cell.
    pub of: Vec<(Arc<Stroke>, Option<Raster>)>,
}

impl Job for ThumbnailsJob {
    type Output = Thumbnails;
    const IS_QUIET: bool = true;

    fn title(&self) -> &'static str {
        "Drawing the history"
    }

    fn run(mut self, context: &JobContext) -> Result<Thumbnails> {
        let mut of = Vec::new();
        self.strokes.sort_unstable();
        // From the newest back: an artist looks at the end of the history, and so it is the shorter way.
        for place in self.strokes.iter().rev() {
            context.check()?;
            let Some(stroke) = self.document.history().strokes().get(*place).cloned() else {
                continue;
            };
            while self.document.history().cursor() > place + 1 {
                self.document.undo();
            }
            while self.document.history().cursor() < place + 1 {
                self.document.redo();
            }
            let picture = view_of(&stroke, self.document.geometry())
                .map(|view| draw(&self.model, &self.document, view))
                .transpose()?;
            of.push((stroke, picture));
        }
        Ok(Thumbnails { id: self.id, of })
    }
}

/// A square about what the stroke changed, within the picture.
fn view_of(stroke: &Stroke, geometry: Geometry) -> Option<Rect> {
    let cells = stroke.deltas.iter();
    let bounds = cells.fold(Rect::default(), |all, delta| {
        all.union(&geometry.cell_pixels(delta.level, delta.index))
    });
    let picture = geometry.bounds();
    let bounds = bounds.intersect(&picture);
    if bounds.is_empty() {
        return None;
    }
    let side = (bounds.width.max(bounds.height) * 5 / 4).clamp(MIN_VIEW_PX, MAX_VIEW_PX);
    let along = |start: u32, length: u32, limit: u32| {
        let side = side.min(limit);
        let from = (start + length / 2).saturating_sub(side / 2);
        (from.min(limit - side), side)
    };
    let (x, width) = along(bounds.x, bounds.width, picture.width);
    let (y, height) = along(bounds.y, bounds.height, picture.height);
    Some(Rect::new(x, y, width, height))
}

fn draw(model: &Model, document: &Document, view: Rect) -> Result<Raster> {
    let mut canvas = LiveCanvas::new(model.codec.clone(), document, BUDGET_BYTES)?;
    let patch = canvas.patch(view, 8)?;
    let Samples::Rgba8(pixels) = &patch.samples else {
        let what = "could not draw a small picture";
        return Err(Error::new(Kind::Internal, what, "it came with 16 bits", ""));
    };
    let target = fit(view.width, view.height, SIDE_PX);
    let mut small = Premultiplied::shrunk(pixels, (view.width, view.height), target);
    unpremultiply(&mut small.rgba);
    Raster::new(small.width, small.height, Samples::Rgba8(small.rgba))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{CellDelta, Level};

    fn stroke(cells: &[(u32, u32)], columns: u32) -> Stroke {
        let delta = |&(x, y): &(u32, u32)| CellDelta {
            level: Level::Structure,
            index: y * columns + x,
            before: 1,
            after: 2,
        };
        Stroke::new("Brush", cells.iter().map(delta).collect())
    }

    #[test]
    fn a_view_is_a_square_about_the_stroke_within_the_picture() {
        let geometry = Geometry::new(1000, 500).unwrap();
        let columns = geometry.grid_width(Level::Structure);
        let view = |cells: &[(u32, u32)]| view_of(&stroke(cells, columns), geometry);
        assert_eq!(view(&[(20, 10)]), Some(Rect::new(296, 136, 64, 64)));
        assert_eq!(view(&[(0, 0)]), Some(Rect::new(0, 0, 64, 64)));
        assert_eq!(
            view(&[(0, 0), (62, 0)]),
            Some(Rect::new(308, 0, MAX_VIEW_PX, MAX_VIEW_PX))
        );
        assert_eq!(view(&[]), None);
        let small = Geometry::new(20, 40).unwrap();
        let all = view_of(&stroke(&[(0, 1)], 2), small);
        assert_eq!(all, Some(Rect::new(0, 0, 20, 40)));
    }
}
