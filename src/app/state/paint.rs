//! The tool in hand: its level, size, shape and codes.

use std::collections::VecDeque;

use super::tools::Tool;
use crate::document::{Brush, DetailPolicy, Level, Shape};

/// The tool in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Paint {
    pub tool: Tool,
    pub level: Level,
    /// Cells, per level.
    pub size: PerLevel<u32>,
    /// Percent of the cells left out.
    pub scatter_percent: u32,
    pub shape: Shape,
    /// `Code` stands for the detail code in hand, whichever that is: see [`Self::detail`].
    pub detail_policy: DetailPolicy,
    pub code: PerLevel<u16>,
    pub second_code: PerLevel<u16>,
    /// Codes used lately, newest first.
    pub recent: VecDeque<(Level, u16)>,
    pub(in crate::app) seed: u64,
}

/// A value for each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerLevel<T> {
    pub structure: T,
    pub detail: T,
}

impl<T: Copy> PerLevel<T> {
    pub fn get(&self, level: Level) -> T {
        match level {
            Level::Structure => self.structure,
            Level::Detail => self.detail,
        }
    }

    pub fn set(&mut self, level: Level, value: T) {
        match level {
            Level::Structure => self.structure = value,
            Level::Detail => self.detail = value,
        }
    }
}

impl Paint {
    pub const MAX_SIZE: u32 = 64;
    pub const MAX_RECENT: usize = 12;

    pub fn brush(&self) -> Brush {
        Brush {
            shape: self.shape,
            size: self.size.get(self.level),
            scatter: self.scatter_percent.min(95) as f32 / 100.0,
            seed: self.seed,
        }
    }

    /// The code that the brush paints with.
    pub fn current_code(&self) -> u16 {
        self.code.get(self.level)
    }

    /// What painting structure does to the detail under it.
    pub fn detail(&self) -> DetailPolicy {
        match self.detail_policy {
            DetailPolicy::Code(_) => DetailPolicy::Code(self.code.detail),
            other => other,
        }
    }

    /// Forgets which codes were in hand: they are the project's.
    pub(in crate::app) fn leave_project(&mut self) {
        self.code = PerLevel::default();
        self.second_code = PerLevel::default();
        self.recent.clear();
    }

    /// Puts the code in hand first among those used lately.
    pub(in crate::app) fn remember_code(&mut self) {
        let used = (self.level, self.current_code());
        self.recent.retain(|other| *other != used);
        self.recent.push_front(used);
        self.recent.truncate(Self::MAX_RECENT);
    }
}

impl Default for Paint {
    fn default() -> Self {
        Self {
            tool: Tool::Brush,
            level: Level::Structure,
            size: PerLevel {
                structure: 2,
                detail: 3,
            },
            scatter_percent: 0,
            shape: Shape::Round,
            detail_policy: DetailPolicy::Empty,
            code: PerLevel::default(),
            second_code: PerLevel::default(),
            recent: VecDeque::new(),
            seed: 0,
        }
    }
}
