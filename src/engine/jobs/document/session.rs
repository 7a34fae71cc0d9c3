//! What the window works with, handed over in memory: an open project, an open document with its model.

use std::path::{Path, PathBuf};

use crate::document::Document;
use crate::engine::device::choice::{DeviceChoice, open_device_or_cpu};
use crate::engine::jobs::document::edit::{open_in, open_row};
use crate::engine::lanes::job::{Job, Lane, WhenLeft};
use crate::engine::lanes::storage::{Storage, WeakStorage};
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::engine::pictures::documents::{self, Opened};
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Result};
use crate::export::Existing;
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
    /// Projects that this process may have open: one of them is not opened a second time.
    pub known: Vec<WeakStorage>,
}

impl Job for OpenProjectJob {
    type Output = Storage;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Opening a project"
    }

    fn run(self, _: &JobContext) -> Result<Storage> {
        if self.file != ProjectFile::Create {
            let known = self.known.iter();
            if let Some(storage) = known.filter_map(|known| known.reopened(&self.path)).next() {
                return Ok(storage);
            }
        }
        let creates = match self.file {
            ProjectFile::Open => false,
            ProjectFile::Create => true,
            ProjectFile::OpenOrCreate => !self.path.exists(),
        };
        if creates {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|source| Error::io("could not make the folder", folder, &source))?;
            }
            Storage::create(&self.path)
        } else {
            Storage::open(&self.path)
        }
    }
}

/// Finds the device that jobs will compute on: the CPU where the one of `choice` does not work.
pub struct DeviceJob {
    pub choice: DeviceChoice,
}

/// What jobs compute on.
#[derive(Debug, Clone)]
pub struct DeviceInUse {
    pub name: String,
    /// Why this one, in words.
    pub reason: String,
    /// Whether the one that was asked for does not work.
    pub falls_back: bool,
}

impl Job for DeviceJob {
    type Output = DeviceInUse;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Looking for the device"
    }

    fn run(self, _: &JobContext) -> Result<DeviceInUse> {
        let (chosen, falls_back) = open_device_or_cpu(self.choice);
        Ok(DeviceInUse {
            name: chosen.name,
            reason: chosen.reason,
            falls_back,
        })
    }
}

/// Writes a copy of a project beside the open one and gives its file.
pub struct SaveCopyJob {
    pub project: Storage,
    pub to: PathBuf,
    pub existing: Existing,
}

impl Job for SaveCopyJob {
    type Output = PathBuf;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Saving a copy of the project"
    }

    fn run(self, _: &JobContext) -> Result<PathBuf> {
        let to = self.to.clone();
        let overwrite = self.existing == Existing::Replace;
        (self.project).call(move |project| project.save_copy(&to, overwrite, &()))?;
        Ok(self.to)
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
}

/// A document that is open for editing, with the model that decodes it.
pub struct OpenDocument {
    pub id: DocumentId,
    pub name: String,
    pub document: Document,
    pub snapshots: Vec<NamedState>,
    pub model: Model,
}

impl OpenDocument {
    pub(crate) fn new(stored: documents::Stored, model: Model) -> Self {
        Self {
            id: stored.id,
            name: stored.name,
            document: stored.document,
            snapshots: stored.snapshots,
            model,
        }
    }
}

/// Opens a document of a project, or makes one of a picture.
pub struct OpenDocumentJob {
    pub project: Storage,
    pub what: OpenWhat,
    /// The model for a new document.
    pub model: CheckpointChoice,
    pub device: DeviceChoice,
}

impl Job for OpenDocumentJob {
    type Output = OpenDocument;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Opening a picture"
    }

    fn run(self, context: &JobContext) -> Result<OpenDocument> {
        let source = ModelSource::Project(self.project.clone(), self.model);
        let (stored, model) = match self.what {
            OpenWhat::Stored(id) => open_row(&self.project, id, self.device)?,
            OpenWhat::File(path) => {
                let opened = documents::read_picture(&path)?;
                open_in(&self.project, &source, &path, opened, self.device, context)?
            }
            OpenWhat::Sample(name) => {
                let sample = crate::engine::pictures::samples::SAMPLES
                    .iter()
                    .find(|(n, _)| *n == name);
                let (_, bytes) = sample.ok_or_else(|| {
                    Error::new(
                        Kind::NotFound,
                        "could not open the sample picture",
                        format!("the program has none called {name}"),
                        "Choose another one",
                    )
                })?;
                let opened = Opened::Picture {
                    source: read::source_from_bytes(bytes)?,
                    bytes: bytes.to_vec(),
                };
                let path = Path::new(name);
                open_in(&self.project, &source, path, opened, self.device, context)?
            }
        };
        context.check()?;
        stored.tell(context);
        Ok(OpenDocument::new(stored, model))
    }
}
