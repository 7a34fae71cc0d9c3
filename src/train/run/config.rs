//! Every number that a run depends on, in one place. A run's config is frozen with it and stored in its state.

use serde::{Deserialize, Serialize};

use crate::codec::{CodebookTraining, DetailDropout};
use crate::dataset::{Augment, CropsConfig};
use crate::error::{Error, Result};
use crate::kernels::AdamWConfig;

use crate::train::loss::critic::Sharpening;
use crate::train::loss::losses::LossWeights;
use crate::train::run::schedule::{Budget, Schedule};

/// All settings of a run. One that a file does not name has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of the data order, the crops and the detail dropout, and of the weights where the run makes new ones.
    pub seed: u64,
    pub budget: Budget,
    /// Crops per step.
    pub batch: u32,
    /// Side of a crop, px, a multiple of 16.
    pub crop_px: u32,
    pub augment: Augment,
    /// Memory for decoded pictures, bytes.
    pub cache_bytes: u64,

    pub learning_rate: f64,
    pub schedule: Schedule,
    pub optimizer: OptimizerConfig,
    pub losses: LossWeights,
    pub detail_dropout: DetailDropout,
    pub codebooks: CodebookTraining,
    /// How new codebooks start; not used where a run continues from a trained model.
    pub codebook_start: CodebookStart,
    /// A discriminator's pull towards fine texture; its best model is then the last, since PSNR prefers the smear.
    pub sharpening: Option<Sharpening>,

    /// Steps between two lines of figures.
    pub report_every: u64,
    /// Steps between two evaluations on held-out pictures.
    pub evaluate_every: u64,
    /// Seconds of training between two resumable states, which is what a crash can lose and a little more: a state waits for
    /// the next evaluation, so that the best model and the state share their weights. Changes no result.
    pub checkpoint_seconds: f64,
    /// Steps between two resumable states, where they are wanted more often than that.
    pub checkpoint_every: Option<u64>,
    pub evaluation: EvaluationConfig,
    pub early_stop: Option<EarlyStop>,
}

/// `AdamW` with clipping and a moving average of the weights; the average is what is evaluated and published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm.
    pub clip_norm: Option<f64>,
    /// Decay per step of the weights' moving average.
    pub ema_decay: f64,
    /// Learning-rate factors by parameter name prefix; 0 freezes.
    pub lr_scales: Vec<(String, f64)>,
}

impl OptimizerConfig {
    pub(crate) fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.beta1,
            beta2: self.beta2,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            ema_decay: self.ema_decay,
            lr_scales: self.lr_scales.clone(),
            ..AdamWConfig::default()
        }
    }
}

/// New codebooks: the network first trains without quantization, then k-means sets the codes. What the vectors do not carry
/// by then, the codes hardly learn later: after 100 steps that is lightness and blue against orange, after 600 all
/// hues (models/README.md).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodebookStart {
    /// Steps without quantization,
    pub warmup_steps: u64,
    /// but no more than this share of the run.
    pub warmup_share: f64,
    /// Batches whose vectors k-means sees.
    pub batches: u64,
    pub iterations: usize,
}

impl Default for CodebookStart {
    fn default() -> Self {
        Self {
            warmup_steps: 600,
            warmup_share: 0.1,
            batches: 16,
            iterations: 8,
        }
    }
}

impl CodebookStart {
    /// Whether the codebooks are due before step `step` (from 0) at `progress` of the run.
    pub(crate) fn is_due(&self, step: u64, progress: f64) -> bool {
        step >= self.warmup_steps || progress >= self.warmup_share
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Evaluations at least, spread evenly: a short run is looked at more often than `evaluate_every` asks for.
    pub at_least: u32,
    /// At most this many held-out pictures are scored.
    pub pictures: usize,
    /// Longest side of the middle part of each picture that is scored, px.
    pub side_px: u32,
    /// The first so many are handed out as pictures.
    pub previews: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            at_least: 10,
            pictures: 24,
            side_px: 256,
            previews: 6,
        }
    }
}

impl EvaluationConfig {
    /// Whether one of the evenly spread evaluations lies between two shares of the run.
    pub(crate) fn is_between(&self, before: f64, now: f64) -> bool {
        let count = f64::from(self.at_least);
        (before * count).floor() < (now * count).floor()
    }
}

