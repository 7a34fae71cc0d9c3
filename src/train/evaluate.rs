//! Scores a codec on whole windows of pictures.

use candle_core::{Device, Tensor};

use crate::codec::{Codec, STRUCTURE_STRIDE_PX, pixels};
use crate::dataset::Window;
use crate::error::Result;
use crate::kernels::Padding;
use crate::progress::Observer;

use super::metrics::{self, CodeCounts, Mean};
use super::retrieval::Retrieval;
use super::sink::{Evaluation, Preview};

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
    windows: &[Window],
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
