//! The bar at the top (menus, pages) and the one at the bottom (device, jobs, the cell under the cursor).

use eframe::egui::{self, Align, Button, Frame, Layout, Margin, ProgressBar, RichText, Ui, vec2};

use super::panels::canvas::HoveredCell;
use super::theme::{self, tokens};
use super::widgets::{
    Commands, command_icon, duration_text, icon_text, named, small, tooltip, waiting,
};
use crate::app::{
    CheckpointChoice, Command, CountUsageJob, DocumentCommand, LayerCommand, Overlay, RewrapJob,
    SAMPLES, ShownJob, State, Tool, Workspace, name_of, text_for,
};
use crate::document::Document;

pub fn top(ui: &mut Ui, state: &State, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::top("top bar")
        .exact_size(42.0)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(10, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                menus(ui, state, out);
                ui.add_space(theme::GAP_M);
                for workspace in Workspace::ALL {
                    tab(ui, state, out, workspace);
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 2.0;
                    for command in [
                        Command::ToggleTheme,
                        Command::Open(Overlay::Settings),
                        Command::Open(Overlay::Notices),
                        Command::Open(Overlay::Commands),
                    ] {
                        command_icon(ui, state, out, command, false);
                    }
                    ui.add_space(theme::GAP_S);
                    if let Some(project) = &state.session.project {
                        ui.add(
                            egui::Label::new(
                                RichText::new(project.name())
                                    .small()
                                    .color(tokens.text_weak),
                            )
                            .truncate(),
                        )
                        .on_hover_text(project.path.display().to_string());
                    }
                });
            });
        });
}

fn tab(ui: &mut Ui, state: &State, out: &mut Commands, workspace: Workspace) {
    let command = Command::Show(workspace);
    let Some(spec) = command.spec() else { return };
    let tokens = tokens(ui);
    let is_on = state.workspace == workspace;
    let colour = if is_on { tokens.text } else { tokens.text_weak };
    let text = RichText::new(spec.label)
        .font(theme::medium(theme::TEXT_BODY))
        .color(colour);
    let button = Button::new((icon_text(spec.icon).color(colour), text))
        .frame_when_inactive(false)
        .min_size(vec2(0.0, 42.0))
        .corner_radius(0);
    let response = named(ui.add(button), spec.label).on_hover_text(tooltip(&command, state));
    if is_on {
        let mut line = response.rect;
        line.min.y = line.max.y - 2.0;
        ui.painter().rect_filled(line, 0.0, tokens.accent);
    }
    if response.clicked() {
        out.push(command);
    }
}

