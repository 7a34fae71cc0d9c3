//! What a run trains. [`crate::train::run::training::Run`] keeps time, evaluations and states; a [`Task`] knows the model, its losses and its optimiser.

use std::fmt::Debug;
use std::time::Duration;

use candle_core::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

use crate::dataset::{BatchSource, CropsConfig, PixelWindow};
use crate::error::Result;
use crate::train::measure::evaluate::Preview;
use crate::train::run::config::{EarlyStop, EvaluationConfig};
use crate::train::run::schedule::{Budget, Schedule};
use crate::train::run::sync::Shared;

/// A model in training: what one step of it is, and how it is scored, kept and published.
///
/// Everything random is a function of the task's seed and the step's number, so that a run that was interrupted repeats.
pub trait Task: Sized {
    /// All settings; frozen with the run and kept in its state.
    type Config: Settings;
    /// What a model of these shapes is made from; kept in the state.
    type Layout: Kept;
    /// What is evaluated and published: immutable, with averaged weights.
    type Model;
    type Evaluation: Score;
    /// What is told every [`Pacing::report_every`] steps.
    type Figures;
    /// Gradients and all else that one step found.
    type Step;

    /// Names the task in the states of its runs.
    const NAME: &'static str;

    fn config(&self) -> &Self::Config;

    fn layout(&self) -> &Self::Layout;

    /// Makes what steps need that the model does not begin with, for example codebooks, once that is due; `share` of the run
    /// lies before step `step`. True once there is a model to evaluate and publish; it is not called again then.
    ///
    /// # Errors
    /// `NotFinite`, and what reading the batches gives.
    fn begin(&mut self, step: u64, share: f64, source: &dyn BatchSource) -> Result<bool>;

    /// Forward and backward. The model is as before.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn step(&mut self, input: StepInput) -> Result<Self::Step>;

    /// What several processes that train together have to agree on before [`Self::apply`].
    fn shared<'a>(&self, step: &'a mut Self::Step) -> Shared<'a>;

    /// Updates the model by what the step found.
    ///
    /// # Errors
    /// `NotFinite` if a loss or gradient is; the weights are then as before.
    fn apply(&mut self, step: Self::Step) -> Result<()>;

    /// Means over the steps since the last call.
    ///
    /// # Errors
    /// When figures cannot be read back from the device.
    fn figures(&mut self, told: Told) -> Result<Self::Figures>;

    /// The model with averaged weights as it is now, which says that it was made by `origin`.
    ///
    /// # Errors
    /// `Internal` if tensors cannot be copied.
    fn model(&self, origin: &Origin<'_, Self::Evaluation>) -> Result<Self::Model>;

    /// Scores a model on `held_out`; the first so many as [`EvaluationConfig::previews`] are handed out as pictures.
    ///
    /// # Errors
    /// `NotFinite` where the model gives NaN.
    fn evaluate(
        &self,
        model: &Self::Model,
        held_out: &[PixelWindow],
    ) -> Result<(Self::Evaluation, Vec<Preview>)>;

    /// A model as a file.
    ///
    /// # Errors
    /// `NotFinite` if a weight is.
    fn publish(&self, model: &Self::Model) -> Result<Vec<u8>>;

    /// What else a checkpoint says of the model as it is now, by name.
    fn remarks(&self) -> BTreeMap<&'static str, serde_json::Value>;

    /// Everything that going on bit for bit needs, by name. Those under [`crate::train::run::state::AVERAGES`] are the weights of
    /// [`Self::model`].
    ///
    /// # Errors
    /// `Internal` if tensors cannot be copied.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// A task as [`Self::state`] left it.
    ///
    /// # Errors
    /// `Damaged` for tensors that do not belong to the layout.
    fn restore(
        config: Self::Config,
        layout: Self::Layout,
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self>;

    /// The weights of a published model, as [`Self::state`] names them.
    ///
    /// # Errors
    /// As loading such a file.
    fn averages(model: &[u8]) -> Result<BTreeMap<String, Tensor>>;

    /// Whether a model of score `new` is kept in place of one of score `old`.
    fn is_better(&self, new: f64, old: f64) -> bool {
        new > old
    }
}

/// What is kept in a run's state as JSON.
pub trait Kept: Clone + Debug + PartialEq + Serialize + DeserializeOwned {}

impl<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned> Kept for T {}

/// Settings of a run.
pub trait Settings: Kept {
    /// # Errors
    /// A usage error that names the first setting that makes no sense.
    fn validate(&self) -> Result<()>;

    fn pacing(&self) -> Pacing;

    fn set_budget(&mut self, budget: Budget);

    /// How the run's crops are cut. A resumed run passes the side of its working copies.
    fn crops(&self, working_side_px: Option<u32>) -> CropsConfig;
}

/// How good a model is on pictures that it was not trained on.
pub trait Score: Kept {
    /// The higher, the better: what early stop and the choice of the best model go by.
    fn score(&self) -> f64;

    /// After how many steps it was measured.
    fn step(&self) -> u64;

    fn at(self, step: u64, is_held_out: bool) -> Self;
}

/// The settings that are the same for every task.
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    pub budget: Budget,
    pub schedule: Schedule,
    pub report_every: u64,
    pub evaluate_every: u64,
    pub checkpoint_seconds: f64,
    pub checkpoint_every: Option<u64>,
    pub evaluation: EvaluationConfig,
    pub early_stop: Option<EarlyStop>,
}

/// One training step's input.
#[derive(Debug)]
pub struct StepInput {
    /// From 0.
    pub step: u64,
    /// The schedule's factor of the learning rate, in `[0, 1]`.
    pub rate_factor: f64,
    /// False before [`Task::begin`] made what the model lacks.
    pub has_begun: bool,
    /// `batch × side × side × 4`, as in [`PixelWindow`].
    pub pixels: Vec<f32>,
}

/// Where a run stands when its figures are told.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Steps done.
    pub step: u64,
    /// Share of the budget that is used up, 0 to 1.
    pub share: f64,
    /// `None` until steps are steady.
    pub remaining: Option<Duration>,
}

/// What a published model was made by.
#[derive(Debug)]
pub struct Origin<'a, E> {
    pub steps: u64,
    /// Pictures trained on, and the hash of their contents in order.
    pub pictures: usize,
    pub pictures_blake3: &'a str,
    pub evaluation: Option<&'a E>,
}
