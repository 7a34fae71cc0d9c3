//! New pictures from existing ones, by [`crate::quilt`]: tiles, fills, extensions, variations.
//!
//! Each result is cells put onto a document: a blank canvas, a larger one around a picture, or the picture that is filled. What is
//! written is what the canvas shows of that document, and a project keeps it as one stroke with its settings.
//!
//! # Limitations
//! What is made are pieces of the sources: figures become collages, and a picture of which no part looks like another leaves little to
//! make. Sources of less than 32 × 32 px are refused. Nothing knows what is shown.

mod again;
mod base;
mod create;
mod fill;
mod gather;
mod look;
mod make;
mod origins;
mod picture;
mod recipe;
mod result;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::document::Wrap;
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::jobs::diagnose::reconstruct::picture_files;
use crate::engine::lanes::job::{Job, Report, pictures as count_pictures};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{Model, ModelSource};
use crate::error::{Error, Result};
use crate::export::{Existing, check_writable};
use crate::progress::Observer;
use crate::project::DocumentId;
use base::{Base, forget};
use gather::Gathered;
use make::Maker;
use picture::Loaded;

pub use again::{AnotherJob, GenerateAgainJob};
pub use create::{CreateJob, Creating, OpenPicture};
pub use fill::{FillJob, Filled};
pub use look::{GenerateLook, parse_code};
pub use recipe::What;
pub use result::{LargestPiece, MadeFacts, MadePicture, ResultJob};

use crate::export::check_png;

/// What is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Making {
    /// A picture of `width` × `height` pixels, multiples of 16, without a seam where it repeats on the axes that wrap.
    New { width: u32, height: u32, wrap: Wrap },
    /// A picture with what `mask` (a picture of the same size: white, or opaque where it has alpha) covers made anew. With a
    /// model of a project `picture` may name a document of it, here and below.
    Fill { picture: PathBuf, mask: PathBuf },
    /// A picture with so many pixels more at each side, rounded up to multiples of 16: top, right, bottom, left.
    Extend { picture: PathBuf, by_px: [u32; 4] },
    /// Another picture like it, its content moved by up to `reach` (0 to 1) of half its size.
    Vary {
        picture: PathBuf,
        reach: f32,
        wrap: Wrap,
    },
}

/// Which pictures cells are taken from, besides the one that is filled, extended or varied.
#[derive(Debug, Clone, Default)]
pub struct FromPictures {
    /// Files and folders.
    pub files: Vec<PathBuf>,
    /// All pictures of the model's project, or those of a label.
    pub project: Option<FromProject>,
}

/// Pictures of a project.
#[derive(Debug, Clone, Default)]
pub struct FromProject {
    pub label: Option<String>,
}

/// Makes one or more pictures and writes them as PNG. With a model of a project each becomes a document of it, and a single fill
/// is put onto the document that is filled; of several fills only the files are written.
pub struct GenerateJob {
    pub model: ModelSource,
    pub making: Making,
    pub from: FromPictures,
    pub look: GenerateLook,
    /// Pictures made, of seeds that follow each other.
    pub count: u32,
    /// Further pictures of the one source's size, put together like it.
    pub maps: Vec<PathBuf>,
    /// Whether a sheet of source, result and 3 × 3 repeats or all results is written.
    pub has_sheet: bool,
    /// Whether a map and a list of where cells come from are written.
    pub has_origins: bool,
    /// A `.png` file; a folder for more than one picture.
    pub out: PathBuf,
    pub existing: Existing,
    pub device: DeviceChoice,
}

/// Pictures that were made.
#[derive(Debug, Serialize)]
pub struct Generated {
    pub pictures: Vec<GeneratedPicture>,
    /// Hash of the model.
    pub model: String,
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct GeneratedPicture {
    pub file: String,
    /// The document of the project that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentId>,
    pub seed: u64,
    /// Seconds that the quilt took, decoding and files not counted.
    pub quilt_s: f64,
    /// Largest piece that was copied as one, in pixels, and its share of what was made.
    pub largest_piece_px: [u32; 2],
    pub largest_piece_share: f32,
    pub largest_piece_from: String,
    /// Share of the cells at seams.
    pub seam_share: f32,
    /// Sources that were used, by falling share.
    pub shares: Vec<SourceShare>,
}

/// How much of a picture comes from one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceShare {
    pub picture: String,
    /// BLAKE3 of the file.
    pub content: String,
    pub share: f32,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.pictures.len() as u64;
        write!(f, "Made {}.", count_pictures(count))?;
        for made in &self.pictures {
            let [width, height] = made.largest_piece_px;
            write!(
                f,
                " Seed {}: all of it is copied in pieces from {}; the largest has {width} × {height} pixels ({:.0} %), from {}.",
                made.seed,
                count_pictures(made.shares.len() as u64),
                made.largest_piece_share * 100.0,
                made.largest_piece_from
            )?;
        }
        Ok(())
    }
}

