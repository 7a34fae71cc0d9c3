//! What a codebook learns from: moving averages of how many vectors of a batch each code gets, and of their sum.
//!
//! On the CPU they are slices that one pass over the batch updates. On an accelerator they are tensors, and the sums over the batch
//! are products with its one-hot matrix: scattered additions come in no fixed order there, and fetching the batch would stop the
//! device in every step.

use candle_core::{D, DType, Device, Tensor};

use crate::codec::config::CodebookConfig;
use crate::codec::vectors;
use crate::error::Result;
use crate::kernels;

/// Bounds a one-hot matrix: 64 MiB.
const MAX_ONE_HOT: usize = 1 << 24;
/// Squared length below which a vector has no direction; as [`vectors::to_sphere`].
const NO_LENGTH: f64 = 1e-20;

/// How a codebook follows the encoder (van den Oord et al., arXiv 1711.00937, appendix A.1).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CodebookTraining {
    /// How much of the moving averages is kept at each update, 0 to 1.
    pub decay: f32,
    /// Laplace smoothing of the cluster sizes, in vectors.
    pub smoothing: f32,
    /// A code is dead when its average use falls below this fraction of the mean use; 0 keeps every code.
    pub dead_below: f32,
    /// Dead codes are replaced every so many updates.
    pub replace_every: u64,
    /// At most this fraction of a batch's vectors becomes new codes at once.
    pub replace_at_most: f32,
}

impl Default for CodebookTraining {
    fn default() -> Self {
        Self {
            decay: 0.99,
            smoothing: 1e-5,
            dead_below: 0.1,
            replace_every: 10,
            replace_at_most: 0.125,
        }
    }
}

/// A codebook and its averages on the host.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    /// `[K, d]`, the codebook itself.
    pub vectors: Vec<f32>,
    /// `[K]`
    pub size: Vec<f32>,
    /// `[K, d]`
    pub sum: Vec<f32>,
}

impl Learned {
    /// As if every code had just been used once.
    pub fn new(vectors: Vec<f32>, codes: usize) -> Self {
        Self {
            size: vec![1.0; codes],
            sum: vectors.clone(),
            vectors,
        }
    }

    /// Moves the averages and the codebook towards a batch: `counts` `[K]` and `sums` `[K, d]` of its vectors by code.
    pub fn follow(&mut self, counts: &[f32], sums: &[f32], training: &CodebookTraining) {
        let dim = sums.len() / counts.len().max(1);
        blend(&mut self.size, counts, training.decay);
        blend(&mut self.sum, sums, training.decay);
        let total: f32 = self.size.iter().sum();
        let scale = total / (total + self.size.len() as f32 * training.smoothing);
        let means = self
            .vectors
            .chunks_exact_mut(dim.max(1))
            .zip(self.sum.chunks_exact(dim.max(1)));
        for ((mean, sum), size) in means.zip(&self.size) {
            let smoothed = (size + training.smoothing) * scale;
            for (value, sum) in mean.iter_mut().zip(sum) {
                *value = sum / smoothed;
            }
        }
    }
}

fn blend(average: &mut [f32], new: &[f32], keep: f32) {
    for (average, new) in average.iter_mut().zip(new) {
        *average = keep * *average + (1.0 - keep) * new;
    }
}

/// How many vectors of a batch got each code, `[K]`, and their sums, `[K, d]`: all that a codebook learns from it, where the
/// averages are. Those of several batches add up.
#[derive(Debug, Clone)]
pub enum CodebookSums {
    Host { counts: Vec<f32>, sums: Vec<f32> },
    Device { counts: Tensor, sums: Tensor },
}

