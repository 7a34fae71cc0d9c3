//! Colours and small palettes that go together, drawn in OKLCh (Ottosson 2020).

use super::dice::Dice;

/// sRGB, straight, 0..1.
pub(super) type Rgb = [f32; 3];

pub(super) const BLACK: Rgb = [0.0; 3];
pub(super) const WHITE: Rgb = [1.0; 3];

/// Lightness 0..1, chroma 0..0.33, hue in turns → sRGB. Colours beyond the gamut lose chroma, not hue.
pub(super) fn oklch(lightness: f32, chroma: f32, hue_turns: f32) -> Rgb {
    let lightness = lightness.clamp(0.0, 1.0);
    let (sin, cos) = (hue_turns * std::f32::consts::TAU).sin_cos();
    let mut chroma = chroma.max(0.0);
    for _ in 0..12 {
        let linear = linear_from_oklab(lightness, chroma * cos, chroma * sin);
        if linear.iter().all(|v| (-0.001..=1.001).contains(v)) {
            return linear.map(encode);
        }
        chroma *= 0.8;
    }
    [encode(lightness.powi(3)); 3]
}

fn linear_from_oklab(lightness: f32, a: f32, b: f32) -> Rgb {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

/// Linear light to sRGB.
fn encode(v: f32) -> f32 {
    let v = v.clamp(0.0, 1.0);
    if v <= 0.003_130_8 {
        12.92 * v
    } else {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    }
}

pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// Multiplied, within 0..1.
pub(super) fn scaled(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|v| (v * factor).clamp(0.0, 1.0))
}

pub(super) fn luma(colour: Rgb) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

/// Three to seven colours of one mood.
pub(super) struct Palette(Vec<Rgb>);

impl Palette {
    pub fn new(dice: &mut Dice) -> Self {
        let n = dice.count(3, 7);
        let hue = dice.unit();
        let mood = dice.weighted(&[4.0, 2.0, 1.5, 2.0, 1.0, 1.0, 1.5, 1.0]);
        let mut colours: Vec<Rgb> = (0..n)
            .map(|i| {
                let spread = i as f32 / n as f32;
                match mood {
                    // Earth, foliage, skin, stone and sky, muted as in photographs.
                    0 => {
                        let centre = dice.pick(&[0.08, 0.11, 0.16, 0.22, 0.3, 0.34, 0.64, 0.68]);
                        let chroma = 0.045 + 0.035 * dice.normal();
                        oklch(
                            dice.within(0.15, 0.95),
                            chroma,
                            centre + 0.02 * dice.normal(),
                        )
                    }
                    // Neighbours on the colour circle.
                    1 => oklch(
                        dice.within(0.25, 0.95),
                        dice.within(0.03, 0.16),
                        hue + 0.06 * dice.normal(),
                    ),
                    // Two opposites.
                    2 => oklch(
                        dice.within(0.3, 0.92),
                        dice.within(0.04, 0.2),
                        hue + 0.5 * (i % 2) as f32 + 0.02 * dice.normal(),
                    ),
                    // Bright and flat, as icons are.
                    3 => oklch(
                        dice.within(0.45, 0.95),
                        dice.within(0.12, 0.3),
                        hue + spread + 0.03 * dice.normal(),
                    ),
                    // Pastel.
                    4 => oklch(
                        dice.within(0.82, 0.97),
                        dice.within(0.02, 0.07),
                        hue + spread,
                    ),
                    // Night.
                    5 => oklch(
                        dice.within(0.08, 0.42),
                        dice.within(0.0, 0.09),
                        hue + 0.1 * dice.normal(),
                    ),
                    // Greys, faintly tinted.
                    6 => oklch(dice.within(0.05, 1.0), dice.within(0.0, 0.015), hue),
                    // One hue from dark to light.
                    _ => oklch(
                        0.15 + 0.8 * spread,
                        dice.within(0.02, 0.12),
                        hue + 0.02 * dice.normal(),
                    ),
                }
            })
            .collect();
        if mood == 3 && dice.chance(0.6) {
            colours.push(if dice.chance(0.5) {
                WHITE
            } else {
                [0.12, 0.12, 0.14]
            });
        }
        Self(colours)
    }

    pub fn pick(&self, dice: &mut Dice) -> Rgb {
        dice.pick(&self.0)
    }

    /// A colour near one of the palette's.
    pub fn near(&self, dice: &mut Dice, spread: f32) -> Rgb {
        let light = 1.0 + spread * dice.normal();
        let tint: Rgb = std::array::from_fn(|_| 1.0 + 0.4 * spread * dice.normal());
        let colour = self.pick(dice);
        std::array::from_fn(|c| (colour[c] * light * tint[c]).clamp(0.0, 1.0))
    }

    pub fn darkest(&self) -> Rgb {
        self.extreme(|a, b| a < b)
    }

    pub fn lightest(&self) -> Rgb {
        self.extreme(|a, b| a > b)
    }

    fn extreme(&self, wins: impl Fn(f32, f32) -> bool) -> Rgb {
        let mut best = self.0[0];
        for colour in &self.0 {
            if wins(luma(*colour), luma(best)) {
                best = *colour;
            }
        }
        best
    }

    /// `stops` colours.
    pub fn ramp(&self, dice: &mut Dice, stops: usize) -> Ramp {
        let stops: Vec<Rgb> = (0..stops.max(2)).map(|_| self.pick(dice)).collect();
        Ramp::new(&stops)
    }
}

const RAMP: usize = 256;

/// A gradient's colours, from 0 to 1.
#[derive(Clone)]
pub(super) struct Ramp(Vec<Rgb>);

impl Ramp {
    /// `stops` evenly spaced, at least one.
    pub fn new(stops: &[Rgb]) -> Self {
        let segments = stops.len() - 1;
        Self(
            (0..RAMP)
                .map(|i| {
                    let at = i as f32 / (RAMP - 1) as f32 * segments as f32;
                    let from = (at as usize).min(segments.saturating_sub(1));
                    mix(
                        stops[from],
                        stops[(from + 1).min(segments)],
                        at - from as f32,
                    )
                })
                .collect(),
        )
    }

    pub fn at(&self, t: f32) -> Rgb {
        let x = t.clamp(0.0, 1.0) * (RAMP - 1) as f32;
        let i = (x as usize).min(RAMP - 2);
        mix(self.0[i], self.0[i + 1], x - i as f32)
    }
}
