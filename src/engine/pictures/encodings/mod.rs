//! The pictures of a project as codes: read from its index in any number, and encoded where the index has none.
//!
//! A picture is encoded as it opens for editing: upright, in sRGB, of its own size and padded by its edge, with no axis
//! wrapped. One of more than 4 Mpx (2048 × 2048) is made smaller first, which is as much as training sees of it.
//!
//! *Limitations*: the index knows a picture's content as of the last import; a file that changed since is not encoded before
//! it is imported again.

mod encode;
mod fill;

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::document::{Codes, Geometry};
use crate::engine::lanes::storage::Storage;
use crate::engine::models::loading::Model;
use crate::error::{Error, Kind, Result};
use crate::project::{
    ContentHash, EncodingCounts, EncodingModel, EncodingRow, EncodingsOf, PictureFilter, PictureId,
};

pub(crate) use encode::{as_indexed, load_source};
pub use fill::FillReport;
pub(crate) use fill::{fill, forget_superseded};

/// Ids asked for at a time.
const IDS_AT_ONCE: usize = 1_000;

/// A picture with its codes.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedPicture {
    pub picture: PictureId,
    pub path: PathBuf,
    pub label: Option<String>,
    /// BLAKE3 of the file.
    pub content_hash: ContentHash,
    /// Width in pixels of what was encoded: the picture's, or less where it has more than 4 Mpx.
    pub width: u32,
    pub height: u32,
    /// Every detail cell has a code.
    pub codes: Codes,
    /// A unit vector: the dot product of two says how alike their pictures are. Empty for a model without embedding.
    pub embedding: Vec<f32>,
}

impl EncodedPicture {
    /// # Errors
    /// None for a picture of the index.
    pub fn geometry(&self) -> Result<Geometry> {
        Geometry::new(self.width, self.height)
    }
}

impl From<EncodingRow> for EncodedPicture {
    fn from(row: EncodingRow) -> Self {
        Self {
            picture: row.picture,
            path: row.path,
            label: row.label,
            content_hash: row.content_hash,
            width: row.geometry.width(),
            height: row.geometry.height(),
            codes: row.codes,
            embedding: row.embedding,
        }
    }
}

/// A project's index of pictures encoded by one model. Pictures whose codes are missing or of other content are left out;
/// [`IndexJob`](crate::engine::jobs::data::index::IndexJob) fills them in.
#[derive(Clone)]
pub struct Encodings {
    project: Storage,
    model: EncodingModel,
}

impl Encodings {
    /// # Errors
    /// `Unsupported` for a model whose codes do not fit documents.
    pub fn new(project: &Storage, model: &Model) -> Result<Self> {
        Ok(Self {
            project: project.clone(),
            model: encoding_model(model)?,
        })
    }

    /// All pictures that are neither excluded nor missing.
    pub fn all(&self) -> EncodedPictures<'_> {
        self.matching(PictureFilter::usable())
    }

    /// The encoded pictures with a label.
    pub fn of_label(&self, label: &str) -> EncodedPictures<'_> {
        self.matching(PictureFilter {
            label: Some(label.to_owned()),
            ..PictureFilter::usable()
        })
    }

    pub fn matching(&self, filter: PictureFilter) -> EncodedPictures<'_> {
        EncodedPictures::new(self, VecDeque::from([EncodingsOf::Matching(filter)]))
    }

    /// The named pictures, excluded ones too, in the order of their ids.
    pub fn of(&self, pictures: &[PictureId]) -> EncodedPictures<'_> {
        EncodedPictures::new(self, by_id(pictures))
    }

    /// Embeddings alone, of the pictures that a filter lets through.
    ///
    /// # Errors
    /// As reading the project; what `take` returns.
    pub fn for_each_embedding(
        &self,
        filter: &PictureFilter,
        mut take: impl FnMut(PictureId, Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let mut after = PictureId::MIN;
        loop {
            let (model, of) = (self.model, EncodingsOf::Matching(filter.clone()));
            let page =
                (self.project).call(move |project| project.embeddings_after(&model, &of, after))?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            self.forget(page.damaged)?;
            for (picture, embedding) in page.rows {
                take(picture, embedding)?;
            }
        }
    }

    /// How many of the pictures that a filter lets through have codes.
    ///
    /// # Errors
    /// As reading the project.
    pub fn counts(&self, filter: &PictureFilter) -> Result<EncodingCounts> {
        let (model, of) = (self.model, EncodingsOf::Matching(filter.clone()));
        self.project
            .call(move |project| project.encoding_counts(&model, &of))
    }

    /// Damaged rows go, so that their pictures are encoded again.
    fn forget(&self, damaged: Vec<PictureId>) -> Result<()> {
        if damaged.is_empty() {
            return Ok(());
        }
        log::warn!("the codes of {} pictures are damaged", damaged.len());
        let hash = self.model.hash;
        self.project
            .call(move |project| project.delete_encodings(hash, &damaged))
    }
}

/// Asks for pictures a thousand at a time.
pub(crate) fn by_id(pictures: &[PictureId]) -> VecDeque<EncodingsOf> {
    let mut ids = pictures.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.chunks(IDS_AT_ONCE)
        .map(|ids| EncodingsOf::Pictures(ids.to_vec()))
        .collect()
}

fn encoding_model(model: &Model) -> Result<EncodingModel> {
    let hash = model.hash.parse::<ContentHash>().map_err(|source| {
        let what = "could not use the index of encoded pictures";
        Error::new(Kind::Internal, what, source.to_string(), "")
    })?;
    let head = model.codec.config().embedding;
    Ok(EncodingModel {
        hash,
        codebooks: model.codebooks(),
        embedding_len: head.map_or(0, |head| head.length()),
    })
}

/// Pictures with their codes, by id, some 8 MiB of them in memory at a time. Each picture that is there all the time
/// comes once, also while others are added.
pub struct EncodedPictures<'a> {
    encodings: &'a Encodings,
    asked: VecDeque<EncodingsOf>,
    after: PictureId,
    page: std::vec::IntoIter<EncodingRow>,
}

impl<'a> EncodedPictures<'a> {
    fn new(encodings: &'a Encodings, asked: VecDeque<EncodingsOf>) -> Self {
        Self {
            encodings,
            asked,
            after: PictureId::MIN,
            page: Vec::new().into_iter(),
        }
    }

    /// `false` when there are no more.
    fn turn_page(&mut self) -> Result<bool> {
        let Some(of) = self.asked.front().cloned() else {
            return Ok(false);
        };
        let (model, after) = (self.encodings.model, self.after);
        let page = (self.encodings.project)
            .call(move |project| project.encodings_after(&model, &of, after))?;
        match page.last {
            Some(last) => self.after = last,
            None => {
                self.asked.pop_front();
            }
        }
        self.encodings.forget(page.damaged)?;
        self.page = page.rows.into_iter();
        Ok(true)
    }
}

impl Iterator for EncodedPictures<'_> {
    type Item = Result<EncodedPicture>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.page.next() {
                return Some(Ok(row.into()));
            }
            match self.turn_page() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // What comes after an error is not known.
                    self.asked.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
