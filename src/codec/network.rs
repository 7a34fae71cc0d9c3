//! The network itself, as CODEC.md draws it:
//!
//! ```text
//! Encoder:   space-to-depth → Linear → Blocks, per stage
//! Structure: coarsest features → RMSNorm → Linear → d          (then quantized)
//! Trunk:     structure vector → Linear → Blocks → Linear, depth-to-space → … = T at the detail stage
//! Detail:    features ⊕ T → RMSNorm → Linear → d               (then quantized)
//! Head:      T + Linear(detail vector or empty) → Blocks → … → Linear → depth-to-space → RGBA
//! ```
//! Nothing mixes positions but the depthwise 3×3 and the resampling, so its reach is finite.

use candle_core::{Result, Tensor};

use crate::codec::config::{CodecConfig, PIXEL_CHANNELS};
use crate::codec::receptive::TrunkLink;
use crate::kernels::{self, Block, Init, Linear, Padding, Param, RmsNorm, Scope};

/// Sides of a window that lie inside the canvas: there a block's outermost cells miss their surroundings and are cut
/// off after every block, so that no later one computes on them. Sides at the border of the canvas stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trim {
    pub left: bool,
    pub right: bool,
    pub top: bool,
    pub bottom: bool,
}

impl Trim {
    fn cut(self, x: &Tensor) -> Result<Tensor> {
        if self == Self::default() {
            return Ok(x.clone());
        }
        let (_, height, width, _) = x.dims4()?;
        let narrow = |x: &Tensor, dim, len: usize, before: bool, after: bool| {
            let cut = usize::from(before) + usize::from(after);
            if len <= cut {
                candle_core::bail!("a window of {len} cells has nothing left to trim");
            }
            x.narrow(dim, usize::from(before), len - cut)
        };
        let x = narrow(x, 1, height, self.top, self.bottom)?;
        narrow(&x, 2, width, self.left, self.right)?.contiguous()
    }
}

#[derive(Debug, Clone)]
struct Stage {
    resampling: usize,
    input: Linear,
    blocks: Vec<Block>,
}

impl Stage {
    fn run_blocks(&self, x: Tensor, padding: Padding) -> Result<Tensor> {
        kernels::blocks(&self.blocks, &x, padding)
    }

    /// An encoder stage: finer features (or pixels) → this stage's features.
    fn encode(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let x = self
            .input
            .forward(&kernels::space_to_depth(x, self.resampling)?)?;
        self.run_blocks(x, padding)
    }

    /// A decoder stage without its blocks: coarser features → this stage's resolution.
    fn enter(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.input.forward(x)?;
        match self.resampling {
            1 => Ok(x),
            factor => kernels::depth_to_space(&x, factor),
        }
    }
}

/// Features → code vectors, before quantization.
#[derive(Debug, Clone)]
struct Neck {
    norm: RmsNorm,
    project: Linear,
    cosine: bool,
}

impl Neck {
    fn new(inputs: usize, dim: usize, cosine: bool, scope: &Scope<'_>) -> Result<Self> {
        Ok(Self {
            norm: RmsNorm::new(inputs, scope.pp("norm"))?,
            project: Linear::new(inputs, dim, scope.pp("project"))?,
            cosine,
        })
    }

    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let z = self.project.forward(&self.norm.forward(features)?)?;
        if self.cosine {
            kernels::unit_rms(&z)
        } else {
            Ok(z)
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// From fine to coarse, as in the config.
    encoder: Vec<Stage>,
    decoder: Vec<Stage>,
    detail_stage: usize,
    structure_neck: Neck,
    detail_neck: Neck,
    detail_in: Linear,
    empty: Param,
    out: Linear,
    out_stride: usize,
    embedding: Option<Linear>,
}

impl Network {
    pub fn new(config: &CodecConfig, scope: &Scope<'_>) -> Result<Self> {
        let detail_stage = config.detail_stage();
        let mut encoder = Vec::new();
        let mut decoder = Vec::new();
        for (index, stage) in config.stages.iter().enumerate() {
            let below = match index {
                0 => PIXEL_CHANNELS,
                _ => config.stages[index - 1].width,
            };
            let down = config.downsampling(index);
            encoder.push(new_stage(
                scope.pp("encoder").pp(format!("s{}", stage.stride)),
                down,
                (down * down * below, stage.width),
                (stage.encoder_depth, stage.width),
            )?);
            let above = config
                .stages
                .get(index + 1)
                .map_or(config.structure.dim, |above| above.width);
            let up = config.upsampling(index);
            decoder.push(new_stage(
                scope.pp("decoder").pp(format!("s{}", stage.stride)),
                up,
                (above, up * up * stage.width),
                (stage.decoder_depth, stage.width),
            )?);
        }
        let finest = config.stages[0];
        let coarsest = config.stages[config.stages.len() - 1];
        let detail_width = config.stages[detail_stage].width;
        Ok(Self {
            encoder,
            decoder,
            detail_stage,
            structure_neck: Neck::new(
                coarsest.width,
                config.structure.dim,
                config.structure.cosine,
                &scope.pp("structure"),
            )?,
            detail_neck: Neck::new(
                2 * detail_width,
                config.detail.dim,
                config.detail.cosine,
                &scope.pp("detail"),
            )?,
            detail_in: Linear::new(
                config.detail.dim,
                detail_width,
                scope.pp("decoder").pp("detail"),
            )?,
            empty: scope
                .pp("detail")
                .get("empty", &[config.detail.dim], Init::Const(0.0))?,
            out: Linear::new(
                finest.width,
                finest.stride.pow(2) * PIXEL_CHANNELS,
                scope.pp("decoder").pp("out"),
            )?,
            out_stride: finest.stride,
            embedding: config
                .embedding
                .map(|length| Linear::new(coarsest.width, length, scope.pp("embedding")))
                .transpose()?,
        })
    }

