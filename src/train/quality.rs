//! How well a model reproduces folders of pictures, beside what JPEG makes of as many bits.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metrics::{self, CodeCounts, Mean};
use crate::codec::{Codec, PictureCodes, STRUCTURE_STRIDE_PX};
use crate::dataset::{Limits, decode_bytes, decode_file};
use crate::error::{Error, Kind, Result};
use crate::kernels::Padding;
use crate::progress::Observer;

/// What [`measure`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QualityOptions {
    /// Pictures are cut into squares of this side that do not overlap, px; `None` takes whole pictures.
    pub crop_px: Option<u32>,
    /// At most this many pictures or squares of the set, evenly chosen.
    pub limit: Option<usize>,
    /// Evenly chosen ones of them are returned as pictures.
    pub samples: usize,
    /// Also encode everything as JPEG.
    pub has_jpeg: bool,
}

/// Means are over pictures; energies, codes and bits are counted over the whole set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetScores {
    pub name: String,
    /// Pictures, or squares of them.
    pub pictures: usize,
    pub psnr_db: f64,
    /// Of those with sides of at least 11 px.
    pub ssim: Option<f64>,
    /// Laplacian energy of the reconstructions over that of the sources: 1 is as sharp.
    pub sharpness: f64,
    /// Of the decode from structure alone.
    pub structure_psnr_db: f64,
    /// With an ideal entropy coder of independent cells.
    pub bits_per_pixel: f64,
    /// With log2 K bits a code.
    pub raw_bits_per_pixel: f64,
    /// Share of the codes that this set uses.
    pub structure_usage: f64,
    pub detail_usage: f64,
    pub structure_perplexity: f64,
    pub detail_perplexity: f64,
    pub jpeg: Option<JpegScores>,
}

/// JPEG (baseline, 4:2:0, standard Huffman tables) at the highest quality that needs no more bits than the codes do. Only its
/// entropy-coded data counts, not its headers and tables, which would outweigh a small picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JpegScores {
    pub psnr_db: f64,
    pub ssim: Option<f64>,
    pub bits_per_pixel: f64,
    /// Pictures where even the lowest quality needs more bits.
    pub over_budget: usize,
}

/// One picture of the set: straight RGBA8, `width × height × 4` bytes each.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub source: Vec<u8>,
    pub reconstruction: Vec<u8>,
    pub structure: Vec<u8>,
    pub psnr_db: f64,
    pub structure_psnr_db: f64,
}

/// A picture or a square of one.
struct Item {
    path: PathBuf,
    /// Left, top, side, px; `None` is the whole picture.
    square: Option<[u32; 3]>,
}

struct Pixels {
    width: usize,
    height: usize,
    rgba: Vec<u8>,
}

/// Measures `codec` on picture files. Files that cannot be read are left out with a warning.
///
/// # Errors
/// `NoPictures` where nothing could be measured, `NotFinite` where the model gives NaN, `Cancelled`.
pub fn measure(
    codec: &Codec,
    name: &str,
    files: &[PathBuf],
    options: &QualityOptions,
    observer: &dyn Observer,
) -> Result<(SetScores, Vec<Sample>)> {
    let items = evenly(list(files, options.crop_px, observer)?, options.limit);
    let passes = if options.has_jpeg { 2 } else { 1 };
    let total = (items.len() * passes) as u64;
    let mut tally = Tally::new(codec);
    let mut samples = Vec::new();
    let wanted = sample_indices(items.len(), options.samples);
    for (index, item) in items.iter().enumerate() {
        observer.check()?;
        observer.progress(index as u64, total);
        match item.load() {
            Ok(pixels) => {
                let sample = tally.add(codec, item, pixels)?;
                if wanted.contains(&index) {
                    samples.push(sample);
                }
            }
            Err(error) => {
                tally.codes.push(None);
                observer.warning(*error.notice);
            }
        }
    }
    let mut scores = tally.scores(codec, name)?;
    if options.has_jpeg {
        let mut jpeg = JpegTally::default();
        for (index, (item, codes)) in items.iter().zip(&tally.codes).enumerate() {
            observer.check()?;
            observer.progress((items.len() + index) as u64, total);
            // What could not be read the first time has no codes.
            if let (Some(codes), Ok(pixels)) = (codes, item.load()) {
                jpeg.add(&pixels, tally.bits_of(codes))?;
            }
        }
        scores.jpeg = jpeg.scores();
    }
    Ok((scores, samples))
}

