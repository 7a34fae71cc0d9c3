//! The window's jobs: what waits or runs, and what happens at its end.

use std::any::TypeId;
use std::collections::HashMap;

use super::state::{JobKey, RunningJob};
use super::textures::Wanted;
use super::{App, Severity};
use crate::engine::{Event, EventKind, ImportJob, Job};
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

/// By the job.
pub(super) type Endings = HashMap<JobKey, AtItsEnd>;

impl App {
    /// Queues a job; `done` gets its output, unless it is stopped or fails. `None` where it could not be queued, which is told.
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
        let running = RunningJob::new(&job);
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
        self.state.jobs.insert(key, running);
        let at_its_end: AtItsEnd = Box::new(move |app, ended| {
            let ended = match ended {
                Ended::Finished(()) => ticket.take().map_or(Ended::Failed, Ended::Finished),
                Ended::Cancelled => Ended::Cancelled,
                Ended::Failed => Ended::Failed,
            };
            at_its_end(app, ended);
        });
        self.endings.insert(key, at_its_end);
        Some(key)
    }

    pub(super) fn take_event(&mut self, key: JobKey, event: Event) {
        let Some(job) = self.state.jobs.get_mut(&key) else {
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
                return self.lanes.textures.want(Wanted::Preview(preview));
            }
            EventKind::Warning(notice) => {
                job.warnings += 1;
                // An import tells at its end how many files it left out; the list is on its page.
                if job.is::<ImportJob>() {
                    log::warn!("{notice}");
                } else {
                    self.state.notices.push(Severity::Warning, notice);
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
                    self.state.notices.push(Severity::Info, notice);
                }
                Ended::Cancelled
            }
            EventKind::Failed { notice, .. } => {
                self.state.notices.push(Severity::Error, notice);
                Ended::Failed
            }
        };
        self.state.jobs.remove(&key);
        if let Some(at_its_end) = self.endings.remove(&key) {
            at_its_end(self, ended);
        }
    }
}

impl RunningJob {
    fn new<J: Job>(job: &J) -> Self {
        Self {
            kind: TypeId::of::<J>(),
            title: job.title().to_owned(),
            is_quiet: J::IS_QUIET,
            done: 0,
            total: 0,
            eta_secs: None,
            warnings: 0,
        }
    }

    /// Whether it is such a job.
    pub fn is<J: Job>(&self) -> bool {
        self.kind == TypeId::of::<J>()
    }
}
