//! Jobs that train: fine-tuning in a project, and the base model from its recipe.

pub mod fine_tune;
pub mod train_base;
