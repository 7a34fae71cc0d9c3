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
use candle_nn::VarBuilder;

use crate::codec::config::{CodecConfig, PIXEL_CHANNELS};
use crate::codec::embedding::Embedding;
use crate::codec::features::Features;
use crate::codec::receptive::TrunkLink;
use crate::kernels::{Block, Chain, Layer, Linear, Padding, Param, RmsNorm};

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
    fn blocks(&self) -> impl Iterator<Item = Layer> {
        self.blocks.iter().map(block_layer)
    }

    /// An encoder stage: finer features (or pixels) → this stage's features.
    fn encode(&self) -> impl Iterator<Item = Layer> {
        [
            Layer::SpaceToDepth(self.resampling),
            Layer::Linear(self.input.clone()),
        ]
        .into_iter()
        .chain(self.blocks())
    }

    /// A decoder stage without its blocks: coarser features → this stage's resolution.
    fn enter(&self) -> impl Iterator<Item = Layer> {
        let shuffle = (self.resampling > 1).then_some(Layer::DepthToSpace(self.resampling));
        [Layer::Linear(self.input.clone())]
            .into_iter()
            .chain(shuffle)
    }
}

fn block_layer(block: &Block) -> Layer {
    Layer::Block(Box::new(block.clone()))
}

/// Features → code vectors, before quantization.
fn neck(
    inputs: usize,
    dim: usize,
    cosine: bool,
    vb: &VarBuilder<'_>,
) -> Result<impl Iterator<Item = Layer> + use<>> {
    let norm = RmsNorm::new(inputs, vb.pp("norm"))?;
    let project = Linear::new(inputs, dim, vb.pp("project"))?;
    let layers = [Layer::RmsNorm(norm), Layer::Linear(project)];
    Ok(layers.into_iter().chain(cosine.then_some(Layer::UnitRms)))
}

/// Each part of the network is a chain of layers, which runs as one operator.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Pixels → features at the detail stage, and from there to the coarsest.
    to_detail: Chain,
    to_coarsest: Chain,
    structure_neck: Chain,
    /// From the detail stage's features and T to detail vectors.
    detail_neck: Chain,
    /// From coarse to fine; the last gives T.
    trunk_steps: Vec<Chain>,
    trunk: Chain,
    /// Stages of the decoder, from fine to coarse.
    decoder: Vec<Stage>,
    /// The head on T and detail vectors, in parts of one block each; the last part has no block.
    head_parts: Vec<Chain>,
    head: Chain,
    empty: Param,
    embedding: Option<Embedding>,
}

