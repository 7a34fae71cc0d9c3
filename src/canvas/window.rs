//! Windows on the cells of a stage: what has to be known to compute a piece of the next one.

use candle_core::Tensor;

use crate::codec::Trim;
use crate::document::{Geometry, Rect, Wrap};
use crate::error::Result;

/// A run of cells along one axis. On a wrapping axis it may begin before 0 or end beyond the axis;
/// one that would hold every cell is *whole* instead: it begins at 0 and wraps in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: i64,
    pub len: u32,
    pub whole: bool,
}

/// One axis at the resolution of a stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub cells: u32,
    pub wraps: bool,
}

impl Axis {
    fn span(self, start: i64, end: i64) -> Span {
        let cells = i64::from(self.cells);
        if self.wraps {
            if end - start >= cells {
                return Span {
                    start: 0,
                    len: self.cells,
                    whole: true,
                };
            }
            return Span {
                start,
                len: (end - start) as u32,
                whole: false,
            };
        }
        let (start, end) = (start.clamp(0, cells), end.clamp(0, cells));
        Span {
            start,
            len: (end - start) as u32,
            whole: false,
        }
    }
}

impl Span {
    const fn end(self) -> i64 {
        self.start + self.len as i64
    }

    /// `halo` cells more on either side, where there are any.
    fn grown(self, halo: u32, axis: Axis) -> Span {
        if self.whole {
            return self;
        }
        axis.span(self.start - i64::from(halo), self.end() + i64::from(halo))
    }

    /// What is left of it when `blocks` blocks each cut a cell off the sides where the axis goes on,
    /// and whether those are the side before and the side after.
    fn trimmed(self, blocks: u32, axis: Axis) -> (Span, bool, bool) {
        let goes_on = |inside: bool| !self.whole && (axis.wraps || inside);
        let before = goes_on(self.start > 0);
        let after = goes_on(self.end() < i64::from(axis.cells));
        let cut = |side: bool| if side { blocks } else { 0 };
        let span = Span {
            start: self.start + i64::from(cut(before)),
            len: self.len - cut(before) - cut(after),
            whole: self.whole,
        };
        (span, before, after)
    }

    /// The cells of a stage `factor` times as coarse that cover it; `axis` is that stage's.
    fn coarser(self, factor: u32, axis: Axis) -> Span {
        let factor = i64::from(factor);
        let end = -(-self.end()).div_euclid(factor);
        let mut span = axis.span(self.start.div_euclid(factor), end);
        span.whole |= self.whole;
        span
    }

    const fn finer(self, factor: u32) -> Span {
        Span {
            start: self.start * factor as i64,
            len: self.len * factor,
            whole: self.whole,
        }
    }

    /// Positions on the axis, wrapped into it.
    pub fn positions(self, cells: u32) -> impl Iterator<Item = u32> + Clone {
        (self.start..self.end()).map(move |at| at.rem_euclid(i64::from(cells)) as u32)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub x: Span,
    pub y: Span,
}

/// The axes of one stage of one canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane {
    pub x: Axis,
    pub y: Axis,
}

impl Plane {
    pub fn new(geometry: Geometry, wrap: Wrap, stride_px: u32) -> Self {
        Self {
            x: Axis {
                cells: geometry.padded_width() / stride_px,
                wraps: wrap.x,
            },
            y: Axis {
                cells: geometry.padded_height() / stride_px,
                wraps: wrap.y,
            },
        }
    }

    /// A rectangle of cells, which lies within the plane.
    pub fn window(self, rect: Rect) -> Window {
        Window {
            x: self.x.span(i64::from(rect.x), i64::from(rect.right())),
            y: self.y.span(i64::from(rect.y), i64::from(rect.bottom())),
        }
    }
}

impl Window {
    pub fn grown(self, halo: u32, plane: Plane) -> Self {
        Self {
            x: self.x.grown(halo, plane.x),
            y: self.y.grown(halo, plane.y),
        }
    }

    pub fn coarser(self, factor: u32, plane: Plane) -> Self {
        Self {
            x: self.x.coarser(factor, plane.x),
            y: self.y.coarser(factor, plane.y),
        }
    }

    pub const fn finer(self, factor: u32) -> Self {
        Self {
            x: self.x.finer(factor),
            y: self.y.finer(factor),
        }
    }

    /// What `blocks` trimming blocks leave of it, and the sides they trim.
    pub fn trimmed(self, blocks: u32, plane: Plane) -> (Window, Trim) {
        let (x, left, right) = self.x.trimmed(blocks, plane.x);
        let (y, top, bottom) = self.y.trimmed(blocks, plane.y);
        let trim = Trim {
            left,
            right,
            top,
            bottom,
        };
        (Window { x, y }, trim)
    }

    pub const fn area(self) -> u64 {
        self.x.len as u64 * self.y.len as u64
    }

    /// The part `want` of a tensor `[1, h, w, c]` that holds this window.
    pub fn crop(self, tensor: &Tensor, want: Window, plane: Plane) -> Result<Tensor> {
        let rows = crop_axis(tensor, 1, self.y, want.y, plane.y)?;
        Ok(crop_axis(&rows, 2, self.x, want.x, plane.x)?.contiguous()?)
    }
}

fn crop_axis(tensor: &Tensor, dim: usize, have: Span, want: Span, axis: Axis) -> Result<Tensor> {
    if have == want {
        return Ok(tensor.clone());
    }
    let len = want.len as usize;
    if !have.whole {
        // A window of the wanted cells' surroundings: it begins at or before them.
        return Ok(tensor.narrow(dim, (want.start - have.start) as usize, len)?);
    }
    let start = want.start.rem_euclid(i64::from(axis.cells)) as usize;
    let first = len.min(axis.cells as usize - start);
    let head = tensor.narrow(dim, start, first)?;
    if first == len {
        return Ok(head);
    }
    Ok(Tensor::cat(
        &[&head, &tensor.narrow(dim, 0, len - first)?],
        dim,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn axis(cells: u32, wraps: bool) -> Axis {
        Axis { cells, wraps }
    }

    #[test]
    fn spans_are_cut_at_borders_and_run_on_where_the_axis_wraps() {
        let span = axis(10, false).span(1, 4);
        let cut = span.grown(3, axis(10, false));
        assert_eq!((cut.start, cut.len), (0, 7));
        let on = span.grown(3, axis(10, true));
        assert_eq!((on.start, on.len, on.whole), (-2, 9, false));
        assert_eq!(on.positions(10).collect::<Vec<_>>()[..3], [8, 9, 0]);
        let whole = span.grown(4, axis(10, true));
        assert_eq!((whole.start, whole.len, whole.whole), (0, 10, true));
    }

    #[test]
    fn coarser_spans_cover() {
        let span = axis(40, true).span(-3, 6).coarser(4, axis(10, true));
        assert_eq!((span.start, span.len), (-1, 3));
        // 15 of 16 fine cells can touch all four coarse ones, and then some.
        let span = axis(16, true).span(3, 18).coarser(4, axis(4, true));
        assert!(span.whole);
    }
}