fn menus(ui: &mut Ui, state: &State, out: &mut Commands) {
    use Command as C;
    menu(ui, "File", |ui| {
        for command in [C::OpenPicture, C::OpenPath] {
            item(ui, state, out, command);
        }
        submenu(ui, "Open sample", |ui| {
            for (name, _) in SAMPLES {
                if ui
                    .button(name_of(std::path::Path::new(name)).replace('-', " "))
                    .clicked()
                {
                    out.push(C::OpenSample(name));
                    ui.close();
                }
            }
        });
        let documents = (state.session.project.as_ref())
            .and_then(|project| project.overview.as_ref())
            .map(|overview| overview.documents.as_slice())
            .unwrap_or_default();
        submenu(ui, "Pictures of this project", |ui| {
            if documents.is_empty() {
                small(ui, "None yet");
            }
            for row in documents.iter().rev().take(30) {
                if ui.button(&row.name).clicked() {
                    out.push(C::OpenDocument(row.id));
                    ui.close();
                }
            }
        });
        ui.separator();
        for command in [C::NewProject, C::OpenProject] {
            item(ui, state, out, command);
        }
        submenu(ui, "Recent projects", |ui| {
            for path in &state.settings.recent_projects {
                let response = ui
                    .button(name_of(path))
                    .on_hover_text(path.display().to_string());
                if response.clicked() {
                    out.push(C::OpenProjectAt(path.clone()));
                    ui.close();
                }
            }
        });
        for command in [C::Save, C::SaveCopy] {
            item(ui, state, out, command);
        }
        ui.separator();
        for command in [C::ImportFolder, C::ImportFiles, C::ImportSamples] {
            item(ui, state, out, command);
        }
        ui.separator();
        for command in [C::Export, C::Open(Overlay::Settings), C::Quit] {
            item(ui, state, out, command);
        }
    });
    menu(ui, "Edit", |ui| {
        for command in [
            C::Undo,
            C::Redo,
            C::TakeSnapshot,
            C::FillSelection,
            C::EraseSelection,
            C::ToggleLevel,
            C::SwapCodes,
            C::BrushLarger,
            C::BrushSmaller,
            C::ReopenWithModel,
        ] {
            item(ui, state, out, command);
        }
    });
    menu(ui, "Picture", |ui| picture_menu(ui, state, out));
    menu(ui, "Layer", |ui| {
        use LayerCommand as L;
        let groups: [&[LayerCommand]; 4] = [
            &[L::Add, L::Duplicate, L::MergeDown, L::Delete],
            &[L::Raise, L::Lower, L::SelectAbove, L::SelectBelow],
            &[L::ToggleVisible, L::ToggleLock],
            &[L::EditMask, L::ToggleMask, L::ClearMask],
        ];
        for (i, group) in groups.into_iter().enumerate() {
            if i > 0 {
                ui.separator();
            }
            for command in group {
                item(ui, state, out, C::Layer(command.clone()));
            }
        }
    });
    menu(ui, "Select", |ui| {
        for command in [
            C::SelectAll,
            C::SelectNone,
            C::Reselect,
            C::InvertSelection,
            C::GrowSelection,
            C::ShrinkSelection,
        ] {
            item(ui, state, out, command);
        }
    });
    menu(ui, "Tools", |ui| {
        for tool in Tool::ALL {
            item(ui, state, out, C::SetTool(tool));
        }
        ui.separator();
        for command in [
            C::ToggleMirrorX,
            C::ToggleMirrorY,
            C::TurnBlock,
            C::MirrorBlock,
        ] {
            item(ui, state, out, command);
        }
    });
    menu(ui, "View", |ui| {
        for command in [
            C::ZoomFit,
            C::ZoomTo(100),
            C::ZoomTo(200),
            C::ZoomIn,
            C::ZoomOut,
        ] {
            item(ui, state, out, command);
        }
        ui.separator();
        for command in [
            C::ToggleGrid,
            C::ToggleSplit,
            C::ToggleDifference,
            C::ToggleWhereUsed,
            C::ToggleCodeTint,
            C::ToggleChangedCells,
        ] {
            item(ui, state, out, command);
        }
        ui.separator();
        for command in [
            C::ToggleDock,
            C::ToggleLayers,
            C::ToggleHistory,
            C::ToggleTheme,
            C::ScaleUp,
            C::ScaleDown,
            C::Open(Overlay::Notices),
        ] {
            item(ui, state, out, command);
        }
    });
    menu(ui, "Help", |ui| {
        for command in [
            C::Open(Overlay::Commands),
            C::Open(Overlay::Help),
            C::Open(Overlay::Welcome),
            C::Open(Overlay::About),
        ] {
            item(ui, state, out, command);
        }
    });
}

fn picture_menu(ui: &mut Ui, state: &State, out: &mut Commands) {
    use Command as C;
    use DocumentCommand as D;
    for command in [C::Open(Overlay::NewCanvas), C::Open(Overlay::CanvasSize)] {
        item(ui, state, out, command);
    }
    ui.separator();
    let wrap = state
        .session
        .canvas
        .as_ref()
        .map(|canvas| canvas.document.wrap());
    for (command, is_on) in [
        (D::ToggleWrapX, wrap.is_some_and(|wrap| wrap.x)),
        (D::ToggleWrapY, wrap.is_some_and(|wrap| wrap.y)),
        (D::ToggleWrapPreview, state.look.is_wrap_preview_on),
    ] {
        checked_item(ui, state, out, C::Document(command), is_on);
    }
    ui.separator();
    submenu(ui, "See through another model", |ui| {
        let checkpoints = (state.session.project.as_ref())
            .and_then(|project| project.overview.as_ref())
            .map(|overview| overview.checkpoints.as_slice())
            .unwrap_or_default();
        let usable = checkpoints.iter().filter(|row| row.weights_bytes > 0);
        let mut has_any = false;
        for row in usable {
            has_any = true;
            let name = match row.name.as_str() {
                "" => format!("{} checkpoint, step {}", row.kind.as_str(), row.step),
                name => name.to_owned(),
            };
            if ui.button(name).clicked() {
                let choice = CheckpointChoice::Id(row.id);
                out.push(C::Document(D::Reskin(Some(choice))));
                ui.close();
            }
        }
        if !has_any {
            small(ui, "Fine-tune first: each run leaves checkpoints");
        }
    });
    ui.separator();
    for command in [D::NextTab, D::PreviousTab, D::CloseThis, D::WriteTimelapse] {
        item(ui, state, out, C::Document(command));
    }
}

