//! Codes as a palette: swatches in one picture per level, colours, how alike codes are, and where they come from.

use std::collections::BTreeMap;

use crate::document::{Level, Raster};

/// Both levels of a model.
pub struct Palette {
    pub model_hash: String,
    pub structure: PaletteLevel,
    pub detail: PaletteLevel,
    /// Pictures whose codes were counted; 0 before any were.
    pub counted_pictures: u64,
}

impl Palette {
    pub fn level(&self, level: Level) -> &PaletteLevel {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }
}

/// The codes of one level.
#[derive(Debug, Clone, Default)]
pub struct PaletteLevel {
    /// Side of a swatch in pixels.
    pub swatch_px: u32,
    /// Swatches per row of the atlas.
    pub columns: u32,
    /// Straight RGBA8: the swatches row by row, the last row filled up with transparent ones.
    pub atlas_rgba8: Vec<u8>,
    /// Mean colour and alpha of each code.
    pub colours: Vec<[u8; 4]>,
    /// Code vectors, `codes × width`.
    pub vectors: Vec<f32>,
    /// How many cells of the counted pictures have each code.
    pub counts: Vec<u64>,
    /// Patches of counted pictures around a cell with the code, a few per code.
    pub exemplars: BTreeMap<u16, Vec<Raster>>,
    /// All codes, each beside one that is like it.
    pub by_likeness: Vec<u16>,
    /// Where each code lies on the map, both from 0 to 1: the two directions in which codes differ most.
    pub map: Vec<[f32; 2]>,
}

impl PaletteLevel {
    pub fn codes(&self) -> usize {
        self.colours.len()
    }

    /// Width and height of the atlas in pixels.
    pub fn atlas_size(&self) -> [usize; 2] {
        let width = (self.columns * self.swatch_px) as usize;
        let height = (self.atlas_rgba8.len() / 4).checked_div(width).unwrap_or(0);
        [width, height]
    }

    /// The squared distance between two codes' vectors.
    pub fn distance(&self, a: u16, b: u16) -> f32 {
        let (a, b) = (self.vector(a), self.vector(b));
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    fn width(&self) -> usize {
        self.vectors.len() / self.codes().max(1)
    }

    fn vector(&self, code: u16) -> &[f32] {
        let width = self.width();
        let start = usize::from(code) * width;
        self.vectors.get(start..start + width).unwrap_or_default()
    }

    /// The `count` codes most like `code`, nearest first, of those that `offers` lets through, without itself.
    pub fn nearest(&self, code: u16, count: usize, offers: impl Fn(u16) -> bool) -> Vec<u16> {
        let mut others: Vec<(f32, u16)> = (0..self.codes() as u16)
            .filter(|&other| other != code && offers(other))
            .map(|other| (self.distance(code, other), other))
            .collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        others
            .into_iter()
            .take(count)
            .map(|(_, other)| other)
            .collect()
    }

    /// Works out [`by_likeness`](Self::by_likeness) and [`map`](Self::map) from the vectors. Quadratic in the codes.
    #[must_use]
    pub(crate) fn arranged(mut self) -> Self {
        self.by_likeness = self.chain();
        self.map = self.principal_map();
        self
    }

    /// From each code to the nearest one not yet taken.
    fn chain(&self) -> Vec<u16> {
        let mut left: Vec<u16> = (0..self.codes() as u16).collect();
        let mut chain = Vec::with_capacity(left.len());
        let mut next = 0;
        while !left.is_empty() {
            let code = left.swap_remove(next);
            chain.push(code);
            next = (0..left.len())
                .min_by(|&a, &b| {
                    let (a, b) = (self.distance(code, left[a]), self.distance(code, left[b]));
                    a.total_cmp(&b)
                })
                .unwrap_or(0);
        }
        chain
    }

    /// Ranks along the first two principal directions, so that the map is filled evenly.
    fn principal_map(&self) -> Vec<[f32; 2]> {
        let (codes, width) = (self.codes(), self.width());
        if codes == 0 || width == 0 {
            return vec![[0.5; 2]; codes];
        }
        let mut centred = self.vectors.clone();
        for column in 0..width {
            let mean = centred.iter().skip(column).step_by(width).sum::<f32>() / codes as f32;
            (centred.iter_mut().skip(column).step_by(width)).for_each(|value| *value -= mean);
        }
        // The ranks along the direction in which codes differ most; it is taken out for the next call.
        let mut ranks = || {
            let direction = principal_direction(&centred, width);
            let mut along: Vec<(f32, usize)> = centred
                .chunks_exact(width)
                .map(|row| dot(row, &direction))
                .zip(0..)
                .collect();
            for (row, (length, _)) in centred.chunks_exact_mut(width).zip(&along) {
                for (value, unit) in row.iter_mut().zip(&direction) {
                    *value -= length * unit;
                }
            }
            along.sort_by(|a, b| a.0.total_cmp(&b.0));
            let last = (codes - 1).max(1) as f32;
            let mut ranks = vec![0.0; codes];
            for (rank, (_, code)) in along.into_iter().enumerate() {
                ranks[code] = rank as f32 / last;
            }
            ranks
        };
        let (across, down) = (ranks(), ranks());
        across.into_iter().zip(down).map(|(x, y)| [x, y]).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The unit direction in which rows vary most, by power iteration; a fixed start makes it repeatable.
fn principal_direction(rows: &[f32], width: usize) -> Vec<f32> {
    let mut direction: Vec<f32> = (0..width).map(|i| 1.0 + i as f32 * 0.1).collect();
    for _ in 0..60 {
        let mut next = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            let length = dot(row, &direction);
            for (sum, value) in next.iter_mut().zip(row) {
                *sum += length * value;
            }
        }
        let norm = dot(&next, &next).sqrt();
        if norm <= f32::MIN_POSITIVE {
            break;
        }
        direction = next.into_iter().map(|value| value / norm).collect();
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> PaletteLevel {
        PaletteLevel {
            colours: vec![[0; 4]; 5],
            vectors: vec![0.0, 0.0, 1.0, 0.1, 5.0, 0.0, 2.5, -0.1, -1.5, 0.0],
            ..PaletteLevel::default()
        }
    }

    #[test]
    fn the_nearest_codes_come_first() {
        assert_eq!(line().nearest(0, 3, |_| true), [1, 4, 3]);
        assert_eq!(line().nearest(0, 3, |code| code != 4), [1, 3, 2]);
        assert_eq!(line().nearest(2, 9, |_| true).len(), 4);
        assert!((line().distance(1, 2) - 16.01).abs() < 1e-4);
    }

    #[test]
    fn alike_codes_stand_together() {
        let level = line().arranged();
        assert_eq!(level.by_likeness, [0, 1, 3, 2, 4]);
        // Along the line: 4, 0, 1, 3, 2.
        let mut order: Vec<u16> = (0..5).collect();
        order.sort_by(|&a, &b| {
            level.map[usize::from(a)][0].total_cmp(&level.map[usize::from(b)][0])
        });
        assert!(
            order == [4, 0, 1, 3, 2] || order == [2, 3, 1, 0, 4],
            "{order:?}"
        );
        assert!(level.map.iter().flatten().all(|v| (0.0..=1.0).contains(v)));
        assert!(PaletteLevel::default().arranged().map.is_empty());
    }
}
