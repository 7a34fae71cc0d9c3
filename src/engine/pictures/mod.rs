//! Pictures for jobs: read from files, found by content, held out from training, encoded once and kept.

pub mod album;
pub mod documents;
pub mod encodings;
pub mod held_out;
pub mod read;
pub mod samples;
