//! What comes back from the lanes, and what it changes.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use super::App;
use crate::app::command::{Command, FileCommand};
use crate::app::lanes::{Loaded, Subject, of_raster};
use crate::app::state::{
    ExemplarView, Gallery, PaletteView, PreviewView, Severity, Thumbnail, Training,
};
use crate::document::{Level, Raster};
use crate::engine::{DeskReply, Metrics, OpenWhat, Overview, Palette};
use crate::error::Notice;

/// The sample that a first start opens.
const FIRST_SAMPLE: &str = "kitten-on-lawn.jpg";
/// Replies of the desk taken in per frame: each may be a thumbnail that goes to the graphics driver.
const MAX_REPLIES: usize = 12;

impl App {
    /// Takes in what jobs told.
    pub(in crate::app) fn take_events(&mut self) {
        for (key, event) in self.lanes.events() {
            self.take_event(key, event);
        }
    }

    /// Takes in textures that are ready. A picture among them comes to the canvas unless the pointer is at work there.
    pub(in crate::app) fn take_textures(&mut self, is_pointer_down: bool) {
        for (session, loaded) in self.lanes.textures.take() {
            if session == self.state.session.id {
                self.take_loaded(loaded);
            }
        }
        let is_at_work = is_pointer_down || self.is_stroke_open();
        if !is_at_work || self.state.session.canvas.is_none() {
            for (opened, surface) in std::mem::take(&mut self.state.session.opened) {
                self.document_opened(&opened, surface);
            }
        }
    }

    /// Takes in some of what the desk has read. Says whether there is more.
    pub(in crate::app) fn take_replies(&mut self) -> bool {
        let (replies, has_more) = self.lanes.desk.take(MAX_REPLIES);
        for reply in replies {
            self.take_reply(reply);
        }
        has_more
    }

    /// Takes in decoded pixels.
    pub(in crate::app) fn take_patches(&mut self) {
        for patch in self.lanes.decode.take() {
            self.take_patch(patch);
        }
    }

    /// The commands that file dialogs have answered with.
    pub(in crate::app) fn take_answers(&self) -> Vec<Command> {
        self.dialogs.take(self.state.session.id)
    }

    /// The commands that waited for the desk to come to rest, where it has.
    pub(in crate::app) fn take_after_desk(&mut self) -> Vec<Command> {
        match self.lanes.desk.is_settled() {
            true => std::mem::take(&mut self.after_desk),
            false => Vec::new(),
        }
    }

