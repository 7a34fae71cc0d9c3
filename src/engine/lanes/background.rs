//! Long computing that gives way to the window and to painting.

/// How far training stands back, on the scale of `nice`: a thread at 0 gets about nine times as much of a busy core.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work`, and what it computes in parallel, on threads of its own that the system runs after others: the pool that
/// decodes strokes stays free, and drawing the window takes what it needs. (On Linux; elsewhere the threads are its own,
/// with the usual priority.)
pub(crate) fn in_background<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|number| format!("tessera-train-{number}"))
        .start_handler(|_| stand_back())
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(error) => {
            log::warn!("training shares its threads with painting: {error}");
            work()
        }
    }
}

fn stand_back() {
    #[cfg(target_os = "linux")]
    if niceness() < NICENESS {
        // SAFETY: sets one number of the calling thread, which 0 names.
        let status = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
        if status != 0 {
            let error = std::io::Error::last_os_error();
            log::warn!("training has the priority of painting: {error}");
        }
    }
}

/// The calling thread's niceness; somebody may have started the whole program with less priority.
#[cfg(target_os = "linux")]
fn niceness() -> i32 {
    // SAFETY: reads one number of the calling thread, which 0 names.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use candle_core::Device;
    use rayon::prelude::*;

    use super::*;
    use crate::codec::{Codec, CodecConfig};
    use crate::dataset::{BatchSource, CropSource, Crops};
    use crate::error::{Notice, Result};
    use crate::train::{Budget, Checkpoint, Pictures, Run, TrainConfig, TrainSink};

    #[test]
    fn work_runs_on_other_threads_and_gives_its_result() {
        let here = std::thread::current().id();
        let (there, threads) = in_background(|| {
            let threads = rayon::broadcast(|_| std::thread::current().id());
            (std::thread::current().id(), threads)
        });
        assert_eq!(threads.len(), rayon::current_num_threads());
        assert!(threads.contains(&there) && !threads.contains(&here));
    }

    /// A run's pictures, with the names of the threads that load them.
    struct Witnessed {
        crops: Crops,
        threads: Mutex<BTreeSet<String>>,
    }

    impl Witnessed {
        fn note(&self) {
            let name = std::thread::current().name().unwrap_or("?").to_owned();
            self.threads.lock().unwrap().insert(name);
        }
    }

    impl BatchSource for Witnessed {
        fn batch(&self, step: u64) -> Result<Vec<f32>> {
            self.note();
            // As the crops are spread over the threads.
            (0..64).into_par_iter().for_each(|_| self.note());
            self.crops.batch(step)
        }

        fn take_warnings(&self) -> Vec<Notice> {
            self.crops.take_warnings()
        }

        fn working_side_px(&self) -> u32 {
            self.crops.working_side_px()
        }
    }

    struct Nothing;

    impl TrainSink for Nothing {
        fn checkpoint(&mut self, _: Checkpoint) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn training_loads_its_pictures_on_its_own_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.png");
        image::RgbImage::from_fn(48, 48, |x, y| image::Rgb([(x * 5) as u8, (y * 5) as u8, 9]))
            .save(&path)
            .unwrap();
        let sources = vec![CropSource {
            content_hash: *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes(),
            path,
            width: 48,
            height: 48,
        }];
        let config = TrainConfig {
            budget: Budget::Steps(3),
            batch: 2,
            crop_px: 32,
            ..TrainConfig::default()
        };
        let source = Arc::new(Witnessed {
            crops: Crops::new(sources.clone(), config.crops(None)).unwrap(),
            threads: Mutex::default(),
        });
        let pictures = Pictures {
            train: sources,
            ..Pictures::default()
        };
        let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
        let mut run = Run::from_scratch(codec, config, pictures)
            .unwrap()
            .with_batches(source.clone());
        in_background(|| run.run(&mut Nothing, &())).unwrap();
        let threads = source.threads.lock().unwrap();
        assert!(!threads.is_empty());
        assert!(
            threads
                .iter()
                .all(|name| name.starts_with("tessera-train-")),
            "{threads:?}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn its_threads_stand_back_and_no_others() {
        let before = niceness();
        let inside = in_background(|| rayon::broadcast(|_| niceness()));
        assert!(inside.iter().all(|nice| *nice >= NICENESS), "{inside:?}");
        assert_eq!(niceness(), before);
        let usual = rayon::broadcast(|_| niceness());
        assert!(usual.iter().all(|nice| *nice == before), "{usual:?}");
    }
}
