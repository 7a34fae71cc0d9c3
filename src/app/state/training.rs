//! Fine-tuning: what a run is started with, and what is shown of it.

use std::collections::BTreeMap;
use std::time::Instant;

use eframe::egui::TextureHandle;

use super::jobs::JobKey;
use crate::engine::{CheckpointChoice, Preset};
use crate::project::{MetricRow, RunId};

/// What a fine-tune is started with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainForm {
    pub preset: Preset,
    /// How many minutes it may take, in place of the preset's budget.
    pub minutes: Option<f64>,
    /// The start of its random numbers: the same settings and seed give the same model.
    pub seed: u64,
    pub starts_from: CheckpointChoice,
}

impl Default for TrainForm {
    fn default() -> Self {
        Self {
            preset: Preset::Quick,
            minutes: None,
            seed: 0,
            starts_from: CheckpointChoice::Best,
        }
    }
}

impl TrainForm {
    /// The form for another project: a run there cannot start from a checkpoint of this one.
    pub(in crate::app) fn for_next_project(self) -> Self {
        Self {
            starts_from: CheckpointChoice::Best,
            ..self
        }
    }
}

/// The fine-tune that runs, and the runs that are shown.
pub struct Training {
    pub form: TrainForm,
    /// The job that fine-tunes, while one does.
    pub job: Option<JobKey>,
    /// When that job was started.
    pub started: Option<Instant>,
    /// Whether pause or cancel has been asked for already.
    pub is_stopping: bool,
    /// Figures of the run shown, by name, as (step, value).
    pub figures: BTreeMap<String, Vec<[f64; 2]>>,
    /// Held-out pictures over the run.
    pub previews: Vec<PreviewView>,
    /// The run whose figures are shown.
    pub selected_run: Option<RunId>,
    /// Figures of runs read from the project.
    pub metrics: BTreeMap<RunId, Vec<MetricRow>>,
    /// Which model new documents get.
    pub model: CheckpointChoice,
    /// Whether a run has ended since the user was told of the last one.
    pub has_news: bool,
}

impl Training {
    pub(in crate::app) fn new(form: TrainForm) -> Self {
        Self {
            form,
            job: None,
            started: None,
            is_stopping: false,
            figures: BTreeMap::new(),
            previews: Vec::new(),
            selected_run: None,
            metrics: BTreeMap::new(),
            model: CheckpointChoice::Best,
            has_news: false,
        }
    }

    /// Previews kept of one run; beyond that the middle is thinned.
    pub const MAX_PREVIEWS: usize = 60;

    /// Whether a fine-tune of the open project waits or runs.
    pub fn is_running(&self) -> bool {
        self.job.is_some()
    }
}

/// Source, structure alone and reconstruction of each held-out picture at one step.
pub struct PreviewView {
    pub step: u64,
    pub texture: TextureHandle,
}
