//! What a run tells its caller while it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::train::measure::evaluate::{Evaluation, Preview, named};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The budget is used up.
    Finished,
    /// The held-out score no longer rose.
    NoMoreGain,
    /// Its state was handed out.
    Paused,
    /// It was stopped for good; what was learned so far is kept.
    Cancelled,
}

/// Receives what a run gives out. All calls come from the training thread, in order.
pub trait TrainSink<E = Evaluation, F = StepFigures> {
    /// Every [`crate::train::run::config::TrainConfig::report_every`] steps.
    fn figures(&mut self, figures: &F) {
        let _ = figures;
    }

    /// After each evaluation.
    fn evaluation(&mut self, evaluation: &E) {
        let _ = evaluation;
    }

    /// After each evaluation: always the same held-out pictures, in the same order.
    fn previews(&mut self, step: u64, previews: &[Preview]) {
        let _ = (step, previews);
    }

    /// What [`Checkpoint::state`] of the next [`CheckpointKind::Last`] shall hold; `ended` is `None` while the run goes on. Making
    /// and keeping a whole one moves four times the weights.
    fn state_wanted(&self, ended: Option<Ended>) -> StateWanted {
        let _ = ended;
        StateWanted::Whole
    }

    /// A model or state to keep. An error (a full disk) ends the run with it.
    ///
    /// # Errors
    /// What keeping it returns.
    fn checkpoint(&mut self, checkpoint: Checkpoint<E>) -> Result<()>;
}

/// Means over the steps since the last report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFigures {
    /// Steps done.
    pub step: u64,
    /// Share of the budget that is used up, 0 to 1.
    pub progress: f64,
    pub learning_rate: f64,
    /// The whole weighted loss.
    pub loss: f64,
    pub reconstruction_loss: f64,
    pub structure_loss: f64,
    pub commitment_loss: f64,
    /// Before clipping.
    pub gradient_norm: f64,
    /// InfoNCE of two views, nats, where it is trained.
    pub contrast_loss: Option<f64>,
    /// Hinge loss of the discriminator, while sharpening: 2 where it knows nothing.
    pub critic_loss: Option<f64>,
    pub pictures_per_second: f64,
    /// `None` until steps are steady.
    pub remaining: Option<Duration>,
    /// Codes of each level that the crops since the last report used, as a share of the codebook.
    pub structure_usage: f64,
    pub detail_usage: f64,
}

impl StepFigures {
    /// By name, for plots and logs.
    pub fn values(&self) -> BTreeMap<String, f64> {
        let mut values = named([
            ("learning_rate", self.learning_rate),
            ("loss", self.loss),
            ("reconstruction_loss", self.reconstruction_loss),
            ("structure_loss", self.structure_loss),
            ("commitment_loss", self.commitment_loss),
            ("gradient_norm", self.gradient_norm),
            ("pictures_per_second", self.pictures_per_second),
            ("structure_usage", self.structure_usage),
            ("detail_usage", self.detail_usage),
        ]);
        let optional = [
            ("contrast_loss", self.contrast_loss),
            ("critic_loss", self.critic_loss),
        ];
        values.extend(
            (optional.into_iter()).filter_map(|(name, loss)| Some((name.to_owned(), loss?))),
        );
        values
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// The best held-out score so far.
    Best,
    /// Where the run stands, with what it needs to go on.
    Last,
}

/// How much of a run's state is handed out with a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWanted {
    Nothing,
    /// Without the averaged weights where [`Checkpoint::model`] has them: [`crate::train::run::training::Run::resume`] then needs both.
    BesideModel,
    Whole,
}

/// Something to keep. A newer one of the same kind replaces the older.
#[derive(Debug, Clone)]
pub struct Checkpoint<E = Evaluation> {
    pub kind: CheckpointKind,
    /// Steps done.
    pub step: u64,
    /// Why the run ends with it; `None` while it goes on.
    pub ended: Option<Ended>,
    /// The model with averaged weights, as a file; `None` before the codebooks exist.
    pub model: Option<Vec<u8>>,
    /// What [`crate::train::run::training::Run::resume`] takes; with [`CheckpointKind::Last`], as [`TrainSink::state_wanted`] asked for.
    pub state: Option<Vec<u8>>,
    /// Scores of this model ([`CheckpointKind::Best`]), or the latest scores.
    pub evaluation: Option<E>,
    /// What else there is to say of it, by name: of a codec `reseeded`, its [`ReseededCodes`].
    pub remarks: BTreeMap<&'static str, serde_json::Value>,
}

/// Ids by level of codes that stand for something else than in the model that the run began with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReseededCodes {
    pub structure: Vec<u32>,
    pub detail: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_that_is_trained_is_told_by_name() {
        let mut figures = StepFigures {
            step: 20,
            progress: 0.1,
            learning_rate: 1e-3,
            loss: 0.5,
            reconstruction_loss: 0.25,
            structure_loss: 0.125,
            commitment_loss: 0.0625,
            gradient_norm: 1.0,
            contrast_loss: Some(3.0),
            critic_loss: Some(2.0),
            pictures_per_second: 10.0,
            remaining: None,
            structure_usage: 0.5,
            detail_usage: 0.5,
        };
        let values = figures.values();
        assert_eq!(values.get("contrast_loss"), Some(&3.0));
        assert_eq!(values.get("critic_loss"), Some(&2.0));
        (figures.contrast_loss, figures.critic_loss) = (None, None);
        let values = figures.values();
        assert!(!values.contains_key("contrast_loss") && !values.contains_key("critic_loss"));
    }
}
