//! Brush footprints: which cells a dab or a stroke covers.

use serde::{Deserialize, Serialize};

use crate::document::grid::geometry::{Geometry, Level, Wrap};
use crate::error::{Error, Result};

/// Outline of a dab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    #[default]
    Round,
    Square,
}

/// A brush, measured in cells of the level it paints.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brush {
    pub shape: Shape,
    /// Diameter in cells, 1 to [`Brush::MAX_SIZE_CELLS`].
    pub size: u32,
    /// Share of the covered cells left as they are, 0 (all painted) to below 1.
    pub scatter: f32,
    /// Chooses which cells scatter leaves out.
    pub seed: u64,
}

impl Default for Brush {
    fn default() -> Self {
        Self {
            shape: Shape::Round,
            size: 1,
            scatter: 0.0,
            seed: 0,
        }
    }
}

impl Brush {
    pub const MAX_SIZE_CELLS: u32 = 512;

    /// # Errors
    /// `Usage` when a value is out of range.
    pub fn check(&self) -> Result<()> {
        let why = if self.size == 0 || self.size > Self::MAX_SIZE_CELLS {
            format!(
                "size {} is not between 1 and {} cells",
                self.size,
                Self::MAX_SIZE_CELLS
            )
        } else if !(0.0..1.0).contains(&self.scatter) {
            format!("scatter {} is not in 0 ≤ scatter < 1", self.scatter)
        } else {
            return Ok(());
        };
        Err(Error::usage("could not use the brush", why, "Change it"))
    }

    /// The brush under a pen: pressed less than fully (0 to 1) it is that much narrower, down to one cell.
    pub fn pressed(&self, pressure: f32) -> Self {
        let size = (self.size as f32 * pressure.clamp(0.0, 1.0)).round() as u32;
        Self {
            size: size.max(1),
            ..*self
        }
    }

    /// The cells of one dab. `centre` is in cells of `level`: (0.5, 0.5) is the middle of the
    /// first cell. Cells outside are left out, or wrapped.
    pub fn dab(
        &self,
        centre: (f32, f32),
        level: Level,
        geometry: Geometry,
        wrap: Wrap,
        mut visit: impl FnMut(u32),
    ) {
        let bounds = geometry.grid_bounds(level);
        self.footprint(self.snapped(centre), |x, y| {
            let row = on_axis(y, bounds.height, wrap.y);
            let column = on_axis(x, bounds.width, wrap.x);
            if let (Some(row), Some(column)) = (row, column) {
                let index = row * bounds.width + column;
                if self.paints(u64::from(index)) {
                    visit(index);
                }
            }
        });
    }

    /// The cells around a [snapped](Self::snapped) point, on the canvas or not, without scatter.
    pub(crate) fn footprint(&self, (x, y): (f64, f64), mut visit: impl FnMut(i64, i64)) {
        let half = f64::from(self.size) / 2.0;
        let (x0, y0) = ((x - half).ceil() as i64, (y - half).ceil() as i64);
        for cell_y in y0..y0 + i64::from(self.size) {
            for cell_x in x0..x0 + i64::from(self.size) {
                let (dx, dy) = (cell_x as f64 + 0.5 - x, cell_y as f64 + 0.5 - y);
                let is_round = self.shape == Shape::Round;
                if !is_round || dx * dx + dy * dy <= (half * half - 0.3).max(0.0) {
                    visit(cell_x, cell_y);
                }
            }
        }
    }

    /// The cells of a stroke through `points` (in cells). A cell may be visited more than once.
    pub fn stroke(
        &self,
        points: &[(f32, f32)],
        level: Level,
        geometry: Geometry,
        wrap: Wrap,
        mut visit: impl FnMut(u32),
    ) {
        let Some(&first) = points.first() else {
            return;
        };
        self.dab(first, level, geometry, wrap, &mut visit);
        for pair in points.windows(2) {
            for at in self.path(pair[0], pair[1]) {
                self.dab(at, level, geometry, wrap, &mut visit);
            }
        }
    }

    /// Where dabs go between `a`, which has one already, and `b`, which gets one.
    pub fn path(&self, a: (f32, f32), b: (f32, f32)) -> impl Iterator<Item = (f32, f32)> + use<> {
        let steps = self.steps(a, b);
        (1..=steps).map(move |step| {
            let t = step as f32 / steps as f32;
            (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t)
        })
    }

    /// How many dabs [`Brush::stroke`] makes, to refuse endless strokes beforehand.
    pub fn dabs(&self, points: &[(f32, f32)]) -> u64 {
        points.windows(2).fold(1u64, |n, pair| {
            n.saturating_add(self.steps(pair[0], pair[1]))
        })
    }

