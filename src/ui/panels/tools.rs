//! The tool rail beside the canvas and the strip with the tool's options above it.

use eframe::egui::{self, DragValue, Frame, Margin, Role, Slider, Ui, WidgetInfo, vec2};
use lucide_icons::Icon;

use super::brushes::paint_block;
use crate::app::command::{Command, HistoryCommand, SelectionCommand, ToolCommand, ViewCommand};
use crate::app::state::{Paint, State, TintKind, Tool, ToolOption};
use crate::document::tools::{GradientShape, Layout, Path, Symmetry};
use crate::document::{Combine, DetailPolicy, Level, Shape};
use crate::render::Compare;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, command_icon, icon_button, icon_text, name_choice, possible_icon, segmented,
    sized_icon_button, small, tooltip,
};

/// Draws the rail and the strip.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    rail(ui, state, out);
    strip(ui, state, out);
}

/// Two columns, as in Krita: fifteen tools and six views fit a small screen.
fn rail(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::left("tools")
        .exact_size(78.0)
        .resizable(false)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(5, 8)),
        )
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(3.0, 3.0);
            let tools =
                Tool::all().map(|tool| (ToolCommand::SetTool(tool), state.paint.tool == tool));
            pairs(ui, state, out, tools);
            ui.separator();
            let views = [
                (ViewCommand::ToggleGrid, state.look.has_grid),
                (ViewCommand::ToggleWhereUsed, state.look.is_where_used_on),
                (
                    ViewCommand::ToggleSplit,
                    matches!(state.look.compare, Compare::Split(_)),
                ),
                (
                    ViewCommand::ToggleDifference,
                    state.look.compare == Compare::Difference,
                ),
                (
                    ViewCommand::ToggleCodeTint,
                    state.tools.tint == Some(TintKind::Codes),
                ),
                (
                    ViewCommand::ToggleChangedCells,
                    state.tools.tint == Some(TintKind::Changed),
                ),
                (
                    ViewCommand::ToggleSources,
                    state.tools.tint == Some(TintKind::Sources),
                ),
            ];
            pairs(ui, state, out, views);
        });
}

/// Buttons in two columns, each with whether what it stands for is on.
fn pairs<C: Into<Command>>(
    ui: &mut Ui,
    state: &State,
    out: &mut Commands,
    buttons: impl IntoIterator<Item = (C, bool)>,
) {
    let buttons = buttons.into_iter();
    let buttons: Vec<(Command, bool)> = buttons
        .map(|(command, is_on)| (command.into(), is_on))
        .collect();
    for pair in buttons.chunks(2) {
        ui.horizontal(|ui| {
            for (command, is_on) in pair {
                let Some(spec) = command.spec() else { continue };
                let response = sized_icon_button(ui, spec.icon, spec.label, *is_on, 32.0)
                    .on_hover_text(format!("{}\n{}", spec.label, tooltip(command, state)));
                if response.clicked() {
                    out.push(command.clone());
                }
            }
        });
    }
}

fn strip(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::top("tool options")
        .exact_size(38.0)
        .resizable(false)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(10, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP_S;
                let levels = [
                    (
                        Level::Structure,
                        "Structure",
                        "Layout and colour: cells of 16 px (D)",
                    ),
                    (Level::Detail, "Detail", "Texture: cells of 4 px (D)"),
                ];
                if let Some(level) = segmented(ui, state.paint.level, &levels) {
                    out.push(ToolCommand::SetLevel(level));
                }
                options(ui, state, out);
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 2.0;
                    possible_icon(ui, state, out, ViewCommand::Fit, false);
                    possible_icon(ui, state, out, HistoryCommand::Redo, false);
                    possible_icon(ui, state, out, HistoryCommand::Undo, false);
                });
            });
        });
}

