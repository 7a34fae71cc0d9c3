//! The codes of the codebook: what they are called, how often they are used, and one in place of another.

use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::Spec;
use crate::app::state::State;
use crate::document::Level;
use crate::engine::CountUsageJob;

/// What can be done with codes.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum CodeCommand {
    /// Counts how often the project's pictures use each code.
    CountUsage,
    #[strum(disabled)]
    Name(Level, u16, String),
    /// Gives a code tags: words with commas between them.
    #[strum(disabled)]
    Tag(Level, u16, String),
    #[strum(disabled)]
    ToggleFavourite(Level, u16),
    /// Mutes a code, or offers it again. A muted code is not offered any more.
    #[strum(disabled)]
    ToggleMuted(Level, u16),
    /// Replaces one code by another in what is selected; in the whole open picture where nothing is.
    #[strum(disabled)]
    Replace { level: Level, from: u16, to: u16 },
    /// Replaces one code by another in all pictures of the project, those that are not open included.
    #[strum(disabled)]
    ReplaceInProject { level: Level, from: u16, to: u16 },
}

impl CommandGroup for CodeCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::CountUsage => Spec::new(
                "codebook.count",
                "Count use in my pictures",
                "Encode the project's pictures and count their codes",
                Icon::ChartBarBig,
            ),
            Self::Name(..)
            | Self::Tag(..)
            | Self::ToggleFavourite(..)
            | Self::ToggleMuted(..)
            | Self::Replace { .. }
            | Self::ReplaceInProject { .. } => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Everywhere
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::CountUsage => state.session.canvas.is_some() && !state.has_job::<CountUsageJob>(),
            Self::Name(..)
            | Self::Tag(..)
            | Self::ToggleFavourite(..)
            | Self::ToggleMuted(..)
            | Self::Replace { .. }
            | Self::ReplaceInProject { .. } => true,
        }
    }
}
