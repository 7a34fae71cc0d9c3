//! Between straight 8-bit RGBA and the codec's pixels: premultiplied sRGB and alpha, each scaled to [−1, 1].

/// One straight RGBA pixel → what the codec sees.
pub fn from_rgba8(pixel: [u8; 4]) -> [f32; 4] {
    let alpha = f32::from(pixel[3]) / 255.0;
    let colour = |value: u8| 2.0 * (f32::from(value) / 255.0) * alpha - 1.0;
    [
        colour(pixel[0]),
        colour(pixel[1]),
        colour(pixel[2]),
        2.0 * alpha - 1.0,
    ]
}

/// What the codec gives → a straight RGBA pixel, rounded and clamped. Alpha that rounds to 0 gives transparent black.
pub fn to_rgba8(pixel: [f32; 4]) -> [u8; 4] {
    let level = |value: f32| (value * 255.0 + 0.5) as u8; // saturates; NaN is 0
    let half = |value: f32| (value + 1.0) * 0.5;
    let alpha = half(pixel[3]).min(1.0);
    let alpha_8bit = level(alpha);
    if alpha_8bit == 0 {
        return [0; 4];
    }
    let colour = |value: f32| level((half(value) / alpha).clamp(0.0, 1.0));
    [
        colour(pixel[0]),
        colour(pixel[1]),
        colour(pixel[2]),
        alpha_8bit,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_and_back_is_the_same_where_alpha_is_opaque(r: u8, g: u8, b: u8) {
            prop_assert_eq!(to_rgba8(from_rgba8([r, g, b, 255])), [r, g, b, 255]);
        }

        #[test]
        fn there_and_back_keeps_alpha_and_visible_colour(r: u8, g: u8, b: u8, a: u8) {
            let back = to_rgba8(from_rgba8([r, g, b, a]));
            prop_assert_eq!(back[3], a);
            if a > 0 {
                prop_assert_eq!(back, [r, g, b, a]);
            }
        }

        #[test]
        fn any_numbers_give_a_pixel(p in proptest::array::uniform4(proptest::num::f32::ANY)) {
            let pixel = to_rgba8(p);
            prop_assert!(pixel[3] > 0 || pixel == [0; 4]);
        }
    }
}
