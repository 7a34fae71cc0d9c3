//! The canvas from plain egui textures: for windows without wgpu. It shows the same, with less polish: smooth
//! below 200 % without averaging, and the difference view as it is now.

use eframe::egui::{
    self, Color32, ColorImage, Pos2, Rect as ScreenRect, Shape, Stroke, TextureHandle,
    TextureOptions, pos2,
};

use super::{CanvasColours, Compare, Look, Mask, Placed, rows_of, tiles};
use crate::document::{Rect, Source};

/// Zoom from which pixels are shown as squares.
const NEAREST_ZOOM: f32 = 1.99;
/// Cells beyond this are not dimmed one by one.
const MAX_DIMMED_CELLS: usize = 20_000;

struct Tile {
    rect: Rect,
    now: [TextureHandle; 2],
    before: [TextureHandle; 2],
}

/// A document's textures; each twice, smooth and with square pixels.
pub struct PlainSurface {
    tiles: Vec<Tile>,
    mask: Option<Mask>,
}

const OPTIONS: [TextureOptions; 2] = [TextureOptions::LINEAR, TextureOptions::NEAREST];

impl PlainSurface {
    pub(super) fn new(ctx: &egui::Context, source: &Source) -> Self {
        let whole = Rect::new(0, 0, source.width(), source.height());
        let make = |rect: Rect| {
            let image = image_of(rect, whole, source.rgba8());
            let load =
                |name: &str| OPTIONS.map(|options| ctx.load_texture(name, image.clone(), options));
            Tile {
                rect,
                now: load("canvas now"),
                before: load("canvas before"),
            }
        };
        Self {
            tiles: tiles(whole.width, whole.height)
                .into_iter()
                .map(make)
                .collect(),
            mask: None,
        }
    }

    pub(super) fn patch(&mut self, rect: Rect, rgba8: &[u8]) {
        for tile in &mut self.tiles {
            let part = tile.rect.intersect(&rect);
            if part.is_empty() {
                continue;
            }
            let image = image_of(part, rect, rgba8);
            let to = [
                (part.x - tile.rect.x) as usize,
                (part.y - tile.rect.y) as usize,
            ];
            for (handle, options) in tile.now.iter_mut().zip(OPTIONS) {
                handle.set_partial(to, image.clone(), options);
            }
        }
    }

    pub(super) fn set_before(&mut self, rgba8: &[u8]) {
        let whole = self.size();
        for tile in &mut self.tiles {
            let image = image_of(tile.rect, whole, rgba8);
            for (handle, options) in tile.before.iter_mut().zip(OPTIONS) {
                handle.set(image.clone(), options);
            }
        }
    }

    pub(super) fn set_mask(&mut self, mask: Option<Mask>) {
        self.mask = mask;
    }

    pub(super) fn paint(&self, painter: &egui::Painter, look: &Look) {
        let placed = &look.placed;
        let [columns, rows] = look.copies();
        let size = self.size();
        for copy in 0..columns * rows {
            let place = [copy % columns, copy / columns];
            let offset = egui::vec2(
                (place[0] as f32 - (columns / 2) as f32) * size.width as f32,
                (place[1] as f32 - (rows / 2) as f32) * size.height as f32,
            ) * placed.scale();
            self.tiles_at(painter, look, offset);
        }
        if let Some(mask) = &self.mask {
            // Cells at the edges reach beyond the picture.
            let picture = placed.screen_rect(self.size());
            let clip = picture.intersect(painter.clip_rect());
            dim(&painter.with_clip_rect(clip), mask, placed);
        }
        if let Some(grid_px) = look.grid_px {
            grid(painter, self.size(), grid_px, look);
        }
    }

