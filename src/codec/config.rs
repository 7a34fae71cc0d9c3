//! What a codec looks like: stages, widths, depths and codebooks. Stored beside the weights, so it may come from a
//! stranger's file: [`CodecConfig::validate`] bounds everything before anything is allocated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Pixels per structure cell side; picture sides are padded to a multiple of it.
pub const STRUCTURE_STRIDE_PX: usize = 16;
/// Channels of a picture: premultiplied sRGB and alpha.
pub const PIXEL_CHANNELS: usize = 4;
/// A code grid keeps `u16`, and its largest value means *empty*.
pub const MAX_CODES: usize = 65_534;

const MAX_STAGES: usize = 4;
const MAX_WIDTH: usize = 2_048;
const MAX_DEPTH: usize = 32;
const MAX_CODE_DIM: usize = 256;
const MAX_EMBEDDING: usize = 1_024;
/// 512 MiB of `f32`.
const MAX_PARAMETERS: usize = 128 << 20;

/// One resolution of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Pixels per cell side.
    pub stride: usize,
    /// Channels.
    pub width: usize,
    pub encoder_depth: usize,
    pub decoder_depth: usize,
}

/// One level's codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodebookConfig {
    /// Pixels per cell side; a stage must have it.
    pub stride: usize,
    /// K, at most [`MAX_CODES`].
    pub codes: usize,
    /// d, the length of a code vector.
    pub dim: usize,
    /// Compare directions only: vectors are scaled to the sphere of radius √d (so that their components have a
    /// mean square of 1), as in "Vector-quantized Image Modeling with Improved VQGAN" (arXiv 2110.04627).
    pub cosine: bool,
}

/// How pictures are embedded, to compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EmbeddingHead {
    /// So many numbers, linear in the mean of the coarsest features.
    Pooled(usize),
    Words(WordsHead),
}

/// A bag of learned words (Sivic & Zisserman, "Video Google", ICCV 2003): how much of each word a picture's cells are, over all
/// and by bands from top to bottom ("Beyond bags of features", Lazebnik et al., CVPR 2006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordsHead {
    pub words: usize,
    pub bands: usize,
}

impl EmbeddingHead {
    /// Numbers per picture.
    pub fn length(self) -> usize {
        match self {
            Self::Pooled(length) => length,
            Self::Words(head) => head.words.saturating_mul(head.bands.saturating_add(1)),
        }
    }
}

/// The whole network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecConfig {
    /// From fine to coarse; the last one carries the structure codes.
    pub stages: Vec<Stage>,
    pub structure: CodebookConfig,
    pub detail: CodebookConfig,
    /// The contrastive embedding, where the codec has that head.
    pub embedding: Option<EmbeddingHead>,
}

impl Default for CodecConfig {
    fn default() -> Self {
        let stage = |stride, width, depth| Stage {
            stride,
            width,
            encoder_depth: depth,
            decoder_depth: depth,
        };
        Self {
            stages: vec![stage(4, 96, 2), stage(8, 160, 2), stage(16, 256, 4)],
            structure: CodebookConfig {
                stride: 16,
                codes: 1_024,
                dim: 16,
                cosine: true,
            },
            detail: CodebookConfig {
                stride: 4,
                codes: 2_048,
                dim: 16,
                cosine: true,
            },
            embedding: Some(EmbeddingHead::Pooled(128)),
        }
    }
}

impl CodecConfig {
    /// A network of a few thousand parameters, for tests.
    pub fn tiny() -> Self {
        let stage = |stride, width, depth| Stage {
            stride,
            width,
            encoder_depth: depth,
            decoder_depth: depth,
        };
        let codebook = |stride, codes| CodebookConfig {
            stride,
            codes,
            dim: 6,
            cosine: true,
        };
        Self {
            stages: vec![stage(4, 8, 1), stage(8, 12, 1), stage(16, 16, 2)],
            structure: codebook(16, 24),
            detail: codebook(4, 32),
            embedding: Some(EmbeddingHead::Pooled(8)),
        }
    }

