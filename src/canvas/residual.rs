//! Texture that cells bring from where they were copied.
//!
//! The residual of a place is what its picture has and the decode of its codes as encoded lacks: `R = S − D(r)`, in premultiplied
//! sRGB. A cell with a coordinate carries the residual there, an untouched one that of its own place, a painted one
//! none. Neighbours whose places continue each other are one run; where runs meet, both are carried on for a few
//! pixels and faded into each other, so that nothing shows where a piece was put down. Of residuals that fade into each
//! other the variance stays: the mean of two unlike ones would be a blurred line. (A residual has almost no mean of its
//! own: what is low in frequency is decoded.) Pieces of flat or cut-out pictures are cut instead: see [`super::cut`].
//!
//! Another picture of a source's size (normals, heights) is put together in the same way by [`super::map`], which keeps the
//! mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cache::{Layer, TILE_PX, TileCache};
use super::composite::WindowDecoder;
use super::cut;
use super::decode::Chain;
use super::influence::Edits;
use super::stages::batches;
use crate::codec::Codec;
use crate::document::{
    Coordinate, DETAIL_STRIDE_PX, Geometry, Level, OWN_SOURCE, Rect, Source, SourcePicture,
};
use crate::error::{Error, Kind, Result};

/// Decoded tiles of other pictures are kept up to this many bytes.
const FOREIGN_BUDGET_BYTES: u64 = 128 << 20;
/// How much the cell before, the cell itself and the cell after count at each pixel of a cell: the share of a Gaussian (σ = 2 px)
/// about the pixel that lies in each.
const SHARES: [[f32; 3]; DETAIL_STRIDE_PX as usize] = [
    [0.3939, 0.5656, 0.0405],
    [0.2244, 0.6701, 0.1055],
    [0.1055, 0.6701, 0.2244],
    [0.0405, 0.5656, 0.3939],
];

/// How far away a cell's texture comes from, in detail cells. On an axis on which the own picture wraps, a distance within
/// it is never negative, so that it is the same on both sides of the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    source: u16,
    x: i32,
    y: i32,
}

const STAYS: Shift = Shift {
    source: OWN_SOURCE,
    x: 0,
    y: 0,
};

/// What stays as it is where values of several places are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Variance,
    Mean,
}

/// The coordinates of a region, and the pictures that they name.
#[derive(Debug)]
pub(super) struct Carried<'a> {
    edits: Edits<'a>,
    pictures: BTreeMap<u16, Arc<SourcePicture>>,
}

impl<'a> Carried<'a> {
    /// Of a rectangle of detail cells and `margin` cells around it. `None` where no cell comes from elsewhere.
    pub fn around(edits: &Edits<'a>, cells: Rect, margin: u32) -> Option<Self> {
        if edits.coordinates.is_empty() {
            return None;
        }
        let mut numbers = BTreeSet::new();
        let mut any = false;
        for index in edits.around(cells, margin).flatten() {
            if let Some(coordinate) = edits.coordinates.get(index) {
                numbers.insert(coordinate.source);
                any = true;
            }
        }
        any.then(|| Self {
            edits: *edits,
            pictures: (numbers.into_iter())
                .filter_map(|number| Some((number, edits.sources.picture(number)?)))
                .collect(),
        })
    }

    /// Where a cell comes from, if that is elsewhere, and known.
    pub fn moved(&self, index: u32) -> Option<Coordinate> {
        let coordinate = self.edits.coordinates.get(index)?;
        let geometry = self.geometry_of(coordinate.source)?;
        let stays = coordinate == Coordinate::own(self.edits.geometry, index)
            && self.edits.is_as_encoded(index);
        (coordinate.is_within(geometry) && !stays).then_some(coordinate)
    }

    fn geometry_of(&self, source: u16) -> Option<Geometry> {
        match source {
            OWN_SOURCE => Some(self.edits.geometry),
            _ => Some(self.pictures.get(&source)?.source.geometry()),
        }
    }

    /// How far the texture of a cell is; `None` for a painted cell and beyond the canvas. `at` counts on beyond the
    /// borders of a canvas that wraps.
    fn shift(&self, at: (i64, i64)) -> Option<Shift> {
        let index = self.edits.cell(at)?;
        let Some(from) = self.moved(index) else {
            return self.edits.is_as_encoded(index).then_some(STAYS);
        };
        let (x, y) = (i64::from(from.x) - at.0, i64::from(from.y) - at.1);
        let (geometry, wrap) = (self.edits.geometry, self.edits.wrap);
        let within = |way: i64, cells: u32, wraps: bool| {
            let wraps = wraps && from.source == OWN_SOURCE;
            let way = if wraps {
                way.rem_euclid(i64::from(cells))
            } else {
                way
            };
            way as i32 // both ends lie within a picture
        };
        Some(Shift {
            source: from.source,
            x: within(x, geometry.grid_width(Level::Detail), wrap.x),
            y: within(y, geometry.grid_height(Level::Detail), wrap.y),
        })
    }

