//! Where the model computes: the choice of a device, its self-test, and what was found before.

pub mod choice;
pub mod precision;
pub mod selftest;
pub mod verdicts;
