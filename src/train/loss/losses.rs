//! What a training step minimises. Every term runs and differentiates on every device.

use candle_core::{D, Result, Tensor};
use serde::{Deserialize, Serialize};

pub use crate::train::loss::pyramid::{PyramidWeights, pyramid_loss};

/// The weights of the terms of the loss. 0 leaves a term out, and its work undone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// Mean absolute difference.
    pub l1: f64,
    /// Laplacian pyramid of the difference.
    pub pyramid: f64,
    /// How much more a difference at an edge of the source counts, within the pyramid.
    pub edges: f64,
    /// Weight of the alpha channel; a colour channel has 1.
    pub alpha: f64,
    /// Weight of the reconstruction loss on the picture decoded from structure alone.
    pub structure: f64,
    /// How much more the two colour-difference channels of that picture count than its lightness: few codes have to
    /// carry everything, and left to themselves they spend themselves on lightness (see models/README.md).
    #[serde(default = "plain_chroma")]
    pub structure_chroma: f64,
    /// Pull of code vectors towards their codes (the "commitment loss" of VQ-VAE, arXiv 1711.00937).
    pub commitment: f64,
    /// [`info_nce`] of two views of each picture.
    pub contrast: f64,
    /// [`texture_loss`] where the detail is not dropped: without it a codec settles for the mean of what it cannot place,
    /// which is smooth.
    #[serde(default)]
    pub texture: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self {
            l1: 1.0,
            pyramid: 1.0,
            edges: 1.0,
            alpha: 1.0,
            structure: 0.5,
            structure_chroma: 2.0,
            commitment: 0.25,
            contrast: 0.0,
            texture: 0.0,
        }
    }
}

impl LossWeights {
    /// The terms of [`pyramid_loss`].
    pub fn reconstruction(&self) -> PyramidWeights {
        PyramidWeights {
            l1: self.l1 as f32,
            pyramid: self.pyramid as f32,
            edges: self.edges as f32,
            alpha: self.alpha as f32,
        }
    }

