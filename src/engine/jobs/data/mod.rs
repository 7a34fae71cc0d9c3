//! Jobs on the pictures that a project learns from.

pub mod crops;
pub mod files;
pub mod import;
pub mod index;