/// The files' squares, or the files themselves.
fn list(files: &[PathBuf], crop_px: Option<u32>, observer: &dyn Observer) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for path in files {
        observer.check()?;
        let Some(side) = crop_px else {
            items.push(Item {
                path: path.clone(),
                square: None,
            });
            continue;
        };
        let decoded = match decode_file(path, &Limits::default()) {
            Ok(decoded) => decoded,
            Err(error) => {
                observer.warning(*error.notice);
                continue;
            }
        };
        for row in 0..decoded.height / side {
            for column in 0..decoded.width / side {
                items.push(Item {
                    path: path.clone(),
                    square: Some([column * side, row * side, side]),
                });
            }
        }
    }
    Ok(items)
}

fn evenly(items: Vec<Item>, limit: Option<usize>) -> Vec<Item> {
    let count = items.len();
    match limit {
        Some(limit) if limit < count => {
            let chosen = sample_indices(count, limit);
            let numbered = items.into_iter().enumerate();
            numbered
                .filter(|(index, _)| chosen.contains(index))
                .map(|(_, item)| item)
                .collect()
        }
        _ => items,
    }
}

/// `wanted` of `0..count`, evenly spaced, ascending.
fn sample_indices(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted)
        .map(|i| (2 * i + 1) * count / (2 * wanted))
        .collect()
}

impl Item {
    fn load(&self) -> Result<Pixels> {
        let decoded = decode_file(&self.path, &Limits::default())?;
        let (width, height) = (decoded.width as usize, decoded.height as usize);
        let Some([left, top, side]) = self.square.map(|square| square.map(|v| v as usize)) else {
            return Ok(Pixels {
                width,
                height,
                rgba: decoded.rgba8,
            });
        };
        if left + side > width || top + side > height {
            return Err(Error::new(
                Kind::Damaged,
                "could not cut the picture",
                "it became smaller meanwhile",
                "Measure again",
            )
            .at(&self.path));
        }
        let rows = decoded.rgba8.chunks_exact(width * 4).skip(top).take(side);
        let rgba = rows.flat_map(|row| &row[left * 4..(left + side) * 4]);
        Ok(Pixels {
            width: side,
            height: side,
            rgba: rgba.copied().collect(),
        })
    }

    fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        match self.square {
            Some([left, top, _]) => format!("{stem} at {left}, {top}"),
            None => stem.into_owned(),
        }
    }
}

struct Tally {
    psnr: Mean,
    ssim: Mean,
    structure_psnr: Mean,
    energy: f64,
    source_energy: f64,
    pixels: u64,
    structure: CodeCounts,
    detail: CodeCounts,
    /// By item; `None` where it could not be read.
    codes: Vec<Option<PictureCodes>>,
}

impl Tally {
    fn new(codec: &Codec) -> Self {
        Self {
            psnr: Mean::default(),
            ssim: Mean::default(),
            structure_psnr: Mean::default(),
            energy: 0.0,
            source_energy: 0.0,
            pixels: 0,
            structure: CodeCounts::new(codec.config().structure.codes),
            detail: CodeCounts::new(codec.config().detail.codes),
            codes: Vec::new(),
        }
    }

    fn add(&mut self, codec: &Codec, item: &Item, pixels: Pixels) -> Result<Sample> {
        let (width, height) = (pixels.width, pixels.height);
        let codes = codec.encode_picture(&pixels.rgba, (width, height), Padding::Zero, &())?;
        let reconstruction = codec.decode_picture(&codes, Padding::Zero, &())?;
        let alone = codes.clone().structure_only();
        let structure = codec.decode_picture(&alone, Padding::Zero, &())?;
        self.structure.add(&codes.structure);
        self.detail.add(&codes.detail);
        self.pixels += (width * height) as u64;
        self.codes.push(Some(codes));

        let (source, decoded) = (
            metrics::over_grey_rgba8(&pixels.rgba),
            metrics::over_grey_rgba8(&reconstruction),
        );
        let psnr_db = metrics::psnr_db(&source, &decoded);
        let structure_psnr_db = metrics::psnr_db(&source, &metrics::over_grey_rgba8(&structure));
        self.psnr.add(psnr_db);
        self.structure_psnr.add(structure_psnr_db);
        if let Some(ssim) = metrics::ssim(&source, &decoded, width, height) {
            self.ssim.add(ssim);
        }
        self.energy += metrics::laplacian_energy(&decoded, width, height);
        self.source_energy += metrics::laplacian_energy(&source, width, height);
        Ok(Sample {
            name: item.name(),
            width: width as u32,   // came from a decoded picture
            height: height as u32, // likewise
            source: pixels.rgba,
            reconstruction,
            structure,
            psnr_db,
            structure_psnr_db,
        })
    }

