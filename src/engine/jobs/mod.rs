//! What each job does, one file each.

pub mod data;
pub mod diagnose;
pub mod document;
pub mod export;
pub mod train;