    /// Bounds and consistency.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a network that this version cannot run, [`Kind::Limit`] for one that is too large.
    pub fn validate(&self) -> Result<()> {
        self.validate_stages()?;
        self.validate_codebook("structure", &self.structure)?;
        self.validate_codebook("detail", &self.detail)?;
        let coarsest = self.stages.last().map_or(0, |stage| stage.stride);
        if coarsest != STRUCTURE_STRIDE_PX || self.structure.stride != coarsest {
            return Err(unsupported(format!(
                "structure codes sit at stride {} and the coarsest stage at {coarsest}; both must be {STRUCTURE_STRIDE_PX}",
                self.structure.stride
            )));
        }
        if self.detail.stride >= self.structure.stride {
            return Err(unsupported(
                "detail codes must be finer than structure codes".to_owned(),
            ));
        }
        let is_fine = |head: EmbeddingHead| (1..=MAX_EMBEDDING).contains(&head.length());
        if !self.embedding.is_none_or(is_fine) {
            return Err(too_large("embedding", MAX_EMBEDDING));
        }
        if self.parameter_count() > MAX_PARAMETERS {
            return Err(too_large("number of parameters", MAX_PARAMETERS));
        }
        Ok(())
    }

    fn validate_stages(&self) -> Result<()> {
        if self.stages.len() < 2 || self.stages.len() > MAX_STAGES {
            return Err(unsupported(format!(
                "it has {} stages; 2 to {MAX_STAGES} are possible",
                self.stages.len()
            )));
        }
        let mut finer = 1;
        for stage in &self.stages {
            let in_order = stage.stride <= STRUCTURE_STRIDE_PX
                && stage.stride > finer
                && stage.stride.is_multiple_of(finer);
            if !in_order {
                return Err(unsupported(format!(
                    "a stage of stride {} cannot follow one of stride {finer}",
                    stage.stride
                )));
            }
            finer = stage.stride;
            if stage.width == 0 || stage.width > MAX_WIDTH {
                return Err(too_large("stage width", MAX_WIDTH));
            }
            if stage.encoder_depth > MAX_DEPTH || stage.decoder_depth > MAX_DEPTH {
                return Err(too_large("stage depth", MAX_DEPTH));
            }
        }
        Ok(())
    }

    fn validate_codebook(&self, level: &str, codebook: &CodebookConfig) -> Result<()> {
        if codebook.codes == 0 || codebook.codes > MAX_CODES {
            return Err(too_large(&format!("{level} codebook"), MAX_CODES));
        }
        if codebook.dim == 0 || codebook.dim > MAX_CODE_DIM {
            return Err(too_large(&format!("{level} code length"), MAX_CODE_DIM));
        }
        if !self.stages.iter().any(|s| s.stride == codebook.stride) {
            return Err(unsupported(format!(
                "no stage has the stride {} of the {level} codes",
                codebook.stride
            )));
        }
        Ok(())
    }

    /// The index into [`Self::stages`] of the stage that carries the detail codes. Of a valid config.
    pub(crate) fn detail_stage(&self) -> usize {
        self.stages
            .iter()
            .position(|stage| stage.stride == self.detail.stride)
            .unwrap_or(0)
    }

    /// How much finer stage `index` is than the one above it (coarser); 1 for the coarsest.
    pub(crate) fn upsampling(&self, index: usize) -> usize {
        self.stages
            .get(index + 1)
            .map_or(1, |above| above.stride / self.stages[index].stride)
    }

    /// How much coarser stage `index` is than the one below it (for the finest: than pixels).
    pub(crate) fn downsampling(&self, index: usize) -> usize {
        let below = if index == 0 {
            1
        } else {
            self.stages[index - 1].stride
        };
        self.stages[index].stride / below
    }