/// Stop when the held-out score no longer rises.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// Evaluations in a row without gain.
    pub patience: u32,
    /// What counts as a gain, dB.
    pub min_gain_db: f64,
    /// Share of the run, 0 to 1, before which it does not stop: while the learning rate is high a score may stand still, and
    /// rise when it falls.
    #[serde(default)]
    pub not_before: f64,
}

/// Ready-made settings for fine-tuning a folder of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A few minutes: is this folder worth it?
    Quick,
    /// About a quarter of an hour on two cores.
    Standard,
    /// About an hour.
    Thorough,
}

impl Preset {
    pub const ALL: [Preset; 3] = [Preset::Quick, Preset::Standard, Preset::Thorough];

    pub fn name(self) -> &'static str {
        match self {
            Preset::Quick => "quick",
            Preset::Standard => "standard",
            Preset::Thorough => "thorough",
        }
    }

    /// How long it trains.
    pub fn minutes(self) -> f64 {
        match self {
            Preset::Quick => 3.0,
            Preset::Standard => 15.0,
            Preset::Thorough => 60.0,
        }
    }

    /// Half of the run. A state is four times the weights and goes through the project's log as well, 140 MB in all with the
    /// shipped layout: so few keep what a fine-tune writes below 1 GB an hour.
    fn checkpoint_seconds(self) -> f64 {
        (self.minutes() * 60.0 / 2.0).clamp(LEAST_CHECKPOINT_SECONDS, MOST_CHECKPOINT_SECONDS)
    }

    pub fn config(self, seed: u64) -> TrainConfig {
        TrainConfig {
            seed,
            budget: Budget::Minutes(self.minutes()),
            augment: Augment {
                min_scale: PRESET_MIN_SCALE,
                ..Augment::default()
            },
            learning_rate: PRESET_LEARNING_RATE,
            checkpoint_seconds: self.checkpoint_seconds(),
            losses: LossWeights {
                texture: PRESET_TEXTURE,
                ..LossWeights::default()
            },
            ..TrainConfig::default()
        }
    }
}

const LEAST_CHECKPOINT_SECONDS: f64 = 450.0;
const MOST_CHECKPOINT_SECONDS: f64 = 900.0;
/// The base model is sharp, and a fine-tune without this loss blurs it within a hundred steps (models/README.md).
const PRESET_TEXTURE: f64 = 2.0;
/// Pictures are painted on as they are: shrunk crops have a finer texture, and learning it costs what is asked for
/// (models/README.md).
const PRESET_MIN_SCALE: f32 = 1.0;
/// Highest learning rate of the presets: of those tried, between the first one and the one that learned most in a few minutes (models/README.md).
const PRESET_LEARNING_RATE: f64 = 3e-3;

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            budget: Budget::Minutes(15.0),
            batch: 8,
            crop_px: 128,
            augment: Augment::default(),
            cache_bytes: 1 << 30,
            learning_rate: 2e-3,
            schedule: Schedule::default(),
            optimizer: OptimizerConfig {
                beta1: 0.9,
                beta2: 0.99,
                weight_decay: 0.01,
                clip_norm: Some(1.0),
                ema_decay: 0.998,
                lr_scales: Vec::new(),
            },
            losses: LossWeights::default(),
            detail_dropout: DetailDropout::default(),
            codebooks: CodebookTraining::default(),
            codebook_start: CodebookStart::default(),
            sharpening: None,
            report_every: 20,
            evaluate_every: 200,
            checkpoint_seconds: MOST_CHECKPOINT_SECONDS,
            checkpoint_every: None,
            evaluation: EvaluationConfig::default(),
            early_stop: Some(EarlyStop {
                patience: 8,
                min_gain_db: 0.02,
                not_before: 0.7,
            }),
        }
    }
}

impl TrainConfig {
    /// How the run's crops are cut. A resumed run passes the side of its working copies.
    pub fn crops(&self, working_side_px: Option<u32>) -> CropsConfig {
        CropsConfig {
            side_px: self.crop_px,
            batch_size: self.batch,
            seed: self.seed,
            augment: self.augment.clone(),
            cache_bytes: self.cache_bytes,
            working_side_px,
            ..CropsConfig::default()
        }
    }

