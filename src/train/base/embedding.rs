//! Teaches a trained codec's head of words that parts of one picture belong together; the rest of the codec stays as it is.

use std::sync::Arc;

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::codec::{Codec, WordsHead};
use crate::dataset::BatchSource;
use crate::error::{Error, Result};
use crate::kernels::{AdamW, AdamWConfig, read_scalars};
use crate::progress::Observer;
use crate::train::loss::losses::info_nce;
use crate::train::run::prefetch::Batches;
use crate::train::run::schedule::Schedule;

/// Divides similarities, which lie between 0 and 1.
const TEMPERATURE: f64 = 0.05;

/// Settings of the head and of its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingTraining {
    pub head: WordsHead,
    pub seed: u64,
    pub steps: u64,
    /// Pictures per step; each is to be told from all others of its step.
    pub batch: u32,
    /// Side of a picture's crop, whose left and right half shall find each other; a multiple of 32, px.
    pub crop_px: u32,
    pub learning_rate: f64,
}

impl EmbeddingTraining {
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = if self.batch < 2 {
            Some(format!("batch is {}, it must be 2 or more", self.batch))
        } else if self.crop_px == 0 || !self.crop_px.is_multiple_of(32) {
            Some(format!(
                "crop_px is {}, it must be a multiple of 32",
                self.crop_px
            ))
        } else if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let rate = self.learning_rate;
            Some(format!("learning_rate is {rate}, it must be above 0"))
        } else {
            None
        };
        wrong.map_or(Ok(()), |why| {
            let why = format!("its embedding's {why}");
            Err(Error::usage(
                "could not use the recipe",
                why,
                "Correct the recipe",
            ))
        })
    }
}

/// `codec` with a head of words, trained on pictures of `source` (batches of [`EmbeddingTraining::batch`] crops). `told` hears each
/// step and its loss in nats: `ln batch` where the head knows nothing.
///
/// # Errors
/// `Limit` for a head out of bounds, `NoPictures`, `Cancelled`.
pub fn train_embedding(
    codec: &Codec,
    settings: &EmbeddingTraining,
    source: Arc<dyn BatchSource>,
    observer: &dyn Observer,
    mut told: impl FnMut(u64, f64),
) -> Result<Codec> {
    let mut codec = codec.with_words(settings.head, settings.seed)?;
    let (batch, side) = (settings.batch as usize, settings.crop_px as usize);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let config = AdamWConfig {
        weight_decay: 0.0,
        lr_scales: vec![(String::new(), 0.0), ("embedding.".to_owned(), 1.0)],
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(codec.params(), &config)?;
    let schedule = Schedule::default();
    let mut batches = Batches::starting_at(0, source);
    for step in 0..settings.steps {
        observer.check()?;
        observer.progress(step, settings.steps);
        let pixels = (batches.next()?, (batch, side, side, 4));
        let pixels = Tensor::from_vec(pixels.0, pixels.1, codec.device())?;
        let half = |left: usize| -> Result<Tensor> {
            let half = pixels.narrow(2, left, side / 2)?.contiguous()?;
            codec.word_cells(&half)
        };
        let halves = [half(0)?, half(side / 2)?];
        if step == 0 {
            codec.start_words(&halves[0], rng.next_u64(), observer)?;
        }
        let [left, right] = halves.map(|cells| codec.embed_words(&cells));
        let loss = info_nce(&left?, &right?, TEMPERATURE)?;
        let grads = codec.params().backward(&loss)?;
        let factor = schedule.factor(step, step as f64 / settings.steps as f64);
        optimizer.step(&grads, settings.learning_rate * factor)?;
        told(step + 1, read_scalars(&[&loss.detach()])?[0]);
    }
    // It comes from a file, and adding to what is no object would panic.
    let training = &mut codec.info.training;
    if !training.is_object() {
        *training = serde_json::json!({});
    }
    training["embedding"] = serde_json::json!(settings);
    Ok(codec)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::codec::CodecConfig;
    use crate::error::Notice;

    /// Four pictures of grey grain, each of its own strength: their colours do not tell them apart.
    struct Grain;

    impl BatchSource for Grain {
        fn batch(&self, step: u64) -> Result<Vec<f32>> {
            let mut rng = ChaCha8Rng::seed_from_u64(step);
            let mut values = Vec::new();
            for strength in [0.05, 0.2, 0.4, 0.8] {
                for _ in 0..32 * 32 {
                    let light = rng.next_u32().is_multiple_of(2);
                    let shade = if light { strength } else { -strength };
                    values.extend([shade, shade, shade, 1.0]);
                }
            }
            Ok(values)
        }

        fn take_warnings(&self) -> Vec<Notice> {
            Vec::new()
        }

        fn working_side_px(&self) -> u32 {
            32
        }
    }

    #[test]
    fn the_words_learn_and_nothing_else_does() {
        let before = Codec::new(CodecConfig::tiny(), 2, &Device::Cpu).unwrap();
        let settings = EmbeddingTraining {
            head: WordsHead {
                words: 12,
                bands: 1,
            },
            seed: 5,
            steps: 120,
            batch: 4,
            crop_px: 32,
            learning_rate: 0.02,
        };
        let mut losses = Vec::new();
        let told = |step, loss| {
            losses.push(loss);
            assert_eq!(step as usize, losses.len());
        };
        let after = train_embedding(&before, &settings, Arc::new(Grain), &(), told).unwrap();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..15]), mean(&losses[105..]));
        assert!(last < 0.9 * first, "{first} {last}");
        assert_eq!(after.info.training["embedding"]["steps"], 120);
        let tensors = after.tensors();
        for (name, tensor) in before.tensors() {
            if name.starts_with("embedding.") {
                continue;
            }
            let [a, b] = [&tensor, &tensors[&name]].map(|t| t.flatten_all().unwrap());
            assert_eq!(
                a.to_vec1::<f32>().unwrap(),
                b.to_vec1::<f32>().unwrap(),
                "{name}"
            );
        }
        // The same settings give the same head.
        let again = train_embedding(&before, &settings, Arc::new(Grain), &(), |_, _| {}).unwrap();
        let head = |codec: &Codec| {
            let weight = &codec.tensors()["embedding.words.weight"];
            weight.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(head(&again), head(&after));
    }

    #[test]
    fn nonsense_is_named() {
        let good = EmbeddingTraining {
            head: WordsHead {
                words: 12,
                bands: 1,
            },
            seed: 5,
            steps: 1,
            batch: 4,
            crop_px: 64,
            learning_rate: 0.02,
        };
        good.validate().unwrap();
        for (wrong, name) in [
            (
                EmbeddingTraining {
                    batch: 1,
                    ..good.clone()
                },
                "batch",
            ),
            (
                EmbeddingTraining {
                    crop_px: 48,
                    ..good.clone()
                },
                "crop_px",
            ),
            (
                EmbeddingTraining {
                    learning_rate: f64::NAN,
                    ..good.clone()
                },
                "learning_rate",
            ),
        ] {
            assert!(wrong.validate().unwrap_err().to_string().contains(name));
        }
    }
}
