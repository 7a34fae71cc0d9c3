//! What is taken from: pictures read, encoded, and turned where that is wanted.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::look::{self, GenerateLook};
use super::picture::{Loaded, Picture, absolute, covered, find, is_gone, nothing};
use super::recipe::RecipeSource;
use crate::canvas;
use crate::dataset::{Limits, read_file};
use crate::document::{
    Document, Geometry, OWN_SOURCE, Raster, STRUCTURE_STRIDE_PX, Source, SourcePicture,
    SourcePictures, SourceRef, Turn, Wrap,
};
use crate::engine::lanes::job::file_name;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::album;
use crate::engine::pictures::documents;
use crate::engine::pictures::encodings::{self, Encodings};
use crate::engine::pictures::quilting::{self, check_size};
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::Observer;
use crate::project::{ContentHash, EncodingsOf, PictureFilter};
use crate::quilt::{self, MIN_SOURCE_CELLS};

/// Pixels of pictures that were read again are kept up to this many bytes.
const READ_BYTES: usize = 192 << 20;

/// The pictures of a request, in the order of their numbers.
pub struct Gathered {
    pictures: Vec<Picture>,
    /// Whether the first is what the document shows.
    has_own: bool,
    has_guide: bool,
    /// Told once each.
    lost: Mutex<Vec<Notice>>,
    /// Pictures that are read again, for the next window.
    read: Mutex<VecDeque<(usize, Source)>>,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gathered({})", self.pictures.len())
    }
}

impl Gathered {
    pub const fn new(look: &GenerateLook) -> Self {
        Self {
            pictures: Vec::new(),
            has_own: false,
            has_guide: look.guide.is_some(),
            lost: Mutex::new(Vec::new()),
            read: Mutex::new(VecDeque::new()),
        }
    }

    /// What a document shows, as the first picture. Cells that are about to be made are not taken from.
    pub fn add_own(
        &mut self,
        document: &Document,
        made: &[bool],
        model: &Model,
        observer: &dyn Observer,
    ) -> Result<()> {
        let mut own = quilting::source_of(document);
        let mut usable = own.usable.take().unwrap_or_default();
        hide(&mut usable, made);
        let colours = match self.has_guide {
            true if document.is_edited() => {
                let raster = canvas::render_document(&model.codec, document, 8, observer)?;
                let rgba = raster.rgba8().into_owned();
                let shown = Source::from_rgba8(document.width(), document.height(), rgba)?;
                Some(look::colours(&shown))
            }
            true => Some(look::colours(document.source())),
            false => None,
        };
        let named = document.sources().named(OWN_SOURCE);
        self.pictures.push(Picture {
            reference: named.cloned().ok_or_else(nothing)?,
            path: None,
            codes: own.codes,
            pixels: Some(document.source().clone()),
            bytes: None,
            usable,
            colours,
        });
        self.has_own = true;
        Ok(())
    }

    /// Calls the own picture as it was called when a result was made the first time.
    pub fn rename_own(&mut self, name: &str) {
        if let Some(own) = self.pictures.first_mut().filter(|_| self.has_own) {
            own.reference.name = name.to_owned();
        }
    }

    /// A picture in memory.
    pub fn add(
        &mut self,
        loaded: Loaded,
        is_file: bool,
        model: &Model,
        observer: &dyn Observer,
    ) -> Result<()> {
        let Loaded {
            path,
            source,
            bytes,
        } = loaded;
        let reference = documents::reference(&bytes, source.geometry(), &file_name(&path));
        if self.is_own(&reference.content_hash) {
            return Ok(());
        }
        check_size(&source).map_err(|error| error.at(&path))?;
        let codes = canvas::encode(&model.codec, &source, Wrap::default(), observer)?;
        self.pictures.push(Picture {
            reference,
            path: is_file.then_some(path),
            codes: Arc::new(codes),
            usable: quilting::usable(&source),
            colours: self.has_guide.then(|| look::colours(&source)),
            pixels: Some(source),
            bytes: (!is_file).then_some(bytes),
        });
        Ok(())
    }

