//! `generate`: its arguments, and the job that they ask for.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tessera::engine::{
    DeviceChoice, Existing, FromPictures, FromProject, GenerateAgainJob, GenerateJob, GenerateLook,
    Level, Making, Storage, Wrap, parse_code,
};
use tessera::error::{Error, Result};

use crate::args::ModelArgs;
use crate::print::Printer;
use crate::runner::Runner;

#[derive(Debug, Subcommand)]
pub enum What {
    /// A picture that repeats without a seam.
    Tile {
        /// Sides, multiples of 16: PX or WIDTHxHEIGHT.
        #[arg(long, value_name = "PX", default_value = "512", value_parser = size)]
        size: (u32, u32),
        /// The axes on which it repeats.
        #[arg(long, value_enum, default_value = "both")]
        wrap: Axes,
        #[command(flatten)]
        how: How,
    },
    /// A picture with borders of its own.
    New {
        /// Sides: PX or WIDTHxHEIGHT.
        #[arg(long, value_name = "PX", default_value = "512", value_parser = size)]
        size: (u32, u32),
        #[command(flatten)]
        how: How,
    },
    /// Make a part of a picture anew, from the rest of it and the pictures of `--from`. With `--project` PICTURE may also name a
    /// document of it, and a single fill is put onto the document as one step that can be undone.
    Fill {
        picture: PathBuf,
        /// A picture of the same size: white, or opaque where it has transparency, is made anew.
        #[arg(long, value_name = "PNG")]
        mask: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Make a picture larger.
    Extend {
        picture: PathBuf,
        /// Pixels at each side: one number for all, or TOP,RIGHT,BOTTOM,LEFT; rounded up to multiples of 16.
        #[arg(long, value_name = "PX", value_parser = sides)]
        by: Sides,
        #[command(flatten)]
        how: How,
    },
    /// Another picture like this one.
    Vary {
        picture: PathBuf,
        /// How far its content moves: 0 (near) to 1 (far).
        #[arg(long, default_value_t = 0.3, value_parser = share)]
        reach: f32,
        /// The axes on which it repeats.
        #[arg(long, value_enum, default_value = "none")]
        wrap: Axes,
        #[command(flatten)]
        how: How,
    },
    /// Make what a document of a project holds again, with the settings that it keeps: the same bytes for the same seed.
    Again {
        #[arg(long)]
        project: PathBuf,
        /// Name or number; the newest where it is left out.
        #[arg(long)]
        document: Option<String>,
        /// A .png file; a folder for more than one picture.
        #[arg(long, short)]
        out: PathBuf,
        /// Another seed than its own.
        #[arg(long)]
        seed: Option<u64>,
        /// Pictures, of seeds that follow each other.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
        /// Also make each result a document of the project.
        #[arg(long)]
        keep: bool,
        /// Also write a sheet of source and results.
        #[arg(long)]
        sheet: bool,
        /// Also write where each cell comes from, as a picture and as JSON.
        #[arg(long)]
        origins: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Axes {
    None,
    X,
    Y,
    Both,
}

impl From<Axes> for Wrap {
    fn from(axes: Axes) -> Self {
        Self {
            x: matches!(axes, Axes::X | Axes::Both),
            y: matches!(axes, Axes::Y | Axes::Both),
        }
    }
}

/// Pixels at the top, right, bottom and left.
#[derive(Debug, Clone, Copy)]
pub struct Sides([u32; 4]);

#[derive(Debug, Args)]
pub struct How {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures or folders to take from; without them, a project's pictures (`--project`), or the picture itself.
    #[arg(long, value_name = "PICTURE", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Take only from the project's pictures of this label.
    #[arg(long, requires = "project", conflicts_with = "from")]
    label: Option<String>,
    /// A .png file; a folder for more than one picture.
    #[arg(long, short)]
    out: PathBuf,
    /// The same seed repeats a picture exactly.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pictures, of seeds that follow each other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// From 0 (always what fits best) to 1 (something that fits well).
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    freedom: f32,
    /// From 0 to 1: how strongly what is in use already is avoided, so that all of the sources appears.
    #[arg(long, value_parser = share)]
    variety: Option<f32>,
    /// Longest side of what is copied in one piece, at least 32.
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(32..))]
    largest_piece: Option<u32>,
    /// From 0 to 1: how strongly cells stay as high up as they are in their source.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    height: f32,
    /// Colours to come close to: a picture of the result's size, transparent where any colour will do.
    #[arg(long, value_name = "PNG")]
    guide: Option<PathBuf>,
    /// How much the guide counts, from 0 to 1.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    guide_weight: f32,
    /// Codes that must not appear: s12 (structure) or d40 (detail), with commas between.
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = parse_code)]
    mute: Vec<(Level, u16)>,
    /// Codes that should appear more often.
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = parse_code)]
    boost: Vec<(Level, u16)>,
    /// What shall come from where: a picture of the result's size in plain colours; a cell is taken from where the source's own
    /// label map (`--source-labels`) has its colour. Transparent where any cell will do.
    #[arg(long, value_name = "PNG", requires = "source_labels")]
    labels: Option<PathBuf>,
    /// One label map for each picture to take from, in their order; the picture that is filled, extended or varied comes first.
    #[arg(long, value_name = "PNG", value_delimiter = ',', requires = "labels")]
    source_labels: Vec<PathBuf>,
    /// Also take from the pictures as a mirror shows them.
    #[arg(long)]
    mirrored: bool,
    /// Also take from the pictures turned by quarters.
    #[arg(long)]
    turned: bool,
    /// Further pictures of the source's size (normals, heights) to put together in the same way.
    #[arg(long, value_name = "PNG", value_delimiter = ',')]
    maps: Vec<PathBuf>,
    /// Also write a sheet of source and results.
    #[arg(long)]
    sheet: bool,
    /// Also write where each cell comes from, as a picture and as JSON.
    #[arg(long)]
    origins: bool,
}

