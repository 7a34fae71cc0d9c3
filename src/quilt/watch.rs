//! Progress and cancellation of one request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::progress::Observer;

pub(super) struct Watch<'a> {
    observer: &'a dyn Observer,
    stopped: AtomicBool,
    done: AtomicU64,
    total: u64,
}

impl<'a> Watch<'a> {
    /// `total` steps are to be done.
    pub fn new(observer: &'a dyn Observer, total: u64) -> Self {
        Self {
            observer,
            stopped: AtomicBool::new(false),
            done: AtomicU64::new(0),
            total,
        }
    }

    /// Asks the observer; once stopped, always stopped.
    pub fn is_stopped(&self) -> bool {
        if self.stopped.load(Ordering::Relaxed) {
            return true;
        }
        let stop = self.observer.stop().is_some();
        if stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
        stop
    }

    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() {
            return Err(Error::cancelled());
        }
        Ok(())
    }

    /// One step is done.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn step(&self) -> Result<()> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.observer.progress(done.min(self.total), self.total);
        self.check()
    }
}
