//! Windows of a canvas from what is kept of the decoder's links, or from codes alone.

use std::collections::HashSet;
use std::sync::Arc;

use candle_core::Tensor;

use super::cache::{Layer, TileCache};
use super::composite::{Version, WindowDecoder};
use super::decode::{Chain, Reach, tiles};
use super::influence::Edits;
use super::residual::{ForeignTiles, pixel_tiles};
use super::window::Window;
use crate::codec::Codec;
use crate::document::{Codes, Dirty, Rect, SourcePicture};
use crate::error::{Error, Kind, Result};

/// Changed windows above this many pixels are dropped from the cache instead of recomputed at once.
const UPDATE_AT_ONCE_PX: u64 = 1 << 20;
/// Missing tiles are computed together, up to this many on a side (1,024 px).
const BATCH_TILES: u32 = 8;
/// Pixels as encoded that an export keeps.
const DIRECT_BUDGET_BYTES: u64 = 192 << 20;

/// The caches that one decode needs.
pub(super) struct Caches<'a> {
    pub encoded: &'a mut TileCache,
    pub edited: &'a mut TileCache,
}

impl Caches<'_> {
    const fn of(&mut self, version: Version) -> &mut TileCache {
        match version {
            Version::Encoded => self.encoded,
            Version::Edited => self.edited,
        }
    }
}

/// Decodes windows from codes alone, without a cache: for exports. Only pixels as encoded whose texture edits have
/// carried off are kept, as many windows may need them.
pub struct Direct<'a> {
    chain: Chain<'a>,
    encoded: &'a Codes,
    edited: &'a Codes,
    pixels: TileCache,
    foreign: ForeignTiles,
}

impl<'a> Direct<'a> {
    pub fn new(chain: Chain<'a>, encoded: &'a Codes, edited: &'a Codes) -> Self {
        Self {
            chain,
            encoded,
            edited,
            pixels: TileCache::default(),
            foreign: ForeignTiles::default(),
        }
    }
}

impl WindowDecoder for Direct<'_> {
    fn reach(&self) -> Reach {
        self.chain.reach()
    }

    fn decode(&mut self, version: Version, rect: Rect) -> Result<Vec<f32>> {
        let codes = match version {
            Version::Encoded => self.encoded,
            Version::Edited => self.edited,
        };
        self.chain.decode_window(codes, rect)
    }

    fn encoded_tiles(
        &mut self,
        (number, picture): (u16, Option<&SourcePicture>),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>> {
        if let Some(picture) = picture {
            return (self.foreign).get(self.chain.codec(), (number, picture), tiles);
        }
        self.pixels.trim(DIRECT_BUDGET_BYTES);
        let (chain, codes) = (self.chain, self.encoded);
        pixel_tiles(&chain, &mut self.pixels, tiles, |rect| {
            chain.decode_window(codes, rect)
        })
    }
}

/// The decoder's links with their caches.
pub(super) struct Stages<'a> {
    pub chain: Chain<'a>,
    pub edits: Edits<'a>,
    pub caches: Caches<'a>,
    pub codec: &'a Codec,
    pub foreign: &'a mut ForeignTiles,
}

impl<'a> Stages<'a> {
    /// The last link gives T, which is cheap to make from the one before: it is not kept.
    fn kept_links(&self) -> usize {
        self.chain.links() - 1
    }

    fn layer(&self, link: usize) -> Layer {
        Layer::new(
            link as u8,
            self.chain.link_plane(link),
            self.chain.stride_px(link),
            self.chain.channels(link),
        )
    }

    fn pixel_layer(&self) -> Layer {
        Layer::new(u8::MAX, self.chain.plane(1), 1, 4)
    }

