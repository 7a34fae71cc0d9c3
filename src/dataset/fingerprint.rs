//! Which pictures show the same thing: a perceptual hash, checked against a tiny copy of the picture.

use std::sync::LazyLock;

use image::GrayImage;
use image_hasher::{HashAlg, Hasher, HasherConfig};

use super::pixels::Premultiplied;

const HASH_BYTES: usize = 32;
/// Bands of [`Fingerprint::bands`].
pub(super) const BANDS: usize = HASH_BYTES / 2;
const GRID_SIDE: u32 = 4;
const GRID_BYTES: usize = (GRID_SIDE * GRID_SIDE * 4) as usize;

/// Most bits of 256 in which the hashes of near duplicates differ: as many as [`super::NearIndex`] is sure to find.
const MAX_DISTANCE: u32 = 31;
/// Largest difference of any cell of the tiny copies of near duplicates, of 255.
const MAX_CELL_DIFFERENCE: u8 = 20;

static HASHER: LazyLock<Hasher<[u8; HASH_BYTES]>> = LazyLock::new(|| {
    HasherConfig::with_bytes_type::<[u8; HASH_BYTES]>()
        .hash_size(16, 16)
        .hash_alg(HashAlg::Median)
        .preproc_dct()
        .to_hasher()
});

/// 256 bits of layout (the signs of low frequencies of the luma) and a 4 × 4 premultiplied RGBA copy, which tells
/// apart what differs in colour or outline only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: [u8; HASH_BYTES],
    grid: [u8; GRID_BYTES],
}

impl Fingerprint {
    /// Length of [`Fingerprint::to_bytes`].
    pub const BYTES: usize = HASH_BYTES + GRID_BYTES;

    pub fn of(picture: &Premultiplied) -> Self {
        let luma: Vec<u8> = picture
            .luma_over_grey()
            .iter()
            .map(|v| (v + 0.5) as u8)
            .collect();
        let mut hash = [0; HASH_BYTES];
        if let Some(luma) = GrayImage::from_raw(picture.width, picture.height, luma) {
            hash.copy_from_slice(HASHER.hash_image(&luma).as_bytes());
        }
        Self {
            hash,
            grid: grid(picture),
        }
    }

    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..HASH_BYTES].copy_from_slice(&self.hash);
        bytes[HASH_BYTES..].copy_from_slice(&self.grid);
        bytes
    }

    /// `None` where the length is not [`Fingerprint::BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hash, grid) = bytes.split_at_checked(HASH_BYTES)?;
        Some(Self {
            hash: hash.try_into().ok()?,
            grid: grid.try_into().ok()?,
        })
    }

    /// Bits in which the hashes differ, 0..=256.
    pub fn distance(&self, other: &Self) -> u32 {
        let words = |hash: &[u8; HASH_BYTES]| -> [u64; HASH_BYTES / 8] { bytemuck::cast(*hash) };
        (words(&self.hash).into_iter().zip(words(&other.hash)))
            .map(|(a, b)| (a ^ b).count_ones())
            .sum()
    }

    /// Largest difference between cells of the tiny copies, 0..=255.
    pub fn cell_difference(&self, other: &Self) -> u8 {
        self.grid
            .iter()
            .zip(&other.grid)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0)
    }

    /// Whether both show the same thing, give or take compression, size and a slight retouch.
    pub fn is_near(&self, other: &Self) -> bool {
        self.distance(other) <= MAX_DISTANCE && self.cell_difference(other) <= MAX_CELL_DIFFERENCE
    }

    /// The hash in bands of 16 bits: two that differ in at most 31 bits have a band in which at most one differs.
    pub(super) fn bands(&self) -> impl Iterator<Item = u16> + use<> {
        let hash = self.hash;
        (0..BANDS).map(move |i| u16::from_le_bytes([hash[2 * i], hash[2 * i + 1]]))
    }
}

/// Mean of each cell of a 4 × 4 grid; pictures narrower than the grid repeat pixels.
fn grid(picture: &Premultiplied) -> [u8; GRID_BYTES] {
    let mut out = [0; GRID_BYTES];
    let range = |i: u32, side: u32| {
        let from = i * side / GRID_SIDE;
        let to = ((i + 1) * side).div_ceil(GRID_SIDE);
        (from.min(side - 1), to.max(from + 1).min(side))
    };
    for gy in 0..GRID_SIDE {
        for gx in 0..GRID_SIDE {
            let (x0, x1) = range(gx, picture.width);
            let (y0, y1) = range(gy, picture.height);
            let mut sum = [0u64; 4];
            for y in y0..y1 {
                for x in x0..x1 {
                    let at = (y as usize * picture.width as usize + x as usize) * 4;
                    for (s, v) in sum.iter_mut().zip(&picture.rgba[at..at + 4]) {
                        *s += u64::from(*v);
                    }
                }
            }
            let n = u64::from(x1 - x0) * u64::from(y1 - y0);
            let cell = (gy * GRID_SIDE + gx) as usize * 4;
            for (o, s) in out[cell..cell + 4].iter_mut().zip(sum) {
                *o = ((s + n / 2) / n) as u8;
            }
        }
    }
    out
}
