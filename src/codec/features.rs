//! What the network and the heads beside it share.

use candle_core::Tensor;

/// What the encoder sees.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    /// `[n, h, w, c]` at the detail stage.
    pub detail: Tensor,
    /// `[n, h/16, w/16, c]`.
    pub coarsest: Tensor,
}