    /// What a picture's codes take with this set's statistics.
    fn bits_of(&self, codes: &PictureCodes) -> f64 {
        codes.structure.len() as f64 * self.structure.entropy_bits()
            + codes.detail.len() as f64 * self.detail.entropy_bits()
    }

    fn scores(&self, codec: &Codec, name: &str) -> Result<SetScores> {
        let Some(psnr_db) = self.psnr.value() else {
            return Err(Error::new(
                Kind::NoPictures,
                "could not measure the quality",
                format!("{name} has no picture that can be read, or none as large as a crop"),
                "Name a folder with pictures",
            ));
        };
        let config = codec.config();
        let raw = |codes: usize, stride: usize| (codes as f64).log2() / (stride * stride) as f64;
        let bits: f64 = self
            .codes
            .iter()
            .flatten()
            .map(|codes| self.bits_of(codes))
            .sum();
        Ok(SetScores {
            name: name.to_owned(),
            pictures: self.psnr.count(),
            psnr_db,
            ssim: self.ssim.value(),
            sharpness: if self.source_energy > 0.0 {
                self.energy / self.source_energy
            } else {
                1.0
            },
            structure_psnr_db: self.structure_psnr.value().unwrap_or(0.0),
            bits_per_pixel: bits / self.pixels.max(1) as f64,
            raw_bits_per_pixel: raw(config.structure.codes, STRUCTURE_STRIDE_PX)
                + raw(config.detail.codes, config.detail.stride),
            structure_usage: self.structure.usage(),
            detail_usage: self.detail.usage(),
            structure_perplexity: self.structure.perplexity(),
            detail_perplexity: self.detail.perplexity(),
            jpeg: None,
        })
    }
}

#[derive(Default)]
struct JpegTally {
    psnr: Mean,
    ssim: Mean,
    bits: f64,
    pixels: f64,
    over_budget: usize,
}

impl JpegTally {
    fn add(&mut self, pixels: &Pixels, budget_bits: f64) -> Result<()> {
        let (width, height) = (pixels.width, pixels.height);
        let (Ok(jpeg_width), Ok(jpeg_height)) = (u16::try_from(width), u16::try_from(height))
        else {
            // JPEG ends at 65,535 px a side.
            return Ok(());
        };
        let source = metrics::over_grey_rgba8(&pixels.rgba);
        let rgb: Vec<u8> = source.iter().map(|v| (v * 255.0).round() as u8).collect();
        let encode = |quality: u8| jpeg(&rgb, jpeg_width, jpeg_height, quality);
        let bits = |bytes: &[u8]| scan_bytes(bytes) as f64 * 8.0;
        let (mut best, mut low, mut high) = (encode(1)?, 1u8, 100u8);
        while low < high {
            let middle = (low + high).div_ceil(2);
            let encoded = encode(middle)?;
            if bits(&encoded) <= budget_bits {
                (best, low) = (encoded, middle);
            } else {
                high = middle - 1;
            }
        }
        self.over_budget += usize::from(bits(&best) > budget_bits);
        self.bits += bits(&best);
        self.pixels += (width * height) as f64;
        let decoded = metrics::over_grey_rgba8(&decode_bytes(&best, &Limits::default())?.rgba8);
        self.psnr.add(metrics::psnr_db(&source, &decoded));
        if let Some(ssim) = metrics::ssim(&source, &decoded, width, height) {
            self.ssim.add(ssim);
        }
        Ok(())
    }

    fn scores(&self) -> Option<JpegScores> {
        Some(JpegScores {
            psnr_db: self.psnr.value()?,
            ssim: self.ssim.value(),
            bits_per_pixel: self.bits / self.pixels,
            over_budget: self.over_budget,
        })
    }
}

