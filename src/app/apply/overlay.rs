//! What lies over the canvas: the selection's outline and tints, kept up to date cell by cell.

use std::collections::BTreeMap;

use super::App;
use crate::app::state::{Canvas, LegendEntry, TintKind};
use crate::document::{CellDelta, Coordinate, EMPTY, Level, OWN_SOURCE, Rect};
use crate::render::Tint;

/// A rectangle of more cells than this is drawn anew as a whole.
const MAX_PATCH_CELLS: u64 = 1 << 16;
const TINT_ALPHA: u8 = 120;

impl App {
    /// The selection of the open document, and its tint.
    pub(in crate::app) fn show_selection(&mut self) {
        let session = &self.state.session;
        let selection = (session.canvas.as_ref()).and_then(|canvas| session.selection(canvas.id));
        let selection = selection.map(AsRef::as_ref);
        self.state.tools.overlay.set_selection(selection);
        self.show_tint();
    }

    pub(in crate::app) fn show_tint(&mut self) {
        let tint = match (self.state.tools.tint, &self.state.session.canvas) {
            (Some(kind), Some(canvas)) => {
                let level = level_of(kind, self.state.paint.level);
                let grid = canvas.document.edited().level(level);
                let colour = colour_of(kind, canvas, level);
                Some(Tint::of(grid, level.stride_px(), |index, _| colour(index)))
            }
            _ => None,
        };
        self.state.tools.overlay.set_tint(tint);
        self.state.tools.legend = match (self.state.tools.tint, &self.state.session.canvas) {
            (Some(TintKind::Sources), Some(canvas)) => legend(canvas),
            _ => Vec::new(),
        };
    }

    /// After a stroke: what stands for all of it is counted anew.
    pub(in crate::app) fn count_tint(&mut self) {
        if self.state.tools.tint == Some(TintKind::Sources) {
            self.show_tint();
        }
    }

    /// New colours for cells that have changed.
    pub(super) fn patch_tint(&mut self, deltas: &[CellDelta]) {
        let (Some(kind), Some(canvas)) = (self.state.tools.tint, &self.state.session.canvas) else {
            return;
        };
        let level = level_of(kind, self.state.paint.level);
        let columns = canvas.document.geometry().grid_width(level);
        let rect = (deltas.iter())
            .filter(|delta| delta.level == level || kind == TintKind::Sources)
            .map(|delta| match delta.level == level {
                true => Rect::new(delta.index % columns, delta.index / columns, 1, 1),
                // Of structure cells, the details under them.
                false => {
                    let pixels = canvas
                        .document
                        .geometry()
                        .cell_pixels(delta.level, delta.index);
                    let side = level.stride_px();
                    Rect::new(
                        pixels.x / side,
                        pixels.y / side,
                        pixels.width.div_ceil(side),
                        pixels.height.div_ceil(side),
                    )
                }
            })
            .fold(Rect::default(), |all, cell| all.union(&cell));
        if rect.area() > MAX_PATCH_CELLS {
            self.show_tint();
            return;
        }
        let colour = colour_of(kind, canvas, level);
        self.state.tools.overlay.patch_tint(rect, colour);
    }
}

fn colour_of(kind: TintKind, canvas: &Canvas, level: Level) -> impl Fn(u32) -> [u8; 4] + '_ {
    let (edited, encoded) = (
        canvas.document.edited().level(level),
        canvas.document.encoded().level(level),
    );
    move |index| {
        let code = edited.cells().get(index as usize).copied().unwrap_or(EMPTY);
        match kind {
            TintKind::Codes if code == EMPTY => [0; 4],
            TintKind::Codes => colour_of_code(code),
            TintKind::Changed => {
                let is_changed = encoded.cells().get(index as usize) != Some(&code);
                if is_changed {
                    [255, 60, 160, TINT_ALPHA]
                } else {
                    [0; 4]
                }
            }
            TintKind::Sources => origin_of(canvas, index).map_or([0; 4], Origin::rgba),
        }
    }
}

/// The level whose cells a tint is of.
fn level_of(kind: TintKind, in_hand: Level) -> Level {
    match kind {
        TintKind::Codes | TintKind::Changed => in_hand,
        // Structure has no place of origin.
        TintKind::Sources => Level::Detail,
    }
}

/// Where a cell that was changed comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The number of a picture of the document.
    Copied(u16),
    Painted,
}

impl Origin {
    fn rgba(self) -> [u8; 4] {
        match self {
            Self::Copied(number) => colour_of_code(number.wrapping_add(2)),
            Self::Painted => [128, 128, 128, TINT_ALPHA],
        }
    }
}

/// `None` for a cell that is as it came in.
fn origin_of(canvas: &Canvas, index: u32) -> Option<Origin> {
    let document = &canvas.document;
    match document.origin(index) {
        None => Some(Origin::Painted),
        Some(from) if from == Coordinate::own(document.geometry(), index) => None,
        Some(from) => Some(Origin::Copied(from.source)),
    }
}

fn legend(canvas: &Canvas) -> Vec<LegendEntry> {
    let document = &canvas.document;
    let cells = document.geometry().cell_count(Level::Detail);
    let mut counts = BTreeMap::<Origin, u32>::new();
    for origin in (0..cells as u32).filter_map(|index| origin_of(canvas, index)) {
        *counts.entry(origin).or_default() += 1;
    }
    let entry = |(origin, count): (Origin, u32)| LegendEntry {
        name: match origin {
            Origin::Painted => "Painted".into(),
            Origin::Copied(OWN_SOURCE) => "This picture, from another place".into(),
            Origin::Copied(number) => {
                let source = document.sources().named(number);
                source.map_or_else(|| "A picture that is gone".into(), |s| s.name.clone())
            }
        },
        rgba: origin.rgba(),
        share: count as f32 / cells.max(1) as f32,
    };
    let mut legend: Vec<LegendEntry> = counts.into_iter().map(entry).collect();
    legend.sort_by(|a, b| b.share.total_cmp(&a.share));
    legend
}

/// Neighbouring numbers get hues far apart.
fn colour_of_code(code: u16) -> [u8; 4] {
    let turn = (f32::from(code) * 0.618_034).fract() * 6.0;
    let channel = |shift: f32| {
        let at = ((turn + shift).rem_euclid(6.0) - 3.0).abs() - 1.0;
        (at.clamp(0.0, 1.0) * 255.0) as u8
    };
    [channel(0.0), channel(4.0), channel(2.0), TINT_ALPHA]
}
