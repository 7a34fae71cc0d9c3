//! What is in a project, and whether it is sound.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::jobs::diagnose::info::{CheckpointInfo, DocumentInfo, ProjectInfo, RunInfo};
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::project::Project;

/// Makes an empty project.
pub struct NewJob {
    pub path: PathBuf,
}

/// A project that was made.
#[derive(Debug, Serialize)]
pub struct NewProject {
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for NewProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Made an empty project.")
    }
}

impl Report for NewProject {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for NewJob {
    type Output = NewProject;

    fn title(&self) -> &'static str {
        "Making a project"
    }

    fn run(self, _: &JobContext) -> Result<NewProject> {
        Storage::create(&self.path)?;
        Ok(NewProject { file: self.path })
    }
}

/// Reports a project's content. It is only read, so that it works beside a running program.
pub struct InfoJob {
    pub path: PathBuf,
    /// What would be computed on.
    pub device: DeviceChoice,
}

impl Job for InfoJob {
    type Output = ProjectInfo;

    fn title(&self) -> &'static str {
        "Reading the project"
    }

    fn run(self, _: &JobContext) -> Result<ProjectInfo> {
        let device = open_device(self.device)?;
        let project = Project::open_read_only(&self.path)?;
        let runs = project.runs()?.into_iter().map(RunInfo::from);
        let checkpoints = project.checkpoints()?;
        let checkpoints = checkpoints.into_iter().map(CheckpointInfo::from);
        let documents = project.documents()?.into_iter().map(DocumentInfo::from);
        Ok(ProjectInfo {
            file_bytes: project.size_bytes(),
            pictures: project.picture_counts()?,
            runs: runs.collect(),
            checkpoints: checkpoints.collect(),
            documents: documents.collect(),
            device: device.name,
            device_reason: device.reason,
            path: self.path,
        })
    }
}

/// Checks a project from end to end.
pub struct CheckJob {
    pub path: PathBuf,
}

/// Every page and every record of the project was read, and all are as they should be.
#[derive(Debug, Serialize)]
pub struct ProjectSound {}

impl fmt::Display for ProjectSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The project is sound.")
    }
}

impl Report for ProjectSound {}

impl Job for CheckJob {
    type Output = ProjectSound;

    fn title(&self) -> &'static str {
        "Checking the project"
    }

    fn run(self, context: &JobContext) -> Result<ProjectSound> {
        let project = Project::open_read_only(&self.path)?;
        let findings = project.check(context)?;
        if findings.is_empty() {
            return Ok(ProjectSound {});
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
