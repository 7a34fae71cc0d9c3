//! Every code as a labelled swatch, with how often the artist's pictures use it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::Serialize;

use crate::codec::Codec;
use crate::document::{Codes, Companions, EMPTY, Level, Raster, Rect, Samples, Source};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Lane, Report, pictures as count_pictures};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::companions;
use crate::engine::models::loading::{Model, ModelSource};
use crate::engine::models::palette::{Palette, PaletteLevel};
use crate::engine::pictures::encodings::{Encodings, by_id, fill, load_source};
use crate::error::Result;
use crate::export::check_png;
use crate::export::{Existing, Metadata, Provenance, Sheet, SheetItem, render_sheet, write_png};
use crate::kernels::{Padding, no_grad};
use crate::progress::Observer;
use crate::project::{PictureFilter, PictureId};

/// Pictures whose codes are counted: spread evenly over the project when it has more.
const MAX_COUNTED: usize = 400;
/// Detail cells of pictures kept in memory while they are counted (2 bytes each).
const MAX_KEPT_CELLS: usize = 64 << 20;
/// Codes decoded at once.
const BATCH: usize = 256;
const COLUMNS: u32 = 32;
const SWATCH_PX: u32 = 48;

/// Writes the codebook sheet of a model.
pub struct CodebookJob {
    pub model: ModelSource,
    pub out: PathBuf,
    pub existing: Existing,
    pub device: DeviceChoice,
}

/// A codebook sheet that was drawn.
#[derive(Debug, Serialize)]
pub struct CodebookDrawn {
    /// Whose codes were counted.
    pub pictures: u64,
    pub structure: CodesUsed,
    pub detail: CodesUsed,
    #[serde(skip)]
    pub file: PathBuf,
}

/// How many codes a level has, and how many of them the counted pictures use.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CodesUsed {
    pub codes: usize,
    pub used: usize,
}

impl fmt::Display for CodebookDrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (structure, detail) = (self.structure, self.detail);
        if self.pictures == 0 {
            return write!(
                f,
                "Drew {} structure and {} detail codes.",
                structure.codes, detail.codes
            );
        }
        write!(
            f,
            "{} use {} of {} structure and {} of {} detail codes.",
            count_pictures(self.pictures),
            structure.used,
            structure.codes,
            detail.used,
            detail.codes
        )
    }
}

impl Report for CodebookDrawn {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for CodebookJob {
    type Output = CodebookDrawn;

    fn title(&self) -> &'static str {
        "Drawing the codebook"
    }

    fn run(self, context: &JobContext) -> Result<CodebookDrawn> {
        check_png(&self.out, self.existing)?;
        let model = self.model.load(&open_device(self.device)?.device)?;
        let mut usage = Usage::new(&model, None);
        if let Some(project) = self.model.project() {
            usage.count(project, &model, context)?;
        }
        context.check()?;
        let structure = structure_swatches(&model.codec)?;
        let detail = detail_swatches(&model.codec, &usage.companions(&structure))?;
        let counted = count_pictures(usage.pictures);
        let sheets = [
            draw("Structure codes", &counted, &structure, &usage.structure)?,
            draw("Detail codes", &counted, &detail, &usage.detail)?,
        ];
        let metadata = Metadata {
            notes: None,
            provenance: Some(Provenance::Generated),
            restore: None,
        };
        write_png(&self.out, self.existing, &stack(&sheets)?, &metadata)?;
        let used = |counts: &[u64]| CodesUsed {
            codes: counts.len(),
            used: counts.iter().filter(|&&count| count > 0).count(),
        };
        Ok(CodebookDrawn {
            pictures: usage.pictures,
            structure: used(&usage.structure),
            detail: used(&usage.detail),
            file: self.out,
        })
    }
}

/// Draws the codes for the window.
pub struct PaletteJob {
    pub model: Model,
}

impl Job for PaletteJob {
    type Output = Palette;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Working out the codes"
    }

    fn run(self, context: &JobContext) -> Result<Palette> {
        Usage::new(&self.model, Some(Exemplars::default())).palette(&self.model, context)
    }
}

/// Draws the codes for the window, and counts how often the project's pictures use them.
pub struct CountUsageJob {
    pub project: Storage,
    pub model: Model,
}

impl Job for CountUsageJob {
    type Output = Palette;

    fn title(&self) -> &'static str {
        "Counting the codes"
    }

    fn run(self, context: &JobContext) -> Result<Palette> {
        let mut usage = Usage::new(&self.model, Some(Exemplars::default()));
        usage.count(&self.project, &self.model, context)?;
        let table = usage.companions_table(&self.model);
        // The counts are worth having without it.
        if let Err(error) = companions::keep(&self.project, &self.model.hash, &table) {
            context.warning(*error.notice);
        }
        usage.palette(&self.model, context)
    }
}

