//! Runs jobs on the worker and prints their events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tessera::engine::{Job, Report, Worker};
use tessera::error::{Error, Kind, Result};
use tessera::progress::Stop;

use crate::print::Printer;

/// The exit code of a program that Ctrl-C ended.
pub const CANCELLED: u8 = 130;

/// Times Ctrl-C was pressed.
static INTERRUPTS: AtomicU8 = AtomicU8::new(0);

pub struct Runner {
    worker: Worker,
}

impl Runner {
    /// Starts the worker and listens for Ctrl-C.
    pub fn start() -> Result<Self> {
        ctrlc::set_handler(|| {
            // The second one no longer waits for a clean end; the project file is safe at any instant.
            if INTERRUPTS.fetch_add(1, Ordering::Relaxed) > 0 {
                std::process::exit(i32::from(CANCELLED));
            }
        })
        .map_err(|source| {
            let why = source.to_string();
            Error::new(Kind::Internal, "could not listen for Ctrl-C", why, "")
        })?;
        Ok(Self {
            worker: Worker::start(Arc::new(|| {}))?,
        })
    }

    /// [`run`](Self::run), where only the printing matters.
    pub fn report<J: Job<Output: Report>>(&self, job: J, printer: &mut Printer) -> Result<()> {
        self.run(job, printer).map(drop)
    }

    /// Submits a job, prints its events until the final one, and gives its output.
    pub fn run<J: Job<Output: Report>>(&self, job: J, printer: &mut Printer) -> Result<J::Output> {
        let mut id = None;
        let output = self.worker.run(job, |event| {
            if let Some(event) = event {
                id = Some(event.job);
                printer.event(event);
            }
            // A run that can be resumed keeps where it stands; any other job just ends.
            let is_over = INTERRUPTS.load(Ordering::Relaxed) > 0 || printer.has_lost_its_reader();
            is_over.then_some(Stop::Pause)
        })?;
        if let Some(id) = id {
            printer.finished(id, &output);
        }
        Ok(output)
    }
}
