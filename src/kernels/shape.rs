//! The shape of activations, and what a layer's backward pass starts from.

use candle_core::Shape;

use super::layers::Padding;

/// The shape of activations: positions in rows. Where a layer does not care which position is beside which, all are one
/// row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub n: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Extent {
    pub(super) fn of(shape: &Shape) -> Self {
        match *shape.dims() {
            [n, height, width, channels] => Self {
                n,
                height,
                width,
                channels,
            },
            ref dims => {
                let channels = dims.last().copied().unwrap_or(1);
                Self {
                    n: 1,
                    height: 1,
                    width: shape.elem_count() / channels.max(1),
                    channels,
                }
            }
        }
    }

    /// The shape of this extent where the argument had `shape`: an image stays one, positions in rows stay as they are.
    pub(super) fn shape_like(self, shape: &Shape) -> Shape {
        match shape.dims() {
            [_, _, _, _] => (self.n, self.height, self.width, self.channels).into(),
            [positions @ .., _] => [positions, &[self.channels]].concat().into(),
            [] => ().into(),
        }
    }

    pub(super) fn positions(self) -> usize {
        self.n * self.height * self.width
    }

    pub(super) fn len(self) -> usize {
        self.positions() * self.channels
    }
}

/// What one layer's backward pass starts from.
#[derive(Clone, Copy)]
pub(super) struct Upstream<'a> {
    /// The layer's argument; empty where [`super::Layer::needs_input`] says so.
    pub x: &'a [f32],
    pub extent: Extent,
    /// Gradient of its result.
    pub dy: &'a [f32],
    /// What its forward pass kept beside.
    pub kept: &'a [f32],
    pub padding: Padding,
}
