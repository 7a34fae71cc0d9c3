//! What the window works with, handed over in memory: an open project, an open document with its model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::edit::{open_in, open_row};
use crate::document::Document;
use crate::engine::device::{DeviceChoice, open_device_or_cpu};
use crate::engine::documents::{self, Opened};
use crate::engine::event::{Outcome, Product};
use crate::engine::model::{CheckpointChoice, Model, ModelSource};
use crate::engine::pictures;
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::project::{DocumentId, NamedState};

/// Whether the project is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectFile {
    Open,
    Create,
    /// For the project of somebody who never chose one.
    OpenOrCreate,
}

/// Opens a project for reading and writing.
pub struct OpenProjectJob {
    pub path: PathBuf,
    pub file: ProjectFile,
}

impl OpenProjectJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let creates = match self.file {
            ProjectFile::Open => false,
            ProjectFile::Create => true,
            ProjectFile::OpenOrCreate => !self.path.exists(),
        };
        let project = if creates {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|source| Error::io("could not make the folder", folder, &source))?;
            }
            Storage::create(&self.path)?
        } else {
            Storage::open(&self.path)?
        };
        let verb = if creates { "Made" } else { "Opened" };
        Ok(Outcome::new(format!("{verb} {}.", file_name(&self.path)))
            .with_file(&self.path)
            .with_product(Product::Project(project)))
    }
}

/// Finds the device that jobs will compute on: the CPU where the one of `choice` does not work.
pub struct DeviceJob {
    pub choice: DeviceChoice,
}

impl DeviceJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let (chosen, falls_back) = open_device_or_cpu(self.choice);
        Ok(
            Outcome::new(format!("Computing on {}: {}.", chosen.name, chosen.reason)).with_report(
                json!({ "name": chosen.name, "reason": chosen.reason, "falls_back": falls_back }),
            ),
        )
    }
}

/// Writes a copy of a project beside the open one.
pub struct SaveCopyJob {
    pub project: Storage,
    pub to: PathBuf,
}

impl SaveCopyJob {
    pub(in crate::engine) fn run(self, _: &JobContext) -> Result<Outcome> {
        let to = self.to.clone();
        // The file dialog has asked before replacing anything.
        self.project
            .call(move |project| project.save_copy(&to, true, &()))?;
        Ok(Outcome::new(format!("Saved a copy as {}.", file_name(&self.to))).with_file(&self.to))
    }
}

/// What to open.
#[derive(Debug, Clone)]
pub enum OpenWhat {
    /// A picture file; an exported PNG comes back with its edits.
    File(PathBuf),
    /// A picture inside the program, by its file name.
    Sample(&'static str),
    /// A document of the project.
    Stored(DocumentId),
    /// The source picture of a document once more, as a new document: under a newer model.
    SourceOf(DocumentId),
}

/// A document that is open for editing, with the model that decodes it.
pub struct OpenDocument {
    pub id: DocumentId,
    pub name: String,
    pub document: Document,
    pub snapshots: Vec<NamedState>,
    pub model: Model,
}

/// Opens a document of a project, or makes one of a picture.
pub struct OpenDocumentJob {
    pub project: Storage,
    pub what: OpenWhat,
    /// The model for a new document.
    pub model: CheckpointChoice,
    pub device: DeviceChoice,
}

impl OpenDocumentJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
        let source = ModelSource::Project(self.project.clone(), self.model);
        let (stored, model) = match self.what {
            OpenWhat::Stored(id) => open_row(&self.project, id, self.device)?,
            OpenWhat::File(path) => {
                let opened = documents::read_picture(&path)?;
                open_in(&self.project, &source, &path, opened, self.device, context)?
            }
            OpenWhat::SourceOf(id) => {
                let (name, bytes) = self.project.call(move |project| {
                    let row = project.document(id)?;
                    let bytes = documents::source_bytes(project, &row)?;
                    Ok((row.name, bytes))
                })?;
                let opened = Opened::Picture {
                    source: pictures::source_from_bytes(&bytes)?,
                    bytes,
                };
                let path = PathBuf::from(name);
                open_in(&self.project, &source, &path, opened, self.device, context)?
            }
            OpenWhat::Sample(name) => {
                let sample = crate::engine::SAMPLES.iter().find(|(n, _)| *n == name);
                let (_, bytes) = sample.ok_or_else(|| {
                    Error::new(
                        Kind::NotFound,
                        "could not open the sample picture",
                        format!("the program has none called {name}"),
                        "Choose another one",
                    )
                })?;
                let opened = Opened::Picture {
                    source: pictures::source_from_bytes(bytes)?,
                    bytes: bytes.to_vec(),
                };
                let path = Path::new(name);
                open_in(&self.project, &source, path, opened, self.device, context)?
            }
        };
        context.check()?;
        stored.tell(context);
        Ok(opened(stored, model))
    }
}

/// Hands a document over to the window.
pub(super) fn opened(stored: documents::Stored, model: Model) -> Outcome {
    Outcome::new(format!(
        "Opened “{}”: {} × {} pixels.",
        stored.name,
        stored.document.width(),
        stored.document.height()
    ))
    .with_report(json!({ "document": stored.id, "name": stored.name }))
    .with_product(Product::Document(Arc::new(OpenDocument {
        id: stored.id,
        name: stored.name,
        document: stored.document,
        snapshots: stored.snapshots,
        model,
    })))
}

/// The last part of a path, for messages.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