    /// The pixel that a shift leads to from a pixel of the canvas, where that picture has one.
    fn pixel(&self, shift: Shift, (x, y): (u32, u32)) -> Option<(u32, u32)> {
        let geometry = self.geometry_of(shift.source)?;
        let padded = geometry.padded_bounds();
        let along = |at: u32, way: i32, size: u32, padded: u32, wraps: bool| {
            let to = i64::from(at) + i64::from(way) * i64::from(DETAIL_STRIDE_PX);
            let wraps = wraps && shift.source == OWN_SOURCE;
            let to = if wraps {
                to.rem_euclid(i64::from(padded))
            } else {
                to
            };
            u32::try_from(to).ok().filter(|to| *to < size)
        };
        let wrap = self.edits.wrap;
        Some((
            along(x, shift.x, geometry.width(), padded.width, wrap.x)?,
            along(y, shift.y, geometry.height(), padded.height, wrap.y)?,
        ))
    }

    /// What the cells of a rectangle of detail cells carry. Decodes what their places need.
    pub fn texture(
        &self,
        own: &Source,
        decoder: &mut impl WindowDecoder,
        cells: Rect,
    ) -> Result<Texture<'_>> {
        let join = decoder.join();
        let mut blends = Vec::with_capacity(cells.area() as usize);
        let mut wanted: BTreeMap<u16, BTreeSet<(u32, u32)>> = BTreeMap::new();
        // Shifts of three rows at a time would save little: most of the time goes into decoding.
        let width = cells.width as usize + 2;
        let shifts: Vec<Option<Shift>> = (-1..=i64::from(cells.height))
            .flat_map(|y| (-1..=i64::from(cells.width)).map(move |x| (x, y)))
            .map(|(x, y)| self.shift((i64::from(cells.x) + x, i64::from(cells.y) + y)))
            .collect();
        for y in 0..cells.height as usize {
            for x in 0..cells.width as usize {
                let around: [Option<Shift>; 9] =
                    std::array::from_fn(|i| shifts[(y + i / 3) * width + x + i % 3]);
                let blend = Blend::of(around);
                let corner = (cells.x + x as u32, cells.y + y as u32);
                for shift in blend.shifts() {
                    let corner = (corner.0 * DETAIL_STRIDE_PX, corner.1 * DETAIL_STRIDE_PX);
                    // The first pixel of a cell is in its picture where any is.
                    if let Some((x, y)) = self.pixel(shift, corner) {
                        let tiles = wanted.entry(shift.source).or_default();
                        tiles.insert((x / TILE_PX, y / TILE_PX));
                    }
                }
                blends.push(blend);
            }
        }
        let mut tiles = HashMap::new();
        for (source, wanted) in wanted {
            let places: Vec<(u32, u32)> = wanted.into_iter().collect();
            let picture = self.pictures.get(&source).map(AsRef::as_ref);
            let found = decoder.encoded_tiles((source, picture), &places)?;
            for (place, values) in places.into_iter().zip(found) {
                tiles.insert((source, place), values);
            }
        }
        // Maps are put together by the coordinates alone.
        let hardness = match join {
            Join::Variance => (tiles.keys().map(|(number, _)| *number))
                .chain([OWN_SOURCE])
                .collect::<BTreeSet<u16>>()
                .into_iter()
                .filter_map(|number| match number {
                    OWN_SOURCE => Some((number, cut::hardness(own))),
                    _ => Some((number, cut::hardness(&self.pictures.get(&number)?.source))),
                })
                .collect(),
            Join::Mean => BTreeMap::new(),
        };
        Ok(Texture {
            carried: self,
            hardness,
            own: own.clone(),
            join,
            cells,
            blends,
            tiles,
        })
    }
}

/// Which runs meet in a cell.
#[derive(Debug)]
enum Blend {
    /// The cell and all around it are where they always were, or it is painted.
    Own,
    One(Shift),
    Several(Box<[Run]>),
}

