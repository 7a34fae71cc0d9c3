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
    /// Minutes instead of the preset's.
    pub minutes: Option<f64>,
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
    /// The same, but for what it starts from, which is the project's.
    pub(in crate::app) fn for_next_project(self) -> Self {
        Self {
            starts_from: CheckpointChoice::Best,
            ..self
        }
    }
}

pub struct Training {
    pub form: TrainForm,
    /// The job, while one runs.
    pub job: Option<JobKey>,
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
    /// Whether a run has ended since the user was told of the last one: see [`State::has_news`].
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

    pub const MAX_PREVIEWS: usize = 60;

    pub fn is_running(&self) -> bool {
        self.job.is_some()
    }
}

/// Source, structure alone and reconstruction of each held-out picture at one step.
pub struct PreviewView {
    pub step: u64,
    pub texture: TextureHandle,
}
