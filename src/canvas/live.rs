//! The canvas while it is painted on: a dab computes only what it can change.
//!
//! Trunk activations of the codes as edited and as encoded are kept in tiles, block by block; a dab
//! recomputes those it reaches, in place, and the head runs on the window alone. Pixels of the
//! codes as encoded never change and are kept too. Tiles that no edit can reach are shared between
//! the two. All of it is bounded by a budget and can be computed again at any time, so a stroke
//! costs the same on a canvas of any size.

use std::sync::Arc;

use super::cache::TileCache;
use super::composite::{Target, Version, WindowDecoder, composite};
use super::decode::{Chain, Reach, tiles};
use super::influence::Edits;
use super::passes::{Blend, blend};
use super::residual::ForeignTiles;
use super::stages::{Caches, Stages};
use crate::codec::Codec;
use crate::document::{
    CellDelta, Codebooks, Codes, CoordinateGrid, DETAIL_STRIDE_PX, Dirty, Document, EMPTY,
    Geometry, LayerStack, Level, Pass, Raster, Rect, Samples, SamplesMut, Source, Sources, Wrap,
    code_from_raw,
};
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;

/// How far a detail cell's texture can be seen beyond it: as far as painted structure fades.
const CARRIED_REACH_PX: u32 = 16;
/// Patches are composited in squares of this side.
const PATCH_TILE_PX: u32 = 512;
/// A view is warmed in squares of this side: smaller ones would compute their surroundings more often.
const WARM_TILE_PX: u32 = 1024;

/// Finished pixels of a rectangle of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// In picture pixels.
    pub rect: Rect,
    /// `rect.width × rect.height × 4`, straight alpha.
    pub samples: Samples,
}

/// A document's pixels, kept up to date with its codes.
#[derive(Debug)]
pub struct LiveCanvas {
    codec: Arc<Codec>,
    geometry: Geometry,
    wrap: Wrap,
    source: Source,
    encoded: Arc<Codes>,
    sources: Sources,
    layers: LayerStack,
    /// At least one; the last one's codes are those of the whole picture.
    passes: Vec<LivePass>,
    encoded_cache: TileCache,
    foreign: ForeignTiles,
    budget_bytes: u64,
}

/// One decode: the codes under the layers up to some place, where they come from, and what is known of their pixels.
#[derive(Debug)]
struct LivePass {
    pass: Pass,
    codes: Codes,
    coordinates: CoordinateGrid,
    cache: TileCache,
}

impl LiveCanvas {
    /// Enough for 6 to 10 megapixels of canvas in use; a smaller canvas takes less. With a quarter of it, strokes across a picture of
    /// 2048² met cold tiles, and a dab took seconds.
    pub const DEFAULT_BUDGET_BYTES: u64 = 512 << 20;

    /// The canvas of a document as it is now. Nothing is computed yet.
    ///
    /// # Errors
    /// `Unsupported` for a codec that does not fit documents; `Usage` for codes that it does not have.
    pub fn new(codec: Arc<Codec>, document: &Document, budget_bytes: u64) -> Result<Self> {
        Chain::new(&codec, document.geometry(), document.wrap())?;
        let codebooks = codebooks_of(&codec);
        for codes in [document.encoded(), document.edited()] {
            codes.check(document.geometry(), Some(codebooks))?;
        }
        let layers = document.layers().clone();
        let passes = match layers.passes().as_slice() {
            [only] => vec![LivePass {
                pass: only.clone(),
                codes: Codes::clone(document.edited()),
                coordinates: CoordinateGrid::clone(document.coordinates()),
                cache: TileCache::default(),
            }],
            several => (several.iter())
                .map(|pass| {
                    let geometry = document.geometry();
                    LivePass::new(pass.clone(), &layers, document.encoded(), geometry)
                })
                .collect(),
        };
        for pass in &passes[..passes.len() - 1] {
            (pass.codes).check(document.geometry(), Some(codebooks))?;
        }
        Ok(Self {
            codec,
            geometry: document.geometry(),
            wrap: document.wrap(),
            source: document.source().clone(),
            encoded: Arc::clone(document.encoded()),
            sources: document.sources().clone(),
            layers,
            passes,
            encoded_cache: TileCache::default(),
            foreign: ForeignTiles::default(),
            budget_bytes,
        })
    }

