//! Projects, documents and files by path.

use std::path::{Path, PathBuf};

use super::super::command::Command;
use super::super::dialogs::Question;
use super::super::jobs::Ended;
use super::super::state::{Overlay, Workspace, file_name};
use super::super::{App, Severity};
use crate::dataset::readable_endings;
use crate::document::tools::brushes::PACK_EXTENSION;
use crate::engine::{
    CarryOverJob, DeviceChoice, OpenDocumentJob, OpenProjectJob, OpenWhat, ProjectFile,
    SaveCopyJob, Storage,
};
use crate::error::{Error, Notice};
use crate::project::EXTENSION;

impl App {
    pub(super) fn apply_files(&mut self, command: Command) {
        match command {
            Command::NewProject => self.ask(Question::NewProject),
            Command::OpenProject => self.ask(Question::OpenProject),
            Command::OpenPicture => self.ask(Question::Picture),
            Command::OpenPath => self.state.overlay = Some(Overlay::OpenPath),
            Command::DialogFailed(question) => self.no_dialog(&question),
            Command::OpenProjectAt(path) => {
                self.open_project(path, ProjectFile::Open);
            }
            Command::CreateProjectAt(path) => {
                self.open_project(path, ProjectFile::Create);
            }
            Command::Save if self.store_what_waits() => {
                let text = "Some strokes were not stored yet; they are written now";
                self.state.notices.say(Severity::Info, text);
            }
            Command::Save => {
                let place = self.state.session.project.as_ref().map_or_else(
                    || "when a project is open".to_owned(),
                    |project| format!("in {}", project.path.display()),
                );
                self.state.notices.say(
                    Severity::Success,
                    format!("Every stroke is saved as you make it, {place}"),
                );
            }
            Command::SaveCopy => {
                if let Some(project) = &self.state.session.project {
                    let name = format!("{} copy", project.name());
                    self.ask(Question::SaveCopy { name });
                }
            }
            Command::SaveCopyAs(to) => {
                if let Some(project) = self.storage() {
                    self.submit(SaveCopyJob { project, to }, |app, file| {
                        let text = format!("Saved a copy as {}.", file_name(&file));
                        app.state.notices.say(Severity::Success, text);
                    });
                }
            }
            Command::OpenFiles(paths) => self.open_files(paths),
            Command::OpenSample(name) => self.paint_on(OpenWhat::Sample(name)),
            Command::OpenDocument(id) => match self.state.session.tabs.order.contains(&id) {
                true => self.switch_to(id),
                false => self.paint_on(OpenWhat::Stored(id)),
            },
            Command::RenameDocument(id, name) => {
                if let Some(canvas) = self
                    .state
                    .session
                    .canvas
                    .as_mut()
                    .filter(|canvas| canvas.id == id)
                {
                    canvas.name.clone_from(&name);
                }
                self.write(move |project| project.rename_document(id, &name));
            }
            Command::DeleteDocument(id) => {
                self.close_tab(id);
                self.write(move |project| project.delete_document(id));
            }
            Command::RevealInFolder(path) => self.lanes.desk.run(move || {
                let folder = if path.is_dir() {
                    path.as_path()
                } else {
                    path.parent().unwrap_or(&path)
                };
                open::that_detached(folder)
                    .map_err(|source| Error::io("could not open the file manager", folder, &source))
            }),
            Command::ReopenWithModel => self.reopen_with_model(),
            Command::DismissNews => self.state.session.training.has_news = false,
            Command::OpenTyped(path) => self.lanes.desk.look_for(path, "could not open the path"),
            _ => {}
        }
    }

    /// A path can be typed instead.
    fn no_dialog(&mut self, question: &Question) {
        let opens = !matches!(
            question,
            Question::NewProject | Question::SaveCopy { .. } | Question::ExportFolder
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

    pub(in crate::app) fn open_project(&mut self, path: PathBuf, file: ProjectFile) {
        // The file that is open already would be refused as locked by ourselves; it is left where another one is
        // on its way.
        let is_open = (self.state.session.project.as_ref()).is_some_and(|p| p.path == path);
        if is_open && !self.state.has_job::<OpenProjectJob>() {
            return;
        }
        let known = self.known_projects.clone();
        let job = OpenProjectJob { path, file, known };
        self.submit_for_window(job, |app, ended| match ended {
            Ended::Finished(storage) => app.project_opened(storage),
            // The window is of no use without one.
            Ended::Failed if app.state.session.project.is_none() => app.open_first_project(),
            // They were meant for that project.
            Ended::Failed | Ended::Cancelled => app.waiting_files.clear(),
        });
    }

    pub(in crate::app) fn open_document(&mut self, what: OpenWhat) {
        let (model, device) = (self.state.session.training.model, self.device());
        if let Some(project) = self.storage() {
            self.submit_opening(OpenDocumentJob {
                project,
                what,
                model,
                device,
            });
        }
    }

    fn paint_on(&mut self, what: OpenWhat) {
        self.state.workspace = Workspace::Paint;
        self.open_document(what);
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
            self.apply(Command::OpenProjectAt(project));
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
                self.apply(Command::ImportBrushesFrom(one.clone()));
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
            _ => self.apply(Command::Import(others)),
        }
    }

    fn reopen_with_model(&mut self) {
        self.close_gesture();
        let (to, device) = (self.state.session.training.model, self.device());
        let Some(project) = self.storage() else {
            return;
        };
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let job = CarryOverJob {
            project,
            id: canvas.id,
            name: canvas.name.clone(),
            document: Box::new(canvas.document.clone()),
            from: canvas.model.clone(),
            to,
            device,
        };
        self.state.workspace = Workspace::Paint;
        self.submit_opening(job);
    }

    /// What was typed is there: the field is not needed any more.
    pub(in crate::app) fn path_found(&mut self, path: PathBuf) {
        self.apply(Command::OpenFiles(vec![path]));
    }
}
