//! One code for another: in the open picture, or in all of the project.

use super::App;
use crate::app::state::Severity;
use crate::document::Level;
use crate::document::tools::{self, Easel};
use crate::engine::ReplaceJob;
use crate::error::{Error, Result};

impl App {
    /// One code for another in what is selected, or everywhere.
    pub(super) fn replace_code(&mut self, level: Level, from: u16, to: u16) -> Result<()> {
        if self.is_being_encoded() {
            return Ok(());
        }
        let detail = self.state.paint.detail();
        let stroke =
            self.on_easel(|easel| tools::replace_stroke(easel, level, (from, to), detail))?;
        let is_done = self.keep(stroke.flatten());
        let place = match &self.state.session.canvas {
            Some(canvas) if self.state.session.selection(canvas.id).is_some() => "the selection",
            _ => "this picture",
        };
        let (severity, text) = if is_done {
            let text = format!("Replaced {level} code {from} by {to} in {place}");
            (Severity::Success, text)
        } else {
            let text = format!("There is no {level} code {from} in {place}");
            (Severity::Info, text)
        };
        self.state.notices.say(severity, text);
        Ok(())
    }

    /// In the open pictures at once, selected or not; in the others by a job.
    pub(super) fn replace_in_project(&mut self, level: Level, codes: (u16, u16)) -> Result<()> {
        self.close_gesture();
        let is_opening = self.state.is_opening_document() || !self.state.session.opened.is_empty();
        if self.state.session.being_encoded.is_some() || is_opening {
            return Err(Error::usage(
                "could not replace the code",
                "a picture is being opened",
                "Wait a moment and try again",
            ));
        }
        let Some(project) = self.storage() else {
            return Ok(());
        };
        let Some(canvas) = &self.state.session.canvas else {
            return Ok(());
        };
        let (model, alphabet) = (canvas.model.clone(), self.alphabet());
        let detail = self.state.paint.detail();
        let mut strokes = Vec::new();
        let mut seen = Vec::new();
        let mut failed = None;
        for (place, canvas) in self.state.canvases_mut().enumerate() {
            if canvas.model.hash == model.hash {
                let mut easel = Easel::new(&mut canvas.document, None, &alphabet);
                match tools::replace_stroke(&mut easel, level, codes, detail) {
                    Ok(stroke) => strokes.extend(stroke.map(|stroke| (canvas.id, stroke))),
                    Err(error) => failed = Some(error),
                }
                if place == 0 {
                    seen = easel.take_deltas();
                }
            }
        }
        self.repaint(&seen);
        for (id, stroke) in strokes {
            self.journal(id, stroke);
        }
        // A locked layer in one picture leaves the others as they were asked to be.
        if let Some(error) = failed {
            self.tell(error);
        }
        let job = ReplaceJob {
            project,
            model,
            alphabet,
            level,
            from: codes.0,
            to: codes.1,
            detail,
            open: self.state.session.tabs.order.iter().copied().collect(),
        };
        // Pictures are opened on the same lane: none can be while this is at it.
        self.submit(job, |app, replaced| {
            (app.state.notices).say(Severity::Success, replaced.to_string());
        });
        Ok(())
    }
}
