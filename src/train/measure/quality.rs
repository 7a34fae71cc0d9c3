//! How well a model reproduces folders of pictures, beside what JPEG makes of as many bits.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::codec::pixels::from_rgba8;
use crate::codec::{Codec, PictureCodes, STRUCTURE_STRIDE_PX};
use crate::dataset::{Limits, PixelWindow, decode_file};
use crate::error::{Error, Kind, Result};
use crate::kernels::Padding;
use crate::progress::Observer;
use crate::train::measure::metrics::{self, CodeCounts, Mean};
use crate::train::measure::retrieval::Retrieval;
use crate::train::measure::rivals::{Rival, RivalScores, RivalTally};

/// What [`measure`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QualityOptions {
    /// Pictures are cut into squares of this side that do not overlap, px; `None` takes whole pictures.
    pub crop_px: Option<u32>,
    /// At most this many pictures or squares of the set, evenly chosen.
    pub limit: Option<usize>,
    /// Evenly chosen ones of them are returned as pictures.
    pub samples: usize,
    /// Also encode everything as JPEG and WebP.
    pub has_rivals: bool,
}

/// Means are over pictures; energies, codes and bits are counted over the whole set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetScores {
    pub name: String,
    /// Pictures, or squares of them.
    pub pictures: usize,
    pub psnr_db: f64,
    /// Mean SSIM of the pictures with sides of at least 11 px.
    pub ssim: Option<f64>,
    /// Laplacian energy of the reconstructions over that of the sources: 1 is as sharp.
    pub sharpness: f64,
    /// PSNR of the decode from structure alone.
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
    pub jpeg: Option<RivalScores>,
    pub webp: Option<RivalScores>,
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
    /// Number of the file among those given.
    file: usize,
    /// Left, top, side, px; `None` is the whole picture.
    square: Option<[u32; 3]>,
}

struct Pixels {
    width: usize,
    height: usize,
    rgba: Vec<u8>,
}

/// Measures `codec` on picture files. Files that cannot be read are left out with a warning. Halves of the others go into `retrieval`,
/// which several sets may share.
///
/// # Errors
/// `NoPictures` where nothing could be measured, `NotFinite` where the model gives NaN, `Cancelled`.
pub fn measure(
    codec: &Codec,
    name: &str,
    files: &[PathBuf],
    options: &QualityOptions,
    retrieval: &mut Retrieval,
    observer: &dyn Observer,
) -> Result<(SetScores, Vec<Sample>)> {
    let items = evenly(list(files, options.crop_px, observer)?, options.limit);
    let passes = if options.has_rivals { 2 } else { 1 };
    let total = (items.len() * passes) as u64;
    let mut tally = Tally::new(codec);
    let first_picture = retrieval.next_picture();
    let mut samples = Vec::new();
    let wanted = sample_indices(items.len(), options.samples);
    for (index, item) in items.iter().enumerate() {
        observer.check()?;
        observer.progress(index as u64, total);
        match item.load() {
            Ok(pixels) => {
                retrieval.add(codec, first_picture + item.file, &pixels.window())?;
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
    if options.has_rivals {
        let [mut jpeg, mut webp] = [Rival::Jpeg, Rival::Webp].map(RivalTally::new);
        for (index, (item, codes)) in items.iter().zip(&tally.codes).enumerate() {
            observer.check()?;
            observer.progress((items.len() + index) as u64, total);
            // What could not be read the first time has no codes.
            if let (Some(codes), Ok(pixels)) = (codes, item.load()) {
                let budget = tally.bits_of(codes);
                for rival in [&mut jpeg, &mut webp] {
                    rival.add(&pixels.rgba, pixels.width, pixels.height, budget)?;
                }
            }
        }
        (scores.jpeg, scores.webp) = (jpeg.scores(), webp.scores());
    }
    Ok((scores, samples))
}

/// The files' squares, or the files themselves.
fn list(files: &[PathBuf], crop_px: Option<u32>, observer: &dyn Observer) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (file, path) in files.iter().enumerate() {
        observer.check()?;
        let Some(side) = crop_px else {
            items.push(Item {
                path: path.clone(),
                file,
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
                    file,
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

impl Pixels {
    fn window(&self) -> PixelWindow {
        let (pixels, _) = self.rgba.as_chunks::<4>();
        PixelWindow {
            width: self.width,
            height: self.height,
            values: pixels.iter().flat_map(|&pixel| from_rgba8(pixel)).collect(),
        }
    }
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
            webp: None,
        })
    }
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
            has_rivals: true,
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
        let (whole, samples) = measure(
            &codec,
            "set",
            &files,
            &options(),
            &mut Retrieval::default(),
            &(),
        )
        .unwrap();
        assert_eq!(whole.pictures, 2);
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].source.len(), samples[0].reconstruction.len());
        // The codes of padding are sent too, so the mean is above the bits of whole cells.
        assert!(
            whole.bits_per_pixel <= whole.raw_bits_per_pixel * 80.0 * 48.0 / (70.0 * 40.0) * 1.5
        );
        for rival in [whole.jpeg.unwrap(), whole.webp.unwrap()] {
            assert!(rival.psnr_db > 5.0 && rival.bits_per_pixel > 0.0);
            let bits = (rival.bits_per_pixel, whole.bits_per_pixel);
            assert!(rival.over_budget > 0 || bits.0 <= bits.1 + 1e-9, "{bits:?}");
        }

        let squares = QualityOptions {
            crop_px: Some(32),
            ..options()
        };
        let (cut, _) = measure(
            &codec,
            "set",
            &files,
            &squares,
            &mut Retrieval::default(),
            &(),
        )
        .unwrap();
        // 70 × 40 gives 2 × 1, 33 × 64 gives 1 × 2.
        assert_eq!(cut.pictures, 4);
        let limited = QualityOptions {
            limit: Some(3),
            ..squares
        };
        assert_eq!(
            measure(
                &codec,
                "set",
                &files,
                &limited,
                &mut Retrieval::default(),
                &()
            )
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
        let error = measure(
            &codec,
            "set",
            std::slice::from_ref(&bad),
            &options(),
            &mut Retrieval::default(),
            &(),
        )
        .unwrap_err();
        assert_eq!(error.kind, Kind::NoPictures);
        let files = [bad, picture(folder.path(), "a.png", 32, 32)];
        assert_eq!(
            measure(
                &codec,
                "set",
                &files,
                &options(),
                &mut Retrieval::default(),
                &()
            )
            .unwrap()
            .0
            .pictures,
            1
        );
    }

    #[test]
    fn samples_are_spread() {
        assert_eq!(sample_indices(10, 2), [2, 7]);
        assert_eq!(sample_indices(3, 9), [0, 1, 2]);
        assert!(sample_indices(0, 4).is_empty());
    }
}
