//! New pictures from existing ones.

use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::Spec;
use crate::app::state::{GenerateForm, State};
use crate::project::DocumentId;

/// What can be done on the page that makes pictures.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum GenerateCommand {
    /// Makes what the form says.
    Make,
    /// Takes another seed.
    RollSeed,
    ToggleTiled,
    /// Opens the result that is shown on the canvas.
    PaintOn,
    MakeAnother,
    /// Opens the result that is shown on the Export page.
    Export,
    /// Stops what is being made.
    #[strum(disabled)]
    Stop,
    /// Changes how pictures are made.
    #[strum(disabled)]
    SetForm(Box<GenerateForm>),
    /// Shows a result large.
    #[strum(disabled)]
    Select(Option<DocumentId>),
    /// Takes a result out of the project.
    #[strum(disabled)]
    Delete(DocumentId),
    /// Tells which results are on the screen: those that are not known yet are looked at.
    #[strum(disabled)]
    ShowResults(Vec<DocumentId>),
}

impl CommandGroup for GenerateCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Make => Spec::new(
                "generate.make",
                "Make",
                "Make new pictures as chosen here; each is kept in the project",
                Icon::Sparkles,
            ),
            Self::RollSeed => Spec::new(
                "generate.seed",
                "Roll the dice",
                "Another number, another picture; the same number makes the same picture again",
                Icon::Dices,
            ),
            Self::ToggleTiled => Spec::new(
                "generate.tiled",
                "Show 3 × 3",
                "Show the tile beside itself, as it repeats",
                Icon::Grid3x3,
            ),
            Self::PaintOn => Spec::new(
                "generate.paint",
                "Paint on it",
                "Open this picture on the canvas",
                Icon::Brush,
            ),
            Self::MakeAnother => Spec::new(
                "generate.another",
                "Make again with another seed",
                "From the same pictures, in the same way, with other luck",
                Icon::Dices,
            ),
            Self::Export => Spec::new(
                "generate.export",
                "Export…",
                "Open this picture on the Export page, to write it to a file",
                Icon::Download,
            ),
            Self::Stop
            | Self::SetForm(_)
            | Self::Select(_)
            | Self::Delete(_)
            | Self::ShowResults(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::Make
            | Self::RollSeed
            | Self::ToggleTiled
            | Self::PaintOn
            | Self::MakeAnother
            | Self::Export
            | Self::Stop
            | Self::SetForm(_)
            | Self::Select(_)
            | Self::Delete(_)
            | Self::ShowResults(_) => Place::Generate,
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::Make => !state.is_making() && state.why_no_making().is_none(),
            Self::PaintOn | Self::Export | Self::ToggleTiled => {
                state.session.generate.selected.is_some()
            }
            Self::MakeAnother => !state.is_making() && state.session.generate.selected.is_some(),
            Self::Stop => state.is_making(),
            Self::RollSeed
            | Self::SetForm(_)
            | Self::Select(_)
            | Self::Delete(_)
            | Self::ShowResults(_) => true,
        }
    }
}
