//! The codec: a strictly local, hierarchical VQ-VAE on RGBA pictures.
//!
//! Structure codes (one per 16×16 px) carry layout and colour; detail codes (one per 4×4 px by default) carry what
//! structure, once decoded, still lacks (as in VQ-VAE-2, arXiv 1906.00446). Either decodes without the other's
//! neighbours being far away: the [`ReceptiveField`] is finite and known.
//!
//! Pixels are tensors `[n, h, w, 4]` (`f32`): premultiplied sRGB and alpha, each scaled to [−1, 1] ([`pixels`]); sides
//! are multiples of 16. Codes are `u32` tensors: structure `[n, h/16, w/16]`, detail `[n, h/4, w/4]`, where
//! [`EMPTY`] stands for a detail cell without a code.
//!
//! # Limitations
//! Structure has a stride of 16 px. No attention and no norm over space, which would make every
//! pixel depend on every code. Fine lettering and lines of one pixel at their own scale are more than 4 × 4 px a code can hold.

mod averages;
pub mod checkpoint;
pub mod config;
mod embedding;
mod features;
pub mod forward;
mod kmeans;
mod nearest;
mod network;
pub mod picture;
pub mod pixels;
pub mod quantizer;
pub mod receptive;
pub mod usage;
mod vectors;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Kind, Result};
use crate::kernels::{Padding, ParamStore, no_grad};
use crate::model::damaged;
use crate::progress::Observer;

pub(crate) use averages::totals as code_totals;
pub use averages::{CodebookSums, CodebookTraining};
pub use checkpoint::CheckpointInfo;
pub use config::{
    CodebookConfig, CodecConfig, EmbeddingHead, STRUCTURE_STRIDE_PX, Stage, WordsHead,
};
pub use forward::{DetailDropout, DetailMask, LevelForward, Reseeded, TrainForward, TrainOptions};
pub use picture::PictureCodes;
pub use quantizer::Quantizer;
pub use receptive::{DecoderStage, LevelReach, ReceptiveField, TrunkLink};
pub use usage::CodeUsage;

use network::Network;
pub use network::Trim;

/// A detail cell without a code.
pub const EMPTY: u32 = u32::MAX;

/// Encoder, codebooks and decoder.
#[derive(Debug)]
pub struct Codec {
    config: CodecConfig,
    params: ParamStore,
    network: Network,
    receptive_field: ReceptiveField,
    pub structure: Quantizer,
    pub detail: Quantizer,
    /// What is written beside the weights.
    pub info: CheckpointInfo,
}

impl Codec {
    /// A codec with random weights and codebooks; the same for the same seed.
    ///
    /// # Errors
    /// As [`CodecConfig::validate`].
    pub fn new(config: CodecConfig, seed: u64, device: &Device) -> Result<Self> {
        config.validate()?;
        let params = ParamStore::new(seed, device);
        let structure = Quantizer::random("structure", config.structure, seed, device)?;
        let detail = Quantizer::random("detail", config.detail, seed ^ 1, device)?;
        Self::assemble(config, params, structure, detail)
    }

    /// A codec from its tensors, as [`Self::tensors`] gives them; they are copied.
    ///
    /// # Errors
    /// As [`CodecConfig::validate`]; [`Kind::Damaged`] if a tensor is missing or has another shape.
    pub fn from_tensors(
        config: CodecConfig,
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        for (name, shape) in config.tensor_shapes() {
            match tensors.get(&name) {
                Some(tensor) if tensor.dims() == shape => {}
                Some(_) => return Err(damaged(format!("{name} has another shape"))),
                None => return Err(damaged(format!("{name} is missing"))),
            }
        }
        let codebook = |level, config| {
            let tensor = &tensors[&format!("{level}.codebook")];
            Quantizer::from_tensor(level, config, tensor, 0, device)
        };
        let structure = codebook("structure", config.structure)?;
        let detail = codebook("detail", config.detail)?;
        let params = ParamStore::from_tensors(tensors, device);
        Self::assemble(config, params, structure, detail)
    }

    fn assemble(
        config: CodecConfig,
        params: ParamStore,
        structure: Quantizer,
        detail: Quantizer,
    ) -> Result<Self> {
        let network = Network::new(&config, &params.root())?;
        Ok(Self {
            network,
            receptive_field: ReceptiveField::of(&config),
            config,
            params,
            structure,
            detail,
            info: CheckpointInfo::default(),
        })
    }

    /// This codec with other parameters (for example averaged ones) and a copy of the codebooks: an independent,
    /// immutable model. Entries of `parameters` that are no parameters are ignored, missing ones are an error.
    ///
    /// # Errors
    /// [`Kind::Internal`] if a parameter is missing or has another shape.
    pub fn with_parameters(&self, parameters: BTreeMap<String, Tensor>) -> Result<Self> {
        let params = ParamStore::from_tensors(parameters, self.device());
        let mut codec = Self::assemble(
            self.config.clone(),
            params,
            self.structure.clone(),
            self.detail.clone(),
        )?;
        codec.info = self.info.clone();
        Ok(codec)
    }

