//! The training pass: reconstruction through straight-through codes, with detail dropout.

use candle_core::{DType, Device, Tensor};
use rand::Rng;

use crate::codec::averages::CodebookSums;
use crate::codec::vectors::unit;
use crate::codec::{CodebookTraining, Codec, Quantizer, check_pixels};
use crate::error::{Error, Kind, Result};
use crate::kernels::Padding;

/// Which detail cells are dropped in training: those decode from the *empty* vector.
#[derive(Debug, Clone)]
pub struct DetailMask {
    /// `[n, h, w, 1]`, 1 where the cell is dropped.
    dropped: Tensor,
}

/// How [`DetailMask::sample`] drops.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DetailDropout {
    /// Chance that all detail of a picture is dropped.
    pub whole: f32,
    /// Chance that rectangles are dropped (otherwise, and if not `whole`, nothing is).
    pub rectangles: f32,
    /// At most this many rectangles, each of up to half the grid's sides.
    pub max_rectangles: u32,
}

impl Default for DetailDropout {
    fn default() -> Self {
        Self {
            whole: 0.05,
            rectangles: 0.45,
            max_rectangles: 3,
        }
    }
}

impl DetailMask {
    /// Nothing is dropped, in a batch of `n` detail grids of `height`×`width` cells.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the tensor cannot be made.
    pub fn none((n, height, width): (usize, usize, usize), device: &Device) -> Result<Self> {
        let dropped = Tensor::zeros((n, height, width, 1), DType::F32, device)?;
        Ok(Self { dropped })
    }

    /// `[n, h, w, 1]`, 1 where the cell is not dropped.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the tensor cannot be made.
    pub fn kept(&self) -> Result<Tensor> {
        Ok((1.0 - &self.dropped)?)
    }

    /// From a tensor `[n, h, w]`, not zero where a cell is dropped.
    ///
    /// # Errors
    /// [`Kind::Internal`] for another rank.
    pub fn from_tensor(dropped: &Tensor) -> Result<Self> {
        dropped.dims3()?;
        let dropped = dropped.ne(&dropped.zeros_like()?)?.to_dtype(DType::F32)?;
        Ok(Self {
            dropped: dropped.unsqueeze(3)?,
        })
    }

    /// Random rectangles, and sometimes all, of each grid.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the tensor cannot be made.
    pub fn sample(
        (n, height, width): (usize, usize, usize),
        dropout: &DetailDropout,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self> {
        let mut dropped = vec![0f32; n * height * width];
        for grid in dropped.chunks_exact_mut((height * width).max(1)) {
            let chance = unit(rng) as f32;
            if chance < dropout.whole {
                grid.fill(1.0);
            } else if chance < dropout.whole + dropout.rectangles {
                let count = 1 + below(dropout.max_rectangles.max(1) as usize, rng);
                for _ in 0..count {
                    drop_rectangle(grid, height, width, rng);
                }
            }
        }
        Ok(Self {
            dropped: Tensor::from_vec(dropped, (n, height, width, 1), device)?,
        })
    }

    /// `[n, h, w]`, 1 where the cell is dropped.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the tensor cannot be made.
    pub fn tensor(&self) -> Result<Tensor> {
        Ok(self.dropped.squeeze(3)?)
    }
}

fn drop_rectangle(grid: &mut [f32], height: usize, width: usize, rng: &mut impl Rng) {
    let rows = 1 + below(height.div_ceil(2), rng);
    let columns = 1 + below(width.div_ceil(2), rng);
    let top = below(height - rows + 1, rng);
    let left = below(width - columns + 1, rng);
    for row in grid[top * width..][..rows * width].chunks_exact_mut(width) {
        row[left..left + columns].fill(1.0);
    }
}

fn below(limit: usize, rng: &mut impl Rng) -> usize {
    ((unit(rng) * limit as f64) as usize).min(limit.saturating_sub(1))
}

/// What a training pass shall give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainOptions {
    /// Also decode from structure alone.
    pub structure_alone: bool,
    /// Also give the contrastive embedding.
    pub embedding: bool,
    /// False: vectors pass unquantized, to warm the network up before the codebooks start.
    pub quantize: bool,
    pub padding: Padding,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            structure_alone: true,
            embedding: false,
            quantize: true,
            padding: Padding::Zero,
        }
    }
}

/// What one level gave in a training pass, for [`Codec::update_codebooks`] and for usage.
#[derive(Debug, Clone)]
pub struct LevelForward {
    /// Vectors before quantization, `[m, d]`, outside the graph.
    pub vectors: Tensor,
    /// Their nearest codes, `u32` `[m]`; `None` where the pass did not quantize.
    pub codes: Option<Tensor>,
}

/// The outcome of a training pass.
#[derive(Debug, Clone)]
pub struct TrainForward {
    /// `[n, h, w, 4]`.
    pub recon: Tensor,
    /// The reconstruction from structure alone, if asked for.
    pub structure_recon: Option<Tensor>,
    /// Mean squared distance of vectors from their codes, both levels added; a scalar. Its gradient moves the
    /// encoder only.
    pub commit_loss: Tensor,
    pub structure: LevelForward,
    pub detail: LevelForward,
    /// `[n, length]`, not normalised; if asked for and the codec has the head.
    pub embedding: Option<Tensor>,
}

/// Dead codes re-seeded by an update, per level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reseeded {
    pub structure: usize,
    pub detail: usize,
}

