//! Training pixels from several groups of pictures and from rules, in fixed shares.

use rayon::prelude::*;

use super::procedural::procedural;
use super::sample::Crops;
use crate::error::{Error, Notice, Result};

/// Where training takes its pixels from. What a step gets depends on its number alone, so that a run can be interrupted
/// anywhere and repeats.
pub trait BatchSource: Send + Sync {
    /// The pixels of a step, `batch × side × side × 4`, as in [`super::PixelWindow`].
    ///
    /// # Errors
    /// `NoPictures` where nothing can be read any more.
    fn batch(&self, step: u64) -> Result<Vec<f32>>;

    /// Warnings since the last call.
    fn take_warnings(&self) -> Vec<Notice>;

    /// Longer side of the pictures' working copies, px: a resumed run has to use the same.
    fn working_side_px(&self) -> u32;
}

impl BatchSource for Crops {
    fn batch(&self, step: u64) -> Result<Vec<f32>> {
        Crops::batch(self, step)
    }

    fn take_warnings(&self) -> Vec<Notice> {
        Crops::take_warnings(self)
    }

    fn working_side_px(&self) -> u32 {
        Crops::working_side_px(self)
    }
}

/// Groups of pictures, each with its share of the crops, whatever its size: a large folder does not drown the others.
pub struct Mixture {
    groups: Vec<(f64, Crops)>,
    /// Upper ends of the groups' shares in 0..1; what is left is procedural.
    ends: Vec<f64>,
    side_px: u32,
    batch_size: u32,
    seed: u64,
}

impl Mixture {
    /// `groups` have weights above 0 and were made for this side and batch size, each with its own seed.
    /// `procedural_weight` stands beside theirs.
    ///
    /// # Errors
    /// `Usage` for weights that are not finite, negative, or all 0.
    pub fn new(
        groups: Vec<(f64, Crops)>,
        procedural_weight: f64,
        side_px: u32,
        batch_size: u32,
        seed: u64,
    ) -> Result<Self> {
        let total: f64 = groups.iter().map(|(weight, _)| weight).sum::<f64>() + procedural_weight;
        let is_fine = |weight: f64| weight.is_finite() && weight >= 0.0;
        let all_fine = groups.iter().all(|(weight, _)| is_fine(*weight));
        if !(all_fine && is_fine(procedural_weight) && total > 0.0) {
            return Err(Error::usage(
                "could not mix the training pictures",
                "the weights of the groups must be numbers from 0 up, and not all 0",
                "Correct the weights",
            ));
        }
        let mut end = 0.0;
        let ends = groups
            .iter()
            .map(|(weight, _)| {
                end += weight / total;
                end
            })
            .collect();
        Ok(Self {
            groups,
            ends,
            side_px,
            batch_size,
            seed,
        })
    }

    /// The group that a place in the data order belongs to; `None` for procedural ones.
    fn group_at(&self, place: u64) -> Option<&Crops> {
        // Multiples of the golden ratio spread evenly: the shares hold over any few hundred crops, not just on average.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let at = place.wrapping_mul(GOLDEN).wrapping_add(self.seed);
        let at = (at >> 11) as f64 / (1u64 << 53) as f64;
        let group = self.ends.iter().position(|end| at < *end)?;
        Some(&self.groups[group].1)
    }

    fn crop(&self, step: u64, slot: u32) -> Result<Vec<f32>> {
        let place = step
            .wrapping_mul(u64::from(self.batch_size))
            .wrapping_add(u64::from(slot));
        match self.group_at(place) {
            Some(crops) => crops.crop(step, slot),
            None => {
                let picture = procedural(self.seed, place, self.side_px);
                let scaled = |v: &u8| f32::from(*v) * (2.0 / 255.0) - 1.0;
                Ok(picture.rgba.iter().map(scaled).collect())
            }
        }
    }
}

impl BatchSource for Mixture {
    fn batch(&self, step: u64) -> Result<Vec<f32>> {
        let crop_len = self.side_px as usize * self.side_px as usize * 4;
        let mut values = vec![0.0; crop_len * self.batch_size as usize];
        values
            .par_chunks_exact_mut(crop_len)
            .enumerate()
            .try_for_each(|(slot, out)| {
                out.copy_from_slice(&self.crop(step, slot as u32)?);
                Ok::<(), Error>(())
            })?;
        Ok(values)
    }

    fn take_warnings(&self) -> Vec<Notice> {
        let groups = self.groups.iter();
        groups
            .flat_map(|(_, crops)| crops.take_warnings())
            .collect()
    }

    fn working_side_px(&self) -> u32 {
        let sides = self.groups.iter().map(|(_, crops)| crops.working_side_px());
        sides.max().unwrap_or(self.side_px)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{CropSource, CropsConfig};

    /// A folder's crops: `count` plain pictures of one grey level.
    fn plain(folder: &std::path::Path, level: u8, count: u8) -> Crops {
        let sources = (0..count)
            .map(|i| {
                let path = folder.join(format!("{level}-{i}.png"));
                image::RgbImage::from_pixel(40, 40, image::Rgb([level; 3]))
                    .save(&path)
                    .unwrap();
                let bytes = std::fs::read(&path).unwrap();
                CropSource {
                    path,
                    content_hash: *blake3::hash(&bytes).as_bytes(),
                    width: 40,
                    height: 40,
                }
            })
            .collect();
        let config = CropsConfig {
            side_px: 16,
            batch_size: 8,
            ..CropsConfig::default()
        };
        Crops::new(sources, config).unwrap()
    }

    #[test]
    fn shares_hold_whatever_the_size_of_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let groups = vec![
            (0.5, plain(folder.path(), 250, 1)),
            (0.25, plain(folder.path(), 10, 6)),
        ];
        let mixture = Mixture::new(groups, 0.25, 16, 8, 3).unwrap();
        let (mut bright, mut dark, mut drawn) = (0, 0, 0);
        for step in 0..50 {
            let batch = mixture.batch(step).unwrap();
            assert_eq!(
                batch,
                mixture.batch(step).unwrap(),
                "the same step, the same pixels"
            );
            for crop in batch.chunks_exact(16 * 16 * 4) {
                let is_plain = |level: u8| {
                    let value = f32::from(level) * (2.0 / 255.0) - 1.0;
                    crop.chunks_exact(4).all(|p| (p[0] - value).abs() < 0.01)
                };
                if is_plain(250) {
                    bright += 1;
                } else if is_plain(10) {
                    dark += 1;
                } else {
                    drawn += 1;
                }
            }
        }
        assert!((195..=205).contains(&bright), "{bright} of 400");
        assert!((95..=105).contains(&dark), "{dark} of 400");
        assert!((95..=105).contains(&drawn), "{drawn} of 400");
    }

    #[test]
    fn weights_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        for (group, procedural) in [(0.0, 0.0), (-1.0, 2.0), (f64::NAN, 1.0)] {
            let groups = vec![(group, plain(folder.path(), 9, 1))];
            assert!(Mixture::new(groups, procedural, 16, 8, 0).is_err());
        }
    }
}
