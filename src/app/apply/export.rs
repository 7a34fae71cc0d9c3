//! Writing pictures to files.

use std::path::PathBuf;

use super::App;
use crate::app::command::{ExportCommand, Question};
use crate::app::state::{Severity, file_name};
use crate::engine::{
    ExportReskinJob, ExportTarget, Job, SnapshotJob, TimelapseJob, TimelapseLook, TimelapseOf,
};
use crate::error::{Error, Notice};

impl App {
    pub(super) fn apply_export(&mut self, command: ExportCommand) {
        match command {
            ExportCommand::SetForm(form) => self.state.export = form,
            ExportCommand::ChooseFolder => self.ask(Question::ExportFolder),
            ExportCommand::SetFolder(folder) => {
                self.state.export.folder.clone_from(&folder);
                self.state.settings.export_folder = Some(folder);
                self.save_settings();
            }
            ExportCommand::Export => self.export(),
            ExportCommand::ExportReskin => self.export_reskin(),
            ExportCommand::SetTimelapse(form) => self.state.timelapse = form,
            ExportCommand::WriteTimelapse => self.write_timelapse(),
            ExportCommand::RevealInFolder(path) => self.lanes.desk.run(move || {
                let folder = if path.is_dir() {
                    path.as_path()
                } else {
                    path.parent().unwrap_or(&path)
                };
                open::that_detached(folder)
                    .map_err(|source| Error::io("could not open the file manager", folder, &source))
            }),
        }
    }

    fn export(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            self.state.notices.push(
                Severity::Warning,
                Notice::new(
                    "there is nothing to export",
                    "no picture is open",
                    "Open one first",
                ),
            );
            return;
        };
        let form = &self.state.export;
        let path = form.file_path(&canvas.name, canvas.model_name());
        let job = SnapshotJob {
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
            out: ExportTarget {
                path,
                existing: form.existing,
                has_restore_data: form.has_restore_data && form.writer.restores,
            },
        };
        self.submit_export(job);
    }

    /// Queues a job that writes a picture.
    fn submit_export(&mut self, job: impl Job<Output = PathBuf>) {
        self.submit(job, |app, file| {
            let text = format!("Exported {}.", file_name(&file));
            app.state.notices.say(Severity::Success, text);
            app.state.session.last_export = Some(file);
        });
    }

    fn export_reskin(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let Some(reskin) = &canvas.reskin else { return };
        let form = &self.state.export;
        let name = format!("{} as {}", canvas.name, reskin.model);
        let out = ExportTarget {
            path: form.file_path(&name, &reskin.model),
            existing: form.existing,
            has_restore_data: false,
        };
        if let Some(reskin) = self.reskin_job(reskin.choice) {
            self.submit_export(ExportReskinJob { reskin, out });
        }
    }

    fn write_timelapse(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            self.state.notices.push(
                Severity::Warning,
                Notice::new(
                    "there is no timelapse to write",
                    "no picture is open",
                    "Open one first",
                ),
            );
            return;
        };
        let form = self.state.timelapse;
        let existing = self.state.export.existing;
        let name = format!("{} timelapse", canvas.name);
        let plain = (self.state.export)
            .file_path(&name, canvas.model_name())
            .with_extension("");
        let path = match form.writer.endings.first() {
            Some(ending) => plain.with_added_extension(ending),
            None => plain,
        };
        let job = TimelapseJob {
            of: TimelapseOf::Open {
                name: canvas.name.clone(),
                document: Box::new(canvas.document.clone()),
                model: Box::new(canvas.model.clone()),
            },
            look: TimelapseLook {
                longest_px: form.longest_px,
                frames_per_second: form.frames_per_second,
                ..TimelapseLook::default()
            },
            writer: Some(form.writer),
            path,
            existing,
        };
        self.submit(job, |app, written| {
            (app.state.notices).say(Severity::Success, written.to_string());
            app.state.session.last_export = Some(written.file);
        });
    }
}
