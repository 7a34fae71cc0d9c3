//! A document and every way in which it changes: strokes, layers, undo, selections.

mod cells;
pub mod detail_policy;
pub mod document;
pub mod history;
mod layer_ops;
pub mod selection;
pub mod stroke;
