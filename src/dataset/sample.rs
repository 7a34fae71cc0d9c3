//! What training sees: augmented crops, each a pure function of (seed, step, slot), whatever the threads, the cache
//! or an interruption did before.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::decode::{self, Limits, decode_bytes, probe_bytes};
use super::gate::Gate;
use super::pixels::{Premultiplied, TensorArea, View, fit, write_view};
use crate::error::{Error, Kind, Notice, Result};

/// Sides of working copies that are tried, px, largest first.
const WORKING_SIDES_PX: [u32; 5] = [2048, 1536, 1024, 768, 512];
/// What decoders together may hold while pictures are loaded, bytes.
const DECODE_BUDGET_BYTES: u64 = 512 << 20;
/// Shrinking by less than this only blurs.
const MIN_STEP: f64 = 1.1;
/// Pictures in a row that may fail before the folder counts as unusable.
const MAX_FAILURES: usize = 64;

/// A picture to train on or to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CropSource {
    pub path: PathBuf,
    /// BLAKE3 of the file when it was imported; a file that changed since is used, with a warning.
    pub content_hash: [u8; 32],
    /// Upright, px, as imported.
    pub width: u32,
    pub height: u32,
}

/// What is varied between crops. Nothing here changes what a picture shows but the flips and the colour jitter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Smallest scale, 0..=1: half of the crops are shrunk to between this and 1, the others are as stored.
    pub min_scale: f32,
    /// Mirror half of the crops left to right. Off for pictures with writing.
    pub flips_x: bool,
    /// Mirror half of the crops top to bottom.
    pub flips_y: bool,
    /// Colour is multiplied by 1 ± this.
    pub brightness: f32,
    /// Hue is turned by ± this, degrees.
    pub hue_degrees: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            min_scale: 0.5,
            flips_x: true,
            flips_y: false,
            brightness: 0.0,
            hue_degrees: 0.0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropsConfig {
    /// Side of the square crops, px; a multiple of 16.
    pub side_px: u32,
    /// Crops per step. Part of what makes (step, slot) a place in the data order.
    pub batch_size: u32,
    pub seed: u64,
    pub augment: Augment,
    /// Memory for working copies, bytes. Beyond it they are decoded again on demand.
    pub cache_bytes: u64,
    /// Longer side of working copies, px. `None` takes the largest of 2048, 1536, 1024, 768 and 512 at which all
    /// pictures fit into the cache. A resumed run passes what [`Crops::working_side_px`] said before.
    pub working_side_px: Option<u32>,
    /// For loading the pictures.
    pub limits: Limits,
}

impl Default for CropsConfig {
    fn default() -> Self {
        Self {
            side_px: 128,
            batch_size: 16,
            seed: 0,
            augment: Augment::default(),
            cache_bytes: 1 << 30,
            working_side_px: None,
            limits: Limits::default(),
        }
    }
}

/// A rectangle of pixels for the codec.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelWindow {
    /// Multiples of 16, px.
    pub width: usize,
    pub height: usize,
    /// `height × width × 4`: NHWC `f32`, premultiplied sRGB, −1..1 (colour: 2·premultiplied − 1, alpha: 2·a − 1).
    pub values: Vec<f32>,
}

/// Gives crops and evaluation windows of a list of pictures.
pub struct Crops {
    sources: Vec<CropSource>,
    config: CropsConfig,
    working_side_px: u32,
    /// Pictures that fit into a cell, by the cell's side: they share a crop.
    small: BTreeMap<u32, Vec<u32>>,
    cache: Mutex<Cache>,
    orders: Mutex<BTreeMap<u64, Arc<[u32]>>>,
    warnings: Mutex<Warnings>,
    gate: Gate,
}

#[derive(Default)]
struct Cache {
    copies: HashMap<usize, (u64, Arc<Premultiplied>)>,
    bytes: u64,
    clock: u64,
}

#[derive(Default)]
struct Warnings {
    by_source: HashMap<usize, bool>,
    pending: Vec<Notice>,
}