    /// Every tensor of the codec by its stable name ([`CodecConfig::tensor_shapes`]), outside the graph. Parameters
    /// share storage with the codec's own and change with them; copy what has to stay.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors: BTreeMap<_, _> = self
            .params
            .params()
            .iter()
            .map(|param| (param.name().to_owned(), param.tensor().detach()))
            .collect();
        for (level, quantizer) in [("structure", &self.structure), ("detail", &self.detail)] {
            tensors.insert(format!("{level}.codebook"), quantizer.codebook().clone());
        }
        tensors
    }

    pub fn config(&self) -> &CodecConfig {
        &self.config
    }

    /// The trainable parameters; codebooks are not among them.
    pub fn params(&self) -> &ParamStore {
        &self.params
    }

    pub fn device(&self) -> &Device {
        self.params.device()
    }

    pub fn receptive_field(&self) -> &ReceptiveField {
        &self.receptive_field
    }

    /// Pixels → vectors before quantization: structure `[n, h/16, w/16, d]` and detail `[n, h/4, w/4, d]`. Detail depends on
    /// the structure codes, as in [`Self::encode`].
    ///
    /// # Errors
    /// [`Kind::Usage`] for pixels of a wrong shape; [`Kind::NotFinite`] where the encoder gives NaN or infinities.
    pub fn encode_vectors(&self, pixels: &Tensor, padding: Padding) -> Result<(Tensor, Tensor)> {
        check_pixels(pixels)?;
        no_grad(|| {
            let features = self.network.encode(pixels, padding)?;
            let structure = self.network.structure_vectors(&features.coarsest)?;
            let codes = self.structure.nearest(&structure)?;
            let trunk = self.trunk(&codes, padding)?;
            let detail = self.network.detail_vectors(&features.detail, &trunk)?;
            Ok((structure, detail))
        })
    }

    /// Pixels → codes: structure `[n, h/16, w/16]` and detail `[n, h/4, w/4]`, `u32`.
    ///
    /// # Errors
    /// As [`Self::encode_vectors`].
    pub fn encode(&self, pixels: &Tensor, padding: Padding) -> Result<(Tensor, Tensor)> {
        let (structure, detail) = self.encode_vectors(pixels, padding)?;
        Ok((
            self.structure.nearest(&structure)?,
            self.detail.nearest(&detail)?,
        ))
    }

    /// Codes → pixels `[n, h, w, 4]`, not clamped.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebooks do not have, or grids that do not belong together.
    pub fn decode(&self, structure: &Tensor, detail: &Tensor, padding: Padding) -> Result<Tensor> {
        let trunk = self.trunk(structure, padding)?;
        self.head(&trunk, detail, padding)
    }

    /// As [`Self::decode`] with every detail cell empty.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebook does not have.
    pub fn decode_structure_only(&self, structure: &Tensor, padding: Padding) -> Result<Tensor> {
        let trunk = self.trunk(structure, padding)?;
        no_grad(|| Ok(self.network.head(&trunk, self.network.empty(), padding)?))
    }

    /// Structure codes `[n, h, w]` → T, the structure decoded to the detail stage: `[n, h·16/s, w·16/s, c]` at detail
    /// stride s.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebook does not have.
    pub fn trunk(&self, structure: &Tensor, padding: Padding) -> Result<Tensor> {
        let mut x = self.trunk_start(structure, padding)?;
        for step in 1..self.network.trunk_steps() {
            x = self.trunk_step(step, &x, padding)?;
        }
        Ok(x)
    }

    /// Step 0 of the trunk, alone: structure codes `[n, h, w]` → the coarsest stage's activations `[n, h, w, c]`.
    /// [`ReceptiveField::trunk`] lists the steps.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebook does not have.
    pub fn trunk_start(&self, structure: &Tensor, padding: Padding) -> Result<Tensor> {
        structure.dims3()?;
        check_codes(structure, self.config.structure.codes, "structure")?;
        no_grad(|| {
            let vectors = self.structure.lookup(structure)?;
            Ok(self.network.trunk_step(0, &vectors, padding)?)
        })
    }

    /// Step `step` ≥ 1 of the trunk, alone: the activations that the step before gave → this step's. The last step gives T.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a step that does not exist or activations of another shape.
    pub fn trunk_step(&self, step: usize, x: &Tensor, padding: Padding) -> Result<Tensor> {
        if step == 0 || step >= self.network.trunk_steps() {
            return Err(Error::new(
                Kind::Internal,
                "could not decode",
                format!("the decoder has no trunk step {step}"),
                "",
            ));
        }
        no_grad(|| Ok(self.network.trunk_step(step, x, padding)?))
    }

    /// Link `index` of the trunk ([`ReceptiveField::links`]), alone: structure codes `[n, h, w]` for the first, else what
    /// the link before gave → this link's activations `[n, h, w, c]`. The last gives T.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebook does not have; [`Kind::Internal`] for a link that does not exist or
    /// activations of another shape.
    pub fn trunk_link(&self, index: usize, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let Some(link) = self.receptive_field.links.get(index) else {
            return Err(Error::new(
                Kind::Internal,
                "could not decode",
                format!("the decoder has no trunk link {index}"),
                "",
            ));
        };
        if index == 0 {
            x.dims3()?;
            check_codes(x, self.config.structure.codes, "structure")?;
        }
        no_grad(|| {
            let entered = match index {
                0 => self.structure.lookup(x)?,
                _ => x.clone(),
            };
            Ok(self.network.trunk_link(link, &entered, padding)?)
        })
    }

    /// T `[n, h, w, c]` and detail codes `[n, h, w]` (with [`EMPTY`]) → pixels.
    ///
    /// # Errors
    /// [`Kind::Usage`] for codes that the codebook does not have, or a grid that does not belong to T.
    pub fn head(&self, trunk: &Tensor, detail: &Tensor, padding: Padding) -> Result<Tensor> {
        self.head_trimmed(trunk, detail, padding, Trim::default())
    }

    /// As [`Self::head`] on a window of the canvas: every block takes a cell off the sides that `trim` names.
    ///
    /// # Errors
    /// As [`Self::head`]; [`Kind::Internal`] when nothing would be left.
    pub fn head_trimmed(
        &self,
        trunk: &Tensor,
        detail: &Tensor,
        padding: Padding,
        trim: Trim,
    ) -> Result<Tensor> {
        let (n, h, w, _) = trunk.dims4()?;
        if detail.dims() != [n, h, w] {
            return Err(Error::usage(
                "could not decode these codes",
                format!(
                    "the detail grid is {:?}, its structure asks for {:?}",
                    detail.dims(),
                    [n, h, w]
                ),
                "Use the two grids of one picture",
            ));
        }
        no_grad(|| {
            let vectors = self.detail_or_empty(detail)?;
            Ok(self.network.head_trimmed(trunk, &vectors, padding, trim)?)
        })
    }

    /// Detail codes with [`EMPTY`] → vectors.
    fn detail_or_empty(&self, codes: &Tensor) -> Result<Tensor> {
        let known = self.config.detail.codes as u32;
        let is_empty = codes.eq(EMPTY)?;
        let rows = is_empty.where_cond(&(codes.zeros_like()? + f64::from(known))?, codes)?;
        check_codes(&rows, known as usize + 1, "detail")?;
        let empty = self.network.empty().unsqueeze(0)?;
        let table = Tensor::cat(&[self.detail.codebook(), &empty], 0)?;
        let (n, h, w) = codes.dims3()?;
        Ok(table.index_select(&rows.flatten_all()?, 0)?.reshape((
            n,
            h,
            w,
            self.config.detail.dim,
        ))?)
    }

    /// Starts both codebooks by k-means on what the encoder gives for `batches` of pixels. Call it once before the
    /// codebooks are first used (or again after a warm-up: it changes the meaning of every code).
    ///
    /// # Errors
    /// [`Kind::NotFinite`]; [`Kind::Cancelled`].
    pub fn start_codebooks(
        &mut self,
        batches: &[Tensor],
        iterations: usize,
        observer: &dyn Observer,
    ) -> Result<()> {
        let mut vectors = Vec::new();
        for pixels in batches {
            observer.check()?;
            check_pixels(pixels)?;
            let found = no_grad(|| -> Result<Tensor> {
                let features = self.network.encode(pixels, Padding::Zero)?;
                Ok(self.network.structure_vectors(&features.coarsest)?)
            })?;
            vectors.push(found.reshape(((), self.config.structure.dim))?);
        }
        let structure = Tensor::cat(&vectors, 0)?;
        self.structure
            .start_from(&structure, iterations, observer)?;
        vectors.clear();
        for pixels in batches {
            observer.check()?;
            let (_, detail) = self.encode_vectors(pixels, Padding::Zero)?;
            vectors.push(detail.reshape(((), self.config.detail.dim))?);
        }
        self.detail
            .start_from(&Tensor::cat(&vectors, 0)?, iterations, observer)
    }
}

/// `[n, h, w, 4]` with sides that are positive multiples of 16.
fn check_pixels(pixels: &Tensor) -> Result<()> {
    let fits = pixels.dtype() == DType::F32
        && matches!(pixels.dims(), [_, height, width, 4]
            if *height > 0 && *width > 0
            && height.is_multiple_of(STRUCTURE_STRIDE_PX)
            && width.is_multiple_of(STRUCTURE_STRIDE_PX));
    if fits {
        return Ok(());
    }
    Err(Error::usage(
        "could not encode these pixels",
        format!(
            "they are {:?}, not [n, height, width, 4] with sides that are multiples of {STRUCTURE_STRIDE_PX}",
            pixels.dims()
        ),
        "",
    ))
}

fn check_codes(codes: &Tensor, known: usize, level: &str) -> Result<()> {
    let highest = codes
        .flatten_all()?
        .to_vec1::<u32>()?
        .into_iter()
        .max()
        .unwrap_or(0);
    if (highest as usize) < known {
        return Ok(());
    }
    Err(Error::usage(
        "could not decode these codes",
        format!("the model has no {level} code {highest}"),
        "Use codes of the same model",
    ))
}
