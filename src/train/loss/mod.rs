//! What a step minimises.

pub mod contrast;
pub mod critic;
pub mod losses;
pub mod pyramid;
