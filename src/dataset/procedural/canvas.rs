//! Anti-aliased painting on a premultiplied RGBA picture.

use std::rc::Rc;

use super::colour::{Ramp, Rgb, mix};
use super::dice::Dice;
use super::field::Field;
use super::shape::{Place, Shape};

/// What a shape is filled with; coordinates are px of the picture.
#[derive(Clone)]
pub(super) struct Paint {
    pub base: Base,
    /// A field that lightens and darkens, with its offset, px, and strength.
    pub grain: Option<(Rc<Field>, [i32; 2], f32)>,
    pub opacity: f32,
}

#[derive(Clone)]
pub(super) enum Base {
    Solid(Rgb),
    /// Direction, 1/length in px, and the value at the origin.
    Linear(Rc<Ramp>, [f32; 2], f32),
    /// Centre, 1/radius.
    Radial(Rc<Ramp>, [f32; 2], f32),
    /// Centre, phase in turns.
    Conic(Rc<Ramp>, [f32; 2], f32),
    /// Offset, px.
    Field(Rc<Ramp>, Rc<Field>, [i32; 2]),
    /// Two colours in stripes: direction over period, share of the first.
    Stripes(Rgb, Rgb, [f32; 2], f32),
    /// Two colours in squares: cos and sin of the turn over the side.
    Checks(Rgb, Rgb, [f32; 2]),
}

impl From<Rgb> for Paint {
    fn from(colour: Rgb) -> Self {
        Self {
            base: Base::Solid(colour),
            grain: None,
            opacity: 1.0,
        }
    }
}

impl From<Base> for Paint {
    fn from(base: Base) -> Self {
        Self {
            base,
            grain: None,
            opacity: 1.0,
        }
    }
}

impl Base {
    pub fn linear(ramp: Ramp, from: [f32; 2], to: [f32; 2]) -> Self {
        let d = [to[0] - from[0], to[1] - from[1]];
        let square = (d[0] * d[0] + d[1] * d[1]).max(1e-3);
        let per_px = [d[0] / square, d[1] / square];
        Self::Linear(
            Rc::new(ramp),
            per_px,
            -(from[0] * per_px[0] + from[1] * per_px[1]),
        )
    }

    fn at(&self, x: f32, y: f32) -> Rgb {
        match self {
            Self::Solid(colour) => *colour,
            Self::Linear(ramp, per_px, start) => ramp.at(x * per_px[0] + y * per_px[1] + start),
            Self::Radial(ramp, centre, per_px) => {
                ramp.at((x - centre[0]).hypot(y - centre[1]) * per_px)
            }
            Self::Conic(ramp, centre, phase) => {
                let turns = (y - centre[1]).atan2(x - centre[0]) / std::f32::consts::TAU;
                // There and back: no seam.
                ramp.at(1.0 - (2.0 * (turns + phase).rem_euclid(1.0) - 1.0).abs())
            }
            Self::Field(ramp, field, offset) => {
                let v = field.at(x as i32 + offset[0], y as i32 + offset[1]);
                ramp.at(0.5 + 0.45 * v)
            }
            Self::Stripes(a, b, per_px, share) => {
                let at = (x * per_px[0] + y * per_px[1]).rem_euclid(1.0);
                let step = per_px[0].hypot(per_px[1]);
                mix(*b, *a, band(at, *share, step))
            }
            Self::Checks(a, b, per_px) => {
                let (cos, sin) = (per_px[0], per_px[1]);
                let (u, v) = (x * cos + y * sin, y * cos - x * sin);
                let step = cos.hypot(sin);
                let square = |t: f32| 2.0 * band((t * 0.5).rem_euclid(1.0), 0.5, step * 0.5) - 1.0;
                mix(*a, *b, 0.5 - 0.5 * square(u) * square(v))
            }
        }
    }
}

/// 1 within the first `share` of a period, 0 in the rest, with edges one `step` wide.
fn band(at: f32, share: f32, step: f32) -> f32 {
    let to_edge = (share * 0.5) - (at - share * 0.5).abs().min(1.0 - (at - share * 0.5).abs());
    (0.5 + to_edge / step.max(1e-6)).clamp(0.0, 1.0)
}

impl Paint {
    pub fn at(&self, x: f32, y: f32) -> Rgb {
        let colour = self.base.at(x, y);
        match &self.grain {
            None => colour,
            Some((field, offset, strength)) => {
                let v = field.at(x as i32 + offset[0], y as i32 + offset[1]);
                let factor = (1.0 + strength * v).max(0.0);
                colour.map(|c| (c * factor).min(1.0))
            }
        }
    }

