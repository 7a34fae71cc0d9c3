//! What the network's layers are: their parameters, and layers in a row. How they are computed stands in other files: `chain.rs`
//! on the CPU, `cuda/` on cards, and as compositions here.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::{Init, Module, VarBuilder};

use super::params::{Param, fan_in};
use super::{block, linear, plain};

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
    pub(super) packs: Arc<linear::Packs>,
}

impl Linear {
    pub fn new(inputs: usize, outputs: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: Param::get(&vb, "weight", (outputs, inputs), fan_in(inputs))?,
            bias: Param::get(&vb, "bias", outputs, candle_nn::init::ZERO)?,
            packs: Arc::default(),
        })
    }

    pub(super) fn plain(&self, x: &Tensor) -> Result<Tensor> {
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
    pub(super) packs: Arc<block::Packs>,
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
        Chain::from([Layer::Block(Box::new(self.clone()))]).forward(x, padding)
    }

    pub(super) fn plain(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
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

/// One layer of a [`Chain`]. Activations are `[n, h, w, c]`.
#[derive(Debug, Clone)]
pub enum Layer {
    /// See [`super::space_to_depth`].
    SpaceToDepth(usize),
    /// See [`super::depth_to_space`].
    DepthToSpace(usize),
    Linear(Linear),
    RmsNorm(RmsNorm),
    /// [`RmsNorm`] without a gain.
    UnitRms,
    Block(Box<Block>),
    /// First layer only: the channels of the chain's second argument follow its own.
    Concat,
    /// First layer only: adds the linear map of the chain's second argument, which may be one row for all positions.
    AddLinear(Linear),
}

/// Layers in a row. Clones share them.
#[derive(Debug, Clone)]
pub struct Chain(pub(super) Arc<[Layer]>);

impl<L: IntoIterator<Item = Layer>> From<L> for Chain {
    fn from(layers: L) -> Self {
        Self(layers.into_iter().collect())
    }
}

/// Whether the first layer takes a second argument.
pub(super) fn takes_second(layers: &[Layer]) -> bool {
    matches!(layers.first(), Some(Layer::Concat | Layer::AddLinear(_)))
}