    /// Pictures of the project, their codes from its index; those that it lacks are encoded and kept there.
    pub fn add_project(
        &mut self,
        project: &Storage,
        model: &Model,
        label: Option<&str>,
        context: &JobContext,
    ) -> Result<()> {
        let index = Encodings::new(project, model)?;
        let filter = PictureFilter {
            label: label.map(str::to_owned),
            ..PictureFilter::usable()
        };
        // Warnings tell what could not be encoded.
        let asked = [EncodingsOf::Matching(filter.clone())];
        encodings::fill(&index, model, asked, false, context)?;
        let before = self.pictures.len();
        let mut has_skipped = false;
        for encoded in index.matching(filter) {
            context.check()?;
            let encoded = encoded?;
            let is_small =
                encoded.width.min(encoded.height) < MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX;
            let is_own = self.is_own(&encoded.content_hash.to_string());
            has_skipped |= is_own;
            if is_small || is_own {
                continue;
            }
            // Codes do not tell what is transparent.
            match encodings::load_source(&encoded.path, encoded.content_hash) {
                Ok(source) => self.pictures.push(self.indexed(encoded, &source)),
                Err(error) => context.warning(*error.notice),
            }
        }
        let is_needed = label.is_some() || self.pictures.is_empty();
        if self.pictures.len() == before && !has_skipped && is_needed {
            return Err(Error::new(
                Kind::NoPictures,
                "could not take from the project",
                "it has no usable picture of 32 × 32 pixels or more, or none of this label",
                "Import pictures, or name another label",
            ));
        }
        Ok(())
    }

    /// Whether it is the picture that is filled: what is to be made anew would be copied back from it.
    fn is_own(&self, content_hash: &str) -> bool {
        self.has_own
            && (self.pictures.first()).is_some_and(|own| own.reference.content_hash == content_hash)
    }

    fn indexed(&self, encoded: encodings::EncodedPicture, source: &Source) -> Picture {
        Picture {
            reference: SourceRef {
                content_hash: encoded.content_hash.to_string(),
                width: encoded.width,
                height: encoded.height,
                name: file_name(&encoded.path),
                turn: Turn::default(),
            },
            path: Some(encoded.path),
            codes: Arc::new(encoded.codes),
            usable: quilting::usable(source),
            colours: self.has_guide.then(|| look::colours(source)),
            pixels: None,
            bytes: None,
        }
    }

    /// Each picture once more in every wanted way that it can lie. `made` are cells of the own one that are not taken from.
    pub fn add_turns(
        &mut self,
        look: &GenerateLook,
        made: Option<&[bool]>,
        model: &Model,
        context: &JobContext,
    ) -> Result<()> {
        let turns: Vec<Turn> = (1..8)
            .filter_map(Turn::of_number)
            .filter(|turn| look.is_mirrored || !turn.is_mirrored)
            .filter(|turn| look.is_turned || turn.quarters == 0)
            .collect();
        let upright = self.pictures.len();
        for turn in turns {
            for number in 0..upright {
                context.progress(number as u64, upright as u64);
                context.check()?;
                let is_own = self.has_own && number == 0;
                let picture = &self.pictures[number];
                let source = picture.source()?.turned(turn)?;
                let mut usable = quilting::usable(&source);
                if let (true, Some(made)) = (is_own, made) {
                    hide(&mut usable, &covered(picture.geometry()?, made, turn)?);
                }
                let codes = canvas::encode(&model.codec, &source, Wrap::default(), context)?;
                let turned = Picture {
                    reference: SourceRef {
                        width: source.width(),
                        height: source.height(),
                        turn,
                        ..picture.reference.clone()
                    },
                    path: picture.path.clone(),
                    codes: Arc::new(codes),
                    usable,
                    colours: self.has_guide.then(|| look::colours(&source)),
                    pixels: picture.pixels.is_some().then_some(source),
                    bytes: None,
                };
                self.pictures.push(turned);
            }
        }
        Ok(())
    }

