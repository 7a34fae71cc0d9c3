//! What the window holds of the dataset index: rows, thumbnails, and what was left out.

use std::collections::{BTreeMap, HashMap};

use eframe::egui::TextureHandle;

use crate::engine::PictureRole;
use crate::project::{PictureFilter, PictureId, PictureRow};

/// The rows of the dataset index that are in memory, and what is shown of them.
#[derive(Default)]
pub struct Gallery {
    /// Which rows are listed.
    pub filter: PictureFilter,
    /// How many rows the filter lets through; `None` until the first answer.
    pub total: Option<u64>,
    /// Rows that have been read, by their place divided by [`Gallery::CHUNK`].
    pub(in crate::app) chunks: BTreeMap<u64, Vec<PictureRow>>,
    /// The chunk that was asked for last and has not come.
    pub(in crate::app) wanted_chunk: Option<u64>,
    pub(in crate::app) thumbnails: HashMap<PictureId, Thumbnail>,
    /// Counts what was shown, to tell which thumbnails were seen last.
    pub(in crate::app) clock: u64,
    /// The picture shown beside the others.
    pub selected: Option<PictureRow>,
    /// Crops of the selected picture, once they have been cut.
    pub crops: Option<CropsView>,
    /// Counts how often other crops of the selected picture were asked for.
    pub(in crate::app) crops_draw: u64,
    /// What was left out or taken back in since the project was opened, oldest first.
    pub(in crate::app) choices: Vec<Exclusion>,
    /// How many of `choices`, from the oldest on, have not been taken back.
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
    /// Chunks kept; those farthest away are forgotten.
    pub const MAX_CHUNKS: usize = 16;
    /// Thumbnails kept; those not seen for longest are forgotten.
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

    /// How many rows and thumbnails are in memory.
    pub fn kept(&self) -> (usize, usize) {
        let rows = self.chunks.values().map(Vec::len).sum();
        (rows, self.thumbnails.len())
    }
}
