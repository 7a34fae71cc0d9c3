//! Opening a project, and leaving the one that was open.

use std::path::PathBuf;

use super::App;
use super::jobs::Ended;
use crate::app::command::FileCommand;
use crate::app::state::{LeftJob, OpenProject, Session};
use crate::engine::{OpenProjectJob, ProjectFile, Storage, WhenLeft};
use crate::progress::Stop;
use crate::render::Compare;

impl App {
    /// Opens the project named, or the last one, or the first.
    pub(super) fn start(&mut self, files: Vec<PathBuf>) {
        self.find_device();
        if !files.is_empty() {
            self.apply(FileCommand::OpenFiles(files));
        }
        if self.state.has_job::<OpenProjectJob>() {
            return;
        }
        match self.state.settings.recent_projects.first().cloned() {
            Some(path) => self.open_project(path, ProjectFile::Open),
            None => self.open_first_project(),
        }
    }

    /// Opens the project of somebody who chose none, or a new one where that is not to be had.
    fn open_first_project(&mut self) {
        let first = self.state.folders.first_project();
        self.open_at_start(first, |app| {
            // Another window may hold it.
            let name = format!("Project {}.tessera", std::process::id());
            app.open_at_start(app.state.folders.data.join(name), |_| {});
        });
    }

    fn open_at_start(&mut self, path: PathBuf, otherwise: impl FnOnce(&mut Self) + 'static) {
        let job = OpenProjectJob {
            path,
            file: ProjectFile::OpenOrCreate,
            known: self.known_projects.clone(),
        };
        self.submit_for_window(job, |app, ended| match ended {
            Ended::Finished(storage) => app.project_opened(storage),
            Ended::Failed if app.state.session.project.is_none() => otherwise(app),
            Ended::Failed | Ended::Cancelled => {}
        });
    }

    pub(super) fn open_project(&mut self, path: PathBuf, file: ProjectFile) {
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

    /// Leaves the project that is open, if any, for another one.
    fn project_opened(&mut self, storage: Storage) {
        // What is being painted is of the project that is left.
        self.close_gesture();
        self.store_what_waits();
        let path = storage.path().to_path_buf();
        self.known_projects.retain(|known| !known.is_closed());
        self.known_projects.push(storage.downgrade());
        let project = OpenProject {
            path: path.clone(),
            storage: storage.clone(),
            overview: None,
            marks: Default::default(),
        };
        let before = &self.state.session;
        let id = before.id.next();
        let session = Session::new(id, Some(project), before.training.form.for_next_project());
        let before = std::mem::replace(&mut self.state.session, session);
        self.after_desk.clear();
        self.lanes.desk.turn_to(Some(storage));
        self.leave(before);
        self.state.settings.remember_project(&path);
        self.save_settings();
        self.forget_rows();
        self.check_files();
    }

    fn leave(&mut self, mut before: Session) {
        for key in before.jobs.keys() {
            self.at_their_end.remove(key);
        }
        if let Some(project) = before.project.take() {
            for (key, job) in std::mem::take(&mut before.jobs) {
                match job.when_left {
                    WhenLeft::Cancel => self.lanes.stop(key, Stop::Cancel),
                    WhenLeft::Pause => self.lanes.stop(key, Stop::Pause),
                    WhenLeft::Finish => {}
                }
                self.state
                    .left_jobs
                    .insert(key, LeftJob::new(job, &project.path));
            }
            // The last handle closes the file, which is disk work.
            self.lanes.desk.run(move || {
                drop(project.storage);
                Ok(())
            });
        }
        let state = &mut self.state;
        state.tools.leave_project();
        state.paint.leave_project();
        state.look.compare = Compare::Now;
        state.look.is_where_used_on = false;
        if state.overlay.is_some_and(|overlay| overlay.is_of_project()) {
            state.overlay = None;
        }
    }
}