    /// Dabs between two points: close enough that no gap or scallop shows.
    fn steps(&self, a: (f32, f32), b: (f32, f32)) -> u64 {
        let length = f64::from(b.0 - a.0).hypot(f64::from(b.1 - a.1));
        let spacing = (f64::from(self.size) / 8.0).max(0.5);
        (length / spacing).ceil() as u64
    }

    /// The centre of a dab at a point: odd brushes centre on a cell, even ones on a corner between cells.
    pub(crate) fn snapped(&self, (x, y): (f32, f32)) -> (f64, f64) {
        let axis = |at: f32| {
            let at = f64::from(at).clamp(-1e9, 1e9);
            if self.size % 2 == 1 {
                at.floor() + 0.5
            } else {
                at.round()
            }
        };
        (axis(x), axis(y))
    }

    /// Whether scatter keeps this cell. The choice depends on seed and cell alone: overlapping
    /// dabs of one stroke must not fill the gaps up.
    pub(crate) fn paints(&self, index: u64) -> bool {
        if self.scatter <= 0.0 {
            return true;
        }
        let unit = (mix(self.seed ^ mix(index)) >> 40) as f32 / (1u64 << 24) as f32;
        unit >= self.scatter
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): a hash whose bits are all well mixed.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn on_axis(at: i64, size: u32, wraps: bool) -> Option<u32> {
    let size = i64::from(size);
    if wraps {
        Some(at.rem_euclid(size) as u32)
    } else {
        (0..size).contains(&at).then_some(at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn cells(brush: Brush, points: &[(f32, f32)], wrap: Wrap) -> BTreeSet<(u32, u32)> {
        let geometry = Geometry::new(160, 160).unwrap();
        let mut all = BTreeSet::new();
        brush.stroke(points, Level::Structure, geometry, wrap, |i| {
            all.insert((i % 10, i / 10));
        });
        all
    }

    fn brush(shape: Shape, size: u32) -> Brush {
        Brush {
            shape,
            size,
            ..Brush::default()
        }
    }

    #[test]
    fn footprints_have_their_size() {
        let at = [(5.3, 5.6)];
        for size in 1..=6 {
            let n = cells(brush(Shape::Square, size), &at, Wrap::default()).len();
            assert_eq!(n, (size * size) as usize);
        }
        let counts: Vec<_> = (1..=6)
            .map(|size| cells(brush(Shape::Round, size), &at, Wrap::default()).len())
            .collect();
        assert_eq!(counts, [1, 4, 5, 12, 21, 32]);
        assert!(cells(brush(Shape::Round, 1), &at, Wrap::default()).contains(&(5, 5)));
    }

    #[test]
    fn a_stroke_has_no_gaps() {
        let line = cells(
            brush(Shape::Round, 1),
            &[(0.5, 0.5), (9.5, 4.5)],
            Wrap::default(),
        );
        for x in 0..10 {
            assert!(line.iter().any(|c| c.0 == x), "column {x}");
        }
    }

    #[test]
    fn the_border_cuts_or_wraps() {
        let at = [(0.5, 9.5)];
        assert_eq!(
            cells(brush(Shape::Square, 3), &at, Wrap::default()).len(),
            4
        );
        let wrapped = cells(brush(Shape::Square, 3), &at, Wrap { x: true, y: true });
        assert_eq!(wrapped.len(), 9);
        assert!(wrapped.contains(&(9, 0)));
        let far = cells(brush(Shape::Square, 3), &[(-500.0, 1e7)], Wrap::default());
        assert!(far.is_empty());
    }

    #[test]
    fn scatter_leaves_out_its_share_and_repeats_by_seed() {
        let brush = |seed| Brush {
            shape: Shape::Square,
            size: 10,
            scatter: 0.4,
            seed,
        };
        let one = cells(brush(1), &[(5.0, 5.0)], Wrap::default());
        assert!((45..=75).contains(&one.len()), "{}", one.len());
        let again = cells(brush(1), &[(5.0, 5.0), (5.0, 5.2)], Wrap::default());
        assert_eq!(one, again);
        assert_ne!(one, cells(brush(2), &[(5.0, 5.0)], Wrap::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            brush(Shape::Round, 0),
            brush(Shape::Round, 513),
            Brush {
                scatter: 1.0,
                ..Brush::default()
            },
            Brush {
                scatter: f32::NAN,
                ..Brush::default()
            },
        ] {
            assert!(bad.check().is_err());
        }
    }
}
