//! The command line, and the job each command stands for.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use tessera::engine::{
    BenchJob, BenchOptions, Budget, CheckJob, CheckpointChoice, CodebookJob, DecodeJob,
    DeviceChoice, EditJob, EncodeJob, Existing, ExportJob, ExportTarget, ImportJob, ImportOptions,
    IndexJob, InfoJob, Job, ModelSource, NewJob, OpenJob, Preset, QualityJob, QualityOptions,
    ReconstructJob, SelfTestJob, Storage, TimelapseJob, TimelapseLook, TimelapseOf, TrainBaseJob,
    TrainJob, TrainStart,
};
use tessera::error::Result;

/// Pictures on a quality sheet.
const SHEET_ROWS: usize = 12;

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
        #[arg(long, default_value_t = 2.0, value_name = "MINUTES")]
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
        /// Of which checkpoint: best, last, or a number that `info` shows.
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
        #[arg(long, conflicts_with = "minutes")]
        steps: Option<u64>,
        /// Stop after this many minutes of training.
        #[arg(long)]
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
        /// Leave JPEG and WebP out.
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
        #[arg(long)]
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
        #[arg(long, value_name = "PX", default_value_t = TimelapseLook::default().longest_px)]
        size: u32,
        #[arg(long, value_name = "PER_SECOND", default_value_t = TimelapseLook::default().frames_per_second)]
        fps: f32,
        /// Strokes shown by each frame [default: as many as give about 240 frames].
        #[arg(long, value_name = "COUNT")]
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
    fn source(&self) -> Result<ModelSource> {
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
    #[arg(long, default_value_t = BenchOptions::default().batch)]
    batch: u32,
    /// Side of a crop, a multiple of 16.
    #[arg(long, value_name = "PX", default_value_t = BenchOptions::default().crop_px)]
    crop: u32,
    /// Side of the picture that is encoded and decoded, a multiple of 16.
    #[arg(long, value_name = "PX", default_value_t = BenchOptions::default().picture_px)]
    picture: u32,
    /// Sides of the canvases that are painted on.
    #[arg(long, value_name = "PX", value_delimiter = ',', default_values_t = BenchOptions::default().canvas_px)]
    canvas: Vec<u32>,
    /// Dabs per level and canvas.
    #[arg(long, default_value_t = BenchOptions::default().dabs)]
    dabs: u32,
}

impl BenchArgs {
    fn options(&self) -> BenchOptions {
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

    /// The job that a command stands for. `demo` is several: see `demo.rs`.
    ///
    /// # Errors
    /// As opening or making the project.
    pub fn job(&self) -> Result<Option<Job>> {
        let device = self.device;
        let existing = self.existing();
        let job: Job = match &self.command {
            Command::Demo { .. } => return Ok(None),
            Command::New { project } => NewJob {
                path: project.clone(),
            }
            .into(),
            Command::Import { project, paths } => ImportJob {
                project: open_or_create(project)?,
                paths: paths.clone(),
                options: ImportOptions::default(),
                device,
            }
            .into(),
            Command::Index {
                project,
                checkpoint,
            } => {
                let project = Storage::open(project)?;
                IndexJob {
                    model: ModelSource::Project(project.clone(), *checkpoint),
                    project,
                    verify: true,
                    device,
                }
                .into()
            }
            Command::Open { project, image } => OpenJob {
                project: open_or_create(project)?,
                image: image.clone(),
                device,
            }
            .into(),
            Command::Train {
                project,
                preset,
                steps,
                minutes,
                resume,
                seed,
                model,
                from_scratch,
            } => {
                let budget = (steps.map(Budget::Steps)).or(minutes.map(Budget::Minutes));
                let start = if *resume {
                    TrainStart::Resume { budget }
                } else {
                    let preset = preset.unwrap_or(PresetName::Standard);
                    let mut config = Preset::from(preset).config(seed.unwrap_or(0));
                    config.budget = budget.unwrap_or(config.budget);
                    let file = model.clone().map(ModelSource::File);
                    TrainStart::New {
                        config: Box::new(config),
                        model: (!from_scratch).then(|| file.unwrap_or(ModelSource::Base)),
                    }
                };
                TrainJob {
                    project: Storage::open(project)?,
                    start,
                    device,
                }
                .into()
            }
            Command::Reconstruct { model, inputs, out } => ReconstructJob {
                models: vec![("reconstruction".into(), model.source()?)],
                inputs: inputs.clone(),
                out: out.clone(),
                existing,
                device,
            }
            .into(),
            Command::Encode { model, image, out } => EncodeJob {
                model: model.source()?,
                image: image.clone(),
                out: out.clone(),
                existing,
                device,
            }
            .into(),
            Command::Decode {
                model,
                codes,
                out,
                structure_only,
            } => DecodeJob {
                model: model.source()?,
                codes: codes.clone(),
                out: out.clone(),
                existing,
                structure_only: *structure_only,
                device,
            }
            .into(),
            Command::Edit {
                model,
                image,
                script,
                out,
            } => EditJob {
                model: model.source()?,
                target: image.clone(),
                script: script.clone(),
                out: target(out, existing, true),
                device,
            }
            .into(),
            Command::Codebook { model, out } => CodebookJob {
                model: model.source()?,
                out: out.clone(),
                existing,
                device,
            }
            .into(),
            Command::Quality {
                model,
                folders,
                crop,
                limit,
                sheets,
                no_rivals,
            } => QualityJob {
                model: model.source()?,
                folders: folders.clone(),
                options: QualityOptions {
                    crop_px: *crop,
                    limit: *limit,
                    samples: SHEET_ROWS,
                    has_rivals: !no_rivals,
                },
                out: sheets.clone(),
                existing,
                device,
            }
            .into(),
            Command::TrainBase {
                recipe,
                data,
                out,
                minutes,
            } => TrainBaseJob {
                recipe: recipe.clone(),
                data: data.clone(),
                out: out.clone(),
                minutes: *minutes,
                device,
            }
            .into(),
            Command::Info { project } => InfoJob {
                path: project.clone(),
                device,
            }
            .into(),
            Command::Export {
                project,
                document,
                out,
                no_metadata,
            } => ExportJob {
                project: Storage::open(project)?,
                document: document.clone(),
                out: target(out, existing, !no_metadata),
                device,
            }
            .into(),
            Command::Timelapse {
                project,
                document,
                out,
                size,
                fps,
                strokes_per_frame,
                hold,
            } => TimelapseJob {
                of: TimelapseOf::Stored {
                    project: Storage::open(project)?,
                    document: document.clone(),
                    device,
                },
                look: TimelapseLook {
                    longest_px: *size,
                    frames_per_second: *fps,
                    strokes_per_frame: *strokes_per_frame,
                    hold_ms: *hold,
                },
                format: None,
                path: out.clone(),
                existing,
            }
            .into(),
            Command::Bench { model, sizes } => BenchJob {
                model: model.source()?,
                options: sizes.options(),
                device,
            }
            .into(),
            Command::Check { project } => CheckJob {
                path: project.clone(),
            }
            .into(),
            Command::Selftest => SelfTestJob { device }.into(),
        };
        Ok(Some(job))
    }
}

fn target(path: &Path, existing: Existing, has_restore_data: bool) -> ExportTarget {
    ExportTarget {
        path: path.to_path_buf(),
        existing,
        has_restore_data,
    }
}

fn open_or_create(path: &Path) -> Result<Storage> {
    if path.exists() {
        Storage::open(path)
    } else {
        Storage::create(path)
    }
}
