//! The canvas from plain egui textures: for windows without wgpu. It shows the same, with less polish: below 50 % it does not
//! average all that a screen pixel covers.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use eframe::egui::epaint::ImageDelta;
use eframe::egui::{
    self, Color32, ColorImage, Pos2, Rect as ScreenRect, Stroke, TextureHandle, TextureId,
    TextureOptions, TextureWrapMode, pos2,
};

use super::{CanvasColours, Compare, Look, Mask, Placed, filter, rows_of, tiles};
use crate::document::{Rect, Source};

/// Side of the checkerboard's squares, points.
const CHECKER_POINTS: f32 = 8.0;
/// All of a texture.
const WHOLE: ScreenRect = ScreenRect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
/// How much stronger a difference is shown, as in the shader.
const DIFFERENCE_GAIN: u32 = 4;
/// Alpha of the shade over dimmed cells, as dark as the shader's.
const DIMMED: u8 = 199;

struct Tile {
    rect: Rect,
    now: Texture,
    before: Texture,
}

/// One texture that is smooth or has square pixels, whichever was asked for last.
struct Texture {
    handle: TextureHandle,
    is_square: Cell<bool>,
    /// Its first pixel: the filter changes with the next pixels that are written.
    corner: Color32,
}

impl Texture {
    fn new(ctx: &egui::Context, name: &str, image: ColorImage) -> Self {
        Self {
            corner: corner(&image),
            handle: ctx.load_texture(name, image, TextureOptions::LINEAR),
            is_square: Cell::new(false),
        }
    }

    fn options(&self) -> TextureOptions {
        match self.is_square.get() {
            true => TextureOptions::NEAREST,
            false => TextureOptions::LINEAR,
        }
    }

    fn patch(&mut self, at: [usize; 2], image: ColorImage) {
        if at == [0, 0] {
            self.corner = corner(&image);
        }
        self.handle.set_partial(at, image, self.options());
    }

    fn shown(&self, ctx: &egui::Context, is_square: bool) -> TextureId {
        if self.is_square.replace(is_square) != is_square {
            let corner = ColorImage::filled([1, 1], self.corner);
            let delta = ImageDelta::partial([0, 0], corner, self.options());
            ctx.tex_manager().write().set(self.handle.id(), delta);
        }
        self.handle.id()
    }
}

fn corner(image: &ColorImage) -> Color32 {
    image.pixels.first().copied().unwrap_or_default()
}

/// A document's textures, and its pixels for the difference view.
pub struct PlainSurface {
    tiles: Vec<Tile>,
    /// What its cells cover, and a shade over those that are dimmed.
    mask: Option<(Rect, TextureHandle)>,
    ctx: egui::Context,
    /// Straight RGBA8 of the whole picture.
    now: Vec<u8>,
    before: Arc<Vec<u8>>,
    /// Counts changes of the pixels.
    changes: u64,
    difference: RefCell<Option<Difference>>,
    checker: RefCell<Option<(CanvasColours, TextureHandle)>>,
}

/// The difference view as it was last shown.
struct Difference {
    texture: TextureHandle,
    place: ScreenRect,
    shown: [usize; 2],
    changes: u64,
}

impl PlainSurface {
    pub(super) fn new(ctx: &egui::Context, source: &Source) -> Self {
        let whole = Rect::new(0, 0, source.width(), source.height());
        let make = |rect: Rect| {
            let image = image_of(rect, whole, source.rgba8());
            Tile {
                rect,
                now: Texture::new(ctx, "canvas now", image.clone()),
                before: Texture::new(ctx, "canvas before", image),
            }
        };
        let tiles = tiles(whole.width, whole.height).into_iter().map(make);
        Self {
            tiles: tiles.collect(),
            mask: None,
            ctx: ctx.clone(),
            now: source.rgba8().to_vec(),
            before: Arc::clone(source.rgba8()),
            changes: 0,
            difference: RefCell::default(),
            checker: RefCell::default(),
        }
    }

