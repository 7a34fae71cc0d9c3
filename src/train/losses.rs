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
    pub fn all(&self) -> [(&'static str, f64); 7] {
        [
            ("l1", self.l1),
            ("pyramid", self.pyramid),
            ("edges", self.edges),
            ("alpha", self.alpha),
            ("structure", self.structure),
            ("commitment", self.commitment),
            ("contrast", self.contrast),
        ]
    }
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