    /// The codes as the canvas shows them.
    pub fn edited(&self) -> &Codes {
        &self.passes[self.passes.len() - 1].codes
    }

    /// What the caches hold, in bytes.
    pub fn cached_bytes(&self) -> u64 {
        let own: u64 = self.passes.iter().map(|pass| pass.cache.bytes()).sum();
        self.encoded_cache.bytes() + own
    }

    /// How far a change reaches.
    pub fn reach(&self) -> Reach {
        let field = self.codec.receptive_field();
        Reach {
            structure_px: field.structure.decode_px as u32,
            detail_px: field.detail.decode_px as u32,
        }
    }

    /// Takes changes of the picture's codes over and returns the rectangles (padded pixels) that may look
    /// different now. The cells are painted: they come from no other place. For pictures of one decode;
    /// [`LiveCanvas::follow`] is for all.
    ///
    /// # Errors
    /// `Usage` for a cell outside the canvas or a code that the model does not have; `Internal` where layers
    /// are blended.
    pub fn apply(&mut self, deltas: &[CellDelta]) -> Result<Dirty> {
        self.change(deltas.iter().map(|d| (d.level, d.index, d.after)))
    }

    /// Takes changes back, as undo does.
    ///
    /// # Errors
    /// As [`LiveCanvas::apply`].
    pub fn revert(&mut self, deltas: &[CellDelta]) -> Result<Dirty> {
        self.change(deltas.iter().rev().map(|d| (d.level, d.index, d.before)))
    }

    fn change(
        &mut self,
        changes: impl Iterator<Item = (Level, u32, u16)> + Clone,
    ) -> Result<Dirty> {
        if self.passes.len() > 1 {
            return Err(Error::new(
                Kind::Internal,
                "could not paint",
                "the layers are blended",
                "",
            ));
        }
        for (level, index, raw) in changes.clone() {
            self.check(level, index, raw)?;
        }
        let cells: Vec<_> = changes.collect();
        let dirty = self.reached(cells.iter().map(|(level, index, _)| (*level, *index)));
        self.set(0, &cells)?;
        if !self.passes[0].coordinates.is_empty() {
            for index in self.details_of(cells.iter().map(|(level, index, _)| (*level, *index))) {
                self.passes[0].coordinates.set(index, None);
            }
        }
        Ok(dirty)
    }

    /// The detail cells among cells, and under structure cells among them.
    fn details_of(&self, cells: impl IntoIterator<Item = (Level, u32)>) -> Vec<u32> {
        let geometry = self.geometry;
        let columns = geometry.grid_width(Level::Detail);
        (cells.into_iter())
            .flat_map(|(level, index)| {
                let cells = geometry
                    .cell_pixels(level, index)
                    .to_cells(DETAIL_STRIDE_PX);
                (cells.y..cells.bottom())
                    .flat_map(move |y| (cells.x..cells.right()).map(move |x| y * columns + x))
            })
            .collect()
    }

    /// Takes over where the pictures that cells come from are found, and which there are.
    pub fn set_sources(&mut self, sources: Sources) {
        self.sources = sources;
    }

    /// Takes over what has changed in the layers' cells. `cells` are all that did; which layers there are and
    /// how they are shown must be as before. Returns what may look different now.
    ///
    /// # Errors
    /// As [`LiveCanvas::apply`].
    pub fn follow(&mut self, layers: LayerStack, cells: &[(Level, u32)]) -> Result<Dirty> {
        let before = self.reached(cells.iter().copied());
        self.layers = layers;
        for place in 0..self.passes.len() {
            let mut changes = Vec::new();
            for &(level, index) in cells {
                let raw = self.code_in(place, level, index);
                self.check(level, index, raw)?;
                if self.passes[place].codes.level(level).raw_at(index) != Some(raw) {
                    changes.push((level, index, raw));
                }
            }
            self.set(place, &changes)?;
            self.follow_coordinates(place, cells);
        }
        let mut dirty = self.reached(cells.iter().copied());
        dirty.extend(&before);
        Ok(dirty)
    }

