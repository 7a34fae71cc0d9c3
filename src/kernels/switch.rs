//! Which form of the operators runs: the fused ones, or the plain compositions.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;

static PLAIN_OPS: AtomicBool = AtomicBool::new(false);

/// Switches the whole process to the plain compositions, to diagnose a machine on which the fused operators misbehave.
pub fn set_plain_ops(plain: bool) {
    PLAIN_OPS.store(plain, Ordering::Relaxed);
}

thread_local! {
    static PLAIN_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with the plain compositions, on this thread only: the reference that a device is checked against.
pub fn with_plain_ops<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLAIN_HERE.set(self.0);
        }
    }
    let _restore = Restore(PLAIN_HERE.replace(true));
    work()
}

/// Whether operators on `device` run as the fused ones of the CPU. [`super::cuda::runs_on`] says the same of an accelerator.
pub fn fused_on(device: &Device) -> bool {
    device.is_cpu() && !is_plain() && !is_stand_in()
}

pub(super) fn is_plain() -> bool {
    PLAIN_OPS.load(Ordering::Relaxed) || PLAIN_HERE.get()
}

thread_local! {
    /// Whether the CPU stands in for a card on this thread: tests only.
    static STAND_IN: Cell<bool> = const { Cell::new(false) };
}

/// Whether the CPU stands in for a card on this thread.
pub(super) fn is_stand_in() -> bool {
    STAND_IN.get()
}

/// Runs `work` with the CPU standing in for a card.
#[cfg(test)]
pub fn with_stand_in<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            STAND_IN.set(self.0);
        }
    }
    let _restore = Restore(STAND_IN.replace(true));
    work()
}
