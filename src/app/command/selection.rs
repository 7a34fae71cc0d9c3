//! The cells that the tools are restricted to.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, ctrl_shift, plain, shift};
use crate::app::state::State;

/// What can be done with the selection.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum SelectionCommand {
    All,
    /// Lets the selection go.
    Nothing,
    /// Brings the selection back that was let go last.
    Again,
    Invert,
    /// Grows by one cell of the level in hand on all sides.
    Grow,
    /// Shrinks by one cell of the level in hand on all sides.
    Shrink,
    /// Paints the code in hand over all that is selected; over the whole picture where nothing is.
    Fill,
    /// Makes what is selected anew from pictures.
    FillTexture,
    /// Brings the original back in all that is selected; in the whole picture where nothing is.
    Erase,
}

impl CommandGroup for SelectionCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::All => Spec::new(
                "select.all",
                "Select all",
                "Select the whole picture",
                Icon::BoxSelect,
            )
            .with_keys(ctrl(Key::A)),
            Self::Nothing => Spec::new(
                "select.none",
                "Select nothing",
                "Let the selection go: tools work everywhere again",
                Icon::SquareX,
            )
            .with_keys(ctrl_shift(Key::A))
            .or(ctrl(Key::D)),
            Self::Again => Spec::new(
                "select.again",
                "Select again",
                "The last selection once more",
                Icon::RotateCcw,
            )
            .with_keys(ctrl_shift(Key::D)),
            Self::Invert => Spec::new(
                "select.invert",
                "Invert selection",
                "Select what is not selected",
                Icon::FlipHorizontal2,
            )
            .with_keys(ctrl_shift(Key::I)),
            Self::Grow => Spec::new(
                "select.grow",
                "Grow selection",
                "By one cell on all sides",
                Icon::Expand,
            ),
            Self::Shrink => Spec::new(
                "select.shrink",
                "Shrink selection",
                "By one cell on all sides",
                Icon::Shrink,
            ),
            Self::Fill => Spec::new(
                "select.fill",
                "Fill selection",
                "With the code in hand; the whole picture where nothing is selected",
                Icon::PaintBucket,
            )
            .with_keys(shift(Key::Backspace)),
            Self::FillTexture => Spec::new(
                "select.fill_texture",
                "Fill with new texture",
                "Make what is selected anew, to go with what lies around it: grass over a person, wall over a window",
                Icon::WandSparkles,
            )
            .with_keys(ctrl_shift(Key::F)),
            Self::Erase => Spec::new(
                "select.erase",
                "Erase selection",
                "Bring the original back; the whole picture where nothing is selected",
                Icon::Eraser,
            )
            .with_keys(plain(Key::Delete)),
        })
    }

    fn place(&self) -> Place {
        Place::Canvas
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::All | Self::Fill | Self::FillTexture | Self::Erase => {
                state.session.canvas.is_some()
            }
            Self::Nothing | Self::Invert | Self::Grow | Self::Shrink => {
                (state.session.canvas.as_ref())
                    .is_some_and(|canvas| state.session.selection(canvas.id).is_some())
            }
            Self::Again => true,
        }
    }
}