impl Crops {
    /// Nothing is decoded yet.
    ///
    /// # Errors
    /// `NoPictures` for an empty list, `Usage` for a side that is no multiple of 16, or zero.
    pub fn new(sources: Vec<CropSource>, config: CropsConfig) -> Result<Self> {
        if sources.is_empty() {
            return Err(no_pictures("the list is empty"));
        }
        if config.side_px == 0 || !config.side_px.is_multiple_of(16) || config.batch_size == 0 {
            return Err(Error::usage(
                "could not prepare the training crops",
                format!(
                    "the crop side is {} px and the batch size {}",
                    config.side_px, config.batch_size
                ),
                "Use a side that is a multiple of 16 and a batch of at least 1",
            ));
        }
        let working_side_px = config
            .working_side_px
            .unwrap_or_else(|| largest_working_side(&sources, config.cache_bytes))
            .max(config.side_px);
        let mut small: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for divisor in [2, 4] {
            let cell = config.side_px / divisor;
            let fitting: Vec<u32> = (0u32..)
                .zip(&sources)
                .filter(|(_, s)| s.width.max(s.height) <= cell)
                .map(|(i, _)| i)
                .collect();
            if config.side_px.is_multiple_of(divisor) && !fitting.is_empty() {
                small.insert(cell, fitting);
            }
        }
        Ok(Self {
            sources,
            config,
            working_side_px,
            small,
            cache: Mutex::default(),
            orders: Mutex::default(),
            warnings: Mutex::default(),
            gate: Gate::new(DECODE_BUDGET_BYTES),
        })
    }

    pub fn sources(&self) -> &[CropSource] {
        &self.sources
    }

    /// Longer side of the working copies, px: store it with the run.
    pub fn working_side_px(&self) -> u32 {
        self.working_side_px
    }

    /// Warnings since the last call: pictures that vanished, broke or changed since they were imported.
    pub fn take_warnings(&self) -> Vec<Notice> {
        std::mem::take(&mut lock(&self.warnings).pending)
    }

    /// One crop: `side × side × 4` values as in [`PixelWindow`].
    ///
    /// A picture that cannot be read any more is replaced by the next one, with a warning.
    ///
    /// # Errors
    /// `NoPictures` where no picture can be read.
    pub fn crop(&self, step: u64, slot: u32) -> Result<Vec<f32>> {
        let side = self.config.side_px as usize;
        let mut values = vec![0.0; side * side * 4];
        self.write_crop(step, slot, &mut values)?;
        Ok(values)
    }

    /// One crop of a given picture, as if its turn came at this place: to look at what training does with it.
    ///
    /// # Errors
    /// What reading the file returns; `Usage` for an index beyond the list.
    pub fn crop_of(&self, index: usize, step: u64, slot: u32) -> Result<Vec<f32>> {
        self.check_index(index)?;
        // Training would take the next picture in place of one that cannot be read.
        self.load(index)?;
        let side = self.config.side_px as usize;
        let mut values = vec![0.0; side * side * 4];
        self.write_crop_of(index, step, slot, &mut values)?;
        Ok(values)
    }

    /// All crops of a step, `batch × side × side × 4`, on all cores.
    ///
    /// # Errors
    /// As [`Crops::crop`].
    pub fn batch(&self, step: u64) -> Result<Vec<f32>> {
        let side = self.config.side_px as usize;
        let crop_len = side * side * 4;
        let mut values = vec![0.0; crop_len * self.config.batch_size as usize];
        values
            .par_chunks_exact_mut(crop_len)
            .enumerate()
            .try_for_each(|(slot, out)| self.write_crop(step, slot as u32, out))?;
        Ok(values)
    }

    /// The middle of a picture for evaluation, no side longer than `max_side_px`: as stored in the working copy, cut
    /// to multiples of 16; sides below 16 are padded by repeating the edge.
    ///
    /// # Errors
    /// What reading the file returns; `Usage` for an index beyond the list.
    pub fn centre(&self, index: usize, max_side_px: u32) -> Result<PixelWindow> {
        self.check_index(index)?;
        let picture = self.load(index)?;
        let cut = |side: u32| (side.min(max_side_px) / 16 * 16).max(16);
        let (width, height) = (cut(picture.width), cut(picture.height));
        let offset = |side: u32, cut: u32| ((i64::from(side) - i64::from(cut)) / 2) as f64;
        let mut values = vec![0.0; width as usize * height as usize * 4];
        let view = View {
            x: offset(picture.width, width),
            y: offset(picture.height, height),
            step: 1.0,
            is_flipped_x: false,
            is_flipped_y: false,
        };
        let mut target = TensorArea {
            values: &mut values,
            stride_px: width as usize,
            x: 0,
            y: 0,
            width: width as usize,
            height: height as usize,
        };
        write_view(&picture, &view, &mut target);
        Ok(PixelWindow {
            width: width as usize,
            height: height as usize,
            values,
        })
    }

    fn check_index(&self, index: usize) -> Result<()> {
        let count = self.sources.len();
        if index < count {
            return Ok(());
        }
        Err(Error::usage(
            "could not load the picture",
            format!("there are {count} pictures, number {index} was asked for"),
            "",
        ))
    }

    fn write_crop(&self, step: u64, slot: u32, out: &mut [f32]) -> Result<()> {
        self.write_crop_of(self.index_at(step, slot), step, slot, out)
    }

