//! Lossless WebP, 8 bits per channel.

use std::path::Path;

use image_webp::{ColorType, EncodingError, WebPEncoder};

use super::png::Metadata;
use crate::document::Raster;
use crate::error::{Error, Kind, Result};
use crate::foundation::files::{Existing, write_bytes};

/// WebP's own limit.
const MAX_SIDE_PX: u32 = 16_383;

/// The WebP file as bytes. A 16-bit picture is rounded to 8 bits; restore data is not stored.
///
/// # Errors
/// `Limit` for a side above 16,383 pixels, which WebP cannot store.
pub fn encode_webp(raster: &Raster, metadata: &Metadata) -> Result<Vec<u8>> {
    let (width, height) = (raster.width(), raster.height());
    if width.max(height) > MAX_SIDE_PX {
        return Err(Error::new(
            Kind::Limit,
            "could not write the WebP file",
            format!("{width} × {height} pixels; WebP stores up to {MAX_SIDE_PX} per side"),
            "Export as PNG",
        ));
    }
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new(&mut bytes);
    if let Some(provenance) = metadata.provenance {
        encoder.set_xmp_metadata(provenance.packet().into_bytes());
    }
    encoder
        .encode(&raster.rgba8(), width, height, ColorType::Rgba8)
        .map_err(|e| match e {
            EncodingError::IoError(e) => Error::io("could not write the WebP file", "", &e),
            other => Error::new(
                Kind::Internal,
                "could not write the WebP file",
                other.to_string(),
                "Export as PNG",
            ),
        })?;
    Ok(bytes)
}

/// Writes a WebP file whole or not at all.
///
/// # Errors
/// As [`super::write_atomic`] and [`encode_webp`].
pub fn write_webp(
    path: &Path,
    existing: Existing,
    raster: &Raster,
    metadata: &Metadata,
) -> Result<()> {
    let bytes = encode_webp(raster, metadata).map_err(|e| e.at(path))?;
    write_bytes(path, existing, &bytes)
}
