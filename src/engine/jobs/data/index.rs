//! The index of encoded pictures, filled.

use std::fmt;

use serde::Serialize;

use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Lane, Report, pictures};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::ModelSource;
use crate::engine::pictures::encodings::{Encodings, FillReport, fill, forget_superseded};
use crate::error::Result;
use crate::project::{EncodingsOf, PictureFilter};

/// Encodes the project's usable pictures whose codes under a model are missing or of other content, and forgets the codes of
/// models that are superseded: those of neither this model nor any document's.
///
/// It gives way to the window and to painting, and what it has done when it is stopped is kept.
pub struct IndexJob {
    pub project: Storage,
    pub model: ModelSource,
    /// Also reads what is there and encodes again what is damaged.
    pub verify: bool,
    pub device: DeviceChoice,
}

/// What an [`IndexJob`] did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexReport {
    /// The model's name in words.
    pub model: String,
    /// Hash of its weights.
    pub model_hash: String,
    #[serde(flatten)]
    pub pictures: FillReport,
    /// Codes of superseded models that went, in pictures.
    pub forgotten: u64,
}

impl Job for IndexJob {
    type Output = IndexReport;
    const LANE: Lane = Lane::Upkeep;
    const IS_QUIET: bool = true;

    fn title(&self) -> &'static str {
        "Preparing the pictures"
    }

    fn run(self, context: &JobContext) -> Result<IndexReport> {
        let model = self.model.load(&open_device(self.device)?.device)?;
        let encodings = Encodings::new(&self.project, &model)?;
        let usable = [EncodingsOf::Matching(PictureFilter::usable())];
        let filled = fill(&encodings, &model, usable, self.verify, context)?;
        Ok(IndexReport {
            forgotten: forget_superseded(&encodings, context)?,
            model: model.name,
            model_hash: model.hash,
            pictures: filled,
        })
    }
}

impl Report for IndexReport {}

impl fmt::Display for IndexReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FillReport {
            new,
            stale,
            damaged,
            kept,
            failed,
            ..
        } = &self.pictures;
        let mut parts = vec![format!("{new} new"), format!("{stale} changed")];
        if *damaged > 0 {
            parts.push(format!("{damaged} damaged"));
        }
        parts.push(format!("{kept} there already"));
        if *failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        let all = new + stale + damaged + kept;
        write!(
            f,
            "{} in the index ({}). Model: {}.",
            pictures(all),
            parts.join(", "),
            self.model
        )
    }
}
