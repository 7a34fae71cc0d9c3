//! The training step by itself, to be timed: random pictures, as no part of it depends on what they show.

use std::time::{Duration, Instant};

use crate::codec::{Codec, CodecConfig, STRUCTURE_STRIDE_PX};
use crate::error::{Error, Result};

use crate::train::run::codec_task::CodecTask;
use crate::train::run::config::TrainConfig;
use crate::train::run::task::{StepInput, Task};

/// Factor of the learning rate: too small to lead anywhere.
const RATE_FACTOR: f64 = 1e-4;

/// A codec in training.
pub struct MeasuredStep {
    task: CodecTask,
    pixels: Vec<f32>,
    next: u64,
}

impl MeasuredStep {
    /// Steps of `batch` crops of `crop_px`², and everything else as a new run has it before its sharpening stage.
    ///
    /// # Errors
    /// `Usage` for an empty batch or crops that are not whole structure cells.
    pub fn new(codec: Codec, batch: u32, crop_px: u32) -> Result<Self> {
        if batch == 0 || crop_px == 0 || !(crop_px as usize).is_multiple_of(STRUCTURE_STRIDE_PX) {
            return Err(Error::usage(
                "could not measure a training step",
                format!("{batch} crops of {crop_px}² px are no batch"),
                format!("Use a side that is a multiple of {STRUCTURE_STRIDE_PX}"),
            ));
        }
        let config = TrainConfig {
            batch,
            crop_px,
            ..TrainConfig::default()
        };
        Ok(Self {
            pixels: random_pixels(batch as usize, crop_px as usize),
            task: CodecTask::new(codec, config)?,
            next: 0,
        })
    }

    /// One whole step: forward, losses, backward, optimiser, codebooks.
    ///
    /// # Errors
    /// As the step of a run.
    pub fn run(&mut self) -> Result<Duration> {
        let input = StepInput {
            step: self.next,
            rate_factor: RATE_FACTOR,
            has_begun: true,
            pixels: self.pixels.clone(),
        };
        self.next += 1;
        let started = Instant::now();
        let step = self.task.step(input)?;
        self.task.apply(step)?;
        self.task.codec().device().synchronize()?;
        Ok(started.elapsed())
    }

    /// Floating-point operations of one step's matrix products, as [`forward_flops`] counts them: once forward, twice
    /// backward.
    pub fn flops(&self) -> f64 {
        let config = self.task.config();
        let (batch, side) = (config.batch as usize, config.crop_px as usize);
        3.0 * forward_flops(self.task.layout(), batch, side)
    }
}

/// Multiplications and additions of the linear layers, of one forward pass with the second head pass from structure
/// alone. Depthwise convolutions, norms, activations, codes and losses are not counted: they are overhead.
pub fn forward_flops(config: &CodecConfig, batch: usize, side_px: usize) -> f64 {
    let cells = |stride: usize| (batch * (side_px / stride).pow(2)) as f64;
    let finest = config.stages[0];
    let mut total = 0.0;
    for (index, stage) in config.stages.iter().enumerate() {
        let width = stage.width as f64;
        let block = 16.0 * width * width * cells(stage.stride);
        let decoder_passes = if index == 0 { 2.0 } else { 1.0 };
        total += block * (stage.encoder_depth as f64 + decoder_passes * stage.decoder_depth as f64);
        let below = index.checked_sub(1).map_or((1, 4), |below| {
            let below = config.stages[below];
            (below.stride, below.width)
        });
        let inputs = (stage.stride / below.0).pow(2) * below.1;
        total += 2.0 * inputs as f64 * width * cells(stage.stride);
        total += match config.stages.get(index + 1) {
            Some(above) => 2.0 * (above.width as f64) * 4.0 * width * cells(above.stride),
            None => 2.0 * (config.structure.dim as f64) * width * cells(stage.stride),
        };
    }
    let fine = cells(finest.stride);
    let width = finest.width as f64;
    total += 2.0 * 2.0 * width * (finest.stride.pow(2) * 4) as f64 * fine;
    total += 2.0 * (2.0 * width) * config.detail.dim as f64 * fine;
    total + 2.0 * config.detail.dim as f64 * width * fine
}

/// `count × side_px × side_px × 4` values in `[-1, 1]`: squares of 8 px of one random colour each. The same each time.
pub fn random_pixels(count: usize, side_px: usize) -> Vec<f32> {
    const SQUARE_PX: usize = 8;
    let across = side_px.div_ceil(SQUARE_PX);
    let mut values = Vec::with_capacity(count * side_px * side_px * 4);
    for picture in 0..count {
        for y in 0..side_px {
            for x in 0..side_px {
                let square = (picture * across + y / SQUARE_PX) * across + x / SQUARE_PX;
                for channel in 0..4 {
                    // Knuth's multiplicative hash.
                    let hash = ((square * 4 + channel + 1) as u32).wrapping_mul(2_654_435_761);
                    values.push((hash >> 8) as f32 / (1u32 << 23) as f32 - 1.0);
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn steps_run_and_are_counted() {
        let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
        let before = codec.tensors()["decoder.out.weight"]
            .copy()
            .unwrap()
            .flatten_all()
            .unwrap();
        let mut step = MeasuredStep::new(codec, 2, 32).unwrap();
        assert!(step.run().unwrap() > Duration::ZERO);
        assert!(step.run().unwrap() > Duration::ZERO);
        let after = step.task.codec().tensors()["decoder.out.weight"]
            .flatten_all()
            .unwrap();
        assert_ne!(
            before.to_vec1::<f32>().unwrap(),
            after.to_vec1::<f32>().unwrap()
        );
        // Twice the area, twice the work.
        let config = CodecConfig::default();
        let flops = forward_flops(&config, 8, 128);
        assert_eq!(forward_flops(&config, 16, 128), 2.0 * flops);
        assert!((16.0e9..16.5e9).contains(&flops), "{flops}");
        assert!(step.flops() > 0.0);
    }

    #[test]
    fn crops_that_are_no_whole_cells_are_refused() {
        for (batch, side) in [(0, 32), (1, 0), (1, 40)] {
            let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
            assert!(MeasuredStep::new(codec, batch, side).is_err());
        }
    }

    #[test]
    fn pixels_are_in_range_and_vary() {
        let values = random_pixels(2, 16);
        assert_eq!(values.len(), 2 * 16 * 16 * 4);
        assert!(values.iter().all(|v| (-1.0..=1.0).contains(v)));
        let (low, high) = values.iter().fold((1.0f32, -1.0f32), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
        assert!(low < -0.5 && high > 0.5);
        assert_ne!(values[..1024], values[1024..]);
    }
}
