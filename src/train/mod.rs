//! Training a codec: losses, schedule, measures and the one visible loop.

pub mod eta;
pub mod losses;
pub mod metrics;
mod pyramid;
pub mod schedule;
