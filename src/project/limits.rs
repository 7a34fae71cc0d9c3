//! Upper bounds for everything a project file may hold. Project files come from strangers: each
//! bound is checked before memory is taken for what it bounds.

/// Longest value of one column, in bytes. It must hold one [`BLOB_CHUNK_BYTES`], the code grids of the
/// largest document and the largest stroke.
pub const MAX_VALUE_BYTES: usize = 128 << 20;
/// Weights and training states are stored as rows of this many bytes.
pub const BLOB_CHUNK_BYTES: usize = 1 << 20;
/// Largest weights or training state, in bytes.
pub const MAX_BLOB_BYTES: u64 = 4 << 30;
/// Largest settings, config or metrics text, in bytes of JSON.
pub const MAX_JSON_BYTES: usize = 1 << 20;
/// Longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 32 << 10;
/// Longest name or label, in bytes.
pub const MAX_NAME_BYTES: usize = 1 << 10;
/// Longest sentence of a notice or a flag's reason, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Largest encoded thumbnail, in bytes.
pub const MAX_THUMBNAIL_BYTES: usize = 1 << 20;
/// Most flags on one picture.
pub const MAX_FLAGS: usize = 32;
/// Most rows that one paged query returns.
pub const MAX_PAGE_ROWS: u64 = 10_000;
/// Most notices kept of one import; further ones are counted only.
pub const MAX_NOTICES_PER_IMPORT: u64 = 100_000;
/// A picture's perceptual hash.
pub const MAX_PHASH_BYTES: usize = 256;
/// Largest picture in the index of encoded pictures, in pixels (2048 × 2048); larger ones are encoded smaller.
pub const MAX_INDEXED_PIXELS: u64 = 1 << 22;
/// Longest embedding of a picture, in values.
pub const MAX_EMBEDDING_LEN: usize = 1 << 16;
