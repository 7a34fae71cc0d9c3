//! What the tools know of a model's codes: their vectors, and which details go with which structure.

use std::sync::Arc;

use crate::document::alphabet::companions::Companions;
use crate::document::grid::codes::Codebooks;
use crate::document::grid::geometry::Level;
use crate::error::{Error, Kind, Result};

/// The vectors of one level's codes.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeVectors {
    width: usize,
    /// `codes × width`.
    values: Vec<f32>,
    /// The distance between two codes taken at random (root mean square), above 0.
    spread: f32,
    /// Codes that [`CodeVectors::nearest`] does not give, by number; none where it is empty.
    muted: Vec<bool>,
}

impl CodeVectors {
    /// Widest vectors taken.
    pub const MAX_WIDTH: usize = 1024;

    /// `values` is `codes × width`, row by row.
    ///
    /// # Errors
    /// `Damaged` unless there is at least one whole row of finite numbers, and at most 65,535.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self> {
        let codes = values.len().checked_div(width).unwrap_or(0);
        let why = if width == 0 || width > Self::MAX_WIDTH || !values.len().is_multiple_of(width) {
            "their width does not fit"
        } else if codes == 0 || codes >= usize::from(u16::MAX) {
            "their number does not fit"
        } else if values.iter().any(|value| !value.is_finite()) {
            "one holds a value that is no number"
        } else {
            let spread = spread(width, &values);
            return Ok(Self {
                width,
                values,
                spread,
                muted: Vec::new(),
            });
        };
        Err(Error::new(
            Kind::Damaged,
            "could not use the vectors of the codes",
            why,
            "",
        ))
    }

    /// Leaves codes out of what is mixed; where that would leave none, all stay.
    #[must_use]
    pub fn without(mut self, is_muted: impl Fn(u16) -> bool) -> Self {
        let muted: Vec<bool> = (0u16..).take(self.codes()).map(is_muted).collect();
        self.muted = if muted.iter().all(|muted| *muted) {
            Vec::new()
        } else {
            muted
        };
        self
    }

    pub fn codes(&self) -> usize {
        self.values.len() / self.width
    }

    /// Numbers per code.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// All of them, `codes × width`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// BLAKE3 of the numbers, in hexadecimal digits: what the codebook is known by.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.width as u64).to_le_bytes());
        for value in &self.values {
            hasher.update(&value.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Empty for a code that there is not.
    pub fn vector(&self, code: u16) -> &[f32] {
        let start = usize::from(code) * self.width;
        (self.values.get(start..start + self.width)).unwrap_or_default()
    }

    /// The code whose vector is nearest to `to` (of [`CodeVectors::width`] numbers).
    pub fn nearest(&self, to: &[f32]) -> u16 {
        let mut best = (f32::INFINITY, 0);
        for (code, vector) in (0u16..).zip(self.values.chunks_exact(self.width)) {
            if self.muted.get(usize::from(code)) == Some(&true) {
                continue;
            }
            let distance = squared(vector, to);
            if distance < best.0 {
                best = (distance, code);
            }
        }
        best.1
    }

    /// The code nearest to the point between two codes: `a` at 0, `b` at 1.
    pub fn mix(&self, a: u16, b: u16, t: f32) -> u16 {
        // Its own vector is nearest to itself, but two codes may share one.
        if t <= 0.0 {
            return a;
        }
        if t >= 1.0 {
            return b;
        }
        let mut between = self.vector(a).to_vec();
        blend(&mut between, self.vector(b), t);
        self.nearest(&between)
    }

    /// How unlike two codes are: 0 for the same vector, 1 for two codes taken at random.
    pub fn distance(&self, a: u16, b: u16) -> f32 {
        squared(self.vector(a), self.vector(b)).sqrt() / self.spread
    }
}

/// Moves `from` towards `to` by the share `t`.
pub(crate) fn blend(from: &mut [f32], to: &[f32], t: f32) {
    for (value, to) in from.iter_mut().zip(to) {
        *value += (to - *value) * t;
    }
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// For independent codes the mean squared distance is twice the total variance.
fn spread(width: usize, values: &[f32]) -> f32 {
    let codes = (values.len() / width) as f32;
    let variance: f32 = (0..width)
        .map(|column| {
            let all = || values.iter().skip(column).step_by(width);
            let mean = all().sum::<f32>() / codes;
            all().map(|v| (v - mean) * (v - mean)).sum::<f32>() / codes
        })
        .sum();
    (2.0 * variance).sqrt().max(f32::MIN_POSITIVE)
}

/// The vectors of both levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    pub structure: CodeVectors,
    pub detail: CodeVectors,
}

impl Vectors {
    pub const fn level(&self, level: Level) -> &CodeVectors {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }
}

/// What tools may ask about a model's codes. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Alphabet {
    pub codebooks: Codebooks,
    vectors: Option<Arc<Vectors>>,
    companions: Option<Arc<Companions>>,
}

