//! Regular patterns: checks, stripes, plaid, bricks, dots, hexagons, arcs on tiles.

use super::canvas::{Base, Canvas, Paint, SMOOTH};
use super::colour::{Palette, mix, scaled};
use super::dice::Dice;
use super::field::{Field, FieldKind};
use super::leaves;
use super::shape::{Place, Shape};
use std::f32::consts::PI;
use std::rc::Rc;

pub(super) fn pattern(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let palette = Palette::new(dice);
    let period = dice.scale(5.0, 48.0);
    // Half of them stand straight, on whole pixels.
    let is_straight = dice.chance(0.5);
    let period = if is_straight { period.round() } else { period };
    let turn = if is_straight { 0.0 } else { dice.angle() };
    let ground = palette.pick(dice);
    if dice.chance(0.85) {
        canvas.fill(&ground.into());
    }
    match dice.count(0, 6) {
        0 => {
            let (sin, cos) = turn.sin_cos();
            let base = Base::Checks(ground, palette.pick(dice), [cos / period, sin / period]);
            canvas.fill(&base.into());
        }
        1 => {
            let direction = [turn.cos() / period, turn.sin() / period];
            let share = dice.within(0.15, 0.85);
            canvas.fill(&Base::Stripes(ground, palette.pick(dice), direction, share).into());
        }
        2 => plaid(dice, &mut canvas, &palette, period, turn),
        3 => bricks(dice, &mut canvas, &palette, period.max(8.0)),
        4 => arcs(dice, &mut canvas, &palette, period.max(8.0).round()),
        _ => repeated(dice, &mut canvas, &palette, period.max(6.0), turn),
    }
    if dice.chance(0.35) {
        let kind = FieldKind::random(dice, side);
        let field = Rc::new(Field::new(dice, side, kind));
        let strength = dice.within(0.05, 0.35);
        for (i, p) in canvas.pixels.iter_mut().enumerate() {
            let factor = 1.0 + strength * field.at((i % side) as i32, (i / side) as i32);
            for c in 0..3 {
                p[c] = (p[c] * factor).clamp(0.0, p[3]);
            }
        }
    }
    canvas
}

fn plaid(dice: &mut Dice, canvas: &mut Canvas, palette: &Palette, period: f32, turn: f32) {
    for axis in 0..2 {
        for _ in 0..dice.count(1, 3) {
            let angle = turn + PI * 0.5 * axis as f32;
            let direction = [angle.cos() / period, angle.sin() / period];
            let (width, shift) = (dice.within(0.1, 0.6), dice.unit());
            let paint = Paint::from(palette.pick(dice)).with_opacity(dice.within(0.3, 0.7));
            canvas.draw_where(&paint, |x, y| {
                let at = (x * direction[0] + y * direction[1] + shift).rem_euclid(1.0);
                (0.5 + (width * 0.5 - (at - 0.5).abs()) * period).clamp(0.0, 1.0)
            });
        }
    }
}

fn bricks(dice: &mut Dice, canvas: &mut Canvas, palette: &Palette, height: f32) {
    let width = height * dice.within(1.0, 3.0);
    let gap = dice.within(0.5, (height * 0.2).max(1.0));
    let shift = dice.pick(&[0.0, 0.5, 0.33]);
    let round = dice.within(0.0, 0.4) * height;
    let own = palette.pick(dice);
    let spread = dice.within(0.02, 0.25);
    let fields = leaves::fields(dice, canvas.side, 1);
    let rows = (canvas.side_px() / height) as i32 + 1;
    let columns = (canvas.side_px() / width) as i32 + 2;
    for row in 0..rows {
        for column in -1..columns {
            let place = Place {
                x: (column as f32 + 0.5 + shift * (row % 2) as f32) * width,
                y: (row as f32 + 0.5) * height,
                radius: 1.0,
                turn: 0.0,
            };
            let half = [(width - gap) * 0.5, (height - gap) * 0.5];
            let shape = Shape::Box(half[0], half[1], round.min(half[1]).min(half[0]));
            let colour = scaled(own, 1.0 + spread * dice.normal());
            let paint = Paint::from(colour).with_grain(dice, &fields[0], spread);
            canvas.draw(&shape, place, &paint, SMOOTH);
            if spread > 0.15 {
                let lit = place.moved(0.0, -half[1] + 1.0);
                let paint = Paint::from(mix(colour, [1.0; 3], 0.4)).with_opacity(0.6);
                canvas.draw(&Shape::Box(half[0] * 0.9, 0.7, 0.5), lit, &paint, SMOOTH);
            }
        }
    }
}

/// Quarter arcs on square tiles, turned at random: lines that wander (Truchet tiles).
fn arcs(dice: &mut Dice, canvas: &mut Canvas, palette: &Palette, tile: f32) {
    let width = tile * dice.within(0.1, 0.4);
    let (colour, other) = (palette.pick(dice), palette.near(dice, 0.1));
    let tiles = (canvas.side_px() / tile) as i32 + 1;
    for row in 0..tiles {
        for column in 0..tiles {
            let is_turned = dice.chance(0.5);
            for end in 0..2 {
                let right = (end == 1) != is_turned;
                let (cx, cy) = (
                    column as f32 + f32::from(u8::from(right)),
                    (row + end) as f32,
                );
                let from = match (right, end) {
                    (false, 0) => 0.0,
                    (true, 0) => 0.5 * PI,
                    (true, _) => PI,
                    (false, _) => 1.5 * PI,
                };
                let points: Vec<[f32; 2]> = (0..=8)
                    .map(|i| {
                        let (sin, cos) = (from + i as f32 / 16.0 * PI).sin_cos();
                        [(cx + 0.5 * cos) * tile, (cy + 0.5 * sin) * tile]
                    })
                    .collect();
                let colour = if dice.chance(0.9) { colour } else { other };
                canvas.stroke(&points, |_| width, &colour.into());
            }
        }
    }
}

/// One or two shapes on a square or hexagonal lattice.
fn repeated(dice: &mut Dice, canvas: &mut Canvas, palette: &Palette, period: f32, turn: f32) {
    let shapes = [Shape::random(dice), Shape::random(dice)];
    let colours = [palette.pick(dice), palette.pick(dice)];
    let radius = period * dice.within(0.2, 0.6);
    let is_hexagonal = dice.chance(0.5);
    let down = if is_hexagonal { 0.75f32.sqrt() } else { 1.0 };
    let (sin, cos) = turn.sin_cos();
    let extent = canvas.side_px();
    let count = (extent * 1.5 / period) as i32 + 1;
    let own_turn = dice.angle();
    let is_paired = dice.chance(0.4);
    for row in -count / 2..=count / 2 {
        for column in -count / 2..=count / 2 {
            let odd = row.rem_euclid(2) as f32;
            let u = (column as f32 + if is_hexagonal { 0.5 * odd } else { 0.0 }) * period;
            let v = row as f32 * period * down;
            let place = Place {
                x: extent * 0.5 + u * cos - v * sin,
                y: extent * 0.5 + u * sin + v * cos,
                radius,
                turn: own_turn,
            };
            let which = if is_paired {
                (row + column).rem_euclid(2) as usize
            } else {
                0
            };
            canvas.draw(&shapes[which], place, &colours[which].into(), SMOOTH);
        }
    }
}
