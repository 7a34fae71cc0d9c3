//! How long a dab takes, from codes to finished pixels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::live::LiveCanvas;
use crate::codec::Codec;
use crate::document::tools::{BrushStroke, Easel, Medium, Setup};
use crate::document::{
    Alphabet, Brush, Codebooks, Codes, Document, Geometry, Level, Rect, Selection, Shape, Source,
    Wrap,
};
use crate::error::Result;
use crate::progress::Observer;

/// The part of the canvas that is on screen, and warm, while painting.
const VIEW_PX: u32 = 1024;

/// Times of `dabs` dabs of 3×3 cells, in the order painted: a stroke that wanders through the view
/// in the middle of a square canvas, within a selection. Each time covers the change of codes, the decode of
/// what it reaches and compositing; the view was warmed before, as the window does when it moves.
///
/// # Errors
/// As [`LiveCanvas`].
pub fn dab_times(
    codec: &Arc<Codec>,
    side_px: u32,
    level: Level,
    dabs: u32,
    observer: &dyn Observer,
) -> Result<Vec<Duration>> {
    let mut document = random_document(codec, side_px)?;
    let mut live = LiveCanvas::new(
        Arc::clone(codec),
        &document,
        LiveCanvas::DEFAULT_BUDGET_BYTES,
    )?;
    let view = VIEW_PX.min(side_px);
    let corner = (side_px - view) / 2;
    live.warm(Rect::new(corner, corner, view, view), observer)?;
    let brush = Brush {
        shape: Shape::Square,
        size: 3,
        ..Brush::default()
    };
    let codes = match level {
        Level::Structure => codec.config().structure.codes,
        Level::Detail => codec.config().detail.codes,
    };
    let alphabet = Alphabet::plain(Codebooks {
        structure: codec.config().structure.codes as u32,
        detail: codec.config().detail.codes as u32,
    });
    let selection = Selection::all(document.geometry());
    let mut times = Vec::with_capacity(dabs as usize);
    for i in 0..dabs {
        observer.check()?;
        // A Lissajous curve: crosses tiles at every angle, and its own path.
        let angle = i as f32 * 0.05;
        let place = |phase: f32| corner as f32 + view as f32 * (0.5 + 0.4 * phase.sin());
        let centre = (place(angle * 0.9), place(angle * 0.7 + 1.0));
        let medium = Medium::Code(Some((i as usize * 7 % codes) as u16));
        let setup = Setup::new(level, brush, medium);
        let started = Instant::now();
        let mut easel = Easel::new(&mut document, Some(&selection), &alphabet);
        BrushStroke::press(&mut easel, setup, "measured", centre)?.release(&mut easel)?;
        let dirty = live.apply(&easel.take_deltas())?;
        for rect in dirty.rects() {
            std::hint::black_box(live.patch(*rect, 8)?);
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

/// A picture of random codes; its source is a gradient.
fn random_document(codec: &Codec, side_px: u32) -> Result<Document> {
    let geometry = Geometry::new(side_px, side_px)?;
    let rgba = (0..side_px as usize * side_px as usize)
        .flat_map(|i| [(i >> 4) as u8, (i >> 12) as u8, 128, 255])
        .collect();
    let source = Source::from_rgba8(side_px, side_px, rgba)?;
    let mut codes = Codes::blank(geometry);
    for (level, known) in [
        (Level::Structure, codec.config().structure.codes),
        (Level::Detail, codec.config().detail.codes),
    ] {
        let grid = codes.level_mut(level);
        for index in 0..geometry.cell_count(level) as u32 {
            // Knuth's multiplicative hash: no pattern that a cache could profit from.
            let code = (index.wrapping_mul(2_654_435_761) >> 8) as usize % known;
            grid.set(index, Some(code as u16));
        }
    }
    Document::new(source, codes, Wrap::default(), "measured")
}
