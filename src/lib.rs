//! Tessera: paint with a codebook learned from your own pictures.
//!
//! See ARCHITECTURE.md for the module map and the import rule that `tests/layers.rs` checks.

#[cfg(feature = "gui")]
pub mod app;
pub mod canvas;
pub mod codec;
pub mod dataset;
pub mod document;
pub mod engine;
pub mod error;
pub mod export;
pub mod foundation;
pub mod kernels;
pub mod model;
pub mod process;
pub mod progress;
pub mod project;
pub mod quilt;
#[cfg(feature = "gui")]
pub mod render;
pub mod settings;
pub mod train;
#[cfg(feature = "gui")]
mod ui;
pub mod version;
pub mod window_thread;
