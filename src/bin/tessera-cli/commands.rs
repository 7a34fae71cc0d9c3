//! What each command does: arguments → job → its report printed.

use std::path::{Path, PathBuf};

use tessera::engine::{
    BenchJob, Budget, CheckJob, CodebookJob, DecodeJob, EditJob, EncodeJob, Existing, ExportJob,
    ExportTarget, ImportJob, ImportOptions, IndexJob, InfoJob, ModelSource, NewJob, OpenJob,
    Preset, QualityJob, QualityOptions, ReconstructJob, SelfTestJob, Storage, TimelapseJob,
    TimelapseLook, TimelapseOf, TrainBaseJob, TrainJob, TrainStart,
};
use tessera::error::{Error, Result};

use crate::args::{Args, Command, PresetName};
use crate::demo;
use crate::generate;
use crate::print::Printer;
use crate::runner::Runner;

/// Pictures on a quality sheet.
const SHEET_ROWS: usize = 12;

/// Does what was asked for.
///
/// # Errors
/// Whatever opening or making the project, and the job, return.
pub fn run(args: &Args, runner: &Runner, printer: &mut Printer) -> Result<()> {
    let device = args.device;
    let existing = args.existing();
    match &args.command {
        Command::Demo { out, minutes } => demo::run(runner, out, *minutes, device, printer),
        Command::New { project } => {
            let path = project.clone();
            runner.report(NewJob { path }, printer)
        }
        Command::Import { project, paths } => {
            must_exist(paths)?;
            in_project(project, |project| {
                let job = ImportJob {
                    project,
                    paths: paths.clone(),
                    options: ImportOptions::default(),
                    device,
                };
                runner.report(job, printer)
            })
        }
        Command::Index {
            project,
            checkpoint,
        } => {
            let project = Storage::open(project)?;
            let job = IndexJob {
                model: ModelSource::Project(project.clone(), *checkpoint),
                project,
                verify: true,
                device,
            };
            runner.report(job, printer)
        }
        Command::Open { project, image } => {
            must_exist(std::slice::from_ref(image))?;
            in_project(project, |project| {
                let image = image.clone();
                let job = OpenJob {
                    project,
                    image,
                    device,
                };
                runner.report(job, printer)
            })
        }
        Command::Train { project, .. } => {
            let job = TrainJob {
                start: train_start(&args.command)?,
                project: Storage::open(project)?,
                device,
            };
            runner.report(job, printer)
        }
        Command::Reconstruct { model, inputs, out } => {
            must_exist(inputs)?;
            let job = ReconstructJob {
                models: vec![("reconstruction".into(), model.source()?)],
                inputs: inputs.clone(),
                out: out.clone(),
                existing,
                device,
            };
            runner.report(job, printer)
        }
        Command::Encode { model, image, out } => {
            let job = EncodeJob {
                model: model.source()?,
                image: image.clone(),
                out: out.clone(),
                existing,
                device,
            };
            runner.report(job, printer)
        }
        Command::Decode {
            model,
            codes,
            out,
            structure_only,
        } => {
            let job = DecodeJob {
                model: model.source()?,
                codes: codes.clone(),
                out: out.clone(),
                existing,
                structure_only: *structure_only,
                device,
            };
            runner.report(job, printer)
        }
        Command::Edit {
            model,
            image,
            script,
            out,
        } => {
            let job = EditJob {
                model: model.source()?,
                target: image.clone(),
                script: script.clone(),
                out: target(out, existing, true),
                device,
            };
            runner.report(job, printer)
        }
        Command::Generate { what } => {
            runner.report(generate::job(what, existing, device)?, printer)
        }
        Command::Codebook { model, out } => {
            let job = CodebookJob {
                model: model.source()?,
                out: out.clone(),
                existing,
                device,
            };
            runner.report(job, printer)
        }
        Command::Quality {
            model,
            folders,
            crop,
            limit,
            sheets,
            no_rivals,
        } => {
            must_exist(folders)?;
            let job = QualityJob {
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
            };
            runner.report(job, printer)
        }
        Command::TrainBase {
            recipe,
            data,
            out,
            minutes,
        } => {
            let job = TrainBaseJob {
                recipe: recipe.clone(),
                data: data.clone(),
                out: out.clone(),
                minutes: *minutes,
                device,
            };
            runner.report(job, printer)
        }
        Command::Info { project } => {
            let path = project.clone();
            runner.report(InfoJob { path, device }, printer)
        }
        Command::Export {
            project,
            document,
            out,
            no_metadata,
        } => {
            let job = ExportJob {
                project: Storage::open(project)?,
                document: document.clone(),
                out: target(out, existing, !no_metadata),
                device,
            };
            runner.report(job, printer)
        }
        Command::Timelapse {
            project,
            document,
            out,
            size,
            fps,
            strokes_per_frame,
            hold,
        } => {
            let job = TimelapseJob {
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
                writer: None,
                path: out.clone(),
                existing,
            };
            runner.report(job, printer)
        }
        Command::Bench { model, sizes } => {
            let job = BenchJob {
                model: model.source()?,
                options: sizes.options(),
                device,
            };
            runner.report(job, printer)
        }
        Command::Check { project } => {
            let path = project.clone();
            runner.report(CheckJob { path }, printer)
        }
        Command::Selftest => runner.report(SelfTestJob { device }, printer),
    }
}

/// How `train` begins.
fn train_start(command: &Command) -> Result<TrainStart> {
    let Command::Train {
        preset,
        steps,
        minutes,
        resume,
        seed,
        model,
        from_scratch,
        ..
    } = command
    else {
        return Err(Error::usage("could not train", "it was not asked for", ""));
    };
    let budget = (steps.map(Budget::Steps)).or(minutes.map(Budget::Minutes));
    if *resume {
        return Ok(TrainStart::Resume { budget });
    }
    let preset = preset.unwrap_or(PresetName::Standard);
    let mut config = Preset::from(preset).config(seed.unwrap_or(0));
    config.budget = budget.unwrap_or(config.budget);
    let file = model.clone().map(ModelSource::File);
    Ok(TrainStart::New {
        config: Box::new(config),
        model: (!from_scratch).then(|| file.unwrap_or(ModelSource::Base)),
    })
}

fn target(path: &Path, existing: Existing, has_restore_data: bool) -> ExportTarget {
    ExportTarget {
        path: path.to_path_buf(),
        existing,
        has_restore_data,
    }
}

/// Before a project is made for what is not there.
fn must_exist(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        std::fs::metadata(path).map_err(|source| Error::io("could not open", path, &source))?;
    }
    Ok(())
}

/// Works in a project, which is made where it does not exist. One that was made for work which then failed, and in which
/// nothing was kept, is taken away again.
fn in_project(path: &Path, work: impl FnOnce(Storage) -> Result<()>) -> Result<()> {
    if path.exists() {
        return work(Storage::open(path)?);
    }
    let project = Storage::create(path)?;
    let done = work(project.clone());
    if done.is_err() {
        // Where that cannot be told, it stays.
        let is_empty = project
            .call(|project| {
                Ok(project.picture_counts()?.total == 0 && project.documents()?.is_empty())
            })
            .unwrap_or(false);
        // The file is closed with the last handle; the job's own has gone with the job.
        drop(project);
        if is_empty && let Err(source) = std::fs::remove_file(path) {
            log::warn!("the empty project could not be removed: {source}");
        }
    }
    done
}
