//! How long a run lasts and which learning rate each step has.

use serde::{Deserialize, Serialize};

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Repeats bit for bit on one machine, also across pauses.
    Steps(u64),
    /// Minutes spent training; pauses do not count, evaluations do. The learning rate follows the clock, so a run
    /// does not repeat bit for bit.
    Minutes(f64),
}

impl Budget {
    /// The share of the run that lies behind, in `[0, 1]`, before step `step` (from 0) and after `seconds` of training.
    pub fn progress(self, step: u64, seconds: f64) -> f64 {
        let progress = match self {
            Budget::Steps(0) => 1.0,
            Budget::Steps(total) => step as f64 / total as f64,
            Budget::Minutes(minutes) => seconds / (minutes * 60.0),
        };
        // A budget of no minutes gives NaN or infinity: it is used up.
        if progress.is_nan() {
            1.0
        } else {
            progress.clamp(0.0, 1.0)
        }
    }
}

/// Linear warm-up, then half a cosine down to `floor` (Loshchilov & Hutter, arXiv 1608.03983).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Steps of warm-up.
    pub warmup_steps: u64,
    /// The last learning rate as a share of the full one.
    pub floor: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            warmup_steps: 50,
            floor: 0.02,
        }
    }
}

impl Schedule {
    /// What the full learning rate is multiplied by in step `step` (from 0) at `progress` in `[0, 1]`.
    pub fn factor(&self, step: u64, progress: f64) -> f64 {
        let warmup = if step < self.warmup_steps {
            (step + 1) as f64 / (self.warmup_steps + 1) as f64
        } else {
            1.0
        };
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
        warmup * (self.floor + (1.0 - self.floor) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_the_floor() {
        let schedule = Schedule {
            warmup_steps: 9,
            floor: 0.1,
        };
        let budget = Budget::Steps(100);
        let at = |step| schedule.factor(step, budget.progress(step, 0.0));
        assert!((at(0) - 0.1).abs() < 1e-9);
        assert!((1..9).all(|step| at(step) > at(step - 1)));
        assert!((10..100).all(|step| at(step) < at(step - 1)));
        assert!(
            (at(50) - 0.55).abs() < 1e-9,
            "half way it is the mean of full and floor"
        );
        assert!((at(100) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn minutes_follow_the_clock() {
        let budget = Budget::Minutes(2.0);
        assert_eq!(budget.progress(10_000, 0.0), 0.0);
        assert_eq!(budget.progress(0, 60.0), 0.5);
        assert_eq!(budget.progress(0, 500.0), 1.0);
        assert_eq!(Budget::Minutes(0.0).progress(0, 0.0), 1.0);
        assert_eq!(Budget::Steps(0).progress(0, 0.0), 1.0);
    }
}
