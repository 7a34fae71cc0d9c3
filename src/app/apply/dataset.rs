//! The pictures of the project.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use eframe::egui::TextureHandle;

use super::App;
use super::jobs::Ended;
use crate::app::command::{DatasetCommand, Question};
use crate::app::lanes::TextureRequest;
use crate::app::state::{CropsView, Exclusion, Gallery, Severity, Workspace};
use crate::engine::{
    CheckFilesJob, CropSheet, CropsJob, FilesChecked, ImportJob, ImportOptions, IndexJob,
    ModelSource, PageRequest, write_samples,
};
use crate::error::Notice;
use crate::progress::Stop;
use crate::project::PictureId;

/// Choices among the pictures that can be taken back.
const MAX_CHOICES: usize = 1000;
/// How long what is known of the pictures' files counts as fresh.
const FILES_AGE: Duration = Duration::from_secs(5);

impl App {
    pub(super) fn apply_dataset(&mut self, command: DatasetCommand) {
        match command {
            DatasetCommand::ImportFolder => self.ask(Question::ImportFolder),
            DatasetCommand::ImportFiles => self.ask(Question::ImportFiles),
            DatasetCommand::Import(paths) => self.import(paths),
            DatasetCommand::ImportSamples => {
                // They have to be files to be trained on: samples live beside the first project.
                let folder = self.state.folders.data.join("Sample pictures");
                let to = folder.clone();
                self.lanes.desk.run(move || write_samples(&to));
                self.after_desk
                    .push(DatasetCommand::Import(vec![folder]).into());
            }
            DatasetCommand::Filter(filter) => {
                self.state.session.gallery.filter = filter;
                self.state.session.gallery.total = None;
                self.forget_rows();
            }
            DatasetCommand::ShowRows(rows) => self.show_rows(rows),
            DatasetCommand::Exclude(pictures, excluded) => self.choose(pictures, excluded),
            DatasetCommand::LeaveOut => {
                let chosen = self.state.session.gallery.selected.as_ref();
                if let Some(id) = chosen.filter(|row| !row.excluded).map(|row| row.id) {
                    self.choose(vec![id], true);
                }
            }
            DatasetCommand::Remove(pictures) => {
                let gallery = &mut self.state.session.gallery;
                if (gallery.selected.as_ref()).is_some_and(|row| pictures.contains(&row.id)) {
                    gallery.selected = None;
                }
                self.write(move |project| project.delete_pictures(&pictures));
                self.forget_rows();
            }
            DatasetCommand::Select(picture) => self.select_picture(picture),
            DatasetCommand::OtherCrops => {
                self.state.session.gallery.crops_draw += 1;
                self.cut_crops();
            }
            DatasetCommand::FindMissing => self.ask(Question::FindPictures),
        }
    }

    /// Leaves pictures out or takes them back in; that can be undone.
    fn choose(&mut self, mut pictures: Vec<PictureId>, excluded: bool) {
        let gallery = &mut self.state.session.gallery;
        let rows = gallery.chunks.values().flatten().chain(&gallery.selected);
        let same: Vec<PictureId> = rows
            .filter(|row| row.excluded == excluded)
            .map(|row| row.id)
            .collect();
        // Taking it back must not change those that were so before.
        pictures.retain(|id| !same.contains(id));
        if pictures.is_empty() {
            return;
        }
        let choice = Exclusion { pictures, excluded };
        gallery.choices.truncate(gallery.applied_choices);
        gallery.choices.push(choice.clone());
        if gallery.choices.len() > MAX_CHOICES {
            gallery.choices.remove(0);
        }
        gallery.applied_choices = gallery.choices.len();
        self.exclude(choice.pictures, choice.excluded);
    }

    fn exclude(&mut self, pictures: Vec<PictureId>, excluded: bool) {
        let gallery = &mut self.state.session.gallery;
        let rows = gallery.chunks.values_mut().flatten();
        for row in rows.chain(&mut gallery.selected) {
            if pictures.contains(&row.id) {
                row.excluded = excluded;
            }
        }
        self.write(move |project| project.set_excluded(&pictures, excluded));
    }

    /// Takes the last choice among the pictures back, or makes it again.
    pub(super) fn step_choice(&mut self, is_forward: bool) {
        let gallery = &mut self.state.session.gallery;
        let place = match is_forward {
            true => Some(gallery.applied_choices),
            false => gallery.applied_choices.checked_sub(1),
        };
        let Some((place, choice)) =
            place.and_then(|place| Some((place, gallery.choices.get(place)?.clone())))
        else {
            return;
        };
        gallery.applied_choices = place + usize::from(is_forward);
        self.exclude(choice.pictures, choice.excluded == is_forward);
    }

    fn import(&mut self, paths: Vec<PathBuf>) {
        let device = self.device();
        if let Some(project) = self.storage() {
            self.state.workspace = Workspace::Dataset;
            let job = ImportJob {
                project,
                paths,
                options: ImportOptions::default(),
                device,
            };
            self.submit_to_its_end(job, |app, ended| {
                // What was found before a stop or a failure is in the project.
                app.forget_rows();
                app.lanes.desk.read_overview();
                app.state.session.is_indexing_unwanted = false;
                app.fill_index();
                if let Ended::Finished(imported) = ended {
                    (app.state.notices).say(Severity::Success, imported.to_string());
                    app.state.session.import_report = Some(imported);
                }
            });
        }
    }

