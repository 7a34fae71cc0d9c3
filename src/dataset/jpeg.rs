//! JPEG, straight to RGBA. CMYK and YCCK are read as ink values, so that their colour profile can be applied.

use std::io::Cursor;

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::colour;
use super::decode::{damaged, unsupported};
use crate::error::{Notice, Result};

/// What a JPEG header says.
pub(super) struct Info {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    space: ColorSpace,
    components: u8,
    icc: Option<Vec<u8>>,
    progressive: bool,
}

impl Info {
    /// Estimated peak besides the file: RGBA, turning it upright, and all coefficients of a progressive file.
    pub(super) fn decode_bytes(&self) -> u64 {
        let turned = if self.orientation == Orientation::NoTransforms {
            0
        } else {
            4
        };
        let coefficients = if self.progressive {
            2 * u64::from(self.components)
        } else {
            0
        };
        u64::from(self.width) * u64::from(self.height) * (4 + turned + coefficients)
    }
}

fn options(out: ColorSpace) -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(out)
}

pub(super) fn read_info(bytes: &[u8]) -> Result<Info> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(ColorSpace::RGBA));
    decoder.decode_headers().map_err(|e| from_zune(&e))?;
    let (Some(info), Some(space)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(damaged("its header is incomplete"));
    };
    Ok(Info {
        width: u32::from(info.width),
        height: u32::from(info.height),
        orientation: decoder
            .exif()
            .and_then(|exif| Orientation::from_exif_chunk(exif))
            .unwrap_or(Orientation::NoTransforms),
        space,
        components: info.components,
        icc: decoder.icc_profile(),
        progressive: is_progressive(bytes),
    })
}

/// The stored picture as sRGB RGBA8, not yet turned upright.
pub(super) fn decode(bytes: &[u8], info: &Info, warnings: &mut Vec<Notice>) -> Result<Vec<u8>> {
    let out = match (info.space, info.components) {
        (ColorSpace::Luma, 1) | (ColorSpace::YCbCr | ColorSpace::YCCK, 3) => ColorSpace::RGBA,
        (ColorSpace::RGB, 3) => ColorSpace::RGB,
        (ColorSpace::CMYK, 4) => ColorSpace::CMYK,
        (ColorSpace::YCCK, 4) => ColorSpace::YCCK,
        (space, n) => {
            return Err(unsupported(&format!(
                "a JPEG with {n} channels of {space:?} is not read"
            )));
        }
    };
    if !ends_properly(bytes) {
        return Err(damaged("it ends before the picture does"));
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(out));
    decoder.decode_headers().map_err(|e| from_zune(&e))?;
    // Oddities between headers are harmless; from here on a broken stream would leave grey areas.
    let strict = decoder.options().set_strict_mode(true);
    decoder.set_options(strict);
    let mut pixels = decoder.decode().map_err(|e| from_zune(&e))?;
    match out {
        ColorSpace::RGB => {
            let mut rgba = Vec::with_capacity(pixels.len() / 3 * 4);
            for p in pixels.chunks_exact(3) {
                rgba.extend_from_slice(&[p[0], p[1], p[2], 255]);
            }
            pixels = rgba;
        }
        ColorSpace::YCCK => ycck_to_inks(&mut pixels),
        ColorSpace::CMYK => {
            // Stored the way Adobe does, and every other writer after it: 255 is no ink.
            for v in &mut pixels {
                *v = 255 - *v;
            }
        }
        _ => {}
    }
    if matches!(out, ColorSpace::CMYK | ColorSpace::YCCK) {
        warnings.extend(colour::inks_to_srgb8(info.icc.as_deref(), &mut pixels));
    } else if let Some(icc) = &info.icc {
        warnings.extend(colour::to_srgb8(icc, &mut pixels));
    }
    Ok(pixels)
}

/// YCCK as stored (inverted inks, the first three as YCbCr) to ink amounts (0 is no ink).
fn ycck_to_inks(pixels: &mut [u8]) {
    for p in pixels.chunks_exact_mut(4) {
        let (y, cb, cr) = (
            f32::from(p[0]),
            f32::from(p[1]) - 128.0,
            f32::from(p[2]) - 128.0,
        );
        // The inverted ink is 255 − RGB, so the ink amount is RGB itself (ITU-T T.871, Adobe TN 5116).
        let channel = |v: f32| v.round().clamp(0.0, 255.0) as u8;
        p[0] = channel(y + 1.402 * cr);
        p[1] = channel(y - 0.344_136 * cb - 0.714_136 * cr);
        p[2] = channel(y + 1.772 * cb);
        p[3] = 255 - p[3];
    }
}

/// Walks the markers: calls `visit` with each marker and stops where it returns a value.
fn walk_markers<T>(bytes: &[u8], mut visit: impl FnMut(u8) -> Option<T>) -> Option<T> {
    let mut cursor = Cursor::new(bytes);
    cursor.set_position(2);
    let byte = |at: u64| usize::try_from(at).ok().and_then(|i| bytes.get(i)).copied();
    loop {
        let at = cursor.position();
        let b = byte(at)?;
        let next = byte(at + 1);
        match (b, next) {
            (0xff, Some(0xff)) => cursor.set_position(at + 1), // fill byte
            (0xff, Some(marker @ 1..)) => {
                if let Some(found) = visit(marker) {
                    return Some(found);
                }
                // RSTn, SOI and TEM stand alone; the others carry their length.
                let skip = if matches!(marker, 0x01 | 0xd0..=0xd8) {
                    2
                } else {
                    let len = u64::from(byte(at + 2)?) << 8 | u64::from(byte(at + 3)?);
                    2 + len.max(2)
                };
                cursor.set_position(at + skip);
            }
            _ => cursor.set_position(at + 1), // compressed data
        }
    }
}

/// Whether the end-of-image marker is there: without it the decoder fills what is missing with grey.
fn ends_properly(bytes: &[u8]) -> bool {
    walk_markers(bytes, |marker| (marker == 0xd9).then_some(())).is_some()
}

fn is_progressive(bytes: &[u8]) -> bool {
    walk_markers(bytes, |marker| match marker {
        0xc2 => Some(true),
        0xc0 | 0xc1 | 0xda | 0xd9 => Some(false),
        _ => None,
    })
    .unwrap_or(false)
}

fn from_zune(error: &DecodeErrors) -> crate::error::Error {
    match error {
        DecodeErrors::Unsupported(scheme) => {
            unsupported(&format!("its JPEG variant is not read ({scheme:?})"))
        }
        other => damaged(&format!("{other}")),
    }
}