    fn follow_coordinates(&mut self, place: usize, cells: &[(Level, u32)]) {
        let pass = &self.passes[place];
        if pass.coordinates.is_empty() && !self.layers.has_coordinates() {
            return;
        }
        let count = pass.pass.layers.end;
        for index in self.details_of(cells.iter().copied()) {
            let over = self.geometry.structure_over(index);
            let from = self.layers.coordinate_of(count, index, over);
            self.passes[place].coordinates.set(index, from);
        }
    }

    /// Takes over other layers, or layers shown differently. Returns what may look different now.
    ///
    /// # Errors
    /// `Usage` for codes that the model does not have.
    pub fn rearrange(&mut self, layers: LayerStack) -> Result<Dirty> {
        crate::window_thread::count_blocking("decoding");
        let fresh: Vec<LivePass> = (layers.passes().into_iter())
            .map(|pass| LivePass::new(pass, &layers, &self.encoded, self.geometry))
            .collect();
        let codebooks = codebooks_of(&self.codec);
        for pass in &fresh {
            pass.codes.check(self.geometry, Some(codebooks))?;
        }
        let is_one = self.passes.len() == 1 && fresh.len() == 1;
        let mut cells = Vec::new();
        for level in Level::ALL {
            if is_one && self.passes[0].pass.opacity_percent == fresh[0].pass.opacity_percent {
                let pairs = (self.passes[0].codes.level(level).cells().iter())
                    .zip(fresh[0].codes.level(level).cells());
                let differing = (0u32..).zip(pairs).filter(|(_, (old, new))| old != new);
                cells.extend(differing.map(|(index, _)| (level, index)));
                if level == Level::Detail {
                    let (old, new) = (&self.passes[0].coordinates, &fresh[0].coordinates);
                    let moved = (old.iter().chain(new.iter()))
                        .filter(|(index, _)| old.get(*index) != new.get(*index));
                    cells.extend(moved.map(|(index, _)| (level, index)));
                }
            } else {
                for stack in [&self.layers, &layers] {
                    for layer in stack.layers() {
                        cells.extend(layer.changed().filter(|(at, _)| *at == level));
                    }
                }
            }
        }
        let mut dirty = self.reached(cells.iter().copied());
        self.layers = layers;
        self.passes = fresh;
        dirty.extend(&self.reached(cells));
        Ok(dirty)
    }

    /// The stored code of a cell in a pass.
    fn code_in(&self, place: usize, level: Level, index: u32) -> u16 {
        (self.layers)
            .code_of(self.passes[place].pass.layers.end, level, index)
            .or_else(|| self.encoded.level(level).raw_at(index))
            .unwrap_or(EMPTY)
    }

    fn check(&self, level: Level, index: u32, raw: u16) -> Result<()> {
        let config = self.codec.config();
        let codes = match level {
            Level::Structure => config.structure.codes,
            Level::Detail => config.detail.codes,
        };
        let known = match code_from_raw(raw) {
            Some(code) => usize::from(code) < codes,
            None => level == Level::Detail,
        };
        if known && (index as usize) < self.geometry.cell_count(level) {
            return Ok(());
        }
        Err(Error::usage(
            "could not paint",
            format!("{level} cell {index} cannot have code {raw}"),
            "",
        ))
    }

    /// The rectangles (padded pixels) that changes of these cells reach.
    pub fn reached(&self, cells: impl IntoIterator<Item = (Level, u32)>) -> Dirty {
        let (mut structure, mut detail) = (Dirty::default(), Dirty::default());
        for (level, index) in cells {
            let cell = self.geometry.cell_pixels(level, index);
            match level {
                Level::Structure => structure.add(cell),
                Level::Detail => detail.add(cell),
            }
        }
        let mut reach = self.reach();
        if self.passes.iter().any(|pass| !pass.coordinates.is_empty()) {
            // A detail cell that brings its texture changes how far the structure over it fades, and how far the pixels
            // around it keep to their source.
            reach.detail_px = (reach.detail_px)
                .max(CARRIED_REACH_PX)
                .max(reach.structure_px);
        }
        let mut dirty = structure.with_halo(reach.structure_px, self.geometry, self.wrap);
        dirty.extend(&detail.with_halo(reach.detail_px, self.geometry, self.wrap));
        dirty
    }

