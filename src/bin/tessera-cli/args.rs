//! The command line: what may be said. [`commands`](super::commands) does it.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tessera::engine::{
    BenchOptions, CheckpointChoice, DeviceChoice, Existing, ModelSource, Preset, Storage,
    TimelapseLook,
};
use tessera::error::Result;

/// Paint with a codebook learned from your own pictures.
#[derive(Debug, Parser)]
#[command(version = tessera::version::line(), propagate_version = true, arg_required_else_help = true)]
pub struct Args {
    /// Print one JSON event per line instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Where to compute: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Replace files that exist.
    #[arg(long, global = true)]
    overwrite: bool,
    /// Use candle's own operators instead of the fused ones, to diagnose a machine.
    #[arg(long, global = true, hide = true)]
    pub plain_ops: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do the whole job once on the sample pictures: import, fine-tune, codebook, edit, export.
    Demo {
        /// Folder for the pictures and the project; made where it does not exist.
        out: PathBuf,
        /// How long to fine-tune.
        #[arg(long, default_value_t = 2.0, value_name = "MINUTES", value_parser = minutes)]
        minutes: f64,
    },
    /// Make an empty project.
    New { project: PathBuf },
    /// Add pictures to a project, which is made where it does not exist. Folders are searched
    /// through; a PNG that Tessera exported also brings its document back.
    Import {
        project: PathBuf,
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Encode a project's pictures and keep their codes there, where other commands and the window find them. Ctrl-C keeps
    /// what is done; the same command goes on from it.
    Index {
        project: PathBuf,
        /// The checkpoint: best, last, or a number that `info` shows.
        #[arg(long, default_value = "best")]
        checkpoint: CheckpointChoice,
    },
    /// Open a picture as a document of a project; a PNG that Tessera exported becomes editable again.
    Open { project: PathBuf, image: PathBuf },
    /// Fine-tune the model on a project's pictures. Ctrl-C keeps the last checkpoint; `--resume` goes on from it.
    Train {
        project: PathBuf,
        /// How long and how thoroughly [default: standard].
        #[arg(long, value_enum)]
        preset: Option<PresetName>,
        /// Stop after this many training steps.
        #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..))]
        steps: Option<u64>,
        /// Stop after this many minutes of training.
        #[arg(long, value_parser = minutes)]
        minutes: Option<f64>,
        /// Go on with the newest unfinished run.
        #[arg(long, conflicts_with_all = ["preset", "seed", "model", "from_scratch"])]
        resume: bool,
        /// The same seed on the same machine repeats a run of fixed steps exactly [default: 0].
        #[arg(long)]
        seed: Option<u64>,
        /// Start from this model file instead of the base model.
        #[arg(long, value_name = "SAFETENSORS", conflicts_with = "from_scratch")]
        model: Option<PathBuf>,
        /// Start from random weights instead of the base model.
        #[arg(long)]
        from_scratch: bool,
    },
    /// Encode and decode pictures, and write a sheet of source, reconstruction and structure alone.
    Reconstruct {
        #[command(flatten)]
        model: ModelArgs,
        #[arg(required = true, value_name = "IN")]
        inputs: Vec<PathBuf>,
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a picture's codes as JSON.
    Encode {
        #[command(flatten)]
        model: ModelArgs,
        image: PathBuf,
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Turn a codes file back into a picture.
    Decode {
        #[command(flatten)]
        model: ModelArgs,
        codes: PathBuf,
        #[arg(long, short)]
        out: PathBuf,
        /// Leave the detail codes out.
        #[arg(long)]
        structure_only: bool,
    },
    /// Make new pictures from existing ones: every cell is copied from one of them, and how much in one piece is said.
    Generate {
        #[command(subcommand)]
        what: crate::generate::What,
    },
    /// Apply an edit script to a picture. With `--project` the document and its strokes are kept there.
    Edit {
        #[command(flatten)]
        model: ModelArgs,
        image: PathBuf,
        #[arg(long)]
        script: PathBuf,
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Write every code of the codebook as a labelled swatch, with its usage in the project's pictures.
    Codebook {
        #[command(flatten)]
        model: ModelArgs,
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Measure how well a model reproduces folders of pictures, beside JPEG of as many bits.
    Quality {
        #[command(flatten)]
        model: ModelArgs,
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
        /// Cut the pictures into squares of this side, which do not overlap.
        #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(16..))]
        crop: Option<u32>,
        /// Measure at most this many pictures of each folder, evenly chosen.
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
        /// Write a sheet per folder here: source, reconstruction, structure alone, difference.
        #[arg(long, value_name = "DIR")]
        sheets: Option<PathBuf>,
        /// Leave JPEG and WebP out, as a build without the feature `compare-formats` always does.
        #[arg(long)]
        no_rivals: bool,
    },
    /// Make the base model from its recipe. The same command goes on where the last piece stopped.
    TrainBase {
        /// A recipe such as models/recipe.json.
        recipe: PathBuf,
        /// The folder that holds the recipe's picture folders.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The model file; its state and figures are kept beside it.
        #[arg(long, short)]
        out: PathBuf,
        /// Pause after this many minutes.
        #[arg(long, value_parser = minutes)]
        minutes: Option<f64>,
    },
    /// Say what is in a project.
    Info { project: PathBuf },
    /// Write a document of a project as PNG or WebP.
    Export {
        project: PathBuf,
        /// The document's name or number; the newest where it is left out.
        document: Option<String>,
        #[arg(long, short)]
        out: PathBuf,
        /// Leave out the data that brings the document back.
        #[arg(long)]
        no_metadata: bool,
    },
    /// Write how a document of a project was painted, stroke by stroke, as a moving picture.
    Timelapse {
        project: PathBuf,
        /// The document's name or number; the newest where it is left out.
        document: Option<String>,
        /// `.gif`, `.png` or `.apng`; a name without ending is a folder of PNG files.
        #[arg(long, short)]
        out: PathBuf,
        /// The longer side of the frames.
        #[arg(long, value_name = "PX", default_value_t = TimelapseLook::default().longest_px, value_parser = clap::value_parser!(u32).range(1..))]
        size: u32,
        /// From 0.1 to 100.
        #[arg(long, value_name = "PER_SECOND", default_value_t = TimelapseLook::default().frames_per_second, value_parser = frames_per_second)]
        fps: f32,
        /// Strokes shown by each frame [default: as many as give about 240 frames].
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        strokes_per_frame: Option<u32>,
        /// How long the finished picture stays.
        #[arg(long, value_name = "MS", default_value_t = TimelapseLook::default().hold_ms)]
        hold: u32,
    },
    /// Check a project file from end to end.
    Check { project: PathBuf },
    /// Check that a device computes as it should, against plain operators on the CPU.
    Selftest,
    /// Measure how fast this machine trains, encodes, decodes and paints.
    Bench {
        #[command(flatten)]
        model: ModelArgs,
        #[command(flatten)]
        sizes: BenchArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PresetName {
    Quick,
    Standard,
    Thorough,
}

#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// Use the best checkpoint of this project.
    #[arg(long, value_name = "PROJECT")]
    project: Option<PathBuf>,
    /// Which of the project's checkpoints: best, last, or a number that `info` shows.
    #[arg(long, requires = "project", default_value = "best")]
    checkpoint: CheckpointChoice,
    /// Use this model file.
    #[arg(long, value_name = "SAFETENSORS", conflicts_with = "project")]
    model: Option<PathBuf>,
}

impl ModelArgs {
    /// Opens the project, where one is named.
    pub fn source(&self) -> Result<ModelSource> {
        Ok(match (&self.project, &self.model) {
            (Some(project), _) => ModelSource::Project(Storage::open(project)?, self.checkpoint),
            (None, Some(file)) => ModelSource::File(file.clone()),
            (None, None) => ModelSource::Base,
        })
    }
}

/// What `bench` measures; the defaults are those of the published figures.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Times that everything is done; medians are printed.
    #[arg(long, default_value_t = BenchOptions::default().rounds)]
    rounds: usize,
    /// Crops of a training step.
    #[arg(long, default_value_t = BenchOptions::default().batch, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Side of a crop, a multiple of 16.
    #[arg(long, value_name = "PX", default_value_t = BenchOptions::default().crop_px, value_parser = whole_cells)]
    crop: u32,
    /// Side of the picture that is encoded and decoded, a multiple of 16.
    #[arg(long, value_name = "PX", default_value_t = BenchOptions::default().picture_px, value_parser = whole_cells)]
    picture: u32,
    /// Sides of the canvases that are painted on.
    #[arg(long, value_name = "PX", value_delimiter = ',', default_values_t = BenchOptions::default().canvas_px, value_parser = clap::value_parser!(u32).range(1..))]
    canvas: Vec<u32>,
    /// Dabs per level and canvas.
    #[arg(long, default_value_t = BenchOptions::default().dabs, value_parser = clap::value_parser!(u32).range(1..))]
    dabs: u32,
}

impl BenchArgs {
    pub fn options(&self) -> BenchOptions {
        BenchOptions {
            rounds: self.rounds,
            batch: self.batch,
            crop_px: self.crop,
            picture_px: self.picture,
            canvas_px: self.canvas.clone(),
            dabs: self.dabs,
        }
    }
}

/// A length of time in minutes.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(minutes),
        _ => Err("must be more than 0, for example 2 or 0.5".to_owned()),
    }
}

fn frames_per_second(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(rate) if (0.1..=100.0).contains(&rate) => Ok(rate),
        _ => Err("must be from 0.1 to 100".to_owned()),
    }
}

/// Pixels that make whole structure cells.
fn whole_cells(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(side) if side > 0 && side.is_multiple_of(16) => Ok(side),
        _ => Err("must be a multiple of 16".to_owned()),
    }
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Quick => Preset::Quick,
            PresetName::Standard => Preset::Standard,
            PresetName::Thorough => Preset::Thorough,
        }
    }
}

impl Args {
    pub fn existing(&self) -> Existing {
        if self.overwrite {
            Existing::Replace
        } else {
            Existing::Refuse
        }
    }
}
