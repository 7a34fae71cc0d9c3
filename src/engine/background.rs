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

/// Of the calling thread; somebody may have started the whole program with less priority.
#[cfg(target_os = "linux")]
fn niceness() -> i32 {
    // SAFETY: reads one number of the calling thread, which 0 names.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
