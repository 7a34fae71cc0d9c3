//! Makes the next batch while the current step runs. Batches depend on their step alone, so this changes no result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded};
use rayon::Yield;

use crate::dataset::BatchSource;
use crate::error::{Error, Kind, Result};

/// How long a thread of the pool sleeps before it looks again whether the pool has work for it.
const NAP: Duration = Duration::from_millis(1);

/// The batches of steps `from`, `from + 1`, …, each made ahead by one step.
///
/// They are made on the pool of threads that this is used on, so that reading and decoding pictures has that pool's priority.
pub(crate) struct Batches {
    source: Arc<dyn BatchSource>,
    /// The step whose batch is being made.
    step: u64,
    ready: Receiver<Result<Vec<f32>>>,
}

impl Batches {
    pub fn starting_at(step: u64, source: Arc<dyn BatchSource>) -> Self {
        let ready = make(&source, step);
        Self {
            source,
            step,
            ready,
        }
    }

    /// The next step's pixels, `batch × side × side × 4`.
    ///
    /// # Errors
    /// As [`BatchSource::batch`]; `Internal` where making the batch panicked.
    pub fn next(&mut self) -> Result<Vec<f32>> {
        let batch = self.wait()?;
        self.step += 1;
        self.ready = make(&self.source, self.step);
        Ok(batch)
    }

    fn wait(&self) -> Result<Vec<f32>> {
        loop {
            match self.ready.try_recv() {
                Ok(batch) => return batch,
                Err(TryRecvError::Disconnected) => return Err(ended_early()),
                Err(TryRecvError::Empty) => {}
            }
            // The only thread of a pool has to make the batch itself: it must not just sleep.
            let waited = match rayon::yield_now() {
                Some(Yield::Executed) => continue,
                Some(Yield::Idle) => self.ready.recv_timeout(NAP),
                None => (self.ready.recv()).map_err(|_| RecvTimeoutError::Disconnected),
            };
            match waited {
                Ok(batch) => return batch,
                Err(RecvTimeoutError::Disconnected) => return Err(ended_early()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Batches {
    /// When the run is over, nobody reads its pictures any more.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.wait();
        }
    }
}

fn make(source: &Arc<dyn BatchSource>, step: u64) -> Receiver<Result<Vec<f32>>> {
    let (sender, ready) = bounded(1);
    let source = Arc::clone(source);
    rayon::spawn(move || {
        // A panic that leaves a task of its own would end the process.
        let batch = catch_unwind(AssertUnwindSafe(|| source.batch(step)));
        let _ = sender.send(batch.unwrap_or_else(|_| Err(ended_early())));
    });
    ready
}

fn ended_early() -> Error {
    Error::new(
        Kind::Internal,
        "could not load the next pictures",
        "loading them broke off because of a defect in Tessera",
        "Resume the run; if it happens again, report it with the log",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use rayon::prelude::*;

    use super::*;
    use crate::error::Notice;

    /// Gives the step's number, and notes the threads that its work runs on.
    #[derive(Default)]
    struct Counting {
        threads: Mutex<BTreeSet<String>>,
    }

    impl Counting {
        fn note(&self) {
            let name = std::thread::current().name().unwrap_or("?").to_owned();
            self.threads.lock().unwrap().insert(name);
        }
    }

    impl BatchSource for Counting {
        fn batch(&self, step: u64) -> Result<Vec<f32>> {
            self.note();
            assert!(step != 7, "a defect");
            (0..64).into_par_iter().for_each(|_| self.note());
            Ok(vec![step as f32])
        }

        fn take_warnings(&self) -> Vec<Notice> {
            Vec::new()
        }

        fn working_side_px(&self) -> u32 {
            16
        }
    }

    #[test]
    fn batches_come_in_order_from_the_pool_that_asks_whatever_its_size() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|number| format!("mine-{number}"))
                .build()
                .unwrap();
            let source = Arc::new(Counting::default());
            let found = pool.install(|| {
                let mut batches = Batches::starting_at(2, source.clone());
                [(); 4].map(|()| batches.next().unwrap()[0])
            });
            assert_eq!(found, [2.0, 3.0, 4.0, 5.0]);
            let seen = source.threads.lock().unwrap();
            assert!(
                seen.iter().all(|name| name.starts_with("mine-")),
                "{seen:?}"
            );
        }
    }

    #[test]
    fn a_panic_while_loading_is_an_error_of_the_run() {
        let mut batches = Batches::starting_at(6, Arc::new(Counting::default()));
        assert_eq!(batches.next().unwrap(), [6.0]);
        assert_eq!(batches.next().unwrap_err().kind, Kind::Internal);
    }
}
