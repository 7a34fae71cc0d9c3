//! Activations and pixels kept in tiles, within a budget. Whatever is dropped can be computed again.

use std::collections::HashMap;
use std::sync::Arc;

use super::window::{Plane, Span, Window};
use crate::document::Rect;

/// Side of a tile in pixels: small enough that one is cheap to compute, large enough that its
/// surroundings are not most of the work.
pub(super) const TILE_PX: u32 = 128;

/// One kind of cached values: the output of a trunk step, or pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub id: u8,
    pub plane: Plane,
    pub tile_cells: u32,
    pub channels: usize,
}

impl Layer {
    pub fn new(id: u8, plane: Plane, stride_px: u32, channels: usize) -> Self {
        Self {
            id,
            plane,
            tile_cells: TILE_PX / stride_px,
            channels,
        }
    }

    /// The cells of a rectangle of tiles, cut at the canvas.
    pub fn cells_of(&self, tiles: Rect) -> Rect {
        tiles.to_pixels(self.tile_cells).intersect(&Rect::new(
            0,
            0,
            self.plane.x.cells,
            self.plane.y.cells,
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    layer: u8,
    x: u32,
    y: u32,
}

#[derive(Debug)]
struct Entry {
    /// `[height, width, channels]` of the tile's cells.
    values: Arc<Vec<f32>>,
    used: u64,
    /// Another cache holds the same values, and counts them.
    is_shared: bool,
}

#[derive(Debug, Default)]
pub(super) struct TileCache {
    tiles: HashMap<Key, Entry>,
    /// Without shared ones.
    bytes: u64,
    clock: u64,
}

/// The part of a span that lies in one tile.
#[derive(Debug, Clone, Copy)]
struct Segment {
    tile: u32,
    /// First cell within the tile.
    from: u32,
    /// First cell within the span.
    at: u32,
    len: u32,
}

fn segments(span: Span, cells: u32, tile: u32) -> Vec<Segment> {
    let mut found: Vec<Segment> = Vec::new();
    for (at, position) in span.positions(cells).enumerate() {
        match found.last_mut() {
            Some(last)
                if last.tile == position / tile && last.from + last.len == position % tile =>
            {
                last.len += 1;
            }
            _ => found.push(Segment {
                tile: position / tile,
                from: position % tile,
                at: at as u32,
                len: 1,
            }),
        }
    }
    found
}

impl TileCache {
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tiles that a window touches, each once.
    pub fn touched(layer: &Layer, window: Window) -> Vec<(u32, u32)> {
        let of = |span, cells| {
            let mut tiles: Vec<u32> = segments(span, cells, layer.tile_cells)
                .iter()
                .map(|s| s.tile)
                .collect();
            tiles.sort_unstable();
            tiles.dedup();
            tiles
        };
        let columns = of(window.x, layer.plane.x.cells);
        of(window.y, layer.plane.y.cells)
            .into_iter()
            .flat_map(|y| columns.iter().map(move |&x| (x, y)))
            .collect()
    }

    pub fn holds(&self, layer: &Layer, (x, y): (u32, u32)) -> bool {
        self.tiles.contains_key(&Key {
            layer: layer.id,
            x,
            y,
        })
    }

    pub fn get(&mut self, layer: &Layer, (x, y): (u32, u32)) -> Option<Arc<Vec<f32>>> {
        self.clock += 1;
        let entry = self.tiles.get_mut(&Key {
            layer: layer.id,
            x,
            y,
        })?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.values))
    }

    pub fn insert(&mut self, layer: &Layer, tile: (u32, u32), values: Arc<Vec<f32>>) {
        self.put(layer, tile, values, false);
    }

    /// A tile of another cache, until it is written to here.
    pub fn insert_shared(&mut self, layer: &Layer, tile: (u32, u32), values: Arc<Vec<f32>>) {
        self.put(layer, tile, values, true);
    }

    fn put(&mut self, layer: &Layer, (x, y): (u32, u32), values: Arc<Vec<f32>>, is_shared: bool) {
        self.clock += 1;
        let entry = Entry {
            values,
            used: self.clock,
            is_shared,
        };
        self.bytes += entry.bytes();
        let key = Key {
            layer: layer.id,
            x,
            y,
        };
        if let Some(old) = self.tiles.insert(key, entry) {
            self.bytes -= old.bytes();
        }
    }

    /// Keeps the tiles that lie wholly within a window whose values are given, row by row. Tiles that
    /// are there already stay.
    pub fn insert_within(&mut self, layer: &Layer, window: Window, values: &[f32]) {
        for (x, y) in Self::touched(layer, window) {
            let tile = layer.cells_of(Rect::new(x, y, 1, 1));
            let inside = |span: Span, start: u32, len: u32| {
                // A window that goes on beyond the canvas shows its other side only; only what it
                // shows in place is kept.
                let from = i64::from(start) - span.start;
                (from >= 0 && from + i64::from(len) <= i64::from(span.len)).then_some(from as usize)
            };
            let (Some(left), Some(top)) = (
                inside(window.x, tile.x, tile.width),
                inside(window.y, tile.y, tile.height),
            ) else {
                continue;
            };
            if self.holds(layer, (x, y)) {
                continue;
            }
            let len = tile.width as usize * layer.channels;
            let mut part = Vec::with_capacity(tile.height as usize * len);
            for row in top..top + tile.height as usize {
                let start = (row * window.x.len as usize + left) * layer.channels;
                part.extend_from_slice(&values[start..start + len]);
            }
            self.insert(layer, (x, y), Arc::new(part));
        }
    }

    /// The values of a window, row by row. `None` when a tile is missing.
    pub fn gather(&mut self, layer: &Layer, window: Window) -> Option<Vec<f32>> {
        let mut out = vec![0f32; window.area() as usize * layer.channels];
        self.each_run(layer, window, |tile, run| {
            out[run.out..run.out + run.len].copy_from_slice(&tile[run.tile..run.tile + run.len]);
        })?;
        Some(out)
    }

    fn each_run(
        &mut self,
        layer: &Layer,
        window: Window,
        mut visit: impl FnMut(&[f32], Run),
    ) -> Option<()> {
        let columns = segments(window.x, layer.plane.x.cells, layer.tile_cells);
        for rows in segments(window.y, layer.plane.y.cells, layer.tile_cells) {
            for column in &columns {
                let values = self.get(layer, (column.tile, rows.tile))?;
                for run in runs(layer, window, *column, rows) {
                    visit(&values, run);
                }
            }
        }
        Some(())
    }

    /// Overwrites a window in the tiles that are there.
    pub fn scatter(&mut self, layer: &Layer, window: Window, values: &[f32]) {
        let columns = segments(window.x, layer.plane.x.cells, layer.tile_cells);
        for rows in segments(window.y, layer.plane.y.cells, layer.tile_cells) {
            for column in &columns {
                let key = Key {
                    layer: layer.id,
                    x: column.tile,
                    y: rows.tile,
                };
                if let Some(entry) = self.tiles.get_mut(&key) {
                    self.bytes -= entry.bytes();
                    entry.is_shared = false;
                    self.bytes += entry.bytes();
                    let tile = Arc::make_mut(&mut entry.values);
                    for run in runs(layer, window, *column, rows) {
                        tile[run.tile..run.tile + run.len]
                            .copy_from_slice(&values[run.out..run.out + run.len]);
                    }
                }
            }
        }
    }

    pub fn remove(&mut self, layer: &Layer, window: Window) {
        for (x, y) in Self::touched(layer, window) {
            self.forget(&Key {
                layer: layer.id,
                x,
                y,
            });
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(old) = self.tiles.remove(key) {
            self.bytes -= old.bytes();
        }
    }

    /// Says that the tiles of a window were needed just now.
    pub fn touch(&mut self, layer: &Layer, window: Window) {
        for tile in Self::touched(layer, window) {
            self.get(layer, tile);
        }
    }

    /// The time in touches, for [`TileCache::bytes_since`].
    pub const fn now(&self) -> u64 {
        self.clock
    }

    /// What the tiles hold that were needed after `time`, in bytes.
    pub fn bytes_since(&self, time: u64) -> u64 {
        let entries = self.tiles.values().filter(|entry| entry.used > time);
        entries.map(Entry::bytes).sum()
    }

    /// Drops the tiles not used for longest until at most `budget` bytes are held, and returns which.
    pub fn trim(&mut self, budget: u64) -> Vec<Key> {
        if self.bytes <= budget {
            return Vec::new();
        }
        let own = self.tiles.iter().filter(|(_, entry)| !entry.is_shared);
        let mut by_age: Vec<(u64, Key)> = own.map(|(key, entry)| (entry.used, *key)).collect();
        by_age.sort_unstable_by_key(|(used, _)| *used);
        // An eighth more than needed, so that this does not happen at every dab.
        let target = budget - budget / 8;
        let mut dropped = Vec::new();
        for (_, key) in by_age {
            if self.bytes <= target {
                break;
            }
            self.forget(&key);
            dropped.push(key);
        }
        dropped
    }

    /// Lets go of shared tiles that the other cache has dropped.
    pub fn drop_shared(&mut self, dropped: &[Key]) {
        for key in dropped {
            if self.tiles.get(key).is_some_and(|entry| entry.is_shared) {
                self.tiles.remove(key);
            }
        }
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        if self.is_shared {
            0
        } else {
            size_of_val(self.values.as_slice()) as u64
        }
    }
}

/// A contiguous piece of a row: where it lies in the tile's and in the window's values.
#[derive(Debug, Clone, Copy)]
struct Run {
    tile: usize,
    out: usize,
    len: usize,
}

fn runs(
    layer: &Layer,
    window: Window,
    column: Segment,
    rows: Segment,
) -> impl Iterator<Item = Run> + use<> {
    let tile_width = layer
        .cells_of(Rect::new(column.tile, rows.tile, 1, 1))
        .width as usize;
    let (channels, out_width) = (layer.channels, window.x.len as usize);
    (0..rows.len as usize).map(move |row| Run {
        tile: ((rows.from as usize + row) * tile_width + column.from as usize) * channels,
        out: ((rows.at as usize + row) * out_width + column.at as usize) * channels,
        len: column.len as usize * channels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Geometry, Wrap};

    fn layer(wrap: Wrap) -> Layer {
        let geometry = Geometry::new(300, 200).unwrap();
        Layer::new(1, Plane::new(geometry, wrap, 8), 8, 2)
    }

    /// Every cell holds its own position.
    fn filled(layer: &Layer) -> TileCache {
        let mut cache = TileCache::default();
        let (width, height) = (layer.plane.x.cells, layer.plane.y.cells);
        let values: Vec<f32> = (0..width * height)
            .flat_map(|i| [(i % width) as f32, (i / width) as f32])
            .collect();
        let all = layer.plane.window(Rect::new(0, 0, width, height));
        cache.insert_within(layer, all, &values);
        cache
    }

    #[test]
    fn what_is_put_in_comes_out_across_tiles_and_borders() {
        let layer = layer(Wrap { x: true, y: true });
        let mut cache = filled(&layer);
        let window = layer
            .plane
            .window(Rect::new(1, 20, 30, 5))
            .grown(3, layer.plane);
        let values = cache.gather(&layer, window).unwrap();
        let want: Vec<f32> = window
            .y
            .positions(26)
            .flat_map(|y| window.x.positions(38).map(move |x| (x, y)))
            .flat_map(|(x, y)| [x as f32, y as f32])
            .collect();
        assert_eq!(values, want);
        cache.scatter(&layer, window, &vec![-1.0; values.len()]);
        assert!(
            cache
                .gather(&layer, window)
                .unwrap()
                .iter()
                .all(|v| *v == -1.0)
        );
        let untouched = layer.plane.window(Rect::new(10, 8, 5, 5));
        assert_eq!(cache.gather(&layer, untouched).unwrap()[..2], [10.0, 8.0]);
    }

    #[test]
    fn the_budget_holds_and_the_oldest_go_first() {
        let layer = layer(Wrap::default());
        let mut cache = filled(&layer);
        let all = cache.bytes();
        assert_eq!(all, 38 * 26 * 2 * 4);
        assert!(cache.get(&layer, (0, 0)).is_some());
        cache.trim(all / 2);
        assert!(cache.bytes() <= all / 2);
        assert!(cache.holds(&layer, (0, 0)));
        let window = layer.plane.window(Rect::new(0, 0, 38, 26));
        assert!(cache.gather(&layer, window).is_none());
        cache.remove(&layer, window);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn shared_tiles_count_once_they_are_written_to_and_go_with_their_owner() {
        let layer = layer(Wrap::default());
        let mut owner = filled(&layer);
        let mut other = TileCache::default();
        for tile in [(0, 0), (1, 0)] {
            other.insert_shared(&layer, tile, owner.get(&layer, tile).unwrap());
        }
        assert_eq!(other.bytes(), 0);
        let cell = layer.plane.window(Rect::new(16, 0, 1, 1));
        other.scatter(&layer, cell, &[-5.0, -6.0]);
        assert_eq!(other.bytes(), 16 * 16 * 2 * 4);
        assert_eq!(owner.gather(&layer, cell).unwrap(), [16.0, 0.0]);
        assert_eq!(other.gather(&layer, cell).unwrap(), [-5.0, -6.0]);
        let dropped = owner.trim(0);
        other.drop_shared(&dropped);
        assert_eq!((owner.bytes(), other.tiles.len()), (0, 1));
        assert_eq!(other.gather(&layer, cell).unwrap(), [-5.0, -6.0]);
    }

    #[test]
    fn what_was_needed_since_is_known() {
        let layer = layer(Wrap::default());
        let mut cache = filled(&layer);
        let start = cache.now();
        assert_eq!(cache.bytes_since(start), 0);
        cache.touch(&layer, layer.plane.window(Rect::new(15, 0, 2, 2)));
        assert_eq!(cache.bytes_since(start), 2 * 16 * 16 * 2 * 4);
    }
}
