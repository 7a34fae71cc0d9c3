//! The pictures that cells of a document come from, found in its project.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use crate::canvas;
use crate::codec::Codec;
use crate::document::{SourcePicture, SourcePictures, SourceRef, Wrap};
use crate::engine::lanes::storage::{Storage, WeakStorage};
use crate::engine::models::loading::Model;
use crate::engine::pictures::encodings::as_indexed;
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Notice, Result};
use crate::project::{ContentHash, Project, SourceFile};

/// Pixels that are kept for the next window, of all pictures together.
const BUDGET_BYTES: u64 = 256 << 20;
/// Larger files are no pictures that could be opened.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Most names in a notice.
const MAX_NAMES: usize = 3;

/// Looks pictures up by content, and encodes each once. It does not keep the project open.
#[derive(Debug)]
pub(crate) struct Album {
    project: WeakStorage,
    codec: Arc<Codec>,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    of: SourceRef,
    /// `None` where it is gone.
    picture: Option<Arc<SourcePicture>>,
}

impl Kept {
    fn bytes(&self) -> u64 {
        // Pixels of 8 or 16 bits, and a code for each 16 of them.
        let of = |picture: &Arc<SourcePicture>| {
            let source = &picture.source;
            let pixels = source.geometry().bounds().area();
            pixels * 4 * if source.rgba16().is_some() { 3 } else { 1 } + pixels / 7
        };
        self.picture.as_ref().map_or(0, of)
    }
}

impl Album {
    pub fn new(project: &Storage, model: &Model) -> Self {
        Self {
            project: project.downgrade(),
            codec: Arc::clone(&model.codec),
            kept: Mutex::default(),
        }
    }

    fn load(&self, of: &SourceRef) -> Result<SourcePicture> {
        let project = self.project.upgrade().ok_or_else(gone)?;
        let hash: ContentHash = of.content_hash.parse()?;
        let bytes = project.call(move |project| read(project, hash))?;
        if ContentHash::of(&bytes) != hash {
            return Err(gone());
        }
        let mut source = read::source_from_bytes(&bytes)?;
        let size = (source.width(), source.height());
        if size != (of.width, of.height) {
            // Cells that were found through the index come from the picture as that encodes it.
            source = as_indexed(source.rgba8().to_vec(), size)?;
        }
        let wrap = Wrap::default();
        let codes = canvas::encode(&self.codec, &source, wrap, &())?;
        Ok(SourcePicture {
            source,
            codes: Arc::new(codes),
            wrap,
        })
    }
}

impl SourcePictures for Album {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        // One at a time: whoever asks meanwhile wants the same picture. Every change is of a whole entry.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.iter().position(|kept| kept.of.is_same(of)) {
            let found = kept.remove(place)?;
            let picture = found.picture.clone();
            kept.push_back(found);
            return picture;
        }
        let picture = match self.load(of) {
            Ok(picture) => Some(Arc::new(picture)),
            Err(error) => {
                log::warn!(
                    "cells of “{}” look like their codes alone: {error}",
                    of.name
                );
                None
            }
        };
        kept.push_back(Kept {
            of: of.clone(),
            picture: picture.clone(),
        });
        while kept.len() > 1 && kept.iter().map(Kept::bytes).sum::<u64>() > BUDGET_BYTES {
            kept.pop_front();
        }
        picture
    }
}

fn gone() -> Error {
    Error::new(
        Kind::NotFound,
        "could not find a picture that cells come from",
        "its file is no longer what or where it was",
        "Import the picture again",
    )
}

fn read(project: &Project, hash: ContentHash) -> Result<Vec<u8>> {
    match project.source_file(hash)?.ok_or_else(gone)? {
        SourceFile::Document(id) => project.document_source(id),
        SourceFile::Path(path) => {
            let failed = |source| Error::io("could not open the picture", &path, &source);
            let metadata = std::fs::metadata(&path).map_err(failed)?;
            if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
                return Err(gone());
            }
            let mut bytes = Vec::new();
            std::fs::File::open(&path)
                .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
                .map_err(failed)?;
            Ok(bytes)
        }
    }
}

/// Says which of these pictures the project cannot find. `None` where it finds all.
pub(crate) fn lost(project: &Project, sources: &[SourceRef]) -> Result<Option<Notice>> {
    let mut names = Vec::new();
    for source in sources {
        let is_there = match project.source_file(source.content_hash.parse()?)? {
            Some(SourceFile::Document(_)) => true,
            Some(SourceFile::Path(path)) => path.is_file(),
            None => false,
        };
        if !is_there {
            names.push(format!("“{}”", source.name));
        }
    }
    Ok(notice(names))
}

/// As [`lost`] for a document that is in no project.
pub(crate) fn lost_without_project(sources: &[SourceRef]) -> Option<Notice> {
    notice(
        (sources.iter())
            .map(|source| format!("“{}”", source.name))
            .collect(),
    )
}

fn notice(mut names: Vec<String>) -> Option<Notice> {
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let mut list = names.join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    Some(Notice::new(
        "some cells have lost their texture",
        format!("they come from pictures that are not there any more: {list}"),
        "Import these pictures into the project and reopen this one",
    ))
}
