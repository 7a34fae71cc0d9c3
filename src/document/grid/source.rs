//! The pixels of a picture as it came in.

use std::sync::Arc;

use crate::document::grid::geometry::Geometry;
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