fn jpeg(rgb: &[u8], width: u16, height: u16, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder
        .encode(rgb, width, height, jpeg_encoder::ColorType::Rgb)
        .map_err(|source| {
            Error::new(
                Kind::Internal,
                "could not encode as JPEG",
                source.to_string(),
                "",
            )
        })?;
    Ok(bytes)
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

/// A set's name: that of its folder.
pub fn set_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::codec::CodecConfig;

    fn picture(folder: &Path, name: &str, width: u32, height: u32) -> PathBuf {
        let path = folder.join(name);
        image::RgbaImage::from_fn(width, height, |x, y| {
            image::Rgba([(x * 5) as u8, (y * 3) as u8, (x ^ y) as u8, 255])
        })
        .save(&path)
        .unwrap();
        path
    }

    fn options() -> QualityOptions {
        QualityOptions {
            crop_px: None,
            limit: None,
            samples: 1,
            has_jpeg: true,
        }
    }

    #[test]
    fn measures_whole_pictures_and_squares() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            picture(folder.path(), "a.png", 70, 40),
            picture(folder.path(), "b.png", 33, 64),
        ];
        let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
        let (whole, samples) = measure(&codec, "set", &files, &options(), &()).unwrap();
        assert_eq!(whole.pictures, 2);
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].source.len(), samples[0].reconstruction.len());
        // The codes of padding are sent too, so the mean is above the bits of whole cells.
        assert!(
            whole.bits_per_pixel <= whole.raw_bits_per_pixel * 80.0 * 48.0 / (70.0 * 40.0) * 1.5
        );
        let jpeg = whole.jpeg.unwrap();
        assert!(jpeg.psnr_db > 5.0 && jpeg.bits_per_pixel > 0.0);
        assert!(
            jpeg.over_budget > 0 || jpeg.bits_per_pixel <= whole.bits_per_pixel + 1e-9,
            "{} {}",
            jpeg.bits_per_pixel,
            whole.bits_per_pixel
        );

        let squares = QualityOptions {
            crop_px: Some(32),
            ..options()
        };
        let (cut, _) = measure(&codec, "set", &files, &squares, &()).unwrap();
        // 70 × 40 gives 2 × 1, 33 × 64 gives 1 × 2.
        assert_eq!(cut.pictures, 4);
        let limited = QualityOptions {
            limit: Some(3),
            ..squares
        };
        assert_eq!(
            measure(&codec, "set", &files, &limited, &())
                .unwrap()
                .0
                .pictures,
            3
        );
    }

    #[test]
    fn unreadable_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad.png");
        std::fs::write(&bad, b"no picture").unwrap();
        let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
        let error =
            measure(&codec, "set", std::slice::from_ref(&bad), &options(), &()).unwrap_err();
        assert_eq!(error.kind, Kind::NoPictures);
        let files = [bad, picture(folder.path(), "a.png", 32, 32)];
        assert_eq!(
            measure(&codec, "set", &files, &options(), &())
                .unwrap()
                .0
                .pictures,
            1
        );
    }

    /// A comparison with a broken rival would flatter the model.
    #[test]
    fn jpeg_is_as_good_as_it_should_be() {
        let (width, height) = (64usize, 48usize);
        let smooth = |i: usize, c: usize| (40 + i % width * 2 + i / width * c / 2) as u8;
        let rgba =
            (0..width * height).flat_map(|i| [smooth(i, 0), smooth(i, 1), smooth(i, 2), 255]);
        let pixels = Pixels {
            width,
            height,
            rgba: rgba.collect(),
        };
        let mut tally = JpegTally::default();
        tally.add(&pixels, 1e9).unwrap();
        let scores = tally.scores().unwrap();
        assert!(
            scores.psnr_db > 40.0,
            "{} dB at quality 100",
            scores.psnr_db
        );
        let mut tally = JpegTally::default();
        tally.add(&pixels, 64.0 * 48.0 * 0.3).unwrap();
        let scores = tally.scores().unwrap();
        assert!(scores.bits_per_pixel <= 0.3);
        assert!(
            (28.0..45.0).contains(&scores.psnr_db),
            "{} dB",
            scores.psnr_db
        );
    }

    #[test]
    fn the_scan_is_what_follows_its_header() {
        let bytes = jpeg(&[128; 16 * 16 * 3], 16, 16, 50).unwrap();
        let scan = scan_bytes(&bytes);
        // A flat macroblock takes a few bytes, headers and tables hundreds.
        assert!(scan > 2 && scan < 40, "{scan} of {}", bytes.len());
    }

    #[test]
    fn samples_are_spread() {
        assert_eq!(sample_indices(10, 2), [2, 7]);
        assert_eq!(sample_indices(3, 9), [0, 1, 2]);
        assert!(sample_indices(0, 4).is_empty());
    }
}