    pub(super) fn patch(&mut self, rect: Rect, rgba8: &[u8]) {
        let whole = self.size();
        let (start, stride) = rows_of(rect, whole);
        let row_bytes = rect.width as usize * 4;
        let rows = self.now[start..].chunks_mut(stride);
        for (to, from) in rows.zip(rgba8.chunks_exact(row_bytes)) {
            to[..row_bytes].copy_from_slice(from);
        }
        self.changes += 1;
        for tile in &mut self.tiles {
            let part = tile.rect.intersect(&rect);
            if part.is_empty() {
                continue;
            }
            let to = [
                (part.x - tile.rect.x) as usize,
                (part.y - tile.rect.y) as usize,
            ];
            tile.now.patch(to, image_of(part, rect, rgba8));
        }
    }

    pub(super) fn pixels(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn set_before(&mut self, rgba8: &[u8]) {
        let whole = self.size();
        self.before = Arc::new(rgba8.to_vec());
        self.changes += 1;
        for tile in &mut self.tiles {
            tile.before.patch([0, 0], image_of(tile.rect, whole, rgba8));
        }
    }

    pub(super) fn set_mask(&mut self, mask: Option<Mask>) {
        self.mask = mask.map(|mask| {
            let shade = |cell: &u8| Color32::from_black_alpha(if *cell == 0 { DIMMED } else { 0 });
            let size = [mask.width as usize, mask.height as usize];
            let image = ColorImage::new(size, mask.cells.iter().map(shade).collect());
            let cells = Rect::new(0, 0, mask.width, mask.height).to_pixels(mask.cell_px);
            let texture = (self.ctx).load_texture("canvas mask", image, TextureOptions::NEAREST);
            (cells, texture)
        });
    }

    pub(super) fn paint(&self, painter: &egui::Painter, look: &Look) {
        let look = &Look {
            placed: look.placed.snapped(),
            ..*look
        };
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
        if let Some((cells, texture)) = &self.mask {
            paint_cells(painter, placed, size, *cells, texture);
        }
        if let Some(grid_px) = look.grid_px {
            grid(painter, size, grid_px, look);
        }
    }

    fn tiles_at(&self, painter: &egui::Painter, look: &Look, offset: egui::Vec2) {
        let placed = &look.placed;
        let picture = placed.screen_rect(self.size()).translate(offset);
        let shown = picture.intersect(placed.panel);
        if !shown.is_positive() {
            return;
        }
        if look.compare == Compare::Difference {
            self.difference(painter, picture, shown, placed.pixels_per_point);
            return;
        }
        self.checkerboard(painter, shown, look.colours);
        let (left, right) = match look.compare {
            Compare::Now | Compare::Difference | Compare::Blend(_) => (None, Some(placed.panel)),
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
        let is_square = filter(placed.view.zoom).0 == 1;
        for tile in &self.tiles {
            let whole = placed.screen_rect(tile.rect).translate(offset);
            if !whole.intersects(placed.panel) {
                continue;
            }
            let full = |clip: ScreenRect| (clip, 1.0);
            let parts = [
                (left.map(full), &tile.before),
                (right.map(full), &tile.now),
                (over, &tile.before),
            ];
            for (clip, texture) in parts {
                if let Some((clip, share)) = clip {
                    painter
                        .with_clip_rect(clip.intersect(painter.clip_rect()))
                        .image(
                            texture.shown(painter.ctx(), is_square),
                            whole,
                            WHOLE,
                            Color32::WHITE.gamma_multiply(share),
                        );
                }
            }
        }
        if let Some(left) = left
            && right.is_some()
        {
            let line = Stroke::new(2.0 / placed.pixels_per_point, Color32::WHITE);
            painter
                .with_clip_rect(shown.intersect(painter.clip_rect()))
                .vline(left.max.x, shown.y_range(), line);
        }
    }

    /// Made anew for the screen when the picture or its place changes.
    fn difference(
        &self,
        painter: &egui::Painter,
        picture: ScreenRect,
        shown: ScreenRect,
        pixels_per_point: f32,
    ) {
        let side = |points: f32| ((points * pixels_per_point).round() as usize).max(1);
        let size = [side(shown.width()), side(shown.height())];
        let mut last = self.difference.borrow_mut();
        let is_same = last.as_ref().is_some_and(|last| {
            (last.place, last.shown, last.changes) == (picture, size, self.changes)
        });
        if !is_same {
            *last = Some(Difference {
                texture: painter.ctx().load_texture(
                    "difference",
                    self.difference_seen(picture, shown, size),
                    TextureOptions::NEAREST,
                ),
                place: picture,
                shown: size,
                changes: self.changes,
            });
        }
        if let Some(difference) = last.as_ref() {
            painter.image(difference.texture.id(), shown, WHOLE, Color32::WHITE);
        }
    }

    fn difference_seen(
        &self,
        picture: ScreenRect,
        shown: ScreenRect,
        [width, height]: [usize; 2],
    ) -> ColorImage {
        let whole = self.size();
        let along = |index: usize, count: usize, from: f32, length: f32, all: f32, pixels: u32| {
            let at = from + (index as f32 + 0.5) / count as f32 * length;
            ((at / all * pixels as f32) as u32).min(pixels - 1) as usize
        };
        let from = shown.min - picture.min;
        let columns: Vec<usize> = (0..width)
            .map(|x| {
                along(
                    x,
                    width,
                    from.x,
                    shown.width(),
                    picture.width(),
                    whole.width,
                )
            })
            .collect();
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = along(
                y,
                height,
                from.y,
                shown.height(),
                picture.height(),
                whole.height,
            );
            let row = row * whole.width as usize;
            pixels.extend(columns.iter().map(|column| {
                let at = (row + column) * 4;
                difference_of(&self.now[at..at + 4], &self.before[at..at + 4])
            }));
        }
        ColorImage::new([width, height], pixels)
    }

    fn checkerboard(&self, painter: &egui::Painter, rect: ScreenRect, colours: CanvasColours) {
        let mut last = self.checker.borrow_mut();
        if last.as_ref().is_none_or(|(known, _)| *known != colours) {
            let (light, dark) = (colours.checker_light, colours.checker_dark);
            let image = ColorImage::new([2, 2], vec![light, dark, dark, light]);
            let options = TextureOptions {
                wrap_mode: TextureWrapMode::Repeat,
                ..TextureOptions::NEAREST
            };
            let texture = painter.ctx().load_texture("checkerboard", image, options);
            *last = Some((colours, texture));
        }
        if let Some((_, texture)) = last.as_ref() {
            let turn = |at: Pos2| (at.to_vec2() / (2.0 * CHECKER_POINTS)).to_pos2();
            let uv = ScreenRect::from_min_max(turn(rect.min), turn(rect.max));
            painter.image(texture.id(), rect, uv, Color32::WHITE);
        }
    }

    fn size(&self) -> Rect {
        self.tiles
            .iter()
            .fold(Rect::default(), |all, tile| all.union(&tile.rect))
    }
}

pub(super) fn image_of(part: Rect, whole: Rect, rgba8: &[u8]) -> ColorImage {
    let (start, stride) = rows_of(part, whole);
    let mut bytes = Vec::with_capacity(part.area() as usize * 4);
    for row in rgba8[start..].chunks(stride).take(part.height as usize) {
        bytes.extend_from_slice(&row[..part.width as usize * 4]);
    }
    ColorImage::from_rgba_unmultiplied([part.width as usize, part.height as usize], &bytes)
}

/// A texture with a texel for each of the cells that cover `cells`; those at the edges reach beyond the picture.
pub(super) fn paint_cells(
    painter: &egui::Painter,
    placed: &Placed,
    picture: Rect,
    cells: Rect,
    texture: &TextureHandle,
) {
    let clip = (placed.screen_rect(picture)).intersect(painter.clip_rect());
    painter.with_clip_rect(clip).image(
        texture.id(),
        placed.screen_rect(cells),
        WHOLE,
        Color32::WHITE,
    );
}

/// The strongest difference of two straight RGBA8 pixels, premultiplied.
fn difference_of(now: &[u8], before: &[u8]) -> Color32 {
    let premultiplied = |pixel: &[u8], channel: usize| match channel {
        3 => u32::from(pixel[3]),
        _ => u32::from(pixel[channel]) * u32::from(pixel[3]) / 255,
    };
    let strength = |channel: usize| {
        premultiplied(now, channel).abs_diff(premultiplied(before, channel)) * DIFFERENCE_GAIN
    };
    let [red, green, blue] =
        [0, 1, 2].map(|channel| strength(channel).max(strength(3)).min(255) as u8);
    Color32::from_rgb(red, green, blue)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: u32 = 40;

    /// Grey, and a patch of 8 px whose red is another by `change`.
    fn patched(ctx: &egui::Context, change: u8) -> PlainSurface {
        let source = vec![[100u8, 100, 100, 255]; (SIDE * SIDE) as usize].concat();
        let source = Source::from_rgba8(SIDE, SIDE, source).unwrap();
        let mut surface = PlainSurface::new(ctx, &source);
        let patch = [[100 + change, 100, 100, 255]; 64].concat();
        surface.patch(Rect::new(8, 16, 8, 8), &patch);
        surface
    }

    #[test]
    fn the_difference_is_shown_where_it_is_and_four_times_as_strong() {
        let surface = patched(&egui::Context::default(), 20);
        let picture = ScreenRect::from_min_size(pos2(-30.0, 0.0), egui::Vec2::splat(80.0));
        // The right part of the picture at twice its size: canvas columns from 15 on.
        let shown = ScreenRect::from_min_max(pos2(0.0, 0.0), pos2(50.0, 80.0));
        let seen = surface.difference_seen(picture, shown, [50, 80]);
        for (index, colour) in seen.pixels.iter().enumerate() {
            let (x, y) = (15 + index % 50 / 2, index / 50 / 2);
            let is_changed = (8..16).contains(&x) && (16..24).contains(&y);
            let wanted = if is_changed { [80, 0, 0] } else { [0; 3] };
            assert_eq!(colour.to_array()[..3], wanted, "{x} {y}");
        }
        let strong = patched(&egui::Context::default(), 100);
        let all = ScreenRect::from_min_size(Pos2::ZERO, egui::Vec2::splat(SIDE as f32));
        let seen = strong.difference_seen(all, all, [SIDE as usize; 2]);
        assert_eq!(
            seen.pixels[20 * SIDE as usize + 10],
            Color32::from_rgb(255, 0, 0)
        );
    }

    #[test]
    fn another_filter_changes_no_pixel() {
        let ctx = egui::Context::default();
        let mut surface = patched(&ctx, 20);
        let patch = [[9, 8, 7, 255]; 4].concat();
        surface.patch(Rect::new(0, 0, 2, 2), &patch);
        let deltas = || {
            let mut deltas = ctx.tex_manager().write().take_delta();
            let set = deltas.set.clone();
            deltas.clear();
            set
        };
        deltas();
        let texture = &surface.tiles[0].now;
        let id = texture.shown(&ctx, false);
        assert!(deltas().is_empty(), "it is smooth already");
        assert_eq!(texture.shown(&ctx, true), id);
        let set = deltas();
        let delta = &set[&id][0];
        assert_eq!(delta.options, TextureOptions::NEAREST);
        assert_eq!(delta.pos, Some([0, 0]));
        let egui::ImageData::Color(image) = &delta.image;
        assert_eq!(image.pixels, [Color32::from_rgb(9, 8, 7)]);
    }
}
