//! The pictures of the project.

use std::path::PathBuf;

use super::super::App;
use super::super::command::Command;
use super::super::dialogs::Question;
use super::super::state::{Gallery, Lane, Purpose, Workspace};
use crate::engine::{ImportJob, ImportOptions, PageRequest, write_samples};
use crate::project::PictureId;

impl App {
    pub(super) fn apply_dataset(&mut self, command: Command) {
        match command {
            Command::ImportFolder => self.ask(Question::ImportFolder),
            Command::ImportFiles => self.ask(Question::ImportFiles),
            Command::Import(paths) => self.import(paths),
            Command::ImportSamples => {
                // They have to be files to be trained on: samples live beside the first project.
                let folder = self.state.folders.data.join("Sample pictures");
                let to = folder.clone();
                self.lanes.desk.run(move || write_samples(&to));
                self.after_desk.push(Command::Import(vec![folder]));
            }
            Command::FilterPictures(filter) => {
                self.state.gallery.filter = filter;
                self.state.gallery.total = None;
                self.forget_rows();
            }
            Command::ShowRows(rows) => self.show_rows(rows),
            Command::Exclude(pictures, excluded) => {
                for row in self.state.gallery.chunks.values_mut().flatten() {
                    if pictures.contains(&row.id) {
                        row.excluded = excluded;
                    }
                }
                self.write(move |project| project.set_excluded(&pictures, excluded));
            }
            Command::RemoveFromProject(pictures) => {
                self.write(move |project| project.delete_pictures(&pictures));
                self.forget_rows();
            }
            _ => {}
        }
    }

    fn import(&mut self, paths: Vec<PathBuf>) {
        let device = self.device();
        if let Some(project) = self.storage() {
            self.state.workspace = Workspace::Dataset;
            self.submit(
                Lane::Background,
                Purpose::Import,
                ImportJob {
                    project,
                    paths,
                    options: ImportOptions::default(),
                    device,
                },
            );
        }
    }

    /// The rows are read anew; those on the screen stay until then.
    pub(in crate::app) fn forget_rows(&mut self) {
        self.state.gallery.chunks.clear();
        self.state.gallery.wanted_chunk = None;
        self.read_chunk(0);
    }

    fn read_chunk(&mut self, chunk: u64) {
        self.state.gallery.wanted_chunk = Some(chunk);
        self.lanes.desk.read_page(PageRequest {
            filter: self.state.gallery.filter.clone(),
            offset: chunk * Gallery::CHUNK,
            limit: Gallery::CHUNK,
        });
    }

    fn show_rows(&mut self, rows: std::ops::Range<u64>) {
        let gallery = &mut self.state.gallery;
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