    /// Pixels → features at the detail stage and at the coarsest one.
    pub fn encode(&self, pixels: &Tensor, padding: Padding) -> Result<Features> {
        let detail = self.encode_to_detail(pixels, padding)?;
        let mut coarsest = detail.clone();
        for stage in &self.encoder[self.detail_stage + 1..] {
            coarsest = stage.encode(&coarsest, padding)?;
        }
        Ok(Features { detail, coarsest })
    }

    /// The first part of [`Self::encode`] alone.
    pub fn encode_to_detail(&self, pixels: &Tensor, padding: Padding) -> Result<Tensor> {
        let mut x = pixels.clone();
        for stage in &self.encoder[..=self.detail_stage] {
            x = stage.encode(&x, padding)?;
        }
        Ok(x)
    }

    /// Coarsest features → structure vectors before quantization.
    pub fn structure_vectors(&self, coarsest: &Tensor) -> Result<Tensor> {
        self.structure_neck.forward(coarsest)
    }

    /// Features of the detail stage and T → detail vectors before quantization.
    pub fn detail_vectors(&self, features: &Tensor, trunk: &Tensor) -> Result<Tensor> {
        self.detail_neck
            .forward(&Tensor::cat(&[features, trunk], 3)?)
    }

    /// Coarsest features `[n, h, w, c]` → `[n, length]`, where the config has the head.
    pub fn embed(&self, coarsest: &Tensor) -> Result<Option<Tensor>> {
        self.embedding
            .as_ref()
            .map(|embedding| embedding.forward(&coarsest.mean((1, 2))?))
            .transpose()
    }

    /// Trunk steps: step 0 is the coarsest stage; the last one gives T.
    pub fn trunk_steps(&self) -> usize {
        self.decoder.len() - self.detail_stage
    }

    /// One step of the trunk. Step 0 takes structure vectors, the others take the step before.
    pub fn trunk_step(&self, step: usize, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let stage = &self.decoder[self.decoder.len() - 1 - step];
        let x = stage.enter(x)?;
        if step + 1 == self.trunk_steps() {
            Ok(x)
        } else {
            stage.run_blocks(x, padding)
        }
    }

    /// One link of the trunk; the first takes structure vectors.
    pub fn trunk_link(&self, link: &TrunkLink, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let stage = &self.decoder[self.decoder.len() - 1 - link.step];
        let x = if link.enters {
            stage.enter(x)?
        } else {
            x.clone()
        };
        match link.block {
            Some(block) => stage.blocks[block].forward(&x, padding),
            None => Ok(x),
        }
    }

    /// Structure vectors → T.
    pub fn trunk(&self, vectors: &Tensor, padding: Padding) -> Result<Tensor> {
        let mut x = vectors.clone();
        for step in 0..self.trunk_steps() {
            x = self.trunk_step(step, &x, padding)?;
        }
        Ok(x)
    }

    /// T and detail vectors (broadcast over T: `[d]` stands for one vector everywhere) → pixels.
    pub fn head(&self, trunk: &Tensor, vectors: &Tensor, padding: Padding) -> Result<Tensor> {
        self.head_trimmed(trunk, vectors, padding, Trim::default())
    }

    /// As [`Self::head`] on a window, of which every block trims its cell.
    pub fn head_trimmed(
        &self,
        trunk: &Tensor,
        vectors: &Tensor,
        padding: Padding,
        trim: Trim,
    ) -> Result<Tensor> {
        let vectors = if vectors.rank() == 1 {
            vectors.unsqueeze(0)?
        } else {
            vectors.clone()
        };
        let detail = self.detail_in.forward(&vectors)?;
        let mut x = trunk.broadcast_add(&detail)?;
        for (index, stage) in self.decoder[..=self.detail_stage].iter().enumerate().rev() {
            if index < self.detail_stage {
                x = stage.enter(&x)?;
            }
            for block in &stage.blocks {
                x = trim.cut(&block.forward(&x, padding)?)?;
            }
        }
        kernels::depth_to_space(&self.out.forward(&x)?, self.out_stride)
    }

    /// The vector of an empty detail cell, `[d]`.
    pub fn empty(&self) -> &Tensor {
        self.empty.tensor()
    }
}

fn new_stage(
    scope: Scope<'_>,
    resampling: usize,
    (inputs, outputs): (usize, usize),
    (depth, width): (usize, usize),
) -> Result<Stage> {
    Ok(Stage {
        resampling,
        input: Linear::new(inputs, outputs, scope.pp("in"))?,
        blocks: (0..depth)
            .map(|index| Block::new(width, scope.pp(format!("block{index}"))))
            .collect::<Result<_>>()?,
    })
}

/// What the encoder sees.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    /// `[n, h, w, c]` at the detail stage.
    pub detail: Tensor,
    /// `[n, h/16, w/16, c]`.
    pub coarsest: Tensor,
}
