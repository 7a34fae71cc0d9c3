//! How good a reconstruction is, and how much of a codebook is in use.
//!
//! Pictures are judged as a person sees them in 8 bits: composited over mid grey, clamped to `[0, 1]` and rounded to
//! 1/255 ([`over_grey`]). PSNR and SSIM of an opaque picture are then those of its RGB bytes.

use crate::codec::pixels::from_rgba8;

/// Mid grey of the backdrop, 128/255.
const BACKDROP: f32 = 128.0 / 255.0;
/// PSNR of equal pictures, so that means stay finite.
pub const PSNR_MAX_DB: f64 = 100.0;
/// Side of the SSIM window.
const WINDOW: usize = 11;
const WINDOW_SIGMA: f64 = 1.5;

/// RGBA pixels as the codec has them (premultiplied, `[-1, 1]`, 4 per pixel) → RGB in `[0, 1]`, 3 per pixel, over grey.
pub fn over_grey(pixels: &[f32]) -> Vec<f32> {
    let mut rgb = Vec::with_capacity(pixels.len() / 4 * 3);
    for pixel in pixels.chunks_exact(4) {
        let unit = |x: f32| x.mul_add(0.5, 0.5).clamp(0.0, 1.0);
        let rest = BACKDROP * (1.0 - unit(pixel[3]));
        for channel in &pixel[..3] {
            let value = (unit(*channel) + rest).min(1.0);
            rgb.push((value * 255.0).round() / 255.0);
        }
    }
    rgb
}

/// [`over_grey`] of straight RGBA8 pixels.
pub fn over_grey_rgba8(rgba: &[u8]) -> Vec<f32> {
    let (pixels, _) = rgba.as_chunks::<4>();
    let pixels: Vec<f32> = pixels.iter().flat_map(|&pixel| from_rgba8(pixel)).collect();
    over_grey(&pixels)
}

/// A mean of what was added so far.
#[derive(Default)]
pub(crate) struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// How many values were added.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Peak signal-to-noise ratio in dB of two pictures of equal size with values in `[0, 1]`; [`PSNR_MAX_DB`] at most.
pub fn psnr_db(a: &[f32], b: &[f32]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mean = sum / a.len().max(1) as f64;
    (-10.0 * mean.log10()).min(PSNR_MAX_DB)
}

/// Structural similarity (Wang, Bovik, Sheikh & Simoncelli 2004): 11×11 Gaussian window with sigma 1.5, K1 = 0.01,
/// K2 = 0.03, mean over all places where the window fits, on luma (BT.601). `None` where a side is under 11 pixels.
/// `a` and `b` are RGB in `[0, 1]`.
pub fn ssim(a: &[f32], b: &[f32], width: usize, height: usize) -> Option<f64> {
    if width < WINDOW || height < WINDOW {
        return None;
    }
    let (a, b) = (luma(a), luma(b));
    let product =
        |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let blurred = |x: &[f64]| window_means(x, width, height);
    let (mean_a, mean_b) = (blurred(&a), blurred(&b));
    let (aa, bb, ab) = (
        blurred(&product(&a, &a)),
        blurred(&product(&b, &b)),
        blurred(&product(&a, &b)),
    );
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let mut sum = 0.0;
    for i in 0..mean_a.len() {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
        sum +=
            (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
    Some(sum / mean_a.len() as f64)
}

fn luma(rgb: &[f32]) -> Vec<f64> {
    rgb.chunks_exact(3)
        .map(|p| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2]))
        .collect()
}

/// Gaussian-weighted means at all places where the window fits.
fn window_means(x: &[f64], width: usize, height: usize) -> Vec<f64> {
    let mut weights = [0.0; WINDOW];
    for (i, weight) in weights.iter_mut().enumerate() {
        let offset = i as f64 - (WINDOW / 2) as f64;
        *weight = (-0.5 * (offset / WINDOW_SIGMA).powi(2)).exp();
    }
    let total: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= total;
    }
    let inner = width - WINDOW + 1;
    let mut rows = Vec::with_capacity(inner * height);
    for row in x.chunks_exact(width) {
        for place in row.windows(WINDOW) {
            rows.push(place.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>());
        }
    }
    let mut out = vec![0.0; inner * (height - WINDOW + 1)];
    for (y, out) in out.chunks_exact_mut(inner).enumerate() {
        for (dy, weight) in weights.iter().enumerate() {
            let row = &rows[(y + dy) * inner..][..inner];
            for (out, x) in out.iter_mut().zip(row) {
                *out += weight * x;
            }
        }
    }
    out
}

/// The energy of fine detail: the sum of squares of the 4-neighbour Laplacian over all inner pixels and channels of an
/// RGB picture. The ratio of a reconstruction's to its source's is 1 where it is as sharp, and less where it smears.
pub fn laplacian_energy(rgb: &[f32], width: usize, height: usize) -> f64 {
    let mut energy = 0.0;
    let row = width * 3;
    for y in 1..height.saturating_sub(1) {
        for x in 3..row.saturating_sub(3) {
            let at = y * row + x;
            let around = rgb[at - 3] + rgb[at + 3] + rgb[at - row] + rgb[at + row];
            energy += f64::from(around - 4.0 * rgb[at]).powi(2);
        }
    }
    energy
}

