//! Shapes as signed distances (negative inside), about the origin, of radius about 1.

use std::f32::consts::{PI, TAU};

use super::dice::Dice;

#[derive(Clone)]
pub(super) enum Shape {
    /// Semi-axes.
    Ellipse(f32, f32),
    /// Half sides and corner radius.
    Box(f32, f32, f32),
    /// Sides, and how far the points reach inwards: 1 is a regular polygon, less is a star.
    Star(u32, f32),
    /// A closed line of harmonics: (order, amplitude, phase).
    Blob(Vec<(f32, f32, f32)>),
    /// Two circles' common part; half its width.
    Leaf(f32),
    /// A circle of radius 1 less one of the second radius, shifted.
    Crescent(f32, f32),
    /// Width of the ring.
    Ring(f32),
    Heart,
    /// A cross with bars of this half width and corner radius.
    Cross(f32, f32),
}

impl Shape {
    /// A shape of any kind, in shares as in nature and in drawings.
    pub fn random(dice: &mut Dice) -> Self {
        match dice.weighted(&[3.0, 3.0, 2.0, 3.0, 1.2, 0.5, 0.6, 0.3, 0.4]) {
            0 => {
                let round = dice.chance(0.4);
                Self::Ellipse(1.0, if round { 1.0 } else { dice.within(0.25, 1.0) })
            }
            1 => {
                let narrow = dice.within(0.2, 1.0);
                let corner = if dice.chance(0.5) {
                    0.0
                } else {
                    dice.within(0.0, 1.0)
                };
                Self::Box(1.0, narrow, corner * narrow)
            }
            2 => {
                let points = dice.count(3, 8);
                let inward = if dice.chance(0.5) {
                    1.0
                } else {
                    dice.within(0.4, 0.9)
                };
                Self::Star(points, inward)
            }
            3 => Self::blob(dice),
            4 => Self::Leaf(dice.within(0.25, 0.7)),
            5 => Self::Crescent(dice.within(0.6, 1.0), dice.within(0.3, 0.9)),
            6 => Self::Ring(dice.within(0.08, 0.5)),
            7 => Self::Heart,
            _ => Self::Cross(dice.within(0.15, 0.4), dice.within(0.0, 0.15)),
        }
    }

    pub fn blob(dice: &mut Dice) -> Self {
        let rough = dice.within(0.1, 0.45);
        Self::Blob(
            (2..2 + dice.count(2, 6))
                .map(|order| {
                    let order = order as f32;
                    (order, rough * dice.normal() / order, dice.angle())
                })
                .collect(),
        )
    }

    /// Signed distance, about 1 per unit of length near the edge.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        let r = x.hypot(y);
        match self {
            Self::Ellipse(a, b) if a == b => r - a,
            Self::Ellipse(a, b) => {
                let k0 = (x / a).hypot(y / b);
                let k1 = (x / (a * a)).hypot(y / (b * b));
                if k1 < 1e-6 {
                    -b.min(*a)
                } else {
                    k0 * (k0 - 1.0) / k1
                }
            }
            Self::Box(w, h, corner) => rounded_box(x, y, *w, *h, *corner),
            Self::Star(points, inward) => star(x, y, r, *points, *inward),
            Self::Blob(harmonics) => {
                let angle = y.atan2(x);
                let radius: f32 = harmonics
                    .iter()
                    .map(|(order, amplitude, phase)| amplitude * (order * angle + phase).sin())
                    .sum();
                r - (0.8 + radius).max(0.15)
            }
            Self::Leaf(half) => {
                // Both arcs pass through (±1, 0).
                let centre = (1.0 - half * half) / (2.0 * half);
                x.hypot(y.abs() + centre) - (half + centre)
            }
            Self::Crescent(radius, shift) => (r - 1.0).max(radius - (x - shift).hypot(y)),
            Self::Ring(width) => (r - 1.0 + width * 0.5).abs() - width * 0.5,
            Self::Heart => heart(x, y),
            Self::Cross(half, corner) => {
                rounded_box(x, y, 1.0, *half, *corner).min(rounded_box(x, y, *half, 1.0, *corner))
            }
        }
    }

    /// No point of the shape is farther from the origin.
    pub fn reach(&self) -> f32 {
        match self {
            Self::Box(w, h, _) => w.hypot(*h),
            Self::Blob(harmonics) => {
                0.8 + harmonics
                    .iter()
                    .map(|(_, amplitude, _)| amplitude.abs())
                    .sum::<f32>()
            }
            Self::Ellipse(a, b) => a.max(*b),
            Self::Leaf(half) => half.max(1.0),
            Self::Heart => 1.3,
            Self::Cross(half, _) => 1f32.hypot(*half),
            Self::Star(..) | Self::Crescent(..) | Self::Ring(..) => 1.0,
        }
    }
}

fn rounded_box(x: f32, y: f32, w: f32, h: f32, corner: f32) -> f32 {
    let (dx, dy) = (x.abs() - w + corner, y.abs() - h + corner);
    dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - corner
}

/// Distance to the edge line of the sector that the point lies in.
fn star(x: f32, y: f32, r: f32, points: u32, inward: f32) -> f32 {
    let half = PI / points as f32;
    let angle = y.atan2(x).rem_euclid(2.0 * half);
    let angle = if angle > half {
        2.0 * half - angle
    } else {
        angle
    };
    let (px, py) = (r * angle.cos(), r * angle.sin());
    // From the outer corner (1, 0) to the inner one.
    let inner = inward * half.cos();
    let (ex, ey) = (inner * half.cos() - 1.0, inner * half.sin());
    let length = ex.hypot(ey).max(1e-6);
    ((px - 1.0) * ey - py * ex) / length
}

fn heart(x: f32, y: f32) -> f32 {
    // After Quilez: unit square's diagonal halves and two arcs; upside down for pictures.
    let (x, y) = (x.abs() / 1.1, (0.55 - y) / 1.1);
    let distance = if x + y > 1.0 {
        (x - 0.25).hypot(y - 0.75) - 2f32.sqrt() / 4.0
    } else {
        let along = (x + y).max(0.0) * 0.5;
        let to_corner = x * x + (y - 1.0) * (y - 1.0);
        let to_line = (x - along).powi(2) + (y - along).powi(2);
        to_corner.min(to_line).sqrt() * (x - y).signum()
    };
    distance * 1.1
}

/// Where a shape stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub x: f32,
    pub y: f32,
    /// Radius, px, of what is 1 in the shape's own measure.
    pub radius: f32,
    pub turn: f32,
}

impl Place {
    /// Anywhere in a picture, also a little outside.
    pub fn random(dice: &mut Dice, side: f32, radius: f32) -> Self {
        let margin = radius * 0.7;
        Self {
            x: dice.within(-margin, side + margin),
            y: dice.within(-margin, side + margin),
            radius,
            // Half of everything stands upright.
            turn: if dice.chance(0.5) {
                dice.angle()
            } else {
                0.25 * TAU * dice.count(0, 3) as f32
            },
        }
    }

    pub fn moved(self, dx: f32, dy: f32) -> Self {
        Self {
            x: self.x + dx,
            y: self.y + dy,
            ..self
        }
    }
}
