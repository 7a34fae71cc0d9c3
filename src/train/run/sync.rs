//! What several processes that train one model together have to agree on in every step.
//!
//! *Limitations.* Dead codes are replaced by vectors of the batch at hand, and a discriminator takes its own step before the
//! codec's: an implementation for several processes has to give all of them the same of both.

use candle_core::Tensor;

use crate::codec::CodebookSums;
use crate::error::Result;
use crate::kernels::Grads;

/// What one process brings, between [`crate::train::run::task::Task::step`] and [`crate::train::run::task::Task::apply`].
pub struct Shared<'a> {
    /// To become their mean over all processes.
    pub grads: &'a mut Grads,
    /// Scalars; likewise. They may still be on their way from an accelerator.
    pub figures: Vec<&'a mut Tensor>,
    /// To become their sum over all processes.
    pub codebooks: Vec<&'a mut CodebookSums>,
}

/// Brings what each process found in a step together, in an order that does not depend on who is fastest.
pub trait GradSync: Send {
    /// # Errors
    /// When another process cannot be reached.
    fn reduce(&mut self, step: Shared<'_>) -> Result<()>;
}

/// One process, which agrees with itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl GradSync for Alone {
    fn reduce(&mut self, _: Shared<'_>) -> Result<()> {
        Ok(())
    }
}