    /// Sets codes of one pass.
    fn set(&mut self, place: usize, changes: &[(Level, u32, u16)]) -> Result<()> {
        crate::window_thread::count_blocking("decoding");
        let mut structure = Dirty::default();
        for &(level, index, raw) in changes {
            (self.passes[place].codes.level_mut(level)).set(index, code_from_raw(raw));
            if level == Level::Structure {
                structure.add(self.geometry.cell_pixels(level, index));
            }
        }
        self.stages(place)?.1.update(&structure)?;
        self.trim();
        Ok(())
    }

    /// Computes what painting within `rect` (padded pixels) will need, so that the first dab there
    /// is as fast as the others: call it when the view moves. From the middle outwards, as far as the budget goes.
    ///
    /// # Errors
    /// `Internal` when the model fails; `Cancelled`.
    pub fn warm(&mut self, rect: Rect, observer: &dyn Observer) -> Result<()> {
        let rect = rect.intersect(&self.geometry.padded_bounds());
        let middle = (rect.x + rect.width / 2, rect.y + rect.height / 2);
        let mut tiles = tiles(rect, WARM_TILE_PX);
        tiles.sort_by_key(|tile| {
            let x = (tile.x + tile.width / 2).abs_diff(middle.0);
            let y = (tile.y + tile.height / 2).abs_diff(middle.1);
            x.max(y)
        });
        let start = self.encoded_cache.now();
        for tile in tiles {
            for place in 0..self.passes.len() {
                observer.check()?;
                self.stages(place)?.1.warm(tile)?;
                self.trim();
            }
            // More would push out what was just made.
            if self.encoded_cache.bytes_since(start) > self.encoded_budget() / 4 * 3 {
                break;
            }
        }
        Ok(())
    }

    /// The decode of `rect` (within the padded canvas) from the caches, as [`Chain::decode_window`]
    /// gives it; of the codes under all layers.
    ///
    /// # Errors
    /// `Internal` when the model fails.
    pub fn decode(&mut self, version: Version, rect: Rect) -> Result<Vec<f32>> {
        let values = self
            .stages(self.passes.len() - 1)?
            .1
            .decode(version, rect)?;
        self.trim();
        Ok(values)
    }

    /// The finished pixels of `rect` (cut at the picture), with 8 or 16 bits per channel.
    ///
    /// # Errors
    /// `Internal` when the model fails.
    pub fn patch(&mut self, rect: Rect, depth_bits: u8) -> Result<Patch> {
        crate::window_thread::count_blocking("decoding");
        let mut rect = rect.intersect(&self.geometry.bounds());
        if rect.is_empty() {
            // Changes in the padding are seen by nobody.
            rect = Rect::default();
        }
        let samples = match self.blend() {
            None => self.picture(0, rect, depth_bits)?,
            Some(blend) => blend_rect(self, &blend, rect, depth_bits)?,
        };
        self.trim();
        Ok(Patch { rect, samples })
    }

    /// The whole edited picture, as [`super::render_document`] gives it.
    ///
    /// # Errors
    /// As [`super::render_document`].
    pub fn render(&mut self, depth_bits: u8, observer: &dyn Observer) -> Result<Raster> {
        let passes: Vec<_> = (self.passes.iter())
            .map(|pass| (pass.pass.clone(), &pass.codes, &pass.coordinates))
            .collect();
        super::passes::render(
            &self.codec,
            (self.geometry, self.wrap),
            (&self.source, &self.encoded, &self.layers),
            &self.sources,
            &passes,
            depth_bits,
            observer,
        )
    }

