//! The codes of a model as swatches.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use crate::document::Level;
use crate::engine::Palette;

/// The codes of the model in hand, as swatches.
pub struct PaletteView {
    pub palette: Arc<Palette>,
    pub(in crate::app) structure: TextureHandle,
    pub(in crate::app) detail: TextureHandle,
    /// Of the code in hand.
    pub exemplars: Option<ExemplarView>,
}

impl PaletteView {
    /// All swatches of a level in one texture.
    pub fn atlas(&self, level: Level) -> &TextureHandle {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }
}

/// Where in the artist's pictures a code stands.
pub struct ExemplarView {
    pub level: Level,
    pub code: u16,
    pub textures: Vec<TextureHandle>,
}
