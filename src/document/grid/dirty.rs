//! What has to be decoded again: a few rectangles around the cells that changed.

use crate::document::grid::geometry::{Geometry, Rect, Wrap};

/// A few pixel rectangles that together cover everything added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dirty {
    rects: Vec<Rect>,
}

impl Dirty {
    /// More than this many are merged: each costs a decode window of its own.
    const MAX_RECTS: usize = 16;

    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// The smallest rectangle around all; empty when nothing was added.
    pub fn bounds(&self) -> Rect {
        self.rects
            .iter()
            .fold(Rect::default(), |all, rect| all.union(rect))
    }

    pub fn extend(&mut self, other: &Dirty) {
        for &rect in &other.rects {
            self.add(rect);
        }
    }

    pub fn add(&mut self, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        let waste =
            |a: &Rect, b: &Rect| a.union(b).area() as i64 - a.area() as i64 - b.area() as i64;
        let nearest =
            |rects: &[Rect], rect: &Rect| (0..rects.len()).min_by_key(|&i| waste(&rects[i], rect));
        let mut rect = rect;
        // Uniting is free when the pair covers at most a quarter more than it has to.
        while let Some(i) = nearest(&self.rects, &rect) {
            let free = waste(&self.rects[i], &rect) * 4 <= rect.area() as i64;
            if !free && self.rects.len() < Self::MAX_RECTS {
                break;
            }
            rect = rect.union(&self.rects.swap_remove(i));
        }
        self.rects.push(rect);
    }

    /// What pixels can change when the cells under these rectangles change: grown by `halo_px`,
    /// cut at the padded canvas or wrapped around it.
    pub fn with_halo(&self, halo_px: u32, geometry: Geometry, wrap: Wrap) -> Dirty {
        let mut grown = Dirty::default();
        for rect in &self.rects {
            let columns = span(rect.x, rect.width, halo_px, geometry.padded_width(), wrap.x);
            let rows = span(
                rect.y,
                rect.height,
                halo_px,
                geometry.padded_height(),
                wrap.y,
            );
            for &(y0, y1) in &rows {
                for &(x0, x1) in &columns {
                    grown.add(Rect::from_edges(x0, y0, x1, y1));
                }
            }
        }
        grown
    }
}

/// The one or two intervals that `[start, start + len)` grown by `by` covers on an axis of `size`.
fn span(start: u32, len: u32, by: u32, size: u32, wraps: bool) -> Vec<(u32, u32)> {
    let (from, to) = (
        i64::from(start) - i64::from(by),
        i64::from(start) + i64::from(len) + i64::from(by),
    );
    let size_i = i64::from(size);
    let inside = (from.clamp(0, size_i) as u32, to.clamp(0, size_i) as u32);
    if !wraps {
        return vec![inside];
    }
    if to - from >= size_i {
        return vec![(0, size)];
    }
    let mut spans = vec![inside];
    if from < 0 {
        spans.push(((from + size_i) as u32, size));
    }
    if to > size_i {
        spans.push((0, (to - size_i) as u32));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirty_rectangles_cover_everything_and_stay_few() {
        let mut dirty = Dirty::default();
        let mut all = Vec::new();
        for i in 0..200u32 {
            let rect = Rect::new((i * 7919) % 4000, (i * 104_729) % 4000, 4, 4);
            all.push(rect);
            dirty.add(rect);
        }
        assert!(dirty.rects().len() <= Dirty::MAX_RECTS);
        for rect in all {
            assert!(dirty.rects().iter().any(|d| d.intersect(&rect) == rect));
        }
    }

    #[test]
    fn neighbouring_cells_become_one_rectangle() {
        let mut dirty = Dirty::default();
        for i in 0..10 {
            dirty.add(Rect::new(i * 4, 8, 4, 4));
        }
        assert_eq!(dirty.rects(), [Rect::new(0, 8, 40, 4)]);
    }

    #[test]
    fn a_halo_is_cut_at_the_canvas_or_wraps() {
        let geometry = Geometry::new(64, 64).unwrap();
        let mut dirty = Dirty::default();
        dirty.add(Rect::new(0, 32, 4, 4));
        let cut = dirty.with_halo(8, geometry, Wrap::default());
        assert_eq!(cut.rects(), [Rect::new(0, 24, 12, 20)]);
        let wrapped = dirty.with_halo(8, geometry, Wrap { x: true, y: false });
        assert!(wrapped.rects().contains(&Rect::new(56, 24, 8, 20)));
        assert!(wrapped.rects().contains(&Rect::new(0, 24, 12, 20)));
    }
}
