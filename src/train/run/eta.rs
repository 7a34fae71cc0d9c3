//! How long the rest of a run will take: from the median of the last step times, so that a laptop's sleep, a pause or a
//! busy minute does not spoil the estimate. No number is better than a wrong one: it says nothing until steps are steady.

use std::collections::VecDeque;
use std::time::Duration;

/// Step times that are remembered.
const WINDOW: usize = 64;
/// Step times needed before anything is said.
const ENOUGH: usize = 12;
/// The two halves of the window may differ by this factor in their medians.
const STEADY: f64 = 1.5;

#[derive(Debug, Clone, Default)]
pub struct Eta {
    seconds: VecDeque<f64>,
}

impl Eta {
    /// Records what one step took, evaluations and checkpoints left out.
    pub fn record(&mut self, step: Duration) {
        if self.seconds.len() == WINDOW {
            self.seconds.pop_front();
        }
        self.seconds.push_back(step.as_secs_f64());
    }

    /// The median step time in seconds, once steps are steady.
    pub fn step_seconds(&self) -> Option<f64> {
        if self.seconds.len() < ENOUGH {
            return None;
        }
        let half = self.seconds.len() / 2;
        let older = median(self.seconds.iter().take(half))?;
        let newer = median(self.seconds.iter().skip(half))?;
        if older.max(newer) > STEADY * older.min(newer) {
            return None;
        }
        median(self.seconds.iter())
    }

    /// The time that `steps` more steps will take.
    pub fn remaining(&self, steps: u64) -> Option<Duration> {
        let seconds = self.step_seconds()? * steps as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn median<'a>(values: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(millis: impl IntoIterator<Item = u64>) -> Eta {
        let mut eta = Eta::default();
        for step in millis {
            eta.record(Duration::from_millis(step));
        }
        eta
    }

    #[test]
    fn says_nothing_until_it_knows() {
        assert_eq!(after([]).remaining(10), None);
        assert_eq!(after([100; 11]).remaining(10), None);
        assert_eq!(after([100; 12]).remaining(10), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_stall_changes_nothing() {
        let stalled = (0..40).map(|step| if step % 13 == 7 { 600_000 } else { 100 });
        assert_eq!(after(stalled).remaining(100), Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_change_of_speed_is_learned() {
        let slower = |steps| after([100; 64].into_iter().chain(vec![300; steps]));
        assert_eq!(slower(40).remaining(10), None, "unsteady: nothing is said");
        assert_eq!(slower(64).remaining(10), Some(Duration::from_secs(3)));
    }
}
