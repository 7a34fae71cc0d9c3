//! What a training step minimises. Every term runs and differentiates on every device.

use candle_core::{D, Result, Tensor};
use serde::{Deserialize, Serialize};

pub use super::pyramid::{PyramidWeights, pyramid_loss};

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
    /// The same reconstruction loss on the picture decoded from structure alone.
    pub structure: f64,
    /// How much more the two colour-difference channels of that picture count than its lightness: few codes have to
    /// carry everything, and left to themselves they spend themselves on lightness (see models/README.md).
    #[serde(default = "plain_chroma")]
    pub structure_chroma: f64,
    /// Pull of code vectors towards their codes (the "commitment loss" of VQ-VAE, arXiv 1711.00937).
    pub commitment: f64,
    /// [`info_nce`] of two views of each picture.
    pub contrast: f64,
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
    pub fn all(&self) -> [(&'static str, f64); 8] {
        [
            ("l1", self.l1),
            ("pyramid", self.pyramid),
            ("edges", self.edges),
            ("alpha", self.alpha),
            ("structure", self.structure),
            ("structure_chroma", self.structure_chroma),
            ("commitment", self.commitment),
            ("contrast", self.contrast),
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
