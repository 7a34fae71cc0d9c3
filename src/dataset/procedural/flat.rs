//! Drawings of flat colour: compositions, icons on transparency, pixel sprites.

use std::rc::Rc;

use super::canvas::{Base, Canvas, Edge, Paint, SMOOTH};
use super::colour::{BLACK, Palette, Ramp, WHITE, mix, scaled};
use super::dice::Dice;
use super::leaves;
use super::scenery;
use super::shape::{Place, Shape};

/// A few shapes on a plain, smooth or transparent ground.
pub(super) fn shapes(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let palette = Palette::new(dice);
    let extent = canvas.side_px();
    match dice.weighted(&[3.0, 1.5, 1.5]) {
        0 => canvas.fill(&palette.pick(dice).into()),
        1 => canvas.fill(&scenery::smooth_base(dice, &palette, extent).into()),
        _ => {}
    }
    let line = dice
        .chance(0.4)
        .then(|| (palette.darkest(), dice.within(1.0, 5.0)));
    let edge = if dice.chance(0.15) {
        Edge::Hard
    } else {
        SMOOTH
    };
    for _ in 0..dice.count(2, 14) {
        let radius = dice.scale(4.0, 0.5 * extent);
        let place = Place::random(dice, extent, radius);
        let shape = Shape::random(dice);
        let colour = palette.pick(dice);
        let paint: Paint = if dice.chance(0.75) {
            colour.into()
        } else {
            let ramp = Ramp::new(&[scaled(colour, 1.25), scaled(colour, 0.7)]);
            Base::linear(
                ramp,
                [place.x, place.y - radius],
                [place.x, place.y + radius],
            )
            .into()
        };
        canvas.draw(&shape, place, &paint, edge);
        if let Some((colour, width)) = line {
            canvas.outline(&shape, place, &colour.into(), width, edge);
        }
    }
    canvas
}

/// One thing in the middle of transparency, built from parts that mirror each other, with a shadow, a glow, a rim, a
/// highlight, now and then textured. Small icons come several to a picture.
pub(super) fn icon(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let extent = canvas.side_px();
    let per_side = dice.pick(&[1, 1, 1, 2, 2, 3]);
    let cell = extent / per_side as f32;
    let palette = Palette::new(dice);
    for row in 0..per_side {
        for column in 0..per_side {
            let centre = [(column as f32 + 0.5) * cell, (row as f32 + 0.5) * cell];
            let radius = cell * dice.within(0.3, 0.46);
            one_icon(dice, &mut canvas, &palette, centre, radius);
        }
    }
    if dice.chance(0.12) {
        // A whole texture, cut out by an icon: the alpha edge of photographs.
        let mut picture = leaves::dead_leaves(dice, side);
        scenery::keep_where(&mut picture, &canvas);
        return picture;
    }
    if dice.chance(0.2) {
        let mut ground = Canvas::transparent(side);
        if dice.chance(0.5) {
            ground.fill(&palette.pick(dice).into());
        } else {
            ground.fill(&scenery::smooth_base(dice, &palette, extent).into());
        }
        ground.lay(&canvas);
        return ground;
    }
    canvas
}

