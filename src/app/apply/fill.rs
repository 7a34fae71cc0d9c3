//! What is selected, made anew: a job makes the cells, which are put down on the picture as it was when they were asked for.

use super::App;
use super::jobs::Ended;
use crate::app::state::{FillFrom, Severity};
use crate::document::tools::{Easel, put_generated};
use crate::document::{Alphabet, Level};
use crate::engine::{FillJob, Filled, FromPictures, FromProject, GenerateLook};
use crate::error::{Error, Result};
use crate::project::DocumentId;

const WHAT: &str = "could not fill the selection";

/// The picture that cells are made for.
#[derive(Clone, Copy)]
struct Target {
    id: DocumentId,
    /// Of the document, when they were asked for.
    revision: u64,
}

impl App {
    /// Has what is selected made anew.
    pub(super) fn fill_with_texture(&mut self) -> Result<()> {
        if self.is_being_encoded() {
            return Ok(());
        }
        if self.state.has_job::<FillJob>() {
            (self.state.notices).say(Severity::Info, "A selection is being filled already");
            return Ok(());
        }
        self.close_gesture();
        let Some(project) = self.storage() else {
            return Ok(());
        };
        let Some(canvas) = &self.state.session.canvas else {
            return Ok(());
        };
        let document = &canvas.document;
        let geometry = document.geometry();
        let selection = (self.state.session.selection(canvas.id))
            .filter(|selection| selection.geometry() == geometry && !selection.is_empty());
        let Some(selection) = selection else {
            return Err(Error::usage(
                WHAT,
                "nothing is selected",
                "Draw around what should be made anew with a selection tool (M or L), then fill it",
            ));
        };
        let cells: Vec<bool> = (0..geometry.cell_count(Level::Structure) as u32)
            .map(|index| selection.allows(Level::Structure, index))
            .collect();
        if !cells.contains(&true) {
            return Err(Error::usage(
                WHAT,
                "the selection covers no cell of 16 × 16 pixels by half or more",
                "Select a larger part",
            ));
        }
        if document.active().is_mask {
            return Err(Error::usage(
                WHAT,
                "the mask of a layer is in hand",
                "Choose the layer itself in the list of layers",
            ));
        }
        let active = document.active().layer;
        let is_open = (document.layers().get(active))
            .is_some_and(|layer| layer.look().is_visible && !layer.look().is_locked);
        if !is_open {
            return Err(Error::usage(
                WHAT,
                "the layer in hand is hidden or locked",
                "Show and unlock it, or choose another layer",
            ));
        }
        let target = Target {
            id: canvas.id,
            revision: document.revision(),
        };
        let tools = &self.state.tools;
        let mut from = FromPictures::default();
        match tools.fill_from {
            FillFrom::Picture => {}
            FillFrom::File => match &tools.texture_from {
                Some(path) => from.files.push(path.clone()),
                None => {
                    return Err(Error::usage(
                        WHAT,
                        "no picture file is chosen to copy from",
                        "Choose one beside “Fill with new texture”",
                    ));
                }
            },
            FillFrom::Project => from.project = Some(FromProject::default()),
        }
        let next_seed = self.state.paint.seed.wrapping_add(1);
        let look = GenerateLook {
            seed: tools.texture_seed.map_or(next_seed, u64::from),
            freedom: tools.freedom_percent as f32 / 100.0,
            muted: self.muted_codes(),
            ..GenerateLook::default()
        };
        let job = FillJob {
            project,
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
            cells,
            from,
            look,
        };
        self.state.paint.seed = next_seed;
        self.submit_to_its_end(job, move |app, ended| {
            if let Ended::Finished(filled) = ended {
                app.tell_failure(|app| app.put_filled(target, &filled));
            }
        });
        Ok(())
    }

    /// Codes that must not appear.
    pub(super) fn muted_codes(&self) -> Vec<(Level, u16)> {
        let muted = |level: Level| {
            (0u16..)
                .zip(self.state.muted(level))
                .filter(|(_, is_muted)| *is_muted)
                .map(move |(code, _)| (level, code))
                .collect::<Vec<_>>()
        };
        Level::ALL.into_iter().flat_map(muted).collect()
    }

    /// Puts down what was made, as one stroke, where the picture is still the one that it was made for.
    fn put_filled(&mut self, target: Target, filled: &Filled) -> Result<()> {
        let is_shown = (self.state.session.canvas.as_ref()).is_some_and(|c| c.id == target.id);
        let alphabet = self.state.session.alphabet.clone();
        let is_encoded = self.state.session.being_encoded == Some(target.id);
        let mut canvases = self.state.canvases_mut();
        let Some(canvas) = canvases.find(|canvas| canvas.id == target.id) else {
            return Err(Error::usage(
                WHAT,
                "the picture was closed before the new texture was ready",
                "Open it and fill the selection once more",
            ));
        };
        if is_encoded || canvas.document.revision() != target.revision {
            return Err(Error::usage(
                WHAT,
                format!(
                    "“{}” was changed before the new texture was ready, which would not fit any more",
                    canvas.name
                ),
                "Fill the selection once more; nothing of the picture was changed",
            ));
        }
        let alphabet = match alphabet {
            Some((hash, alphabet)) if hash == canvas.model.hash => alphabet,
            _ => Alphabet::plain(canvas.model.codebooks()),
        };
        // The job knows what is selected; whole cells are put down, as the recipe says.
        let mut easel = Easel::new(&mut canvas.document, None, &alphabet);
        let stroke = put_generated(&mut easel, filled.label, &filled.cells);
        let deltas = easel.take_deltas();
        drop(canvases);
        if is_shown {
            self.repaint(&deltas);
        }
        let Some(stroke) = stroke? else {
            let text = "The new texture is the same as before: nothing has changed";
            self.state.notices.say(Severity::Info, text);
            return Ok(());
        };
        self.journal(target.id, stroke);
        let [width, height] = filled.told.largest_piece_px;
        let pictures = match filled.told.shares.len() {
            1 => "this picture".to_owned(),
            count => format!("{count} pictures"),
        };
        let text =
            format!("Filled with pieces of {pictures}; the largest piece is {width} × {height} px");
        self.state.notices.say(Severity::Success, text);
        Ok(())
    }
}
