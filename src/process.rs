//! What a Tessera process sets up before anything else, and what memory it has used.
//!
//! Training allocates and frees the same large buffers at every step. A buffer whose pages went back to the system is
//! cleared by the kernel page by page when it is next used (benches/README.md has what that costs).

use std::ptr::null_mut;

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t, mi_process_info};

/// Every program and test over this library allocates with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the crate leaves out.
const PURGE_DELAY: mi_option_t = 15;
/// Freed memory stays with the process this long. mimalloc's own second is about one training step.
const PURGE_DELAY_MSECS: std::ffi::c_long = 20_000;

/// candle's own threads, for element-wise operators. They wait for each other by spinning, which takes the processor
/// from the threads of the fused operators; those run most of the work, and matrix products do not use candle's.
const CANDLE_THREADS: (&str, &str) = ("CANDLE_NUM_THREADS", "1");

/// Sets a program up for work that repeats. Called first in `main`, while there is one thread. `MIMALLOC_PURGE_DELAY` and
/// `CANDLE_NUM_THREADS` in the environment have precedence.
pub fn configure() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets one number, which the allocator reads whenever it frees.
        unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MSECS) };
    }
    let (name, threads) = CANDLE_THREADS;
    if std::env::var_os(name).is_none() {
        // SAFETY: no other thread reads the environment, as there is none yet.
        unsafe { std::env::set_var(name, threads) };
    }
}

/// Hands pages that nothing uses back to the system, at once.
pub fn give_memory_back() {
    // SAFETY: frees only what the allocator holds back; any thread may ask for it at any time.
    unsafe { mi_collect(true) };
}

/// The most memory the process has had in use so far (resident set), in bytes.
pub fn peak_bytes() -> u64 {
    resident_bytes().1
}

/// Memory that the process has in use (resident set), in bytes.
pub fn memory_bytes() -> u64 {
    // The allocator knows the present figure only by what it asked for; Linux counts pages.
    #[cfg(target_os = "linux")]
    if let Ok(text) = std::fs::read_to_string("/proc/self/status")
        && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))
        && let Some(kib) = line.trim().split(' ').next()
        && let Ok(kib) = kib.parse::<u64>()
    {
        return kib * 1024;
    }
    resident_bytes().0
}

/// Now and at most, in bytes.
fn resident_bytes() -> (u64, u64) {
    let (mut now, mut peak) = (0, 0);
    let none = null_mut;
    // SAFETY: every pointer is null, which is allowed, or points to a number of this frame.
    unsafe {
        mi_process_info(
            none(),
            none(),
            none(),
            &raw mut now,
            &raw mut peak,
            none(),
            none(),
            none(),
        );
    }
    (now as u64, peak as u64)
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: reads one number.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(get(), 1000, "mimalloc's default has another place or value");
        }
    }

    #[test]
    fn memory_in_use_grows_with_what_is_written() {
        let before = memory_bytes();
        let block = vec![1u8; 64 << 20];
        let after = memory_bytes();
        assert!(after >= before + block.len() as u64 / 2, "{before} {after}");
        assert!(peak_bytes() + (8 << 20) >= after);
    }

    #[test]
    fn the_peak_grows_with_what_is_written() {
        let before = peak_bytes();
        assert!(before > 1 << 20, "{before}");
        let block = vec![1u8; before as usize + (16 << 20)];
        assert!(peak_bytes() >= block.len() as u64, "{before}");
    }
}
