//! Space to depth and back, as copies; each is the other's gradient.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::host::{HostRef, argument};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    SpaceToDepth,
    DepthToSpace,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Shuffle {
    pub direction: Direction,
    pub factor: usize,
}

impl Shuffle {
    /// The result's shape, where it fits.
    fn shape(self, dims: (usize, usize, usize, usize)) -> Result<[usize; 4]> {
        let (n, h, w, c) = dims;
        let f = self.factor;
        match self.direction {
            Direction::SpaceToDepth if f > 0 && h % f == 0 && w % f == 0 => {
                Ok([n, h / f, w / f, f * f * c])
            }
            Direction::DepthToSpace if f > 0 && c % (f * f) == 0 => {
                Ok([n, h * f, w * f, c / (f * f)])
            }
            direction => {
                candle_core::bail!(
                    "{direction:?} by {f}: {h}x{w} with {c} channels does not divide"
                )
            }
        }
    }

    fn inverse(self) -> Self {
        Self {
            direction: match self.direction {
                Direction::SpaceToDepth => Direction::DepthToSpace,
                Direction::DepthToSpace => Direction::SpaceToDepth,
            },
            ..self
        }
    }

    fn run(self, x: &[f32], dims: (usize, usize, usize, usize)) -> Result<(Vec<f32>, Shape)> {
        let shape = self.shape(dims)?;
        let f = self.factor;
        let mut y = vec![0.0; x.len()];
        // One piece: `f` pixel rows, which are one row of cells. A run of a cell's pixel row is contiguous in both.
        let (cells_wide, run) = match self.direction {
            Direction::SpaceToDepth => (shape[2], f * dims.3),
            Direction::DepthToSpace => (dims.2, f * shape[3]),
        };
        let piece = (f * cells_wide * run).max(1);
        y.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .for_each(|(y, x)| {
                for cell in 0..cells_wide {
                    for row in 0..f {
                        let in_space = (row * cells_wide + cell) * run;
                        let in_depth = (cell * f + row) * run;
                        let (to, from) = match self.direction {
                            Direction::SpaceToDepth => (in_depth, in_space),
                            Direction::DepthToSpace => (in_space, in_depth),
                        };
                        y[to..to + run].copy_from_slice(&x[from..from + run]);
                    }
                }
            });
        Ok((y, Shape::from(&shape[..])))
    }
}

impl CustomOp1 for Shuffle {
    fn name(&self) -> &'static str {
        match self.direction {
            Direction::SpaceToDepth => "space-to-depth",
            Direction::DepthToSpace => "depth-to-space",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, shape) = self.run(argument(x, layout)?, layout.shape().dims4()?)?;
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (dx, shape) = self.inverse().run(&HostRef::new(&grad)?, grad.dims4()?)?;
        Ok(Some(Tensor::from_vec(dx, shape, grad.device())?))
    }
}
