//! How well a model reproduces folders of pictures: a table, and a sheet to look at.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::codec::pixels::from_rgba8;
use crate::document::{Raster, Samples};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::ModelSource;
use crate::error::{Error, Result};
use crate::export::{Existing, Metadata, Sheet, SheetItem, render_sheet, write_png};
use crate::train::measure::metrics::over_grey;
use crate::train::measure::quality::{QualityOptions, Sample, SetScores, measure, set_name};
use crate::train::measure::retrieval::{Retrieval, RetrievalScores};

const SHEET_BOX_PX: u32 = 256;
const COLUMNS: [&str; 4] = [
    "source",
    "reconstruction",
    "structure alone",
    "difference × 4",
];

/// Measures a model on folders of pictures.
pub struct QualityJob {
    pub model: ModelSource,
    /// Each folder is a set with a line of its own.
    pub folders: Vec<PathBuf>,
    pub options: QualityOptions,
    /// A folder for one sheet per set.
    pub out: Option<PathBuf>,
    pub existing: Existing,
    pub device: DeviceChoice,
}

/// How well a model reproduces each set of pictures. Its text is a Markdown table, as the model card has it.
#[derive(Debug, Serialize)]
pub struct QualityReport {
    /// Name of the model.
    pub model: String,
    pub model_hash: String,
    pub sets: Vec<SetScores>,
    /// How well the model's embedding finds the other half of a picture; `None` with too few pictures.
    pub retrieval: Option<RetrievalScores>,
    #[serde(skip)]
    pub sheets: Vec<PathBuf>,
}

impl fmt::Display for QualityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table(&self.sets))?;
        match &self.retrieval {
            Some(scores) => writeln!(f, "\n{}", found_again(scores)),
            None => Ok(()),
        }
    }
}

impl Report for QualityReport {
    fn files(&self) -> Vec<&Path> {
        self.sheets.iter().map(PathBuf::as_path).collect()
    }
}

impl Job for QualityJob {
    type Output = QualityReport;

    fn title(&self) -> &'static str {
        "Measuring quality"
    }

    fn run(self, context: &JobContext) -> Result<QualityReport> {
        let device = open_device(self.device)?.device;
        let model = self.model.load(&device)?;
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out)
                .map_err(|source| Error::io("could not make the folder", out, &source))?;
        }
        let mut sets = Vec::new();
        let mut sheets = Vec::new();
        let mut retrieval = Retrieval::default();
        for folder in &self.folders {
            let name = set_name(folder);
            let files = crate::dataset::find_pictures(folder, context)?;
            let (scores, samples) = measure(
                &model.codec,
                &name,
                &files,
                &self.options,
                &mut retrieval,
                context,
            )
            .map_err(|error| error.at(folder))?;
            if let Some(out) = &self.out {
                let path = out.join(format!("{name}.png"));
                let sheet = draw(&model.name, &scores, &samples)?;
                write_png(&path, self.existing, &sheet, &Metadata::default())?;
                sheets.push(path);
            }
            sets.push(scores);
        }
        Ok(QualityReport {
            model: model.name,
            model_hash: model.hash,
            sets,
            retrieval: retrieval.scores(),
            sheets,
        })
    }
}

fn table(sets: &[SetScores]) -> String {
    let mut text = String::from(
        "| set | pictures | PSNR dB | SSIM | gradient energy | structure alone dB | bits/px (raw) | \
         codes used | perplexity | JPEG at these bits | WebP at these bits |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let ssim = |ssim: Option<f64>| ssim.map_or("–".to_owned(), |v| format!("{v:.3}"));
    for set in sets {
        let [jpeg, webp] = [&set.jpeg, &set.webp].map(|rival| {
            rival.as_ref().map_or("–".to_owned(), |rival| {
                let over = match rival.over_budget {
                    0 => String::new(),
                    n => format!(", {n} need more"),
                };
                format!(
                    "{:.2} dB, {} at {:.3}{over}",
                    rival.psnr_db,
                    ssim(rival.ssim),
                    rival.bits_per_pixel
                )
            })
        });
        text += &format!(
            "| {} | {} | {:.2} | {} | {:.3} | {:.2} | {:.3} ({:.3}) | {:.1} % + {:.1} % | {:.0} + {:.0} | {jpeg} | {webp} |\n",
            set.name,
            set.pictures,
            set.psnr_db,
            ssim(set.ssim),
            set.sharpness,
            set.structure_psnr_db,
            set.bits_per_pixel,
            set.raw_bits_per_pixel,
            set.structure_usage * 100.0,
            set.detail_usage * 100.0,
            set.structure_perplexity,
            set.detail_perplexity,
        );
    }
    text
}

fn found_again(scores: &RetrievalScores) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    format!(
        "Halves of pictures whose nearest other half is that of the same picture, among {}: {} by the model's embedding, {} by a \
         colour histogram, {} by chance.",
        scores.halves,
        scores.embedding.map_or("–".to_owned(), percent),
        percent(scores.colours),
        percent(scores.chance),
    )
}

fn draw(model: &str, scores: &SetScores, samples: &[Sample]) -> Result<Raster> {
    let mut pictures = Vec::new();
    for sample in samples {
        let raster =
            |rgba: &[u8]| Raster::new(sample.width, sample.height, Samples::Rgba8(rgba.to_vec()));
        let difference = difference(&sample.source, &sample.reconstruction);
        pictures.push([
            (raster(&sample.source)?, String::new()),
            (
                raster(&sample.reconstruction)?,
                format!("{:.1} dB", sample.psnr_db),
            ),
            (
                raster(&sample.structure)?,
                format!("{:.1} dB", sample.structure_psnr_db),
            ),
            (raster(&difference)?, String::new()),
        ]);
    }
    let items: Vec<SheetItem> = pictures
        .iter()
        .zip(samples)
        .flat_map(|(row, sample)| {
            row.iter()
                .enumerate()
                .map(move |(column, (picture, note))| SheetItem {
                    picture,
                    label: if column == 0 { &sample.name } else { "" },
                    note,
                })
        })
        .collect();
    render_sheet(
        &Sheet {
            title: &scores.name,
            subtitle: &format!(
                "{model}: {:.2} dB, structure alone {:.2} dB, {:.3} bits/px, {} pictures",
                scores.psnr_db, scores.structure_psnr_db, scores.bits_per_pixel, scores.pictures
            ),
            column_heads: &COLUMNS,
            columns: COLUMNS.len() as u32, // four
            box_px: SHEET_BOX_PX,
        },
        &items,
    )
}

/// What a person sees differ, over grey, fourfold and about mid grey; opaque.
fn difference(source: &[u8], reconstruction: &[u8]) -> Vec<u8> {
    let seen = |rgba: &[u8]| {
        let pixels: Vec<f32> = (rgba.as_chunks::<4>().0.iter())
            .flat_map(|pixel| from_rgba8(*pixel))
            .collect();
        over_grey(&pixels)
    };
    seen(source)
        .chunks_exact(3)
        .zip(seen(reconstruction).chunks_exact(3))
        .flat_map(|(a, b)| {
            let channel = |c: usize| ((b[c] - a[c]) * 4.0 + 0.5).clamp(0.0, 1.0) * 255.0;
            [channel(0) as u8, channel(1) as u8, channel(2) as u8, 255]
        })
        .collect()
}
