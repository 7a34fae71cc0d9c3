//! Documents: opening, editing by script, exporting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::canvas;
use crate::document::script::{self, EditScript};
use crate::document::{Document, Raster, Wrap};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Report, WhenLeft};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::companions;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::engine::pictures::album;
use crate::engine::pictures::documents::{self, Opened, Stored};
use crate::error::{Error, Kind, Result};
use crate::export::{Existing, Metadata, Provenance, Writer, check_writable, encode_restore_data};
use crate::foundation::files::read_text;
use crate::progress::Observer;
use crate::project::DocumentId;

/// How a document leaves Tessera.
pub struct ExportTarget {
    /// `.png` or `.webp`.
    pub path: PathBuf,
    pub existing: Existing,
    /// Whether a PNG carries what brings the document back.
    pub has_restore_data: bool,
}

impl ExportTarget {
    /// With its folder made and, where nothing may be replaced, a number on a name that is taken.
    pub(crate) fn made_free(mut self) -> Result<Self> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::io("could not make the folder", folder, &source))?;
        }
        if self.existing == Existing::Refuse {
            self.path = free_path(&self.path);
        }
        Ok(self)
    }

    /// Whether it can be written, before the work that makes it.
    fn check(&self) -> Result<()> {
        Writer::of(&self.path)?;
        check_writable(&self.path, self.existing)
    }

    /// Writes a picture in the format that the name says; `restore` only where the format carries it.
    pub(crate) fn write(
        &self,
        raster: &Raster,
        provenance: Option<Provenance>,
        restore: Option<&[u8]>,
    ) -> Result<()> {
        let writer = Writer::of(&self.path)?;
        let metadata = Metadata {
            notes: None,
            provenance,
            restore: restore.filter(|_| writer.restores),
        };
        writer.write(&self.path, self.existing, raster, &metadata)
    }
}

/// Opens a picture as a document of a project; an exported PNG comes back with its edits.
pub struct OpenJob {
    pub project: Storage,
    pub image: PathBuf,
    pub device: DeviceChoice,
}

/// A document that was opened in a project.
#[derive(Debug, Serialize)]
pub struct DocumentReport {
    pub document: DocumentId,
    pub name: String,
    /// Pixels.
    #[serde(skip)]
    pub width: u32,
    #[serde(skip)]
    pub height: u32,
    #[serde(skip)]
    pub strokes: usize,
}

impl fmt::Display for DocumentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Opened “{}”: {} × {} pixels, {} strokes.",
            self.name, self.width, self.height, self.strokes
        )
    }
}

impl Report for DocumentReport {}

impl Job for OpenJob {
    type Output = DocumentReport;

    fn title(&self) -> &'static str {
        "Opening a picture"
    }

    fn run(self, context: &JobContext) -> Result<DocumentReport> {
        let model = ModelSource::Project(self.project.clone(), CheckpointChoice::Best);
        let opened = documents::read_picture(&self.image)?;
        let (stored, _) = open_in(
            &self.project,
            &model,
            &self.image,
            opened,
            self.device,
            context,
        )?;
        Ok(DocumentReport {
            document: stored.id,
            width: stored.document.width(),
            height: stored.document.height(),
            strokes: stored.document.history().strokes().len(),
            name: stored.name,
        })
    }
}

/// Applies an edit script to a picture or a document and exports the result.
pub struct EditJob {
    pub model: ModelSource,
    /// A picture file; or, with a project as model, the name of one of its documents.
    pub target: PathBuf,
    pub script: PathBuf,
    pub out: ExportTarget,
    pub device: DeviceChoice,
}

/// A picture that an edit script was applied to.
#[derive(Debug, Serialize)]
pub struct Edited {
    /// The document's name.
    pub document: String,
    /// Strokes that the script made.
    pub strokes: usize,
    pub strokes_before: usize,
    /// Where pulled details came from, in words.
    pub textures_from: Option<String>,
    /// Hash of the model.
    pub model: String,
    /// Whether anything differs from the source.
    #[serde(skip)]
    pub is_edited: bool,
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Edited “{}” with {} strokes",
            self.document, self.strokes
        )?;
        if !self.is_edited {
            f.write_str("; nothing differs from the source")?;
        }
        if let Some(origin) = &self.textures_from {
            write!(f, "; textures come from {origin}")?;
        }
        f.write_str(".")
    }
}

impl Report for Edited {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for EditJob {
    type Output = Edited;