    /// The surgical picture of one pass.
    fn picture(&mut self, place: usize, rect: Rect, depth_bits: u8) -> Result<Samples> {
        let source = self.source.clone();
        let mut samples = copy_source(&source, rect, depth_bits);
        let (edits, mut stages) = self.stages(place)?;
        let mut target = Target {
            samples: match &mut samples {
                Samples::Rgba8(s) => SamplesMut::Rgba8(s),
                Samples::Rgba16(s) => SamplesMut::Rgba16(s),
            },
            rect,
        };
        for tile in tiles(rect, PATCH_TILE_PX) {
            composite(&edits, &source, &mut stages, tile, &mut target)?;
        }
        Ok(samples)
    }

    /// How the passes are blended; `None` where the one there is is the picture.
    fn blend(&self) -> Option<Blend> {
        let passes = self.passes.iter().map(|pass| pass.pass.clone()).collect();
        Blend::of(
            passes,
            self.layers.clone(),
            self.geometry,
            self.wrap,
            self.reach(),
        )
    }

    fn trim(&mut self) {
        let dropped = self.encoded_cache.trim(self.encoded_budget());
        let left = self.budget_bytes.saturating_sub(self.encoded_cache.bytes());
        let share = left / self.passes.len() as u64;
        for pass in &mut self.passes {
            pass.cache.drop_shared(&dropped);
            pass.cache.trim(share);
        }
    }

    /// All that edits have not made their own, and two thirds at least: it is as much needed at every dab.
    fn encoded_budget(&self) -> u64 {
        let own: u64 = self.passes.iter().map(|pass| pass.cache.bytes()).sum();
        self.budget_bytes - own.min(self.budget_bytes / 3)
    }

    fn stages(&mut self, place: usize) -> Result<(Edits<'_>, Stages<'_>)> {
        let chain = Chain::new(&self.codec, self.geometry, self.wrap)?;
        let pass = &mut self.passes[place];
        let edits = Edits {
            geometry: self.geometry,
            wrap: self.wrap,
            encoded: &self.encoded,
            edited: &pass.codes,
            coordinates: &pass.coordinates,
            sources: &self.sources,
        };
        let caches = Caches {
            encoded: &mut self.encoded_cache,
            edited: &mut pass.cache,
        };
        let stages = Stages {
            chain,
            edits,
            caches,
            codec: &self.codec,
            foreign: &mut self.foreign,
        };
        Ok((edits, stages))
    }
}

impl LivePass {
    fn new(pass: Pass, layers: &LayerStack, encoded: &Codes, geometry: Geometry) -> Self {
        Self {
            codes: layers.compose(pass.layers.end, encoded),
            coordinates: layers.compose_coordinates(pass.layers.end, geometry),
            pass,
            cache: TileCache::default(),
        }
    }
}

fn codebooks_of(codec: &Codec) -> Codebooks {
    let config = codec.config();
    Codebooks {
        structure: config.structure.codes as u32,
        detail: config.detail.codes as u32,
    }
}

fn blend_rect(canvas: &mut LiveCanvas, how: &Blend, rect: Rect, depth_bits: u8) -> Result<Samples> {
    let start = copy_source(&canvas.source, rect, depth_bits);
    blend(how, rect, start, |place| {
        canvas.picture(place, rect, depth_bits)
    })
}

pub(super) fn copy_source(source: &Source, rect: Rect, depth_bits: u8) -> Samples {
    let rows = (rect.y..rect.bottom()).map(|y| {
        let start = (y as usize * source.width() as usize + rect.x as usize) * 4;
        start..start + rect.width as usize * 4
    });
    match (depth_bits, source.rgba16()) {
        (8, _) => Samples::Rgba8(
            rows.flat_map(|row| source.rgba8()[row].iter().copied())
                .collect(),
        ),
        (_, Some(rgba16)) => {
            Samples::Rgba16(rows.flat_map(|row| rgba16[row].iter().copied()).collect())
        }
        (_, None) => Samples::Rgba16(
            rows.flat_map(|row| source.rgba8()[row].iter())
                .map(|&v| crate::document::to_16_bit(v))
                .collect(),
        ),
    }
}
