//! Code vectors in [`LANES`] numbers of unit mean square, so that patches of both levels are compared on one scale.

use crate::document::CodeVectors;

/// Numbers per code here: one AVX-512 vector.
pub(super) const LANES: usize = 16;
pub(super) type Point = [f32; LANES];

const STEPS: usize = 24;

/// One level's codes as points: rotated to principal axes (the first [`LANES`] where vectors are longer), centred and scaled to a
/// mean square of 1 per number over `counts`. The last point is empty detail, at the middle.
pub(super) fn points(vectors: &CodeVectors, counts: &[u32]) -> Vec<Point> {
    let width = vectors.width();
    let total = counts.iter().map(|&n| f64::from(n)).sum::<f64>().max(1.0);
    let rows = || {
        vectors
            .values()
            .chunks_exact(width)
            .zip(counts.iter().map(|&n| f64::from(n) / total))
            .filter(|(_, weight)| *weight > 0.0)
    };
    let mut mean = vec![0.0; width];
    for (row, weight) in rows() {
        for (mean, value) in mean.iter_mut().zip(row) {
            *mean += weight * f64::from(*value);
        }
    }
    let mut covariance = vec![0.0; width * width];
    for (row, weight) in rows() {
        for i in 0..width {
            let here = weight * (f64::from(row[i]) - mean[i]);
            for j in 0..width {
                covariance[i * width + j] += here * (f64::from(row[j]) - mean[j]);
            }
        }
    }
    let spread: f64 = (0..width).map(|i| covariance[i * width + i]).sum();
    let axes = principal_axes(&covariance, width, LANES.min(width));
    // One colour throughout has no spread; any scale will do.
    let scale = if spread > 1e-9 {
        (LANES as f64 / spread).sqrt()
    } else {
        1.0
    };
    let mut points: Vec<Point> = vectors
        .values()
        .chunks_exact(width)
        .map(|row| {
            let mut point = [0.0; LANES];
            for (to, axis) in point.iter_mut().zip(&axes) {
                let along: f64 = (row.iter().zip(&mean).zip(axis))
                    .map(|((value, mean), axis)| (f64::from(*value) - mean) * axis)
                    .sum();
                *to = (along * scale) as f32;
            }
            point
        })
        .collect();
    points.push([0.0; LANES]);
    points
}

/// The first `count` eigenvectors of a symmetric matrix by orthogonal iteration; orthonormal whatever its rank.
fn principal_axes(matrix: &[f64], width: usize, count: usize) -> Vec<Vec<f64>> {
    let trace: f64 = (0..width).map(|i| matrix[i * width + i]).sum();
    let floor = trace.max(1e-12) * 1e-6;
    let mut axes: Vec<Vec<f64>> = (0..count)
        .map(|i| (0..width).map(|j| f64::from(i == j)).collect())
        .collect();
    for _ in 0..STEPS {
        let mut next: Vec<Vec<f64>> = Vec::with_capacity(count);
        for axis in &axes {
            let mut product: Vec<f64> = (0..width)
                .map(|i| {
                    let row = &matrix[i * width..][..width];
                    floor * axis[i] + row.iter().zip(axis).map(|(m, a)| m * a).sum::<f64>()
                })
                .collect();
            // Twice: what rounding leaves of the others would grow.
            for _ in 0..2 {
                for other in &next {
                    let along: f64 = product.iter().zip(other).map(|(a, b)| a * b).sum();
                    for (value, other) in product.iter_mut().zip(other) {
                        *value -= along * other;
                    }
                }
            }
            let length = product.iter().map(|v| v * v).sum::<f64>().sqrt();
            next.push(product.iter().map(|v| v / length.max(1e-300)).collect());
        }
        axes = next;
    }
    axes
}

/// Squared distance; the same sum on every machine, as the order of the additions is fixed.
#[inline(always)]
pub(super) fn squared(a: &Point, b: &Point) -> f32 {
    let mut lanes = [0.0; LANES];
    for i in 0..LANES {
        let d = a[i] - b[i];
        lanes[i] = d * d;
    }
    sum(lanes)
}

#[inline(always)]
pub(super) fn sum(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_stay_as_they_are_but_for_the_scale() {
        let values: Vec<f32> = (0..40).map(|i| ((i * 37 % 23) as f32).sin()).collect();
        let vectors = CodeVectors::new(4, values).unwrap();
        let points = points(&vectors, &[1; 10]);
        let mean: f32 = points[..10]
            .iter()
            .map(|p| squared(p, &points[10]))
            .sum::<f32>()
            / 10.0;
        assert!((mean - LANES as f32).abs() < 0.01, "{mean}");
        let ratio = |a: u16, b: u16| {
            let own: f32 = (vectors.vector(a).iter().zip(vectors.vector(b)))
                .map(|(a, b)| (a - b) * (a - b))
                .sum();
            squared(&points[usize::from(a)], &points[usize::from(b)]) / own
        };
        let one = ratio(0, 1);
        for (a, b) in [(2, 7), (3, 4), (9, 1)] {
            assert!((ratio(a, b) / one - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn one_code_alone_and_wide_vectors_are_fine() {
        let flat = CodeVectors::new(3, vec![0.5; 9]).unwrap();
        assert!(
            points(&flat, &[4, 0, 0])
                .iter()
                .flatten()
                .all(|v| *v == 0.0)
        );
        let values: Vec<f32> = (0..40 * 50)
            .map(|i| ((i * 31 % 101) as f32).cos())
            .collect();
        let wide = CodeVectors::new(40, values).unwrap();
        assert!(
            points(&wide, &[1; 50])
                .iter()
                .flatten()
                .all(|v| v.is_finite())
        );
    }
}