impl CodebookSums {
    /// Counts and sums of vectors `[m, d]` with codes `[m]`, each below `count`.
    pub(super) fn on_host(batch: &[f32], codes: &[u32], dim: usize, count: usize) -> Self {
        let mut counts = vec![0f32; count];
        let mut sums = vec![0f32; count * dim];
        for (row, &code) in batch.chunks_exact(dim).zip(codes) {
            counts[code as usize] += 1.0;
            let sum = &mut sums[code as usize * dim..][..dim];
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
        Self::Host { counts, sums }
    }

    /// [`Self::on_host`] as tensors, without a round trip to the host.
    pub(super) fn on_device(
        batch: &Tensor,
        codes: &Tensor,
        count: usize,
    ) -> candle_core::Result<Self> {
        let (counts, sums) = totals(batch, codes, count)?;
        Ok(Self::Device { counts, sums })
    }
}

/// Where the averages are.
#[derive(Debug, Clone)]
pub(super) enum Averages {
    Host(Learned),
    /// The codebook is the quantizer's own tensor.
    Device {
        size: Tensor,
        sum: Tensor,
    },
}

impl Averages {
    /// On the host where the operators of `device` run there.
    pub fn new(learned: Learned, device: &Device) -> Result<Self> {
        if kernels::fused_on(device) {
            return Ok(Self::Host(learned));
        }
        let (codes, values) = (learned.size.len(), learned.sum.len());
        let shape = (codes, values / codes.max(1));
        Ok(Self::Device {
            size: Tensor::from_vec(learned.size, codes, device)?,
            sum: Tensor::from_vec(learned.sum, shape, device)?,
        })
    }

    /// Replaces them, where they are.
    pub fn set(&mut self, learned: Learned) -> Result<()> {
        match self {
            Self::Host(host) => *host = learned,
            Self::Device { size, sum } => {
                *size = Tensor::from_slice(&learned.size, size.shape(), size.device())?;
                *sum = Tensor::from_slice(&learned.sum, sum.shape(), sum.device())?;
            }
        }
        Ok(())
    }

