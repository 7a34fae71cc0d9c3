//! Pixels and grids of codes, and where things are on them.

pub mod codes;
pub mod coordinates;
pub mod dirty;
pub mod geometry;
pub mod raster;
pub mod source;
pub mod sparse;
pub mod turn;