struct Quantized {
    /// Straight-through: the code's value, the vector's gradient.
    vectors: Tensor,
    commit: Option<Tensor>,
    level: LevelForward,
}

impl Codec {
    /// The differentiable pass over pixels `[n, h, w, 4]`, with `mask` over the detail grid.
    ///
    /// # Errors
    /// [`Kind::Usage`] for pixels of a wrong shape; on the CPU [`Kind::NotFinite`] where the encoder gives NaN or infinities.
    pub fn forward_train(
        &self,
        pixels: &Tensor,
        mask: &DetailMask,
        options: &TrainOptions,
    ) -> Result<TrainForward> {
        check_pixels(pixels)?;
        let (net, padding) = (&self.network, options.padding);
        let features = net.encode(pixels, padding)?;
        let structure = self.quantize_train(
            &net.structure_vectors(&features.coarsest)?,
            &self.structure,
            options,
        )?;
        let trunk = net.trunk(&structure.vectors, padding)?;
        let detail = self.quantize_train(
            &net.detail_vectors(&features.detail, &trunk)?,
            &self.detail,
            options,
        )?;
        let (n, h, w, _) = detail.vectors.dims4()?;
        if mask.dropped.dims() != [n, h, w, 1] {
            return Err(Error::new(
                Kind::Internal,
                "could not run a training step",
                format!(
                    "the mask is {:?}, the detail grid {n}x{h}x{w}",
                    mask.dropped.dims()
                ),
                "",
            ));
        }
        let kept = mask.dropped.affine(-1.0, 1.0)?;
        let empty = mask.dropped.broadcast_mul(net.empty())?;
        let vectors = (detail.vectors.broadcast_mul(&kept)? + empty)?;
        let recon = net.head(&trunk, &vectors, padding)?;
        let structure_recon = if options.structure_alone {
            Some(net.head(&trunk, net.empty(), padding)?)
        } else {
            None
        };
        let commit_loss = match (structure.commit, detail.commit) {
            (Some(structure), Some(detail)) => (structure + detail)?,
            _ => Tensor::zeros((), DType::F32, pixels.device())?,
        };
        let embedding = match net.embedding_head().filter(|_| options.embedding) {
            Some(head) => Some(head.of_features(pixels, &features)?),
            None => None,
        };
        Ok(TrainForward {
            recon,
            structure_recon,
            commit_loss,
            structure: structure.level,
            detail: detail.level,
            embedding,
        })
    }

    fn quantize_train(
        &self,
        vectors: &Tensor,
        quantizer: &Quantizer,
        options: &TrainOptions,
    ) -> Result<Quantized> {
        let rows = vectors.detach().reshape(((), quantizer.config().dim))?;
        if !options.quantize {
            return Ok(Quantized {
                vectors: vectors.clone(),
                commit: None,
                level: LevelForward {
                    vectors: rows,
                    codes: None,
                },
            });
        }
        let codes = quantizer.nearest_in_training(&rows)?;
        let nearest = quantizer.lookup(&codes)?.reshape(vectors.shape())?;
        let commit = (vectors - &nearest)?.sqr()?.mean_all()?;
        Ok(Quantized {
            vectors: (vectors + (nearest - vectors.detach())?)?,
            commit: Some(commit),
            level: LevelForward {
                vectors: rows,
                codes: Some(codes),
            },
        })
    }

    /// Moves both codebooks towards the vectors of a training pass. Does nothing for a pass that did not quantize.
    ///
    /// # Errors
    /// [`Kind::NotFinite`].
    pub fn update_codebooks(
        &mut self,
        pass: &TrainForward,
        training: &CodebookTraining,
    ) -> Result<Reseeded> {
        match self.codebook_sums(pass)? {
            Some(sums) => self.follow_sums([&pass.structure, &pass.detail], &sums, training),
            None => Ok(Reseeded::default()),
        }
    }

    /// What the codebooks of structure and detail learn from a pass; `None` of one that did not quantize.
    ///
    /// # Errors
    /// [`Kind::NotFinite`].
    pub fn codebook_sums(&self, pass: &TrainForward) -> Result<Option<[CodebookSums; 2]>> {
        let (Some(structure), Some(detail)) = (&pass.structure.codes, &pass.detail.codes) else {
            return Ok(None);
        };
        Ok(Some([
            self.structure.sums(&pass.structure.vectors, structure)?,
            self.detail.sums(&pass.detail.vectors, detail)?,
        ]))
    }

    /// [`Self::update_codebooks`] by [`Self::codebook_sums`], which may be those of several passes; `levels` are structure and
    /// detail of this one.
    ///
    /// # Errors
    /// [`Kind::NotFinite`].
    pub fn follow_sums(
        &mut self,
        levels: [&LevelForward; 2],
        sums: &[CodebookSums; 2],
        training: &CodebookTraining,
    ) -> Result<Reseeded> {
        let follow = |quantizer: &mut Quantizer, level: &LevelForward, sums| match &level.codes {
            Some(codes) => quantizer.follow(sums, &level.vectors, codes, training),
            None => Ok(0),
        };
        let [structure, detail] = levels;
        Ok(Reseeded {
            structure: follow(&mut self.structure, structure, &sums[0])?,
            detail: follow(&mut self.detail, detail, &sums[1])?,
        })
    }
}
