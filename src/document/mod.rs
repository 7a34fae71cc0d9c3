//! A picture being edited, as pure data: source pixels, code grids as encoded and as edited,
//! strokes with unlimited undo, brushes and edit scripts. Nothing here touches a model or a disk.
//!
//! # Limitations
//! Cells do not move: a document of another size or scale is a new document. Pixels are not painted, only codes.

mod alphabet;
mod edit;
mod grid;
mod layers;
pub mod script;
pub mod tools;

pub use alphabet::companions::{Companions, DETAILS_PER_CELL};
pub use alphabet::vectors::{Alike, Alphabet, CodeVectors, Vectors};
pub use edit::detail_policy::DetailPolicy;
pub use edit::document::Document;
pub use edit::history::History;
pub use edit::selection::{Combine, Selection};
pub use edit::stroke::{CellDelta, Stroke};
pub use grid::codes::{ABSENT, CodeGrid, Codebooks, Codes, EMPTY, code_from_raw, raw_code};
pub use grid::coordinates::{
    Coordinate, CoordinateDelta, CoordinateGrid, MAX_SOURCE_NAME_BYTES, MAX_SOURCES, NoPictures,
    OWN_SOURCE, SourcePicture, SourcePictures, SourceRef, Sources, origin,
};
pub use grid::dirty::Dirty;
pub use grid::geometry::{
    DETAIL_STRIDE_PX, Geometry, Level, MAX_PIXELS, MAX_SIDE_PX, Rect, STRUCTURE_STRIDE_PX, Wrap,
};
pub use grid::raster::{Raster, Samples, SamplesMut, to_16_bit};
pub use grid::source::{Source, to_8_bit};
pub use grid::sparse::SparseGrid;
pub use grid::turn::Turn;
pub use layers::{
    BASE_LAYER, Layer, LayerEdit, LayerId, LayerLook, LayerStack, MAX_LAYER_NAME_BYTES, MAX_LAYERS,
    Pass, Target,
};
pub use tools::block::{Block, Places};
pub use tools::brush::{Brush, Shape};
