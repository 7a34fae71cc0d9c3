//! Smooth random fields: value noise with cubic interpolation, summed over octaves.

use super::dice::Dice;

/// How a field looks.
#[derive(Clone, Copy)]
pub(super) struct FieldKind {
    /// Size of the largest features, px, along x and y.
    pub cell_px: [f32; 2],
    pub octaves: u32,
    /// Amplitude of an octave over that of the one before.
    pub gain: f32,
    /// Folded at 0: ridges and veins.
    pub is_ridged: bool,
}

impl FieldKind {
    pub fn random(dice: &mut Dice, side: usize) -> Self {
        let cell = dice.scale(6.0, side as f32);
        let stretch = if dice.chance(0.25) {
            dice.scale(1.5, 12.0)
        } else {
            1.0
        };
        let cell_px = if dice.chance(0.5) {
            [cell, cell / stretch]
        } else {
            [cell / stretch, cell]
        };
        Self {
            cell_px,
            octaves: dice.count(1, 6),
            gain: dice.within(0.4, 0.75),
            is_ridged: dice.chance(0.2),
        }
    }
}

/// `side × side` values, mean near 0, most of them in −1..1.
pub(super) struct Field {
    side: usize,
    values: Vec<f32>,
}

impl Field {
    pub fn new(dice: &mut Dice, side: usize, kind: FieldKind) -> Self {
        let mut values = vec![0.0; side * side];
        let (mut amplitude, mut power) = (1.0f32, 0.0f32);
        let [mut cell_x, mut cell_y] = kind.cell_px;
        for _ in 0..kind.octaves.max(1) {
            add_octave(
                dice,
                &mut values,
                side,
                [cell_x.max(1.0), cell_y.max(1.0)],
                amplitude,
            );
            power += amplitude * amplitude;
            amplitude *= kind.gain;
            cell_x *= 0.5;
            cell_y *= 0.5;
            if cell_x < 1.0 && cell_y < 1.0 {
                break;
            }
        }
        // An octave of cubic-interpolated uniform noise has a standard deviation of about 0.38.
        let scale = 1.0 / (0.38 * 2.0 * power.sqrt());
        for v in &mut values {
            *v *= scale;
            if kind.is_ridged {
                *v = 1.0 - 4.0 * v.abs();
            }
        }
        Self { side, values }
    }

    /// The value at a place, which wraps around.
    pub fn at(&self, x: i32, y: i32) -> f32 {
        let side = self.side as i32;
        let (x, y) = (x.rem_euclid(side) as usize, y.rem_euclid(side) as usize);
        self.values[y * self.side + x]
    }

    /// Between pixels.
    pub fn smooth_at(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (x.floor(), y.floor());
        let (tx, ty) = (x - fx, y - fy);
        let (ix, iy) = (fx as i32, fy as i32);
        let top = self.at(ix, iy) * (1.0 - tx) + self.at(ix + 1, iy) * tx;
        let bottom = self.at(ix, iy + 1) * (1.0 - tx) + self.at(ix + 1, iy + 1) * tx;
        top * (1.0 - ty) + bottom * ty
    }
}

/// Catmull–Rom weights of the four neighbours.
fn cubic(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        0.5 * (-t3 + 2.0 * t2 - t),
        0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
        0.5 * (-3.0 * t3 + 4.0 * t2 + t),
        0.5 * (t3 - t2),
    ]
}

fn add_octave(dice: &mut Dice, values: &mut [f32], side: usize, cell: [f32; 2], amplitude: f32) {
    let columns = (side as f32 / cell[0]).ceil() as usize + 4;
    let rows = (side as f32 / cell[1]).ceil() as usize + 4;
    let shift = [dice.unit(), dice.unit()];
    let places: Vec<(usize, [f32; 4])> = (0..side)
        .map(|x| {
            let at = x as f32 / cell[0] + shift[0];
            (at as usize, cubic(at.fract()))
        })
        .collect();
    let mut lattice = vec![0.0; columns + 1];
    // Interpolated along x first, row by row of the lattice.
    let wide: Vec<Vec<f32>> = (0..rows + 1)
        .map(|_| {
            for v in &mut lattice {
                *v = (dice.unit() * 2.0 - 1.0) * amplitude;
            }
            places
                .iter()
                .map(|(i, w)| {
                    let p = &lattice[*i..*i + 4];
                    p[0] * w[0] + p[1] * w[1] + p[2] * w[2] + p[3] * w[3]
                })
                .collect()
        })
        .collect();
    for (y, out) in values.chunks_exact_mut(side).enumerate() {
        let at = y as f32 / cell[1] + shift[1];
        let (i, w) = (at as usize, cubic(at.fract()));
        let [a, b, c, d] = [&wide[i], &wide[i + 1], &wide[i + 2], &wide[i + 3]];
        for (x, v) in out.iter_mut().enumerate() {
            *v += a[x] * w[0] + b[x] * w[1] + c[x] * w[2] + d[x] * w[3];
        }
    }
}