    fn write_crop_of(&self, index: usize, step: u64, slot: u32, out: &mut [f32]) -> Result<()> {
        let mut dice = Dice::new(self.config.seed, "crop", step, u64::from(slot));
        let side = self.config.side_px;
        let longest = self.sources[index].width.max(self.sources[index].height);
        // Small pictures share a crop, in cells just large enough for the one whose turn it is.
        let cell = self
            .small
            .range(longest..)
            .next()
            .map_or(side, |(cell, _)| *cell);
        let cells = side / cell;
        let own = dice.below(u64::from(cells * cells)) as u32;
        for i in 0..cells * cells {
            let index = match self.small.get(&cell) {
                Some(fitting) if i != own => {
                    fitting[dice.below(fitting.len() as u64) as usize] as usize
                }
                _ => index,
            };
            let picture = self.load_or_next(index)?;
            let mut target = TensorArea {
                values: &mut *out,
                stride_px: side as usize,
                x: (i % cells * cell) as usize,
                y: (i / cells * cell) as usize,
                width: cell as usize,
                height: cell as usize,
            };
            let view = self.choose_view(&mut dice, &picture, cell);
            write_view(&picture, &view, &mut target);
        }
        self.jitter_colour(&mut dice, out);
        Ok(())
    }

    fn choose_view(&self, dice: &mut Dice, picture: &Premultiplied, cell: u32) -> View {
        let augment = &self.config.augment;
        let cell = f64::from(cell);
        let shorter = f64::from(picture.width.min(picture.height));
        let largest_step = 1.0 / f64::from(augment.min_scale.clamp(0.05, 1.0));
        // Shrink a large picture as far as it still fills the crop, a small one a little.
        let most = (shorter / cell).max(1.25).min(largest_step);
        let is_shrunk = dice.coin();
        let drawn = most.powf(dice.unit());
        let step = if is_shrunk && drawn >= MIN_STEP {
            drawn
        } else {
            1.0
        };
        let mut place = |side: u32| {
            let (side, extent) = (f64::from(side), cell * step);
            let room = side - extent;
            let (mut from, mut to) = (room.min(0.0), room.max(0.0));
            if (0.0..extent / 4.0).contains(&room) {
                // Hardly any choice: let up to an eighth hang over the edge, so that the cells fall differently.
                from -= extent / 8.0;
                to += extent / 8.0;
            }
            let at = from + (to - from) * dice.unit();
            if step == 1.0 { at.round() } else { at }
        };
        let (x, y) = (place(picture.width), place(picture.height));
        View {
            x,
            y,
            step,
            is_flipped_x: dice.coin() && augment.flips_x,
            is_flipped_y: dice.coin() && augment.flips_y,
        }
    }

    fn jitter_colour(&self, dice: &mut Dice, values: &mut [f32]) {
        let augment = &self.config.augment;
        let brightness = 1.0 + augment.brightness * dice.signed();
        let turn = augment.hue_degrees * dice.signed();
        if augment.brightness == 0.0 && augment.hue_degrees == 0.0 {
            return;
        }
        let matrix = hue_rotation(turn.to_radians());
        for p in values.chunks_exact_mut(4) {
            let colour = [p[0], p[1], p[2]].map(|v| (v + 1.0) * 0.5 * brightness);
            // Premultiplied colour never exceeds alpha.
            let alpha = (p[3] + 1.0) * 0.5;
            for (v, row) in p.iter_mut().zip(&matrix) {
                let turned = row[0] * colour[0] + row[1] * colour[1] + row[2] * colour[2];
                *v = turned.clamp(0.0, alpha) * 2.0 - 1.0;
            }
        }
    }

    /// Each picture once per epoch, in an order shuffled per epoch.
    fn index_at(&self, step: u64, slot: u32) -> usize {
        let n = self.sources.len() as u64;
        let place = u128::from(step) * u128::from(self.config.batch_size) + u128::from(slot);
        let epoch = (place / u128::from(n)) as u64;
        let within = (place % u128::from(n)) as usize;
        let known = lock(&self.orders).get(&epoch).cloned();
        let order = known.unwrap_or_else(|| {
            let order = shuffled(n as u32, self.config.seed, epoch);
            let mut orders = lock(&self.orders);
            // A batch may span two epochs; the others are not needed again.
            while orders.len() > 1 {
                orders.pop_first();
            }
            orders.insert(epoch, Arc::clone(&order));
            order
        });
        order[within] as usize
    }

    fn load_or_next(&self, index: usize) -> Result<Arc<Premultiplied>> {
        let n = self.sources.len();
        for i in 0..n.min(MAX_FAILURES) {
            let index = (index + i) % n;
            if lock(&self.warnings).by_source.get(&index) == Some(&false) {
                continue;
            }
            match self.load(index) {
                Ok(picture) => return Ok(picture),
                Err(error) => self.warn(index, false, *error.notice),
            }
        }
        Err(no_pictures("none of them can be read any more"))
    }

