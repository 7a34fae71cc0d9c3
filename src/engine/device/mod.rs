//! Where the model computes: the choice of a device, its self-test, and what was found before.
//!
//! # Limitations
//! One device at a time. A self-test compares with the CPU on small inputs; it finds operators that are wrong, not memory that fails
//! later.

pub mod choice;
pub mod precision;
pub mod selftest;
pub mod verdicts;
