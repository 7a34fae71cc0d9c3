//! k-means with a k-means++ start (Arthur & Vassilvitskii, 2007), for codebooks.

use candle_core::{Device, Tensor};
use rand::Rng;
use rayon::prelude::*;

use crate::codec::nearest::nearest_rows;
use crate::codec::vectors::{normal, squared_distance, to_sphere, unit};
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;

/// More data than this per cluster adds time, not quality.
const MAX_ROWS_PER_CLUSTER: usize = 64;
/// Rows per parallel task of the start.
const ROWS_PER_TASK: usize = 4_096;

pub(crate) struct KMeans<'a> {
    pub dim: usize,
    pub clusters: usize,
    pub iterations: usize,
    /// Centres are kept on the sphere of radius √d.
    pub cosine: bool,
    pub device: &'a Device,
}

pub(crate) struct Clusters {
    /// `[clusters, dim]`
    pub centres: Vec<f32>,
    /// Rows nearest to each centre.
    pub counts: Vec<u32>,
}

impl KMeans<'_> {
    /// Clusters the rows of `data` `[n, dim]`.
    pub fn run(
        &self,
        data: &[f32],
        rng: &mut impl Rng,
        observer: &dyn Observer,
    ) -> Result<Clusters> {
        if data.len() < self.dim {
            return Err(Error::new(
                Kind::Internal,
                "could not start a codebook",
                "there are no vectors to start it from",
                "",
            ));
        }
        let sample = self.subsample(data, rng);
        let mut centres = self.start(&sample, rng, observer)?;
        let rows = Tensor::from_slice(&sample, (sample.len() / self.dim, self.dim), self.device)?;
        let mut counts = vec![0; self.clusters];
        for iteration in 0..=self.iterations {
            observer.check()?;
            let codebook = Tensor::from_slice(&centres, (self.clusters, self.dim), self.device)?;
            let nearest = nearest_rows(&rows, &codebook)?.to_vec1::<u32>()?;
            let sums;
            (counts, sums) = self.accumulate(&sample, &nearest);
            if iteration == self.iterations {
                break; // the counts belong to the final centres
            }
            for (cluster, &count) in counts.iter().enumerate() {
                if count > 0 {
                    let centre = &mut centres[cluster * self.dim..][..self.dim];
                    let sum = &sums[cluster * self.dim..][..self.dim];
                    for (value, sum) in centre.iter_mut().zip(sum) {
                        *value = (sum / f64::from(count)) as f32;
                    }
                    if self.cosine {
                        to_sphere(centre);
                    }
                }
            }
            self.refill(&mut centres, &counts, &sample, &nearest, rng);
        }
        Ok(Clusters { centres, counts })
    }

    /// All rows, or as many evenly drawn ones as are useful.
    fn subsample(&self, data: &[f32], rng: &mut impl Rng) -> Vec<f32> {
        let count = data.len() / self.dim;
        let wanted = self.clusters * MAX_ROWS_PER_CLUSTER;
        if count <= wanted {
            return data.to_vec();
        }
        let mut sample = Vec::with_capacity(wanted * self.dim);
        for (index, row) in data.chunks_exact(self.dim).enumerate() {
            let missing = wanted - sample.len() / self.dim;
            // Knuth's selection sampling: each row with the chance that fills the sample exactly.
            if unit(rng) * ((count - index) as f64) < missing as f64 {
                sample.extend_from_slice(row);
            }
        }
        sample
    }

    /// k-means++: each next centre is drawn with a chance proportional to the squared distance from those so far.
    fn start(&self, data: &[f32], rng: &mut impl Rng, observer: &dyn Observer) -> Result<Vec<f32>> {
        let count = data.len() / self.dim;
        let mut centres = Vec::with_capacity(self.clusters * self.dim);
        let mut weights = vec![f64::INFINITY; count];
        let mut next = ((unit(rng) * count as f64) as usize).min(count - 1);
        for cluster in 0..self.clusters {
            if cluster % 64 == 0 {
                observer.check()?;
            }
            let centre = data[next * self.dim..][..self.dim].to_vec();
            lower_to_distance(&mut weights, data, &centre);
            centres.extend_from_slice(&centre);
            next = match draw(&weights, rng) {
                Some(next) => next,
                None => return Ok(self.fill_with_noise(centres, data, rng)),
            };
        }
        Ok(centres)
    }

    /// There are fewer distinct rows than clusters: the rest stands near random rows.
    fn fill_with_noise(&self, mut centres: Vec<f32>, data: &[f32], rng: &mut impl Rng) -> Vec<f32> {
        let count = data.len() / self.dim;
        while centres.len() < self.clusters * self.dim {
            let row = ((unit(rng) * count as f64) as usize).min(count - 1);
            let start = centres.len();
            for value in &data[row * self.dim..][..self.dim] {
                centres.push(value + 0.1 * normal(rng));
            }
            if self.cosine {
                to_sphere(&mut centres[start..]);
            }
        }
        centres
    }

    fn accumulate(&self, data: &[f32], nearest: &[u32]) -> (Vec<u32>, Vec<f64>) {
        let mut counts = vec![0; self.clusters];
        let mut sums = vec![0.0; self.clusters * self.dim];
        for (row, &cluster) in data.chunks_exact(self.dim).zip(nearest) {
            counts[cluster as usize] += 1;
            let sum = &mut sums[cluster as usize * self.dim..][..self.dim];
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        (counts, sums)
    }

    /// Moves centres without rows to rows far from their centre.
    fn refill(
        &self,
        centres: &mut [f32],
        counts: &[u32],
        data: &[f32],
        nearest: &[u32],
        rng: &mut impl Rng,
    ) {
        if counts.iter().all(|&count| count > 0) {
            return;
        }
        let mut weights: Vec<f64> = data
            .chunks_exact(self.dim)
            .zip(nearest)
            .map(|(row, &cluster)| {
                let centre = &centres[cluster as usize * self.dim..][..self.dim];
                f64::from(squared_distance(row, centre))
            })
            .collect();
        for (cluster, &count) in counts.iter().enumerate() {
            if count > 0 {
                continue;
            }
            let Some(row) = draw(&weights, rng) else {
                return;
            };
            let row = &data[row * self.dim..][..self.dim];
            lower_to_distance(&mut weights, data, row);
            centres[cluster * self.dim..][..self.dim].copy_from_slice(row);
        }
    }
}

/// An index with a chance proportional to its weight; `None` where all weights are zero. An infinite weight (no
/// centre yet) does not occur after the first round.
pub(crate) fn draw(weights: &[f64], rng: &mut impl Rng) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = unit(rng) * total;
    for (index, &weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(index);
        }
    }
    // Rounding used the weights up: the last that has any.
    weights.iter().rposition(|&weight| weight > 0.0)
}

/// A new centre stands: each row's weight is its squared distance from the nearest centre.
pub(crate) fn lower_to_distance(weights: &mut [f64], data: &[f32], centre: &[f32]) {
    let dim = centre.len();
    weights
        .par_chunks_mut(ROWS_PER_TASK)
        .zip(data.par_chunks(ROWS_PER_TASK * dim))
        .for_each(|(weights, rows)| {
            for (weight, row) in weights.iter_mut().zip(rows.chunks_exact(dim)) {
                *weight = weight.min(f64::from(squared_distance(row, centre)));
            }
        });
}
