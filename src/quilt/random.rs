//! Random numbers by counter: a draw depends on its seed, its purpose and its place alone, so that cells may be worked on in any
//! order and on any number of threads (as Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

/// What a draw is for; draws of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Subset = 1,
    Blocks,
    Shift,
    Onion,
    Noise,
    Freedom,
    Regions,
    Search,
    Coherence,
}

/// One stream of draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    key: u64,
}

impl Draws {
    /// The stream of one purpose and round of a seed.
    pub(super) fn new(seed: u64, purpose: Purpose, round: u64) -> Self {
        Self {
            key: mixed(mixed(seed ^ ((purpose as u64) << 56)).wrapping_add(round)),
        }
    }

    /// Draw `index` at `place`, uniform over all 64 bits.
    pub(super) fn bits(self, place: u64, index: u64) -> u64 {
        mixed(mixed(self.key ^ place).wrapping_add(index.wrapping_mul(STEP)))
    }

    /// Uniform in `0..bound`; 0 for a bound of 0.
    pub(super) fn below(self, place: u64, index: u64, bound: usize) -> usize {
        let wide = u128::from(self.bits(place, index)) * bound as u128;
        (wide >> 64) as usize
    }

    /// Uniform in `-reach..=reach`.
    pub(super) fn around(self, place: u64, index: u64, reach: i32) -> i32 {
        self.below(place, index, 2 * reach.max(0) as usize + 1) as i32 - reach.max(0)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(self, place: u64, index: u64) -> f32 {
        (self.bits(place, index) >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal, with mean 0 and variance 1: a sum of four uniform draws.
    pub(super) fn normal(self, place: u64, index: u64) -> f32 {
        let sum: f32 = (0..4).map(|i| self.unit(place, index * 4 + i)).sum();
        (sum - 2.0) * 3f32.sqrt()
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64` (Steele, Lea & Flood, OOPSLA 2014).
const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(STEP);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_purpose_round_and_place_alone() {
        let draw = |seed, purpose, round, place, index| {
            Draws::new(seed, purpose, round).bits(place, index)
        };
        let base = draw(1, Purpose::Blocks, 0, 5, 0);
        assert_eq!(base, draw(1, Purpose::Blocks, 0, 5, 0));
        for other in [
            draw(2, Purpose::Blocks, 0, 5, 0),
            draw(1, Purpose::Search, 0, 5, 0),
            draw(1, Purpose::Blocks, 1, 5, 0),
            draw(1, Purpose::Blocks, 0, 6, 0),
            draw(1, Purpose::Blocks, 0, 5, 1),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn draws_are_even_and_within_bounds() {
        let draws = Draws::new(3, Purpose::Noise, 0);
        let mut counts = [0; 7];
        for place in 0..7000 {
            counts[draws.below(place, 0, 7)] += 1;
        }
        assert!(
            counts.iter().all(|&n| (850..1150).contains(&n)),
            "{counts:?}"
        );
        assert_eq!(draws.below(1, 0, 0), 0);
        let normal: Vec<f32> = (0..4000).map(|place| draws.normal(place, 1)).collect();
        let mean = normal.iter().sum::<f32>() / 4000.0;
        let variance = normal.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 4000.0;
        assert!(
            mean.abs() < 0.06 && (variance - 1.0).abs() < 0.1,
            "{mean} {variance}"
        );
        assert!((0..500).all(|place| (-3..=3).contains(&draws.around(place, 2, 3))));
    }
}
