//! How good a model is, and how fast it trains.

pub mod evaluate;
pub mod metrics;
pub mod quality;
pub mod retrieval;
pub mod rivals;
pub mod step_time;
