//! The project file's promises: what is stored survives, what cannot be opened is left untouched.
#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

#[path = "project_file/content.rs"]
mod content;
#[path = "project_file/coordinates.rs"]
mod coordinates;
#[path = "project_file/durability.rs"]
mod durability;
#[path = "project_file/hostile.rs"]
mod hostile;
#[path = "project_file/opening.rs"]
mod opening;
#[path = "project_file/pictures.rs"]
mod pictures;
#[path = "project_file/support.rs"]
mod support;
