//! Scores a codec on whole windows of pictures.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use serde::{Deserialize, Serialize};

use crate::codec::{Codec, STRUCTURE_STRIDE_PX, pixels};
use crate::dataset::PixelWindow;
use crate::error::Result;
use crate::kernels::Padding;
use crate::progress::Observer;

use crate::train::measure::metrics::{self, CodeCounts, Mean};
use crate::train::measure::retrieval::Retrieval;

/// Scores of the averaged weights on held-out pictures. [`metrics`] says how each is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub step: u64,
    pub pictures: usize,
    /// False: there were too few pictures to hold any out, so these are training pictures.
    pub is_held_out: bool,
    /// Mean over pictures, all codes.
    pub psnr_db: f64,
    /// Mean over pictures of at least 11 px a side; `None` without any.
    pub ssim: Option<f64>,
    /// Laplacian energy of all reconstructions over that of all sources; 1 is as sharp as the source.
    pub sharpness: f64,
    /// PSNR of the decode from structure alone.
    pub structure_psnr_db: f64,
    /// Codes used at least once in these pictures, as a share of the codebook.
    pub structure_usage: f64,
    pub detail_usage: f64,
    pub structure_perplexity: f64,
    pub detail_perplexity: f64,
    /// Bits that an ideal coder of independent cells needs for each pixel.
    pub bits_per_pixel: f64,
    /// Halves of the pictures that the contrastive embedding brings together again, as a share of all; chance is one in
    /// `pictures`. `None` without the head.
    #[serde(default)]
    pub retrieval: Option<f64>,
}

impl Evaluation {
    /// By name, for plots and logs.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let mut values = named([
            ("psnr_db", self.psnr_db),
            ("sharpness", self.sharpness),
            ("structure_psnr_db", self.structure_psnr_db),
            ("structure_usage", self.structure_usage),
            ("detail_usage", self.detail_usage),
            ("structure_perplexity", self.structure_perplexity),
            ("detail_perplexity", self.detail_perplexity),
            ("bits_per_pixel", self.bits_per_pixel),
        ]);
        values.extend(self.ssim.map(|ssim| ("ssim".to_owned(), ssim)));
        values.extend(self.retrieval.map(|share| ("retrieval".to_owned(), share)));
        values
    }
}

/// Values with the names under which they are kept.
pub(crate) fn named<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// One held-out picture: straight RGBA8, `width × height × 4` bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub width: usize,
    pub height: usize,
    pub source: Vec<u8>,
    pub reconstruction: Vec<u8>,
    /// Decoded from structure alone.
    pub structure: Vec<u8>,
}

/// What [`evaluate`] finds.
#[derive(Debug, Clone)]
pub struct Scores {
    /// With `step` 0 and `is_held_out` true; the caller knows better.
    pub evaluation: Evaluation,
    pub previews: Vec<Preview>,
    pub structure_codes: CodeCounts,
    pub detail_codes: CodeCounts,
}

/// Encodes, decodes and scores each window; the first `previews` are also returned as pictures.
///
/// # Errors
/// `NotFinite` where the model gives NaN; `Cancelled` when the observer asks to stop.
pub fn evaluate(
    codec: &Codec,
    windows: &[PixelWindow],
    previews: usize,
    observer: &dyn Observer,
) -> Result<Scores> {
    let config = codec.config();
    let mut structure_codes = CodeCounts::new(config.structure.codes);
    let mut detail_codes = CodeCounts::new(config.detail.codes);
    let (mut psnr, mut structure_psnr, mut ssim) =
        (Mean::default(), Mean::default(), Mean::default());
    let (mut energy, mut source_energy) = (0.0, 0.0);
    let mut pictures = Vec::new();
    let mut retrieval = Retrieval::default();
    for (number, window) in windows.iter().enumerate() {
        observer.check()?;
        let (width, height) = (window.width, window.height);
        let source = Tensor::from_slice(&window.values, (1, height, width, 4), codec.device())?;
        let (structure, detail) = codec.encode(&source, Padding::Zero)?;
        let reconstruction = host(&codec.decode(&structure, &detail, Padding::Zero)?)?;
        let from_structure = host(&codec.decode_structure_only(&structure, Padding::Zero)?)?;
        structure_codes.add(&structure.flatten_all()?.to_vec1::<u32>()?);
        detail_codes.add(&detail.flatten_all()?.to_vec1::<u32>()?);

        let seen_source = metrics::over_grey(&window.values);
        let seen = metrics::over_grey(&reconstruction);
        psnr.add(metrics::psnr_db(&seen_source, &seen));
        let seen_structure = metrics::over_grey(&from_structure);
        structure_psnr.add(metrics::psnr_db(&seen_source, &seen_structure));
        if let Some(value) = metrics::ssim(&seen_source, &seen, width, height) {
            ssim.add(value);
        }
        energy += metrics::laplacian_energy(&seen, width, height);
        source_energy += metrics::laplacian_energy(&seen_source, width, height);
        retrieval.add(codec, number, window)?;
        if pictures.len() < previews {
            pictures.push(Preview {
                width,
                height,
                source: straight(&window.values),
                reconstruction: straight(&reconstruction),
                structure: straight(&from_structure),
            });
        }
    }
    let bits =
        |counts: &CodeCounts, stride: usize| counts.entropy_bits() / (stride * stride) as f64;
    let evaluation = Evaluation {
        step: 0,
        pictures: windows.len(),
        is_held_out: true,
        psnr_db: psnr.value().unwrap_or(0.0),
        ssim: ssim.value(),
        // A flat source has no detail to lose.
        sharpness: if source_energy > 0.0 {
            energy / source_energy
        } else {
            1.0
        },
        structure_psnr_db: structure_psnr.value().unwrap_or(0.0),
        structure_usage: structure_codes.usage(),
        detail_usage: detail_codes.usage(),
        structure_perplexity: structure_codes.perplexity(),
        detail_perplexity: detail_codes.perplexity(),
        bits_per_pixel: bits(&structure_codes, STRUCTURE_STRIDE_PX)
            + bits(&detail_codes, config.detail.stride),
        retrieval: retrieval.scores().and_then(|scores| scores.embedding),
    };
    Ok(Scores {
        evaluation,
        previews: pictures,
        structure_codes,
        detail_codes,
    })
}

fn host(pixels: &Tensor) -> Result<Vec<f32>> {
    Ok(pixels.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?)
}

fn straight(values: &[f32]) -> Vec<u8> {
    values
        .chunks_exact(4)
        .flat_map(|p| pixels::to_rgba8([p[0], p[1], p[2], p[3]]))
        .collect()
}
