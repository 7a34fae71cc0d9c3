//! Scratch buffers that are kept between operators and steps. Fresh ones cost the kernel's clearing of new pages,
//! which took a fifth of the training step.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// At most this many values (512 MiB) stay in the pool; beyond it, buffers are freed.
const MAX_KEPT_VALUES: usize = 128 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    kept_values: 0,
});

struct Pool {
    free: Vec<Vec<f32>>,
    kept_values: usize,
}

fn lock() -> MutexGuard<'static, Pool> {
    // Only whole buffers go in and out, so a panic elsewhere leaves the pool sound.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees what no operator holds at the moment.
pub fn free_scratch() {
    let mut pool = lock();
    pool.kept_values = 0;
    let free = std::mem::take(&mut pool.free);
    drop(pool);
    drop(free);
}

/// Values that go back to the pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    /// At least `len` of them. What lies beyond stays written to, so that a later taker of more need not.
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// Holds whatever its last user left: the taker writes before it reads.
    pub(super) fn dirty(len: usize) -> Self {
        let mut pool = lock();
        // The smallest that fits, unless it would waste more than it serves.
        let best = (0..pool.free.len())
            .filter(|&i| (len..=2 * len + 4096).contains(&pool.free[i].capacity()))
            .min_by_key(|&i| pool.free[i].capacity());
        let mut values = match best {
            Some(i) => {
                let values = pool.free.swap_remove(i);
                pool.kept_values -= values.capacity();
                values
            }
            None => Vec::new(),
        };
        drop(pool);
        if values.len() < len {
            values.resize(len, 0.0);
        }
        Self { values, len }
    }

    /// Takes a vector over, to go to the pool in the end.
    pub(super) fn from_vec(values: Vec<f32>) -> Self {
        let len = values.len();
        Self { values, len }
    }

    /// For good: candle frees what it is given.
    pub(super) fn into_vec(mut self) -> Vec<f32> {
        let mut values = std::mem::take(&mut self.values);
        values.truncate(self.len);
        values
    }

    pub(super) fn zeroed(len: usize) -> Self {
        let mut buffer = Self::dirty(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let capacity = values.capacity();
        if capacity == 0 {
            return;
        }
        let mut pool = lock();
        if pool.kept_values + capacity <= MAX_KEPT_VALUES {
            pool.kept_values += capacity;
            pool.free.push(values);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}
