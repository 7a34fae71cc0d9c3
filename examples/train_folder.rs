//! Trains a codec on folders of pictures, without a project file; and scores a model on folders.
//!
//! ```text
//! train_folder OUT [--steps N | --minutes M] [--set field=json]… [--codec field=json]… [--base MODEL]
//!              [--held-out DIR]… [--resume] DIR…
//! train_folder --score MODEL [--sheet PNG] DIR…
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use tessera::codec::{Codec, CodecConfig};
use tessera::dataset::{Crops, CropsConfig, ImportOptions, Source, scan, split_held_out};
use tessera::error::{Error, Notice, Result};
use tessera::progress::{Observer, Stop};
use tessera::train::{
    Budget, Checkpoint, CheckpointKind, Evaluation, Pictures, Preview, Run, StepFigures,
    TrainConfig, TrainSink, evaluate,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static STOP: AtomicBool = AtomicBool::new(false);

struct Watch;

impl Observer for Watch {
    fn stop(&self) -> Option<Stop> {
        STOP.load(Ordering::Relaxed).then_some(Stop::Pause)
    }

    fn warning(&self, notice: Notice) {
        eprintln!("warning: {notice}");
    }
}

#[derive(Default)]
struct Args {
    out: PathBuf,
    score: Option<PathBuf>,
    sheet: Option<PathBuf>,
    base: Option<PathBuf>,
    budget: Option<Budget>,
    train_set: Vec<(String, String)>,
    codec_set: Vec<(String, String)>,
    held_out: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    resume: bool,
    side_px: Option<u32>,
}

fn main() -> Result<()> {
    let args = parse();
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).map_err(failed)?;
    match &args.score {
        Some(model) => score(model, &args),
        None => train(&args),
    }
}

fn parse() -> Args {
    let mut args = Args::default();
    let mut words = std::env::args().skip(1);
    let mut plain = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        let pair = |text: String| {
            let (name, value) = text.split_once('=').unwrap_or((&text, "null"));
            (name.to_owned(), value.to_owned())
        };
        match word.as_str() {
            "--score" => args.score = Some(value().into()),
            "--sheet" => args.sheet = Some(value().into()),
            "--base" => args.base = Some(value().into()),
            "--side" => args.side_px = value().parse().ok(),
            "--steps" => args.budget = value().parse().ok().map(Budget::Steps),
            "--minutes" => args.budget = value().parse().ok().map(Budget::Minutes),
            "--set" => args.train_set.push(pair(value())),
            "--codec" => args.codec_set.push(pair(value())),
            "--held-out" => args.held_out.push(value().into()),
            "--resume" => args.resume = true,
            _ => plain.push(PathBuf::from(word)),
        }
    }
    if args.score.is_none() && !plain.is_empty() {
        args.out = plain.remove(0);
    }
    args.folders = plain;
    args
}

/// `config` with fields (dotted paths) replaced.
fn with_fields<T: serde::Serialize + serde::de::DeserializeOwned>(
    config: T,
    fields: &[(String, String)],
) -> Result<T> {
    let mut json = serde_json::to_value(config).map_err(failed)?;
    for (path, value) in fields {
        let pointer = format!("/{}", path.replace('.', "/"));
        let field = json
            .pointer_mut(&pointer)
            .ok_or_else(|| failed(format!("no setting {path}")))?;
        *field = serde_json::from_str(value).map_err(failed)?;
    }
    serde_json::from_value(json).map_err(failed)
}

type Found = Vec<(Source, ([u8; 32], tessera::dataset::Fingerprint))>;

fn pictures_in(folders: &[PathBuf]) -> Result<Found> {
    let mut found = Vec::new();
    scan(folders, &ImportOptions::default(), &(), &mut |picture| {
        found.push((
            Source {
                path: picture.path,
                content_hash: picture.content_hash,
                width: picture.width,
                height: picture.height,
            },
            (picture.content_hash, picture.fingerprint),
        ));
        Ok(())
    })?;
    Ok(found)
}

fn train(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    let found = pictures_in(&args.folders)?;
    let prints: Vec<_> = found.iter().map(|(_, print)| *print).collect();
    let split = split_held_out(&prints);
    let pick = |ids: &[usize]| ids.iter().map(|i| found[*i].0.clone()).collect::<Vec<_>>();
    let mut pictures = Pictures {
        train: pick(&split.train),
        held_out: pick(&split.held_out),
        is_separate: split.is_separate,
    };
    if !args.held_out.is_empty() {
        pictures.train = found.into_iter().map(|(source, _)| source).collect();
        pictures.held_out = pictures_in(&args.held_out)?
            .into_iter()
            .map(|(s, _)| s)
            .collect();
        pictures.is_separate = true;
    }
    eprintln!(
        "{} pictures to train on, {} held out",
        pictures.train.len(),
        pictures.held_out.len()
    );
    let device = Device::Cpu;
    let mut config = with_fields(TrainConfig::default(), &args.train_set)?;
    config.budget = args.budget.unwrap_or(config.budget);
    let state = args.out.join("state.safetensors");
    let mut run = if args.resume {
        let bytes = std::fs::read(&state).map_err(failed)?;
        Run::resume(&bytes, pictures, args.budget, &device, &Watch)?
    } else if let Some(base) = &args.base {
        let codec = Codec::load_file(base, &device)?;
        Run::fine_tune(codec, config, pictures)?
    } else {
        let codec_config = with_fields(CodecConfig::default(), &args.codec_set)?;
        let codec = Codec::new(codec_config, config.seed, &device)?;
        Run::from_scratch(codec, config, pictures)?
    };
    let mut sink = Files { out: &args.out };
    let ended = run.run(&mut sink, &Watch)?;
    println!(
        "{ended:?} after {} steps, {:.0} s",
        run.progress().step,
        run.progress().seconds
    );
    Ok(())
}

