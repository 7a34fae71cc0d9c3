//! PNG with 8 or 16 bits per channel, straight alpha, tagged as sRGB.

use std::io::Write;
use std::path::Path;

use ::png::chunk::ChunkType;
use ::png::{BitDepth, ColorType, Compression, Encoder, EncodingError, SrgbRenderingIntent};

use super::restore::RESTORE_CHUNK;
use super::xmp::Provenance;
use crate::document::{Raster, Samples};
use crate::error::{Error, Kind, Result};
use crate::foundation::files::{Existing, check_writable, write_atomic};
use crate::foundation::formats::Format;

/// Keyword of the text chunk of [`Metadata::notes`].
const NOTES_KEYWORD: &str = "tessera:generated";

/// What a picture carries beside its pixels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metadata<'a> {
    /// Written as XMP. `None` for a picture that no model touched.
    pub provenance: Option<Provenance>,
    /// What was made of what, as JSON; PNG only, as the text chunk `tessera:generated`.
    pub notes: Option<&'a str>,
    /// From [`super::encode_restore_data`]; PNG only.
    pub restore: Option<&'a [u8]>,
}

/// The PNG file as bytes.
///
/// # Errors
/// `Limit` when the restore data is too large for a PNG chunk.
pub fn encode_png(raster: &Raster, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(&mut bytes, raster, metadata)?;
    Ok(bytes)
}

/// Writes a PNG file whole or not at all.
///
/// # Errors
/// As [`write_atomic`] and [`encode_png`].
pub fn write_png(
    path: &Path,
    existing: Existing,
    raster: &Raster,
    metadata: &Metadata,
) -> Result<()> {
    write_atomic(path, existing, |file| {
        encode(file, raster, metadata).map_err(|e| e.at(path))
    })
}

fn encode(file: &mut (impl Write + ?Sized), raster: &Raster, metadata: &Metadata) -> Result<()> {
    if metadata
        .restore
        .is_some_and(|r| r.len() > i32::MAX as usize)
    {
        return Err(Error::new(
            Kind::Limit,
            "could not write the PNG file",
            "its restore data is larger than a PNG chunk can be (2 GiB)",
            "Export without restore data",
        ));
    }
    let mut encoder = Encoder::new(file, raster.width(), raster.height());
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(match raster.samples() {
        Samples::Rgba8(_) => BitDepth::Eight,
        Samples::Rgba16(_) => BitDepth::Sixteen,
    });
    encoder.set_compression(Compression::Balanced);
    encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
    // For readers that do not know the sRGB chunk; the values are the ones the PNG specification
    // names for it.
    encoder.set_source_gamma(::png::ScaledFloat::from_scaled(45_455));
    let point = |x, y| {
        (
            ::png::ScaledFloat::from_scaled(x),
            ::png::ScaledFloat::from_scaled(y),
        )
    };
    encoder.set_source_chromaticities(::png::SourceChromaticities {
        white: point(31_270, 32_900),
        red: point(64_000, 33_000),
        green: point(30_000, 60_000),
        blue: point(15_000, 6_000),
    });
    encoder
        .add_text_chunk(
            "Software".to_owned(),
            format!("Tessera {}", env!("CARGO_PKG_VERSION")),
        )
        .map_err(failed)?;
    if let Some(provenance) = metadata.provenance {
        encoder
            .add_itxt_chunk("XML:com.adobe.xmp".to_owned(), provenance.packet())
            .map_err(failed)?;
    }
    if let Some(notes) = metadata.notes {
        encoder
            .add_itxt_chunk(NOTES_KEYWORD.to_owned(), notes.to_owned())
            .map_err(failed)?;
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    if let Some(restore) = metadata.restore {
        writer
            .write_chunk(ChunkType(RESTORE_CHUNK), restore)
            .map_err(failed)?;
    }
    match raster.samples() {
        Samples::Rgba8(samples) => writer.write_image_data(samples),
        Samples::Rgba16(samples) => {
            let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_be_bytes()).collect();
            writer.write_image_data(&bytes)
        }
    }
    .map_err(failed)?;
    writer.finish().map_err(failed)
}

fn failed(source: EncodingError) -> Error {
    match source {
        EncodingError::IoError(e) => Error::io("could not write the PNG file", "", &e),
        other => Error::new(
            Kind::Internal,
            "could not write the PNG file",
            other.to_string(),
            "",
        ),
    }
}

/// Whether a PNG can be written here, before the work that makes it.
///
/// # Errors
/// `Usage` for another ending, or where something of that name is there and must stay.
pub fn check_png(path: &Path, existing: Existing) -> Result<()> {
    let is_other = (path.extension()).is_some_and(|ending| !Format::PNG.has_ending(ending));
    if is_other {
        return Err(Error::usage(
            "could not write the picture",
            "the file name does not end in .png, the only format it is written in",
            "Name a .png file",
        )
        .at(path));
    }
    check_writable(path, existing)
}
