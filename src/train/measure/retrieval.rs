//! How well one half of a picture finds the other: by the model's embedding, and by its colours alone.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::codec::{Codec, STRUCTURE_STRIDE_PX};
use crate::dataset::PixelWindow;
use crate::error::Result;
use crate::kernels::Padding;
use crate::train::measure::metrics::over_grey;

/// Bins of the colour histogram along each of red, green and blue.
const BINS: usize = 8;

/// Recall@1 over the halves of pictures: the share whose most similar half of another side is that of its own picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RetrievalScores {
    /// Halves of each side: one of every picture or square.
    pub halves: usize,
    /// By the contrastive embedding; `None` for a model without it.
    pub embedding: Option<f64>,
    /// By colour histograms (8³ bins, Bhattacharyya coefficient), as what any program could do.
    pub colours: f64,
    /// By chance.
    pub chance: f64,
}

/// Halves of pictures to be found again.
#[derive(Debug, Default)]
pub struct Retrieval {
    embeddings: Sides,
    colours: Sides,
}

/// One vector for each half of a side; the more similar, the larger their product.
#[derive(Debug, Default)]
struct Sides {
    left: Vec<Vec<f32>>,
    right: Vec<Vec<f32>>,
    /// Which picture the halves are of.
    pictures: Vec<usize>,
}

impl Retrieval {
    /// Takes the left and the right half of `window` in, a part of the picture with number `picture`. One that is too narrow or low for
    /// the encoder is left out.
    pub fn add(&mut self, codec: &Codec, picture: usize, window: &PixelWindow) -> Result<()> {
        let whole_cells = |px: usize| px / STRUCTURE_STRIDE_PX * STRUCTURE_STRIDE_PX;
        let (width, height) = (whole_cells(window.width / 2), whole_cells(window.height));
        if width == 0 || height == 0 {
            return Ok(());
        }
        let shape = (1, window.height, window.width, 4);
        let pixels = Tensor::from_slice(&window.values, shape, codec.device())?;
        let pixels = pixels.narrow(1, 0, height)?;
        let halves = [0, window.width - width].map(|left| pixels.narrow(2, left, width));
        let [left, right] = halves;
        let halves = [left?.contiguous()?, right?.contiguous()?];
        let mut embeddings = Vec::new();
        let mut colours = Vec::new();
        for half in &halves {
            if let Some(embedding) = codec.embed(half, Padding::Zero)? {
                embeddings.push(embedding.flatten_all()?.to_vec1()?);
            }
            let half = half.to_device(&Device::Cpu)?;
            colours.push(histogram(&half.flatten_all()?.to_vec1::<f32>()?));
        }
        self.embeddings.add(picture, embeddings);
        self.colours.add(picture, colours);
        Ok(())
    }

    /// A number that no picture has yet.
    pub fn next_picture(&self) -> usize {
        let last = self.colours.pictures.iter().max();
        last.map_or(0, |last| last + 1)
    }

    /// `None` with fewer than two pictures.
    pub fn scores(&self) -> Option<RetrievalScores> {
        let mut pictures = self.colours.pictures.clone();
        pictures.sort_unstable();
        let chance = |picture: &usize| {
            // One's own half is among those of all other pictures.
            let same = pictures.iter().filter(|other| *other == picture).count();
            1.0 / (pictures.len() - same + 1) as f64
        };
        Some(RetrievalScores {
            halves: pictures.len(),
            embedding: self.embeddings.recall(),
            colours: self.colours.recall()?,
            chance: pictures.iter().map(chance).sum::<f64>() / pictures.len() as f64,
        })
    }
}

impl Sides {
    fn add(&mut self, picture: usize, halves: Vec<Vec<f32>>) {
        if let Ok([left, right]) = <[Vec<f32>; 2]>::try_from(halves) {
            self.left.push(left);
            self.right.push(right);
            self.pictures.push(picture);
        }
    }

    /// Both ways; other halves of the same picture do not compete. A tie is not found.
    fn recall(&self) -> Option<f64> {
        if self.pictures.iter().all(|p| *p == self.pictures[0]) {
            return None;
        }
        let found = |from: &[Vec<f32>], to: &[Vec<f32>]| {
            let own_first = |&own: &usize| {
                let product = |other: usize| -> f32 {
                    from[own].iter().zip(&to[other]).map(|(a, b)| a * b).sum()
                };
                let wanted = product(own);
                (0..to.len())
                    .filter(|other| self.pictures[*other] != self.pictures[own])
                    .all(|other| product(other) < wanted)
            };
            (0..from.len()).filter(own_first).count()
        };
        let both = found(&self.left, &self.right) + found(&self.right, &self.left);
        Some(both as f64 / (2 * self.pictures.len()) as f64)
    }
}

/// Roots of the shares of the pixels (premultiplied, in `[-1, 1]`; seen over grey) in each bin: their product is the
/// Bhattacharyya coefficient.
fn histogram(pixels: &[f32]) -> Vec<f32> {
    let mut counts = vec![0f32; BINS.pow(3)];
    let seen = over_grey(pixels);
    for colour in seen.as_chunks::<3>().0 {
        let bin = colour.iter().fold(0, |bin, value| {
            bin * BINS + ((value * BINS as f32) as usize).min(BINS - 1)
        });
        counts[bin] += 1.0;
    }
    let all = (seen.len() / 3).max(1) as f32;
    counts.iter().map(|count| (count / all).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecConfig;

    fn plain(shade: f32) -> PixelWindow {
        PixelWindow {
            width: 64,
            height: 32,
            values: [shade, -shade, shade * 0.5, 1.0].repeat(64 * 32),
        }
    }

    fn scores(pictures: &[(usize, f32)]) -> Option<RetrievalScores> {
        let codec = Codec::new(CodecConfig::tiny(), 5, &Device::Cpu).unwrap();
        let mut retrieval = Retrieval::default();
        for (picture, shade) in pictures {
            retrieval.add(&codec, *picture, &plain(*shade)).unwrap();
        }
        retrieval.scores()
    }

    #[test]
    fn windows_that_look_alike_on_both_sides_are_found_again() {
        let found = scores(&[(0, -0.8), (1, -0.2), (2, 0.3), (3, 0.9)]).unwrap();
        let all = RetrievalScores {
            halves: 4,
            embedding: Some(1.0),
            colours: 1.0,
            chance: 0.25,
        };
        assert_eq!(found, all);
    }

    #[test]
    fn nothing_tells_equal_pictures_apart() {
        let found = scores(&[(0, 0.3), (1, 0.3), (2, 0.3)]).unwrap();
        assert_eq!((found.embedding, found.colours), (Some(0.0), 0.0));
    }

    #[test]
    fn squares_of_one_picture_do_not_compete() {
        let found = scores(&[(0, 0.3), (0, 0.3), (1, -0.9)]).unwrap();
        assert_eq!((found.embedding, found.colours), (Some(1.0), 1.0));
        assert!((found.chance - (0.5 + 0.5 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(scores(&[(0, 0.3), (0, 0.9)]), None);
        assert_eq!(scores(&[]), None);
    }

    #[test]
    fn colours_are_counted_as_seen() {
        // A clear pixel is mid grey whatever colour it keeps; the other is pure red.
        let bins = histogram(&[-1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, 1.0]);
        let half = 0.5f32.sqrt();
        assert_eq!(bins[(4 * BINS + 4) * BINS + 4], half);
        assert_eq!(bins[7 * BINS * BINS], half);
        assert_eq!(bins.iter().filter(|v| **v > 0.0).count(), 2);
    }
}
