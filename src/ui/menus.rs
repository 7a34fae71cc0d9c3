//! The menus of the bar at the top.

use eframe::egui::{self, Button, Ui};

use super::widgets::{Commands, icon_text, named, small};
use crate::app::command::{
    Command, DatasetCommand, DocumentCommand, ExportCommand, FileCommand, HistoryCommand,
    LayerCommand, SelectionCommand, ToolCommand, ViewCommand, WindowCommand, keys_text,
};
use crate::app::state::{CheckpointChoice, Overlay, SAMPLES, State, Tool, name_of};

/// Pictures of the project that are listed, the newest first.
const MAX_LISTED: usize = 30;

/// All menus, from left to right.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    menu(ui, "File", |ui| file(ui, state, out));
    menu(ui, "Edit", |ui| edit(ui, state, out));
    menu(ui, "Picture", |ui| picture(ui, state, out));
    menu(ui, "Layer", |ui| layer(ui, state, out));
    menu(ui, "Select", |ui| {
        use SelectionCommand as S;
        let commands = [S::All, S::Nothing, S::Again, S::Invert, S::Grow, S::Shrink];
        items(ui, state, out, commands);
        ui.separator();
        items(ui, state, out, [S::FillTexture]);
    });
    menu(ui, "Tools", |ui| {
        use ToolCommand as T;
        items(ui, state, out, Tool::all().map(T::SetTool));
        ui.separator();
        let commands = [
            T::ToggleMirrorX,
            T::ToggleMirrorY,
            T::TurnBlock,
            T::MirrorBlock,
        ];
        items(ui, state, out, commands);
    });
    menu(ui, "View", |ui| view(ui, state, out));
    menu(ui, "Help", |ui| {
        let overlays = [
            Overlay::Commands,
            Overlay::Help,
            Overlay::Welcome,
            Overlay::About,
        ];
        items(ui, state, out, overlays.map(WindowCommand::Open));
    });
}

fn file(ui: &mut Ui, state: &State, out: &mut Commands) {
    use FileCommand as F;
    items(ui, state, out, [F::OpenPicture, F::OpenPath]);
    submenu(ui, "Open sample", |ui| {
        for (name, _) in SAMPLES {
            let label = name_of(std::path::Path::new(name)).replace('-', " ");
            if ui.button(label).clicked() {
                out.push(F::OpenSample(name));
                ui.close();
            }
        }
    });
    let documents = state.overview().map(|overview| &overview.documents);
    submenu(ui, "Pictures of this project", |ui| {
        if documents.is_none_or(|documents| documents.is_empty()) {
            small(ui, "None yet");
        }
        for row in documents.into_iter().flatten().rev().take(MAX_LISTED) {
            if ui.button(&row.name).clicked() {
                out.push(DocumentCommand::Open(row.id));
                ui.close();
            }
        }
    });
    ui.separator();
    items(ui, state, out, [F::NewProject, F::OpenProject]);
    submenu(ui, "Recent projects", |ui| {
        for path in &state.settings.recent_projects {
            let response = ui
                .button(name_of(path))
                .on_hover_text(path.display().to_string());
            if response.clicked() {
                out.push(F::OpenProjectAt(path.clone()));
                ui.close();
            }
        }
    });
    items(ui, state, out, [F::Save, F::SaveCopy]);
    ui.separator();
    let imports = [
        DatasetCommand::ImportFolder,
        DatasetCommand::ImportFiles,
        DatasetCommand::ImportSamples,
    ];
    items(ui, state, out, imports);
    ui.separator();
    items(ui, state, out, [ExportCommand::Export]);
    let window = [WindowCommand::Open(Overlay::Settings), WindowCommand::Quit];
    items(ui, state, out, window);
}

fn edit(ui: &mut Ui, state: &State, out: &mut Commands) {
    use HistoryCommand as H;
    use ToolCommand as T;
    items(ui, state, out, [H::Undo, H::Redo, H::TakeSnapshot]);
    use SelectionCommand as S;
    let selected = [S::Fill, S::FillTexture, S::Erase];
    items(ui, state, out, selected);
    let brush = [
        T::ToggleLevel,
        T::SwapCodes,
        T::BrushLarger,
        T::BrushSmaller,
    ];
    items(ui, state, out, brush);
    items(ui, state, out, [DocumentCommand::ReopenWithModel]);
}

