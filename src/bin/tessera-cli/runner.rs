//! Runs jobs on the worker and prints their events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tessera::engine::{EventKind, Job, Report, Worker};
use tessera::error::{Error, Kind, Result};
use tessera::progress::Stop;

use crate::print::Printer;

/// The exit code of a program that Ctrl-C ended.
pub const CANCELLED: u8 = 130;
/// How long to wait for an event before looking at Ctrl-C again.
const POLL: Duration = Duration::from_millis(100);

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
        let ticket = self.worker.submit(job)?;
        let id = ticket.job;
        loop {
            // A run that can be resumed keeps where it stands; any other job just ends.
            if INTERRUPTS.load(Ordering::Relaxed) > 0 || printer.has_lost_its_reader() {
                self.worker.stop(id, Stop::Pause);
            }
            let Some(event) = self.worker.events().pop(POLL) else {
                continue;
            };
            printer.event(&event);
            match event.kind {
                EventKind::Finished => {
                    let output = ticket.take().ok_or_else(|| {
                        let why = "the job finished without its result";
                        Error::new(
                            Kind::Internal,
                            "could not report",
                            why,
                            "Please report this",
                        )
                    })?;
                    printer.finished(id, &output);
                    return Ok(output);
                }
                EventKind::Cancelled { .. } => return Err(Error::cancelled()),
                EventKind::Failed { kind, notice } => {
                    return Err(Error {
                        kind,
                        notice: Box::new(notice),
                    });
                }
                _ => {}
            }
        }
    }
}
