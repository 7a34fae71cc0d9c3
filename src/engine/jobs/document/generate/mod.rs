//! New pictures from existing ones, by [`crate::quilt`]: tiles, fills, extensions, variations.

mod gather;
mod origins;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::canvas::{Carried, Layer, cropped};
use crate::document::{Geometry, Level, Raster, Samples, SamplesMut, Vectors, Wrap};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Report, pictures as count_pictures};
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{Model, ModelSource};
use crate::engine::pictures::read;
use crate::error::{Error, Result};
use crate::export::{
    Existing, Metadata, Provenance, Sheet, SheetItem, check_writable, render_sheet, write_bytes,
    write_png,
};
use crate::quilt::{Controls, Quilt, Request, Sketch, quilt};
use gather::Gathered;
use origins::Origins;

use crate::export::check_png;

/// What is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Making {
    /// A picture of `width` × `height` pixels, multiples of 16, without a seam where it repeats on the axes that wrap.
    New { width: u32, height: u32, wrap: Wrap },
    /// A picture with what `mask` (a picture of the same size: white, or opaque where it has alpha) covers made anew.
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

/// How it is made; see [`Controls`] for the ranges.
#[derive(Debug, Clone, Default)]
pub struct GenerateLook {
    pub seed: u64,
    pub freedom: f32,
    pub variety: f32,
    /// In pixels, rounded down to multiples of 16.
    pub largest_piece_px: Option<u32>,
    pub height: f32,
    /// A picture of the result's size whose opaque pixels are colours to come close to.
    pub guide: Option<PathBuf>,
    pub guide_weight: f32,
    pub muted: Vec<(Level, u16)>,
    pub boosted: Vec<(Level, u16)>,
}

/// Makes one or more pictures and writes them as PNG.
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

impl Job for GenerateJob {
    type Output = Generated;

    fn title(&self) -> &'static str {
        "Making new pictures"
    }

    fn run(self, context: &JobContext) -> Result<Generated> {
        let outs = self.outs()?;
        let model = self.model.load(&open_device(self.device)?.device)?;
        // Muting a code that the model does not have would be a promise about nothing.
        for (level, code) in self.look.muted.iter().chain(&self.look.boosted) {
            model.codebooks().check(*level, Some(*code))?;
        }
        let gathered = Gathered::new(&self, &model, context)?;
        let controls = self.controls(&gathered)?;
        let given = Given {
            maps: self.read_maps(&gathered)?,
            gathered: &gathered,
            model: &model,
            vectors: model.vectors()?,
            context,
        };
        let mut generated = Generated {
            pictures: Vec::new(),
            model: model.hash.clone(),
            files: Vec::new(),
        };
        let mut rasters = Vec::new();
        for (number, out) in outs.iter().enumerate() {
            let controls = Controls {
                seed: self.look.seed.wrapping_add(number as u64),
                ..controls.clone()
            };
            let raster = self.make(&given, controls, out, &mut generated)?;
            rasters.push(raster);
        }
        if self.has_sheet {
            let path = beside(&outs[0], "sheet.png");
            let sheet = self.sheet(&gathered, &rasters)?;
            write_png(&path, self.existing, &sheet, &Metadata::default())?;
            generated.files.push(path);
        }
        Ok(generated)
    }
}

impl GenerateJob {
    /// The files of the results, checked before any work.
    fn outs(&self) -> Result<Vec<PathBuf>> {
        let outs: Vec<PathBuf> = if self.count <= 1 {
            check_png(&self.out, self.existing)?;
            vec![self.out.clone()]
        } else {
            std::fs::create_dir_all(&self.out)
                .map_err(|source| Error::io("could not make the folder", &self.out, &source))?;
            (0..self.count)
                .map(|i| {
                    let seed = self.look.seed.wrapping_add(i.into());
                    self.out.join(format!("{seed:04}.png"))
                })
                .collect()
        };
        for out in &outs {
            check_writable(out, self.existing)?;
        }
        Ok(outs)
    }

