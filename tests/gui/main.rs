//! The window without a display: what a user does, by the names that a screen reader would say.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod access;
mod brushes;
mod codes;
#[path = "../common/mod.rs"]
mod common;
mod dataset;
mod documents;
mod generate;
mod lanes;
mod layers;
mod models;
mod pages;
mod paint;
mod session;
mod shaders;
mod support;
mod tools;
mod train;
mod whole;
