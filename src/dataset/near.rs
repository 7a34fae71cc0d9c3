//! Near pictures among many, without comparing all with all: fingerprints by the 16 bands of 16 bits of their hash, looked up
//! with at most one bit of a band changed. Two hashes that differ in at most 31 bits always meet in some band
//! (multi-index hashing, Norouzi et al. 2012).

use rayon::prelude::*;

use super::fingerprint::{BANDS, Fingerprint};

const BAND_VALUES: usize = 1 << 16;
const NONE: u32 = u32::MAX;
/// Most pictures compared in one search: keeps it short among many thousands of one layout.
const MAX_COMPARED: usize = 4096;

/// What the value of a band is looked up with: nothing changed, which is where most near pictures are, then one bit.
fn changes() -> impl Iterator<Item = u16> {
    std::iter::once(0).chain((0..16).map(|bit| 1 << bit))
}

/// For each fingerprint, the number of the earliest one before it that is near; the same as looking each up in a
/// [`NearIndex`] before it is inserted, but on all threads of the pool. Among more than 4,096 of one layout some may be
/// missed.
pub(super) fn earliest_near(prints: &[Fingerprint]) -> Vec<Option<usize>> {
    let bands: Vec<Band> = (0..BANDS)
        .into_par_iter()
        .map(|band| Band::new(band, prints))
        .collect();
    (0..prints.len())
        .into_par_iter()
        .with_min_len(64)
        .map(|index| {
            let print = &prints[index];
            // Only those before it count, and of these the earliest.
            let mut best = index as u32;
            let mut compared = 0;
            let values: Vec<u16> = print.bands().collect();
            for change in changes() {
                for (band, value) in bands.iter().zip(&values) {
                    for candidate in band.prints(value ^ change) {
                        if *candidate >= best || compared == MAX_COMPARED {
                            break;
                        }
                        compared += 1;
                        if prints[*candidate as usize].is_near(print) {
                            best = *candidate;
                        }
                    }
                }
            }
            (best < index as u32).then_some(best as usize)
        })
        .collect()
}

/// Fingerprints by the value of one band.
struct Band {
    /// Where the numbers of each value begin; one more than there are values.
    starts: Vec<u32>,
    /// Numbers of fingerprints, rising within a value.
    numbers: Vec<u32>,
}

impl Band {
    fn new(band: usize, prints: &[Fingerprint]) -> Self {
        let value = |print: &Fingerprint| print.bands().nth(band).map_or(0, usize::from);
        let mut starts = vec![0u32; BAND_VALUES + 1];
        for print in prints {
            starts[value(print) + 1] += 1;
        }
        for at in 0..BAND_VALUES {
            starts[at + 1] += starts[at];
        }
        let mut free = starts.clone();
        let mut numbers = vec![0; prints.len()];
        for (number, print) in prints.iter().enumerate() {
            let at = &mut free[value(print)];
            numbers[*at as usize] = number as u32;
            *at += 1;
        }
        Self { starts, numbers }
    }

    fn prints(&self, value: u16) -> &[u32] {
        let value = usize::from(value);
        &self.numbers[self.starts[value] as usize..self.starts[value + 1] as usize]
    }
}

/// Finds near pictures among those inserted so far.
#[derive(Debug)]
pub struct NearIndex {
    prints: Vec<Fingerprint>,
    /// First and last picture of each value of each band.
    ends: Vec<(u32, u32)>,
    /// For each picture, the next one with the same value, band by band.
    next: Vec<[u32; BANDS]>,
    /// The search that last compared each picture.
    compared: Vec<u32>,
    searches: u32,
}

impl Default for NearIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl NearIndex {
    /// Holds 8 MB while empty.
    pub fn new() -> Self {
        Self {
            prints: Vec::new(),
            ends: vec![(NONE, NONE); BANDS * BAND_VALUES],
            next: Vec::new(),
            compared: Vec::new(),
            searches: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.prints.len()
    }

    pub fn is_empty(&self) -> bool {
        self.prints.is_empty()
    }

    /// The earliest inserted picture that is near, with the distance of the hashes.
    pub fn find(&mut self, print: &Fingerprint) -> Option<(usize, u32)> {
        self.searches = self.searches.wrapping_add(1);
        let mut best = NONE;
        let mut compared = 0;
        for change in changes() {
            for (band, value) in print.bands().enumerate() {
                let mut at = self.ends[band * BAND_VALUES + usize::from(value ^ change)].0;
                // Chains run from the earliest on, so the first hit is this chain's best.
                while at < best && compared < MAX_COMPARED {
                    let candidate = at as usize;
                    if self.compared[candidate] != self.searches {
                        self.compared[candidate] = self.searches;
                        compared += 1;
                        if self.prints[candidate].is_near(print) {
                            best = at;
                            break;
                        }
                    }
                    at = self.next[candidate][band];
                }
            }
        }
        (best != NONE).then(|| {
            let index = best as usize;
            (index, self.prints[index].distance(print))
        })
    }

    /// Adds a picture and returns its number, counted from 0.
    pub fn insert(&mut self, print: Fingerprint) -> usize {
        let index = self.prints.len();
        for (band, value) in print.bands().enumerate() {
            let ends = &mut self.ends[band * BAND_VALUES + usize::from(value)];
            if ends.0 == NONE {
                ends.0 = index as u32;
            } else {
                self.next[ends.1 as usize][band] = index as u32;
            }
            ends.1 = index as u32;
        }
        self.prints.push(print);
        self.next.push([NONE; BANDS]);
        self.compared.push(0);
        index
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Random fingerprints, every third a copy of an earlier one with a few bits changed.
    fn prints(count: usize) -> Vec<Fingerprint> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut bytes: Vec<[u8; Fingerprint::BYTES]> = Vec::new();
        for index in 0..count {
            let mut print = [0; Fingerprint::BYTES];
            if index % 3 == 2 {
                print = bytes[random.random_range(0..index)];
                for _ in 0..random.random_range(0..40) {
                    print[random.random_range(0..32)] ^= 1 << random.random_range(0..8);
                }
            } else {
                random.fill_bytes(&mut print);
            }
            bytes.push(print);
        }
        (bytes.iter())
            .map(|bytes| Fingerprint::from_bytes(bytes).unwrap())
            .collect()
    }

    #[test]
    fn all_at_once_finds_what_one_after_the_other_does() {
        let prints = prints(3000);
        let mut index = NearIndex::new();
        let one_by_one: Vec<_> = (prints.iter())
            .map(|print| {
                let near = index.find(print).map(|(near, _)| near);
                index.insert(*print);
                near
            })
            .collect();
        assert!(one_by_one.iter().flatten().count() > 500);
        assert_eq!(earliest_near(&prints), one_by_one);
        // By comparing all with all.
        let by_hand = (0..prints.len())
            .map(|index| (0..index).find(|earlier| prints[*earlier].is_near(&prints[index])));
        assert!(by_hand.eq(one_by_one));
        assert!(earliest_near(&[]).is_empty());
    }
}
