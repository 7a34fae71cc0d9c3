//! Text on pictures: one font, drawn with coverage.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use crate::error::{Error, Kind, Result};

/// Straight sRGB, opaque.
pub(super) type Colour = [u8; 3];

/// An opaque RGB canvas.
pub(super) struct Canvas {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

impl Canvas {
    pub fn filled(width: u32, height: u32, colour: Colour) -> Self {
        Self {
            width,
            height,
            rgb: colour.repeat(width as usize * height as usize),
        }
    }

    /// Blends a colour over a pixel; outside nothing happens.
    pub fn blend(&mut self, x: i64, y: i64, colour: Colour, coverage: f32) {
        if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            let mixed = f32::from(*old) + (f32::from(new) - f32::from(*old)) * coverage;
            *old = mixed.round() as u8;
        }
    }

    pub fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: Colour) {
        for row in y..(y + height).min(self.height) {
            for column in x..(x + width).min(self.width) {
                self.blend(i64::from(column), i64::from(row), colour, 1.0);
            }
        }
    }
}

pub(super) struct Typeface {
    font: FontRef<'static>,
}

impl Typeface {
    pub fn new() -> Result<Self> {
        FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
            .map(|font| Self { font })
            .map_err(|e| {
                Error::new(
                    Kind::Internal,
                    "could not draw the sheet",
                    e.to_string(),
                    "",
                )
            })
    }

    /// Width of a line in pixels.
    pub fn width(&self, text: &str, size_px: f32) -> f32 {
        self.layout(text, size_px).1
    }

    /// The text, cut with an ellipsis so that it is at most `max_px` wide.
    pub fn fit(&self, text: &str, size_px: f32, max_px: f32) -> String {
        if self.width(text, size_px) <= max_px {
            return text.to_owned();
        }
        let chars: Vec<char> = text.chars().collect();
        let cut = |n: usize| chars[..n].iter().collect::<String>().trim_end().to_owned() + "…";
        let (mut low, mut high) = (0, chars.len());
        while low < high {
            let middle = (low + high).div_ceil(2);
            if self.width(&cut(middle), size_px) <= max_px {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        cut(low)
    }

    /// Draws a line with its left end at `x` and its baseline at `y`.
    pub fn draw(
        &self,
        canvas: &mut Canvas,
        x: f32,
        y: f32,
        size_px: f32,
        colour: Colour,
        text: &str,
    ) {
        for mut glyph in self.layout(text, size_px).0 {
            glyph.position.x += x;
            glyph.position.y += y;
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            let (left, top) = (bounds.min.x as i64, bounds.min.y as i64);
            outline.draw(|dx, dy, coverage| {
                // Light strokes on dark look thinner than they are.
                let coverage = coverage.clamp(0.0, 1.0).powf(0.75);
                canvas.blend(left + i64::from(dx), top + i64::from(dy), colour, coverage);
            });
        }
    }

    fn layout(&self, text: &str, size_px: f32) -> (Vec<Glyph>, f32) {
        let font = self.font.as_scaled(PxScale::from(size_px));
        let mut glyphs = Vec::new();
        let mut x = 0.0;
        let mut previous = None;
        for c in text.chars() {
            let c = if c.is_control() { ' ' } else { c };
            let id = font.glyph_id(c);
            if let Some(previous) = previous {
                x += font.kern(previous, id);
            }
            glyphs.push(id.with_scale_and_position(PxScale::from(size_px), point(x, 0.0)));
            x += font.h_advance(id);
            previous = Some(id);
        }
        (glyphs, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_labels_are_cut_to_their_width() {
        let face = Typeface::new().unwrap();
        assert_eq!(face.fit("short", 14.0, 200.0), "short");
        let cut = face.fit("a very long label that cannot fit", 14.0, 80.0);
        assert!(cut.ends_with('…') && cut.chars().count() > 5, "{cut}");
        assert!(face.width(&cut, 14.0) <= 80.0);
        assert_eq!(face.fit("WWWW", 14.0, 1.0), "…");
    }

    #[test]
    fn drawing_outside_is_harmless() {
        let face = Typeface::new().unwrap();
        let mut canvas = Canvas::filled(8, 8, [0; 3]);
        face.draw(&mut canvas, -20.0, 3.0, 30.0, [255; 3], "Tessera ∎ 日本");
        canvas.fill(6, 6, 10, 10, [1, 2, 3]);
        assert_eq!(&canvas.rgb[canvas.rgb.len() - 3..], [1, 2, 3]);
    }
}
