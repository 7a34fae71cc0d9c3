//! Random choices of one picture. ChaCha8 with the picture's index as stream: the same numbers on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// `from..to`.
    pub fn within(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// `from..to`, evenly in the logarithm; both are above 0.
    pub fn scale(&mut self, from: f32, to: f32) -> f32 {
        from * (to / from).powf(self.unit())
    }

    /// `from..=to`.
    pub fn count(&mut self, from: u32, to: u32) -> u32 {
        let choices = u64::from(to - from) + 1;
        from + ((u64::from(self.0.next_u32()) * choices) >> 32) as u32
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// An angle, radians.
    pub fn angle(&mut self) -> f32 {
        self.within(0.0, std::f32::consts::TAU)
    }

    /// Mean 0, standard deviation about 1, never beyond ±3.5.
    pub fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3f32.sqrt()
    }

    /// An index, by weight.
    pub fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.count(0, items.len() as u32 - 1) as usize]
    }
}
