//! Jobs on pictures at work: opening, making, editing and exporting them.

pub mod canvas;
pub mod carry;
pub mod companions;
pub mod edit;
pub mod generate;
pub mod replace;
pub mod reskin;
pub mod session;
pub mod thumbnails;