fn options(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tools = &state.tools;
    let tool = state.paint.tool;
    match tool {
        Tool::Brush => {
            size(ui, state, out);
            scatter(ui, state, out, "Cells that a dab leaves as they are");
            footprint(ui, state, out);
            path(ui, state, out);
            symmetry(ui, state, out);
            detail(ui, state, out);
        }
        Tool::Eraser => {
            size(ui, state, out);
            footprint(ui, state, out);
            path(ui, state, out);
            symmetry(ui, state, out);
            let targets = [
                (false, "Original", "Bring the original back, exactly"),
                (
                    true,
                    "Empty detail",
                    "Leave the structure, without its texture",
                ),
            ];
            if let Some(empties) = segmented(ui, tools.erases_to_empty, &targets) {
                out.push(ToolCommand::SetOption(ToolOption::ErasesToEmpty(empties)));
            }
        }
        Tool::Pattern => {
            block(ui, state, out);
            let layouts = [
                (Layout::Stamp, "Stamp", "The whole block at once"),
                (
                    Layout::Tile,
                    "Tile",
                    "The brush shows part of an endless tiling",
                ),
            ];
            if let Some(layout) = segmented(ui, tools.layout, &layouts) {
                out.push(ToolCommand::SetOption(ToolOption::Layout(layout)));
            }
            let hint = "Aligned: on a grid of whole blocks, so that strokes meet";
            if icon_button(ui, Icon::Grid2x2, "Aligned", tools.is_aligned)
                .on_hover_text(hint)
                .clicked()
            {
                out.push(ToolCommand::SetOption(ToolOption::Aligned(
                    !tools.is_aligned,
                )));
            }
            if tools.layout == Layout::Tile {
                size(ui, state, out);
            }
            scatter(ui, state, out, "Cells that are left as they are");
            path(ui, state, out);
            symmetry(ui, state, out);
        }
        Tool::Clone => {
            size(ui, state, out);
            scatter(ui, state, out, "Cells that are left as they are");
            footprint(ui, state, out);
            path(ui, state, out);
            symmetry(ui, state, out);
        }
        Tool::Smudge => {
            size(ui, state, out);
            let hint = "How far codes go towards what is dragged onto them";
            let strength = tools.smudge_percent;
            figure(
                ui,
                ("Strength", "Strength ", " %"),
                strength,
                5..=100,
                hint,
                |percent| {
                    out.push(ToolCommand::SetOption(ToolOption::SmudgePercent(percent)));
                },
            );
            footprint(ui, state, out);
            symmetry(ui, state, out);
            detail(ui, state, out);
        }
        Tool::Texture => texture(ui, state, out),
        Tool::Bucket => {
            takes(ui, state, out);
            detail(ui, state, out);
        }
        Tool::Gradient => {
            let shapes = [
                (GradientShape::Linear, "Linear", "Along the line drawn"),
                (
                    GradientShape::Radial,
                    "Radial",
                    "Around where the line begins",
                ),
            ];
            if let Some(shape) = segmented(ui, tools.gradient_shape, &shapes) {
                out.push(ToolCommand::SetOption(ToolOption::GradientShape(shape)));
            }
            scatter(ui, state, out, "How far neighbouring steps mingle");
            detail(ui, state, out);
        }
        Tool::SelectRectangle | Tool::SelectEllipse | Tool::Lasso | Tool::Wand => {
            combine(ui, state, out);
            if tool == Tool::Wand {
                takes(ui, state, out);
            }
            let changes = [
                SelectionCommand::Invert,
                SelectionCommand::Grow,
                SelectionCommand::Shrink,
                SelectionCommand::Nothing,
            ];
            // In a small window the menu has to do for them.
            let icons = (theme::CONTROL + theme::GAP_S) * (changes.len() as f32 + 1.0);
            if ui.available_width() > icons + super::fill::BESIDE {
                for command in changes {
                    possible_icon(ui, state, out, command, false);
                }
            }
            super::fill::show(ui, state, out);
        }
        Tool::Move => {
            small(
                ui,
                match state.paint.level {
                    Level::Structure => {
                        "By structure cells, with their texture. On the lowest layer the second code fills the gap"
                    }
                    Level::Detail => {
                        "By detail cells. On the lowest layer empty detail fills the gap"
                    }
                },
            );
        }
        Tool::Eyedropper => {
            small(ui, "Click to take a code; Shift and drag to take a block");
        }
        Tool::Pan => {}
    }
}

