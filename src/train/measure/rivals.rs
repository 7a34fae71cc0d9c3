//! What image formats make of as many bits as a codec's codes take: JPEG and WebP.
//!
//! Their encoders are built with the feature `compare-formats`; without it the tables have no such columns.

use serde::{Deserialize, Serialize};

use crate::dataset::{Limits, decode_bytes};
use crate::error::Result;
#[cfg(feature = "compare-formats")]
use crate::error::{Error, Kind};
use crate::train::measure::metrics::{self, Mean};

/// A format at the highest quality that needs no more bits than the codes do. Only its picture data count, not its headers and
/// tables, which would outweigh a small picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RivalScores {
    pub psnr_db: f64,
    pub ssim: Option<f64>,
    pub bits_per_pixel: f64,
    /// Pictures where even the lowest quality needs more bits.
    pub over_budget: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    /// Baseline, 4:2:0, standard Huffman tables.
    Jpeg,
    /// Lossy (VP8), libwebp's default effort.
    Webp,
}

impl Rival {
    /// `quality` is from 1 to 100. `None` where the format has no pictures of this size.
    #[cfg(feature = "compare-formats")]
    fn encode(
        self,
        rgb: &[u8],
        width: usize,
        height: usize,
        quality: u8,
    ) -> Option<Result<Vec<u8>>> {
        match self {
            Self::Jpeg => {
                let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
                let mut bytes = Vec::new();
                let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
                encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
                let encoded = encoder.encode(rgb, width, height, jpeg_encoder::ColorType::Rgb);
                Some(
                    encoded
                        .map(|()| bytes)
                        .map_err(|source| self.failed(source.to_string())),
                )
            }
            Self::Webp => {
                let side = |px: usize| u32::try_from(px).ok().filter(|px| *px < 1 << 14);
                let encoder = webp::Encoder::from_rgb(rgb, side(width)?, side(height)?);
                let encoded = encoder.encode_simple(false, f32::from(quality));
                Some(match encoded {
                    Ok(bytes) => Ok(bytes.to_vec()),
                    Err(source) => Err(self.failed(format!("{source:?}"))),
                })
            }
        }
    }

    /// `None`: the encoders are not in this build.
    #[cfg(not(feature = "compare-formats"))]
    fn encode(self, _: &[u8], _: usize, _: usize, _: u8) -> Option<Result<Vec<u8>>> {
        None
    }

    #[cfg(feature = "compare-formats")]
    fn failed(self, why: String) -> Error {
        Error::new(
            Kind::Internal,
            format!("could not encode as {self:?}"),
            why,
            "",
        )
    }

    /// Length of the picture data in a file that [`Self::encode`] made, bytes.
    fn payload_bytes(self, file: &[u8]) -> usize {
        match self {
            Self::Jpeg => scan_bytes(file),
            // RIFF header, "WEBP", and the head of the one chunk.
            Self::Webp => file.len().saturating_sub(20),
        }
    }
}

pub(crate) struct RivalTally {
    rival: Rival,
    psnr: Mean,
    ssim: Mean,
    bits: f64,
    pixels: f64,
    over_budget: usize,
}

impl RivalTally {
    pub fn new(rival: Rival) -> Self {
        Self {
            rival,
            psnr: Mean::default(),
            ssim: Mean::default(),
            bits: 0.0,
            pixels: 0.0,
            over_budget: 0,
        }
    }

    /// A picture of straight RGBA, and the bits that may be spent on it.
    pub fn add(
        &mut self,
        rgba: &[u8],
        width: usize,
        height: usize,
        budget_bits: f64,
    ) -> Result<()> {
        let source = metrics::over_grey_rgba8(rgba);
        let rgb: Vec<u8> = source.iter().map(|v| (v * 255.0).round() as u8).collect();
        let encode = |quality: u8| self.rival.encode(&rgb, width, height, quality).transpose();
        let bits = |file: &[u8]| self.rival.payload_bytes(file) as f64 * 8.0;
        let (mut low, mut high) = (1u8, 100u8);
        let Some(mut best) = encode(low)? else {
            return Ok(());
        };
        while low < high {
            let middle = (low + high).div_ceil(2);
            match encode(middle)? {
                Some(encoded) if bits(&encoded) <= budget_bits => (best, low) = (encoded, middle),
                _ => high = middle - 1,
            }
        }
        let spent = bits(&best);
        self.over_budget += usize::from(spent > budget_bits);
        self.bits += spent;
        self.pixels += (width * height) as f64;
        let decoded = metrics::over_grey_rgba8(&decode_bytes(&best, &Limits::default())?.rgba8);
        self.psnr.add(metrics::psnr_db(&source, &decoded));
        if let Some(ssim) = metrics::ssim(&source, &decoded, width, height) {
            self.ssim.add(ssim);
        }
        Ok(())
    }

    pub fn scores(&self) -> Option<RivalScores> {
        Some(RivalScores {
            psnr_db: self.psnr.value()?,
            ssim: self.ssim.value(),
            bits_per_pixel: self.bits / self.pixels,
            over_budget: self.over_budget,
        })
    }
}

/// Length of what follows the start-of-scan segment of a baseline JPEG.
fn scan_bytes(jpeg: &[u8]) -> usize {
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
        if *marker == 0xda {
            break;
        }
    }
    jpeg.len().saturating_sub(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison with a broken rival would flatter the model.
    #[test]
    fn rivals_are_as_good_as_they_should_be() {
        let (width, height) = (64usize, 48usize);
        let smooth = |i: usize, c: usize| (40 + i % width * 2 + i / width * c / 2) as u8;
        let rgba =
            (0..width * height).flat_map(|i| [smooth(i, 0), smooth(i, 1), smooth(i, 2), 255]);
        let rgba: Vec<u8> = rgba.collect();
        for rival in [Rival::Jpeg, Rival::Webp] {
            let scores = |bits_per_pixel: f64| {
                let mut tally = RivalTally::new(rival);
                let budget = bits_per_pixel * (width * height) as f64;
                tally.add(&rgba, width, height, budget).unwrap();
                tally.scores().unwrap()
            };
            let free = scores(1e6);
            assert!(
                free.psnr_db > 40.0,
                "{rival:?} {} dB at quality 100",
                free.psnr_db
            );
            let bound = scores(0.3);
            assert!(
                bound.bits_per_pixel <= 0.3 && bound.over_budget == 0,
                "{rival:?}"
            );
            assert!(
                (28.0..45.0).contains(&bound.psnr_db),
                "{rival:?} {} dB",
                bound.psnr_db
            );
        }
    }

    #[test]
    fn headers_do_not_count() {
        let flat = [128; 16 * 16 * 3];
        for rival in [Rival::Jpeg, Rival::Webp] {
            let file = rival.encode(&flat, 16, 16, 50).unwrap().unwrap();
            let payload = rival.payload_bytes(&file);
            // A flat macroblock takes a few bytes.
            assert!(
                payload > 2 && payload < 40,
                "{rival:?}: {payload} of {}",
                file.len()
            );
        }
    }

    #[test]
    fn a_side_that_a_format_has_not_is_left_out() {
        let long = vec![0; 70_000 * 3];
        assert!(Rival::Jpeg.encode(&long, 70_000, 1, 50).is_none());
        assert!(Rival::Webp.encode(&long, 1, 70_000, 50).is_none());
    }
}
