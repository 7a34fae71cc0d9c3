//! Words, icons and keys of the tools' commands: tools, selection, symmetry, blocks, named brushes, overlays.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::command::Command;
use super::spec::{Spec, ctrl, ctrl_shift, plain, shift};
use super::tools::{Tool, words};

pub(super) fn spec(command: &Command) -> Option<Spec> {
    use Command as C;
    let spec =
        |id, label, tooltip, icon, shortcut| Some(Spec::new(id, label, tooltip, icon, shortcut));
    match command {
        C::SetTool(tool) => {
            let (id, label, tooltip, icon) = words(*tool);
            let key = match tool {
                Tool::Brush => plain(Key::B),
                Tool::Pattern => plain(Key::P),
                Tool::Clone => plain(Key::K),
                Tool::Smudge => plain(Key::R),
                Tool::Texture => plain(Key::T),
                Tool::Eraser => plain(Key::E),
                Tool::Bucket => plain(Key::G),
                Tool::Gradient => shift(Key::G),
                Tool::Eyedropper => plain(Key::I),
                Tool::SelectRectangle => plain(Key::M),
                Tool::SelectEllipse => shift(Key::M),
                Tool::Lasso => plain(Key::L),
                Tool::Wand => plain(Key::W),
                Tool::Move => plain(Key::V),
                Tool::Pan => plain(Key::H),
            };
            // Krita's key for filling.
            let alternative = (*tool == Tool::Bucket).then(|| plain(Key::F)).flatten();
            spec(id, label, tooltip, icon, key).map(|spec| Spec {
                alternative,
                ..spec
            })
        }
        C::SelectAll => spec(
            "select.all",
            "Select all",
            "Select the whole picture",
            Icon::BoxSelect,
            ctrl(Key::A),
        ),
        C::SelectNone => spec(
            "select.none",
            "Select nothing",
            "Let the selection go: tools work everywhere again",
            Icon::SquareX,
            ctrl_shift(Key::A),
        )
        .map(|spec| Spec {
            alternative: ctrl(Key::D),
            ..spec
        }),
        C::Reselect => spec(
            "select.again",
            "Select again",
            "The last selection once more",
            Icon::RotateCcw,
            ctrl_shift(Key::D),
        ),
        C::InvertSelection => spec(
            "select.invert",
            "Invert selection",
            "Select what is not selected",
            Icon::FlipHorizontal2,
            ctrl_shift(Key::I),
        ),
        C::GrowSelection => spec(
            "select.grow",
            "Grow selection",
            "By one cell on all sides",
            Icon::Expand,
            None,
        ),
        C::ShrinkSelection => spec(
            "select.shrink",
            "Shrink selection",
            "By one cell on all sides",
            Icon::Shrink,
            None,
        ),
        C::FillSelection => spec(
            "select.fill",
            "Fill selection",
            "With the code in hand; the whole picture where nothing is selected",
            Icon::PaintBucket,
            shift(Key::Backspace),
        ),
        C::EraseSelection => spec(
            "select.erase",
            "Erase selection",
            "Bring the original back; the whole picture where nothing is selected",
            Icon::Eraser,
            plain(Key::Delete),
        ),
        C::ToggleMirrorX => spec(
            "symmetry.x",
            "Mirror left and right",
            "Every dab is made on the other side too",
            Icon::FlipHorizontal,
            None,
        ),
        C::ToggleMirrorY => spec(
            "symmetry.y",
            "Mirror above and below",
            "Every dab is made above and below",
            Icon::FlipVertical,
            None,
        ),
        C::TurnBlock => spec(
            "block.turn",
            "Turn the block",
            "A quarter turn of its cells' places",
            Icon::RotateCw,
            None,
        ),
        C::MirrorBlock => spec(
            "block.mirror",
            "Mirror the block",
            "Left and right of its cells' places",
            Icon::FlipHorizontal,
            None,
        ),
        C::ChooseTexture => spec(
            "texture.choose",
            "Take texture from a file…",
            "The texture brush copies from a picture that you choose",
            Icon::ImagePlus,
            None,
        ),
        C::SaveBrush => spec(
            "brushes.save",
            "Save as a brush",
            "Keep the code or block in hand with the brush's settings in the project",
            Icon::BookmarkPlus,
            None,
        ),
        C::ExportBrushes => spec(
            "brushes.export",
            "Export brushes…",
            "Write the project's brushes to a small file, to share them",
            Icon::Upload,
            None,
        ),
        C::ImportBrushes => spec(
            "brushes.import",
            "Import brushes…",
            "Add the brushes of a file",
            Icon::Download,
            None,
        ),
        C::MapBrushes => spec(
            "brushes.map",
            "Use the nearest codes",
            "Each code is replaced by the one here that is most like it",
            Icon::Check,
            None,
        ),
        C::ToggleCodeTint => spec(
            "view.code_tint",
            "Code colours",
            "A colour of its own over the cells of each code",
            Icon::Palette,
            None,
        ),
        C::ToggleChangedCells => spec(
            "view.changed",
            "Changed cells",
            "Mark the cells that differ from the original",
            Icon::FileDiff,
            None,
        ),
        _ => None,
    }
}