    fn controls(&self, gathered: &Gathered) -> Result<Controls> {
        let look = &self.look;
        let list = |codes: &[(Level, u16)], level: Level| {
            let of_level = || {
                codes
                    .iter()
                    .filter(|(l, _)| *l == level)
                    .map(|(_, code)| *code)
            };
            let mut flags = vec![false; of_level().max().map_or(0, |most| usize::from(most) + 1)];
            for code in of_level() {
                flags[usize::from(code)] = true;
            }
            flags
        };
        let sketch = match &look.guide {
            Some(path) => {
                let guide = read::load_source(path)?;
                let canvas = &gathered.canvas;
                let expected = (canvas.width * 16, canvas.height * 16);
                if (
                    guide.geometry().padded_width(),
                    guide.geometry().padded_height(),
                ) != expected
                {
                    return Err(Error::usage(
                        "could not use the guide",
                        format!(
                            "it has {} × {} pixels and the result {} × {}",
                            guide.width(),
                            guide.height(),
                            expected.0,
                            expected.1
                        ),
                        "Use a guide of the result's size",
                    )
                    .at(path));
                }
                Some(Sketch {
                    colours: gather::guide_colours(&guide),
                    weight: look.guide_weight,
                })
            }
            None => None,
        };
        Ok(Controls {
            seed: look.seed,
            freedom: look.freedom,
            variety: look.variety,
            largest_piece: look.largest_piece_px.map(|px| px / 16),
            muted_structure: list(&look.muted, Level::Structure),
            muted_detail: list(&look.muted, Level::Detail),
            boosted_structure: list(&look.boosted, Level::Structure),
            boosted_detail: list(&look.boosted, Level::Detail),
            sketch,
            labels: None,
            height: look.height,
        })
    }

    /// One picture with all that belongs to it.
    fn make(
        &self,
        given: &Given<'_>,
        controls: Controls,
        out: &Path,
        generated: &mut Generated,
    ) -> Result<Raster> {
        let (gathered, model, context) = (given.gathered, given.model, given.context);
        let seed = controls.seed;
        let is_free = controls.sketch.is_none() && controls.height == 0.0;
        let request = Request {
            sources: gathered.sources(),
            canvas: gathered.canvas.clone(),
            start: gathered.start,
            controls,
        };
        let started = std::time::Instant::now();
        let mut made = quilt(&request, &given.vectors, context, &mut |_| {})?;
        let quilt_s = started.elapsed().as_secs_f64();
        let layers = gathered.layers(&made, model, context)?;
        let mut raster = self.render(gathered, &made, &layers, model, context)?;
        if is_free && gathered.canvas.kept.is_none() {
            // A tile has no first row: it is cut where the cut is least remarkable.
            let (dy, dx) = origins::quietest_cut(&raster, gathered.canvas.wrap);
            if (dy, dx) != (0, 0) {
                made = made.rolled(dy, dx);
                roll(&mut raster, dy * 16, dx * 16);
            }
        }
        let origins = Origins::new(gathered, &made);
        let notes = json!({
            "made_by": crate::version::line(),
            "what": self.what(),
            "seed": seed,
            "freedom": self.look.freedom,
            "variety": self.look.variety,
            "largest_piece_px": self.look.largest_piece_px,
            "model": model.hash,
            "sources": origins.shares,
        })
        .to_string();
        let metadata = Metadata {
            provenance: Some(match &gathered.canvas.kept {
                Some(_) => Provenance::Edited,
                None => Provenance::Generated,
            }),
            notes: Some(&notes),
            restore: None,
        };
        write_png(out, self.existing, &raster, &metadata)?;
        generated.files.push(out.to_path_buf());
        for (map, layer) in self.maps.iter().zip(&given.maps) {
            let path = beside(out, &format!("{}.png", stem(map)));
            let raster = cropped(
                &carried(gathered, &made, layer).render_map()?,
                gathered.result,
            )?;
            write_png(
                &path,
                self.existing,
                &raster,
                &Metadata {
                    notes: Some(&notes),
                    ..Metadata::default()
                },
            )?;
            generated.files.push(path);
        }
        if self.has_origins {
            let path = beside(out, "origins.png");
            write_png(
                &path,
                self.existing,
                &origins.picture(&made)?,
                &Metadata::default(),
            )?;
            generated.files.push(path);
            let path = beside(out, "origins.json");
            write_bytes(&path, self.existing, &origins.json(&made, &notes)?)?;
            generated.files.push(path);
        }
        let piece = made.largest_piece;
        let detail_cells = gathered.made_cells() * 16;
        generated.pictures.push(GeneratedPicture {
            file: out.to_string_lossy().into_owned(),
            seed,
            quilt_s,
            largest_piece_px: [piece.from.width * 4, piece.from.height * 4],
            largest_piece_share: piece.cells as f32 / detail_cells.max(1) as f32,
            largest_piece_from: gathered.name_of(piece.source),
            seam_share: made.seam_share,
            shares: origins.shares,
        });
        Ok(raster)
    }

