//! Documents in a project: making, opening and continuing them.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::canvas;
use crate::document::{
    Document, Geometry, History, MAX_SOURCE_NAME_BYTES, Raster, Source, SourceRef, Sources, Turn,
    Wrap,
};
use crate::engine::lanes::storage::Storage;
use crate::engine::models::loading::{MODEL_HASH, Model};
use crate::engine::pictures::album::{self, Album};
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Notice, Result};
use crate::export::{Metadata, Restore, encode_png, read_restore_data};
use crate::progress::Observer;
use crate::project::{
    CheckpointRow, ContentHash, DocumentId, DocumentRow, DocumentSource, NamedState, NewDocument,
    NewSource, Project,
};

/// Files beyond this are no pictures that could be opened.
const MAX_PICTURE_FILE_BYTES: u64 = 512 << 20;

/// A picture file as it can be opened: plain, or with a document inside.
pub(crate) enum Opened {
    Picture { source: Source, bytes: Vec<u8> },
    Restored(Box<Restore>),
}

/// Reads a picture file; a PNG that Tessera exported gives its document back.
pub(crate) fn read_picture(path: &Path) -> Result<Opened> {
    // Before opening: opening a pipe would wait for ever.
    let failed = |source| Error::io("could not open the picture", path, &source);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let refused = |kind, why: &str| {
        Error::new(
            kind,
            "could not open the picture",
            why,
            "Choose a picture file",
        )
        .at(path)
    };
    if !metadata.is_file() {
        return Err(refused(Kind::Usage, "it is not a file"));
    }
    if metadata.len() > MAX_PICTURE_FILE_BYTES {
        return Err(refused(Kind::Limit, "the file is larger than 512 MiB"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PICTURE_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    if let Some(restore) = read_restore_data(&bytes).map_err(|error| error.at(path))? {
        return Ok(Opened::Restored(Box::new(restore)));
    }
    let source = read::source_from_bytes(&bytes).map_err(|error| error.at(path))?;
    Ok(Opened::Picture { source, bytes })
}

/// A document that is open for editing and stored in a project.
pub(crate) struct Stored {
    pub id: DocumentId,
    pub name: String,
    pub document: Document,
    pub snapshots: Vec<NamedState>,
    /// Says which pictures that its cells come from are gone.
    pub lost: Option<Notice>,
}

impl Stored {
    /// Says what of it is gone.
    pub fn tell(&self, observer: &dyn Observer) {
        if let Some(notice) = &self.lost {
            observer.warning(notice.clone());
        }
    }
}

/// Makes a document of a plain picture.
pub(crate) fn create(
    project: &Storage,
    name: &str,
    (source, bytes): (Source, Vec<u8>),
    model: &Model,
    observer: &dyn Observer,
) -> Result<Stored> {
    let document = canvas::open(&model.codec, source, Wrap::default(), observer)?;
    let checkpoint = model.keep_in(project)?;
    store(project, name, document, bytes, model, checkpoint)
}

/// Makes a document of an exported PNG. Its edits come back as one stroke.
pub(crate) fn restore(
    project: &Storage,
    name: &str,
    restored: Restore,
    model: &Model,
) -> Result<Stored> {
    let found = restored.document;
    let source = Raster::from_source(found.source(), found.source().depth_bits());
    let bytes = encode_png(&source, &Metadata::default())?;
    let encoded = (**found.encoded()).clone();
    let fresh = Document::new(found.source().clone(), encoded, found.wrap(), &model.hash)?;
    let checkpoint = model.keep_in(project)?;
    let mut stored = store(project, name, fresh, bytes, model, checkpoint)?;
    let stroke = found.as_stroke("Restored edits");
    if !stroke.deltas.is_empty() {
        let id = stored.id;
        project.call(move |project| project.append_stroke(id, &stroke).map(drop))?;
        stored.document = open(project, stored.id, model)?.document;
    }
    Ok(stored)
}

pub(crate) fn store(
    project: &Storage,
    name: &str,
    document: Document,
    bytes: Vec<u8>,
    model: &Model,
    checkpoint: ContentHash,
) -> Result<Stored> {
    let name = name.to_owned();
    let codebooks = model.codebooks();
    let mut document = document;
    document.find_sources_in(Arc::new(Album::new(project, model)));
    project.call(move |project| {
        let name = free_name(project, &name)?;
        let mut document = document;
        document.name_source(reference(&bytes, document.geometry(), &name))?;
        let row = project.create_document(&NewDocument {
            name: &name,
            source: NewSource::Embedded(&bytes),
            geometry: document.geometry(),
            checkpoint,
            codebooks,
            wrap: document.wrap(),
            codes: document.encoded(),
        })?;
        Ok(Stored {
            id: row.id,
            name,
            document,
            snapshots: Vec::new(),
            lost: None,
        })
    })
}

/// `name`, or "name 2", "name 3", … where it is taken.
fn free_name(project: &Project, name: &str) -> Result<String> {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while project.document_by_name(&candidate)?.is_some() {
        candidate = format!("{name} {number}");
        number += 1;
    }
    Ok(candidate)
}

/// Brings a document's journal from one state of its history to a later one: undone strokes, new ones,
/// and where it stands.
pub(crate) fn journal(
    project: &Storage,
    id: DocumentId,
    before: History,
    after: History,
) -> Result<()> {
    let pairs = before.strokes().iter().zip(after.strokes());
    let common = pairs.take_while(|(old, new)| Arc::ptr_eq(old, new)).count();
    project.call(move |project| {
        let mut cursor = before.cursor();
        if after.strokes().len() > common {
            move_cursor(project, id, &mut cursor, common)?;
            for stroke in &after.strokes()[common..] {
                project.append_stroke(id, stroke)?;
                cursor += 1;
            }
        }
        move_cursor(project, id, &mut cursor, after.cursor())
    })
}

fn move_cursor(project: &mut Project, id: DocumentId, at: &mut usize, to: usize) -> Result<()> {
    while *at > to {
        project.undo_stroke(id)?;
        *at -= 1;
    }
    while *at < to {
        project.redo_stroke(id)?;
        *at += 1;
    }
    Ok(())
}

/// Opens a stored document. `model` must be the one that encoded it.
pub(crate) fn open(project: &Storage, id: DocumentId, model: &Model) -> Result<Stored> {
    let (loaded, snapshots, bytes, lost) = project.call(move |project| {
        let loaded = project.load_document(id)?;
        let bytes = source_bytes(project, &loaded.row)?;
        let lost = album::lost(project, &loaded.sources)?;
        Ok((loaded, project.named_states(id)?, bytes, lost))
    })?;
    let document = Document::with_layers(
        read::source_from_bytes(&bytes)?,
        loaded.encoded,
        loaded.layers,
        loaded.row.wrap,
        &model.hash,
        loaded.history,
    )?;
    let album = Arc::new(Album::new(project, model));
    let mut document = document.with_sources(Sources::new(loaded.sources, album)?)?;
    document.name_source(reference(&bytes, document.geometry(), &loaded.row.name))?;
    Ok(Stored {
        id,
        name: loaded.row.name,
        document,
        snapshots,
        lost,
    })
}

/// How documents name a picture file of this size.
pub(crate) fn reference(bytes: &[u8], size: Geometry, name: &str) -> SourceRef {
    SourceRef {
        content_hash: ContentHash::of(bytes).to_string(),
        width: size.width(),
        height: size.height(),
        name: short_name(name),
        turn: Turn::default(),
    }
}

fn short_name(name: &str) -> String {
    let mut end = name.len().min(MAX_SOURCE_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// The picture file that a document was made of.
pub(crate) fn source_bytes(project: &Project, row: &DocumentRow) -> Result<Vec<u8>> {
    match row.source {
        DocumentSource::Embedded { .. } => project.document_source(row.id),
        DocumentSource::Picture { id } => {
            let path = project.picture(id)?.path;
            match read_picture(&path)? {
                Opened::Picture { bytes, .. } => Ok(bytes),
                Opened::Restored(_) => Err(lost(row)),
            }
        }
        DocumentSource::Lost => Err(lost(row)),
    }
}

fn lost(row: &DocumentRow) -> Error {
    Error::new(
        Kind::NotFound,
        format!("could not open the document “{}”", row.name),
        "its source picture is no longer in the project",
        "Import the picture again",
    )
}

/// The document called `name` or numbered so; the newest where nothing is asked for.
pub(crate) fn find(project: &Project, wanted: Option<&str>) -> Result<DocumentRow> {
    let documents = project.documents()?;
    let found = match wanted {
        None => documents.iter().max_by_key(|row| (row.modified_ms, row.id)),
        Some(text) => (documents.iter().find(|row| row.name == text))
            .or_else(|| documents.iter().find(|row| row.id.to_string() == text)),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = documents.iter().map(|row| row.name.as_str()).collect();
        Error::new(
            Kind::NotFound,
            "could not find the document",
            match names.as_slice() {
                [] => "the project has no documents yet".to_owned(),
                names => format!("the project has: {}", names.join(", ")),
            },
            "Open a picture first, or give one of these names",
        )
    })
}

/// The checkpoint whose weights have the hash that exported pictures name.
pub(crate) fn checkpoint_by_model_hash(
    project: &Project,
    hash: &str,
) -> Result<Option<CheckpointRow>> {
    let checkpoints = project.checkpoints()?;
    Ok(checkpoints
        .into_iter()
        .find(|row| row.metrics.get(MODEL_HASH).and_then(|value| value.as_str()) == Some(hash)))
}
