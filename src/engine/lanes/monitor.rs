//! A state that threads share and wait for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A state behind a lock, and a signal that it has changed.
///
/// Every change must be a few whole assignments, pushes or pops: then a holder that panicked leaves the state sound, and the lock is
/// taken all the same.
#[derive(Debug, Default)]
pub(super) struct Monitor<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that the state has changed.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Lets the state go until it has changed.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the state go until it has changed, or for so long.
    pub(super) fn wait_for<'a>(
        &self,
        state: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        let woken = self.changed.wait_timeout(state, timeout);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}
