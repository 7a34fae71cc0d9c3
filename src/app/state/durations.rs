//! How long frames and dabs take.

use std::collections::VecDeque;

/// How long something took that happens over and over, newest last.
#[derive(Debug, Default)]
pub struct Durations {
    last_ms: VecDeque<f32>,
}

impl Durations {
    /// How many are kept; older ones are forgotten.
    pub const KEPT: usize = 6000;

    pub(in crate::app) fn push(&mut self, milliseconds: f32) {
        self.last_ms.push_back(milliseconds);
        if self.last_ms.len() > Self::KEPT {
            self.last_ms.pop_front();
        }
    }

    pub fn count(&self) -> usize {
        self.last_ms.len()
    }

    /// Those kept, in milliseconds, newest last.
    pub fn milliseconds(&self) -> impl Iterator<Item = f32> + '_ {
        self.last_ms.iter().copied()
    }

    /// The time that this share (0 to 1) of the newest ones stayed within, in milliseconds.
    pub fn quantile_ms(&self, share: f32) -> f32 {
        let mut sorted: Vec<f32> = self.milliseconds().collect();
        sorted.sort_by(f32::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = (share.clamp(0.0, 1.0) * last as f32).round() as usize;
        sorted.get(at).copied().unwrap_or(0.0)
    }

    /// The figures in words, for the log and the About box.
    pub fn summary(&self) -> String {
        format!(
            "half within {:.1} ms, 95 of 100 within {:.1} ms, longest {:.1} ms",
            self.quantile_ms(0.5),
            self.quantile_ms(0.95),
            self.quantile_ms(1.0)
        )
    }
}