impl Report for Generated {
    fn files(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }

    fn page(&self) -> Option<String> {
        let mut page = format!("Made {}.", count_pictures(self.pictures.len() as u64));
        for made in &self.pictures {
            let [width, height] = made.largest_piece_px;
            let shares: Vec<String> = (made.shares.iter())
                .map(|source| format!("{:.0} % {}", source.share * 100.0, source.picture))
                .collect();
            page += &format!(
                "\n{} (seed {}): {}; the largest piece copied as one has {width} × {height} pixels ({:.0} %), from {}",
                made.file,
                made.seed,
                shares.join(", "),
                made.largest_piece_share * 100.0,
                made.largest_piece_from
            );
        }
        Some(page)
    }
}

/// What every result is made with, and where it goes.
struct Plan {
    outs: Vec<PathBuf>,
    existing: Existing,
    maps: Vec<PathBuf>,
    has_sheet: bool,
    has_origins: bool,
}

impl Job for GenerateJob {
    type Output = Generated;

    fn title(&self) -> &'static str {
        "Making new pictures"
    }

    fn run(self, context: &JobContext) -> Result<Generated> {
        let plan = Plan {
            outs: outs(&self.out, self.look.seed, self.count, self.existing)?,
            existing: self.existing,
            maps: self.maps.clone(),
            has_sheet: self.has_sheet,
            has_origins: self.has_origins,
        };
        let model = self.model.load(&open_device(self.device)?.device)?;
        self.look.check_codes(model.codebooks())?;
        if !self.maps.is_empty() && self.look.is_turned | self.look.is_mirrored {
            return Err(Error::usage(
                "could not put the maps together",
                "maps cannot be mirrored or turned: what they hold has directions",
                "Leave --maps out, or --mirrored and --turned",
            ));
        }
        let is_several_fills = matches!(self.making, Making::Fill { .. }) && self.count > 1;
        let project = self.model.project().filter(|_| !is_several_fills);
        let (base, model) = Base::new(&self, model, project, context)?;
        let stored = base.stored.clone();
        let made = self.make(base, project, &model, &plan, context);
        if made.is_err() {
            // The picture was to come into the project with its fill, not without.
            forget(project, stored.as_ref(), context);
        }
        made
    }
}

impl GenerateJob {
    fn make(
        &self,
        mut base: Base,
        project: Option<&Storage>,
        model: &Model,
        plan: &Plan,
        context: &JobContext,
    ) -> Result<Generated> {
        let gathered = gather_all(
            &mut base,
            (&self.look, &self.from),
            self.model.project(),
            model,
            context,
        )?;
        Maker::of(base, gathered, project, &self.look, model, context)?.all(plan)
    }
}

/// Reads all that results which begin with `base` are taken from.
fn gather_all(
    base: &mut Base,
    (look, from): (&GenerateLook, &FromPictures),
    project: Option<&Storage>,
    model: &Model,
    context: &JobContext,
) -> Result<Gathered> {
    let mut gathered = Gathered::new(look);
    if base.what.has_surroundings() {
        let made = base.made.as_deref().unwrap_or_default();
        gathered.add_own(&base.document, made, model, context)?;
    }
    if let Some((loaded, is_file)) = base.first.take() {
        gathered.add(loaded, is_file, model, context)?;
    }
    add_pictures(&mut gathered, from, project, model, context)?;
    gathered.add_turns(look, base.made.as_deref(), model, context)?;
    Ok(gathered)
}

/// Reads what is taken from besides a picture that is worked on.
fn add_pictures(
    gathered: &mut Gathered,
    from: &FromPictures,
    project: Option<&Storage>,
    model: &Model,
    context: &JobContext,
) -> Result<()> {
    let files = picture_files(&from.files, context)?;
    for (done, path) in files.iter().enumerate() {
        context.progress(done as u64, files.len() as u64);
        context.check()?;
        gathered.add(Loaded::read(path)?, true, model, context)?;
    }
    if let Some(from) = &from.project {
        let project = project.ok_or_else(picture::nothing)?;
        gathered.add_project(project, model, from.label.as_deref(), context)?;
    }
    Ok(())
}

/// The files of the results, checked before any work.
fn outs(out: &Path, seed: u64, count: u32, existing: Existing) -> Result<Vec<PathBuf>> {
    let outs: Vec<PathBuf> = if count <= 1 {
        check_png(out, existing)?;
        vec![out.to_path_buf()]
    } else {
        std::fs::create_dir_all(out)
            .map_err(|source| Error::io("could not make the folder", out, &source))?;
        (0..count)
            .map(|i| out.join(format!("{:04}.png", seed.wrapping_add(i.into()))))
            .collect()
    };
    for out in &outs {
        check_writable(out, existing)?;
    }
    Ok(outs)
}

/// A file beside the result, named after it.
fn beside(out: &Path, ending: &str) -> PathBuf {
    out.with_file_name(format!("{}.{ending}", stem(out)))
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