    /// A copy on the host; `codebook` is the quantizer's.
    pub fn learned(&self, codebook: &Tensor) -> Result<Learned> {
        Ok(match self {
            Self::Host(host) => host.clone(),
            Self::Device { size, sum } => Learned {
                vectors: codebook.flatten_all()?.to_vec1()?,
                size: size.to_vec1()?,
                sum: sum.flatten_all()?.to_vec1()?,
            },
        })
    }
}

/// [`Learned::follow`] as tensors, without a round trip to the host; returns the new codebook `[K, d]`.
pub(super) fn follow_on_device(
    size: &mut Tensor,
    sum: &mut Tensor,
    counts: &Tensor,
    sums: &Tensor,
    training: &CodebookTraining,
) -> candle_core::Result<Tensor> {
    let keep = f64::from(training.decay);
    let smoothing = f64::from(training.smoothing);
    *size = ((&*size * keep)? + (counts * (1.0 - keep))?)?;
    *sum = ((&*sum * keep)? + (sums * (1.0 - keep))?)?;
    let total = size.sum_all()?;
    let scale = (&total / (&total + size.dim(0)? as f64 * smoothing)?)?;
    let smoothed = (&*size + smoothing)?.broadcast_mul(&scale)?;
    sum.broadcast_div(&smoothed.unsqueeze(1)?)
}

/// How many vectors each code got, `[K]`, and their sums, `[K, d]`.
fn totals(batch: &Tensor, codes: &Tensor, count: usize) -> candle_core::Result<(Tensor, Tensor)> {
    let (rows, dim) = batch.dims2()?;
    let device = batch.device();
    let ids = Tensor::arange(0, count as u32, device)?.unsqueeze(0)?;
    let mut counts = Tensor::zeros(count, DType::F32, device)?;
    let mut sums = Tensor::zeros((count, dim), DType::F32, device)?;
    let chunk = (MAX_ONE_HOT / count.max(1)).max(1);
    for start in (0..rows).step_by(chunk) {
        let length = chunk.min(rows - start);
        let codes = codes.narrow(0, start, length)?.contiguous()?.unsqueeze(1)?;
        let one_hot = codes.broadcast_eq(&ids)?.to_dtype(DType::F32)?;
        counts = (counts + one_hot.sum(0)?)?;
        let part = batch.narrow(0, start, length)?.contiguous()?;
        sums = (sums + one_hot.t()?.matmul(&part)?)?;
    }
    Ok((counts, sums))
}

/// In a cosine codebook every row is scaled to length √d. A zero row points along the first axis.
pub(super) fn normalise_rows(rows: &mut [f32], config: &CodebookConfig) {
    if config.cosine {
        for row in rows.chunks_exact_mut(config.dim) {
            vectors::to_sphere(row);
        }
    }
}

/// [`normalise_rows`] without the host.
pub(super) fn normalise_on_device(
    rows: &Tensor,
    config: &CodebookConfig,
) -> candle_core::Result<Tensor> {
    if !config.cosine {
        return Ok(rows.clone());
    }
    let square = rows.sqr()?.sum_keepdim(D::Minus1)?;
    let length = (config.dim as f64).sqrt();
    let scaled = rows.broadcast_mul(&(square.maximum(NO_LENGTH)?.powf(-0.5)? * length)?)?;
    let mut first = vec![0f32; config.dim];
    if let Some(first) = first.first_mut() {
        *first = length as f32;
    }
    let first = Tensor::from_vec(first, (1, config.dim), rows.device())?;
    let lacks = (square.maximum(NO_LENGTH)?.eq(NO_LENGTH)?).broadcast_as(rows.shape())?;
    let first = first.broadcast_as(rows.shape())?.contiguous()?;
    lacks.contiguous()?.where_cond(&first, &scaled)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const CODES: usize = 24;
    const DIM: usize = 5;

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| vectors::normal(&mut rng)).collect()
    }

    #[test]
    fn both_places_learn_the_same() {
        let training = CodebookTraining::default();
        let start = Learned::new(noise(CODES * DIM, 1), CODES);
        let mut host = start.clone();
        let device = Device::Cpu;
        let mut averages =
            kernels::with_plain_ops(|| Averages::new(start.clone(), &device)).unwrap();
        let Averages::Device { size, sum } = &mut averages else {
            panic!("plain operators keep them as tensors");
        };
        let mut codebook = Tensor::from_slice(&start.vectors, (CODES, DIM), &device).unwrap();
        for step in 0..5 {
            let batch = noise(200 * DIM, 10 + step);
            // Some codes get nothing.
            let codes: Vec<u32> = (0..200).map(|i| (i * i + step as u32) % 20).collect();
            let CodebookSums::Host { counts, sums } =
                CodebookSums::on_host(&batch, &codes, DIM, CODES)
            else {
                panic!("made on the host");
            };
            host.follow(&counts, &sums, &training);
            let batch = Tensor::from_vec(batch, (200, DIM), &device).unwrap();
            let codes = Tensor::from_vec(codes, 200, &device).unwrap();
            let (counts, sums) = totals(&batch, &codes, CODES).unwrap();
            codebook = follow_on_device(size, sum, &counts, &sums, &training).unwrap();
        }
        let device = averages.learned(&codebook).unwrap();
        for (name, host, device) in [
            ("size", &host.size, &device.size),
            ("sum", &host.sum, &device.sum),
            ("vectors", &host.vectors, &device.vectors),
        ] {
            assert_eq!(host.len(), device.len());
            for (host, device) in host.iter().zip(device) {
                let near = (host - device).abs() <= 1e-5 * host.abs().max(1.0);
                assert!(near, "{name}: {host} and {device}");
            }
        }
    }

    #[test]
    fn both_places_normalise_alike() {
        let config = CodebookConfig {
            stride: 4,
            codes: CODES,
            dim: DIM,
            cosine: true,
        };
        let mut rows = noise(CODES * DIM, 3);
        rows[DIM..2 * DIM].fill(0.0);
        let tensor = Tensor::from_slice(&rows, (CODES, DIM), &Device::Cpu).unwrap();
        let found = normalise_on_device(&tensor, &config).unwrap();
        let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        normalise_rows(&mut rows, &config);
        assert_eq!(rows[DIM..DIM + 2], [(DIM as f32).sqrt(), 0.0]);
        for (host, device) in rows.iter().zip(&found) {
            assert!((host - device).abs() < 1e-5, "{host} and {device}");
        }
        let plain = CodebookConfig {
            cosine: false,
            ..config
        };
        let same = normalise_on_device(&tensor, &plain).unwrap();
        assert_eq!(
            same.to_vec2::<f32>().unwrap(),
            tensor.to_vec2::<f32>().unwrap()
        );
    }
}
