//! Long computing that gives way to the window and to painting.

/// How far training stands back, on the scale of `nice`: a thread at 0 gets about nine times as much of a busy core.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work`, and what it computes in parallel, on threads of its own that the system runs after others: the pool that
/// decodes strokes stays free, and drawing the window takes what it needs. (On Linux; elsewhere the threads are its own,
/// with the usual priority.)
pub(super) fn in_background<R: Send>(work: impl FnOnce() -> R + Send) -> R {
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
    // SAFETY: sets one number of the calling thread; 0 names it.
    #[cfg(target_os = "linux")]
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0 {
        let error = std::io::Error::last_os_error();
        log::warn!("training has the priority of painting: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_other_threads_and_gives_its_result() {
        let here = std::thread::current().id();
        let (there, threads) = in_background(|| {
            let numbers = rayon::broadcast(|_| niceness());
            (std::thread::current().id(), numbers)
        });
        assert_ne!(here, there);
        assert_eq!(threads.len(), rayon::current_num_threads());
        #[cfg(target_os = "linux")]
        {
            assert!(threads.iter().all(|nice| *nice >= NICENESS), "{threads:?}");
            assert!(niceness() < NICENESS, "only there");
        }
    }

    fn niceness() -> i32 {
        #[cfg(target_os = "linux")]
        // SAFETY: reads one number of the calling thread.
        return unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        #[cfg(not(target_os = "linux"))]
        0
    }
}
