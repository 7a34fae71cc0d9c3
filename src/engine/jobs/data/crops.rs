//! What fine-tuning does with one picture, to look at.

use crate::codec::pixels;
use crate::dataset::{CropSource, Crops};
use crate::document::{Raster, Samples};
use crate::engine::jobs::train::fine_tune::usable_pictures;
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::error::{Kind, Result};
use crate::progress::Observer;
use crate::project::PictureId;
use crate::train::{Pictures, TrainConfig};

/// Crops shown at a time.
const COUNT: u32 = 8;

/// Cuts crops of a picture as a run with this config would.
pub struct CropsJob {
    pub project: Storage,
    pub picture: PictureId,
    pub config: Box<TrainConfig>,
    /// Another number gives other crops.
    pub round: u64,
}

/// What fine-tuning uses a picture for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureRole {
    Learning,
    /// Scores are measured on it; nothing is learned from it.
    HeldOut,
    LeftOut,
}

/// Crops of one picture.
pub struct CropSheet {
    pub picture: PictureId,
    pub role: PictureRole,
    /// Square, as the codec gets them.
    pub crops: Vec<Raster>,
}

impl Job for CropsJob {
    type Output = CropSheet;
    const LANE: Lane = Lane::Foreground;
    const IS_QUIET: bool = true;

    fn title(&self) -> &'static str {
        "Cutting crops of a picture"
    }

    fn run(self, context: &JobContext) -> Result<CropSheet> {
        let id = self.picture;
        let row = self.project.call(move |project| project.picture(id))?;
        let usable = match usable_pictures(&self.project) {
            Err(error) if error.kind == Kind::NoPictures => Pictures::default(),
            other => other?,
        };
        context.check()?;
        let is_it = |source: &CropSource| source.path == row.path;
        let place = usable.train.iter().position(is_it);
        let role = match place {
            Some(_) => PictureRole::Learning,
            None if usable.held_out.iter().any(is_it) => PictureRole::HeldOut,
            None => PictureRole::LeftOut,
        };
        // Small pictures share a crop with others, so that all of them are needed.
        let mut sources = usable.train;
        let index = place.unwrap_or_else(|| {
            sources.push(CropSource {
                path: row.path.clone(),
                content_hash: row.blake3.0,
                width: row.width,
                height: row.height,
            });
            sources.len() - 1
        });
        let side = self.config.crop_px;
        let crops = Crops::new(sources, self.config.crops(None))?;
        let crops = (0..COUNT)
            .map(|slot| {
                context.check()?;
                let values = crops.crop_of(index, self.round, slot)?;
                let (values, _) = values.as_chunks::<4>();
                let rgba = values.iter().flat_map(|&p| pixels::to_rgba8(p)).collect();
                Raster::new(side, side, Samples::Rgba8(rgba))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(CropSheet {
            picture: id,
            role,
            crops,
        })
    }
}
