//! From pixels to a document.

use crate::codec::{Codec, EMPTY as EMPTY_TENSOR};
use crate::document::{CodeGrid, Codes, Document, EMPTY, Geometry, Level, Source, Wrap};
use crate::error::{Error, Kind, Result};
use crate::kernels::Padding;
use crate::progress::Observer;

use super::decode::Chain;

/// How the codec pads a canvas that wraps so.
pub const fn padding_of(wrap: Wrap) -> Padding {
    match (wrap.x, wrap.y) {
        (false, false) => Padding::Zero,
        (x, y) => Padding::Wrap { x, y },
    }
}

/// The codes of a picture under a codec.
///
/// # Errors
/// `Unsupported` for a codec that does not fit documents; `Cancelled`; those of the codec.
pub fn encode(
    codec: &Codec,
    source: &Source,
    wrap: Wrap,
    observer: &dyn Observer,
) -> Result<Codes> {
    let geometry = source.geometry();
    Chain::new(codec, geometry, wrap)?;
    let found = codec.encode_picture(
        source.rgba8(),
        (source.width() as usize, source.height() as usize),
        padding_of(wrap),
        observer,
    )?;
    let codes = Codes {
        structure: grid(geometry, Level::Structure, &found.structure)?,
        detail: grid(geometry, Level::Detail, &found.detail)?,
    };
    codes.check(geometry, None)?;
    Ok(codes)
}

/// Opens a picture for editing: its codes are encoded, nothing is edited yet.
///
/// # Errors
/// As [`encode`].
pub fn open(
    codec: &Codec,
    source: Source,
    wrap: Wrap,
    observer: &dyn Observer,
) -> Result<Document> {
    let codes = encode(codec, &source, wrap, observer)?;
    Document::new(source, codes, wrap, codec.model_hash()?)
}

fn grid(geometry: Geometry, level: Level, codes: &[u32]) -> Result<CodeGrid> {
    let cells = codes
        .iter()
        .map(|&code| match code {
            EMPTY_TENSOR => Ok(EMPTY),
            code => u16::try_from(code).map_err(|_| {
                Error::new(
                    Kind::Internal,
                    "could not encode the picture",
                    format!("the model gave {level} code {code}"),
                    "",
                )
            }),
        })
        .collect::<Result<_>>()?;
    CodeGrid::from_cells(
        geometry.grid_width(level),
        geometry.grid_height(level),
        cells,
    )
}
