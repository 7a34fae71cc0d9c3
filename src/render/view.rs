//! Where on the screen the canvas lies: pan and zoom, without anything to draw.

use eframe::egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::document;

/// Pan and zoom of a canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// The canvas point (pixels) in the middle of the panel.
    pub centre_px: Vec2,
    /// Screen pixels (not points) per canvas pixel.
    pub zoom: f32,
}

/// A view in a panel: converts between screen points and canvas pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    pub view: View,
    /// The panel, in screen points.
    pub panel: Rect,
    /// Screen pixels per point.
    pub pixels_per_point: f32,
}

impl View {
    pub const MIN_ZOOM: f32 = 0.02;
    pub const MAX_ZOOM: f32 = 64.0;

    /// The whole picture in the panel with a margin, at most `max_zoom`.
    pub fn fit(size_px: Vec2, panel: Rect, pixels_per_point: f32) -> Self {
        let margin_points = 24.0;
        let room = (panel.size() - Vec2::splat(2.0 * margin_points)).max(Vec2::splat(16.0))
            * pixels_per_point;
        let zoom = (room.x / size_px.x.max(1.0)).min(room.y / size_px.y.max(1.0));
        Self {
            centre_px: size_px / 2.0,
            // Small pictures grow by whole steps, so that their pixels stay even.
            zoom: if zoom >= 1.0 { zoom.floor() } else { zoom }
                .clamp(Self::MIN_ZOOM, Self::MAX_ZOOM),
        }
    }
}

impl Placed {
    /// Screen points per canvas pixel.
    pub fn scale(&self) -> f32 {
        self.view.zoom / self.pixels_per_point
    }

    pub fn canvas_from_screen(&self, at: Pos2) -> Vec2 {
        (at - self.panel.center()) / self.scale() + self.view.centre_px
    }

    pub fn screen_from_canvas(&self, at_px: Vec2) -> Pos2 {
        self.panel.center() + (at_px - self.view.centre_px) * self.scale()
    }

    /// The screen rectangle of a canvas rectangle.
    pub fn screen_rect(&self, rect: document::Rect) -> Rect {
        let from = vec2(rect.x as f32, rect.y as f32);
        let size = vec2(rect.width as f32, rect.height as f32);
        Rect::from_two_pos(
            self.screen_from_canvas(from),
            self.screen_from_canvas(from + size),
        )
    }

    /// The part of a picture that the panel shows, in canvas pixels.
    pub fn visible(&self, size_px: Vec2) -> document::Rect {
        let from = self.canvas_from_screen(self.panel.min).max(Vec2::ZERO);
        let to = self.canvas_from_screen(self.panel.max).min(size_px);
        if to.x <= from.x || to.y <= from.y {
            return document::Rect::default();
        }
        document::Rect::from_edges(
            from.x.floor() as u32,
            from.y.floor() as u32,
            to.x.ceil() as u32,
            to.y.ceil() as u32,
        )
    }

    /// The view after zooming by `factor` with the canvas point under `at` kept in its place.
    pub fn zoomed(&self, factor: f32, at: Pos2) -> View {
        let zoom = (self.view.zoom * factor).clamp(View::MIN_ZOOM, View::MAX_ZOOM);
        let anchor = self.canvas_from_screen(at);
        let offset = (at - self.panel.center()) / (zoom / self.pixels_per_point);
        View {
            centre_px: anchor - offset,
            zoom,
        }
    }

    /// The view after dragging the canvas by `delta` points.
    pub fn panned(&self, delta: Vec2) -> View {
        View {
            centre_px: self.view.centre_px - delta / self.scale(),
            zoom: self.view.zoom,
        }
    }

    /// The screen point on whole screen pixels, so that canvas pixels and screen pixels meet.
    pub fn snapped_origin(&self) -> Pos2 {
        let origin = self.screen_from_canvas(Vec2::ZERO);
        let snap = |v: f32| (v * self.pixels_per_point).round() / self.pixels_per_point;
        pos2(snap(origin.x), snap(origin.y))
    }

    /// This view, moved by less than a screen pixel so that the canvas begins on a whole one.
    pub fn snapped(&self) -> Self {
        let moved = self.snapped_origin() - self.screen_from_canvas(Vec2::ZERO);
        Self {
            view: self.panned(moved),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> Placed {
        Placed {
            view: View {
                centre_px: vec2(100.0, 50.0),
                zoom: 4.0,
            },
            panel: Rect::from_min_size(pos2(10.0, 20.0), vec2(400.0, 300.0)),
            pixels_per_point: 2.0,
        }
    }

    #[test]
    fn screen_and_canvas_are_inverse() {
        let placed = placed();
        let at = placed.screen_from_canvas(vec2(33.0, 44.0));
        assert!((placed.canvas_from_screen(at) - vec2(33.0, 44.0)).length() < 1e-3);
        assert_eq!(
            placed.screen_from_canvas(vec2(100.0, 50.0)),
            placed.panel.center()
        );
    }

    #[test]
    fn zooming_keeps_the_point_under_the_cursor() {
        let placed = placed();
        let at = pos2(77.0, 200.0);
        let before = placed.canvas_from_screen(at);
        let after = Placed {
            view: placed.zoomed(1.7, at),
            ..placed
        };
        assert!((after.canvas_from_screen(at) - before).length() < 1e-3);
        assert_eq!(placed.zoomed(1e9, at).zoom, View::MAX_ZOOM);
    }

    #[test]
    fn a_fitted_picture_is_wholly_visible() {
        let panel = Rect::from_min_size(pos2(0.0, 0.0), vec2(800.0, 600.0));
        for size in [
            vec2(4000.0, 100.0),
            vec2(256.0, 256.0),
            vec2(10.0, 9000.0),
            vec2(1.0, 1.0),
        ] {
            let placed = Placed {
                view: View::fit(size, panel, 1.5),
                panel,
                pixels_per_point: 1.5,
            };
            let seen = placed.visible(size);
            assert_eq!(
                (seen.x, seen.y, seen.width, seen.height),
                (0, 0, size.x as u32, size.y as u32)
            );
        }
    }

    #[test]
    fn a_snapped_canvas_begins_on_a_whole_screen_pixel() {
        let placed = Placed {
            view: View {
                centre_px: vec2(100.3, 57.7),
                zoom: 0.73,
            },
            panel: Rect::from_min_size(pos2(79.0, 101.0), vec2(921.0, 691.0)),
            pixels_per_point: 1.5,
        };
        let snapped = placed.snapped();
        let origin = snapped.screen_from_canvas(Vec2::ZERO);
        assert!((origin - placed.snapped_origin()).length() < 1e-3);
        let moved = origin - placed.screen_from_canvas(Vec2::ZERO);
        assert!(moved.abs().max_elem() <= 0.5 / 1.5 + 1e-3, "{moved:?}");
    }
}