    #[must_use]
    pub fn with_grain(mut self, dice: &mut Dice, field: &Rc<Field>, strength: f32) -> Self {
        let offset = [dice.count(0, 4096) as i32, dice.count(0, 4096) as i32];
        self.grain = Some((Rc::clone(field), offset, strength));
        self
    }

    #[must_use]
    pub fn with_opacity(mut self, opacity: f32) -> Self {
        self.opacity = opacity;
        self
    }
}

/// How the edge of a shape is drawn.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// Each pixel is in or out.
    Hard,
    /// As wide as this, px; 1 is the usual anti-aliasing.
    Soft(f32),
}

pub(super) const SMOOTH: Edge = Edge::Soft(1.0);

impl Edge {
    fn coverage(self, distance_px: f32) -> f32 {
        match self {
            Self::Hard => f32::from(u8::from(distance_px < 0.0)),
            Self::Soft(width) => {
                let t = (0.5 - distance_px / width).clamp(0.0, 1.0);
                if width > 2.0 {
                    t * t * (3.0 - 2.0 * t)
                } else {
                    t
                }
            }
        }
    }

    fn width(self) -> f32 {
        match self {
            Self::Hard => 1.0,
            Self::Soft(width) => width,
        }
    }
}

pub(super) struct Canvas {
    pub side: usize,
    /// Premultiplied, 0..1.
    pub pixels: Vec<[f32; 4]>,
}

impl Canvas {
    pub fn transparent(side: usize) -> Self {
        Self {
            side,
            pixels: vec![[0.0; 4]; side * side],
        }
    }

    pub fn side_px(&self) -> f32 {
        self.side as f32
    }

    /// Covers everything.
    pub fn fill(&mut self, paint: &Paint) {
        let side = self.side;
        for (i, p) in self.pixels.iter_mut().enumerate() {
            let (x, y) = ((i % side) as f32 + 0.5, (i / side) as f32 + 0.5);
            over(p, paint.at(x, y), paint.opacity);
        }
    }

    /// Each pixel whose coverage, from its centre, is above 0.
    pub fn draw_where(&mut self, paint: &Paint, coverage: impl Fn(f32, f32) -> f32) {
        let side = self.side;
        for (i, p) in self.pixels.iter_mut().enumerate() {
            let (x, y) = ((i % side) as f32 + 0.5, (i / side) as f32 + 0.5);
            let share = coverage(x, y);
            if share > 0.0 {
                over(p, paint.at(x, y), paint.opacity * share.min(1.0));
            }
        }
    }

    pub fn draw(&mut self, shape: &Shape, place: Place, paint: &Paint, edge: Edge) {
        self.draw_distance(shape, place, paint, edge, |d| d);
    }

    /// A line along the edge, inside it.
    pub fn outline(&mut self, shape: &Shape, place: Place, paint: &Paint, width: f32, edge: Edge) {
        self.draw_distance(shape, place, paint, edge, |d| {
            (d + width * 0.5).abs() - width * 0.5
        });
    }

    fn draw_distance(
        &mut self,
        shape: &Shape,
        place: Place,
        paint: &Paint,
        edge: Edge,
        bent: impl Fn(f32) -> f32,
    ) {
        let (sin, cos) = place.turn.sin_cos();
        let per_px = 1.0 / place.radius.max(0.1);
        let reach = place.radius * shape.reach() + edge.width();
        for (y, x0, row) in self.rows(place.x, place.y, reach) {
            let dy = y - place.y;
            for (i, p) in row.iter_mut().enumerate() {
                let x = (x0 + i) as f32 + 0.5;
                let dx = x - place.x;
                let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
                let distance = shape.distance(u * per_px, v * per_px) * place.radius;
                let share = edge.coverage(bent(distance));
                if share > 0.0 {
                    over(p, paint.at(x, y), paint.opacity * share);
                }
            }
        }
    }

