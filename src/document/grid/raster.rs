//! Finished pixels, for display and export.

use std::borrow::Cow;

use crate::document::grid::geometry::Geometry;
use crate::document::grid::source::{Source, check_len, to_8_bit};
use crate::error::Result;

/// Straight-alpha sRGB samples, four per pixel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    Rgba8(Vec<u8>),
    Rgba16(Vec<u16>),
}

/// A picture with 8 or 16 bits per channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    geometry: Geometry,
    samples: Samples,
}

impl Raster {
    /// # Errors
    /// `Limit` for an unusable size, `Damaged` unless there are `width × height × 4` samples.
    pub fn new(width: u32, height: u32, samples: Samples) -> Result<Self> {
        let geometry = Geometry::new(width, height)?;
        let len = match &samples {
            Samples::Rgba8(s) => s.len(),
            Samples::Rgba16(s) => s.len(),
        };
        check_len(geometry, len)?;
        Ok(Self { geometry, samples })
    }

    /// The untouched source, with as many bits as asked for (8 or, otherwise, 16).
    pub fn from_source(source: &Source, depth_bits: u8) -> Self {
        let samples = match (depth_bits, source.rgba16()) {
            (8, _) => Samples::Rgba8(source.rgba8().to_vec()),
            (_, Some(rgba16)) => Samples::Rgba16(rgba16.to_vec()),
            (_, None) => Samples::Rgba16(source.rgba8().iter().map(|&v| to_16_bit(v)).collect()),
        };
        Self {
            geometry: source.geometry(),
            samples,
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

    pub const fn samples(&self) -> &Samples {
        &self.samples
    }

    pub fn samples_mut(&mut self) -> SamplesMut<'_> {
        match &mut self.samples {
            Samples::Rgba8(s) => SamplesMut::Rgba8(s),
            Samples::Rgba16(s) => SamplesMut::Rgba16(s),
        }
    }

    /// 8 or 16.
    pub const fn depth_bits(&self) -> u8 {
        match self.samples {
            Samples::Rgba8(_) => 8,
            Samples::Rgba16(_) => 16,
        }
    }

    /// The picture with 8 bits per channel.
    pub fn rgba8(&self) -> Cow<'_, [u8]> {
        match &self.samples {
            Samples::Rgba8(s) => Cow::Borrowed(s),
            Samples::Rgba16(s) => s.iter().map(|&v| to_8_bit(v)).collect(),
        }
    }
}

/// The samples of a raster to write into; their number stays.
#[derive(Debug)]
pub enum SamplesMut<'a> {
    Rgba8(&'a mut [u8]),
    Rgba16(&'a mut [u16]),
}

/// The 16-bit value of the same brightness: 255 ↦ 65,535.
pub const fn to_16_bit(value: u8) -> u16 {
    value as u16 * 257
}
