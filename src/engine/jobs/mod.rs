//! What each job does, one file each.

pub mod bench;
pub mod brushes;
pub mod canvas;
pub mod carry;
pub mod codebook;
pub mod codes;
pub mod companions;
pub mod crops;
pub mod edit;
pub mod files;
pub mod generate;
pub mod import;
pub mod index;
pub mod info;
pub mod project;
pub mod quality;
pub mod reconstruct;
pub mod replace;
pub mod reskin;
pub mod selftest;
pub mod session;
pub mod thumbnails;
pub mod timelapse;
pub mod train;
pub mod train_base;
