//! Jobs that wait or run, as the window shows them.

use std::any::TypeId;
use std::fmt;
use std::path::{Path, PathBuf};

use super::State;
use super::project::name_of;
use crate::engine::{
    BlankJob, CarryOverJob, ExportReskinJob, Job, JobId, Lane, OpenDocumentJob, ReframeJob,
    SnapshotJob, TimelapseJob, WhenLeft,
};

/// Tells a job from all others of the window: jobs are numbered per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    pub lane: Lane,
    pub id: JobId,
}

/// A job that waits or runs.
pub struct RunningJob {
    pub(in crate::app) kind: TypeId,
    pub title: String,
    /// Whether nobody asked for it.
    pub is_quiet: bool,
    pub(in crate::app) when_left: WhenLeft,
    /// Steps done so far, of `total`.
    pub done: u64,
    /// Steps altogether; 0 while that is unknown.
    pub total: u64,
    /// Seconds until its end, as far as it can be told.
    pub eta_secs: Option<f64>,
    /// How many warnings it has given.
    pub warnings: usize,
}

/// A job whose project was left for another one. Nobody takes its output.
#[derive(Debug)]
pub struct LeftJob {
    /// What it does, with the project's name.
    pub title: String,
    pub is_quiet: bool,
    pub(in crate::app) when_left: WhenLeft,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
    pub(in crate::app) project: PathBuf,
}

impl fmt::Debug for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of {})", self.title, self.done, self.total)
    }
}

impl RunningJob {
    /// Whether it is a job of this type.
    pub fn is<J: Job>(&self) -> bool {
        self.kind == TypeId::of::<J>()
    }

    /// Whether it brings another picture to the canvas.
    pub fn opens_document(&self) -> bool {
        self.is::<OpenDocumentJob>()
            || self.is::<BlankJob>()
            || self.is::<ReframeJob>()
            || self.is::<CarryOverJob>()
    }
}

impl LeftJob {
    pub(in crate::app) fn new(job: RunningJob, project: &Path) -> Self {
        Self {
            title: format!("{} in {}", job.title, name_of(project)),
            is_quiet: job.is_quiet,
            when_left: job.when_left,
            done: job.done,
            total: job.total,
            project: PathBuf::from(project),
        }
    }
}

/// A job as the status bar shows it.
#[derive(Debug, Clone, Copy)]
pub struct ShownJob<'a> {
    pub key: JobKey,
    pub title: &'a str,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
    pub eta_secs: Option<f64>,
    /// Whether stopping it is offered.
    pub can_be_stopped: bool,
}

impl State {
    /// Whether such a job waits or runs for the open project or the window.
    pub fn has_job<J: Job>(&self) -> bool {
        self.jobs().any(RunningJob::is::<J>)
    }

    /// Whether a picture is on its way to the canvas.
    pub fn is_opening_document(&self) -> bool {
        self.jobs().any(RunningJob::opens_document)
    }

    /// Whether a picture is being written.
    pub fn is_exporting(&self) -> bool {
        self.has_job::<SnapshotJob>()
            || self.has_job::<ExportReskinJob>()
            || self.has_job::<TimelapseJob>()
    }

    /// Whether no job waits or runs.
    pub fn is_idle(&self) -> bool {
        self.jobs().next().is_none() && self.left_jobs.is_empty()
    }

    /// Those of the open project and those of the window.
    pub fn jobs(&self) -> impl Iterator<Item = &RunningJob> {
        (self.session.jobs.values()).chain(self.window_jobs.values())
    }

    /// The jobs that the status bar shows, the oldest that somebody waits for first; last those that work for a project that was
    /// left.
    pub fn shown_jobs(&self) -> Vec<ShownJob<'_>> {
        let running = (self.session.jobs.iter()).chain(&self.window_jobs);
        let running = running.filter(|(key, job)| !job.is_quiet || key.lane == Lane::Upkeep);
        let mut shown: Vec<ShownJob<'_>> = running
            .map(|(key, job)| ShownJob {
                key: *key,
                title: &job.title,
                done: job.done,
                total: job.total,
                eta_secs: job.eta_secs,
                can_be_stopped: !job.opens_document() || job.total > 0,
            })
            .collect();
        let rank = |key: &JobKey| match key.lane {
            Lane::Foreground => 0,
            Lane::Background => 1,
            Lane::Training => 2,
            Lane::Upkeep => 3,
        };
        shown.sort_by_key(|job| (rank(&job.key), job.key.id));
        let left = self.left_jobs.iter();
        let left = left.filter(|(_, job)| !job.is_quiet && job.when_left == WhenLeft::Finish);
        shown.extend(left.map(|(key, job)| ShownJob {
            key: *key,
            title: &job.title,
            done: job.done,
            total: job.total,
            eta_secs: None,
            can_be_stopped: true,
        }));
        shown
    }
}