impl Network {
    pub fn new(config: &CodecConfig, vb: &VarBuilder<'_>) -> Result<Self> {
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
                vb.pp("encoder").pp(format!("s{}", stage.stride)),
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
                vb.pp("decoder").pp(format!("s{}", stage.stride)),
                up,
                (above, up * up * stage.width),
                (stage.decoder_depth, stage.width),
            )?);
        }
        let finest = config.stages[0];
        let coarsest = config.stages[config.stages.len() - 1];
        let detail_width = config.stages[detail_stage].width;
        let codes = (config.structure, config.detail);
        let structure_neck = neck(
            coarsest.width,
            codes.0.dim,
            codes.0.cosine,
            &vb.pp("structure"),
        )?;
        let detail_neck = neck(
            2 * detail_width,
            codes.1.dim,
            codes.1.cosine,
            &vb.pp("detail"),
        )?;
        let detail_in = Linear::new(codes.1.dim, detail_width, vb.pp("decoder").pp("detail"))?;
        let out = Linear::new(
            finest.width,
            finest.stride.pow(2) * PIXEL_CHANNELS,
            vb.pp("decoder").pp("out"),
        )?;

        let steps: Vec<Vec<Layer>> = decoder[detail_stage..]
            .iter()
            .enumerate()
            .rev()
            .map(|(above, stage)| {
                let blocks = (above > 0).then(|| stage.blocks());
                stage.enter().chain(blocks.into_iter().flatten()).collect()
            })
            .collect();
        let mut parts = vec![vec![Layer::AddLinear(detail_in)]];
        for (index, stage) in decoder[..=detail_stage].iter().enumerate().rev() {
            if index < detail_stage {
                extend_last(&mut parts, stage.enter());
            }
            for block in stage.blocks() {
                extend_last(&mut parts, [block]);
                parts.push(Vec::new());
            }
        }
        extend_last(
            &mut parts,
            [Layer::Linear(out), Layer::DepthToSpace(finest.stride)],
        );
        Ok(Self {
            to_detail: encoder[..=detail_stage]
                .iter()
                .flat_map(Stage::encode)
                .into(),
            to_coarsest: encoder[detail_stage + 1..]
                .iter()
                .flat_map(Stage::encode)
                .into(),
            structure_neck: structure_neck.into(),
            detail_neck: [Layer::Concat].into_iter().chain(detail_neck).into(),
            trunk: steps.iter().flatten().cloned().into(),
            trunk_steps: steps.into_iter().map(Chain::from).collect(),
            decoder,
            head: parts.iter().flatten().cloned().into(),
            head_parts: parts.into_iter().map(Chain::from).collect(),
            empty: Param::get(
                &vb.pp("detail"),
                "empty",
                config.detail.dim,
                candle_nn::init::ZERO,
            )?,
            embedding: Embedding::new(config, &vb.pp("embedding"))?,
        })
    }

    /// Pixels → features at the detail stage and at the coarsest one.
    pub fn encode(&self, pixels: &Tensor, padding: Padding) -> Result<Features> {
        let detail = self.to_detail.forward(pixels, padding)?;
        let coarsest = self.to_coarsest.forward(&detail, padding)?;
        Ok(Features { detail, coarsest })
    }

    /// The first part of [`Self::encode`] alone.
    pub fn encode_to_detail(&self, pixels: &Tensor, padding: Padding) -> Result<Tensor> {
        self.to_detail.forward(pixels, padding)
    }

    /// Coarsest features → structure vectors before quantization.
    pub fn structure_vectors(&self, coarsest: &Tensor) -> Result<Tensor> {
        self.structure_neck.forward(coarsest, Padding::Zero)
    }

    /// Features of the detail stage and T → detail vectors before quantization.
    pub fn detail_vectors(&self, features: &Tensor, trunk: &Tensor) -> Result<Tensor> {
        self.detail_neck
            .forward_with(features, trunk, Padding::Zero)
    }

    /// Where the config has one.
    pub fn embedding_head(&self) -> Option<&Embedding> {
        self.embedding.as_ref()
    }

    /// The embedding of pixels, `[n, length]`, not normalised, where the config has one. Words need no more than the detail stage.
    pub fn embed(&self, pixels: &Tensor, padding: Padding) -> Result<Option<Tensor>> {
        Ok(match &self.embedding {
            None => None,
            Some(Embedding::Words(words)) => {
                Some(words.of_detail(pixels, &self.encode_to_detail(pixels, padding)?)?)
            }
            Some(pooled) => Some(pooled.of_features(pixels, &self.encode(pixels, padding)?)?),
        })
    }

    /// Trunk steps: step 0 is the coarsest stage; the last one gives T.
    pub fn trunk_steps(&self) -> usize {
        self.trunk_steps.len()
    }

    /// One step of the trunk. Step 0 takes structure vectors, the others take the step before.
    pub fn trunk_step(&self, step: usize, x: &Tensor, padding: Padding) -> Result<Tensor> {
        self.trunk_steps[step].forward(x, padding)
    }

    /// One link of the trunk; the first takes structure vectors.
    pub fn trunk_link(&self, link: &TrunkLink, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let stage = &self.decoder[self.decoder.len() - 1 - link.step];
        let enter = link.enters.then(|| stage.enter()).into_iter().flatten();
        let block = link.block.map(|block| block_layer(&stage.blocks[block]));
        Chain::from(enter.chain(block)).forward(x, padding)
    }

    /// Structure vectors → T.
    pub fn trunk(&self, vectors: &Tensor, padding: Padding) -> Result<Tensor> {
        self.trunk.forward(vectors, padding)
    }

    /// T and detail vectors (`[d]` stands for one vector everywhere) → pixels.
    pub fn head(&self, trunk: &Tensor, vectors: &Tensor, padding: Padding) -> Result<Tensor> {
        self.head.forward_with(trunk, vectors, padding)
    }

    /// As [`Self::head`] on a window, of which every block trims its cell.
    pub fn head_trimmed(
        &self,
        trunk: &Tensor,
        vectors: &Tensor,
        padding: Padding,
        trim: Trim,
    ) -> Result<Tensor> {
        if trim == Trim::default() {
            return self.head(trunk, vectors, padding);
        }
        let mut x = trunk.clone();
        for (index, part) in self.head_parts.iter().enumerate() {
            x = match index {
                0 => part.forward_with(&x, vectors, padding)?,
                _ => part.forward(&x, padding)?,
            };
            if index + 1 < self.head_parts.len() {
                x = trim.cut(&x)?;
            }
        }
        Ok(x)
    }

    /// The vector of an empty detail cell, `[d]`.
    pub fn empty(&self) -> &Tensor {
        self.empty.tensor()
    }
}

fn extend_last(parts: &mut [Vec<Layer>], layers: impl IntoIterator<Item = Layer>) {
    if let Some(last) = parts.last_mut() {
        last.extend(layers);
    }
}

fn new_stage(
    vb: VarBuilder<'_>,
    resampling: usize,
    (inputs, outputs): (usize, usize),
    (depth, width): (usize, usize),
) -> Result<Stage> {
    Ok(Stage {
        resampling,
        input: Linear::new(inputs, outputs, vb.pp("in"))?,
        blocks: (0..depth)
            .map(|index| Block::new(width, vb.pp(format!("block{index}"))))
            .collect::<Result<_>>()?,
    })
}
