//! Training a codec: [`Run`] is the loop, [`TrainConfig`] every number it depends on, [`TrainSink`] what it tells.
//!
//! Nothing here knows a project, a job or a window: models and states are bytes that the sink keeps.
//!
//! # Limitations
//! One process; several would meet in [`run::sync`]. A run is repeated bit for bit on the same kind of device and build, not between
//! them.

pub mod base;
pub mod loss;
pub mod measure;
pub mod run;

pub use base::embedding::{EmbeddingTraining, train_embedding};
pub use loss::critic::Sharpening;
pub use loss::losses::LossWeights;
pub use measure::evaluate::{Evaluation, Preview, Scores, evaluate};
pub use run::codec_task::CodecTask;
pub use run::config::{
    CodebookStart, EarlyStop, EvaluationConfig, OptimizerConfig, Preset, TrainConfig,
};
pub use run::schedule::{Budget, Schedule};
pub use run::sink::{
    Checkpoint, CheckpointKind, Ended, ReseededCodes, StateWanted, StepFigures, TrainSink,
};
pub use run::sync::GradSync;
pub use run::task::Task;
pub use run::training::{Pictures, Run};