fn palette_level(swatches: &[Raster], vectors: &Tensor) -> Result<PaletteLevel> {
    let swatch_px = swatches.first().map_or(0, Raster::width);
    let side = swatch_px as usize;
    let columns = COLUMNS as usize;
    let rows = swatches.len().div_ceil(columns);
    let mut atlas = vec![0; columns * rows * side * side * 4];
    let mut colours = Vec::with_capacity(swatches.len());
    for (index, swatch) in swatches.iter().enumerate() {
        let pixels = swatch.rgba8();
        let (left, top) = (index % columns * side, index / columns * side);
        for (y, row) in pixels.chunks_exact(side * 4).enumerate() {
            let start = ((top + y) * columns * side + left) * 4;
            atlas[start..start + row.len()].copy_from_slice(row);
        }
        let (pixels, _) = pixels.as_chunks::<4>();
        colours.push(std::array::from_fn(|channel| {
            let sum: u64 = pixels.iter().map(|pixel| u64::from(pixel[channel])).sum();
            (sum / pixels.len().max(1) as u64) as u8
        }));
    }
    Ok(PaletteLevel {
        swatch_px,
        columns: COLUMNS,
        atlas_rgba8: atlas,
        colours,
        vectors: vectors.flatten_all()?.to_vec1::<f32>()?,
        ..PaletteLevel::default()
    }
    .arranged())
}

/// Patches of pictures in which a code stands, a few per code.
#[derive(Default)]
struct Exemplars {
    structure: BTreeMap<u16, Vec<Raster>>,
    detail: BTreeMap<u16, Vec<Raster>>,
}

impl Exemplars {
    const PER_CODE: usize = 4;
    /// Pixels around the cell on each side.
    const AROUND_PX: u32 = 12;

    /// Whether some code of a picture has too few patches.
    fn lack(&self, codes: &Codes) -> bool {
        let levels = [
            (Level::Structure, &self.structure),
            (Level::Detail, &self.detail),
        ];
        levels.into_iter().any(|(level, found)| {
            let full = |code: &u16| {
                found
                    .get(code)
                    .is_some_and(|patches| patches.len() >= Self::PER_CODE)
            };
            let mut cells = codes.level(level).cells().iter();
            cells.any(|code| *code != EMPTY && !full(code))
        })
    }

    /// At most one patch of this picture for each code.
    fn add(&mut self, source: &Source, codes: &Codes) -> Result<()> {
        let geometry = source.geometry();
        let levels = [
            (Level::Structure, &mut self.structure),
            (Level::Detail, &mut self.detail),
        ];
        for (level, found) in levels {
            let mut seen = HashSet::new();
            for (index, &code) in (0u32..).zip(codes.level(level).cells()) {
                if code == EMPTY || !seen.insert(code) {
                    continue;
                }
                let patches = found.entry(code).or_default();
                if patches.len() < Self::PER_CODE {
                    let around = geometry
                        .cell_pixels(level, index)
                        .inflate(Self::AROUND_PX)
                        .intersect(&geometry.bounds());
                    patches.push(crop(source, around)?);
                }
            }
        }
        Ok(())
    }
}

fn crop(source: &Source, rect: Rect) -> Result<Raster> {
    let mut rgba = Vec::with_capacity(rect.area() as usize * 4);
    for y in rect.y..rect.bottom() {
        let start = (y as usize * source.width() as usize + rect.x as usize) * 4;
        rgba.extend_from_slice(&source.rgba8()[start..start + rect.width as usize * 4]);
    }
    Raster::new(rect.width, rect.height, Samples::Rgba8(rgba))
}

struct Usage {
    /// `None` where they are not asked for.
    exemplars: Option<Exemplars>,
    pictures: u64,
    structure: Vec<u64>,
    detail: Vec<u64>,
    /// How often each detail code stood over each structure code.
    pairs: HashMap<(u16, u16), u64>,
    /// Codes of the counted pictures, as many as [`MAX_KEPT_CELLS`] allows.
    codes: Vec<Codes>,
}

impl Usage {
    fn new(model: &Model, exemplars: Option<Exemplars>) -> Self {
        let codebooks = model.codebooks();
        Self {
            exemplars,
            pictures: 0,
            structure: vec![0; codebooks.structure as usize],
            detail: vec![0; codebooks.detail as usize],
            pairs: HashMap::new(),
            codes: Vec::new(),
        }
    }

