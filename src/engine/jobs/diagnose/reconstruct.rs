//! Pictures through the codec and back, with a sheet to look at.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::canvas;
use crate::document::{Raster, Wrap};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{Model, ModelSource};
use crate::engine::pictures::read;
use crate::error::{Error, Result};
use crate::export::{
    Existing, Metadata, Provenance, Sheet, SheetItem, check_writable, render_sheet, write_png,
};
use crate::progress::Observer;
use crate::train::measure::metrics::{over_grey_rgba8, psnr_db};

/// Rows of the contact sheet; further pictures are still reconstructed.
const SHEET_ROWS: usize = 40;
const SHEET_BOX_PX: u32 = 256;

/// Reconstructs pictures with one or several models and writes a sheet of them side by side.
pub struct ReconstructJob {
    /// In the order of the columns, each with its heading. The last one also gives the single files and
    /// the structure-alone column.
    pub models: Vec<(String, ModelSource)>,
    /// Files and folders.
    pub inputs: Vec<PathBuf>,
    pub out: PathBuf,
    pub existing: Existing,
    pub device: DeviceChoice,
}

/// Pictures that went through one or several models.
#[derive(Debug, Serialize)]
pub struct Reconstructed {
    /// Headings of the models.
    pub models: Vec<String>,
    pub pictures: Vec<ReconstructedPicture>,
    /// Pictures that were asked for, those that could not be read included.
    #[serde(skip)]
    pub asked: usize,
    /// The sheet, then one file per picture.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

/// How close a picture's reconstructions come to it.
#[derive(Debug, Serialize)]
pub struct ReconstructedPicture {
    pub file: String,
    /// In dB, per model.
    pub psnr_db: Vec<f64>,
    /// In dB, of the last model without its detail codes.
    pub structure_psnr_db: f64,
}

impl fmt::Display for Reconstructed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.pictures.len();
        write!(f, "Reconstructed {done} of {} pictures.", self.asked)
    }
}

impl Report for Reconstructed {
    fn files(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }
}

impl Job for ReconstructJob {
    type Output = Reconstructed;

    fn title(&self) -> &'static str {
        "Reconstructing pictures"
    }

    fn run(self, context: &JobContext) -> Result<Reconstructed> {
        let sheet = self.out.join("sheet.png");
        if self.out.exists() {
            check_writable(&sheet, self.existing)?;
        }
        let device = open_device(self.device)?.device;
        let models = self
            .models
            .iter()
            .map(|(head, source)| Ok((head.as_str(), source.load(&device)?)))
            .collect::<Result<Vec<_>>>()?;
        let inputs = picture_files(&self.inputs, context)?;
        let mut rows = Vec::new();
        let mut pictures = Vec::new();
        let mut files = vec![sheet.clone()];
        for (done, input) in inputs.iter().enumerate() {
            context.progress(done as u64, inputs.len() as u64);
            context.check()?;
            let row = match reconstruct(input, &models, context) {
                Ok(row) => row,
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => {
                    context.warning(*error.notice);
                    continue;
                }
            };
            let file = self.out.join(format!("{}.reconstruction.png", stem(input)));
            let metadata = Metadata {
                notes: None,
                provenance: Some(Provenance::Generated),
                restore: None,
            };
            if let Some((last, _)) = row.reconstructions.last() {
                std::fs::create_dir_all(&self.out)
                    .map_err(|source| Error::io("could not make the folder", &self.out, &source))?;
                write_png(&file, self.existing, last, &metadata)?;
                files.push(file);
            }
            pictures.push(ReconstructedPicture {
                file: input.to_string_lossy().into_owned(),
                psnr_db: row.reconstructions.iter().map(|(_, psnr)| *psnr).collect(),
                structure_psnr_db: row.structure.1,
            });
            if rows.len() < SHEET_ROWS {
                rows.push(row);
            }
        }
        context.progress(inputs.len() as u64, inputs.len() as u64);
        if rows.is_empty() {
            return Err(Error::usage(
                "nothing was reconstructed",
                "none of the files is a picture that Tessera can read",
                "Name pictures, or folders with pictures in them",
            ));
        }
        let heads: Vec<&str> = models.iter().map(|(head, _)| *head).collect();
        write_png(
            &sheet,
            self.existing,
            &draw(&heads, &rows)?,
            &Metadata::default(),
        )?;
        Ok(Reconstructed {
            models: heads.into_iter().map(str::to_owned).collect(),
            pictures,
            asked: inputs.len(),
            files,
        })
    }
}

struct Row {
    name: String,
    source: Raster,
    /// One for each model, with its PSNR in dB.
    reconstructions: Vec<(Raster, f64)>,
    structure: (Raster, f64),
}

fn reconstruct(input: &Path, models: &[(&str, Model)], context: &JobContext) -> Result<Row> {
    let source = read::load_source(input)?;
    let reference = over_grey_rgba8(source.rgba8());
    let scored = |raster: Raster| {
        let psnr = psnr_db(&reference, &over_grey_rgba8(raster.rgba8().as_ref()));
        (raster, psnr)
    };
    let mut reconstructions = Vec::new();
    let mut structure = None;
    for (_, model) in models {
        let mut codes = canvas::encode(&model.codec, &source, Wrap::default(), context)?;
        let decoded = read::decode(&model.codec, &codes, source.geometry(), context)?;
        reconstructions.push(scored(decoded));
        codes.detail =
            crate::document::CodeGrid::filled(codes.detail.width(), codes.detail.height(), None);
        structure = Some(read::decode(
            &model.codec,
            &codes,
            source.geometry(),
            context,
        )?);
    }
    let structure = structure
        .ok_or_else(|| Error::usage("could not reconstruct", "no model was named", "Name one"))?;
    Ok(Row {
        name: stem(input),
        source: Raster::from_source(&source, 8),
        reconstructions,
        structure: scored(structure),
    })
}

fn draw(heads: &[&str], rows: &[Row]) -> Result<Raster> {
    let mut columns = vec!["source"];
    columns.extend(heads);
    columns.push("structure alone");
    let notes: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let mut notes = vec![format!("{} × {}", row.source.width(), row.source.height())];
            notes.extend(
                row.reconstructions
                    .iter()
                    .map(|(_, psnr)| format!("{psnr:.1} dB")),
            );
            notes.push(format!("{:.1} dB", row.structure.1));
            notes
        })
        .collect();
    let mut items = Vec::new();
    for (row, notes) in rows.iter().zip(&notes) {
        let pictures = std::iter::once(&row.source)
            .chain(row.reconstructions.iter().map(|(raster, _)| raster))
            .chain(std::iter::once(&row.structure.0));
        for (column, (picture, note)) in pictures.zip(notes).enumerate() {
            items.push(SheetItem {
                picture,
                label: if column == 0 { &row.name } else { "" },
                note,
            });
        }
    }
    render_sheet(
        &Sheet {
            title: "Reconstruction",
            subtitle: "PSNR of the picture beside its source; structure alone leaves the detail codes out",
            column_heads: &columns,
            columns: columns.len() as u32, // a few models
            box_px: SHEET_BOX_PX,
        },
        &items,
    )
}

/// The picture files among `inputs`, folders searched through.
pub(crate) fn picture_files(inputs: &[PathBuf], context: &JobContext) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        let metadata = std::fs::metadata(input)
            .map_err(|source| Error::io("could not open", input, &source))?;
        if metadata.is_dir() {
            let walked = crate::dataset::find_pictures(input, context)?;
            files.extend(walked);
        } else {
            files.push(input.clone());
        }
    }
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
