//! The operators as compositions of candle's own: the reference for the fused ones, and what CUDA and Metal run.

use candle_core::{D, Result, Tensor};

use super::layers::Padding;

const NORM_EPS: f64 = 1e-6;

/// `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]` → `[.., out]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    let inputs = dims.pop().unwrap_or(0);
    let rows: usize = dims.iter().product();
    let y = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    dims.push(weight.dim(0)?);
    y.reshape(dims)
}

/// Over the last axis: `x / sqrt(mean(x²) + eps) · gain`.
pub fn rms_norm(x: &Tensor, gain: &Tensor) -> Result<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + NORM_EPS)?.sqrt()?)?
        .broadcast_mul(gain)
}

/// The tanh form of GELU (Hendrycks & Gimpel, arXiv 1606.08415).
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.gelu()
}

/// `x` `[n, h, w, c]`, `weight` `[3, 3, c]`, `bias` `[c]`: each channel convolved with its own 3×3 kernel.
pub fn depthwise3x3(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    padding: Padding,
) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let padded = pad_axis(x, 1, padding.wraps_y())?;
    let padded = pad_axis(&padded, 2, padding.wraps_x())?;
    let weight = weight.reshape((9, channels))?;
    let mut sum: Option<Tensor> = None;
    for dy in 0..3 {
        let rows = padded.narrow(1, dy, height)?;
        for dx in 0..3 {
            let tap =
                rows.narrow(2, dx, width)?
                    .broadcast_mul(&weight.narrow(0, dy * 3 + dx, 1)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + tap)?,
                None => tap,
            });
        }
    }
    match sum {
        Some(sum) => sum.broadcast_add(bias),
        None => candle_core::bail!("a 3x3 kernel has nine taps"),
    }
}

/// One position more on either side of `axis`: wrapped, or zero.
fn pad_axis(x: &Tensor, axis: usize, wrap: bool) -> Result<Tensor> {
    if wrap {
        let last = x.dim(axis)? - 1;
        Tensor::cat(
            &[&x.narrow(axis, last, 1)?, x, &x.narrow(axis, 0, 1)?],
            axis,
        )
    } else {
        x.pad_with_zeros(axis, 1, 1)
    }
}

/// `[n, h, w, c]` → `[n, h/f, w/f, f·f·c]`; the new channels are ordered (row in cell, column in cell, channel).
pub fn space_to_depth(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if factor == 0 || h % factor != 0 || w % factor != 0 {
        candle_core::bail!("space_to_depth: {h}x{w} is not a multiple of {factor}");
    }
    x.reshape(&[n, h / factor, factor, w / factor, factor, c][..])?
        .permute(vec![0, 1, 3, 2, 4, 5])?
        .contiguous()?
        .reshape((n, h / factor, w / factor, factor * factor * c))
}

/// The inverse of [`space_to_depth`].
pub fn depth_to_space(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if factor == 0 || c % (factor * factor) != 0 {
        candle_core::bail!("depth_to_space: {c} channels are not a multiple of {factor}²");
    }
    let c = c / (factor * factor);
    x.reshape(&[n, h, w, factor, factor, c][..])?
        .permute(vec![0, 1, 3, 2, 4, 5])?
        .contiguous()?
        .reshape((n, h * factor, w * factor, c))
}

/// For each row of `x` `[n, d]` the id of the nearest row of `codebook` `[k, d]` (squared Euclidean distance);
/// a tie goes to the lowest id. A row of NaN gets the last one, where the caller does not look for it.
pub fn nearest_code(x: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    let norms = codebook.sqr()?.sum(1)?;
    let scores = (x.matmul(&codebook.t()?)? * -2.0)?.broadcast_add(&norms)?;
    // The argmin of CUDA and Metal may give any of several equal ones.
    let best = scores.min_keepdim(D::Minus1)?;
    let count = codebook.dim(0)?;
    let ids = Tensor::arange(0, count as u32, x.device())?.broadcast_as(scores.shape())?;
    let others = Tensor::full(count as u32 - 1, scores.shape(), x.device())?;
    scores
        .broadcast_eq(&best)?
        .where_cond(&ids, &others)?
        .min(D::Minus1)
}
