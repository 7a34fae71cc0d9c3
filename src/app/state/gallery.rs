//! What the window holds of the dataset index: rows, thumbnails, and what was left out.

use std::collections::{BTreeMap, HashMap};

use eframe::egui::TextureHandle;

use crate::engine::PictureRole;
use crate::project::{PictureFilter, PictureId, PictureRow};

/// Rows of the dataset index that are in memory.
#[derive(Default)]
pub struct Gallery {
    pub filter: PictureFilter,
    /// Rows that the filter lets through; `None` until the first answer.
    pub total: Option<u64>,
    pub(in crate::app) chunks: BTreeMap<u64, Vec<PictureRow>>,
    pub(in crate::app) wanted_chunk: Option<u64>,
    pub(in crate::app) thumbnails: HashMap<PictureId, Thumbnail>,
    pub(in crate::app) clock: u64,
    /// The picture shown beside the others.
    pub selected: Option<PictureRow>,
    /// What training does to it, once it has been cut.
    pub crops: Option<CropsView>,
    /// Counts how often other crops of it were asked for.
    pub(in crate::app) crops_draw: u64,
    /// What was left out or taken back in since the project was opened, oldest first.
    pub(in crate::app) choices: Vec<Exclusion>,
    /// How many of those have not been taken back.
    pub(in crate::app) applied_choices: usize,
}

/// Pictures that were left out, or taken back in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Exclusion {
    pub pictures: Vec<PictureId>,
    pub excluded: bool,
}

/// Crops of a picture as training sees them.
pub struct CropsView {
    pub picture: PictureId,
    pub role: PictureRole,
    pub textures: Vec<TextureHandle>,
}

/// A thumbnail on the GPU; without a texture the picture has none that can be shown.
pub struct Thumbnail {
    pub texture: Option<TextureHandle>,
    pub(in crate::app) last_used: u64,
}

impl Gallery {
    /// Rows read at a time.
    pub const CHUNK: u64 = 256;
    pub const MAX_CHUNKS: usize = 16;
    pub const MAX_THUMBNAILS: usize = 600;

    /// The row at this place of the filtered list, where it has been read.
    pub fn row(&self, index: u64) -> Option<&PictureRow> {
        self.chunks
            .get(&(index / Self::CHUNK))?
            .get((index % Self::CHUNK) as usize)
    }

    /// Whether a choice of pictures can be taken back.
    pub fn can_undo(&self) -> bool {
        self.applied_choices > 0
    }

    /// Whether one that was taken back can be made again.
    pub fn can_redo(&self) -> bool {
        self.applied_choices < self.choices.len()
    }

    pub fn thumbnail(&self, picture: PictureId) -> Option<&Thumbnail> {
        self.thumbnails.get(&picture)
    }

    /// Rows and thumbnails in memory.
    pub fn kept(&self) -> (usize, usize) {
        let rows = self.chunks.values().map(Vec::len).sum();
        (rows, self.thumbnails.len())
    }
}
