//! The operators against their plain compositions and finite differences, and the optimiser.

#[path = "kernels/optimiser.rs"]
mod optimiser;
