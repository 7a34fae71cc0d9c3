//! A block's weights with norm and layer scale in them, kept until a parameter changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use candle_core::Result;

use super::machine::Memory;

/// The weights with gain and scale in them.
#[derive(Debug)]
pub(super) struct Folded {
    /// `[hidden, c]`
    pub up: Memory,
    /// `[c, hidden]`
    pub down: Memory,
    /// `[c]`
    pub bias: Memory,
}

/// Folded weights by the thread that made them, whose stream alone knows when they are there.
#[derive(Debug, Default)]
pub(in crate::kernels) struct FoldCell(Mutex<Vec<Fold>>);

#[derive(Debug)]
struct Fold {
    thread: ThreadId,
    /// Of what they were made from.
    versions: [u64; 2],
    weights: Arc<Folded>,
}

impl FoldCell {
    pub(super) fn get(
        &self,
        versions: [u64; 2],
        make: impl FnOnce() -> Result<Folded>,
    ) -> Result<Arc<Folded>> {
        // Whole entries come and go.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = std::thread::current().id();
        let found = kept.iter().position(|fold| fold.thread == own);
        if let Some(index) = found {
            if kept[index].versions == versions {
                return Ok(Arc::clone(&kept[index].weights));
            }
            kept.swap_remove(index);
        }
        let folded = Arc::new(make()?);
        kept.push(Fold {
            thread: own,
            versions,
            weights: Arc::clone(&folded),
        });
        Ok(folded)
    }
}
