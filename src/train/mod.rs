//! Training a codec: [`Run`] is the loop, [`TrainConfig`] every number it depends on, [`TrainSink`] what it tells.
//!
//! Nothing here knows a project, a job or a window: models and states are bytes that the sink keeps.

mod codec_task;
pub mod config;
mod contrast;
mod critic;
mod embedding;
pub mod eta;
pub mod evaluate;
pub mod losses;
pub mod measure;
pub mod metrics;
mod prefetch;
mod pyramid;
pub mod quality;
pub mod recipe;
mod report;
pub mod retrieval;
mod rivals;
mod run;
pub mod schedule;
pub mod sink;
pub mod state;
pub mod sync;
pub mod task;

pub use codec_task::CodecTask;
pub use config::{
    CodebookStart, EarlyStop, EvaluationConfig, OptimizerConfig, Preset, TrainConfig,
};
pub use critic::Sharpening;
pub use embedding::{EmbeddingTraining, train_embedding};
pub use evaluate::{Scores, evaluate};
pub use losses::LossWeights;
pub use run::{Ended, Pictures, Run};
pub use schedule::{Budget, Schedule};
pub use sink::{
    Checkpoint, CheckpointKind, Evaluation, Preview, ReseededCodes, StateWanted, StepFigures,
    TrainSink,
};
pub use sync::GradSync;
pub use task::Task;
