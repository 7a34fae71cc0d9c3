//! Dead leaves: things that hide each other, sizes by a power law.

use std::rc::Rc;

use super::canvas::{Base, Canvas, Edge, Paint, SMOOTH};
use super::colour::{Palette, Ramp, Rgb, scaled};
use super::dice::Dice;
use super::field::{Field, FieldKind};
use super::shape::{Place, Shape};

/// Textures that a scene's things share.
pub(super) fn fields(dice: &mut Dice, side: usize, count: usize) -> Vec<Rc<Field>> {
    (0..count)
        .map(|_| {
            let kind = FieldKind::random(dice, side);
            Rc::new(Field::new(dice, side, kind))
        })
        .collect()
}

/// Paint for something about `place`, as surfaces look: shaded, grained, striped or plain.
pub(super) fn surface(
    dice: &mut Dice,
    palette: &Palette,
    fields: &[Rc<Field>],
    place: Place,
) -> Paint {
    let colour = palette.near(dice, 0.12);
    let mut paint: Paint = match dice.weighted(&[3.0, 3.0, 1.5, 1.0, 0.7, 0.4]) {
        0 => colour.into(),
        1 => shaded(dice, colour, place).into(),
        2 => {
            // A ball, lit from one side.
            let light = dice.angle();
            let centre = [
                place.x + 0.4 * place.radius * light.cos(),
                place.y + 0.4 * place.radius * light.sin(),
            ];
            let stops = [scaled(colour, 1.5), colour, scaled(colour, 0.35)];
            let ramp = Rc::new(Ramp::new(&stops));
            Base::Radial(ramp, centre, 0.7 / place.radius.max(1.0)).into()
        }
        3 => {
            let ramp = Ramp::new(&[scaled(colour, 0.5), colour, palette.near(dice, 0.1)]);
            let field = Rc::clone(&fields[dice.count(0, fields.len() as u32 - 1) as usize]);
            let offset = [dice.count(0, 999) as i32, dice.count(0, 999) as i32];
            Base::Field(Rc::new(ramp), field, offset).into()
        }
        4 => {
            let per_px = 1.0 / dice.scale(2.5, 24.0);
            let turn = dice.angle();
            let other = palette.near(dice, 0.1);
            let direction = [turn.cos() * per_px, turn.sin() * per_px];
            Base::Stripes(colour, other, direction, dice.within(0.2, 0.8)).into()
        }
        _ => {
            let (sin, cos) = dice.angle().sin_cos();
            let per_px = 1.0 / dice.scale(2.0, 20.0);
            let other = palette.near(dice, 0.1);
            Base::Checks(colour, other, [cos * per_px, sin * per_px]).into()
        }
    };
    if dice.chance(0.6) {
        let field = Rc::clone(&fields[dice.count(0, fields.len() as u32 - 1) as usize]);
        let strength = dice.scale(0.04, 0.5);
        paint = paint.with_grain(dice, &field, strength);
    }
    paint
}

fn shaded(dice: &mut Dice, colour: Rgb, place: Place) -> Base {
    let (sin, cos) = dice.angle().sin_cos();
    let contrast = dice.within(0.1, 0.7);
    let ramp = Ramp::new(&[
        scaled(colour, 1.0 + contrast),
        scaled(colour, 1.0 - contrast),
    ]);
    let r = place.radius;
    Base::linear(
        ramp,
        [place.x - cos * r, place.y - sin * r],
        [place.x + cos * r, place.y + sin * r],
    )
}

pub(super) fn dead_leaves(dice: &mut Dice, side: usize) -> Canvas {
    let mut canvas = Canvas::transparent(side);
    let palette = Palette::new(dice);
    let fields = fields(dice, side, 3);
    let extent = canvas.side_px();
    let middle = Place {
        x: extent / 2.0,
        y: extent / 2.0,
        radius: extent,
        turn: 0.0,
    };
    canvas.fill(&surface(dice, &palette, &fields, middle));

    // Density of radii ∝ r^-p; 3 gives the scale invariance of natural scenes.
    let power = dice.within(2.2, 3.4);
    let smallest = dice.scale(1.5, 10.0);
    let largest = dice.within(0.25, 0.7) * extent;
    let count = (dice.within(1.0, 4.0) * 60.0 * (extent / 128.0).powi(2)) as u32;
    let one_shape = dice.chance(0.35).then(|| Shape::random(dice));
    let has_outlines = dice.chance(0.12);
    let has_shadows = dice.chance(0.3);
    // Some lenses have one plane in focus.
    let depth_blur = if dice.chance(0.25) {
        dice.within(0.0, 12.0)
    } else {
        0.0
    };
    for i in 0..count {
        let u = dice.unit();
        let low = smallest.powf(1.0 - power);
        let high = largest.powf(1.0 - power);
        let radius = (low + u * (high - low)).powf(1.0 / (1.0 - power));
        let place = Place::random(dice, extent, radius);
        let own;
        let shape = match &one_shape {
            Some(shape) => shape,
            None => {
                own = Shape::random(dice);
                &own
            }
        };
        let paint = surface(dice, &palette, &fields, place);
        let paint = if dice.chance(0.06) {
            paint.with_opacity(dice.within(0.3, 0.9))
        } else {
            paint
        };
        let behind = 1.0 - i as f32 / count as f32;
        let edge = Edge::Soft(1.0 + depth_blur * behind);
        if has_shadows {
            let shadow = Paint::from([0.0; 3]).with_opacity(0.35);
            let softness = (radius * 0.25).clamp(1.0, 10.0);
            let by = radius * 0.12;
            canvas.draw(shape, place.moved(by, by), &shadow, Edge::Soft(softness));
        }
        canvas.draw(shape, place, &paint, edge);
        if has_outlines && radius > 4.0 {
            canvas.outline(shape, place, &palette.darkest().into(), 1.5, SMOOTH);
        }
    }
    canvas
}