    /// Encodes what the index of encoded pictures lacks under the model that pictures are opened with, in the background. Not while
    /// a fine-tune runs: it needs the same threads, and its end asks again.
    pub(super) fn fill_index(&mut self) {
        let session = &self.state.session;
        if session.is_indexing_unwanted || session.training.is_running() {
            return;
        }
        let Some(project) = self.storage() else {
            return;
        };
        // One that waits will see whatever is new by then.
        let jobs = self.state.jobs().filter(|job| job.is::<IndexJob>());
        if jobs.count() > 1 {
            return;
        }
        let model = ModelSource::Project(project.clone(), self.state.session.training.model);
        let job = IndexJob {
            project,
            model,
            verify: false,
            device: self.device(),
        };
        self.submit_to_its_end(job, |app, ended| {
            let session = &mut app.state.session;
            if matches!(ended, Ended::Cancelled) && !session.training.is_running() {
                session.is_indexing_unwanted = true;
            }
        });
    }

    /// Makes way for a fine-tune.
    pub(super) fn pause_index(&mut self) {
        let jobs = self.state.session.jobs.iter();
        for (key, _) in jobs.filter(|(_, job)| job.is::<IndexJob>()) {
            self.lanes.stop(*key, Stop::Pause);
        }
    }

    fn select_picture(&mut self, picture: Option<PictureId>) {
        let gallery = &mut self.state.session.gallery;
        let row = picture.and_then(|id| {
            let mut rows = gallery.chunks.values().flatten();
            rows.find(|row| row.id == id).cloned()
        });
        gallery.selected = row;
        gallery.crops = None;
        gallery.crops_draw = 0;
        self.cut_crops();
    }

    /// What a run with the present settings would make of the picture shown.
    fn cut_crops(&mut self) {
        // The picture chosen before is not waited for.
        let waiting: Vec<_> = (self.state.session.jobs.iter())
            .filter(|(_, job)| job.is::<CropsJob>())
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            self.lanes.stop(key, Stop::Cancel);
        }
        let gallery = &self.state.session.gallery;
        let Some(row) = gallery.selected.as_ref().filter(|row| !row.missing) else {
            return;
        };
        let form = self.state.session.training.form;
        let (picture, draw) = (row.id, gallery.crops_draw);
        if let Some(project) = self.storage() {
            let job = CropsJob {
                project,
                picture,
                config: Box::new(form.preset.config(form.seed)),
                round: draw,
            };
            self.submit(job, |app, sheet| {
                app.request_texture(TextureRequest::Crops(sheet));
            });
        }
    }

    pub(in crate::app) fn crops_cut(&mut self, sheet: &CropSheet, textures: Vec<TextureHandle>) {
        let shown = self
            .state
            .session
            .gallery
            .selected
            .as_ref()
            .map(|row| row.id);
        if shown == Some(sheet.picture) {
            self.state.session.gallery.crops = Some(CropsView {
                picture: sheet.picture,
                role: sheet.role,
                textures,
            });
        }
    }

    /// Looks, behind the window's back, whether the pictures' files are still there.
    pub(in crate::app) fn check_files(&mut self) {
        let is_fresh =
            (self.state.session.files_checked).is_some_and(|at| at.elapsed() < FILES_AGE);
        if is_fresh || self.state.has_job::<CheckFilesJob>() {
            return;
        }
        if let Some(project) = self
            .state
            .session
            .project
            .as_ref()
            .map(|p| p.storage.clone())
        {
            self.state.session.files_checked = Some(Instant::now());
            self.submit(CheckFilesJob { project }, Self::files_checked);
        }
    }

    fn files_checked(&mut self, checked: FilesChecked) {
        let FilesChecked { gone, back } = checked;
        if gone + back == 0 {
            return;
        }
        self.lanes.desk.read_overview();
        self.forget_rows();
        if gone > 0 {
            self.state.notices.push(
                Severity::Warning,
                Notice::new(
                    format!("{gone} of the project's pictures are no longer where they were"),
                    "their folder was moved, renamed or deleted, or its drive is not connected",
                    "The Pictures page finds them again when you show where they are now",
                ),
            );
        }
        if back > 0 {
            self.state.notices.say(
                Severity::Success,
                format!("{back} missing pictures are back where they were"),
            );
        }
    }

    /// The rows are read anew; those on the screen stay until then.
    pub(in crate::app) fn forget_rows(&mut self) {
        self.state.session.gallery.chunks.clear();
        self.state.session.gallery.wanted_chunk = None;
        self.read_chunk(0);
    }

    fn read_chunk(&mut self, chunk: u64) {
        self.state.session.gallery.wanted_chunk = Some(chunk);
        self.lanes.desk.read_page(PageRequest {
            filter: self.state.session.gallery.filter.clone(),
            offset: chunk * Gallery::CHUNK,
            limit: Gallery::CHUNK,
        });
    }

    fn show_rows(&mut self, rows: std::ops::Range<u64>) {
        let gallery = &mut self.state.session.gallery;
        gallery.clock += 1;
        let clock = gallery.clock;
        let mut missing: Vec<PictureId> = Vec::new();
        let mut missing_chunk = None;
        for index in rows {
            let Some(id) = gallery.row(index).map(|row| row.id) else {
                missing_chunk.get_or_insert(index / Gallery::CHUNK);
                continue;
            };
            match gallery.thumbnails.get_mut(&id) {
                Some(thumbnail) => thumbnail.last_used = clock,
                None => missing.push(id),
            }
        }
        if let Some(chunk) = missing_chunk
            && gallery.wanted_chunk != Some(chunk)
        {
            self.read_chunk(chunk);
        }
        // Also when none is missing: what scrolled by need not be read any more.
        self.lanes.desk.read_thumbnails(missing);
    }
}
