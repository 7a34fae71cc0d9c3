//! What the tools know of a model's codes.

pub mod companions;
pub mod vectors;
