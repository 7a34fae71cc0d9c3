//! Small arithmetic on code vectors, and the random numbers that codebooks start from.

use rand::Rng;

pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Scales a row to length √d (a mean square of 1). A zero row points along the first axis.
pub(crate) fn to_sphere(row: &mut [f32]) {
    let square: f32 = row.iter().map(|value| value * value).sum();
    if square > 1e-20 {
        let scale = (row.len() as f32 / square).sqrt();
        row.iter_mut().for_each(|value| *value *= scale);
    } else {
        row.fill(0.0);
        row[0] = (row.len() as f32).sqrt();
    }
}

/// Uniform in `[0, 1)`.
pub(crate) fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal value (Box–Muller).
pub(crate) fn normal(rng: &mut impl Rng) -> f32 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    (radius * (std::f64::consts::TAU * unit(rng)).cos()) as f32
}
