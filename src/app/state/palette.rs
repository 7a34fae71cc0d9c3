//! The codes of a model as swatches.

use std::sync::Arc;

use eframe::egui::TextureHandle;

use crate::document::Level;
use crate::engine::Palette;

/// The codes of one model, as swatches.
pub struct PaletteView {
    pub palette: Arc<Palette>,
    pub(in crate::app) structure: TextureHandle,
    pub(in crate::app) detail: TextureHandle,
    /// Patches of the artist's pictures with the code in hand, where they were looked for.
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

/// Patches of the artist's pictures in which a code stands.
pub struct ExemplarView {
    pub level: Level,
    pub code: u16,
    pub textures: Vec<TextureHandle>,
}