/// Does what the arguments ask for.
///
/// # Errors
/// Of opening the project, and of the job; `Usage` where there is nothing to take from.
pub fn run(
    what: &What,
    (existing, device): (Existing, DeviceChoice),
    runner: &Runner,
    printer: &mut Printer,
) -> Result<()> {
    if let Some(job) = job(what, existing, device)? {
        return runner.report(job, printer);
    }
    if let What::Again {
        project,
        document,
        out,
        seed,
        count,
        keep,
        sheet,
        origins,
    } = what
    {
        let job = GenerateAgainJob {
            project: Storage::open(project)?,
            document: document.clone(),
            seed: *seed,
            count: *count,
            keeps: *keep,
            has_sheet: *sheet,
            has_origins: *origins,
            out: out.clone(),
            existing,
            device,
        };
        return runner.report(job, printer);
    }
    Ok(())
}

/// What the arguments ask for; `None` where that is another job.
fn job(what: &What, existing: Existing, device: DeviceChoice) -> Result<Option<GenerateJob>> {
    let (making, how, is_open) = match what {
        What::Tile { size, wrap, how } => (new(*size, (*wrap).into()), how, false),
        What::New { size, how } => (new(*size, Wrap::default()), how, false),
        What::Fill { picture, mask, how } => {
            let (picture, mask) = (picture.clone(), mask.clone());
            (Making::Fill { picture, mask }, how, true)
        }
        What::Extend { picture, by, how } => {
            let (picture, by_px) = (picture.clone(), by.0);
            (Making::Extend { picture, by_px }, how, true)
        }
        What::Vary {
            picture,
            reach,
            wrap,
            how,
        } => {
            let (picture, reach, wrap) = (picture.clone(), *reach, (*wrap).into());
            (
                Making::Vary {
                    picture,
                    reach,
                    wrap,
                },
                how,
                true,
            )
        }
        What::Again { .. } => return Ok(None),
    };
    let model = how.model.source()?;
    let is_project = model.project().is_some() && how.from.is_empty();
    if how.from.is_empty() && !is_project && !is_open {
        return Err(Error::usage(
            "could not make new pictures",
            "there is no picture to take from",
            "Name pictures with --from, or a project with --project",
        ));
    }
    Ok(Some(GenerateJob {
        model,
        making,
        from: FromPictures {
            files: how.from.clone(),
            project: is_project.then(|| FromProject {
                label: how.label.clone(),
            }),
        },
        look: GenerateLook {
            seed: how.seed,
            freedom: how.freedom,
            // What is filled or extended has its surroundings to follow.
            variety: (how.variety).unwrap_or(if is_open { 0.0 } else { 1.0 }),
            largest_piece_px: how.largest_piece,
            height: how.height,
            guide: how.guide.clone(),
            guide_weight: how.guide_weight,
            labels: how.labels.clone(),
            source_labels: how.source_labels.clone(),
            is_mirrored: how.mirrored,
            is_turned: how.turned,
            muted: how.mute.clone(),
            boosted: how.boost.clone(),
        },
        count: how.count,
        maps: how.maps.clone(),
        has_sheet: how.sheet,
        has_origins: how.origins,
        out: how.out.clone(),
        existing,
        device,
    }))
}

const fn new((width, height): (u32, u32), wrap: Wrap) -> Making {
    Making::New {
        width,
        height,
        wrap,
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| {
        (text.parse().ok())
            .filter(|side| (16..=32_768).contains(side))
            .ok_or_else(|| "sides go from 16 to 32,768, as in 512 or 512x256".to_owned())
    };
    match text.split_once(['x', '×']) {
        Some((width, height)) => Ok((side(width)?, side(height)?)),
        None => Ok((side(text)?, side(text)?)),
    }
}

fn sides(text: &str) -> Result<Sides, String> {
    let numbers: Option<Vec<u32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[all]) if all <= 16_384 => Ok(Sides([all; 4])),
        Some(&[top, right, bottom, left])
            if [top, right, bottom, left].iter().all(|n| *n <= 16_384) =>
        {
            Ok(Sides([top, right, bottom, left]))
        }
        _ => Err("one number or four up to 16,384, as in 128 or 0,256,0,0".into()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be from 0 to 1".into()),
    }
}
