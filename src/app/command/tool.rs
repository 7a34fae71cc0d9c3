//! The tools of the canvas: which one is in hand, how it is set, and what the pointer does with it.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, plain, shift};
use crate::app::state::{State, StrokeStep, Tool, ToolOption};
use crate::document::{DetailPolicy, Level, Shape};
use strum::IntoEnumIterator as _;

/// What can be done with the tools.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum ToolCommand {
    ToggleLevel,
    BrushLarger,
    BrushSmaller,
    /// Exchanges the first and the second code.
    SwapCodes,
    ToggleMirrorX,
    ToggleMirrorY,
    TurnBlock,
    MirrorBlock,
    /// Takes a tool in hand.
    #[strum(disabled)]
    SetTool(Tool),
    #[strum(disabled)]
    SetLevel(Level),
    /// Sets the side of the brush, in cells of the level in hand.
    #[strum(disabled)]
    SetBrushSize(u32),
    /// Sets the share of cells that the brush leaves out, in percent.
    #[strum(disabled)]
    SetScatter(u32),
    #[strum(disabled)]
    SetShape(Shape),
    /// Sets what painting structure does to the detail under it.
    #[strum(disabled)]
    SetDetailPolicy(DetailPolicy),
    /// Takes a code in hand.
    #[strum(disabled)]
    SelectCode(Level, u16),
    /// Goes on with the gesture of the pointer.
    #[strum(disabled)]
    Stroke(StrokeStep),
    /// Changes a setting of a tool.
    #[strum(disabled)]
    SetOption(ToolOption),
}

impl CommandGroup for ToolCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::SetTool(tool) => spec_of_tool(*tool),
            Self::ToggleLevel => Spec::new(
                "canvas.level",
                "Switch level",
                "Structure: layout and colour, 16 px cells. Detail: texture, 4 px cells",
                Icon::Layers2,
            )
            .with_keys(plain(Key::D)),
            Self::BrushLarger => {
                Spec::new("brush.larger", "Larger brush", "One cell more", Icon::Plus)
                    .with_keys(plain(Key::CloseBracket))
            }
            Self::BrushSmaller => Spec::new(
                "brush.smaller",
                "Smaller brush",
                "One cell less",
                Icon::Minus,
            )
            .with_keys(plain(Key::OpenBracket)),
            Self::SwapCodes => Spec::new(
                "brush.swap",
                "Swap codes",
                "Exchange the first and the second code",
                Icon::ArrowLeftRight,
            )
            .with_keys(plain(Key::X)),
            Self::ToggleMirrorX => Spec::new(
                "symmetry.x",
                "Mirror left and right",
                "Every dab is made on the other side too",
                Icon::FlipHorizontal,
            ),
            Self::ToggleMirrorY => Spec::new(
                "symmetry.y",
                "Mirror above and below",
                "Every dab is made above and below",
                Icon::FlipVertical,
            ),
            Self::TurnBlock => Spec::new(
                "block.turn",
                "Turn the block",
                "A quarter turn of its cells' places",
                Icon::RotateCw,
            ),
            Self::MirrorBlock => Spec::new(
                "block.mirror",
                "Mirror the block",
                "Left and right of its cells' places",
                Icon::FlipHorizontal,
            ),
            Self::SetLevel(_)
            | Self::SetBrushSize(_)
            | Self::SetScatter(_)
            | Self::SetShape(_)
            | Self::SetDetailPolicy(_)
            | Self::SelectCode(..)
            | Self::Stroke(_)
            | Self::SetOption(_) => return None,
        })
    }

    fn place(&self) -> Place {
        match self {
            Self::SetTool(_)
            | Self::BrushLarger
            | Self::BrushSmaller
            | Self::ToggleMirrorX
            | Self::ToggleMirrorY
            | Self::TurnBlock
            | Self::MirrorBlock => Place::Canvas,
            Self::ToggleLevel
            | Self::SwapCodes
            | Self::SetLevel(_)
            | Self::SetBrushSize(_)
            | Self::SetScatter(_)
            | Self::SetShape(_)
            | Self::SetDetailPolicy(_)
            | Self::SelectCode(..)
            | Self::Stroke(_)
            | Self::SetOption(_) => Place::Everywhere,
        }
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::TurnBlock | Self::MirrorBlock => state.tools.block.is_some(),
            Self::ToggleLevel
            | Self::BrushLarger
            | Self::BrushSmaller
            | Self::SwapCodes
            | Self::ToggleMirrorX
            | Self::ToggleMirrorY
            | Self::SetTool(_)
            | Self::SetLevel(_)
            | Self::SetBrushSize(_)
            | Self::SetScatter(_)
            | Self::SetShape(_)
            | Self::SetDetailPolicy(_)
            | Self::SelectCode(..)
            | Self::Stroke(_)
            | Self::SetOption(_) => true,
        }
    }

    fn listed() -> Vec<Self> {
        Tool::all().map(Self::SetTool).chain(Self::iter()).collect()
    }
}