/// Where textures come from, and how they are drawn.
fn texture(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tools = &state.tools;
    size(ui, state, out);
    footprint(ui, state, out);
    let file = (tools.texture_from.as_ref()).and_then(|path| path.file_name());
    let other = file.map_or("Another…".into(), |name| name.to_string_lossy());
    let sources = [
        (false, "This picture", "Copy from the picture itself"),
        (true, &*other, "Copy from a picture file that you choose"),
    ];
    if let Some(is_other) = segmented(ui, tools.texture_from.is_some(), &sources) {
        out.push(match is_other {
            true => ToolCommand::ChooseTexture,
            false => ToolCommand::TextureFrom(None),
        });
    }
    let hint = "0: always what fits best; 100: something that fits well";
    figure(
        ui,
        ("Freedom", "Freedom ", " %"),
        tools.freedom_percent,
        0..=100,
        hint,
        |percent| out.push(ToolCommand::SetOption(ToolOption::FreedomPercent(percent))),
    );
    let hint = "Draw every stroke with one seed; off: each with its own";
    if icon_button(ui, Icon::Dices, "One seed", tools.texture_seed.is_some())
        .on_hover_text(hint)
        .clicked()
    {
        let seed = tools.texture_seed.is_none().then_some(1);
        out.push(ToolCommand::SetOption(ToolOption::TextureSeed(seed)));
    }
    if let Some(seed) = tools.texture_seed {
        figure(
            ui,
            ("Seed", "Seed ", ""),
            seed,
            0..=u32::MAX,
            "The same seed on the same picture gives the same texture",
            |seed| out.push(ToolCommand::SetOption(ToolOption::TextureSeed(Some(seed)))),
        );
    }
}

/// A figure to drag or type, with its name before it.
fn figure(
    ui: &mut Ui,
    (name, prefix, suffix): (&str, &str, &str),
    value: u32,
    range: std::ops::RangeInclusive<u32>,
    hint: &str,
    set: impl FnOnce(u32),
) {
    let mut value = value;
    let drag = DragValue::new(&mut value)
        .range(range)
        .prefix(prefix)
        .suffix(suffix)
        .speed(0.15);
    let response = ui.add(drag);
    response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, name));
    if response.on_hover_text(hint).changed() {
        set(value);
    }
}

fn size(ui: &mut Ui, state: &State, out: &mut Commands) {
    let mut size = state.paint.size.get(state.paint.level);
    small(ui, "Size");
    ui.spacing_mut().slider_width = 70.0;
    let slider = Slider::new(&mut size, 1..=Paint::MAX_SIZE).logarithmic(true);
    let hint = "In cells  ([ and ], Ctrl and the wheel)";
    if ui.add(slider).on_hover_text(hint).changed() {
        out.push(ToolCommand::SetBrushSize(size));
    }
}

fn scatter(ui: &mut Ui, state: &State, out: &mut Commands, hint: &str) {
    let scatter = state.paint.scatter_percent;
    figure(
        ui,
        ("Scatter", "Scatter ", " %"),
        scatter,
        0..=95,
        hint,
        |percent| {
            out.push(ToolCommand::SetScatter(percent));
        },
    );
}

fn footprint(ui: &mut Ui, state: &State, out: &mut Commands) {
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (shape, icon, name) in [
            (Shape::Round, Icon::Circle, "Round"),
            (Shape::Square, Icon::Square, "Square"),
        ] {
            if icon_button(ui, icon, name, state.paint.shape == shape)
                .on_hover_text(format!("{name} brush"))
                .clicked()
            {
                out.push(ToolCommand::SetShape(shape));
            }
        }
    });
}

fn path(ui: &mut Ui, state: &State, out: &mut Commands) {
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (path, icon, name, hint) in [
            (
                Path::Freehand,
                Icon::Spline,
                "Freehand",
                "Follow the pointer; Shift: a straight line",
            ),
            (
                Path::Line,
                Icon::Slash,
                "Line",
                "A straight line; Shift: in steps of 45°",
            ),
            (
                Path::Rectangle,
                Icon::VectorSquare,
                "Filled rectangle",
                "All cells between two corners; Shift: a square",
            ),
        ] {
            if icon_button(ui, icon, name, state.tools.path == path)
                .on_hover_text(format!("{name}\n{hint}"))
                .clicked()
            {
                out.push(ToolCommand::SetOption(ToolOption::Path(path)));
            }
        }
    });
}

fn symmetry(ui: &mut Ui, state: &State, out: &mut Commands) {
    let symmetry = state.tools.symmetry;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        command_icon(ui, state, out, ToolCommand::ToggleMirrorX, symmetry.x);
        command_icon(ui, state, out, ToolCommand::ToggleMirrorY, symmetry.y);
    });
    let hint = "Radial symmetry: how many times around the middle";
    let range = 1..=Symmetry::MAX_TURNS;
    figure(
        ui,
        ("Turns", "× ", ""),
        symmetry.turns,
        range,
        hint,
        |turns| {
            let symmetry = Symmetry { turns, ..symmetry };
            out.push(ToolCommand::SetOption(ToolOption::Symmetry(symmetry)));
        },
    );
}