    fn title(&self) -> &'static str {
        "Editing a picture"
    }

    fn run(self, context: &JobContext) -> Result<Edited> {
        self.out.check()?;
        let text = read_text(
            &self.script,
            script::MAX_BYTES as u64,
            "could not read the edit script",
        )?;
        let script = EditScript::from_json(&text).map_err(|error| error.at(&self.script))?;
        let project = self.model.project();
        let is_new = project.is_some() && self.target.exists();
        let (stored, model) = match project {
            Some(project) => self.open_stored(project, context)?,
            None => self.open_loose(context)?,
        };
        stored.tell(context);
        let id = stored.id;
        let edited = self.edit(&script, stored, model, context);
        if let (true, Some(project), Err(_)) = (is_new, project, &edited) {
            // The picture was to come into the project with its edits, not without.
            if let Err(error) = project.call(move |project| project.delete_document(id)) {
                context.warning(*error.notice);
            }
        }
        edited
    }
}

impl EditJob {
    fn edit(
        &self,
        script: &EditScript,
        mut stored: Stored,
        model: Model,
        context: &JobContext,
    ) -> Result<Edited> {
        let before = stored.document.history().strokes().len();
        let (applied, textures_from) = apply(script, &mut stored, &model, self.model.project())
            .map_err(|error| error.at(&self.script))?;
        let settings = json!({ "script": script });
        export(&stored.document, &model, &self.out, settings, context)?;
        Ok(Edited {
            is_edited: stored.document.is_edited(),
            document: stored.name,
            strokes: applied,
            strokes_before: before,
            textures_from,
            model: model.hash,
            file: self.out.path.clone(),
        })
    }

    fn open_stored(&self, project: &Storage, context: &JobContext) -> Result<(Stored, Model)> {
        if self.target.exists() {
            let opened = documents::read_picture(&self.target)?;
            return open_in(
                project,
                &self.model,
                &self.target,
                opened,
                self.device,
                context,
            );
        }
        let wanted = self.target.to_string_lossy().into_owned();
        let row = project.call(move |project| documents::find(project, Some(&wanted)))?;
        open_row(project, row.id, self.device)
    }

    fn open_loose(&self, context: &JobContext) -> Result<(Stored, Model)> {
        let model = self.model.load(&open_device(self.device)?.device)?;
        let document = match documents::read_picture(&self.target)? {
            Opened::Restored(restore) => {
                if restore.header.model != model.hash {
                    return Err(other_model(&restore.header.model, &self.target));
                }
                if let Some(warning) = restore.warning {
                    context.warning(warning);
                }
                restore.document
            }
            Opened::Picture { source, .. } => {
                canvas::open(&model.codec, source, Wrap::default(), context)?
            }
        };
        let stored = Stored {
            id: 0,
            name: name_of(&self.target),
            lost: album::lost_without_project(document.sources().list()),
            document,
            snapshots: Vec::new(),
        };
        Ok((stored, model))
    }
}

/// Writes a project's document as a picture.
pub struct ExportJob {
    pub project: Storage,
    /// Name or number; the newest where it is left out.
    pub document: Option<String>,
    pub out: ExportTarget,
    pub device: DeviceChoice,
}

/// A document that was written as a picture.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// The document's name.
    pub document: String,
    /// Hash of the model.
    pub model: String,
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exported “{}”.", self.document)
    }
}

impl Report for Exported {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for ExportJob {
    type Output = Exported;

    fn title(&self) -> &'static str {
        "Exporting a document"
    }

    fn run(self, context: &JobContext) -> Result<Exported> {
        self.out.check()?;
        let wanted = self.document.clone();
        let row = self
            .project
            .call(move |project| documents::find(project, wanted.as_deref()))?;
        let (stored, model) = open_row(&self.project, row.id, self.device)?;
        stored.tell(context);
        export(&stored.document, &model, &self.out, json!({}), context)?;
        Ok(Exported {
            document: stored.name,
            model: model.hash,
            file: self.out.path,
        })
    }
}

/// Writes a document as it is at this moment and gives the file; painting may go on meanwhile. Where nothing may be
/// replaced, a name that is taken gets a number.
pub struct SnapshotJob {
    pub document: Box<Document>,
    pub model: Model,
    pub out: ExportTarget,
}

impl Job for SnapshotJob {
    type Output = PathBuf;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Exporting a picture"
    }

    fn run(self, context: &JobContext) -> Result<PathBuf> {
        let out = self.out.made_free()?;
        export(&self.document, &self.model, &out, json!({}), context)?;
        Ok(out.path)
    }
}

