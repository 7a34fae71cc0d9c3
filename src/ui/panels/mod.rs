//! One file per panel: `fn show(ui, &State, &mut Commands)`, on a struct where it keeps something of its own.

pub mod brushes;
pub mod canvas;
pub mod codebook;
pub mod dataset;
pub mod export;
pub mod fill;
pub mod generate;
pub mod history;
pub mod layers;
pub mod legend;
pub mod palette;
pub mod reskin;
pub mod tabs;
pub mod timelapse;
mod tool_preview;
pub mod tools;
pub mod train;