/// Keeps everything in a folder.
struct Files<'a> {
    out: &'a Path,
}

impl Files<'_> {
    fn log(&self, line: &str) {
        println!("{line}");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.out.join("log.txt"));
        if let Ok(mut file) = file {
            let _ = writeln!(file, "{line}");
        }
    }
}

impl TrainSink for Files<'_> {
    fn figures(&mut self, f: &StepFigures) {
        self.log(&format!(
            "step {} {:.1}% loss {:.4} recon {:.4} structure {:.4} commit {:.4} norm {:.3} lr {:.2e} {:.1} pictures/s usage {:.2} {:.2} left {:?}",
            f.step, f.progress * 100.0, f.loss, f.reconstruction_loss, f.structure_loss, f.commitment_loss,
            f.gradient_norm, f.learning_rate, f.pictures_per_second, f.structure_usage, f.detail_usage,
            f.remaining.map(|d| d.as_secs())
        ));
    }

    fn evaluation(&mut self, e: &Evaluation) {
        self.log(&line(e));
    }

    fn previews(&mut self, _: u64, previews: &[Preview]) {
        if let Err(error) = write_sheet(&self.out.join("sheet.png"), previews) {
            eprintln!("{error}");
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let name = match checkpoint.kind {
            CheckpointKind::Best => "best.safetensors",
            CheckpointKind::Last => "last.safetensors",
        };
        let files = [
            (name, checkpoint.model),
            ("state.safetensors", checkpoint.state),
        ];
        for (name, bytes) in files {
            if let Some(bytes) = bytes {
                let path = self.out.join(name);
                let part = path.with_extension("part");
                std::fs::write(&part, bytes)
                    .and_then(|()| std::fs::rename(&part, &path))
                    .map_err(|error| Error::io("could not keep the checkpoint", &path, &error))?;
            }
        }
        Ok(())
    }
}

fn line(e: &Evaluation) -> String {
    format!(
        "eval {} psnr {:.2} ssim {:.4} sharpness {:.3} structure {:.2} usage {:.3} {:.3} perplexity {:.0} {:.0} bpp {:.3} ({} pictures)",
        e.step,
        e.psnr_db,
        e.ssim.unwrap_or(f64::NAN),
        e.sharpness,
        e.structure_psnr_db,
        e.structure_usage,
        e.detail_usage,
        e.structure_perplexity,
        e.detail_perplexity,
        e.bits_per_pixel,
        e.pictures
    )
}

fn score(model: &Path, args: &Args) -> Result<()> {
    let codec = Codec::load_file(model, &Device::Cpu)?;
    let side_px = args.side_px.unwrap_or(256);
    for folder in &args.folders {
        let found = pictures_in(std::slice::from_ref(folder))?;
        let sources: Vec<_> = found.into_iter().map(|(source, _)| source).collect();
        let crops = Crops::new(sources, CropsConfig::default())?;
        let windows = (0..crops.sources().len())
            .map(|index| crops.centre(index, side_px))
            .collect::<Result<Vec<_>>>()?;
        let scores = evaluate(&codec, &windows, 12, &Watch)?;
        println!("{}: {}", folder.display(), line(&scores.evaluation));
        if let Some(sheet) = &args.sheet {
            write_sheet(sheet, &scores.previews)?;
        }
    }
    Ok(())
}

/// Rows of source, reconstruction, structure alone; over grey.
fn write_sheet(path: &Path, previews: &[Preview]) -> Result<()> {
    let (columns, gap) = (2, 4);
    let cell_width = previews.iter().map(|p| p.width).max().unwrap_or(1) + gap;
    let cell_height = previews.iter().map(|p| p.height).max().unwrap_or(1) + gap;
    let rows = previews.len().div_ceil(columns);
    let mut sheet = image::RgbImage::from_pixel(
        (cell_width * 3 * columns) as u32,
        (cell_height * rows) as u32,
        image::Rgb([128; 3]),
    );
    for (index, preview) in previews.iter().enumerate() {
        for (place, rgba) in [&preview.source, &preview.reconstruction, &preview.structure]
            .iter()
            .enumerate()
        {
            let left = (index % columns * 3 + place) * cell_width;
            let top = index / columns * cell_height;
            for (i, p) in rgba.chunks_exact(4).enumerate() {
                let blend = |c: u8| {
                    ((u32::from(c) * u32::from(p[3]) + 128 * (255 - u32::from(p[3]))) / 255) as u8
                };
                sheet.put_pixel(
                    (left + i % preview.width) as u32,
                    (top + i / preview.width) as u32,
                    image::Rgb([blend(p[0]), blend(p[1]), blend(p[2])]),
                );
            }
        }
    }
    sheet.save(path).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::usage("the example failed", error.to_string(), "")
}