    fn tiles_at(&self, painter: &egui::Painter, look: &Look, offset: egui::Vec2) {
        let placed = &look.placed;
        for tile in &self.tiles {
            let whole = placed.screen_rect(tile.rect).translate(offset);
            let rect = whole.intersect(placed.panel);
            if !rect.is_positive() {
                continue;
            }
            checkerboard(painter, rect, look.colours);
            let (left, right) = match look.compare {
                Compare::Now | Compare::Difference | Compare::Blend(_) => {
                    (None, Some(placed.panel))
                }
                Compare::Before => (Some(placed.panel), None),
                Compare::Split(column) => {
                    let x = placed.screen_from_canvas(egui::vec2(column, 0.0)).x + offset.x;
                    let (mut left, mut right) = (placed.panel, placed.panel);
                    left.max.x = x.max(left.min.x);
                    right.min.x = x.min(right.max.x);
                    (Some(left), Some(right))
                }
            };
            let over = match look.compare {
                Compare::Blend(share) => Some((placed.panel, share)),
                _ => None,
            };
            let full = |clip: ScreenRect| (clip, 1.0);
            let parts = [
                (left.map(full), &tile.before),
                (right.map(full), &tile.now),
                (over, &tile.before),
            ];
            for (clip, textures) in parts {
                if let Some((clip, share)) = clip {
                    let texture = &textures[usize::from(placed.view.zoom >= NEAREST_ZOOM)];
                    painter
                        .with_clip_rect(clip.intersect(painter.clip_rect()))
                        .image(
                            texture.id(),
                            whole,
                            ScreenRect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)),
                            Color32::WHITE.gamma_multiply(share),
                        );
                }
            }
        }
    }

    fn size(&self) -> Rect {
        self.tiles
            .iter()
            .fold(Rect::default(), |all, tile| all.union(&tile.rect))
    }
}

fn image_of(part: Rect, whole: Rect, rgba8: &[u8]) -> ColorImage {
    let (start, stride) = rows_of(part, whole);
    let mut bytes = Vec::with_capacity(part.area() as usize * 4);
    for row in rgba8[start..].chunks(stride).take(part.height as usize) {
        bytes.extend_from_slice(&row[..part.width as usize * 4]);
    }
    ColorImage::from_rgba_unmultiplied([part.width as usize, part.height as usize], &bytes)
}

fn checkerboard(painter: &egui::Painter, rect: ScreenRect, colours: CanvasColours) {
    const SIDE: f32 = 8.0;
    painter.rect_filled(rect, 0.0, colours.checker_light);
    let mut mesh = egui::Mesh::default();
    let (columns, rows) = (
        (rect.width() / SIDE) as u32 + 1,
        (rect.height() / SIDE) as u32 + 1,
    );
    for y in 0..rows {
        for x in (y % 2..columns).step_by(2) {
            let corner = rect.min + egui::vec2(x as f32, y as f32) * SIDE;
            let square = ScreenRect::from_min_size(corner, egui::Vec2::splat(SIDE));
            mesh.add_colored_rect(square.intersect(rect), colours.checker_dark);
        }
    }
    painter.add(Shape::mesh(mesh));
}

fn dim(painter: &egui::Painter, mask: &Mask, placed: &Placed) {
    let mut mesh = egui::Mesh::default();
    let others = mask
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| **cell == 0);
    for (index, _) in others.take(MAX_DIMMED_CELLS) {
        let index = index as u32;
        let cell = Rect::new(
            index % mask.width * mask.cell_px,
            index / mask.width * mask.cell_px,
            mask.cell_px,
            mask.cell_px,
        );
        mesh.add_colored_rect(placed.screen_rect(cell), Color32::from_black_alpha(200));
    }
    painter.add(Shape::mesh(mesh));
}

fn grid(painter: &egui::Painter, size: Rect, grid_px: u32, look: &Look) {
    let placed = &look.placed;
    let visible = placed.visible(egui::vec2(size.width as f32, size.height as f32));
    let stroke = Stroke::new(1.0 / placed.pixels_per_point, look.colours.grid);
    let rect = placed.screen_rect(size).intersect(placed.panel);
    for x in (visible.x.next_multiple_of(grid_px)..visible.right()).step_by(grid_px as usize) {
        let at = placed.screen_from_canvas(egui::vec2(x as f32, 0.0)).x;
        painter.vline(at, rect.y_range(), stroke);
    }
    for y in (visible.y.next_multiple_of(grid_px)..visible.bottom()).step_by(grid_px as usize) {
        let at = placed.screen_from_canvas(egui::vec2(0.0, y as f32)).y;
        painter.hline(rect.x_range(), at, stroke);
    }
}