    const fn codes(&self, version: Version) -> &'a Codes {
        match version {
            Version::Encoded => self.edits.encoded,
            Version::Edited => self.edits.edited,
        }
    }

    /// The output of a kept link on a window, `[1, h, w, c]`.
    fn activations(&mut self, version: Version, link: usize, window: Window) -> Result<Tensor> {
        let layer = self.layer(link);
        self.ensure(version, link, window)?;
        let values = self.caches.of(version).gather(&layer, window);
        let shape = (
            1,
            window.y.len as usize,
            window.x.len as usize,
            layer.channels,
        );
        let values = values.ok_or_else(lost_tile)?;
        Ok(Tensor::from_vec(values, shape, self.chain.device())?)
    }

    /// Runs a link on a window, from what is kept of the one before.
    fn run(&mut self, version: Version, link: usize, out: Window) -> Result<Tensor> {
        if link == 0 {
            return self.chain.start(self.codes(version), out);
        }
        let input = self.chain.link_input(link, out);
        let before = self.activations(version, link - 1, input)?;
        self.chain.follow(link, &before, input, out)
    }

    /// Makes sure that every tile a window touches is there.
    fn ensure(&mut self, version: Version, link: usize, window: Window) -> Result<()> {
        let layer = self.layer(link);
        let mut missing = TileCache::touched(&layer, window);
        missing.retain(|tile| !self.caches.of(version).holds(&layer, *tile));
        if version == Version::Edited && !missing.is_empty() {
            let (own, shared): (Vec<_>, Vec<_>) = missing
                .into_iter()
                .partition(|tile| self.edits_reach(link, &layer, *tile));
            self.compute(Version::Encoded, link, &layer, &shared)?;
            for tile in shared {
                let values = (self.caches.encoded)
                    .get(&layer, tile)
                    .ok_or_else(lost_tile)?;
                self.caches.edited.insert_shared(&layer, tile, values);
            }
            missing = own;
        }
        self.compute(version, link, &layer, &missing)
    }

    /// Computes tiles from the codes; not from kept tiles, whose own missing neighbours would have
    /// to be computed first, and so on outwards. Whole tiles passed on the way are kept.
    fn compute(
        &mut self,
        version: Version,
        link: usize,
        layer: &Layer,
        wanted: &[(u32, u32)],
    ) -> Result<()> {
        let mut missing = wanted.to_vec();
        missing.retain(|tile| !self.caches.of(version).holds(layer, *tile));
        for batch in batches(&missing) {
            let out = layer.plane.window(layer.cells_of(batch));
            self.trunk(version, link, out)?;
        }
        Ok(())
    }

    fn trunk(&mut self, version: Version, link: usize, out: Window) -> Result<Tensor> {
        let (codes, kept) = (self.codes(version), self.kept_links());
        let layers: Vec<_> = (0..kept).map(|link| self.layer(link)).collect();
        let cache = self.caches.of(version);
        (self.chain).trunk(codes, link, out, |link, window, activations| {
            if let Some(layer) = layers.get(link) {
                let values = activations.flatten_all()?.to_vec1::<f32>()?;
                cache.insert_within(layer, window, &values);
            }
            Ok(())
        })
    }

    /// Whether any changed structure cell can reach a tile of a link's output.
    fn edits_reach(&self, link: usize, layer: &Layer, (x, y): (u32, u32)) -> bool {
        let tile = layer.plane.window(layer.cells_of(Rect::new(x, y, 1, 1)));
        let window = self.chain.link_input(0, self.chain.windows(link, tile)[0]);
        let (old, new) = (&self.edits.encoded.structure, &self.edits.edited.structure);
        let columns = window.x.positions(old.width());
        window.y.positions(old.height()).any(|row| {
            let start = row as usize * old.width() as usize;
            columns.clone().any(|column| {
                let at = start + column as usize;
                old.cells()[at] != new.cells()[at]
            })
        })
    }

    /// Recomputes the activations that changed structure cells (in pixels) reach.
    pub fn update(&mut self, structure: &Dirty) -> Result<()> {
        let mut windows: Vec<Window> = structure
            .rects()
            .iter()
            .map(|rect| {
                let plane = self.chain.link_plane(0);
                plane.window(rect.to_cells(self.chain.stride_px(0)))
            })
            .collect();
        for link in 0..self.kept_links() {
            let layer = self.layer(link);
            for window in &mut windows {
                *window = window
                    .finer(self.chain.refinement(link))
                    .grown(self.chain.halo_cells(link), layer.plane);
                let is_held = TileCache::touched(&layer, *window)
                    .iter()
                    .any(|tile| self.caches.edited.holds(&layer, *tile));
                if !is_held {
                    continue;
                }
                let stride = u64::from(self.chain.stride_px(link));
                if window.area() * stride * stride > UPDATE_AT_ONCE_PX {
                    self.caches.edited.remove(&layer, *window);
                    continue;
                }
                let values = self.run(Version::Edited, link, *window)?;
                let values = values.flatten_all()?.to_vec1::<f32>()?;
                self.caches.edited.scatter(&layer, *window, &values);
            }
        }
        Ok(())
    }

    /// Pixels of the codes as edited, from the kept activations.
    fn edited_pixels(&mut self, rect: Rect) -> Result<Vec<f32>> {
        let out = self.chain.plane(1).window(rect);
        let trunk_window = self.chain.head_input(out);
        let trunk = self.run(Version::Edited, self.chain.links() - 1, trunk_window)?;
        let pixels = (self.chain).head(&trunk, trunk_window, self.edits.edited, out)?;
        Ok(pixels.flatten_all()?.to_vec1()?)
    }

    fn ensure_encoded_pixels(&mut self, window: Window) -> Result<()> {
        let touched = TileCache::touched(&self.pixel_layer(), window);
        self.ensure_encoded_tiles(touched)
    }

    fn ensure_encoded_tiles(&mut self, mut missing: Vec<(u32, u32)>) -> Result<()> {
        let layer = self.pixel_layer();
        missing.retain(|tile| !self.caches.encoded.holds(&layer, *tile));
        for batch in batches(&missing) {
            let out = layer.plane.window(layer.cells_of(batch));
            let trunk_window = self.chain.head_input(out);
            let trunk = self.trunk(Version::Encoded, self.chain.links() - 1, trunk_window)?;
            let pixels = (self.chain).head(&trunk, trunk_window, self.edits.encoded, out)?;
            let values = pixels.flatten_all()?.to_vec1::<f32>()?;
            self.caches.encoded.insert_within(&layer, out, &values);
        }
        Ok(())
    }

    pub fn warm(&mut self, rect: Rect) -> Result<()> {
        let layer = self.pixel_layer();
        let reach = self.chain.reach().structure_px;
        let window = layer.plane.window(rect).grown(reach, layer.plane);
        self.ensure_encoded_pixels(window)?;
        let trunk_window = self.chain.head_input(window);
        let windows = self.chain.windows(self.chain.links() - 1, trunk_window);
        for link in (0..self.kept_links()).rev() {
            self.ensure(Version::Edited, link, windows[link])?;
            let layer = self.layer(link);
            self.caches.edited.touch(&layer, windows[link]);
            self.caches.encoded.touch(&layer, windows[link]);
        }
        self.caches.encoded.touch(&layer, window);
        Ok(())
    }
}

