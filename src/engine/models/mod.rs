//! The models that jobs use: loading one, its codes as a palette, and which details go with which structure.

pub mod companions;
pub mod loading;
pub mod palette;
