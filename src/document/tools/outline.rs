//! Drawing the outline of a selection: press, drag, release.

use serde::{Deserialize, Serialize};

use super::setup::{Path, constrained};
use crate::document::edit::selection::{Combine, Selection};
use crate::document::grid::geometry::{Geometry, Level};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaShape {
    #[default]
    Rectangle,
    Ellipse,
    Lasso,
}

/// An outline in progress. Aborting it is dropping it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    pub shape: AreaShape,
    pub level: Level,
    pub how: Combine,
    /// In canvas pixels: two corners, or the whole line.
    points: Vec<(f32, f32)>,
    has_moved: bool,
}

impl Outline {
    /// Longest line, in points.
    const MAX_POINTS: usize = 100_000;

    pub fn press(shape: AreaShape, level: Level, how: Combine, at_px: (f32, f32)) -> Self {
        Self {
            shape,
            level,
            how,
            points: vec![at_px; 2],
            has_moved: false,
        }
    }

    /// `is_even` makes rectangles squares and ellipses circles.
    pub fn drag(&mut self, to_px: (f32, f32), is_even: bool) {
        let from = self.points[0];
        let distance = (to_px.0 - from.0).hypot(to_px.1 - from.1);
        self.has_moved |= distance > self.level.stride_px() as f32 / 2.0;
        if self.shape == AreaShape::Lasso {
            if self.points.len() < Self::MAX_POINTS {
                self.points.push(to_px);
            }
            return;
        }
        self.points[1] = if is_even {
            constrained(Path::Rectangle, from, to_px)
        } else {
            to_px
        };
    }

    /// In canvas pixels: two corners, or the whole line.
    pub fn points(&self) -> &[(f32, f32)] {
        &self.points
    }

    /// What is selected then; `None` for nothing, so that everything may be painted. A click without a
    /// drag selects nothing.
    pub fn release(&self, geometry: Geometry, current: Option<&Selection>) -> Option<Selection> {
        let area = match self.shape {
            _ if !self.has_moved => Selection::none(geometry),
            AreaShape::Rectangle => {
                Selection::rectangle(geometry, self.level, self.points[0], self.points[1])
            }
            AreaShape::Ellipse => {
                Selection::ellipse(geometry, self.level, self.points[0], self.points[1])
            }
            AreaShape::Lasso => Selection::lasso(geometry, self.level, &self.points),
        };
        Selection::joined(current, &area, self.how)
    }
}