    /// # Errors
    /// A usage error that names the first setting that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("learning_rate", self.learning_rate),
            ("checkpoint_seconds", self.checkpoint_seconds),
            ("beta1", self.optimizer.beta1),
            ("beta2", self.optimizer.beta2),
        ];
        let fractions = [
            ("beta1", self.optimizer.beta1),
            ("beta2", self.optimizer.beta2),
            ("ema_decay", self.optimizer.ema_decay),
        ];
        let counts = [
            ("batch", u64::from(self.batch)),
            ("report_every", self.report_every),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every.unwrap_or(1)),
            ("codebook_start.batches", self.codebook_start.batches),
            ("evaluation.pictures", self.evaluation.pictures as u64),
            ("evaluation.side_px", u64::from(self.evaluation.side_px)),
        ];
        let wrong = positive
            .iter()
            .find(|(_, value)| !(value.is_finite() && *value > 0.0))
            .map(|(name, value)| format!("{name} is {value}, it must be above 0"))
            .or_else(|| {
                let found = fractions
                    .iter()
                    .find(|(_, value)| !(0.0..1.0).contains(value));
                found
                    .map(|(name, value)| format!("{name} is {value}, it must be from 0 to below 1"))
            })
            .or_else(|| {
                let found = counts.iter().find(|(_, value)| *value == 0);
                found.map(|(name, _)| format!("{name} is 0"))
            })
            .or_else(|| {
                let weights = self.losses.all();
                let found = weights
                    .iter()
                    .find(|(_, value)| !(value.is_finite() && *value >= 0.0));
                found.map(|(name, value)| {
                    format!("the loss weight {name} is {value}, it must be at least 0")
                })
            })
            .or_else(|| {
                (self.crop_px == 0 || !self.crop_px.is_multiple_of(16) || self.crop_px > 1024).then(
                    || {
                        format!(
                            "crop_px is {}, it must be a multiple of 16 up to 1024",
                            self.crop_px
                        )
                    },
                )
            });
        let wrong = wrong.or_else(|| self.sharpening.and_then(|sharpening| sharpening.wrong()));
        match wrong {
            None => Ok(()),
            Some(why) => Err(Error::usage(
                "could not start the training run",
                why,
                "Change this setting",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_a_round_trip() {
        for preset in Preset::ALL {
            let config = preset.config(7);
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        }
    }

    #[test]
    fn a_short_run_starts_its_codebooks_and_looks_earlier() {
        let start = CodebookStart::default();
        assert!(!start.is_due(599, 0.09) && start.is_due(600, 0.0) && start.is_due(3, 0.1));
        let evaluation = EvaluationConfig {
            at_least: 4,
            ..EvaluationConfig::default()
        };
        let due = |before, now| evaluation.is_between(before, now);
        assert!(due(0.24, 0.25) && due(0.2, 0.3) && !due(0.25, 0.26) && !due(0.3, 0.49));
        let never = EvaluationConfig {
            at_least: 0,
            ..evaluation
        };
        assert!(!never.is_between(0.0, 1.0));
    }

    #[test]
    fn settings_of_an_older_version_get_defaults() {
        let config: TrainConfig =
            serde_json::from_str(r#"{"seed": 4, "codebook_start": {"warmup_steps": 7}}"#).unwrap();
        assert_eq!((config.seed, config.codebook_start.warmup_steps), (4, 7));
        assert_eq!(config.batch, TrainConfig::default().batch);
        assert!(serde_json::from_str::<TrainConfig>(r#"{"sede": 4}"#).is_err());
    }

    #[test]
    fn nonsense_is_named() {
        let wrong = |change: fn(&mut TrainConfig)| {
            let mut config = TrainConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.learning_rate = f64::NAN).contains("learning_rate"));
        assert!(wrong(|c| c.crop_px = 100).contains("crop_px"));
        assert!(wrong(|c| c.batch = 0).contains("batch"));
        assert!(wrong(|c| c.losses.pyramid = -1.0).contains("pyramid"));
        assert!(wrong(|c| c.optimizer.ema_decay = 1.0).contains("ema_decay"));
    }
}