    /// Each weight with its name, to check them.
    pub fn all(&self) -> [(&'static str, f64); 9] {
        [
            ("l1", self.l1),
            ("pyramid", self.pyramid),
            ("edges", self.edges),
            ("alpha", self.alpha),
            ("structure", self.structure),
            ("structure_chroma", self.structure_chroma),
            ("commitment", self.commitment),
            ("contrast", self.contrast),
            ("texture", self.texture),
        ]
    }
}

/// A run that was begun before the weight existed had RGB as it stands, which weighs as 1 does.
fn plain_chroma() -> f64 {
    1.0
}

/// RGBA pixels `[n, h, w, 4]` as lightness, two colour differences times `chroma`, and alpha: the orthonormal opponent
/// axes (Ohta et al., "Color information for region segmentation", 1980), so that at `chroma` 1 it is a rotation.
pub fn opponent(pixels: &Tensor, chroma: f64) -> Result<Tensor> {
    let (n, h, w, channels) = pixels.dims4()?;
    let (y, c, g) = (
        3f64.sqrt().recip(),
        chroma / 2f64.sqrt(),
        chroma / 6f64.sqrt(),
    );
    #[rustfmt::skip]
    let axes = [
        y,  c,   g,       0.0,
        y,  0.0, -2.0 * g, 0.0,
        y,  -c,  g,       0.0,
        0.0, 0.0, 0.0,    1.0,
    ];
    let axes = Tensor::from_slice(&axes, (4, 4), pixels.device())?.to_dtype(pixels.dtype())?;
    pixels
        .reshape((n * h * w, channels))?
        .matmul(&axes)?
        .reshape((n, h, w, channels))
}

/// How far the strength of fine texture is from the source's: the mean absolute difference of the root mean square of the
/// 4-neighbour Laplacian within each cell of `cell_px`² px and each channel. Where in the cell a grain stands is left to the other
/// losses. `x` and `target` are `[n, h, w, c]` with sides that `cell_px` divides; `kept` `[n, h / cell_px, w / cell_px, 1]` is 1 for
/// the cells that count and 0 for the others. A scalar, in units of the pixels.
///
/// # Errors
/// When the shapes do not fit.
pub fn texture_loss(x: &Tensor, target: &Tensor, cell_px: usize, kept: &Tensor) -> Result<Tensor> {
    let difference = (strength(x, cell_px)? - strength(target, cell_px)?)?.abs()?;
    let channels = difference.dim(3)? as f64;
    let count = ((kept.sum_all()? * channels)? + 1e-6)?;
    difference.broadcast_mul(kept)?.sum_all()?.div(&count)
}

/// Below this, in pixel units, the strength of a texture is not told from none; it keeps the square root's gradient finite.
const FAINTEST: f64 = 0.01;

/// `[n, h, w, c]` → `[n, h / cell_px, w / cell_px, c]`
fn strength(x: &Tensor, cell_px: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let shifted = |top: usize, left: usize| x.narrow(1, top, h - 2)?.narrow(2, left, w - 2);
    let around = (((shifted(0, 1)? + shifted(2, 1)?)? + shifted(1, 0)?)? + shifted(1, 2)?)?;
    let laplacian = (around - (shifted(1, 1)? * 4.0)?)?;
    let energy = (laplacian
        .sqr()?
        .pad_with_zeros(1, 1, 1)?
        .pad_with_zeros(2, 1, 1)?)
    .reshape((n, h / cell_px, cell_px, w / cell_px, cell_px * c))?
    .sum(2)?
    .reshape((n, h / cell_px, w / cell_px, cell_px, c))?
    .sum(3)?;
    ((energy / (cell_px * cell_px) as f64)? + FAINTEST * FAINTEST)?.sqrt()
}

/// InfoNCE (van den Oord et al., arXiv 1807.03748), symmetric: row `i` of `a` and of `b`, both `[n, d]`, are two views of
/// one picture; all other rows are other pictures. `temperature` divides cosine similarities. A scalar, in nats; `ln n`
/// where the embedding knows nothing, 0 for a batch of one.
pub fn info_nce(a: &Tensor, b: &Tensor, temperature: f64) -> Result<Tensor> {
    let scores = (unit(a)?.matmul(&unit(b)?.t()?)? / temperature)?;
    let n = scores.dim(0)?;
    let same = Tensor::eye(n, scores.dtype(), scores.device())?;
    let nce = |scores: &Tensor| -> Result<Tensor> {
        let shifted = scores.broadcast_sub(&scores.detach().max_keepdim(D::Minus1)?)?;
        let total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let log_share = shifted.broadcast_sub(&total)?;
        (log_share * &same)?.sum_all()? / -(n as f64)
    };
    (nce(&scores)? + nce(&scores.t()?.contiguous()?)?)? * 0.5
}

/// Rows scaled to length 1.
fn unit(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    x.broadcast_div(&length)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn opponent_axes_are_a_rotation_and_grey_has_no_chroma() {
        let pixels = [0.4f32, -0.2, 0.9, 0.3, 0.5, 0.5, 0.5, 1.0];
        let pixels = Tensor::from_slice(&pixels, (1, 1, 2, 4), &Device::Cpu).unwrap();
        let of = |chroma| -> Vec<f32> {
            let turned = opponent(&pixels, chroma).unwrap();
            turned.flatten_all().unwrap().to_vec1().unwrap()
        };
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
        let [rotated, doubled] = [of(1.0), of(2.0)];
        assert!((length(&rotated[..3]) - (0.16 + 0.04 + 0.81)).abs() < 1e-6);
        assert!((doubled[1] - 2.0 * rotated[1]).abs() < 1e-6 && doubled[0] == rotated[0]);
        assert!(doubled[5].abs() + doubled[6].abs() < 1e-6, "{doubled:?}");
        assert_eq!((rotated[3], rotated[7]), (0.3, 1.0));
    }

    fn noise(seed: u32, strength: f32) -> Tensor {
        let value = |i: u32| {
            let hash = (i ^ seed).wrapping_mul(2_654_435_761).rotate_left(13);
            ((hash.wrapping_mul(2_246_822_519) >> 8) as f32 / (1 << 24) as f32 - 0.5) * strength
        };
        let values: Vec<f32> = (0..2 * 16 * 16 * 4).map(value).collect();
        Tensor::from_vec(values, (2, 16, 16, 4), &Device::Cpu).unwrap()
    }

    fn texture(x: &Tensor, target: &Tensor, kept: &Tensor) -> f32 {
        let loss = texture_loss(x, target, 4, kept).unwrap();
        loss.to_scalar().unwrap()
    }

    #[test]
    fn texture_asks_for_strength_and_not_for_place() {
        let kept = Tensor::ones((2, 4, 4, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let (source, smooth) = (noise(1, 0.6), noise(1, 0.1));
        assert_eq!(texture(&source, &source, &kept), 0.0);
        let (smeared, elsewhere) = (
            texture(&smooth, &source, &kept),
            texture(&noise(77, 0.6), &source, &kept),
        );
        assert!(elsewhere < 0.6 * smeared, "{elsewhere} {smeared}");
        // One bright pixel inside its cell: -4 there and 1 at each of its four neighbours.
        let mut dot = vec![0f32; 2 * 16 * 16 * 4];
        dot[(5 * 16 + 5) * 4] = 1.0;
        let dot = Tensor::from_vec(dot, (2, 16, 16, 4), &Device::Cpu).unwrap();
        let flat = dot.zeros_like().unwrap();
        let expected = ((20.0f32 / 16.0 + 1e-4).sqrt() - 0.01) / (2.0 * 16.0 * 4.0);
        assert!((texture(&dot, &flat, &kept) - expected).abs() < 1e-6);
    }

    #[test]
    fn texture_of_dropped_cells_does_not_count() {
        let zeros = Tensor::zeros((2, 4, 4, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(texture(&noise(1, 0.1), &noise(1, 0.6), &zeros), 0.0);
    }

    #[test]
    fn the_gradient_of_texture_is_that_of_finite_differences() {
        let kept: Vec<f32> = (0..32).map(|i| f32::from(u8::from(i % 3 > 0))).collect();
        let kept = Tensor::from_vec(kept, (2, 4, 4, 1), &Device::Cpu).unwrap();
        let (x, target) = (Var::from_tensor(&noise(5, 0.3)).unwrap(), noise(1, 0.6));
        let grads = texture_loss(&x, &target, 4, &kept)
            .unwrap()
            .backward()
            .unwrap();
        let grad = grads
            .get(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for at in (0..values.len()).step_by(97) {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[at] += by;
                let x = Tensor::from_vec(values, (2, 16, 16, 4), &Device::Cpu).unwrap();
                texture(&x, &target, &kept)
            };
            let slope = (moved(4e-3) - moved(-4e-3)) / 8e-3;
            assert!(
                (slope - grad[at]).abs() < 2e-4,
                "{at}: {slope} {}",
                grad[at]
            );
        }
    }

    #[test]
    fn info_nce_of_known_values() {
        let eye = Tensor::eye(4, candle_core::DType::F32, &Device::Cpu).unwrap();
        // Similarity 1 on the diagonal and 0 elsewhere, divided by 0.5: -ln(e² / (e² + 3)).
        let loss: f32 = info_nce(&eye, &eye, 0.5).unwrap().to_scalar().unwrap();
        let e2 = 2f32.exp();
        assert!((loss - (1.0 + 3.0 / e2).ln()).abs() < 1e-5, "{loss}");
        // Nothing known: all rows alike.
        let ones = Tensor::ones((4, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let loss: f32 = info_nce(&ones, &ones, 0.1).unwrap().to_scalar().unwrap();
        assert!((loss - 4f32.ln()).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn info_nce_pulls_views_together() {
        let start = Tensor::new(&[[1.0f32, 0.2], [0.1, 1.0], [-1.0, 0.5]], &Device::Cpu).unwrap();
        let a = Var::from_tensor(&start).unwrap();
        let b = Tensor::new(&[[0.2f32, 1.0], [1.0, 0.3], [0.0, -1.0]], &Device::Cpu).unwrap();
        let before: f32 = info_nce(&a, &b, 0.2).unwrap().to_scalar().unwrap();
        for _ in 0..50 {
            let grads = info_nce(&a, &b, 0.2).unwrap().backward().unwrap();
            let next = (a.as_tensor() - (grads.get(&a).unwrap() * 0.1).unwrap()).unwrap();
            a.set(&next.detach()).unwrap();
        }
        let after: f32 = info_nce(&a, &b, 0.2).unwrap().to_scalar().unwrap();
        assert!(after < 0.3 * before, "{before} {after}");
    }
}
