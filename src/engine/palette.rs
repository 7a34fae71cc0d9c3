//! Codes as a palette: swatches in one picture per level, colours, and how alike codes are.

use crate::document::Level;

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
    /// Mean colour of each code.
    pub colours: Vec<[u8; 3]>,
    /// Code vectors, `codes × width`.
    pub vectors: Vec<f32>,
    /// How many cells of the counted pictures have each code.
    pub counts: Vec<u64>,
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

    fn vector(&self, code: u16) -> &[f32] {
        let width = self.vectors.len() / self.codes().max(1);
        let start = usize::from(code) * width;
        self.vectors.get(start..start + width).unwrap_or_default()
    }

    /// The `count` codes most like `code`, nearest first, without itself.
    pub fn nearest(&self, code: u16, count: usize) -> Vec<u16> {
        let mut others: Vec<u16> = (0..self.codes() as u16).filter(|&c| c != code).collect();
        others.sort_by(|&a, &b| {
            let (a, b) = (self.distance(code, a), self.distance(code, b));
            a.total_cmp(&b)
        });
        others.truncate(count);
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> PaletteLevel {
        PaletteLevel {
            colours: vec![[0; 3]; 5],
            vectors: vec![0.0, 0.0, 1.0, 0.0, 5.0, 0.0, 2.5, 0.0, -1.5, 0.0],
            ..PaletteLevel::default()
        }
    }

    #[test]
    fn the_nearest_codes_come_first() {
        assert_eq!(line().nearest(0, 3), [1, 4, 3]);
        assert_eq!(line().nearest(2, 9).len(), 4);
        assert_eq!(line().distance(1, 2), 16.0);
    }
}
