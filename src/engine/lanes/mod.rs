//! The threads behind the window, each with a queue of one kind of work, and what a job is and tells.
//!
//! # Limitations
//! A job that computes on the CPU's own threads shares them with every other: lanes order work, they do not divide the machine. Stopping
//! is asked for and takes as long as a job's next look.

pub mod background;
pub mod decode_lane;
pub mod desk;
pub mod event;
pub mod job;
pub mod journal;
mod monitor;
pub mod queue;
pub mod storage;
pub mod texture_lane;
pub mod thread;
pub mod worker;
