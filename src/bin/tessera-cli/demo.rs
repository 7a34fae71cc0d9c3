//! The whole job once, on the sample pictures inside the program.

use std::path::Path;

use tessera::engine::{
    Budget, CheckpointChoice, CodebookJob, DeviceChoice, EditJob, Existing, ExportJob,
    ExportTarget, FromPictures, GenerateJob, GenerateLook, ImportJob, ImportOptions, Imported,
    Making, ModelSource, OpenJob, Preset, ReconstructJob, Storage, TrainJob, TrainStart, Wrap,
    write_bytes, write_samples,
};
use tessera::error::{Error, Kind, Result};

use crate::print::Printer;
use crate::runner::Runner;

/// The sample that is edited.
const EDITED: &str = "fragrant-chamomile";
/// Side of the generated tile.
const TILE_PX: u32 = 320;
const SCRIPT: &[u8] = include_bytes!("../../../assets/demo-edits.json");
/// Pictures of the reconstruction sheet.
const SHOWN: [&str; 6] = [
    "fragrant-chamomile.jpg",
    "budgie-branch.jpg",
    "colorful-wall.jpg",
    "valley-coral.jpg",
    "giraffe.png",
    "parrot.png",
];

pub fn run(
    runner: &Runner,
    out: &Path,
    minutes: f64,
    device: DeviceChoice,
    printer: &mut Printer,
) -> Result<()> {
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::usage(
            "could not run the demo",
            "the folder is not empty",
            "Name a new or an empty folder",
        )
        .at(out));
    }
    let pictures = out.join("pictures");
    write_samples(&pictures)?;
    let script = out.join("edits.json");
    write_bytes(&script, Existing::Refuse, SCRIPT)?;
    let project = Storage::create(&out.join("demo.tessera"))?;

    let imported = runner.run(
        ImportJob {
            project: project.clone(),
            paths: vec![pictures.clone()],
            options: ImportOptions::default(),
            device,
        },
        printer,
    )?;
    keep_report(&out.join("import-report.json"), &imported)?;

    let mut config = Preset::Quick.config(0);
    config.budget = Budget::Minutes(minutes);
    runner.run(
        TrainJob {
            project: project.clone(),
            start: TrainStart::New {
                config: Box::new(config),
                model: Some(ModelSource::Base),
            },
            device,
        },
        printer,
    )?;
    let tuned = ModelSource::Project(project.clone(), CheckpointChoice::Best);
    runner.run(
        ReconstructJob {
            models: vec![
                ("before fine-tuning".into(), ModelSource::Base),
                ("after fine-tuning".into(), tuned.clone()),
            ],
            inputs: SHOWN.iter().map(|name| pictures.join(name)).collect(),
            out: out.join("reconstruction"),
            existing: Existing::Refuse,
            device,
        },
        printer,
    )?;
    runner.run(
        CodebookJob {
            model: tuned.clone(),
            out: out.join("codebook.png"),
            existing: Existing::Refuse,
            device,
        },
        printer,
    )?;
    runner.run(
        OpenJob {
            project: project.clone(),
            image: pictures.join(EDITED).with_extension("jpg"),
            device,
        },
        printer,
    )?;
    let target = |name: &str| ExportTarget {
        path: out.join(name),
        existing: Existing::Refuse,
        has_restore_data: true,
    };
    runner.run(
        ExportJob {
            project: project.clone(),
            document: Some(EDITED.into()),
            out: target("before.png"),
            device,
        },
        printer,
    )?;
    runner.run(
        EditJob {
            model: tuned.clone(),
            target: EDITED.into(),
            script,
            out: target("edited.png"),
            device,
        },
        printer,
    )?;
    runner.run(
        GenerateJob {
            model: tuned,
            making: Making::New {
                width: TILE_PX,
                height: TILE_PX,
                wrap: Wrap { x: true, y: true },
            },
            from: FromPictures {
                files: vec![pictures.join(EDITED).with_extension("jpg")],
                project: None,
            },
            look: GenerateLook {
                seed: 1,
                variety: 1.0,
                ..GenerateLook::default()
            },
            count: 1,
            maps: Vec::new(),
            has_sheet: true,
            has_origins: false,
            out: out.join("tile.png"),
            existing: Existing::Refuse,
            device,
        },
        printer,
    )?;
    printer.note(&format!(
        "Done. Look at the pictures in {}: reconstruction/sheet.png, codebook.png, before.png, edited.png, and tile.png, a seamless \
         tile of its cells (tile.sheet.png repeats it).",
        out.display()
    ));
    Ok(())
}

fn keep_report(path: &Path, imported: &Imported) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(imported).map_err(|source| {
        Error::new(
            Kind::Internal,
            "could not write the report",
            source.to_string(),
            "",
        )
    })?;
    write_bytes(path, Existing::Refuse, &bytes)
}