    /// Every tensor of a checkpoint by its stable name, with its shape. In `encoder.s4` and `decoder.s4` the number is
    /// the stage's stride. `Linear`s have `weight` `[out, in]` and `bias` `[out]`.
    ///
    /// | name | what |
    /// |---|---|
    /// | `encoder.sN.in` | Linear after space-to-depth into stage N |
    /// | `encoder.sN.blockI.*`, `decoder.sN.blockI.*` | `depthwise.weight` `[3, 3, C]`, `depthwise.bias`, `norm.gain`, `up`, `down`, `scale` |
    /// | `structure.norm.gain`, `structure.project` | features → code vector, before quantization |
    /// | `detail.norm.gain`, `detail.project` | the same for (features, T) |
    /// | `structure.codebook`, `detail.codebook` | `[K, d]` |
    /// | `detail.empty` | `[d]`, stands where no detail code is set |
    /// | `decoder.sN.in` | Linear into decoder stage N, before depth-to-space |
    /// | `decoder.detail` | Linear d → width, added to T |
    /// | `decoder.out` | Linear to pixels, before depth-to-space |
    /// | `embedding` | Linear from pooled coarsest features, where the config has that head |
    /// | `embedding.words` | Linear (features of the detail stage, mean RGBA of the cell) → words, where the config has that one |
    pub fn tensor_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = Shapes::default();
        for (index, stage) in self.stages.iter().enumerate() {
            let below = if index == 0 {
                PIXEL_CHANNELS
            } else {
                self.stages[index - 1].width
            };
            let prefix = format!("encoder.s{}", stage.stride);
            let inputs = self.downsampling(index).pow(2) * below;
            shapes.linear(&format!("{prefix}.in"), inputs, stage.width);
            shapes.blocks(&prefix, stage.encoder_depth, stage.width);

            let prefix = format!("decoder.s{}", stage.stride);
            let above = self
                .stages
                .get(index + 1)
                .map_or(self.structure.dim, |above| above.width);
            let outputs = self.upsampling(index).pow(2) * stage.width;
            shapes.linear(&format!("{prefix}.in"), above, outputs);
            shapes.blocks(&prefix, stage.decoder_depth, stage.width);
        }
        let finest = self.stages.first().copied();
        let coarsest = self.stages.last().map_or(0, |stage| stage.width);
        let detail_width = self.stages.get(self.detail_stage()).map_or(0, |s| s.width);
        shapes.neck("structure", coarsest, &self.structure);
        shapes.neck("detail", 2 * detail_width, &self.detail);
        shapes.put("detail.empty", &[self.detail.dim]);
        shapes.linear("decoder.detail", self.detail.dim, detail_width);
        if let Some(finest) = finest {
            let outputs = finest.stride.pow(2) * PIXEL_CHANNELS;
            shapes.linear("decoder.out", finest.width, outputs);
        }
        match self.embedding {
            Some(EmbeddingHead::Pooled(length)) => shapes.linear("embedding", coarsest, length),
            Some(EmbeddingHead::Words(head)) => {
                let inputs = detail_width + PIXEL_CHANNELS;
                shapes.linear("embedding.words", inputs, head.words);
            }
            None => {}
        }
        shapes.0
    }

    /// Numbers in a checkpoint, codebooks included.
    pub fn parameter_count(&self) -> usize {
        self.tensor_shapes()
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum()
    }
}

#[derive(Default)]
struct Shapes(BTreeMap<String, Vec<usize>>);

impl Shapes {
    fn put(&mut self, name: &str, shape: &[usize]) {
        self.0.insert(name.to_owned(), shape.to_vec());
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.put(&format!("{name}.weight"), &[outputs, inputs]);
        self.put(&format!("{name}.bias"), &[outputs]);
    }

    fn neck(&mut self, name: &str, inputs: usize, codebook: &CodebookConfig) {
        self.put(&format!("{name}.norm.gain"), &[inputs]);
        self.linear(&format!("{name}.project"), inputs, codebook.dim);
        self.put(&format!("{name}.codebook"), &[codebook.codes, codebook.dim]);
    }

    fn blocks(&mut self, prefix: &str, depth: usize, width: usize) {
        for index in 0..depth {
            let block = format!("{prefix}.block{index}");
            self.put(&format!("{block}.depthwise.weight"), &[3, 3, width]);
            self.put(&format!("{block}.depthwise.bias"), &[width]);
            self.put(&format!("{block}.norm.gain"), &[width]);
            self.linear(&format!("{block}.up"), width, 4 * width);
            self.linear(&format!("{block}.down"), 4 * width, width);
            self.put(&format!("{block}.scale"), &[width]);
        }
    }
}

fn unsupported(why: String) -> Error {
    Error::new(
        Kind::Unsupported,
        "this model's layout cannot be used",
        why,
        "Use a model made by Tessera",
    )
}

fn too_large(what: &str, limit: usize) -> Error {
    Error::new(
        Kind::Limit,
        "this model's layout is out of bounds",
        format!("its {what} must be between 1 and {limit}"),
        "Use a model made by Tessera",
    )
}
