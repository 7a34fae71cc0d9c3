//! Means and usage between two reports.

use std::time::Instant;

use candle_core::Tensor;

use crate::codec::CodecConfig;
use crate::error::Result;

use crate::train::measure::metrics::CodeCounts;
use crate::train::run::codec_task::Outcome;
use crate::train::run::config::TrainConfig;
use crate::train::run::sink::StepFigures;
use crate::train::run::task::Told;

#[derive(Default)]
pub(crate) struct Report {
    /// When the first step since then began.
    since: Option<Instant>,
    count: u64,
    learning_rate: f64,
    loss: f64,
    reconstruction: f64,
    structure: f64,
    commitment: f64,
    gradient_norm: f64,
    contrast: Option<f64>,
    critic: Option<f64>,
    /// Structure and detail codes that are not counted yet: fetching them makes an accelerator wait.
    codes: Vec<[Tensor; 2]>,
    counts: Option<[CodeCounts; 2]>,
}

/// Batches whose codes are fetched at once.
const MAX_CODES: usize = 64;

impl Report {
    /// A step begins.
    pub fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    pub fn add(&mut self, outcome: &Outcome, codec: &CodecConfig) -> Result<()> {
        self.count += 1;
        self.learning_rate = outcome.learning_rate;
        self.loss += outcome.loss;
        self.reconstruction += outcome.reconstruction;
        self.structure += outcome.structure;
        self.commitment += outcome.commitment;
        self.gradient_norm += outcome.gradient_norm;
        let add = |sum: &mut Option<f64>, value: Option<f64>| {
            if let Some(value) = value {
                *sum.get_or_insert_default() += value;
            }
        };
        add(&mut self.contrast, outcome.contrast);
        add(&mut self.critic, outcome.critic);
        self.codes.extend(outcome.codes.clone());
        if self.codes.len() >= MAX_CODES {
            self.count_codes(codec)?;
        }
        Ok(())
    }

    fn count_codes(&mut self, codec: &CodecConfig) -> Result<()> {
        for [structure, detail] in self.codes.drain(..) {
            let [structures, details] = self.counts.get_or_insert_with(|| {
                [codec.structure.codes, codec.detail.codes].map(CodeCounts::new)
            });
            structures.add(&structure.to_vec1::<u32>()?);
            details.add(&detail.to_vec1::<u32>()?);
        }
        Ok(())
    }

    /// The means since the last call.
    pub fn take(
        &mut self,
        told: Told,
        config: &TrainConfig,
        codec: &CodecConfig,
    ) -> Result<StepFigures> {
        self.count_codes(codec)?;
        let mean = |sum: f64| sum / self.count.max(1) as f64;
        let seconds = self
            .since
            .map_or(0.0, |since| since.elapsed().as_secs_f64());
        let seconds = seconds.max(1e-9);
        let usage = |level: usize| {
            self.counts
                .as_ref()
                .map_or(0.0, |counts| counts[level].usage())
        };
        let figures = StepFigures {
            step: told.step,
            progress: told.share,
            learning_rate: self.learning_rate,
            loss: mean(self.loss),
            reconstruction_loss: mean(self.reconstruction),
            structure_loss: mean(self.structure),
            commitment_loss: mean(self.commitment),
            gradient_norm: mean(self.gradient_norm),
            contrast_loss: self.contrast.map(mean),
            critic_loss: self.critic.map(mean),
            pictures_per_second: (self.count * u64::from(config.batch)) as f64 / seconds,
            remaining: told.remaining,
            structure_usage: usage(0),
            detail_usage: usage(1),
        };
        *self = Self::default();
        Ok(figures)
    }
}
