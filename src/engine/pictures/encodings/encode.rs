//! One picture to codes and embedding, as the index keeps them.

use std::path::Path;

use crate::canvas;
use crate::dataset::pixels::{Premultiplied, fit, unpremultiply};
use crate::dataset::{Limits, decode_bytes, read_file};
use crate::document::{Codes, MAX_SIDE_PX, Source, Wrap};
use crate::engine::models::loading::Model;
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::{Observer, Stop};
use crate::project::ContentHash;
use crate::project::limits::MAX_INDEXED_PIXELS;

/// Longer side of what pictures are compared by, px; larger ones are made smaller.
const EMBEDDED_SIDE_PX: u32 = 512;

/// Reads a picture as the index encodes it.
///
/// # Errors
/// `Unsupported` where the file no longer has the content of that hash; those of reading a picture.
pub fn load_source(path: &Path, content_hash: ContentHash) -> Result<Source> {
    let limits = Limits::default();
    let bytes = read_file(path, &limits)?;
    if ContentHash::of(&bytes) != content_hash {
        return Err(Error::new(
            Kind::Unsupported,
            "could not encode the picture",
            "its file has changed since it was imported",
            "Import its folder again",
        )
        .at(path));
    }
    let decoded = decode_bytes(&bytes, &limits).map_err(|error| error.at(path))?;
    drop(bytes);
    let size = (decoded.width, decoded.height);
    as_indexed(decoded.rgba8, size).map_err(|error| error.at(path))
}

/// Pixels of a picture in the size in which the index encodes it.
///
/// # Errors
/// `Damaged` unless there are as many values as `size` needs.
pub fn as_indexed(rgba8: Vec<u8>, size: (u32, u32)) -> Result<Source> {
    let target = indexed_size(size);
    if target == size {
        return Source::from_rgba8(size.0, size.1, rgba8);
    }
    let rgba = shrunk(&rgba8, size, target);
    Source::from_rgba8(target.0, target.1, rgba)
}

/// Codes and embedding of a picture.
///
/// # Errors
/// As [`canvas::encode`].
pub fn encode_source(
    model: &Model,
    source: &Source,
    observer: &dyn Observer,
) -> Result<(Codes, Vec<f32>)> {
    let codes = canvas::encode(&model.codec, source, Wrap::default(), &StopOnly(observer))?;
    observer.check()?;
    if model.codec.config().embedding.is_none() {
        return Ok((codes, Vec::new()));
    }
    let size = (source.width(), source.height());
    let target = fit(size.0, size.1, EMBEDDED_SIDE_PX);
    let sides = (target.0 as usize, target.1 as usize);
    let embedding = if target == size {
        model.codec.embed_picture(source.rgba8(), sides)?
    } else {
        let small = shrunk(source.rgba8(), size, target);
        model.codec.embed_picture(&small, sides)?
    };
    Ok((codes, embedding))
}

/// The size in which a picture is encoded: its own where the index takes it, else one of the same aspect.
pub fn indexed_size((width, height): (u32, u32)) -> (u32, u32) {
    let pixels = u64::from(width) * u64::from(height);
    let mut longest = width.max(height).min(MAX_SIDE_PX);
    if pixels > MAX_INDEXED_PIXELS {
        let scale = (MAX_INDEXED_PIXELS as f64 / pixels as f64).sqrt();
        longest = longest.min((f64::from(width.max(height)) * scale) as u32);
    }
    let mut size = fit(width, height, longest.max(1));
    // Rounding of the other side can go beyond by less than a row.
    while u64::from(size.0) * u64::from(size.1) > MAX_INDEXED_PIXELS {
        longest -= 1;
        size = fit(width, height, longest);
    }
    size
}

fn shrunk(rgba: &[u8], size: (u32, u32), target: (u32, u32)) -> Vec<u8> {
    let mut small = Premultiplied::shrunk(rgba, size, target).rgba;
    unpremultiply(&mut small);
    small
}

/// Passes on that work should stop; the progress inside one picture is nobody's business.
struct StopOnly<'a>(&'a dyn Observer);

impl Observer for StopOnly<'_> {
    fn stop(&self) -> Option<Stop> {
        self.0.stop()
    }

    fn warning(&self, notice: Notice) {
        self.0.warning(notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_size_up_to_4_mpx_and_their_aspect_beyond() {
        for size in [(1, 1), (2048, 2048), (4096, 1024), (31, 32_768)] {
            assert_eq!(indexed_size(size), size);
        }
        for size in [
            (2049, 2048),
            (6000, 4000),
            (65_535, 2000),
            (65_535, 1),
            (3, 65_000),
        ] {
            let (width, height) = indexed_size(size);
            assert!(u64::from(width) * u64::from(height) <= MAX_INDEXED_PIXELS);
            assert!(width.max(height) <= MAX_SIDE_PX);
            let scale = f64::from(width.max(height)) / f64::from(size.0.max(size.1));
            let other = f64::from(size.0.min(size.1)) * scale;
            assert!(
                (f64::from(width.min(height)) - other).abs() < 1.0,
                "{size:?}"
            );
        }
        assert_eq!(indexed_size((6000, 4000)), (2508, 1672));
    }
}