/// The cells around one, row by row and bit by bit, that continue each other.
#[derive(Debug)]
struct Run {
    shift: Shift,
    cells: u16,
}

impl Blend {
    fn of(around: [Option<Shift>; 9]) -> Self {
        let Some(middle) = around[4] else {
            return Self::Own;
        };
        let is_one = around.iter().flatten().all(|shift| *shift == middle);
        match (is_one, middle == STAYS) {
            (true, true) => Self::Own,
            (true, false) => Self::One(middle),
            (false, _) => {
                let mut runs: Vec<Run> = Vec::with_capacity(4);
                for (i, shift) in around.into_iter().enumerate() {
                    let Some(shift) = shift else { continue };
                    match runs.iter_mut().find(|run| run.shift == shift) {
                        Some(run) => run.cells |= 1 << i,
                        None => runs.push(Run {
                            shift,
                            cells: 1 << i,
                        }),
                    }
                }
                Self::Several(runs.into_boxed_slice())
            }
        }
    }

    fn shifts(&self) -> Vec<Shift> {
        match self {
            Self::Own => Vec::new(),
            Self::One(shift) => vec![*shift],
            Self::Several(runs) => runs.iter().map(|run| run.shift).collect(),
        }
    }
}

/// What a pixel has from where its cell was copied. All premultiplied, 0 to 1 a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    /// What the decode gets in place of what it lacks here.
    pub residual: [f32; 4],
    /// The pixels of the pieces themselves, and how far they stand in for the decode, 0 to 1.
    pub cut: Option<(f32, [f32; 4])>,
}

/// A source, and column and row of a tile of it.
type TilePlace = (u16, (u32, u32));

/// What the cells of a rectangle carry.
#[derive(Debug)]
pub(super) struct Texture<'a> {
    carried: &'a Carried<'a>,
    own: Source,
    join: Join,
    /// By source: see [`cut::hardness`].
    hardness: BTreeMap<u16, f32>,
    cells: Rect,
    blends: Vec<Blend>,
    /// Decodes as encoded, by source and place of the tile.
    tiles: HashMap<TilePlace, Arc<Vec<f32>>>,
}

impl Texture<'_> {
    /// Whether no pixel of its cells has its own residual.
    pub fn is_everywhere(&self) -> bool {
        !self.blends.iter().any(|blend| matches!(blend, Blend::Own))
    }

    /// What a pixel of the canvas brings, whose decode is `decoded` (0 to 1 a channel); `None` where it is the pixel's own.
    pub fn at(&self, (x, y): (u32, u32), decoded: [f32; 4]) -> Option<Brought> {
        let (cell_x, cell_y) = (x / DETAIL_STRIDE_PX, y / DETAIL_STRIDE_PX);
        if !self.cells.contains(cell_x, cell_y) {
            return None;
        }
        let at = (cell_y - self.cells.y) as usize * self.cells.width as usize
            + (cell_x - self.cells.x) as usize;
        match &self.blends[at] {
            Blend::Own => None,
            Blend::One(shift) => {
                let found = self.residual(*shift, (x, y));
                Some(Brought {
                    residual: found.map(|(residual, _)| residual).unwrap_or_default(),
                    cut: found.map(|(_, pixel)| (self.hardness(*shift), pixel)),
                })
            }
            Blend::Several(runs) => Some(self.joined(runs, (x, y), decoded)),
        }
    }

    /// Where runs meet.
    fn joined(&self, runs: &[Run], (x, y): (u32, u32), decoded: [f32; 4]) -> Brought {
        let across = SHARES[(x % DETAIL_STRIDE_PX) as usize];
        let down = SHARES[(y % DETAIL_STRIDE_PX) as usize];
        let (mut sum, mut weight, mut squares) = ([0f32; 4], 0f32, 0f32);
        let mut hardness = 1f32;
        let mut pieces = [(0f32, [0f32; 4]); 9];
        let mut count = 0;
        for run in runs {
            if let Some((residual, pixel)) = self.residual(run.shift, (x, y)) {
                let share: f32 = (0..9)
                    .filter(|i| run.cells & (1 << i) != 0)
                    .map(|i| across[i % 3] * down[i / 3])
                    .sum();
                weight += share;
                squares += share * share;
                for (sum, value) in sum.iter_mut().zip(residual) {
                    *sum += share * value;
                }
                hardness = hardness.min(self.hardness(run.shift));
                pieces[count] = (share, pixel);
                count += 1;
            }
        }
        let by = match self.join {
            Join::Variance => squares.sqrt(),
            Join::Mean => weight,
        };
        let residual = match by > 0.0 {
            true => sum.map(|value| value / by),
            false => [0.0; 4],
        };
        let cut = (hardness > 0.0).then(|| {
            let guide = std::array::from_fn(|c| decoded[c] + residual[c]);
            Some((hardness, cut::pixel(&pieces[..count], guide)?))
        });
        Brought {
            residual,
            cut: cut.flatten(),
        }
    }

    fn hardness(&self, shift: Shift) -> f32 {
        self.hardness.get(&shift.source).copied().unwrap_or(0.0)
    }

    /// How far pieces of the canvas's own picture are cut from others.
    pub fn own_hardness(&self) -> f32 {
        self.hardness(STAYS)
    }

    /// The residual at the pixel that a shift leads to, and that pixel, premultiplied.
    fn residual(&self, shift: Shift, pixel: (u32, u32)) -> Option<([f32; 4], [f32; 4])> {
        let (x, y) = self.carried.pixel(shift, pixel)?;
        let source = match shift.source {
            OWN_SOURCE => &self.own,
            number => &self.carried.pictures.get(&number)?.source,
        };
        let tile = (x / TILE_PX, y / TILE_PX);
        let values = self.tiles.get(&(shift.source, tile))?;
        let padded = source.geometry().padded_bounds();
        let width = TILE_PX.min(padded.width - tile.0 * TILE_PX);
        let at = ((y % TILE_PX) * width + x % TILE_PX) as usize * 4;
        let decoded = values.get(at..at + 4)?;
        let pixel = premultiplied(source, (x, y));
        let residual = std::array::from_fn(|c| pixel[c] - (decoded[c] + 1.0) * 0.5);
        Some((residual, pixel))
    }
}