    /// The pictures of a recipe, the own one left out where there is one, found by their content.
    pub fn add_again(
        &mut self,
        sources: &[RecipeSource],
        made: Option<&[bool]>,
        project: &Storage,
        model: &Model,
        context: &JobContext,
    ) -> Result<()> {
        let index = Encodings::new(project, model)?;
        let mut known = std::collections::HashMap::new();
        let wanted: std::collections::HashSet<&str> = sources
            .iter()
            .map(|source| source.content.as_str())
            .collect();
        for encoded in index.matching(PictureFilter::default()) {
            let encoded = encoded?;
            let hash = encoded.content_hash.to_string();
            if wanted.contains(hash.as_str()) {
                known.insert(hash, encoded);
            }
        }
        for (done, wanted) in sources.iter().enumerate() {
            context.progress(done as u64, sources.len() as u64);
            context.check()?;
            let reference = wanted.reference();
            reference.check()?;
            let found = known.get(&wanted.content).filter(|encoded| {
                wanted.turn.is_none()
                    && (encoded.width, encoded.height) == (wanted.width, wanted.height)
            });
            if let Some(encoded) = found
                && let Ok(source) = encodings::load_source(&encoded.path, encoded.content_hash)
            {
                let mut picture = self.indexed(encoded.clone(), &source);
                picture.reference = reference;
                self.pictures.push(picture);
                continue;
            }
            let bytes = find(project, wanted)?;
            let source = album::source_of(&bytes, &reference)?;
            if (source.width(), source.height()) != (wanted.width, wanted.height) {
                return Err(is_gone(wanted));
            }
            check_size(&source)?;
            let codes = canvas::encode(&model.codec, &source, Wrap::default(), context)?;
            let mut usable = quilting::usable(&source);
            let own = self.pictures.first().filter(|_| self.has_own);
            if let (Some(own), Some(made)) = (own, made)
                && own.reference.content_hash == wanted.content
            {
                hide(&mut usable, &covered(own.geometry()?, made, wanted.turn)?);
            }
            self.pictures.push(Picture {
                reference,
                path: wanted.path.clone(),
                codes: Arc::new(codes),
                usable,
                colours: self.has_guide.then(|| look::colours(&source)),
                pixels: Some(source),
                bytes: None,
            });
        }
        Ok(())
    }

    /// For a request; `labels` are those of each.
    pub fn sources(&self, labels: &[Option<Vec<u8>>]) -> Vec<quilt::Source> {
        (self.pictures.iter().zip(labels))
            .map(|(picture, labels)| quilt::Source {
                codes: picture.codes.clone(),
                usable: Some(picture.usable.clone()),
                labels: labels.clone(),
                colours: picture.colours.clone(),
            })
            .collect()
    }

    /// The labels of every picture, from one map for each upright one.
    pub fn labels(&self, maps: &[PathBuf], colours: &[[u8; 3]]) -> Result<Vec<Option<Vec<u8>>>> {
        let upright = |picture: &&Picture| picture.reference.turn.is_none();
        let count = self.pictures.iter().filter(upright).count();
        if maps.len() != count {
            return Err(Error::usage(
                "could not use the label map",
                format!(
                    "{} label maps are given for the {count} pictures to take from",
                    maps.len()
                ),
                "Give one for each with --source-labels, in their order, the picture that is filled, extended or varied first",
            ));
        }
        let mut found = Vec::with_capacity(self.pictures.len());
        for (number, picture) in self.pictures.iter().enumerate() {
            // Turned pictures follow the upright ones in the same order.
            let path = &maps[number % count];
            let map = read::load_source(path)?.turned(picture.reference.turn)?;
            if map.geometry() != picture.geometry()? {
                return Err(Error::usage(
                    "could not use the label map",
                    format!(
                        "it has {} × {} pixels and “{}” has {} × {}",
                        map.width(),
                        map.height(),
                        picture.reference.name,
                        picture.reference.width,
                        picture.reference.height
                    ),
                    "Give label maps of the sizes of the pictures, in their order",
                )
                .at(path));
            }
            found.push(Some(look::source_labels(&map, colours)));
        }
        Ok(found)
    }

