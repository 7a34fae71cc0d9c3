//! Says which thread draws the window, so that work which may take long can tell that it landed on it.
//!
//! Nothing on that thread touches a disk or a model: a frame has a few milliseconds. [`count_blocking`] stands where
//! files and models are worked on; a test drives everything at once and asserts that nothing was counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Marks the thread it is called on for as long as the guard lives.
pub fn mark() -> Guard {
    DRAWS.set(true);
    Guard {
        _not_send: std::marker::PhantomData,
    }
}

/// Unmarks its thread when dropped.
pub struct Guard {
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        DRAWS.set(false);
    }
}

/// Counts the call where it is made on a marked thread.
pub fn count_blocking(what: &str) {
    if DRAWS.get() {
        BLOCKED.fetch_add(1, Ordering::Relaxed);
        log::warn!("{what} was done on the thread that draws the window");
    }
}

/// How often [`count_blocking`] was called on a marked thread since the start.
pub fn blocking_calls() -> u64 {
    BLOCKED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_thread_counts_and_only_while_it_is_marked() {
        let before = blocking_calls();
        count_blocking("a test's work");
        assert_eq!(blocking_calls(), before);
        let guard = mark();
        count_blocking("a test's work");
        std::thread::scope(|scope| {
            scope.spawn(|| count_blocking("another thread's work"));
        });
        assert_eq!(blocking_calls(), before + 1);
        drop(guard);
        count_blocking("a test's work");
        assert_eq!(blocking_calls(), before + 1);
    }
}
