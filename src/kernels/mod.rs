//! The operators the codec and the prior are built of. Tensors are NHWC (`[batch, height, width, channels]`), `f32`.
//!
//! [`plain`] holds each operator as a composition of candle's own, which runs and differentiates on every
//! device; the fused CPU versions are tested against it.

pub mod adamw;
mod block;
mod block_grad;
mod chain;
pub mod cuda;
mod depthwise;
pub mod grads;
mod host;
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

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, Module, VarBuilder};

pub use adamw::{AdamW, AdamWConfig, read_scalars};
pub use chain::{Chain, Layer};
pub use grads::{Grads, no_grad};
pub use params::{Param, ParamStore, fan_in};
pub use pool::free_scratch;

/// How positions outside the picture read in a depthwise convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    #[default]
    Zero,
    /// Wraps around on the named axes, zero on the others.
    Wrap { x: bool, y: bool },
}

impl Padding {
    pub fn wraps_x(self) -> bool {
        matches!(self, Padding::Wrap { x: true, .. })
    }

    pub fn wraps_y(self) -> bool {
        matches!(self, Padding::Wrap { y: true, .. })
    }
}

/// `y = x·Wᵀ + b` over the last axis.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Param,
    /// `[out]`
    pub bias: Param,
    packs: Arc<linear::Packs>,
}

impl Linear {
    pub fn new(inputs: usize, outputs: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: Param::get(&vb, "weight", (outputs, inputs), fan_in(inputs))?,
            bias: Param::get(&vb, "bias", outputs, candle_nn::init::ZERO)?,
            packs: Arc::default(),
        })
    }

    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        plain::linear(x, self.weight.tensor(), Some(self.bias.tensor()))
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Chain::from([Layer::Linear(self.clone())]).forward(x, Padding::Zero)
    }
}

/// `RMSNorm` over channels (Zhang & Sennrich, arXiv 1910.07467), `eps` 1e-6.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// `[channels]`
    pub gain: Param,
}

impl RmsNorm {
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            gain: Param::get(&vb, "gain", channels, candle_nn::init::ONE)?,
        })
    }
}

impl Module for RmsNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Chain::from([Layer::RmsNorm(self.clone())]).forward(x, Padding::Zero)
    }
}

/// `x + γ·MLP(RMSNorm(depthwise3x3(x)))`, the ConvNeXt block (arXiv 2201.03545) with a per-pixel norm. No [`Module`]: what lies
/// outside the picture is said with each call.
#[derive(Debug, Clone)]
pub struct Block {
    /// `[3, 3, channels]`
    pub depthwise: Param,
    /// `[channels]`
    pub depthwise_bias: Param,
    pub norm: RmsNorm,
    /// channels → 4·channels
    pub up: Linear,
    /// 4·channels → channels
    pub down: Linear,
    /// Layer scale γ, `[channels]`.
    pub scale: Param,
    packs: Arc<block::Packs>,
}

impl Block {
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let depthwise = vb.pp("depthwise");
        Ok(Self {
            depthwise: Param::get(&depthwise, "weight", (3, 3, channels), fan_in(9))?,
            depthwise_bias: Param::get(&depthwise, "bias", channels, candle_nn::init::ZERO)?,
            norm: RmsNorm::new(channels, vb.pp("norm"))?,
            up: Linear::new(channels, 4 * channels, vb.pp("up"))?,
            down: Linear::new(4 * channels, channels, vb.pp("down"))?,
            scale: Param::get(&vb, "scale", channels, Init::Const(0.5))?,
            packs: Arc::default(),
        })
    }

    pub fn forward(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
        blocks(std::slice::from_ref(self), x, padding)
    }

    fn plain(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let y = plain::depthwise3x3(
            x,
            self.depthwise.tensor(),
            self.depthwise_bias.tensor(),
            padding,
        )?;
        let y = plain::rms_norm(&y, self.norm.gain.tensor())?;
        let y = self.down.plain(&plain::gelu(&self.up.plain(&y)?)?)?;
        x + y.broadcast_mul(self.scale.tensor())?
    }
}

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

static PLAIN_OPS: AtomicBool = AtomicBool::new(false);

/// Switches the whole process to the plain compositions, to diagnose a machine on which the fused operators misbehave.
pub fn set_plain_ops(plain: bool) {
    PLAIN_OPS.store(plain, Ordering::Relaxed);
}

thread_local! {
    static PLAIN_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with the plain compositions, on this thread only: the reference that a device is checked against.
pub fn with_plain_ops<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLAIN_HERE.set(self.0);
        }
    }
    let _restore = Restore(PLAIN_HERE.replace(true));
    work()
}

/// Whether operators on `device` run as the fused ones of the CPU. [`cuda::runs_on`] says the same of an accelerator.
pub fn fused_on(device: &Device) -> bool {
    device.is_cpu() && !is_plain() && !cuda::is_stand_in()
}

fn is_plain() -> bool {
    PLAIN_OPS.load(Ordering::Relaxed) || PLAIN_HERE.get()
}