    /// One warning per picture; `is_usable` false keeps it from being tried again.
    fn warn(&self, index: usize, is_usable: bool, notice: Notice) {
        let mut warnings = lock(&self.warnings);
        if warnings.by_source.insert(index, is_usable).is_none() {
            warnings.pending.push(notice);
        }
    }

    fn load(&self, index: usize) -> Result<Arc<Premultiplied>> {
        {
            let mut cache = lock(&self.cache);
            cache.clock += 1;
            let clock = cache.clock;
            if let Some((used, copy)) = cache.copies.get_mut(&index) {
                *used = clock;
                return Ok(Arc::clone(copy));
            }
        }
        let copy = Arc::new(self.decode(index)?);
        let mut cache = lock(&self.cache);
        let bytes = copy.rgba.len() as u64;
        while cache.bytes + bytes > self.config.cache_bytes {
            let Some(oldest) = cache
                .copies
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(i, _)| *i)
            else {
                break;
            };
            if let Some((_, old)) = cache.copies.remove(&oldest) {
                cache.bytes -= old.rgba.len() as u64;
            }
        }
        if cache.bytes + bytes <= self.config.cache_bytes {
            let clock = cache.clock;
            let before = cache.copies.insert(index, (clock, Arc::clone(&copy)));
            // Two threads may have loaded the same picture.
            cache.bytes += bytes - before.map_or(0, |(_, old)| old.rgba.len() as u64);
        }
        Ok(copy)
    }

    fn decode(&self, index: usize) -> Result<Premultiplied> {
        let source = &self.sources[index];
        let limits = &self.config.limits;
        let at = |e: Error| e.at(&source.path);
        let bytes = decode::read_file(&source.path, limits)?;
        let header = probe_bytes(&bytes, limits).map_err(at)?;
        let _pass = self.gate.enter(header.decode_bytes);
        if *blake3::hash(&bytes).as_bytes() != source.content_hash {
            let notice = Notice::new(
                "the picture changed since it was imported",
                "its bytes are not those of the import",
                "Import the folder again to bring its thumbnail and flags up to date",
            );
            self.warn(index, true, notice.at(&source.path));
        }
        let decoded = decode_bytes(&bytes, limits).map_err(at)?;
        drop(bytes);
        let size = (decoded.width, decoded.height);
        let target = fit(size.0, size.1, self.working_side_px);
        Ok(Premultiplied::shrunk(&decoded.rgba8, size, target))
    }
}

fn no_pictures(why: &str) -> Error {
    Error::new(
        Kind::NoPictures,
        "there are no pictures to train on",
        why,
        "Import a folder with at least one readable picture that is not excluded",
    )
}

fn largest_working_side(sources: &[CropSource], cache_bytes: u64) -> u32 {
    let bytes_at = |side: u32| -> u64 {
        sources
            .iter()
            .map(|s| {
                let (w, h) = fit(s.width, s.height, side);
                u64::from(w) * u64::from(h) * 4
            })
            .sum()
    };
    WORKING_SIDES_PX
        .into_iter()
        .find(|side| bytes_at(*side) <= cache_bytes)
        .unwrap_or(WORKING_SIDES_PX[WORKING_SIDES_PX.len() - 1])
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing inside is left half-changed by a panic: the maps are caches.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random numbers from BLAKE3: the same on every machine and in every version.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64, purpose: &str, a: u64, b: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tessera training crops v1");
        hasher.update(purpose.as_bytes());
        for v in [seed, a, b] {
            hasher.update(&v.to_le_bytes());
        }
        Self(hasher.finalize_xof())
    }

    fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// 0..1.
    fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// −1..1.
    fn signed(&mut self) -> f32 {
        (self.unit() * 2.0 - 1.0) as f32
    }

    fn coin(&mut self) -> bool {
        self.word() & 1 == 1
    }

    /// 0..n; n is not 0.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }
}

fn shuffled(n: u32, seed: u64, epoch: u64) -> Arc<[u32]> {
    let mut order: Vec<u32> = (0..n).collect();
    let mut dice = Dice::new(seed, "order", epoch, 0);
    for i in (1..order.len()).rev() {
        order.swap(i, dice.below(i as u64 + 1) as usize);
    }
    order.into()
}

/// Turns the colour about the grey axis.
fn hue_rotation(radians: f32) -> [[f32; 3]; 3] {
    let (sin, cos) = radians.sin_cos();
    let third = (1.0 - cos) / 3.0;
    let root = sin / 3f32.sqrt();
    [
        [cos + third, third - root, third + root],
        [third + root, cos + third, third - root],
        [third - root, third + root, cos + third],
    ]
}
