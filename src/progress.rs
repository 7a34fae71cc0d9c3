//! How long work tells its caller how far it is and asks whether to stop. It stands below every
//! other module, so that import, training and export need not know the worker.

use crate::error::{Error, Notice, Result};

/// Why a job is asked to stop early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Keep a resumable state and end.
    Pause,
    /// End; keep only what is already useful.
    Cancel,
}

/// Implemented by the worker (and by `()` for callers that do not care).
pub trait Observer: Sync {
    /// Polled per file and per training step.
    fn stop(&self) -> Option<Stop> {
        None
    }

    /// `done` of `total` units; `total` is 0 while unknown.
    fn progress(&self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// Something went wrong with one item; the job goes on.
    fn warning(&self, notice: Notice) {
        let _ = notice;
    }

    /// `Err(Cancelled)` as soon as any stop is asked for: for work that cannot be resumed.
    fn check(&self) -> Result<()> {
        match self.stop() {
            Some(_) => Err(Error::cancelled()),
            None => Ok(()),
        }
    }
}

impl Observer for () {}