    /// What was counted, with all codes drawn.
    fn palette(self, model: &Model, context: &JobContext) -> Result<Palette> {
        let codec = &model.codec;
        let structure = structure_swatches(codec)?;
        context.check()?;
        let detail = detail_swatches(codec, &self.companions(&structure))?;
        let exemplars = self.exemplars.unwrap_or_default();
        Ok(Palette {
            model_hash: model.hash.clone(),
            counted_pictures: self.pictures,
            structure: PaletteLevel {
                counts: self.structure,
                exemplars: exemplars.structure,
                ..palette_level(&structure, codec.structure.codebook())?
            },
            detail: PaletteLevel {
                counts: self.detail,
                exemplars: exemplars.detail,
                ..palette_level(&detail, codec.detail.codebook())?
            },
        })
    }

    /// Adds the codes of the project's usable pictures, spread evenly over them where there are many. Those that the project's
    /// index has are read from it, the others are encoded and kept there.
    fn count(&mut self, project: &Storage, model: &Model, context: &JobContext) -> Result<()> {
        let ids = project.call(|project| project.picture_ids(&PictureFilter::usable()))?;
        let step = ids.len().div_ceil(MAX_COUNTED).max(1);
        let chosen: Vec<PictureId> = ids.into_iter().step_by(step).collect();
        let encodings = Encodings::new(project, model)?;
        // Warnings tell what could not be encoded.
        fill(&encodings, model, by_id(&chosen), true, context)?;
        let mut kept_cells = 0;
        for picture in encodings.of(&chosen) {
            context.check()?;
            let picture = picture?;
            self.add(&picture.codes);
            if let Some(exemplars) = &mut self.exemplars
                && exemplars.lack(&picture.codes)
            {
                let source = load_source(&picture.path, picture.content_hash);
                match source.and_then(|source| exemplars.add(&source, &picture.codes)) {
                    Ok(()) => {}
                    Err(error) if error.is_cancelled() => return Err(error),
                    Err(error) => context.warning(*error.notice),
                }
            }
            kept_cells += picture.codes.detail.cells().len();
            if kept_cells <= MAX_KEPT_CELLS {
                self.codes.push(picture.codes);
            }
        }
        Ok(())
    }

    fn add(&mut self, codes: &Codes) {
        self.pictures += 1;
        for &code in codes.structure.cells() {
            self.structure[usize::from(code)] += 1;
        }
        let finer = codes.detail.width() / codes.structure.width();
        for (index, &code) in codes.detail.cells().iter().enumerate() {
            if code == EMPTY {
                continue;
            }
            self.detail[usize::from(code)] += 1;
            let (x, y) = (
                index as u32 % codes.detail.width(),
                index as u32 / codes.detail.width(),
            );
            if let Some(under) = codes.structure.get(x / finer, y / finer) {
                *self.pairs.entry((code, under)).or_default() += 1;
            }
        }
    }

    /// Which details go with which structure, in the counted pictures.
    fn companions_table(&self, model: &Model) -> Companions {
        let origin = count_pictures(self.codes.len() as u64);
        Companions::count(origin, model.codebooks(), self.codes.iter())
    }

    /// For each detail code the structure code it stood over most often; a neutral one where it never did.
    fn companions(&self, structure: &[Raster]) -> Vec<u16> {
        let neutral = (0u16..)
            .zip(structure)
            .min_by_key(|(_, swatch)| distance_from_grey(swatch))
            .map_or(0, |(code, _)| code);
        let mut best: Vec<(u64, u16)> = vec![(0, neutral); self.detail.len()];
        for (&(detail, under), &count) in &self.pairs {
            let entry = &mut best[usize::from(detail)];
            // A tie goes to the lower id, whatever order the map has.
            if (count, std::cmp::Reverse(under)) > (entry.0, std::cmp::Reverse(entry.1)) {
                *entry = (count, under);
            }
        }
        best.into_iter().map(|(_, under)| under).collect()
    }
}

fn distance_from_grey(swatch: &Raster) -> u64 {
    let transparency = |pixel: &[u8; 4]| u64::from(255 - pixel[3]);
    let colour = |pixel: &[u8; 4]| {
        pixel[..3]
            .iter()
            .map(|&c| u64::from(c.abs_diff(128)))
            .sum::<u64>()
    };
    let rgba = swatch.rgba8();
    let (pixels, _) = rgba.as_chunks::<4>();
    pixels
        .iter()
        .map(|pixel| colour(pixel) + 4 * transparency(pixel))
        .sum()
}