/// How often each code of a codebook was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeCounts(Vec<u64>);

impl CodeCounts {
    pub fn new(codes: usize) -> Self {
        Self(vec![0; codes])
    }

    /// Counts cells; ids beyond the codebook (the *empty* mark) are left out.
    pub fn add(&mut self, ids: &[u32]) {
        for id in ids {
            if let Some(count) = self.0.get_mut(*id as usize) {
                *count += 1;
            }
        }
    }

    pub fn counts(&self) -> &[u64] {
        &self.0
    }

    /// The share of codes that were used at least once.
    pub fn usage(&self) -> f64 {
        let used = self.0.iter().filter(|count| **count > 0).count();
        used as f64 / self.0.len().max(1) as f64
    }

    /// Bits per code that an ideal coder of independent cells needs.
    pub fn entropy_bits(&self) -> f64 {
        let total = self.0.iter().sum::<u64>() as f64;
        self.0
            .iter()
            .filter(|count| **count > 0)
            .map(|count| {
                let share = *count as f64 / total;
                -share * share.log2()
            })
            .sum()
    }

    /// The number of equally frequent codes that would have this entropy.
    pub fn perplexity(&self) -> f64 {
        self.entropy_bits().exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that any language makes alike, `48×40` RGB bytes, and one with errors.
    fn pair() -> (Vec<f32>, Vec<f32>) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for y in 0..40i64 {
            for x in 0..48i64 {
                for c in 0..3i64 {
                    let clean = (x * x + 3 * y * (c + 1) + x * y * (2 - c)) % 256;
                    let noisy = (clean + (x * 7 + y * 13 + c * 5) % 31 - 15).clamp(0, 255);
                    a.push(clean as f32 / 255.0);
                    b.push(noisy as f32 / 255.0);
                }
            }
        }
        (a, b)
    }

    /// The numbers are those of scikit-image 0.26 on the same pictures: `peak_signal_noise_ratio(a, b, data_range=1)`;
    /// `structural_similarity(luma(a), luma(b), data_range=1, gaussian_weights=True, sigma=1.5,
    /// use_sample_covariance=False)`; and `scipy.ndimage.laplace`, squared and summed over the inner pixels.
    #[test]
    fn agrees_with_scikit_image() {
        let (a, b) = pair();
        assert!((psnr_db(&a, &b) - 29.221_075).abs() < 1e-4);
        let ssim = ssim(&a, &b, 48, 40).unwrap();
        assert!((ssim - 0.990_366_003).abs() < 1e-6, "{ssim}");
        assert!((laplacian_energy(&a, 48, 40) - 6_266.304_96).abs() < 0.05);
        let ratio = laplacian_energy(&b, 48, 40) / laplacian_energy(&a, 48, 40);
        assert!((ratio - 1.017_467_4).abs() < 1e-5, "{ratio}");
    }

    #[test]
    fn the_ends_of_the_scales() {
        let (a, _) = pair();
        assert_eq!(psnr_db(&a, &a), PSNR_MAX_DB);
        assert!((ssim(&a, &a, 48, 40).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ssim(&a[..10 * 10 * 3], &a[..10 * 10 * 3], 10, 10), None);
        let (black, white) = (vec![0.0; 300], vec![1.0; 300]);
        assert_eq!(psnr_db(&black, &white), 0.0);
        assert_eq!(laplacian_energy(&white, 10, 10), 0.0);
        // One bright channel of one pixel: -4 there, 1 at each of four neighbours.
        let mut dot = vec![0.0; 300];
        dot[(5 * 10 + 5) * 3] = 1.0;
        assert_eq!(laplacian_energy(&dot, 10, 10), 20.0);
    }

    #[test]
    fn compositing() {
        // Opaque red, fully transparent, half transparent white.
        let pixels = [
            1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0,
        ];
        let rgb = over_grey(&pixels);
        let bytes: Vec<u8> = rgb.iter().map(|v| (v * 255.0).round() as u8).collect();
        assert_eq!(bytes, [255, 0, 0, 128, 128, 128, 192, 192, 192]);
        // Out of range values are clamped, not wrapped.
        assert_eq!(over_grey(&[3.0, -3.0, 0.0, 9.0]), [1.0, 0.0, 128.0 / 255.0]);
    }

    #[test]
    fn codes() {
        let mut counts = CodeCounts::new(8);
        counts.add(&[0, 1, 2, 3, u32::MAX]);
        assert_eq!(counts.usage(), 0.5);
        assert!((counts.perplexity() - 4.0).abs() < 1e-9);
        assert!((counts.entropy_bits() - 2.0).abs() < 1e-9);
        assert_eq!(CodeCounts::new(8).perplexity(), 1.0);
    }
}
