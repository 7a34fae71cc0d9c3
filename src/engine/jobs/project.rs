//! What is in a project, and whether it is sound.

use std::path::PathBuf;

use serde_json::json;

use crate::engine::device::{DeviceChoice, open_device};
use crate::engine::event::Outcome;
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::error::{Error, Kind, Result};
use crate::foundation::time::rfc3339;
use crate::progress::Observer;
use crate::project::Project;

/// Makes an empty project.
pub struct NewJob {
    pub path: PathBuf,
}

impl NewJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        Storage::create(&self.path)?;
        Ok(Outcome::new("Made an empty project.").with_file(&self.path))
    }
}

/// Reports a project's content. It is only read, so that it works beside a running program.
pub struct InfoJob {
    pub path: PathBuf,
    /// What would be computed on.
    pub device: DeviceChoice,
}

impl InfoJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let device = open_device(self.device)?;
        let project = Project::open_read_only(&self.path)?;
        let counts = project.picture_counts()?;
        let runs = project.runs()?;
        let checkpoints = project.checkpoints()?;
        let documents = project.documents()?;
        let summary = format!(
            "{} pictures ({} usable), {} runs, {} checkpoints, {} documents.",
            counts.total,
            counts.usable,
            runs.len(),
            checkpoints.len(),
            documents.len()
        );
        let runs: Vec<_> = runs
            .iter()
            .map(|run| {
                json!({
                    "id": run.id, "name": run.name, "status": run.status, "seed": run.seed,
                    "device": run.device, "created": rfc3339(run.created_ms), "notice": run.notice,
                })
            })
            .collect();
        let checkpoints: Vec<_> = checkpoints
            .iter()
            .map(|row| {
                json!({
                    "id": row.id, "run": row.run, "kind": row.kind, "step": row.step, "name": row.name,
                    "bytes": row.weights_bytes, "metrics": row.metrics,
                })
            })
            .collect();
        let documents: Vec<_> = documents
            .iter()
            .map(|row| {
                json!({
                    "id": row.id, "name": row.name, "width": row.width, "height": row.height,
                    "strokes": row.strokes, "applied_strokes": row.applied_strokes,
                    "modified": rfc3339(row.modified_ms),
                })
            })
            .collect();
        Ok(Outcome::new(summary).with_report(json!({
            "file_bytes": project.size_bytes(),
            "pictures": counts,
            "runs": runs,
            "checkpoints": checkpoints,
            "documents": documents,
            "device": device.name,
            "device_reason": device.reason,
        })))
    }
}

/// Checks a project from end to end.
pub struct CheckJob {
    pub path: PathBuf,
}

impl CheckJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
        let project = Project::open_read_only(&self.path)?;
        let findings = project.check(context)?;
        if findings.is_empty() {
            return Ok(Outcome::new("The project is sound."));
        }
        for finding in &findings {
            context.warning(finding.clone());
        }
        Err(Error::new(
            Kind::Damaged,
            "the project is damaged",
            format!("{} things are wrong with it, listed above", findings.len()),
            "Go back to a copy, or save a copy of what can still be read",
        )
        .at(&self.path))
    }
}
