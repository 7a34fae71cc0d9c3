//! Noise, gradients and landscapes: what skies, walls, cloth and distance look like.

use std::rc::Rc;

use super::canvas::Edge;
use super::canvas::{Base, Canvas, Paint};
use super::colour::{Palette, Ramp, mix, scaled};
use super::dice::Dice;
use super::field::{Field, FieldKind};
use super::leaves;
use super::shape::{Place, Shape};

/// Clouds, marble, bark, fabric: a field through a ramp, warped, tinted by a second field.
pub(super) fn noise(dice: &mut Dice, side: usize) -> Canvas {
    let palette = Palette::new(dice);
    let stops = dice.count(2, 5) as usize;
    let ramp = palette.ramp(dice, stops);
    let kind = FieldKind::random(dice, side);
    let field = Field::new(dice, side, kind);
    let tint_kind = FieldKind {
        octaves: 2,
        ..FieldKind::random(dice, side)
    };
    let tint = Field::new(dice, side, tint_kind);
    let warp = if dice.chance(0.4) {
        dice.scale(2.0, 30.0)
    } else {
        0.0
    };
    let (tint_strength, tint_colour) = (dice.within(0.0, 0.35), palette.pick(dice));
    let contrast = dice.within(0.2, 0.7);
    let mut canvas = Canvas::transparent(side);
    for (i, p) in canvas.pixels.iter_mut().enumerate() {
        let (x, y) = ((i % side) as i32, (i / side) as i32);
        let t = tint.at(x, y);
        let v = if warp > 0.0 {
            field.smooth_at(x as f32 + warp * t, y as f32 - warp * tint.at(y, x))
        } else {
            field.at(x, y)
        };
        let colour = ramp.at(0.5 + contrast * v);
        let [r, g, b] = mix(
            colour,
            tint_colour,
            (tint_strength * (t + 1.0)).clamp(0.0, 1.0),
        );
        *p = [r, g, b, 1.0];
    }
    canvas
}

/// A smooth base of any shape over the whole picture.
pub(super) fn smooth_base(dice: &mut Dice, palette: &Palette, extent: f32) -> Base {
    let stops = dice.count(2, 4) as usize;
    let ramp = palette.ramp(dice, stops);
    let mut anywhere = || {
        [
            dice.within(-0.2, 1.2) * extent,
            dice.within(-0.2, 1.2) * extent,
        ]
    };
    let (from, to) = (anywhere(), anywhere());
    match dice.weighted(&[3.0, 2.0, 1.0]) {
        0 => Base::linear(ramp, from, to),
        1 => Base::Radial(Rc::new(ramp), from, 1.0 / dice.within(0.4, 1.3) / extent),
        _ => Base::Conic(Rc::new(ramp), from, dice.unit()),
    }
}

/// Gradients with soft lights.
pub(super) fn gradient(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let palette = Palette::new(dice);
    let extent = canvas.side_px();
    canvas.fill(&smooth_base(dice, &palette, extent).into());
    for _ in 0..dice.count(0, 4) {
        let radius = dice.within(0.1, 0.5) * extent;
        let place = Place::random(dice, extent, radius);
        let paint = Paint::from(palette.pick(dice)).with_opacity(dice.within(0.2, 0.9));
        let shape = if dice.chance(0.7) {
            Shape::Ellipse(1.0, dice.within(0.5, 1.0))
        } else {
            Shape::blob(dice)
        };
        canvas.draw(
            &shape,
            place,
            &paint,
            Edge::Soft(radius * dice.within(0.6, 1.8)),
        );
    }
    if dice.chance(0.25) {
        // A tapering hole: alpha that fades over a distance.
        let shape = Shape::blob(dice);
        let radius = dice.within(0.35, 0.6) * extent;
        let place = Place::random(dice, extent, radius);
        let mut mask = Canvas::transparent(side);
        mask.draw(
            &shape,
            place,
            &[1.0; 3].into(),
            Edge::Soft(dice.within(2.0, 40.0)),
        );
        keep_where(&mut canvas, &mask);
    }
    canvas
}

/// Multiplies by the alpha of `mask`.
pub(super) fn keep_where(canvas: &mut Canvas, mask: &Canvas) {
    for (p, m) in canvas.pixels.iter_mut().zip(&mask.pixels) {
        *p = p.map(|v| v * m[3]);
    }
}

/// A sky, ridges one behind the other in haze, and things near by.
pub(super) fn landscape(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let palette = Palette::new(dice);
    let extent = canvas.side_px();
    let fields = leaves::fields(dice, side, 3);
    let (zenith, haze) = (palette.near(dice, 0.1), palette.lightest());
    canvas.fill(&Base::linear(Ramp::new(&[zenith, haze]), [0.0, 0.0], [0.0, extent * 0.8]).into());
    if dice.chance(0.6) {
        let cell = dice.scale(12.0, 0.6 * extent);
        let kind = FieldKind {
            cell_px: [cell * 2.0, cell],
            octaves: 5,
            gain: 0.55,
            is_ridged: false,
        };
        let clouds = Field::new(dice, side, kind);
        let (cover, density) = (dice.within(-0.2, 0.5), dice.within(0.4, 1.0));
        let white: Paint = mix(haze, [1.0; 3], 0.7).into();
        canvas.draw_where(&white, |x, y| {
            ((clouds.at(x as i32, y as i32) - cover) * 1.4).clamp(0.0, 1.0) * density
        });
    }
    let ridges = dice.count(1, 5);
    for ridge in 0..ridges {
        let near = (ridge + 1) as f32 / ridges as f32;
        let kind = FieldKind {
            cell_px: [dice.within(0.15, 0.9) * extent, extent * 8.0],
            octaves: dice.count(3, 6),
            gain: dice.within(0.35, 0.6),
            is_ridged: false,
        };
        let line = Field::new(dice, side, kind);
        let height = extent * (0.35 + 0.45 * near + dice.within(-0.1, 0.1));
        let amplitude = extent * dice.within(0.04, 0.2);
        let own = scaled(palette.near(dice, 0.1), 1.0 - 0.4 * near);
        let colour = mix(haze, own, 0.25 + 0.75 * near);
        let foot = mix(colour, haze, 0.4);
        let base = Base::linear(
            Ramp::new(&[colour, foot]),
            [0.0, height - amplitude],
            [0.0, extent],
        );
        let field = Rc::clone(&fields[ridge as usize % fields.len()]);
        let paint = Paint::from(base).with_grain(dice, &field, 0.35 * near);
        canvas.draw_where(&paint, |x, y| {
            y - (height + amplitude * line.at(x as i32, 0)) + 0.5
        });
    }
    for _ in 0..dice.count(0, 14) {
        let radius = dice.scale(2.0, 0.2 * extent);
        let place = Place {
            y: dice.within(0.6, 1.05) * extent,
            ..Place::random(dice, extent, radius)
        };
        let paint = leaves::surface(dice, &palette, &fields, place);
        let shape = Shape::blob(dice);
        canvas.draw(&shape, place, &paint, Edge::Soft(1.0));
    }
    if dice.chance(0.2) {
        canvas.blur(dice.count(1, 3) as usize);
    }
    canvas
}
