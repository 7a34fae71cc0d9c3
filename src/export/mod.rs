//! Pictures on their way out: PNG that restores its document, lossless WebP, contact sheets,
//! provenance metadata, and files that appear whole or not at all.
//!
//! # Limitations
//! sRGB alone. Codes are kept in PNG only; a WebP or a sheet is pixels and nothing else.

mod animation;
mod png;
mod restore;
mod sheet;
mod text;
mod webp;
mod writers;
mod xmp;

pub use crate::foundation::files::{Existing, check_writable, write_atomic, write_bytes};
pub use animation::{AnimationSize, Frame, Shrunk};
pub use png::{Metadata, check_png, encode_png, write_png};
pub use restore::{RESTORE_CHUNK, Restore, RestoreHeader, encode_restore_data, read_restore_data};
pub use sheet::{Sheet, SheetItem, render_sheet};
pub use webp::{encode_webp, write_webp};
pub use writers::{ANIMATION_WRITERS, AnimationWriter, WRITERS, Writer};
pub use xmp::Provenance;
