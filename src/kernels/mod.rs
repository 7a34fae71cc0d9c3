//! The operators the codec and the prior are built of. Tensors are NHWC (`[batch, height, width, channels]`), `f32`.
//!
//! [`plain`] holds each operator as a composition of candle's own, which runs and differentiates on every
//! device; the fused CPU versions are tested against it.
//!
//! # Limitations
//! `f32` alone. Only what the codec's layers need: 3 × 3 depthwise is the one convolution, RMS the one norm.

pub mod adamw;
mod block;
mod block_grad;
mod chain;
pub mod cuda;
mod depthwise;
pub mod grads;
mod host;
mod layers;
mod linear;
mod nearest;
mod norm;
pub mod params;
pub mod plain;
mod pool;
mod product;
mod ranges;
mod shape;
mod shuffle;
mod simd;
mod switch;

use candle_core::{Result, Tensor};

pub use adamw::{AdamW, AdamWConfig, read_scalars};
pub use grads::{Grads, no_grad};
pub use layers::{Block, Chain, Layer, Linear, Padding, RmsNorm};
pub use params::{Param, ParamStore, fan_in};
pub use pool::free_scratch;
pub use switch::{fused_on, set_plain_ops, with_plain_ops};

/// For each row of `x` `[n, d]` the id of the nearest row of `codebook` `[k, d]` (squared Euclidean distance), `u32`
/// `[n]`; a tie goes to the lowest id. A row or a codebook that is not finite is an error.
pub fn nearest_code(x: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    let (x, codebook) = (x.detach().contiguous()?, codebook.detach().contiguous()?);
    if host::takes(&x) && host::takes(&codebook) {
        return nearest::nearest_code(&x, &codebook);
    }
    if x.dims2()?.1 != codebook.dims2()?.1 {
        candle_core::bail!(
            "vectors {:?} and codes {:?} do not match",
            x.dims(),
            codebook.dims()
        );
    }
    for values in [&x, &codebook] {
        // Anything that is not finite, times zero, is NaN.
        if (values * 0.0)?.sum_all()?.to_scalar::<f32>()? != 0.0 {
            candle_core::bail!("a vector to be quantized, or a code, is not finite");
        }
    }
    match cuda::nearest_code(&x, &codebook)? {
        Some(ids) => Ok(ids),
        None => plain::nearest_code(&x, &codebook),
    }
}

/// Scales each row (last axis) to a root mean square of 1: [`RmsNorm`] without a gain.
pub fn unit_rms(x: &Tensor) -> Result<Tensor> {
    Chain::from([Layer::UnitRms]).forward(x, Padding::Zero)
}

/// `[n, h, w, c]` → `[n, h/f, w/f, f·f·c]`; the new channels are ordered (row in cell, column in cell, channel).
/// Sides that are no multiple of `factor` are an error.
pub fn space_to_depth(x: &Tensor, factor: usize) -> Result<Tensor> {
    Chain::from([Layer::SpaceToDepth(factor)]).forward(x, Padding::Zero)
}

/// The inverse of [`space_to_depth`].
pub fn depth_to_space(x: &Tensor, factor: usize) -> Result<Tensor> {
    Chain::from([Layer::DepthToSpace(factor)]).forward(x, Padding::Zero)
}

/// `x` through all of `blocks`; faster than one after the other where gradients are recorded.
pub fn blocks(blocks: &[Block], x: &Tensor, padding: Padding) -> Result<Tensor> {
    let layers = blocks
        .iter()
        .map(|block| Layer::Block(Box::new(block.clone())));
    Chain::from(layers).forward(x, padding)
}
