//! Code grids to pixels: windows of a canvas, decoded alone and composited with the source.
//!
//! A change of codes reaches a finite number of pixels (the halo), so an edit costs what its window
//! costs, whatever the size of the canvas; and what lies outside is never touched.
//!
//! # Limitations
//! Layers that are blended are decoded as often as there are strengths of them. What a change reaches is what it can reach by the
//! model's receptive field, not where pixels really come out different.

mod cache;
mod composite;
mod cut;
mod decode;
mod influence;
mod live;
mod map;
pub mod measure;
mod open;
mod passes;
mod residual;
mod stages;
mod window;

pub use composite::{Version, WindowDecoder, render};
pub use decode::{Chain, Reach};
pub use influence::Edits;
pub use live::{LiveCanvas, Patch};
pub use map::render_map;
pub use open::{encode, open, padding_of};
pub use passes::render_document;
pub use stages::Direct;

use crate::document::Document;

impl Document {
    /// What compositing needs to know of the document, where its layers are not blended.
    pub fn edits(&self) -> Edits<'_> {
        Edits {
            geometry: self.geometry(),
            wrap: self.wrap(),
            encoded: self.encoded(),
            edited: self.edited(),
            coordinates: self.coordinates(),
            sources: self.sources(),
        }
    }
}