/// A pixel of a picture, 0 to 1 a channel.
pub(super) fn premultiplied(source: &Source, (x, y): (u32, u32)) -> [f32; 4] {
    let at = (y as usize * source.width() as usize + x as usize) * 4;
    let straight: [f32; 4] = match source.rgba16() {
        Some(rgba16) => std::array::from_fn(|c| f32::from(rgba16[at + c]) / 65_535.0),
        None => std::array::from_fn(|c| f32::from(source.rgba8()[at + c]) / 255.0),
    };
    let alpha = straight[3];
    std::array::from_fn(|c| if c == 3 { alpha } else { straight[c] * alpha })
}

/// Decodes as encoded of other pictures, in tiles, within a budget.
#[derive(Debug, Default)]
pub(super) struct ForeignTiles {
    caches: BTreeMap<u16, TileCache>,
}

impl ForeignTiles {
    /// Tiles of a picture. Each holds all channels of its pixels, cut at the padded picture.
    pub fn get(
        &mut self,
        codec: &Codec,
        (number, picture): (u16, &SourcePicture),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>> {
        let chain = Chain::new(codec, picture.source.geometry(), picture.wrap)?;
        let cache = self.caches.entry(number).or_default();
        let found = pixel_tiles(&chain, cache, tiles, |rect| {
            chain.decode_window(&picture.codes, rect)
        })?;
        let bytes: u64 = self.caches.values().map(TileCache::bytes).sum();
        if bytes > FOREIGN_BUDGET_BYTES {
            self.caches.retain(|other, _| *other == number);
            if let Some(cache) = self.caches.get_mut(&number) {
                cache.trim(FOREIGN_BUDGET_BYTES);
            }
        }
        Ok(found)
    }
}

/// Tiles of pixels from a cache; what is missing is decoded, several at once where they lie together.
pub(super) fn pixel_tiles(
    chain: &Chain<'_>,
    cache: &mut TileCache,
    tiles: &[(u32, u32)],
    mut decode: impl FnMut(Rect) -> Result<Vec<f32>>,
) -> Result<Vec<Arc<Vec<f32>>>> {
    let layer = Layer::new(u8::MAX, chain.plane(1), 1, 4);
    let missing: Vec<_> = (tiles.iter().copied())
        .filter(|tile| !cache.holds(&layer, *tile))
        .collect();
    for batch in batches(&missing) {
        let rect = layer.cells_of(batch);
        let values = decode(rect)?;
        cache.insert_within(&layer, layer.plane.window(rect), &values);
    }
    tiles
        .iter()
        .map(|tile| cache.get(&layer, *tile))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Error::new(
                Kind::Internal,
                "could not decode",
                "a tile of a source lies outside it",
                "",
            )
        })
}
