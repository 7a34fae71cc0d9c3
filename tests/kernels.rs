//! The operators against their plain compositions and finite differences, and the optimiser.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "kernels/block.rs"]
mod block;
#[path = "kernels/chain.rs"]
mod chain;
#[path = "kernels/common.rs"]
mod common;
#[path = "kernels/optimiser.rs"]
mod optimiser;
#[path = "kernels/pointwise.rs"]
mod pointwise;