/// Each structure code alone on a plane: wrapped around, one cell is an endless field of itself.
fn structure_swatches(codec: &Codec) -> Result<Vec<Raster>> {
    let codes: Vec<u32> = (0..codec.config().structure.codes as u32).collect();
    let mut swatches = Vec::new();
    for batch in codes.chunks(BATCH) {
        let structure = Tensor::from_slice(batch, (batch.len(), 1, 1), codec.device())?;
        let decoded = no_grad(|| codec.decode_structure_only(&structure, ENDLESS))?;
        swatches.extend(rasters(&decoded)?);
    }
    Ok(swatches)
}

/// Each detail code filling a cell of the structure it goes with.
fn detail_swatches(codec: &Codec, companions: &[u16]) -> Result<Vec<Raster>> {
    let finer = crate::codec::STRUCTURE_STRIDE_PX / codec.config().detail.stride;
    let mut swatches = Vec::new();
    let codes: Vec<(u32, u32)> = (0u32..)
        .zip(companions.iter().map(|&c| u32::from(c)))
        .collect();
    for batch in codes.chunks(BATCH) {
        let under: Vec<u32> = batch.iter().map(|(_, under)| *under).collect();
        let structure = Tensor::from_vec(under, (batch.len(), 1, 1), codec.device())?;
        let cells: Vec<u32> = batch
            .iter()
            .flat_map(|(code, _)| std::iter::repeat_n(*code, finer * finer))
            .collect();
        let detail = Tensor::from_vec(cells, (batch.len(), finer, finer), codec.device())?;
        let decoded = no_grad(|| codec.decode(&structure, &detail, ENDLESS))?;
        swatches.extend(rasters(&decoded)?);
    }
    Ok(swatches)
}

const ENDLESS: Padding = Padding::Wrap { x: true, y: true };

/// `[n, h, w, 4]` as decoded → n pictures.
fn rasters(decoded: &Tensor) -> Result<Vec<Raster>> {
    let (_, height, width, _) = decoded.dims4()?;
    let values = decoded.flatten_all()?.to_vec1::<f32>()?;
    let (pixels, _) = values.as_chunks::<4>();
    pixels
        .chunks_exact(height * width)
        .map(|pixels| {
            let rgba = pixels
                .iter()
                .flat_map(|&p| crate::codec::pixels::to_rgba8(p))
                .collect();
            Raster::new(width as u32, height as u32, Samples::Rgba8(rgba)) // swatches of 16 px
        })
        .collect()
}

/// The swatches, most used first.
fn draw(title: &str, counted: &str, swatches: &[Raster], counts: &[u64]) -> Result<Raster> {
    let total: u64 = counts.iter().sum();
    let mut order: Vec<usize> = (0..swatches.len()).collect();
    order.sort_by_key(|&code| (std::cmp::Reverse(counts[code]), code));
    let labels: Vec<String> = order.iter().map(|code| code.to_string()).collect();
    let notes: Vec<String> = order
        .iter()
        .map(|&code| match (total, counts[code]) {
            (0, _) => String::new(),
            (_, 0) => "unused".into(),
            (_, count) => share(count as f64 / total as f64),
        })
        .collect();
    let items: Vec<SheetItem> = order
        .iter()
        .zip(labels.iter().zip(&notes))
        .map(|(&code, (label, note))| SheetItem {
            picture: &swatches[code],
            label,
            note,
        })
        .collect();
    let used = counts.iter().filter(|&&count| count > 0).count();
    let subtitle = if total == 0 {
        "in order of their numbers".to_owned()
    } else {
        format!(
            "{counted}: {used} of {} in use; most used first, with their share of cells",
            counts.len()
        )
    };
    render_sheet(
        &Sheet {
            title,
            subtitle: &subtitle,
            column_heads: &[],
            columns: COLUMNS,
            box_px: SWATCH_PX,
        },
        &items,
    )
}

/// "3.1%", "0.04%", "<0.01%".
fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 1.0 {
        format!("{percent:.1}%")
    } else if percent >= 0.01 {
        format!("{percent:.2}%")
    } else {
        "<0.01%".into()
    }
}

/// Sheets under each other, the narrower ones continued in their own background.
fn stack(sheets: &[Raster]) -> Result<Raster> {
    let width = sheets.iter().map(Raster::width).max().unwrap_or(0);
    let height = sheets.iter().map(Raster::height).sum();
    let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
    for sheet in sheets {
        let pixels = sheet.rgba8();
        let background = pixels.first_chunk::<4>().copied().unwrap_or_default();
        let missing = (width - sheet.width()) as usize;
        for row in pixels.chunks_exact(sheet.width() as usize * 4) {
            rgba.extend_from_slice(row);
            rgba.extend(std::iter::repeat_n(background, missing).flatten());
        }
    }
    Raster::new(width, height, Samples::Rgba8(rgba))
}