    /// A line of `width` px through the points, with round ends; its parts do not add up where they meet.
    pub fn stroke(&mut self, points: &[[f32; 2]], width: impl Fn(f32) -> f32, paint: &Paint) {
        let segments = points.len().saturating_sub(1);
        if segments == 0 {
            return;
        }
        let widest = (0..=8).map(|i| width(i as f32 / 8.0)).fold(0.0, f32::max);
        let (mut low, mut high) = (points[0], points[0]);
        for p in points {
            for axis in 0..2 {
                low[axis] = low[axis].min(p[axis]);
                high[axis] = high[axis].max(p[axis]);
            }
        }
        let margin = widest * 0.5 + 1.0;
        let clip = |v: f32| v.clamp(0.0, self.side_px()) as usize;
        let (x0, y0) = (clip(low[0] - margin), clip(low[1] - margin));
        let (x1, y1) = (clip(high[0] + margin + 1.0), clip(high[1] + margin + 1.0));
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let columns = x1 - x0;
        let mut coverage = vec![0f32; columns * (y1 - y0)];
        for (i, ends) in points.windows(2).enumerate() {
            let half = width((i as f32 + 0.5) / segments as f32) * 0.5;
            let (a, b) = (ends[0], ends[1]);
            let d = [b[0] - a[0], b[1] - a[1]];
            let square = (d[0] * d[0] + d[1] * d[1]).max(1e-6);
            let reach = half + 1.0;
            let from_y = (a[1].min(b[1]) - reach).max(y0 as f32) as usize;
            let to_y = ((a[1].max(b[1]) + reach).max(0.0) as usize + 1).min(y1);
            let from_x = (a[0].min(b[0]) - reach).max(x0 as f32) as usize;
            let to_x = ((a[0].max(b[0]) + reach).max(0.0) as usize + 1).min(x1);
            for y in from_y..to_y {
                for x in from_x..to_x {
                    let p = [x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]];
                    let t = ((p[0] * d[0] + p[1] * d[1]) / square).clamp(0.0, 1.0);
                    let away = (p[0] - t * d[0]).hypot(p[1] - t * d[1]);
                    // A line thinner than a pixel is fainter, not narrower.
                    let share = (half + 0.5 - away).clamp(0.0, (2.0 * half).min(1.0));
                    let place = &mut coverage[(y - y0) * columns + x - x0];
                    *place = place.max(share);
                }
            }
        }
        for (i, share) in coverage.into_iter().enumerate() {
            if share > 0.0 {
                let (x, y) = (x0 + i % columns, y0 + i / columns);
                let colour = paint.at(x as f32 + 0.5, y as f32 + 0.5);
                over(
                    &mut self.pixels[y * self.side + x],
                    colour,
                    paint.opacity * share,
                );
            }
        }
    }

    /// Everything within `reach` of a place: pixel-centre y, first column, pixels.
    fn rows(
        &mut self,
        x: f32,
        y: f32,
        reach: f32,
    ) -> impl Iterator<Item = (f32, usize, &mut [[f32; 4]])> {
        let side = self.side_px();
        let clip = |v: f32| v.clamp(0.0, side) as usize;
        let (x0, x1) = (clip(x - reach), clip(x + reach + 1.0));
        let (y0, y1) = (clip(y - reach), clip(y + reach + 1.0));
        self.pixels
            .chunks_exact_mut(self.side)
            .enumerate()
            .take(y1)
            .skip(y0)
            .map(move |(row, pixels)| (row as f32 + 0.5, x0, &mut pixels[x0..x1.max(x0)]))
    }

    /// Lays another picture of the same size on top.
    pub fn lay(&mut self, top: &Canvas) {
        for (p, t) in self.pixels.iter_mut().zip(&top.pixels) {
            let rest = 1.0 - t[3];
            *p = std::array::from_fn(|c| t[c] + p[c] * rest);
        }
    }

    /// Blurred with a box of `2·radius + 1`, twice: nearly a triangle.
    pub fn blur(&mut self, radius: usize) {
        let mut turned = self.pixels.clone();
        for _ in 0..2 {
            blur_rows_into_columns(&self.pixels, &mut turned, self.side, radius);
            blur_rows_into_columns(&turned, &mut self.pixels, self.side, radius);
        }
    }
}

fn blur_rows_into_columns(from: &[[f32; 4]], to: &mut [[f32; 4]], side: usize, radius: usize) {
    let share = 1.0 / (2 * radius + 1) as f32;
    for (y, row) in from.chunks_exact(side).enumerate() {
        let at = |x: isize| row[x.clamp(0, side as isize - 1) as usize];
        let r = radius as isize;
        let mut sum = [0f32; 4];
        for x in -r..=r {
            let p = at(x);
            sum = std::array::from_fn(|c| sum[c] + p[c]);
        }
        for x in 0..side {
            to[x * side + y] = sum.map(|v| v * share);
            let (new, old) = (at(x as isize + r + 1), at(x as isize - r));
            sum = std::array::from_fn(|c| sum[c] + new[c] - old[c]);
        }
    }
}

fn over(below: &mut [f32; 4], colour: Rgb, alpha: f32) {
    let rest = 1.0 - alpha;
    for (b, c) in below.iter_mut().zip(colour) {
        *b = c * alpha + *b * rest;
    }
    below[3] = alpha + below[3] * rest;
}
