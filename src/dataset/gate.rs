//! Keeps the memory that several decoders hold at once within a budget.

use std::sync::{Condvar, Mutex, PoisonError};

/// A counting gate in bytes. A request larger than the whole budget passes when nothing else is inside, so one big
/// picture is decoded alone rather than never.
pub(super) struct Gate {
    capacity: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

impl Gate {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            capacity: capacity_bytes,
            used: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    /// Waits for room.
    pub(super) fn enter(&self, bytes: u64) -> Permit<'_> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = self
            .freed
            .wait_while(used, |used| !self.fits(*used, bytes))
            .unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
        Permit { gate: self, bytes }
    }

    fn fits(&self, used: u64, bytes: u64) -> bool {
        used == 0 || used.saturating_add(bytes) <= self.capacity
    }
}

/// Room inside the gate, given back when dropped.
pub(super) struct Permit<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Permit<'_> {
    /// Takes more room if there is some now. It never waits: two passes waiting for each other would wait for ever.
    pub(super) fn try_grow(&mut self, more_bytes: u64) -> bool {
        let mut used = self
            .gate
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let others = used.saturating_sub(self.bytes);
        let fits = self
            .gate
            .fits(others, self.bytes.saturating_add(more_bytes));
        if fits {
            *used = used.saturating_add(more_bytes);
            self.bytes += more_bytes;
        }
        fits
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut used = self
            .gate
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(self.bytes);
        drop(used);
        self.gate.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn never_more_inside_than_fits() {
        let gate = Gate::new(100);
        let inside = AtomicU64::new(0);
        let most = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for t in 0..8u64 {
                let (gate, inside, most) = (&gate, &inside, &most);
                scope.spawn(move || {
                    for i in 0..200u64 {
                        let bytes = 10 + (t * 31 + i * 17) % 60;
                        let mut pass = gate.enter(bytes);
                        let mut held = bytes;
                        if pass.try_grow(20) {
                            held += 20;
                        }
                        let now = inside.fetch_add(held, Ordering::SeqCst) + held;
                        most.fetch_max(now, Ordering::SeqCst);
                        inside.fetch_sub(held, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 100);
        assert!(most.load(Ordering::SeqCst) > 60, "they did run at once");
        assert_eq!(*gate.used.lock().unwrap(), 0);
        drop(gate.enter(1_000)); // alone, it may pass
    }
}
