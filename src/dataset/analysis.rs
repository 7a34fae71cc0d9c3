//! What is measured on every picture, all from one small copy of it.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::decode::Decoded;
use super::pixels::{Premultiplied, fit, unpremultiply};
use crate::error::{Error, Kind, Result};

/// Longer side of the copy that everything is measured on, px: sharpness becomes comparable between sizes.
const MINIATURE_SIDE_PX: u32 = 512;
/// Longer side of thumbnails, px.
pub const THUMBNAIL_SIDE_PX: u32 = 128;
const THUMBNAIL_JPEG_QUALITY: u8 = 85;

/// A small premultiplied copy of a picture.
pub struct Analysis {
    miniature: Premultiplied,
    has_alpha: bool,
}

impl Analysis {
    pub fn of(decoded: &Decoded) -> Self {
        let size = (decoded.width, decoded.height);
        let target = fit(size.0, size.1, MINIATURE_SIDE_PX);
        Self {
            miniature: Premultiplied::shrunk(&decoded.rgba8, size, target),
            has_alpha: decoded.has_alpha,
        }
    }

    pub fn miniature(&self) -> &Premultiplied {
        &self.miniature
    }

    /// Standard deviation of the most varied channel (premultiplied colour or alpha), 0..127.5.
    pub fn contrast(&self) -> f32 {
        let n = (self.miniature.rgba.len() / 4) as f64;
        (0..4)
            .map(|c| {
                let (mut sum, mut squares) = (0.0f64, 0.0f64);
                for p in self.miniature.rgba.chunks_exact(4) {
                    let v = f64::from(p[c]);
                    sum += v;
                    squares += v * v;
                }
                let mean = sum / n;
                (squares / n - mean * mean).max(0.0).sqrt() as f32
            })
            .fold(0.0, f32::max)
    }

    /// How sharp the sharpest edges are: the strongest half per cent of the Laplacian over the strongest half per
    /// cent of the gradient. Independent of contrast and of how much of the picture has edges. About 0.4 for a photo
    /// blurred by σ = 2 px of 512, above 1 for sharp ones. `None` for pictures too small or too flat to tell.
    pub fn sharpness(&self) -> Option<f32> {
        const FAINTEST_GRADIENT: f32 = 4.0;
        let (width, height) = (
            self.miniature.width as usize,
            self.miniature.height as usize,
        );
        if width.min(height) < 16 {
            return None;
        }
        let luma = self.miniature.luma_over_grey();
        let mut laplacians = Vec::with_capacity(luma.len());
        let mut gradients = Vec::with_capacity(luma.len());
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let at = y * width + x;
                let (l, r, u, d) = (
                    luma[at - 1],
                    luma[at + 1],
                    luma[at - width],
                    luma[at + width],
                );
                let here = luma[at];
                laplacians.push((4.0 * here - l - r - u - d).abs());
                gradients.push((r - here).hypot(d - here));
            }
        }
        let gradient = top(&mut gradients);
        (gradient >= FAINTEST_GRADIENT).then(|| top(&mut laplacians) / gradient)
    }

    /// A thumbnail of at most 128 px a side: JPEG for opaque pictures, PNG where alpha must be kept.
    ///
    /// # Errors
    /// `Internal` where the encoder refuses; it has no reason to.
    pub fn thumbnail(&self) -> Result<Vec<u8>> {
        let mut small = self.miniature.fitted(THUMBNAIL_SIDE_PX);
        let (width, height) = (small.width, small.height);
        let mut out = Vec::new();
        let encoded = if self.has_alpha {
            unpremultiply(&mut small.rgba);
            PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
                .write_image(&small.rgba, width, height, ExtendedColorType::Rgba8)
        } else {
            let rgb: Vec<u8> = small
                .rgba
                .chunks_exact(4)
                .flat_map(|p| [p[0], p[1], p[2]])
                .collect();
            JpegEncoder::new_with_quality(&mut out, THUMBNAIL_JPEG_QUALITY).write_image(
                &rgb,
                width,
                height,
                ExtendedColorType::Rgb8,
            )
        };
        encoded.map_err(|e| {
            Error::new(
                Kind::Internal,
                "could not make a thumbnail",
                e.to_string(),
                "",
            )
        })?;
        Ok(out)
    }
}

/// The 99.5th percentile.
fn top(values: &mut [f32]) -> f32 {
    let at = (values.len() as f64 * 0.995) as usize;
    let at = at.min(values.len() - 1);
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}
