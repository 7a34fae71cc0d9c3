//! What is taken from: pictures read, encoded, and turned where that is wanted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::look::{self, GenerateLook};
use super::recipe::RecipeSource;
use crate::canvas;
use crate::document::{
    Codes, Document, Geometry, OWN_SOURCE, Raster, STRUCTURE_STRIDE_PX, Source, SourcePicture,
    SourcePictures, SourceRef, Turn, Wrap,
};
use crate::engine::encodings::{self, Encodings};
use crate::engine::job::file_name;
use crate::engine::model::Model;
use crate::engine::quilting;
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::engine::{album, pictures};
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::Observer;
use crate::project::{ContentHash, EncodingsOf, PictureFilter};
use crate::quilt::{self, MIN_SOURCE_CELLS};

/// A picture file in memory.
pub struct Loaded {
    pub path: PathBuf,
    pub source: Source,
    pub bytes: Vec<u8>,
}

impl Loaded {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::io("could not open", path, &source))?;
        let source = pictures::source_from_bytes(&bytes).map_err(|error| error.at(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            source,
            bytes,
        })
    }
}

/// A picture to take from.
struct Picture {
    reference: SourceRef,
    /// `None` where it is in memory alone.
    path: Option<PathBuf>,
    codes: Arc<Codes>,
    /// Read again where it is not kept.
    pixels: Option<Source>,
    /// The file, where it cannot be read again.
    bytes: Option<Vec<u8>>,
    usable: Vec<bool>,
    colours: Option<Vec<[f32; 3]>>,
}

impl Picture {
    fn geometry(&self) -> Result<Geometry> {
        Geometry::new(self.reference.width, self.reference.height)
    }

    /// Its pixels as they are taken from.
    fn source(&self) -> Result<Source> {
        if let Some(pixels) = &self.pixels {
            return Ok(pixels.clone());
        }
        let (Some(path), Ok(hash)) = (&self.path, self.reference.content_hash.parse()) else {
            return Err(nothing());
        };
        encodings::load_source(path, hash)?.turned(self.reference.turn)
    }
}

