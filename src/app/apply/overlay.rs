//! What lies over the canvas: the selection's outline and tints, kept up to date cell by cell.

use super::App;
use crate::app::state::{Canvas, TintKind};
use crate::document::{CellDelta, EMPTY, Level, Rect};
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
        let level = self.state.paint.level;
        let tint = match (self.state.tools.tint, &self.state.session.canvas) {
            (Some(kind), Some(canvas)) => {
                let grid = canvas.document.edited().level(level);
                let colour = colour_of(kind, canvas, level);
                Some(Tint::of(grid, level.stride_px(), |index, _| colour(index)))
            }
            _ => None,
        };
        self.state.tools.overlay.set_tint(tint);
    }

    /// New colours for cells that have changed.
    pub(super) fn patch_tint(&mut self, deltas: &[CellDelta]) {
        let level = self.state.paint.level;
        let (Some(kind), Some(canvas)) = (self.state.tools.tint, &self.state.session.canvas) else {
            return;
        };
        let columns = canvas.document.geometry().grid_width(level);
        let rect = (deltas.iter())
            .filter(|delta| delta.level == level)
            .map(|delta| Rect::new(delta.index % columns, delta.index / columns, 1, 1))
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
        }
    }
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
