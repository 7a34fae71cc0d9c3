//! The window's jobs: what waits or runs, and what happens at its end.

use std::any::TypeId;

use super::App;
use crate::app::lanes::TextureRequest;
use crate::app::state::{JobKey, RunningJob, Severity, name_of};
use crate::engine::{Event, EventKind, ImportJob, Job, WhenLeft};
use crate::error::Notice;

/// How a job ended.
pub(super) enum Ended<T> {
    Finished(T),
    /// By the user, or because a newer job took its place.
    Cancelled,
    /// What went wrong has been told.
    Failed,
}

/// What happens at a job's end, with its output.
pub(super) type AtItsEnd = Box<dyn FnOnce(&mut App, Ended<()>)>;

impl App {
    /// Queues a job of the open project; `done` gets its output, unless it is stopped, it fails, or another project has been
    /// opened meanwhile. `None` where it could not be queued, which is told.
    pub(super) fn submit<J: Job>(
        &mut self,
        job: J,
        done: impl FnOnce(&mut Self, J::Output) + 'static,
    ) -> Option<JobKey> {
        self.submit_to_its_end(job, |app, ended| {
            if let Ended::Finished(output) = ended {
                done(app, output);
            }
        })
    }

    /// [`submit`](Self::submit) for jobs whose other ends matter too.
    pub(super) fn submit_to_its_end<J: Job>(
        &mut self,
        job: J,
        at_its_end: impl FnOnce(&mut Self, Ended<J::Output>) + 'static,
    ) -> Option<JobKey> {
        let (key, running) = self.queue(job, at_its_end)?;
        self.state.session.jobs.insert(key, running);
        Some(key)
    }

    /// Queues a job of the window's own: its end matters whichever project is open by then.
    pub(super) fn submit_for_window<J: Job>(
        &mut self,
        job: J,
        at_its_end: impl FnOnce(&mut Self, Ended<J::Output>) + 'static,
    ) {
        if let Some((key, running)) = self.queue(job, at_its_end) {
            self.state.window_jobs.insert(key, running);
        }
    }

    fn queue<J: Job>(
        &mut self,
        job: J,
        at_its_end: impl FnOnce(&mut Self, Ended<J::Output>) + 'static,
    ) -> Option<(JobKey, RunningJob)> {
        let title = job.title().to_owned();
        let ticket = match self.lanes.submit(job) {
            Ok(ticket) => ticket,
            Err(error) => {
                self.tell(error);
                return None;
            }
        };
        let key = JobKey {
            lane: J::LANE,
            id: ticket.job,
        };
        let running = RunningJob {
            kind: TypeId::of::<J>(),
            title,
            is_quiet: J::IS_QUIET,
            when_left: J::WHEN_LEFT,
            done: 0,
            total: 0,
            eta_secs: None,
            warnings: 0,
        };
        let at_its_end: AtItsEnd = Box::new(move |app, ended| {
            let ended = match ended {
                Ended::Finished(()) => ticket.take().map_or(Ended::Failed, Ended::Finished),
                Ended::Cancelled => Ended::Cancelled,
                Ended::Failed => Ended::Failed,
            };
            at_its_end(app, ended);
        });
        self.at_their_end.insert(key, at_its_end);
        Some((key, running))
    }

    pub(super) fn take_event(&mut self, key: JobKey, event: Event) {
        if self.state.left_jobs.contains_key(&key) {
            return self.take_left_event(key, event.kind);
        }
        let state = &mut self.state;
        let jobs = [&mut state.session.jobs, &mut state.window_jobs];
        let Some(jobs) = jobs.into_iter().find(|jobs| jobs.contains_key(&key)) else {
            return;
        };
        let Some(job) = jobs.get_mut(&key) else {
            return;
        };
        let ended = match event.kind {
            EventKind::Started { title } => {
                job.title = title;
                return;
            }
            EventKind::Progress {
                done,
                total,
                eta_secs,
            } => {
                (job.done, job.total, job.eta_secs) = (done, total, eta_secs);
                return;
            }
            EventKind::Metrics(metrics) => return self.take_metrics(&metrics),
            EventKind::Preview(preview) => {
                return self.request_texture(TextureRequest::Preview(preview));
            }
            EventKind::Warning(notice) => {
                job.warnings += 1;
                // An import tells at its end how many files it left out; the list is on its page. What nobody asked for
                // has nobody to tell.
                if job.is_quiet || job.is::<ImportJob>() {
                    log::warn!("{notice}");
                } else {
                    state.notices.push(Severity::Warning, notice);
                }
                return;
            }
            EventKind::Finished => {
                log::info!("{}: done", job.title);
                Ended::Finished(())
            }
            EventKind::Cancelled { kept } => {
                if !job.is_quiet {
                    let notice = Notice::new("stopped", "", kept);
                    state.notices.push(Severity::Info, notice);
                }
                Ended::Cancelled
            }
            EventKind::Failed { notice, .. } => {
                state.notices.push(Severity::Error, notice);
                Ended::Failed
            }
        };
        jobs.remove(&key);
        if let Some(at_its_end) = self.at_their_end.remove(&key) {
            at_its_end(self, ended);
        }
    }

    /// Of a job whose project was left only a failure is told, where it was to go on or can be resumed.
    fn take_left_event(&mut self, key: JobKey, event: EventKind) {
        let state = &mut self.state;
        if let (EventKind::Progress { done, total, .. }, Some(job)) =
            (&event, state.left_jobs.get_mut(&key))
        {
            (job.done, job.total) = (*done, *total);
        }
        if !event.is_final() {
            return;
        }
        let Some(job) = state.left_jobs.remove(&key) else {
            return;
        };
        if let EventKind::Failed { mut notice, .. } = event
            && job.when_left != WhenLeft::Cancel
        {
            notice.what = format!("in “{}”: {}", name_of(&job.project), notice.what);
            state.notices.push(Severity::Error, notice);
        }
        // It may have been opened again meanwhile, with the job still at work.
        let open = state.session.project.as_ref();
        if open.is_some_and(|open| open.path == job.project) {
            self.forget_rows();
            self.lanes.desk.read_overview();
        }
    }
}