fn picture(ui: &mut Ui, state: &State, out: &mut Commands) {
    use DocumentCommand as D;
    let sizes = [Overlay::NewCanvas, Overlay::CanvasSize];
    items(ui, state, out, sizes.map(WindowCommand::Open));
    ui.separator();
    let canvas = state.session.canvas.as_ref();
    let wrap = canvas.map(|canvas| canvas.document.wrap());
    let is_previewed = state.look.is_wrap_preview_on;
    for (command, is_on) in [
        (D::ToggleWrapX.into(), wrap.is_some_and(|wrap| wrap.x)),
        (D::ToggleWrapY.into(), wrap.is_some_and(|wrap| wrap.y)),
        (ViewCommand::ToggleWrapPreview.into(), is_previewed),
    ] {
        item(ui, state, out, command, is_on);
    }
    ui.separator();
    submenu(ui, "See through another model", |ui| {
        let checkpoints = state.overview().map(|overview| &overview.checkpoints);
        let usable = checkpoints.into_iter().flatten();
        let usable = usable.filter(|row| row.weights_bytes > 0);
        let mut has_any = false;
        for row in usable {
            has_any = true;
            let name = match row.name.as_str() {
                "" => format!("{} checkpoint, step {}", row.kind.as_str(), row.step),
                name => name.to_owned(),
            };
            if ui.button(name).clicked() {
                out.push(D::Reskin(CheckpointChoice::Id(row.id)));
                ui.close();
            }
        }
        if !has_any {
            small(ui, "Fine-tune first: each run leaves checkpoints");
        }
    });
    ui.separator();
    items(ui, state, out, [D::NextTab, D::PreviousTab, D::CloseThis]);
    items(ui, state, out, [ExportCommand::WriteTimelapse]);
}

fn layer(ui: &mut Ui, state: &State, out: &mut Commands) {
    use LayerCommand as L;
    let groups: [&[LayerCommand]; 4] = [
        &[L::Add, L::Duplicate, L::MergeDown, L::Delete],
        &[L::Raise, L::Lower, L::SelectAbove, L::SelectBelow],
        &[L::ToggleVisible, L::ToggleLock],
        &[L::EditMask, L::ToggleMask, L::ClearMask],
    ];
    for (index, group) in groups.into_iter().enumerate() {
        if index > 0 {
            ui.separator();
        }
        items(ui, state, out, group.iter().cloned());
    }
}

fn view(ui: &mut Ui, state: &State, out: &mut Commands) {
    use ViewCommand as V;
    use WindowCommand as W;
    let zooms = [
        V::Fit,
        V::ZoomTo(100),
        V::ZoomTo(200),
        V::ZoomIn,
        V::ZoomOut,
    ];
    items(ui, state, out, zooms);
    ui.separator();
    let looks = [
        V::ToggleGrid,
        V::ToggleSplit,
        V::ToggleDifference,
        V::ToggleWhereUsed,
        V::ToggleCodeTint,
        V::ToggleChangedCells,
        V::ToggleSources,
    ];
    items(ui, state, out, looks);
    ui.separator();
    let window = [
        W::ToggleDock,
        W::ToggleLayers,
        W::ToggleHistory,
        W::ToggleTheme,
        W::ScaleUp,
        W::ScaleDown,
        W::Open(Overlay::Notices),
    ];
    items(ui, state, out, window);
}

fn menu(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui)) {
    let button = Button::new(label).frame_when_inactive(false);
    egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        ui.set_min_width(230.0);
        add(ui);
    });
}

fn submenu(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui)) {
    ui.menu_button(label, |ui| {
        ui.set_min_width(180.0);
        egui::ScrollArea::vertical().max_height(420.0).show(ui, add);
    });
}

fn items<C: Into<Command>>(
    ui: &mut Ui,
    state: &State,
    out: &mut Commands,
    commands: impl IntoIterator<Item = C>,
) {
    for command in commands {
        item(ui, state, out, command.into(), false);
    }
}

/// A menu entry; `is_on` marks one that stands for something that is on.
fn item(ui: &mut Ui, state: &State, out: &mut Commands, command: Command, is_on: bool) {
    let Some(spec) = command.spec() else { return };
    let mut button = Button::new((icon_text(spec.icon), spec.label)).selected(is_on);
    if let Some(keys) = keys_text(&command, &state.settings) {
        button = button.shortcut_text(keys);
    }
    let response = ui.add_enabled(command.is_possible(state), button);
    let response = named(response, spec.label).on_hover_text(spec.tooltip);
    if response.clicked() {
        out.push(command);
        ui.close();
    }
}