/// What painting structure does to the detail under it.
fn detail(ui: &mut Ui, state: &State, out: &mut Commands) {
    if state.paint.level != Level::Structure {
        return;
    }
    let pull = match &state.session.companions {
        Some(table) => format!(
            "The texture that most often goes with the code, learned from {}",
            table.origin
        ),
        None => "The texture that most often goes with the code, in your pictures where they were \
                 counted, else in this picture"
            .into(),
    };
    let both = format!(
        "Both levels at once: detail code {} in hand goes under it",
        state.paint.code.detail
    );
    let choices = [
        (
            DetailPolicy::Empty,
            "Plain",
            "The code shows as it is: the texture under it is emptied",
        ),
        (
            DetailPolicy::Keep,
            "Keep texture",
            "New layout under the old texture",
        ),
        (DetailPolicy::Pull, "Pull texture", pull.as_str()),
        (
            DetailPolicy::Code(state.paint.code.detail),
            "Both levels",
            both.as_str(),
        ),
    ];
    let now = choices
        .iter()
        .find(|choice| choice.0 == state.paint.detail());
    let text = now.map_or("", |choice| choice.1);
    let response = egui::ComboBox::from_id_salt("texture under structure")
        .selected_text(text)
        .width(104.0)
        .show_ui(ui, |ui| {
            for (policy, label, hint) in choices {
                let is_on = policy == state.paint.detail();
                if ui
                    .selectable_label(is_on, label)
                    .on_hover_text(hint)
                    .clicked()
                {
                    out.push(ToolCommand::SetDetailPolicy(policy));
                }
            }
        })
        .response;
    name_choice(&response, "Texture under structure");
    response.on_hover_text("What painting structure does to the texture under it");
}

/// What counts as alike, for bucket and wand.
fn takes(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tools = &state.tools;
    let hint = "0: the same code. 100: codes as unlike as two taken at random";
    let tolerance = tools.tolerance_percent;
    figure(
        ui,
        ("Tolerance", "Tolerance ", " %"),
        tolerance,
        0..=100,
        hint,
        |percent| {
            out.push(ToolCommand::SetOption(ToolOption::TolerancePercent(
                percent,
            )));
        },
    );
    let reach = [
        (
            true,
            "Connected",
            "Cells that hang together with the one clicked",
        ),
        (false, "Everywhere", "All such cells of the picture"),
    ];
    if let Some(is_contiguous) = segmented(ui, tools.is_contiguous, &reach) {
        out.push(ToolCommand::SetOption(ToolOption::Contiguous(
            is_contiguous,
        )));
    }
}

fn combine(ui: &mut Ui, state: &State, out: &mut Commands) {
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (how, icon, name, keys) in [
            (Combine::Replace, Icon::Square, "New selection", ""),
            (Combine::Add, Icon::SquaresUnite, "Add", " (Shift)"),
            (
                Combine::Subtract,
                Icon::SquaresSubtract,
                "Subtract",
                " (Alt)",
            ),
            (
                Combine::Intersect,
                Icon::SquaresIntersect,
                "Intersect",
                " (Shift+Alt)",
            ),
        ] {
            if icon_button(ui, icon, name, state.tools.combine == how)
                .on_hover_text(format!("{name}{keys}"))
                .clicked()
            {
                out.push(ToolCommand::SetOption(ToolOption::Combine(how)));
            }
        }
    });
}

/// The block in hand, small, with what can be done to it.
fn block(ui: &mut Ui, state: &State, out: &mut Commands) {
    let (Some(block), Some(view)) = (state.tools.laid_block(), &state.session.palette) else {
        ui.label(icon_text(Icon::Stamp));
        small(ui, "Ctrl+Shift and drag: take a block");
        return;
    };
    let (rect, response) = ui.allocate_exact_size(vec2(30.0, 30.0), egui::Sense::hover());
    paint_block(ui, view, block, rect);
    response.on_hover_text(format!(
        "{} × {} {} codes",
        block.width, block.height, block.level
    ));
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        command_icon(ui, state, out, ToolCommand::TurnBlock, false);
        command_icon(ui, state, out, ToolCommand::MirrorBlock, false);
    });
}
