//! How the picture on the canvas is looked at. Nothing here changes it.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, plain, shift};
use crate::app::state::State;
use crate::document::Rect;
use crate::render::{Compare, View};
use strum::IntoEnumIterator;

/// What can be changed about the view of the canvas.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum ViewCommand {
    Fit,
    ZoomIn,
    ZoomOut,
    ToggleGrid,
    ToggleSplit,
    ToggleDifference,
    /// Keeps bright only the cells that hold the code in hand, or all.
    ToggleWhereUsed,
    ToggleCodeTint,
    ToggleChangedCells,
    /// Shows which picture each cell was copied from.
    ToggleSources,
    /// Shows copies of the picture around it, or none.
    ToggleWrapPreview,
    /// Zooms to this many percent: screen pixels for each picture pixel.
    #[strum(disabled)]
    ZoomTo(u32),
    #[strum(disabled)]
    SetView(View),
    /// Tells which canvas pixels are on the screen, so that they are kept ready to paint on.
    #[strum(disabled)]
    LookAt(Rect),
    #[strum(disabled)]
    SetCompare(Compare),
}

impl CommandGroup for ViewCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Fit => Spec::new("view.fit", "Fit", "Show the whole picture", Icon::Maximize).with_keys(ctrl(Key::Num0)),
            Self::ZoomTo(100) => Spec::new("view.100", "100 %", "One picture pixel is one screen pixel", Icon::ZoomIn).with_keys(ctrl(Key::Num1)),
            Self::ZoomTo(200) => Spec::new("view.200", "200 %", "Zoom to 200 %", Icon::ZoomIn).with_keys(ctrl(Key::Num2)),
            Self::ZoomTo(400) => Spec::new("view.400", "400 %", "Zoom to 400 %", Icon::ZoomIn).with_keys(ctrl(Key::Num3)),
            Self::ZoomTo(800) => Spec::new("view.800", "800 %", "Zoom to 800 %", Icon::ZoomIn).with_keys(ctrl(Key::Num4)),
            Self::ZoomIn => Spec::new("view.zoom_in", "Zoom in", "Closer; so does the wheel", Icon::ZoomIn).with_keys(plain(Key::Plus)).or(plain(Key::Equals)),
            Self::ZoomOut => Spec::new("view.zoom_out", "Zoom out", "Farther; so does the wheel", Icon::ZoomOut).with_keys(plain(Key::Minus)),
            Self::ToggleGrid => Spec::new("view.grid", "Cell grid", "Show the cells of the current level", Icon::Grid3x3).with_keys(ctrl(Key::Quote)),
            Self::ToggleSplit => Spec::new("view.split", "Split before and after", "Original on the left, edited on the right; drag the line. Hold C to see the original alone", Icon::Columns2).with_keys(plain(Key::S)),
            Self::ToggleDifference => Spec::new("view.difference", "Difference", "Show only what has changed", Icon::Contrast),
            Self::ToggleWhereUsed => Spec::new("canvas.where_used", "Where is it used", "Dim all cells but those with the chosen code", Icon::ScanSearch).with_keys(plain(Key::U)),
            Self::ToggleCodeTint => Spec::new("view.code_tint", "Code colours", "A colour of its own over the cells of each code", Icon::Palette),
            Self::ToggleChangedCells => Spec::new("view.changed", "Changed cells", "Mark the cells that differ from the original", Icon::FileDiff),
            Self::ToggleSources => Spec::new("view.sources", "Where from", "A colour over what was copied, by the picture that it comes from", Icon::MapPinned),
            Self::ToggleWrapPreview => Spec::new("view.wrap_preview", "Tile preview", "Show the picture with its copies around it, live", Icon::Grid2x2).with_keys(shift(Key::W)),
            Self::SetView(_) | Self::LookAt(_) | Self::SetCompare(_) | Self::ZoomTo(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::Fit
            | Self::ZoomTo(_)
            | Self::ZoomIn
            | Self::ZoomOut
            | Self::ToggleGrid
            | Self::ToggleSplit
            | Self::ToggleDifference
            | Self::ToggleCodeTint
            | Self::ToggleChangedCells
            | Self::ToggleSources
            | Self::ToggleWrapPreview => Place::Canvas,
            Self::ToggleWhereUsed | Self::SetView(_) | Self::LookAt(_) | Self::SetCompare(_) => {
                Place::Everywhere
            }
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::ToggleWhereUsed | Self::ToggleWrapPreview => state.session.canvas.is_some(),
            Self::Fit
            | Self::ZoomIn
            | Self::ZoomOut
            | Self::ToggleGrid
            | Self::ToggleSplit
            | Self::ToggleDifference
            | Self::ToggleCodeTint
            | Self::ToggleChangedCells
            | Self::ToggleSources
            | Self::ZoomTo(_)
            | Self::SetView(_)
            | Self::LookAt(_)
            | Self::SetCompare(_) => true,
        }
    }

    fn listed() -> Vec<Self> {
        let zooms = [100, 200, 400, 800].map(Self::ZoomTo);
        Self::iter().chain(zooms).collect()
    }
}
