//! What comes back from the lanes, and what it changes.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use super::command::Command;
use super::state::{
    ExemplarView, Gallery, ImportReport, JobKey, OpenProject, PaletteView, PreviewView, Purpose,
    Thumbnail, Training,
};
use super::textures::{Loaded, Wanted, of_raster};
use super::{App, FIRST_SAMPLE, Severity};
use crate::document::{Level, Raster};
use crate::engine::{
    DeskReply, Event, EventKind, Metrics, OpenWhat, Outcome, Overview, Palette, Product,
    ProjectFile, Storage,
};
use crate::error::Notice;

impl App {
    pub(super) fn take_event(&mut self, key: JobKey, event: Event) {
        let Some(job) = self.state.jobs.get_mut(&key) else {
            return;
        };
        let purpose = job.purpose;
        match event.kind {
            EventKind::Started { title } => job.title = title,
            EventKind::Progress {
                done,
                total,
                eta_secs,
            } => {
                (job.done, job.total, job.eta_secs) = (done, total, eta_secs);
            }
            EventKind::Metrics(metrics) => self.take_metrics(&metrics),
            EventKind::Preview(preview) => self.lanes.textures.want(Wanted::Preview(preview)),
            EventKind::Warning(notice) => {
                job.warnings += 1;
                // An import tells at its end how many files it left out; the list is on its page.
                if purpose == Purpose::Import {
                    log::warn!("{notice}");
                } else {
                    self.state.notices.push(Severity::Warning, notice);
                }
            }
            EventKind::Finished(outcome) => {
                self.state.jobs.remove(&key);
                self.finished(key, purpose, outcome);
            }
            EventKind::Cancelled { kept } => {
                self.state.jobs.remove(&key);
                if !purpose.is_quiet() {
                    self.state
                        .notices
                        .push(Severity::Info, Notice::new("stopped", "", kept));
                }
                self.ended(key, purpose);
                self.did_not_happen(purpose);
            }
            EventKind::Failed { notice, .. } => {
                self.state.jobs.remove(&key);
                self.state.notices.push(Severity::Error, notice);
                self.ended(key, purpose);
                self.did_not_happen(purpose);
                self.project_did_not_open(purpose);
            }
        }
    }

    /// What every end of a job brings, good or bad.
    fn ended(&mut self, key: JobKey, purpose: Purpose) {
        if self.state.training.job == Some(key) {
            self.state.training.job = None;
            self.state.training.is_stopping = false;
        }
        match purpose {
            Purpose::Import => {
                self.forget_rows();
                self.lanes.desk.read_overview();
            }
            Purpose::Train => {
                self.lanes.desk.read_overview();
                // A run that found its pictures gone should not be all that says so.
                self.check_files();
            }
            Purpose::OpenDocument | Purpose::Rewrap => self.lanes.desk.read_overview(),
            _ => {}
        }
    }

