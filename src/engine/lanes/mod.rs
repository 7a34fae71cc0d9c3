//! The threads behind the window, each with a queue of one kind of work, and what a job is and tells.

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
