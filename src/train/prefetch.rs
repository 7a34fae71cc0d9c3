//! Makes the next batch while the current step runs. Batches depend on their step alone, so this changes no result.

use crossbeam_channel::{Receiver, bounded};

use crate::dataset::BatchSource;
use crate::error::{Error, Kind, Result};

/// Batches that wait at most.
const AHEAD: usize = 1;

/// Calls `consume` with a source of the batches of steps `from`, `from + 1`, … The thread ends with it.
pub(super) fn with_batches<T>(
    source: &dyn BatchSource,
    from: u64,
    consume: impl FnOnce(&mut Batches) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = bounded(AHEAD);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("training data".to_owned())
            .spawn_scoped(scope, move || {
                for step in from.. {
                    let batch = source.batch(step);
                    let is_last = batch.is_err();
                    // A closed channel: the run is over.
                    if sender.send(batch).is_err() || is_last {
                        break;
                    }
                }
            })
            .map_err(|error| {
                Error::new(
                    Kind::Internal,
                    "could not start loading pictures",
                    error.to_string(),
                    "Close other programs and try again",
                )
            })?;
        // Owned here, so that it closes before the scope waits for the thread.
        let mut batches = Batches(receiver);
        consume(&mut batches)
    })
}

pub(super) struct Batches(Receiver<Result<Vec<f32>>>);

impl Batches {
    /// The next step's pixels, `batch × side × side × 4`.
    pub fn next(&mut self) -> Result<Vec<f32>> {
        self.0.recv().unwrap_or_else(|_| {
            Err(Error::new(
                Kind::Internal,
                "could not load the next pictures",
                "the loading thread ended early",
                "Resume the run; if it happens again, report it with the log",
            ))
        })
    }
}