/// A menu entry that is on or off.
fn checked_item(ui: &mut Ui, state: &State, out: &mut Commands, command: Command, is_on: bool) {
    let Some(spec) = command.spec() else { return };
    let mut button = Button::new((icon_text(spec.icon), spec.label)).selected(is_on);
    if let Some(keys) = text_for(&command, &state.settings) {
        button = button.shortcut_text(keys);
    }
    let response = ui.add_enabled(is_possible(state, &command), button);
    let response = named(response, spec.label).on_hover_text(spec.tooltip);
    if response.clicked() {
        out.push(command);
        ui.close();
    }
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

fn item(ui: &mut Ui, state: &State, out: &mut Commands, command: Command) {
    let Some(spec) = command.spec() else { return };
    let mut button = Button::new((icon_text(spec.icon), spec.label));
    if let Some(keys) = text_for(&command, &state.settings) {
        button = button.shortcut_text(keys);
    }
    let response = ui.add_enabled(is_possible(state, &command), button);
    let response = named(response, spec.label).on_hover_text(spec.tooltip);
    if response.clicked() {
        out.push(command);
        ui.close();
    }
}

/// Whether a command can do anything now.
pub fn is_possible(state: &State, command: &Command) -> bool {
    if !command.place().has(state.workspace) {
        return false;
    }
    let history = state.session.canvas.as_ref().map(|c| c.document.history());
    let gallery = &state.session.gallery;
    match command {
        Command::Undo if state.workspace == Workspace::Dataset => gallery.can_undo(),
        Command::Redo if state.workspace == Workspace::Dataset => gallery.can_redo(),
        Command::LeaveOut => gallery.selected.as_ref().is_some_and(|row| !row.excluded),
        Command::Undo => history.is_some_and(|history| history.can_undo()),
        Command::Redo => history.is_some_and(|history| history.can_redo()),
        Command::SelectNone
        | Command::GrowSelection
        | Command::ShrinkSelection
        | Command::InvertSelection => (state.session.canvas.as_ref())
            .is_some_and(|canvas| state.session.selection(canvas.id).is_some()),
        Command::TurnBlock | Command::MirrorBlock => state.tools.block.is_some(),
        Command::SelectAll | Command::FillSelection | Command::EraseSelection => {
            state.session.canvas.is_some()
        }
        Command::Export
        | Command::TakeSnapshot
        | Command::ReopenWithModel
        | Command::ToggleWhereUsed => state.session.canvas.is_some(),
        Command::Open(Overlay::CanvasSize) => state.session.canvas.is_some(),
        Command::Document(command) => is_document_possible(state, command),
        Command::Layer(command) => (state.session.canvas.as_ref())
            .is_some_and(|canvas| is_layer_possible(&canvas.document, command)),
        Command::CountUsage => state.session.canvas.is_some() && !state.has_job::<CountUsageJob>(),
        Command::StartTraining => state.why_no_training().is_none(),
        Command::PauseTraining | Command::CancelTraining => {
            state.session.training.is_running() && !state.session.training.is_stopping
        }
        Command::ResumeTraining => {
            !state.session.training.is_running()
                && (state.session.project.as_ref())
                    .and_then(|p| p.overview.as_ref())
                    .is_some_and(|overview| overview.resumable_run.is_some())
        }
        Command::CancelJob => !state.told_jobs().is_empty(),
        Command::FindPictures => (state.session.project.as_ref())
            .and_then(|project| project.overview.as_ref())
            .is_some_and(|overview| overview.counts.missing > 0),
        Command::SaveCopy => state.session.project.is_some(),
        _ => true,
    }
}

fn is_document_possible(state: &State, command: &DocumentCommand) -> bool {
    let Some(canvas) = &state.session.canvas else {
        return false;
    };
    match command {
        DocumentCommand::ToggleWrapX | DocumentCommand::ToggleWrapY => {
            !state.has_job::<RewrapJob>()
        }
        DocumentCommand::NextTab | DocumentCommand::PreviousTab => {
            state.session.tabs.order.len() > 1
        }
        DocumentCommand::ExportReskin | DocumentCommand::Reskin(None) => canvas.reskin.is_some(),
        DocumentCommand::WriteTimelapse => canvas.document.history().can_undo(),
        _ => true,
    }
}

fn is_layer_possible(document: &Document, command: &LayerCommand) -> bool {
    let layers = document.layers();
    let Some(place) = layers.position(document.active().layer) else {
        return false;
    };
    let (layer, last) = (&layers.layers()[place], layers.layers().len() - 1);
    match command {
        LayerCommand::Delete => last > 0 && !layer.look().is_locked,
        LayerCommand::MergeDown | LayerCommand::Lower | LayerCommand::SelectBelow => place > 0,
        LayerCommand::Raise | LayerCommand::SelectAbove => place < last,
        LayerCommand::ClearMask | LayerCommand::ToggleMask => layer.has_mask(),
        _ => true,
    }
}

pub fn status(ui: &mut Ui, state: &State, hovered: Option<HoveredCell>, out: &mut Commands) {
    let tokens = tokens(ui);
    egui::Panel::bottom("status bar")
        .exact_size(28.0)
        .frame(
            Frame::new()
                .fill(tokens.panel)
                .inner_margin(Margin::symmetric(12, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = theme::GAP_M;
                document_status(ui, state, hovered);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = theme::GAP_M;
                    device_status(ui, state, out);
                    let jobs = state.told_jobs();
                    if let Some((job, others)) = jobs.split_first() {
                        job_status(ui, state, job, others.len(), out);
                    }
                });
            });
        });
}

