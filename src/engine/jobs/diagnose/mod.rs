//! Jobs that look and measure, and change nothing.

pub mod bench;
pub mod info;
pub mod project;
pub mod quality;
pub mod reconstruct;
pub mod selftest;