/// The pictures of a request, in the order of their numbers.
pub struct Gathered {
    pictures: Vec<Picture>,
    /// Whether the first is what the document shows.
    has_own: bool,
    has_guide: bool,
    /// Told once each.
    lost: Mutex<Vec<Notice>>,
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
        for (usable, made) in usable.iter_mut().zip(made) {
            *usable &= !made;
        }
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
        check_size(&source).map_err(|error| error.at(&path))?;
        let codes = canvas::encode(&model.codec, &source, Wrap::default(), observer)?;
        self.pictures.push(Picture {
            reference: SourceRef {
                content_hash: ContentHash::of(&bytes).to_string(),
                width: source.width(),
                height: source.height(),
                name: file_name(&path),
                turn: Turn::default(),
            },
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
        for encoded in index.matching(filter) {
            context.check()?;
            let encoded = encoded?;
            if encoded.width.min(encoded.height) < MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX {
                continue;
            }
            // Codes do not tell what is transparent.
            match encodings::load_source(&encoded.path, encoded.content_hash) {
                Ok(source) => self.pictures.push(self.indexed(encoded, &source)),
                Err(error) => context.warning(*error.notice),
            }
        }
        if self.pictures.len() == before {
            return Err(Error::new(
                Kind::NoPictures,
                "could not take from the project",
                "it has no usable picture of 32 × 32 pixels or more, or none of this label",
                "Import pictures, or name another label",
            ));
        }
        Ok(())
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
                    let hidden = covered(picture.geometry()?, made, turn)?;
                    (usable.iter_mut().zip(hidden)).for_each(|(usable, hidden)| *usable &= !hidden);
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
                let hidden = covered(own.geometry()?, made, wanted.turn)?;
                (usable.iter_mut().zip(hidden)).for_each(|(usable, hidden)| *usable &= !hidden);
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
            let map = pictures::load_source(path)?.turned(picture.reference.turn)?;
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
                path: picture.path.clone(),
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
            (None, path) => std::fs::read(path.as_ref()?).ok()?,
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

    pub fn first_size(&self) -> Result<Geometry> {
        self.pictures.first().ok_or_else(nothing)?.geometry()
    }

    /// For showing.
    pub fn first_picture(&self) -> Result<Raster> {
        let first = self.pictures.first().ok_or_else(nothing)?;
        Ok(Raster::from_source(&first.source()?, 8))
    }

    /// Pixels of a picture.
    pub fn pixels(&self, source: u16) -> Result<Source> {
        self.pictures
            .get(usize::from(source))
            .ok_or_else(nothing)?
            .source()
    }

    /// What was found to be gone since the last call.
    pub fn take_lost(&self) -> Vec<Notice> {
        std::mem::take(&mut self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SourcePictures for Arc<Gathered> {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        let picture = (self.pictures.iter()).find(|picture| picture.reference.is_same(of))?;
        match picture.source() {
            Ok(source) => Some(Arc::new(SourcePicture {
                source,
                codes: picture.codes.clone(),
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

/// The structure cells of a turned picture that hold a pixel of these cells of the upright one.
fn covered(upright: Geometry, made: &[bool], turn: Turn) -> Result<Vec<bool>> {
    let columns = upright.grid_width(crate::document::Level::Structure);
    let mask = (0..upright.height())
        .flat_map(|y| (0..upright.width()).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let is_made = made.get((y / 16 * columns + x / 16) as usize) == Some(&true);
            [0, 0, 0, if is_made { 255 } else { 0 }]
        })
        .collect();
    let mask = Source::from_rgba8(upright.width(), upright.height(), mask)?.turned(turn)?;
    Ok(touched(&mask, |pixel| pixel[3] > 0))
}

/// Structure cells with a pixel that is marked, row by row.
pub fn touched(mask: &Source, is_marked: impl Fn(&[u8; 4]) -> bool) -> Vec<bool> {
    let bounds = mask
        .geometry()
        .grid_bounds(crate::document::Level::Structure);
    let (pixels, _) = mask.rgba8().as_chunks::<4>();
    let mut touched = vec![false; bounds.area() as usize];
    for (row, line) in (0u32..).zip(pixels.chunks_exact(mask.width() as usize)) {
        for (column, _) in (0u32..).zip(line).filter(|(_, pixel)| is_marked(pixel)) {
            touched[(row / 16 * bounds.width + column / 16) as usize] = true;
        }
    }
    touched
}

fn find(project: &Storage, wanted: &RecipeSource) -> Result<Vec<u8>> {
    let hash: ContentHash = wanted.content.parse()?;
    if let Ok(bytes) = album::read(project, hash) {
        return Ok(bytes);
    }
    let at_its_place = || {
        let path = wanted.path.as_ref().filter(|path| path.is_file())?;
        let bytes = std::fs::read(path).ok()?;
        (ContentHash::of(&bytes) == hash).then_some(bytes)
    };
    at_its_place().ok_or_else(|| is_gone(wanted))
}

fn is_gone(wanted: &RecipeSource) -> Error {
    Error::new(
        Kind::NotFound,
        "could not make the picture again",
        format!(
            "“{}”, which it was made from, is gone or has changed",
            wanted.picture
        ),
        "Import that picture into the project",
    )
}

pub fn nothing() -> Error {
    Error::new(
        Kind::NoPictures,
        "could not make new pictures",
        "there is no picture to take from",
        "Name pictures with --from, or a project",
    )
}

fn check_size(source: &Source) -> Result<()> {
    if source.width().min(source.height()) >= MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX {
        return Ok(());
    }
    Err(Error::usage(
        "could not take from a picture",
        format!(
            "it has {} × {} pixels, and at least 32 × 32 are needed",
            source.width(),
            source.height()
        ),
        "Choose a larger picture",
    ))
}