fn spec_of_tool(tool: Tool) -> Spec {
    match tool {
        Tool::Brush => Spec::new(
            "tool.brush",
            "Code brush",
            "Paint with the chosen code",
            Icon::Brush,
        )
        .with_keys(plain(Key::B)),
        Tool::Pattern => Spec::new(
            "tool.pattern",
            "Pattern brush",
            "Paint with a block of codes; pick one up with Shift and the eyedropper",
            Icon::Stamp,
        )
        .with_keys(plain(Key::P)),
        Tool::Clone => Spec::new(
            "tool.clone",
            "Clone",
            "Paint with what is elsewhere in the picture; Ctrl-click says where",
            Icon::CopyPlus,
        )
        .with_keys(plain(Key::K)),
        Tool::Smudge => Spec::new(
            "tool.smudge",
            "Smudge",
            "Drag codes into each other, through the codes that lie between them",
            Icon::Droplets,
        )
        .with_keys(plain(Key::R)),
        Tool::Eraser => Spec::new(
            "tool.eraser",
            "Eraser",
            "Bring the original pixels back, exactly; or empty the detail",
            Icon::Eraser,
        )
        .with_keys(plain(Key::E)),
        Tool::Bucket => Spec::new(
            "tool.bucket",
            "Bucket",
            "Fill cells that are alike with the chosen code",
            Icon::PaintBucket,
        )
        .with_keys(plain(Key::G))
        // Krita's key for filling.
        .or(plain(Key::F)),
        Tool::Gradient => Spec::new(
            "tool.gradient",
            "Gradient",
            "From the first code to the second, through those between them",
            Icon::Blend,
        )
        .with_keys(shift(Key::G)),
        Tool::Eyedropper => Spec::new(
            "tool.eyedropper",
            "Eyedropper",
            "Take the code under the cursor; Ctrl or Alt with the brush does the same",
            Icon::Pipette,
        )
        .with_keys(plain(Key::I)),
        Tool::SelectRectangle => Spec::new(
            "tool.select_rectangle",
            "Select a rectangle",
            "Tools then change only what is selected",
            Icon::SquareDashed,
        )
        .with_keys(plain(Key::M)),
        Tool::SelectEllipse => Spec::new(
            "tool.select_ellipse",
            "Select an ellipse",
            "Tools then change only what is selected",
            Icon::CircleDashed,
        )
        .with_keys(shift(Key::M)),
        Tool::Lasso => Spec::new(
            "tool.lasso",
            "Lasso",
            "Select by drawing around it",
            Icon::Lasso,
        )
        .with_keys(plain(Key::L)),
        Tool::Wand => Spec::new(
            "tool.wand",
            "Magic wand",
            "Select cells with the same code, or one like it",
            Icon::WandSparkles,
        )
        .with_keys(plain(Key::W)),
        Tool::Move => Spec::new(
            "tool.move",
            "Move",
            "Move what is selected; with Alt a copy",
            Icon::Move,
        )
        .with_keys(plain(Key::V)),
        Tool::Pan => Spec::new(
            "tool.pan",
            "Pan",
            "Move the view; so do Space and the middle button with any tool",
            Icon::Hand,
        )
        .with_keys(plain(Key::H)),
    }
}
