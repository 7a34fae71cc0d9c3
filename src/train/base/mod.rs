//! Making the base model: the recipe, and the stage that teaches its embedding.

pub mod embedding;
pub mod recipe;