    /// As a recipe lists them.
    pub fn listed(&self, shares: &[f32]) -> Vec<RecipeSource> {
        (self.pictures.iter().enumerate())
            .map(|(number, picture)| RecipeSource {
                picture: picture.reference.name.clone(),
                content: picture.reference.content_hash.clone(),
                width: picture.reference.width,
                height: picture.reference.height,
                turn: picture.reference.turn,
                path: picture.path.as_deref().map(absolute),
                share: shares.get(number).copied().unwrap_or(0.0),
            })
            .collect()
    }

    /// What documents list, by number.
    pub fn references(&self) -> Vec<SourceRef> {
        (self.pictures.iter())
            .map(|picture| picture.reference.clone())
            .collect()
    }

    /// The number of the one that is the document itself.
    pub fn own(&self) -> Option<u16> {
        self.has_own.then_some(0)
    }

    /// The picture file with this content, to keep it. `None` where it cannot be read.
    pub fn bytes(&self, hash: ContentHash) -> Option<Vec<u8>> {
        let text = hash.to_string();
        let picture =
            (self.pictures.iter()).find(|picture| picture.reference.content_hash == text)?;
        let bytes = match (&picture.bytes, &picture.path) {
            (Some(bytes), _) => bytes.clone(),
            (None, path) => read_file(path.as_ref()?, &Limits::default()).ok()?,
        };
        (ContentHash::of(&bytes) == hash).then_some(bytes)
    }

    pub fn count(&self) -> usize {
        self.pictures.len()
    }

    pub fn name_of(&self, source: u16) -> String {
        let Some(picture) = self.pictures.get(usize::from(source)) else {
            return String::new();
        };
        let reference = &picture.reference;
        match (reference.turn.is_mirrored, reference.turn.quarters) {
            (false, 0) => reference.name.clone(),
            (true, 0) => format!("{} (mirrored)", reference.name),
            (false, quarters) => {
                format!("{} (turned {}°)", reference.name, 90 * u32::from(quarters))
            }
            (true, quarters) => format!(
                "{} (mirrored, turned {}°)",
                reference.name,
                90 * u32::from(quarters)
            ),
        }
    }

    /// Size of the source, where there is only one.
    pub fn only_source(&self) -> Option<Geometry> {
        match self.pictures.as_slice() {
            [one] => one.geometry().ok(),
            _ => None,
        }
    }

    /// For showing.
    pub fn first_picture(&self) -> Result<Raster> {
        let first = self.pictures.first().ok_or_else(nothing)?;
        Ok(Raster::from_source(&first.source()?, 8))
    }

    /// Pixels of a picture.
    pub fn pixels(&self, source: u16) -> Result<Source> {
        self.shown(usize::from(source))
    }

    /// Pixels of a picture, read once for many windows.
    fn shown(&self, number: usize) -> Result<Source> {
        let picture = self.pictures.get(number).ok_or_else(nothing)?;
        if picture.pixels.is_some() {
            return picture.source();
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = read.iter().find(|(known, _)| *known == number) {
            return Ok(source.clone());
        }
        let source = picture.source()?;
        read.push_back((number, source.clone()));
        let bytes = |read: &VecDeque<(usize, Source)>| {
            (read.iter())
                .map(|(_, source)| source.rgba8().len())
                .sum::<usize>()
        };
        while read.len() > 1 && bytes(&read) > READ_BYTES {
            read.pop_front();
        }
        Ok(source)
    }

    /// What was found to be gone since the last call.
    pub fn take_lost(&self) -> Vec<Notice> {
        std::mem::take(&mut self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Cells that are about to be made are not taken from.
fn hide(usable: &mut [bool], made: &[bool]) {
    for (usable, made) in usable.iter_mut().zip(made) {
        *usable &= !made;
    }
}

impl SourcePictures for Arc<Gathered> {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        let number = (self.pictures.iter()).position(|picture| picture.reference.is_same(of))?;
        match self.shown(number) {
            Ok(source) => Some(Arc::new(SourcePicture {
                source,
                codes: self.pictures[number].codes.clone(),
                wrap: Wrap::default(),
            })),
            Err(error) => {
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                if !lost.contains(&error.notice) {
                    lost.push(*error.notice);
                }
                None
            }
        }
    }
}
