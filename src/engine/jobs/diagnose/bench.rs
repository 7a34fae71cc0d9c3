//! How fast this machine trains, encodes, decodes and paints.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use serde::Serialize;

use crate::canvas::measure::dab_times;
use crate::codec::Codec;
use crate::document::Level;
use crate::engine::device::choice::{DeviceChoice, open_device, reduced_precision};
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::ModelSource;
use crate::error::{Error, Result};
use crate::kernels::Padding;
use crate::process::peak_bytes;
use crate::progress::Observer;
use crate::train::measure::step_time::{MeasuredStep, random_pixels};

/// Side of the square matrices of the product that everything is compared with.
const PRODUCT_SIDE: usize = 2048;
/// Rounds before those that count.
const WARM_UP_ROUNDS: usize = 2;
/// Vectors of a nearest-code search: those of a batch of 1024² pixels.
const SEARCH_VECTORS: usize = 1 << 16;

/// Sizes of what is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BenchOptions {
    /// Times that everything but dabs is done; medians are reported.
    pub rounds: usize,
    /// Crops of a training step, and their side.
    pub batch: u32,
    pub crop_px: u32,
    /// Side of the picture that is encoded and decoded, a multiple of 16.
    pub picture_px: u32,
    /// Sides of the canvases that are painted on.
    pub canvas_px: Vec<u32>,
    /// Dabs per level and canvas.
    pub dabs: u32,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            rounds: 10,
            batch: 8,
            crop_px: 128,
            picture_px: 1024,
            canvas_px: vec![512, 2048, 8192],
            dabs: 100,
        }
    }
}

/// Measures this machine.
pub struct BenchJob {
    pub model: ModelSource,
    pub options: BenchOptions,
    pub device: DeviceChoice,
}

/// Done so far, of all that is to do, in rounds and canvases.
struct Progress<'a> {
    context: &'a JobContext,
    done: u64,
    total: u64,
}

impl Progress<'_> {
    fn step(&mut self) -> Result<()> {
        self.context.check()?;
        self.done += 1;
        self.context.progress(self.done, self.total);
        Ok(())
    }
}

/// What a machine does, as medians.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// Name of the model.
    pub model: String,
    pub device: String,
    /// Threads of the pool that computed.
    pub threads: usize,
    /// `fused` or `plain`.
    pub operators: &'static str,
    pub options: BenchOptions,
    pub training: TrainingSpeed,
    pub pictures: PictureSpeed,
    pub dabs: Vec<DabTimes>,
    pub memory: PeakMemory,
}

/// The process's peak memory, in MiB.
#[derive(Debug, Serialize)]
pub struct PeakMemory {
    /// Up to the end of the training steps.
    pub training_peak_mib: u64,
    pub peak_mib: u64,
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trains {:.1} pictures/s, {:.0} % of the machine's matrix product rate; decodes {:.1} megapixels/s.",
            self.training.pictures_per_second,
            self.training.share_of_product_rate * 100.0,
            self.pictures.decode_megapixels_per_second
        )
    }
}

impl Report for BenchReport {}

impl Job for BenchJob {
    type Output = BenchReport;

    fn title(&self) -> &'static str {
        "Measuring this machine"
    }

    fn run(self, context: &JobContext) -> Result<BenchReport> {
        let options = &self.options;
        if options.rounds == 0 || options.dabs == 0 {
            return Err(Error::usage(
                "could not measure",
                "nothing would be measured",
                "Use at least one round and one dab",
            ));
        }
        let chosen = open_device(self.device)?;
        let device = &chosen.device;
        let model = self.model.load(device)?;
        let rounds = options.rounds + WARM_UP_ROUNDS;
        let mut progress = Progress {
            context,
            done: 0,
            total: (rounds * 2 + options.canvas_px.len() * 2) as u64,
        };

        let tensors = model.codec.tensors();
        let copy = Codec::from_tensors(model.codec.config().clone(), tensors, device)?;
        let precision = reduced_precision(&chosen);
        let training = training(copy, options, &mut progress)?;
        drop(precision);
        let training_peak = peak_bytes();
        let pictures = pictures(&model.codec, options, &mut progress)?;
        let dabs = dabs(&model.codec, options, &mut progress)?;

        let is_fused = crate::kernels::fused_on(device);
        Ok(BenchReport {
            model: model.name,
            device: chosen.name,
            threads: rayon::current_num_threads(),
            operators: if is_fused { "fused" } else { "plain" },
            options: self.options,
            training,
            pictures,
            dabs,
            memory: PeakMemory {
                training_peak_mib: mib(training_peak),
                peak_mib: mib(peak_bytes()),
            },
        })
    }
}

/// Speed of training.
#[derive(Debug, Serialize)]
pub struct TrainingSpeed {
    pub pictures_per_second: f64,
    pub step_ms: f64,
    /// Operations of the training step's matrix products, over the whole step's time, 10⁹ per second.
    pub step_gflops: f64,
    pub product_gflops: f64,
    pub share_of_product_rate: f64,
}

