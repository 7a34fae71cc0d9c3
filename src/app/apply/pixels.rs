//! The pixels of the picture on the canvas: what the decode lane is told, and what it brings.

use super::App;
use crate::document::{CellDelta, Samples};
use crate::engine::{DecodedPatch, Shown};

impl App {
    /// Pixels, and what lies over them, after a change of the document: of these cells, of its layers, or both.
    pub(super) fn repaint(&mut self, deltas: &[CellDelta]) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        let arrangement = canvas.document.arrangement();
        let before = std::mem::replace(&mut canvas.asked_arrangement, arrangement);
        let is_rearranged = before != arrangement;
        if deltas.is_empty() && !is_rearranged {
            return;
        }
        if canvas.failed_at.is_some() {
            self.decode_anew();
        } else {
            self.lanes.decode.change(deltas, &canvas.document);
        }
        if is_rearranged {
            self.show_tint();
        } else {
            self.patch_tint(deltas);
        }
    }

    /// Has the picture on the canvas decoded from now on, whatever its surface shows.
    pub(super) fn decode_anew(&mut self) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        canvas.asked_arrangement = canvas.document.arrangement();
        // Between two revisions, a surface has parts of both.
        let shown = match canvas.shown_revision == canvas.document.revision() {
            true if canvas.failed_at.is_none() => Shown::Source,
            _ => Shown::Unknown,
        };
        let codec = canvas.model.codec.clone();
        self.lanes.decode.open(codec, &canvas.document, shown);
    }

    pub(in crate::app) fn take_patch(&mut self, decoded: DecodedPatch) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        match decoded.patch {
            Ok(patch) => {
                if let Samples::Rgba8(rgba8) = &patch.samples {
                    canvas.surface.patch(patch.rect, rgba8);
                    canvas.thumb.patch(patch.rect, rgba8);
                    canvas.shown_revision = canvas.shown_revision.max(decoded.revision);
                }
                if (canvas.failed_at).is_some_and(|failed| failed <= canvas.shown_revision) {
                    canvas.failed_at = None;
                }
            }
            Err(error) => {
                // Once more at once; where it fails again, with the next change.
                let revision = canvas.document.revision();
                let is_first = canvas.failed_at.replace(revision) != Some(revision);
                if is_first {
                    self.decode_anew();
                }
                self.tell(error);
            }
        }
    }
}