fn one_icon(
    dice: &mut Dice,
    canvas: &mut Canvas,
    palette: &Palette,
    centre: [f32; 2],
    radius: f32,
) {
    let body = Shape::random(dice);
    let place = Place {
        x: centre[0],
        y: centre[1],
        radius,
        turn: dice.pick(&[0.0, 0.0, 0.785, 1.571]),
    };
    let colour = palette.pick(dice);
    let edge = match dice.weighted(&[1.5, 7.0, 1.0]) {
        0 => Edge::Hard,
        1 => SMOOTH,
        _ => Edge::Soft(dice.within(2.0, 8.0)),
    };
    if dice.chance(0.25) {
        let shadow = Paint::from(BLACK).with_opacity(dice.within(0.15, 0.5));
        let by = radius * 0.08;
        canvas.draw(
            &body,
            place.moved(by * 0.5, by),
            &shadow,
            Edge::Soft(dice.within(2.0, 12.0)),
        );
    } else if dice.chance(0.12) {
        let glow = Paint::from(palette.lightest()).with_opacity(dice.within(0.4, 0.9));
        canvas.draw(&body, place, &glow, Edge::Soft(radius * 0.6));
    }
    let paint: Paint = match dice.weighted(&[5.0, 3.0, 1.0]) {
        0 => colour.into(),
        1 => {
            let ramp = Ramp::new(&[
                mix(colour, WHITE, dice.within(0.0, 0.6)),
                scaled(colour, 0.75),
            ]);
            Base::linear(
                ramp,
                [centre[0], centre[1] - radius],
                [centre[0], centre[1] + radius],
            )
            .into()
        }
        _ => {
            let stops = [mix(colour, WHITE, 0.5), colour, scaled(colour, 0.6)];
            let lit = [centre[0] - radius * 0.3, centre[1] - radius * 0.35];
            Base::Radial(Rc::new(Ramp::new(&stops)), lit, 0.75 / radius).into()
        }
    };
    let paint = if dice.chance(0.08) {
        paint.with_opacity(dice.within(0.3, 0.9))
    } else {
        paint
    };
    canvas.draw(&body, place, &paint, edge);
    // Parts, mirrored left to right.
    for _ in 0..dice.count(0, 5) {
        let part = Shape::random(dice);
        let size = radius * dice.scale(0.08, 0.5);
        let (dx, dy) = (
            radius * dice.within(0.0, 0.7),
            radius * dice.within(-0.7, 0.7),
        );
        let turn = dice.angle();
        let paint: Paint = palette.pick(dice).into();
        let is_pair = dice.chance(0.7);
        for sign in [-1.0, 1.0] {
            if !is_pair && sign > 0.0 {
                continue;
            }
            let x = centre[0] + if is_pair { sign * dx } else { 0.0 };
            let turn = if is_pair { sign * turn } else { 0.0 };
            let at = Place {
                x,
                y: centre[1] + dy,
                radius: size,
                turn,
            };
            canvas.draw(&part, at, &paint, edge);
        }
    }
    if dice.chance(0.4) {
        let width = dice.within(1.0, (radius * 0.16).max(1.5));
        canvas.outline(&body, place, &palette.darkest().into(), width, edge);
    }
    if dice.chance(0.3) {
        let shine = Paint::from(WHITE).with_opacity(dice.within(0.2, 0.8));
        let at = Place {
            radius: radius * 0.35,
            turn: -0.4,
            ..place.moved(-radius * 0.3, -radius * 0.45)
        };
        canvas.draw(&Shape::Ellipse(1.0, 0.5), at, &shine, SMOOTH);
    }
}

/// Pixel art: blocks of a few colours, mirrored, with a dark rim and shading, on transparency or a tile.
pub(super) fn sprite(dice: &mut Dice, side: usize) -> Canvas {
    let palette = Palette::new(dice);
    let block = dice.pick(&[1usize, 2, 2, 3, 4, 4, 6, 8]);
    let grid = dice.count(8, 16) as usize;
    let colours = [
        palette.darkest(),
        palette.pick(dice),
        palette.pick(dice),
        palette.lightest(),
    ];
    let mut canvas = Canvas::transparent(side);
    if dice.chance(0.3) {
        canvas.fill(&palette.pick(dice).into());
    }
    let mut cells = vec![0usize; grid * grid];
    let step = grid * block + block;
    for top in (0..side).step_by(step.max(1)) {
        for left in (0..side).step_by(step.max(1)) {
            // A few sprites take turns: repetition, as on a sheet.
            if cells.iter().all(|c| *c == 0) || dice.chance(0.6) {
                cells = sprite_cells(dice, grid);
            }
            for (i, cell) in cells.iter().enumerate().filter(|(_, cell)| **cell > 0) {
                let [r, g, b] = colours[cell - 1];
                for dy in 0..block {
                    for dx in 0..block {
                        let (x, y) = (left + i % grid * block + dx, top + i / grid * block + dy);
                        if x < side && y < side {
                            canvas.pixels[y * side + x] = [r, g, b, 1.0];
                        }
                    }
                }
            }
        }
    }
    canvas
}

/// 0 is empty, 1 the rim, 2.. the colours; mirrored left to right.
fn sprite_cells(dice: &mut Dice, grid: usize) -> Vec<usize> {
    let shape = Shape::blob(dice);
    let second = Shape::random(dice);
    let shift = dice.within(-0.4, 0.4);
    let at = |i: usize| (i as f32 + 0.5) / grid as f32 * 2.0 - 1.0;
    let is_in = |x: f32, y: f32| shape.distance(x.abs() * 1.1, y * 1.1) < 0.0;
    let speckle: Vec<bool> = (0..grid * grid).map(|_| dice.chance(0.12)).collect();
    (0..grid * grid)
        .map(|i| {
            let (x, y) = (at(i % grid), at(i / grid));
            let px = 2.0 / grid as f32;
            if !is_in(x, y) {
                return 0;
            }
            let is_rim = [(px, 0.0), (-px, 0.0), (0.0, px), (0.0, -px)]
                .iter()
                .any(|(dx, dy)| !is_in(x + dx, y + dy));
            let mirrored = if x < 0.0 {
                i
            } else {
                i / grid * grid + (grid - 1 - i % grid)
            };
            if is_rim {
                1
            } else if second.distance(x.abs() * 2.0 - 0.5, y * 2.0 + shift) < 0.0 {
                4
            } else if speckle[mirrored] || y > 0.35 {
                3
            } else {
                2
            }
        })
        .collect()
}
