//! The texture brush: points go to the texture lane, and the cells that come back are put down on the open document.

use super::App;
use crate::app::state::Gesture;
use crate::document::tools::{TextureLook, TextureStroke, put_in_stroke};
use crate::document::{Brush, Level};
use crate::engine::{TextureReply, TextureStart};
use crate::error::Result;

impl App {
    /// Opens the stroke; `None` where there is no picture.
    pub(super) fn begin_texture(&mut self, at_px: (f32, f32)) -> Option<Result<Gesture>> {
        let (Some(canvas), Some(project)) =
            (&self.state.session.canvas, &self.state.session.project)
        else {
            return None;
        };
        let paint = &mut self.state.paint;
        paint.seed = paint.seed.wrapping_add(1);
        let tools = &self.state.tools;
        let brush = Brush {
            size: (paint.size.get(Level::Structure)).min(TextureStroke::MAX_SIZE_CELLS),
            scatter: 0.0,
            ..paint.brush()
        };
        let look = TextureLook {
            from: Vec::new(),
            seed: tools.texture_seed.map_or(paint.seed, u64::from),
            freedom: tools.freedom_percent as f32 / 100.0,
        };
        let start = TextureStart {
            document: canvas.document.clone(),
            selection: (self.state.session.selection(canvas.id))
                .filter(|selection| selection.geometry() == canvas.document.geometry())
                .map(|selection| (**selection).clone()),
            model: canvas.model.clone(),
            brush,
            look,
            muted: Level::ALL.map(|level| self.state.muted(level)),
            from: tools.texture_from.clone(),
            project: project.storage.downgrade(),
            at_px,
        };
        let begun = self.on_easel(|easel| easel.document.begin("Texture"));
        Some(begun.map(|_| Gesture::Texture {
            number: self.lanes.texture.begin(start),
            is_ending: false,
        }))
    }

    /// Takes in what the texture lane has made.
    pub(in crate::app) fn take_new_texture(&mut self) {
        for (number, reply) in self.lanes.texture.take() {
            self.take_texture(number, reply);
        }
    }

    fn take_texture(&mut self, number: u64, reply: TextureReply) {
        let is_wanted = matches!(
            self.state.tools.gesture,
            Some(Gesture::Texture { number: current, .. }) if current == number
        );
        if !is_wanted {
            return;
        }
        match reply {
            TextureReply::Made(cells) => {
                if let Err(error) = self.on_easel(|easel| put_in_stroke(easel, &cells)) {
                    self.abort_texture();
                    self.tell(error);
                }
            }
            TextureReply::Done => {
                self.state.tools.gesture = None;
                let canvas = self.state.session.canvas.as_mut();
                let stroke = canvas.and_then(|canvas| canvas.document.commit());
                self.keep(stroke);
            }
            TextureReply::Failed(error) => {
                self.abort_texture();
                self.tell(error);
            }
        }
    }

    /// Takes back what the stroke has put down so far.
    pub(super) fn abort_texture(&mut self) {
        self.lanes.texture.cancel();
        self.state.tools.gesture = None;
        let canvas = self.state.session.canvas.as_mut();
        if let Some(taken_back) = canvas.and_then(|canvas| canvas.document.abort()) {
            self.repaint(&taken_back.deltas);
        }
    }
}