impl Alphabet {
    /// Numbers of codes alone: tools that need vectors refuse to work.
    pub const fn plain(codebooks: Codebooks) -> Self {
        Self {
            codebooks,
            vectors: None,
            companions: None,
        }
    }

    pub fn new(vectors: Arc<Vectors>) -> Self {
        let codebooks = Codebooks {
            structure: vectors.structure.codes() as u32,
            detail: vectors.detail.codes() as u32,
        };
        Self {
            codebooks,
            vectors: Some(vectors),
            companions: None,
        }
    }

    /// With the details that go with each structure code.
    #[must_use]
    pub fn with_companions(mut self, companions: Option<Arc<Companions>>) -> Self {
        self.companions = companions;
        self
    }

    /// # Errors
    /// `Usage` where the vectors are not known.
    pub fn vectors(&self, level: Level) -> Result<&CodeVectors> {
        self.vectors
            .as_deref()
            .map(|vectors| vectors.level(level))
            .ok_or_else(|| {
                Error::usage(
                    "could not compare codes",
                    "the vectors of this model's codes are not known yet",
                    "Wait until the codes have appeared and try again",
                )
            })
    }

    pub fn companions(&self) -> Option<&Companions> {
        self.companions.as_deref()
    }

    /// Whether each code of a level counts as the same as `code`: itself alone at tolerance 0, all at 1
    /// and more. Empty cells are like empty cells only.
    ///
    /// # Errors
    /// As [`Alphabet::vectors`], for a tolerance above 0.
    pub fn alike(&self, level: Level, code: Option<u16>, tolerance: f32) -> Result<Alike> {
        let Some(code) = code else {
            return Ok(Alike {
                codes: Vec::new(),
                empty: true,
            });
        };
        let count = self.codebooks.size(level).min(u32::from(u16::MAX)) as u16;
        let codes = if tolerance > 0.0 {
            let vectors = self.vectors(level)?;
            (0..count)
                .map(|other| other == code || vectors.distance(code, other) <= tolerance)
                .collect()
        } else {
            (0..count).map(|other| other == code).collect()
        };
        Ok(Alike {
            codes,
            empty: false,
        })
    }
}

/// Which codes count as the same: see [`Alphabet::alike`].
#[derive(Debug, Clone)]
pub struct Alike {
    codes: Vec<bool>,
    empty: bool,
}

impl Alike {
    pub fn holds(&self, code: Option<u16>) -> bool {
        match code {
            Some(code) => self.codes.get(usize::from(code)).copied().unwrap_or(false),
            None => self.empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0 to 10 on a line.
    pub fn line() -> CodeVectors {
        CodeVectors::new(2, (0..11).flat_map(|i| [i as f32, 1.0]).collect()).unwrap()
    }

    #[test]
    fn mixing_walks_from_one_code_to_the_other() {
        let codes = line();
        let walk: Vec<u16> = (0..=5).map(|i| codes.mix(2, 7, i as f32 / 5.0)).collect();
        assert_eq!(walk, [2, 3, 4, 5, 6, 7]);
        assert_eq!(codes.nearest(&[8.4, 0.0]), 8);
    }

    #[test]
    fn muted_codes_are_not_mixed() {
        let codes = line().without(|code| [4, 5, 8].contains(&code));
        let walk: Vec<u16> = (0..=5).map(|i| codes.mix(2, 7, i as f32 / 5.0)).collect();
        assert_eq!(walk, [2, 3, 3, 6, 6, 7]);
        assert_eq!(codes.nearest(&[8.4, 0.0]), 9);
        // What is painted with or lies there already is not a mixture.
        assert_eq!(codes.mix(4, 7, 0.0), 4);
        assert_eq!(line().without(|_| true).nearest(&[8.4, 0.0]), 8);
    }

    #[test]
    fn tolerance_takes_in_codes_that_are_like_it() {
        let vectors = Arc::new(Vectors {
            structure: line(),
            detail: line(),
        });
        let alphabet = Alphabet::new(vectors);
        let count = |tolerance| {
            let alike = alphabet.alike(Level::Detail, Some(5), tolerance).unwrap();
            (0..11).filter(|&code| alike.holds(Some(code))).count()
        };
        assert_eq!(count(0.0), 1);
        assert_eq!(count(0.3), 3, "a step is 1 / 4.47 of the spread");
        assert_eq!(count(2.0), 11);
        let empty = alphabet.alike(Level::Detail, None, 0.5).unwrap();
        assert!(empty.holds(None) && !empty.holds(Some(5)));
        let plain = Alphabet::plain(alphabet.codebooks);
        assert!(plain.alike(Level::Detail, Some(5), 0.0).is_ok());
        assert!(plain.alike(Level::Detail, Some(5), 0.1).is_err());
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused() {
        for (width, values) in [
            (0, vec![1.0]),
            (2, vec![1.0; 3]),
            (2, vec![]),
            (1, vec![f32::NAN]),
        ] {
            assert!(CodeVectors::new(width, values).is_err());
        }
    }
}
