//! Jobs that write files other than one finished picture: codes, swatches, brushes, timelapses.

pub mod brushes;
pub mod codebook;
pub mod codes;
pub mod timelapse;
