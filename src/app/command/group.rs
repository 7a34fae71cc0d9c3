//! What each group of commands says of its commands.

use super::place::Place;
use super::spec::Spec;
use crate::app::state::State;

/// A group of commands: an enum with one variant for each.
pub(super) trait CommandGroup: strum::IntoEnumIterator {
    /// What a command is called and how it is reached; `None` for one that carries more than a user could say in one word.
    fn spec(&self) -> Option<Spec>;

    /// On which pages a command works.
    fn place(&self) -> Place;

    /// Whether a command can do anything now, on a page where it works.
    fn is_possible(&self, state: &State) -> bool;

    /// The commands that can be given without more words. Each must have a spec; a variant that has none says so with
    /// `#[strum(disabled)]`.
    fn listed() -> Vec<Self> {
        Self::iter().collect()
    }
}
