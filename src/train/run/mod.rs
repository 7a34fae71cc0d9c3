//! A run: its budget and schedule, its checkpoints and states, and what a step of the codec is.
//!
//! [`training`] is the loop of any [`task::Task`]; [`codec_task`] is the one task so far. Limitations: one process
//! ([`sync`] is where several would meet), one model at a time.

pub mod codec_task;
pub mod config;
pub mod eta;
pub mod prefetch;
pub mod report;
pub mod schedule;
pub mod sink;
pub mod state;
pub mod sync;
pub mod task;
pub mod training;