    /// What a job handed over can be drawn now.
    pub(super) fn take_loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Document(opened, surface) => {
                self.state.session.opened.push((opened, surface));
            }
            Loaded::Palette {
                palette,
                structure,
                detail,
            } => self.palette_drawn(&palette, structure, detail),
            Loaded::Preview { step, texture } => self.take_preview(step, texture),
            Loaded::Failed(error, subject) => {
                self.give_up_waiting(&subject);
                self.tell(error);
            }
            Loaded::Made(facts, small, large) => self.result_drawn(facts, small, large),
            Loaded::Crops(sheet, textures) => self.crops_cut(&sheet, textures),
        }
    }

    /// What cannot be drawn is not waited for: it can be asked for again.
    fn give_up_waiting(&mut self, subject: &Subject) {
        let session = &mut self.state.session;
        match subject {
            Subject::Made(id) => self.result_failed(*id),
            Subject::Document(id) => {
                session.being_encoded.take_if(|waiting| waiting == id);
            }
            Subject::Palette { model_hash } => {
                session.drawing_palette.take_if(|hash| hash == model_hash);
            }
            Subject::Preview | Subject::Crops(_) => {}
        }
    }

    fn palette_drawn(
        &mut self,
        palette: &Arc<Palette>,
        structure: TextureHandle,
        detail: TextureHandle,
    ) {
        let view = PaletteView {
            palette: palette.clone(),
            structure,
            detail,
            exemplars: None,
        };
        self.keep_palette(view);
        self.draw_palette();
    }

    /// A code that shows at first sight what painting does, where none was chosen.
    pub(super) fn choose_code(&mut self, palette: &Palette) {
        for level in Level::ALL {
            let codes = palette.level(level);
            let vividness = |code: u16, rgba: &[u8; 4]| match rgba {
                _ if self.state.is_muted(level, code) => 0,
                [r, g, b, alpha] if *alpha > 230 => {
                    1 + u16::from(r.max(g).max(b) - r.min(g).min(b))
                }
                _ => 1,
            };
            let is_unset = self.state.paint.recent.is_empty()
                && self.state.paint.code.get(level) == 0
                || usize::from(self.state.paint.code.get(level)) >= codes.codes();
            if is_unset {
                let most_vivid = (0u16..)
                    .zip(&codes.colours)
                    .max_by_key(|(code, rgba)| vividness(*code, rgba));
                let code = most_vivid.map_or(0, |(code, _)| code);
                self.state.paint.code.set(level, code);
            }
        }
    }

    pub(super) fn take_metrics(&mut self, metrics: &Metrics) {
        for (name, value) in &metrics.values {
            let name = format!("{}.{name}", metrics.phase);
            let points = self.state.session.training.figures.entry(name).or_default();
            points.push([metrics.step as f64, *value]);
        }
    }

    fn take_preview(&mut self, step: u64, texture: TextureHandle) {
        if self.state.session.training.previews.is_empty() {
            // The run is in the project by now.
            self.lanes.desk.read_overview();
        }
        let previews = &mut self.state.session.training.previews;
        previews.push(PreviewView { step, texture });
        if previews.len() > Training::MAX_PREVIEWS {
            thin(previews);
        }
    }

    fn take_reply(&mut self, reply: DeskReply) {
        match reply {
            DeskReply::Overview(overview) => self.take_overview(*overview),
            DeskReply::Page(page) => {
                let gallery = &mut self.state.session.gallery;
                if page.request.filter != gallery.filter {
                    return;
                }
                gallery.total = Some(page.total);
                let chunk = page.request.offset / Gallery::CHUNK;
                gallery.chunks.insert(chunk, page.rows);
                if gallery.wanted_chunk == Some(chunk) {
                    gallery.wanted_chunk = None;
                }
                // The chunks farthest away are forgotten.
                while gallery.chunks.len() > Gallery::MAX_CHUNKS {
                    let farthest =
                        (gallery.chunks.keys().copied()).max_by_key(|other| other.abs_diff(chunk));
                    if let Some(farthest) = farthest {
                        gallery.chunks.remove(&farthest);
                    }
                }
            }
            DeskReply::Thumbnail(picture, raster) => {
                let texture = raster.map(|raster| self.texture_of(&raster));
                let gallery = &mut self.state.session.gallery;
                let last_used = gallery.clock;
                gallery
                    .thumbnails
                    .insert(picture, Thumbnail { texture, last_used });
                if gallery.thumbnails.len() > Gallery::MAX_THUMBNAILS {
                    let mut ages: Vec<u64> =
                        gallery.thumbnails.values().map(|t| t.last_used).collect();
                    ages.sort_unstable();
                    let limit = ages[ages.len() / 4];
                    gallery.thumbnails.retain(|_, t| t.last_used > limit);
                }
            }
            DeskReply::Metrics(run, rows) => {
                self.state.session.training.metrics.insert(run, rows);
            }
            DeskReply::Strokes(document, last, strokes) => {
                self.older_strokes_read(document, last, strokes);
            }
            DeskReply::Found(path) => self.path_found(path),
            DeskReply::Memory(bytes) => self.state.memory_bytes = Some(bytes),
            DeskReply::Failed(notice) => self.state.notices.push(Severity::Error, notice),
        }
    }

    /// Patches of the artist's pictures in which the code in hand stands, where they were counted.
    pub(super) fn show_exemplars(&mut self) {
        let level = self.state.paint.level;
        let code = self.state.paint.current_code();
        let Some(view) = &self.state.session.palette else {
            return;
        };
        if view
            .exemplars
            .as_ref()
            .is_some_and(|shown| (shown.level, shown.code) == (level, code))
        {
            return;
        }
        let found = view.palette.level(level).exemplars.get(&code);
        let textures = found
            .into_iter()
            .flatten()
            .map(|patch| self.texture_of(patch))
            .collect();
        if let Some(view) = &mut self.state.session.palette {
            view.exemplars = Some(ExemplarView {
                level,
                code,
                textures,
            });
        }
    }

    fn texture_of(&self, raster: &Raster) -> TextureHandle {
        of_raster(&self.ctx, raster)
    }

    fn take_overview(&mut self, overview: Overview) {
        let Some(project) = &mut self.state.session.project else {
            return;
        };
        let is_first = project.overview.is_none();
        if is_first {
            project.marks = serde_json::from_value(overview.code_marks.clone()).unwrap_or_default();
            self.state.session.brushes =
                serde_json::from_value(overview.brushes.clone()).unwrap_or_default();
        }
        let has_interrupted_run = overview.resumable_run.is_some();
        let last = overview
            .last_document
            .filter(|last| overview.documents.iter().any(|row| row.id == *last))
            .or_else(|| {
                (overview.documents.iter())
                    .max_by_key(|row| (row.modified_ms, row.id))
                    .map(|row| row.id)
            });
        project.overview = Some(overview);
        if is_first {
            self.mute_in_tools();
            self.fill_index();
        }
        if std::mem::take(&mut self.state.session.needs_document) {
            let waiting = std::mem::take(&mut self.waiting_files);
            if !waiting.is_empty() {
                self.apply(FileCommand::OpenFiles(waiting));
            }
            if !self.state.is_opening_document() {
                self.open_document(last.map_or(OpenWhat::Sample(FIRST_SAMPLE), OpenWhat::Stored));
            }
        }
        if is_first && has_interrupted_run && !self.state.session.training.is_running() {
            self.state.notices.push(
                Severity::Info,
                Notice::new(
                    "a fine-tune is not finished",
                    "it was paused, or the program or the project was closed while it ran",
                    "Resume it on the Fine-tune page",
                ),
            );
        }
    }
}

/// Every other one of the middle goes: the first and the newest say most.
fn thin<T>(list: &mut Vec<T>) {
    let last = list.len().saturating_sub(1);
    let mut places = 0..;
    list.retain(|_| {
        let place = places.next().unwrap_or(last);
        place == 0 || place == last || place % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::thin;

    #[test]
    fn thinning_keeps_the_first_and_the_newest() {
        for count in 1..70 {
            let mut list: Vec<usize> = (0..count).collect();
            thin(&mut list);
            assert_eq!((list[0], list[list.len() - 1]), (0, count - 1));
            assert!(count < 5 || list.len() < count, "{count}");
            assert!(list.is_sorted());
        }
    }
}
