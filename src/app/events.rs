//! What comes back from the lanes, and what it changes.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use super::command::Command;
use super::state::{ExemplarView, Gallery, PaletteView, PreviewView, Thumbnail, Training};
use super::textures::{Loaded, of_raster};
use super::{App, FIRST_SAMPLE, Severity};
use crate::document::{Level, Raster};
use crate::engine::{DeskReply, Metrics, OpenWhat, Overview, Palette};
use crate::error::Notice;

impl App {
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
            Loaded::Failed(error, document) => {
                let being_encoded = &mut self.state.session.being_encoded;
                if document.is_some() && *being_encoded == document {
                    *being_encoded = None;
                }
                self.tell(error);
            }
            Loaded::Crops(sheet, textures) => self.crops_cut(&sheet, textures),
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

    pub(super) fn take_reply(&mut self, reply: DeskReply) {
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
        }
        if std::mem::take(&mut self.state.session.needs_document) {
            let waiting = std::mem::take(&mut self.waiting_files);
            if !waiting.is_empty() {
                self.apply(Command::OpenFiles(waiting));
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
