//! The pixels of a picture as it came in.

use std::sync::Arc;

use crate::document::grid::geometry::Geometry;
use crate::document::grid::turn::Turn;
use crate::error::{Error, Kind, Result};

/// Straight-alpha sRGB pixels, row by row, four values per pixel; shared, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    geometry: Geometry,
    rgba8: Arc<Vec<u8>>,
    rgba16: Option<Arc<Vec<u16>>>,
}

impl Source {
    /// # Errors
    /// `Limit` for an unusable size, `Damaged` unless there are `width × height × 4` values.
    pub fn from_rgba8(width: u32, height: u32, rgba8: Vec<u8>) -> Result<Self> {
        let geometry = Geometry::new(width, height)?;
        check_len(geometry, rgba8.len())?;
        Ok(Self {
            geometry,
            rgba8: Arc::new(rgba8),
            rgba16: None,
        })
    }

    /// A picture of 16 bits per channel; its 8-bit version is made here.
    ///
    /// # Errors
    /// As [`Source::from_rgba8`].
    pub fn from_rgba16(width: u32, height: u32, rgba16: Vec<u16>) -> Result<Self> {
        let geometry = Geometry::new(width, height)?;
        check_len(geometry, rgba16.len())?;
        let rgba8 = rgba16.iter().map(|&v| to_8_bit(v)).collect();
        Ok(Self {
            geometry,
            rgba8: Arc::new(rgba8),
            rgba16: Some(Arc::new(rgba16)),
        })
    }

    /// The same picture mirrored and turned; itself where the turn does nothing.
    ///
    /// # Errors
    /// None for a picture.
    pub fn turned(self, turn: Turn) -> Result<Self> {
        if turn.is_none() {
            return Ok(self);
        }
        let (width, height) = match turn.quarters % 2 {
            0 => (self.width(), self.height()),
            _ => (self.height(), self.width()),
        };
        match &self.rgba16 {
            Some(rgba16) => Self::from_rgba16(width, height, turned(rgba16, self.geometry, turn)),
            None => Self::from_rgba8(width, height, turned(&self.rgba8, self.geometry, turn)),
        }
    }

    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub const fn width(&self) -> u32 {
        self.geometry.width()
    }

    pub const fn height(&self) -> u32 {
        self.geometry.height()
    }

    /// `width × height × 4` values.
    pub fn rgba8(&self) -> &Arc<Vec<u8>> {
        &self.rgba8
    }

    /// Present when the picture came with 16 bits per channel.
    pub fn rgba16(&self) -> Option<&Arc<Vec<u16>>> {
        self.rgba16.as_ref()
    }

    /// Bits per channel of the picture as it came: 8 or 16.
    pub fn depth_bits(&self) -> u8 {
        if self.rgba16.is_some() { 16 } else { 8 }
    }
}

/// Pixels of four channels, mirrored first and then turned clockwise.
fn turned<T: Copy>(pixels: &[T], geometry: Geometry, turn: Turn) -> Vec<T> {
    let (pixels, _) = pixels.as_chunks::<4>();
    let (w, h) = (geometry.width() as usize, geometry.height() as usize);
    let (width, height) = if turn.quarters.is_multiple_of(2) {
        (w, h)
    } else {
        (h, w)
    };
    let from = |x: usize, y: usize| {
        // Where it was before each quarter turn.
        let (x, y) = match turn.quarters % 4 {
            0 => (x, y),
            1 => (y, h - 1 - x),
            2 => (w - 1 - x, h - 1 - y),
            _ => (w - 1 - y, x),
        };
        let x = if turn.is_mirrored { w - 1 - x } else { x };
        pixels[y * w + x]
    };
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| from(x, y))
        .collect()
}

/// The nearest 8-bit value: 65,535 ↦ 255, and `257·v ↦ v` exactly.
pub fn to_8_bit(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_895) >> 16) as u8
}

pub(crate) fn check_len(geometry: Geometry, len: usize) -> Result<()> {
    let needed = geometry.bounds().area() * 4;
    if len as u64 == needed {
        return Ok(());
    }
    Err(Error::new(
        Kind::Damaged,
        "could not use the picture",
        format!(
            "{len} values for {} × {} pixels of four channels ({needed} needed)",
            geometry.width(),
            geometry.height()
        ),
        "",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_round_to_the_nearest_eight() {
        for v in 0..=255u16 {
            assert_eq!(u16::from(to_8_bit(v * 257)), v);
        }
        for v in [0u16, 1, 128, 129, 300, 40_000, 65_407, 65_535] {
            let exact = (f64::from(v) * 255.0 / 65_535.0).round() as u8;
            assert_eq!(to_8_bit(v), exact, "{v}");
        }
    }

    #[test]
    fn a_picture_turns_clockwise_after_it_is_mirrored() {
        // 1 2 3
        // 4 5 6
        let pixels = (1..=6u8).flat_map(|v| [v, v, v, 255]).collect();
        let source = Source::from_rgba8(3, 2, pixels).unwrap();
        let shown = |number: u8| {
            let turned = source
                .clone()
                .turned(Turn::of_number(number).unwrap())
                .unwrap();
            let pixels = turned
                .rgba8()
                .chunks_exact(4)
                .map(|p| p[0])
                .collect::<Vec<_>>();
            (turned.width(), pixels)
        };
        assert_eq!(shown(0), (3, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(shown(1), (2, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(shown(2), (3, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(shown(3), (2, vec![3, 6, 2, 5, 1, 4]));
        assert_eq!(shown(4), (3, vec![3, 2, 1, 6, 5, 4]));
        assert_eq!(shown(5), (2, vec![6, 3, 5, 2, 4, 1]));
        for number in 0..8 {
            assert_eq!(Turn::of_number(number).unwrap().number(), number);
        }
        assert_eq!(Turn::of_number(8), None);
    }

    #[test]
    fn a_wrong_length_is_refused() {
        assert_eq!(
            Source::from_rgba8(2, 2, vec![0; 15]).unwrap_err().kind,
            Kind::Damaged
        );
        assert_eq!(
            Source::from_rgba8(0, 2, vec![]).unwrap_err().kind,
            Kind::Limit
        );
    }
}
