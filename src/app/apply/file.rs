//! Projects and files by path.

use std::path::{Path, PathBuf};

use super::App;
use crate::app::command::{BrushCommand, DatasetCommand, FileCommand, Question};
use crate::app::state::{Overlay, Severity, file_name};
use crate::dataset::readable_endings;
use crate::document::tools::brushes::PACK_EXTENSION;
use crate::engine::{DeviceChoice, OpenProjectJob, OpenWhat, ProjectFile, SaveCopyJob, Storage};
use crate::error::Notice;
use crate::project::EXTENSION;

impl App {
    pub(super) fn apply_file(&mut self, command: FileCommand) {
        match command {
            FileCommand::NewProject => self.ask(Question::NewProject),
            FileCommand::OpenProject => self.ask(Question::OpenProject),
            FileCommand::OpenPicture => self.ask(Question::Picture),
            FileCommand::OpenPath => self.state.overlay = Some(Overlay::OpenPath),
            FileCommand::DialogFailed(question) => self.no_dialog(&question),
            FileCommand::OpenProjectAt(path) => {
                self.open_project(path, ProjectFile::Open);
            }
            FileCommand::CreateProjectAt(path) => {
                self.open_project(path, ProjectFile::Create);
            }
            FileCommand::Save => {
                if self.store_what_waits() {
                    let text = "Some strokes were not stored yet; they are written now";
                    self.state.notices.say(Severity::Info, text);
                    return;
                }
                let place = self.state.session.project.as_ref().map_or_else(
                    || "when a project is open".to_owned(),
                    |project| format!("in {}", project.path.display()),
                );
                self.state.notices.say(
                    Severity::Success,
                    format!("Every stroke is saved as you make it, {place}"),
                );
            }
            FileCommand::SaveCopy => {
                if let Some(project) = &self.state.session.project {
                    let name = format!("{} copy", project.name());
                    self.ask(Question::SaveCopy { name });
                }
            }
            FileCommand::SaveCopyAs(to, existing) => {
                if let Some(project) = self.storage() {
                    self.submit(
                        SaveCopyJob {
                            project,
                            to,
                            existing,
                        },
                        |app, file| {
                            let text = format!("Saved a copy as {}.", file_name(&file));
                            app.state.notices.say(Severity::Success, text);
                        },
                    );
                }
            }
            FileCommand::OpenFiles(paths) => self.open_files(paths),
            FileCommand::OpenSample(name) => self.paint_on(OpenWhat::Sample(name)),
            FileCommand::OpenTyped(path) => {
                self.lanes.desk.look_for(path, "could not open the path")
            }
        }
    }

    /// A path can be typed instead.
    fn no_dialog(&mut self, question: &Question) {
        let opens = !matches!(
            question,
            Question::NewProject
                | Question::SaveCopy { .. }
                | Question::ExportFolder
                | Question::Texture
        );
        let next = if opens {
            self.state.overlay = Some(Overlay::OpenPath);
            "Type the path here; or install xdg-desktop-portal or zenity"
        } else {
            "Install xdg-desktop-portal or zenity"
        };
        self.state.notices.push(
            Severity::Warning,
            Notice::new(
                "the system's file dialog did not open",
                "the desktop offers none",
                next,
            ),
        );
    }

    pub(in crate::app) fn ask(&mut self, question: Question) {
        if let Err(error) = self.dialogs.ask(self.state.session.id, question) {
            self.tell(error);
        }
    }

    pub(in crate::app) fn storage(&mut self) -> Option<Storage> {
        let storage = self
            .state
            .session
            .project
            .as_ref()
            .map(|p| p.storage.clone());
        if storage.is_none() {
            self.state.notices.push(
                Severity::Warning,
                Notice::new("no project is open yet", "", "Make or open one first"),
            );
        }
        storage
    }

    /// Changes the project's file on its own thread, then reads the lists again.
    pub(in crate::app) fn write(
        &self,
        work: impl FnOnce(&mut crate::project::Project) -> crate::error::Result<()> + Send + 'static,
    ) {
        self.lanes.desk.write(work);
        self.lanes.desk.read_overview();
    }

    pub(in crate::app) fn device(&self) -> DeviceChoice {
        match &self.state.device {
            Some(device) if device.falls_back => DeviceChoice::Cpu,
            _ => self.state.settings.device.parse().unwrap_or_default(),
        }
    }

    /// A dropped or named file: a project is opened, a single picture is painted on, folders and more than one
    /// picture are imported. Which it is takes a look at the disk, which the job takes; the name tells enough here.
    fn open_files(&mut self, paths: Vec<PathBuf>) {
        self.state.overlay = None;
        let has_extension = |path: &Path, known: &[&str]| {
            path.extension().is_some_and(|extension| {
                known
                    .iter()
                    .any(|known| extension.eq_ignore_ascii_case(known))
            })
        };
        let (projects, others): (Vec<_>, Vec<_>) =
            (paths.into_iter()).partition(|path| has_extension(path, &[EXTENSION]));
        if let Some(project) = projects.into_iter().next_back() {
            self.open_project(project, ProjectFile::Open);
        }
        let is_waiting = self.state.session.project.is_none()
            || self
                .state
                .window_jobs
                .values()
                .any(|job| job.is::<OpenProjectJob>());
        match others.as_slice() {
            [] => {}
            [one] if has_extension(one, &[PACK_EXTENSION]) => {
                self.apply(BrushCommand::ImportFrom(one.clone()));
            }
            [one] if has_extension(one, &readable_endings()) => {
                if is_waiting {
                    // Opened as soon as there is a project to keep it in.
                    self.waiting_files.extend(others);
                    return;
                }
                self.paint_on(OpenWhat::File(one.clone()));
            }
            _ if is_waiting => self.waiting_files.extend(others),
            _ => self.apply(DatasetCommand::Import(others)),
        }
    }

    /// What was typed is there: the field is not needed any more.
    pub(in crate::app) fn path_found(&mut self, path: PathBuf) {
        self.apply(FileCommand::OpenFiles(vec![path]));
    }
}