impl WindowDecoder for Stages<'_> {
    fn reach(&self) -> Reach {
        self.chain.reach()
    }

    fn decode(&mut self, version: Version, rect: Rect) -> Result<Vec<f32>> {
        if version == Version::Edited {
            return self.edited_pixels(rect);
        }
        let layer = self.pixel_layer();
        let window = layer.plane.window(rect);
        self.ensure_encoded_pixels(window)?;
        self.caches
            .encoded
            .gather(&layer, window)
            .ok_or_else(lost_tile)
    }

    fn encoded_tiles(
        &mut self,
        (number, picture): (u16, Option<&SourcePicture>),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>> {
        if let Some(picture) = picture {
            return self.foreign.get(self.codec, (number, picture), tiles);
        }
        self.ensure_encoded_tiles(tiles.to_vec())?;
        let layer = self.pixel_layer();
        (tiles.iter())
            .map(|tile| self.caches.encoded.get(&layer, *tile).ok_or_else(lost_tile))
            .collect()
    }
}

fn lost_tile() -> Error {
    Error::new(
        Kind::Internal,
        "could not decode",
        "a cached tile was dropped while in use",
        "",
    )
}

/// Rectangles of tiles that together cover `tiles`, each at most [`BATCH_TILES`] on a side.
pub(super) fn batches(missing: &[(u32, u32)]) -> Vec<Rect> {
    let mut groups = Dirty::default();
    for &(x, y) in missing {
        groups.add(Rect::new(x, y, 1, 1));
    }
    let wanted: HashSet<_> = missing.iter().copied().collect();
    groups
        .rects()
        .iter()
        .flat_map(|rect| tiles(*rect, BATCH_TILES))
        .filter(|rect| {
            (rect.y..rect.bottom())
                .any(|y| (rect.x..rect.right()).any(|x| wanted.contains(&(x, y))))
        })
        .collect()
}
