//! Space to depth and back, as copies; each is the other's gradient.

use candle_core::Result;
use rayon::prelude::*;

use super::shape::Extent;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    SpaceToDepth,
    DepthToSpace,
}

/// The result's shape, where it fits.
pub(super) fn result(direction: Direction, factor: usize, x: Extent) -> Result<Extent> {
    let area = factor * factor;
    match direction {
        Direction::SpaceToDepth
            if factor > 0 && x.height.is_multiple_of(factor) && x.width.is_multiple_of(factor) =>
        {
            Ok(Extent {
                n: x.n,
                height: x.height / factor,
                width: x.width / factor,
                channels: x.channels * area,
            })
        }
        Direction::DepthToSpace if factor > 0 && x.channels.is_multiple_of(area) => Ok(Extent {
            n: x.n,
            height: x.height * factor,
            width: x.width * factor,
            channels: x.channels / area,
        }),
        direction => candle_core::bail!("{direction:?} by {factor}: {x:?} does not divide"),
    }
}

/// `x` of the shape `extent`, for which there is a [`result`]; `y` has as many values.
pub(super) fn run(direction: Direction, factor: usize, extent: Extent, x: &[f32], y: &mut [f32]) {
    // One piece: `factor` pixel rows, which are one row of cells. A run of a cell's pixel row is contiguous in both.
    let (cells_wide, run) = match direction {
        Direction::SpaceToDepth => (extent.width / factor, factor * extent.channels),
        Direction::DepthToSpace => (extent.width, extent.channels / factor),
    };
    let piece = (factor * cells_wide * run).max(1);
    y.par_chunks_mut(piece)
        .zip(x.par_chunks(piece))
        .for_each(|(y, x)| {
            for cell in 0..cells_wide {
                for row in 0..factor {
                    let in_space = (row * cells_wide + cell) * run;
                    let in_depth = (cell * factor + row) * run;
                    let (to, from) = match direction {
                        Direction::SpaceToDepth => (in_depth, in_space),
                        Direction::DepthToSpace => (in_space, in_depth),
                    };
                    y[to..to + run].copy_from_slice(&x[from..from + run]);
                }
            }
        });
}
