//! Pictures: from any folder of files to training crops.
//!
//! - [`decode`]: one file to upright sRGB pixels, within limits that are checked before memory is asked for.
//! - [`scan`]: folders to [`Picture`]s with thumbnails, flags and one reason per file that was left out.
//! - [`scan_again`]: the same, decoding only what has changed since ([`KnownFiles`]).
//! - [`flags`]: what is noticed about a picture (too small, blurry, flat, odd aspect).
//! - [`fingerprint`]: which pictures show the same thing.
//! - [`split`]: which pictures are held out of training.
//! - [`sample`]: deterministic augmented crops as the codec wants them.
//!
//! Nothing here knows a model, a project file or a window.
//!
//! # Limitations
//! Camera raw, video and vector files are not read. Training and thumbnails see 8 bits a channel. A picture larger than the limits is refused, never shrunk
//! on the way in.

pub mod analysis;
mod colour;
mod copies;
pub mod decode;
pub mod fingerprint;
pub mod flags;
mod gate;
mod jpeg;
mod known;
pub mod mixture;
mod near;
pub mod pixels;
pub mod procedural;
mod readers;
pub mod sample;
pub mod scan;
pub mod split;
mod walk;

pub use crate::foundation::formats::Format;
pub use copies::Known;
pub use decode::{Decoded, Header, Limits, decode_bytes, decode_file, probe_bytes, read_file};
pub use fingerprint::Fingerprint;
pub use flags::{Flag, FlagOptions};
pub use known::{ANALYSIS_VERSION, KnownFile, KnownFiles, KnownFlag};
pub use mixture::{BatchSource, Mixture};
pub use near::NearIndex;
pub use readers::{readable, readable_endings};
pub use sample::{Augment, CropSource, Crops, CropsConfig, PixelWindow};
pub use scan::{
    ImportOptions, ImportReport, Picture, Scanned, Unchanged, find_pictures, scan, scan_again,
};
pub use split::{Split, split_held_out};
pub use walk::label_of;