    fn did_not_happen(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Rewrap => self.being_encoded = None,
            Purpose::Palette => self.drawing_palette = None,
            _ => {}
        }
    }

    fn project_did_not_open(&mut self, purpose: Purpose) {
        if self.state.project.is_some() {
            return;
        }
        match purpose {
            Purpose::OpenProject => self.open_first_project(),
            Purpose::OpenFirstProject if !self.has_tried_new_project => {
                // Another window may hold it.
                self.has_tried_new_project = true;
                let name = format!("Project {}.tessera", std::process::id());
                let path = self.state.folders.data.join(name);
                self.open_project(path, ProjectFile::OpenOrCreate, Purpose::OpenFirstProject);
            }
            _ => {}
        }
    }

    fn finished(&mut self, key: JobKey, purpose: Purpose, outcome: Outcome) {
        self.ended(key, purpose);
        match purpose {
            Purpose::Import => {
                self.state.import_report = ImportReport::read(&outcome.report);
                self.state.notices.say(Severity::Success, outcome.summary);
            }
            Purpose::Train => {
                self.state.notices.say(Severity::Success, outcome.summary);
                self.use_best_model();
                self.state.training.has_news = true;
            }
            Purpose::Export => {
                self.state.last_export = outcome.files.first().map(Into::into);
                self.state.notices.say(Severity::Success, outcome.summary);
            }
            Purpose::Companions => self.state.notices.say(Severity::Info, outcome.summary),
            Purpose::CheckFiles => self.files_checked(&outcome.report),
            Purpose::SaveCopy | Purpose::CountUsage | Purpose::ExportBrushes | Purpose::Replace => {
                self.state.notices.say(Severity::Success, outcome.summary);
            }
            Purpose::Device => {
                self.state.device = serde_json::from_value(outcome.report.clone()).ok();
                if let Some(device) = self.state.device.as_ref().filter(|d| d.falls_back) {
                    let notice = Notice::new(
                        "computing on the processor",
                        device.reason.clone(),
                        "Choose another device in the preferences",
                    );
                    self.state.notices.push(Severity::Warning, notice);
                }
            }
            Purpose::OpenProject
            | Purpose::OpenFirstProject
            | Purpose::OpenDocument
            | Purpose::ImportBrushes
            | Purpose::Rewrap
            | Purpose::Reskin
            | Purpose::Palette
            | Purpose::Thumbnails
            | Purpose::Crops => log::info!("{}", outcome.summary),
        }
        match outcome.product {
            Some(Product::Project(storage)) => self.project_opened(storage),
            Some(Product::Document(document)) => {
                self.lanes.textures.want(Wanted::Document(document));
            }
            Some(Product::Palette(palette)) => {
                self.lanes.textures.want(Wanted::Palette(palette));
                if purpose == Purpose::CountUsage {
                    self.state.tools.companions = None;
                    self.find_companions();
                }
            }
            Some(Product::Crops(sheet)) => self.lanes.textures.want(Wanted::Crops(sheet)),
            Some(Product::Brushes(pack)) => self.pack_read(&pack),
            Some(Product::Companions(table)) => self.companions_found(table),
            Some(Product::Reskin(reskin)) => self.reskinned(&reskin),
            Some(Product::Thumbnails(made)) => self.history_drawn(&made),
            None => {}
        }
    }

    /// What a job handed over can be drawn now.
    pub(super) fn take_loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Document(opened, surface) => self.opened.push((opened, surface)),
            Loaded::Palette {
                palette,
                structure,
                detail,
            } => self.palette_drawn(&palette, structure, detail),
            Loaded::Preview { step, texture } => self.take_preview(step, texture),
            Loaded::Failed(error, document) => {
                if document.is_some() && self.being_encoded == document {
                    self.being_encoded = None;
                }
                self.tell(error);
            }
            Loaded::Crops(sheet, textures) => self.crops_cut(&sheet, textures),
        }
    }

    fn project_opened(&mut self, storage: Storage) {
        let path = storage.path().to_path_buf();
        // What is being painted belongs to the project that is left.
        self.finish_gesture();
        self.store_what_waits();
        self.opened.clear();
        self.being_encoded = None;
        self.palettes.clear();
        self.lanes.desk.turn_to(Some(storage.clone()));
        self.state.project = Some(OpenProject {
            path: path.clone(),
            storage,
            overview: None,
            marks: Default::default(),
        });
        self.state.canvas = None;
        self.state.tabs = Default::default();
        self.state.gallery = Gallery::default();
        self.state.import_report = None;
        let training = &mut self.state.training;
        training.selected_run = None;
        training.metrics.clear();
        training.previews.clear();
        training.figures.clear();
        self.state.settings.remember_project(&path);
        self.save_settings();
        self.needs_document = true;
        self.forget_rows();
        self.files_checked = None;
        self.check_files();
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

    fn take_metrics(&mut self, metrics: &Metrics) {
        for (name, value) in &metrics.values {
            let name = format!("{}.{name}", metrics.phase);
            let points = self.state.training.figures.entry(name).or_default();
            points.push([metrics.step as f64, *value]);
        }
    }

    fn take_preview(&mut self, step: u64, texture: TextureHandle) {
        if self.state.training.previews.is_empty() {
            // The run is in the project by now.
            self.lanes.desk.read_overview();
        }
        let previews = &mut self.state.training.previews;
        previews.push(PreviewView { step, texture });
        if previews.len() > Training::MAX_PREVIEWS {
            thin(previews);
        }
    }

    pub(super) fn take_reply(&mut self, reply: DeskReply) {
        match reply {
            DeskReply::Overview(overview) => self.take_overview(*overview),
            DeskReply::Page(page) => {
                let gallery = &mut self.state.gallery;
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
                let gallery = &mut self.state.gallery;
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
                self.state.training.metrics.insert(run, rows);
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
        let Some(view) = &self.state.palette else {
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
        if let Some(view) = &mut self.state.palette {
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
        let Some(project) = &mut self.state.project else {
            return;
        };
        let is_first = project.overview.is_none();
        if is_first {
            project.marks = serde_json::from_value(overview.code_marks.clone()).unwrap_or_default();
            self.state.tools.brushes =
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
        if std::mem::take(&mut self.needs_document) {
            let waiting = std::mem::take(&mut self.waiting_files);
            if !waiting.is_empty() {
                self.apply(Command::OpenFiles(waiting));
            }
            if !self.state.has_job(Purpose::OpenDocument) {
                self.open_document(last.map_or(OpenWhat::Sample(FIRST_SAMPLE), OpenWhat::Stored));
            }
        }
        if is_first && has_interrupted_run && !self.state.training.is_running() {
            self.state.notices.push(
                Severity::Info,
                Notice::new(
                    "a fine-tune was interrupted",
                    "the program ended while it ran",
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