/// What is computed on, and the memory in use; a click shows the messages.
fn device_status(ui: &mut Ui, state: &State, out: &mut Commands) {
    if let Some(bytes) = state.memory_bytes {
        small(ui, format!("{} MB", bytes / 1_000_000)).on_hover_text("Memory that Tessera uses");
    }
    let (name, reason, falls_back) = match &state.device {
        Some(device) => (
            device.name.as_str(),
            device.reason.as_str(),
            device.falls_back,
        ),
        None => (
            state.settings.device.as_str(),
            "it is being looked for",
            false,
        ),
    };
    let tokens = tokens(ui);
    let (text, colour) = if falls_back {
        (format!("{name}: {reason}"), tokens.warning)
    } else {
        (name.to_owned(), tokens.text_weak)
    };
    let text = RichText::new(text).small().color(colour);
    let button = Button::new(text).frame_when_inactive(false).truncate();
    let response = ui.add(button).on_hover_text(format!(
        "Computes on {name}: {reason}. The window is drawn by {}. A click shows the messages.",
        state.renderer
    ));
    if response.clicked() {
        out.push(Command::Open(Overlay::Notices));
    }
}

fn document_status(ui: &mut Ui, state: &State, hovered: Option<HoveredCell>) {
    let Some(canvas) = &state.session.canvas else {
        small(ui, "No picture is open");
        return;
    };
    small(
        ui,
        format!(
            "{}  ·  {} × {} px",
            canvas.name,
            canvas.document.width(),
            canvas.document.height()
        ),
    );
    if let Some(cell) = hovered {
        let code = match cell.code {
            Some(code) => format!("{} {code}", cell.level),
            None => format!("{} empty", cell.level),
        };
        small(ui, format!("{code}  ·  cell {}, {}", cell.column, cell.row));
    }
    if state.workspace == Workspace::Paint {
        small(ui, state.paint.tool.hint());
    }
}

fn job_status(ui: &mut Ui, state: &State, job: &ShownJob<'_>, others: usize, out: &mut Commands) {
    if job.can_be_stopped {
        let command = Command::CancelJob;
        if command_icon(ui, state, out, command, false).hovered() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::PointingHand);
        }
    }
    let mut text = job.title.to_owned();
    if let Some(eta) = job.eta_secs {
        text.push_str(&format!(", {} left", duration_text(eta)));
    }
    if others > 0 {
        text.push_str(&format!("  (+{others})"));
    }
    if job.total > 0 {
        let share = job.done as f32 / job.total as f32;
        ui.add(
            ProgressBar::new(share)
                .fill(tokens(ui).accent)
                .desired_width(120.0)
                .desired_height(6.0)
                .corner_radius(3),
        )
        .on_hover_text(format!("{} of {}", job.done, job.total));
    } else {
        waiting(ui);
    }
    small(ui, text).on_hover_text(format!("Job {:?}", job.key.id.0));
}
