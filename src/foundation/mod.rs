//! What every part of the program may use and what knows none of them: files that appear whole or not at all, which picture
//! formats there are, what a panic said, times as a person reads them, and paths as a person types them.
//!
//! # Limitations
//! A file that appears whole needs a rename within one folder: it is as safe as the file system makes that.

pub mod files;
pub mod formats;
pub mod panics;
pub mod time;
pub mod typed;
