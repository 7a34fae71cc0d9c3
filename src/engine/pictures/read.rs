//! Picture files as documents' sources, and codes as pictures.

use std::path::Path;

use crate::canvas::Chain;
use crate::codec::Codec;
use crate::dataset::{Decoded, Limits, decode_bytes, read_file};
use crate::document::{Codes, Geometry, Raster, Source, Wrap};
use crate::error::Result;
use crate::progress::Observer;

/// Reads a picture file at its full depth.
pub(crate) fn load_source(path: &Path) -> Result<Source> {
    Ok(load_with_bytes(path)?.0)
}

/// Reads a picture file at its full depth, and gives the file as well.
pub(crate) fn load_with_bytes(path: &Path) -> Result<(Source, Vec<u8>)> {
    let bytes = read_file(path, &Limits::default())?;
    let source = source_from_bytes(&bytes).map_err(|error| error.at(path))?;
    Ok((source, bytes))
}

pub(crate) fn source_from_bytes(bytes: &[u8]) -> Result<Source> {
    source_from(decode_bytes(bytes, &Limits::default())?)
}

fn source_from(decoded: Decoded) -> Result<Source> {
    match decoded.rgba16 {
        Some(rgba16) => Source::from_rgba16(decoded.width, decoded.height, rgba16),
        None => Source::from_rgba8(decoded.width, decoded.height, decoded.rgba8),
    }
}

/// The whole picture of `codes`, straight RGBA8.
pub(crate) fn decode(
    codec: &Codec,
    codes: &Codes,
    geometry: Geometry,
    observer: &dyn Observer,
) -> Result<Raster> {
    Chain::new(codec, geometry, Wrap::default())?.decode_raster(codes, observer)
}