    fn render(
        &self,
        gathered: &Gathered,
        made: &Quilt,
        layers: &[Option<Layer>],
        model: &Model,
        context: &JobContext,
    ) -> Result<Raster> {
        let mut raster = carried(gathered, made, layers).render(&model.codec, context)?;
        gathered.restore_kept(&mut raster, &model.codec)?;
        cropped(&raster, gathered.result)
    }

    /// Further maps of the source, one list of layers each.
    fn read_maps(&self, gathered: &Gathered) -> Result<Vec<Vec<Option<Layer>>>> {
        let one = |map: &PathBuf| {
            let source = read::load_source(map)?;
            if gathered.only_source() != Some(source.geometry()) {
                return Err(Error::usage(
                    "could not put the map together",
                    "maps go with a single source of the same size",
                    "Take from one picture, and give maps of its size",
                )
                .at(map));
            }
            Ok(vec![Some(Layer::of_pixels(&source))])
        };
        self.maps.iter().map(one).collect()
    }

    fn what(&self) -> &'static str {
        match &self.making {
            Making::New { wrap, .. } if wrap.x || wrap.y => "tile",
            Making::New { .. } => "new",
            Making::Fill { .. } => "fill",
            Making::Extend { .. } => "extend",
            Making::Vary { .. } => "vary",
        }
    }

    fn sheet(&self, gathered: &Gathered, rasters: &[Raster]) -> Result<Raster> {
        let first = gathered.first_picture()?;
        let repeats = match (&self.making, rasters.first()) {
            (Making::New { wrap, .. }, Some(raster)) if wrap.x || wrap.y => Some(repeated(
                raster,
                if wrap.x { 3 } else { 1 },
                if wrap.y { 3 } else { 1 },
            )?),
            _ => None,
        };
        let mut items = vec![SheetItem {
            picture: &first,
            label: "source",
            note: "",
        }];
        items.extend(rasters.iter().map(|picture| SheetItem {
            picture,
            label: self.what(),
            note: "",
        }));
        items.extend(repeats.iter().map(|picture| SheetItem {
            picture,
            label: "repeated",
            note: "",
        }));
        let sheet = Sheet {
            title: "",
            subtitle: "",
            column_heads: &[],
            columns: items.len().min(5) as u32,
            box_px: 384,
        };
        render_sheet(&sheet, &items)
    }
}

/// What every picture of a job is made with.
struct Given<'a> {
    gathered: &'a Gathered,
    model: &'a Model,
    vectors: Vectors,
    /// Layers of each map.
    maps: Vec<Vec<Option<Layer>>>,
    context: &'a JobContext,
}

fn carried<'a>(
    gathered: &'a Gathered,
    quilt: &'a Quilt,
    layers: &'a [Option<Layer>],
) -> Carried<'a> {
    Carried {
        quilt,
        wrap: gathered.canvas.wrap,
        made: gathered
            .canvas
            .kept
            .as_ref()
            .map(|kept| kept.fill.as_slice()),
        layers,
    }
}

/// `columns` × `rows` times the picture.
fn repeated(raster: &Raster, columns: u32, rows: u32) -> Result<Raster> {
    let rgba8 = raster.rgba8();
    let line = raster.width() as usize * 4;
    let one: Vec<u8> = (rgba8.chunks_exact(line))
        .flat_map(|row| row.repeat(columns as usize))
        .collect();
    let all = one.repeat(rows as usize);
    Raster::new(
        raster.width() * columns,
        raster.height() * rows,
        Samples::Rgba8(all),
    )
}

/// Makes the pixel `down` and `right` of a raster's first its first, as on a torus.
fn roll(raster: &mut Raster, down: u32, right: u32) {
    let line = raster.width() as usize * 4;
    if let Some(samples) = samples_mut8(raster) {
        samples.rotate_left(down as usize * line);
        for row in samples.chunks_exact_mut(line) {
            row.rotate_left(right as usize * 4);
        }
    }
}

/// A file beside the result, named after it.
fn beside(out: &Path, ending: &str) -> PathBuf {
    out.with_file_name(format!("{}.{ending}", stem(out)))
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// The samples of a raster of 8 bits.
fn samples_mut8(raster: &mut Raster) -> Option<&mut [u8]> {
    match raster.samples_mut() {
        SamplesMut::Rgba8(samples) => Some(samples),
        SamplesMut::Rgba16(_) => None,
    }
}

/// Structure cells that lie wholly in a picture: columns, rows.
fn whole_cells(geometry: Geometry) -> (u32, u32) {
    (geometry.width() / 16, geometry.height() / 16)
}

#[cfg(test)]
mod tests;
