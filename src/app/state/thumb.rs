//! The small picture on a tab, which follows what is painted.

use eframe::egui::{self, Color32, ColorImage, TextureHandle, TextureOptions};

use crate::document::{Rect, Source};

/// Longest side in pixels.
const SIDE_PX: u32 = 48;

pub struct Thumb {
    image: ColorImage,
    from: (u32, u32),
    pub texture: TextureHandle,
}

impl Thumb {
    pub(in crate::app) fn new(ctx: &egui::Context, source: &Source) -> Self {
        let (width, height) = (source.width(), source.height());
        let longest = width.max(height);
        let side = |side: u32| (side * SIDE_PX / longest).clamp(1, SIDE_PX);
        let size = [side(width) as usize, side(height) as usize];
        let image = ColorImage::filled(size, Color32::TRANSPARENT);
        let texture = ctx.load_texture("tab", image.clone(), TextureOptions::LINEAR);
        let mut thumb = Self {
            image,
            from: (width, height),
            texture,
        };
        thumb.patch(Rect::new(0, 0, width, height), source.rgba8());
        thumb
    }

    /// Another texture of how it looks now, which stays so.
    pub(in crate::app) fn copy(&self, ctx: &egui::Context) -> TextureHandle {
        ctx.load_texture(
            "picture as it is",
            self.image.clone(),
            TextureOptions::LINEAR,
        )
    }

    /// Takes over new pixels of `rect`, straight alpha, row by row.
    pub(in crate::app) fn patch(&mut self, rect: Rect, rgba8: &[u8]) {
        let [width, height] = self.image.size;
        let mut has_changed = false;
        for y in 0..height {
            for x in 0..width {
                if let Some(pixel) = self.mean(rect, rgba8, x, y) {
                    self.image.pixels[y * width + x] = pixel;
                    has_changed = true;
                }
            }
        }
        if has_changed {
            self.texture.set(self.image.clone(), TextureOptions::LINEAR);
        }
    }

    /// Of some of the picture's pixels under one of the thumbnail, where `rect` has any.
    fn mean(&self, rect: Rect, rgba8: &[u8], x: usize, y: usize) -> Option<Color32> {
        const SAMPLES: u64 = 4;
        let at = |of: usize, part: u64, size: usize, from: u32| {
            let fine = (of as u64 * SAMPLES + part) * 2 + 1;
            (fine * u64::from(from) / (size as u64 * SAMPLES * 2)) as u32
        };
        let mut sum = [0u32; 4];
        let mut count = 0;
        for part in 0..SAMPLES * SAMPLES {
            let px = at(x, part % SAMPLES, self.image.size[0], self.from.0);
            let py = at(y, part / SAMPLES, self.image.size[1], self.from.1);
            if rect.contains(px, py) {
                let start =
                    ((py - rect.y) as usize * rect.width as usize + (px - rect.x) as usize) * 4;
                let alpha = u32::from(rgba8[start + 3]);
                for c in 0..3 {
                    sum[c] += u32::from(rgba8[start + c]) * alpha / 255;
                }
                sum[3] += alpha;
                count += 1;
            }
        }
        (count > 0).then(|| {
            let [r, g, b, a] = sum.map(|v| (v / count) as u8);
            Color32::from_rgba_premultiplied(r, g, b, a)
        })
    }
}
