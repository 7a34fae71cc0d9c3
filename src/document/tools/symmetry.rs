//! Everything done once, seen several times: mirrored and turned about a point.

use serde::{Deserialize, Serialize};

use crate::document::grid::geometry::{Geometry, Level};
use crate::error::{Error, Result};

/// Which images of each dab are painted too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Symmetry {
    /// Left and right.
    pub x: bool,
    /// Above and below.
    pub y: bool,
    /// Turned images, evenly around; 1 for none.
    pub turns: u32,
    /// In canvas pixels; the middle of the picture where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centre: Option<(f32, f32)>,
}

impl Default for Symmetry {
    fn default() -> Self {
        Self {
            x: false,
            y: false,
            turns: 1,
            centre: None,
        }
    }
}

impl Symmetry {
    pub const MAX_TURNS: u32 = 24;

    /// # Errors
    /// `Usage` when a value is out of range.
    pub fn check(&self) -> Result<()> {
        let is_finite = |(x, y): (f32, f32)| x.is_finite() && y.is_finite();
        if (1..=Self::MAX_TURNS).contains(&self.turns) && self.centre.is_none_or(is_finite) {
            return Ok(());
        }
        Err(Error::usage(
            "could not use the symmetry",
            format!("there can be 1 to {} turns about a point", Self::MAX_TURNS),
            "Change it",
        ))
    }

    pub const fn is_on(&self) -> bool {
        self.x || self.y || self.turns > 1
    }

    /// In canvas pixels.
    pub fn centre_px(&self, geometry: Geometry) -> (f32, f32) {
        self.centre.unwrap_or((
            geometry.width() as f32 / 2.0,
            geometry.height() as f32 / 2.0,
        ))
    }

    /// The images on a level's grid, the thing itself first.
    pub(super) fn images(&self, level: Level, geometry: Geometry) -> Vec<Image> {
        let (x, y) = self.centre_px(geometry);
        let stride = level.stride_px() as f32;
        // On a cell's border or its middle, so that mirrored cells are cells.
        let on_grid = |at: f32| f64::from((at / stride * 2.0).round()) / 2.0;
        let centre = (on_grid(x), on_grid(y));
        let mut images = Vec::new();
        for turn in 0..self.turns.max(1) {
            let angle = std::f64::consts::TAU * f64::from(turn) / f64::from(self.turns.max(1));
            for (x, y) in [(false, false), (true, false), (false, true), (true, true)] {
                if (x && !self.x) || (y && !self.y) {
                    continue;
                }
                images.push(Image {
                    centre,
                    is_mirrored: (x, y),
                    cos: angle.cos(),
                    sin: angle.sin(),
                });
            }
        }
        images
    }
}

/// Mirrored, then turned about the centre. In cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Image {
    centre: (f64, f64),
    pub is_mirrored: (bool, bool),
    cos: f64,
    sin: f64,
}

impl Image {
    /// Whether it is neither mirrored nor turned.
    pub fn is_upright(&self) -> bool {
        self.is_mirrored == (false, false) && self.cos > 1.0 - 1e-9
    }

    /// Where a point comes to lie.
    pub fn of(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (x, y) = self.mirrored((x - self.centre.0, y - self.centre.1));
        (
            x * self.cos - y * self.sin + self.centre.0,
            x * self.sin + y * self.cos + self.centre.1,
        )
    }

    /// The cell whose image this cell is.
    pub fn origin(&self, (x, y): (i64, i64)) -> (i64, i64) {
        let (x, y) = (
            x as f64 + 0.5 - self.centre.0,
            y as f64 + 0.5 - self.centre.1,
        );
        let back = (x * self.cos + y * self.sin, y * self.cos - x * self.sin);
        let (x, y) = self.mirrored(back);
        // A hair to one side: turned cells may lie exactly between two.
        let cell = |at: f64| (at + 1e-6).floor() as i64;
        (cell(x + self.centre.0), cell(y + self.centre.1))
    }

    fn mirrored(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            if self.is_mirrored.0 { -x } else { x },
            if self.is_mirrored.1 { -y } else { y },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_and_its_origin_are_inverse() {
        let geometry = Geometry::new(160, 96).unwrap();
        for turns in [1, 2, 4] {
            let symmetry = Symmetry {
                x: true,
                y: true,
                turns,
                centre: None,
            };
            let images = symmetry.images(Level::Structure, geometry);
            assert_eq!(images.len(), 4 * turns as usize);
            for reflection in images {
                for cell in [(0, 0), (4, 2), (9, 5)] {
                    let (x, y) = reflection.of((cell.0 as f64 + 0.5, cell.1 as f64 + 0.5));
                    let there = ((x + 1e-6).floor() as i64, (y + 1e-6).floor() as i64);
                    assert_eq!(reflection.origin(there), cell, "{reflection:?}");
                }
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let off = Symmetry::default();
        off.check().unwrap();
        assert!(!off.is_on());
        assert!(Symmetry { turns: 0, ..off }.check().is_err());
        let lost = Some((f32::NAN, 0.0));
        assert!(
            Symmetry {
                centre: lost,
                ..off
            }
            .check()
            .is_err()
        );
    }
}