/// `path`, or the same with " 2", " 3", … where something of that name exists.
pub(crate) fn free_path(path: &Path) -> PathBuf {
    let mut free = path.to_path_buf();
    let mut number = 2;
    while free.exists() {
        let mut name = path.file_stem().unwrap_or_default().to_os_string();
        name.push(format!(" {number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        free.set_file_name(name);
        number += 1;
    }
    free
}

/// A picture file as a new document of the project, and the model it is decoded with.
pub(crate) fn open_in(
    project: &Storage,
    model: &ModelSource,
    path: &Path,
    opened: Opened,
    device: DeviceChoice,
    context: &JobContext,
) -> Result<(Stored, Model)> {
    let device = open_device(device)?.device;
    let name = name_of(path);
    match opened {
        Opened::Picture { source, bytes } => {
            let model = model.load(&device)?;
            let stored = documents::create(project, &name, (source, bytes), &model, context)?;
            Ok((stored, model))
        }
        Opened::Restored(restore) => {
            let hash = restore.header.model.clone();
            let known =
                project.call(move |project| documents::checkpoint_by_model_hash(project, &hash))?;
            let source = match known {
                Some(row) => ModelSource::Project(project.clone(), CheckpointChoice::Id(row.id)),
                None => model.clone(),
            };
            let model = source.load(&device)?;
            if model.hash != restore.header.model {
                return Err(other_model(&restore.header.model, path));
            }
            if let Some(warning) = restore.warning.clone() {
                context.warning(warning);
            }
            Ok((documents::restore(project, &name, *restore, &model)?, model))
        }
    }
}

/// A stored document with the model that encoded it.
pub(crate) fn open_row(
    project: &Storage,
    id: i64,
    device: DeviceChoice,
) -> Result<(Stored, Model)> {
    let checkpoint = project.call(move |project| {
        let row = project.document(id)?;
        project.checkpoint_by_hash(row.checkpoint)?.ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("could not open the document “{}”", row.name),
                "the model that encoded it is no longer in the project",
                "Open its picture again as a new document",
            )
        })
    })?;
    let source = ModelSource::Project(project.clone(), CheckpointChoice::Id(checkpoint.id));
    let model = source.load(&open_device(device)?.device)?;
    Ok((documents::open(project, id, &model)?, model))
}

/// Applies the script; with a project its strokes are journaled. Returns how many there were, and where pulled
/// details came from.
fn apply(
    script: &EditScript,
    stored: &mut Stored,
    model: &Model,
    project: Option<&Storage>,
) -> Result<(usize, Option<String>)> {
    let before = stored.document.history().clone();
    let mut alphabet = model.alphabet()?;
    if script.pulls_detail() {
        let codes = stored.document.encoded();
        let table = companions::best(project, &model.hash, model.codebooks(), codes)?;
        alphabet = alphabet.with_companions(Some(Arc::new(table)));
    }
    let applied = script.apply_with(&mut stored.document, &alphabet)?;
    if let Some(project) = project {
        documents::journal(
            project,
            stored.id,
            before,
            stored.document.history().clone(),
        )?;
    }
    let textures_from = alphabet.companions().map(|table| table.origin.clone());
    Ok((applied.strokes.len(), textures_from))
}

fn export(
    document: &Document,
    model: &Model,
    target: &ExportTarget,
    settings: serde_json::Value,
    context: &JobContext,
) -> Result<()> {
    context.check()?;
    let depth_bits = document.source().depth_bits();
    let raster = canvas::render_document(&model.codec, document, depth_bits, context)?;
    write(document, &raster, target, settings)
}

fn write(
    document: &Document,
    raster: &Raster,
    target: &ExportTarget,
    settings: serde_json::Value,
) -> Result<()> {
    let provenance = document.is_edited().then_some(Provenance::Edited);
    let restore = match target.has_restore_data && Writer::of(&target.path)?.restores {
        true => Some(encode_restore_data(document, raster, settings)?),
        false => None,
    };
    target.write(raster, provenance, restore.as_deref())
}

fn other_model(hash: &str, path: &Path) -> Error {
    Error::new(
        Kind::NotFound,
        "could not open the document in the picture",
        format!("it was painted with another model ({hash:.12})"),
        "Name that model with --model, or open the picture in the project it came from",
    )
    .at(path)
}

fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(
        || "picture".into(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
