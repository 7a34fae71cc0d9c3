//! What happens to detail when structure is painted over it.

use serde::{Deserialize, Serialize};

/// What a structure stroke does to the detail cells under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailPolicy {
    /// Detail stays: the old texture on the new layout.
    Keep,
    /// Detail becomes empty, so that the structure code shows.
    #[default]
    Empty,
    /// Detail becomes what most often goes with the structure code: see [`Companions`](crate::document::Companions). Where that is not
    /// known, it becomes empty.
    Pull,
    /// Detail becomes this code: both levels are painted at once.
    Code(u16),
}

impl DetailPolicy {
    /// The detail code that it paints itself.
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Code(code) => Some(code),
            Self::Keep | Self::Empty | Self::Pull => None,
        }
    }
}
