//! Mirrored and turned by quarters.

use serde::{Deserialize, Serialize};

/// How a block or a picture is laid out: mirrored first, then turned. The codes themselves stay as they are; only
/// their places change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Left and right exchanged.
    pub is_mirrored: bool,
    /// Quarter turns clockwise, 0 to 3.
    pub quarters: u8,
}

impl Turn {
    /// Whether everything stays as it is.
    pub const fn is_none(&self) -> bool {
        !self.is_mirrored && self.quarters.is_multiple_of(4)
    }

    /// Its number, 0 to 7: quarters, and 4 more where it mirrors.
    pub const fn number(self) -> u8 {
        self.quarters % 4 + if self.is_mirrored { 4 } else { 0 }
    }

    /// The turn with that number; `None` above 7.
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            0..=7 => Some(Self {
                is_mirrored: number >= 4,
                quarters: number % 4,
            }),
            _ => None,
        }
    }
}