/// Training steps and matrix products in alternation.
fn training(
    codec: Codec,
    options: &BenchOptions,
    progress: &mut Progress<'_>,
) -> Result<TrainingSpeed> {
    let device = codec.device().clone();
    let mut step = MeasuredStep::new(codec, options.batch, options.crop_px)?;
    let matrix = Tensor::rand(-1f32, 1.0, (PRODUCT_SIDE, PRODUCT_SIDE), &device)?;
    let (mut steps, mut products) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds + WARM_UP_ROUNDS {
        products.push(timed(&device, || Ok(matrix.matmul(&matrix)?))?);
        steps.push(step.run()?);
        progress.step()?;
    }
    let step_secs = median_secs(&steps[WARM_UP_ROUNDS..]);
    let product_secs = median_secs(&products[WARM_UP_ROUNDS..]);
    let step_gflops = step.flops() / step_secs / 1e9;
    let product_gflops = 2.0 * (PRODUCT_SIDE as f64).powi(3) / product_secs / 1e9;
    Ok(TrainingSpeed {
        pictures_per_second: rounded(f64::from(options.batch) / step_secs),
        step_ms: rounded(step_secs * 1e3),
        step_gflops: rounded(step_gflops),
        product_gflops: rounded(product_gflops),
        share_of_product_rate: rounded(step_gflops / product_gflops),
    })
}

/// Speed of whole pictures.
#[derive(Debug, Serialize)]
pub struct PictureSpeed {
    pub encode_megapixels_per_second: f64,
    pub decode_megapixels_per_second: f64,
    /// Searches among the detail codes.
    pub nearest_codes_per_second: f64,
}

fn pictures(
    codec: &Codec,
    options: &BenchOptions,
    progress: &mut Progress<'_>,
) -> Result<PictureSpeed> {
    let device = codec.device();
    let side = options.picture_px as usize;
    let pixels = Tensor::from_vec(random_pixels(1, side), (1, side, side, 4), device)?;
    let shape = (SEARCH_VECTORS, codec.config().detail.dim);
    let vectors = Tensor::randn(0f32, 1.0, shape, device)?;
    let (structure, detail) = codec.encode(&pixels, Padding::Zero)?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..options.rounds + WARM_UP_ROUNDS {
        times[0].push(timed(device, || codec.encode(&pixels, Padding::Zero))?);
        times[1].push(timed(device, || {
            codec.decode(&structure, &detail, Padding::Zero)
        })?);
        times[2].push(timed(device, || codec.detail.nearest(&vectors))?);
        progress.step()?;
    }
    let [encode, decode, search] = times.map(|times| median_secs(&times[WARM_UP_ROUNDS..]));
    let megapixels = (side * side) as f64 / 1e6;
    Ok(PictureSpeed {
        encode_megapixels_per_second: rounded(megapixels / encode),
        decode_megapixels_per_second: rounded(megapixels / decode),
        nearest_codes_per_second: (SEARCH_VECTORS as f64 / search).round(),
    })
}

/// Time from 3 × 3 cells of codes to finished pixels.
#[derive(Debug, Serialize)]
pub struct DabTimes {
    pub level: Level,
    pub canvas_px: u32,
    pub p50_ms: f64,
    pub p95_ms: f64,
}

/// From 3×3 cells of codes to finished pixels.
fn dabs(
    codec: &Arc<Codec>,
    options: &BenchOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<DabTimes>> {
    let mut found = Vec::new();
    for level in [Level::Detail, Level::Structure] {
        for &canvas_px in &options.canvas_px {
            let mut times = dab_times(codec, canvas_px, level, options.dabs, progress.context)?;
            times.sort_unstable();
            found.push(DabTimes {
                level,
                canvas_px,
                p50_ms: rounded(percentile_secs(&times, 50) * 1e3),
                p95_ms: rounded(percentile_secs(&times, 95) * 1e3),
            });
            progress.step()?;
        }
    }
    Ok(found)
}

fn timed<T>(device: &Device, work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let started = Instant::now();
    let result = work()?;
    device.synchronize()?;
    let time = started.elapsed();
    drop(result);
    Ok(time)
}

fn median_secs(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    percentile_secs(&times, 50)
}

/// The smallest of the `sorted` times that at least `percent` of them do not exceed.
fn percentile_secs(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, Duration::as_secs_f64)
}

/// Three digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_times_themselves() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_secs).collect();
        assert_eq!(percentile_secs(&times, 50), 10.0);
        assert_eq!(percentile_secs(&times, 95), 19.0);
        assert_eq!(percentile_secs(&times[..1], 95), 1.0);
        assert_eq!(
            median_secs(&[3, 1, 2].map(Duration::from_secs)),
            2.0,
            "of unsorted times"
        );
    }
}
