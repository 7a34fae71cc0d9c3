//! In the strip of the selection tools: new texture for what is selected.

use eframe::egui::{self, Button, Ui};
use lucide_icons::Icon;

use crate::app::command::{Command, SelectionCommand, ToolCommand};
use crate::app::state::{FillFrom, State, ToolOption};
use crate::ui::widgets::{
    Commands, icon_text, icon_text_button, name_choice, named, small, tooltip,
};

/// What stands at the right end of the strip, in points.
pub const BESIDE: f32 = 100.0;
/// Of the list and the button.
const WRITTEN_OUT: f32 = 320.0;
const LABEL: &str = "Fill with new texture";

/// New texture for what is selected, and which pictures it comes from: written out, or in a menu where there is no room.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    let command = Command::from(SelectionCommand::FillTexture);
    let hint = tooltip(&command, state);
    if ui.available_width() < WRITTEN_OUT + BESIDE {
        let button = ui.menu_button(icon_text(Icon::WandSparkles), |ui| {
            let button = Button::new((icon_text(Icon::WandSparkles), LABEL));
            let response = ui.add_enabled(command.is_possible(state), button);
            if named(response, LABEL).on_hover_text(&hint).clicked() {
                out.push(command.clone());
                ui.close();
            }
            ui.separator();
            small(ui, "Copy from");
            sources(ui, state, out);
        });
        named(button.response, "New texture").on_hover_text(hint);
        return;
    }
    ui.separator();
    let response = egui::ComboBox::from_id_salt("fill from")
        .selected_text(name_of(state, state.tools.fill_from))
        .width(104.0)
        .truncate()
        .show_ui(ui, |ui| sources(ui, state, out))
        .response;
    name_choice(&response, "New texture from");
    response.on_hover_text("Which pictures the new texture is copied from");
    ui.add_enabled_ui(command.is_possible(state), |ui| {
        if icon_text_button(ui, Icon::WandSparkles, LABEL)
            .on_hover_text(hint)
            .clicked()
        {
            out.push(command);
        }
    });
}

fn name_of(state: &State, from: FillFrom) -> String {
    match from {
        FillFrom::Picture => "This picture".into(),
        FillFrom::Project => "My pictures".into(),
        FillFrom::File => {
            let path = state.tools.texture_from.as_ref();
            let file = path.and_then(|path| path.file_name());
            file.map_or("A picture file…".into(), |name| {
                name.to_string_lossy().into_owned()
            })
        }
    }
}

fn sources(ui: &mut Ui, state: &State, out: &mut Commands) {
    for (from, hint) in [
        (FillFrom::Picture, "Copy from the rest of this picture"),
        (
            FillFrom::Project,
            "Copy from all pictures of the project as well",
        ),
        (
            FillFrom::File,
            "Copy from a picture file that you choose as well",
        ),
    ] {
        let is_on = from == state.tools.fill_from;
        let label = ui.selectable_label(is_on, name_of(state, from));
        if label.on_hover_text(hint).clicked() {
            out.push(ToolCommand::SetOption(ToolOption::FillFrom(from)));
            if from == FillFrom::File {
                out.push(ToolCommand::ChooseTexture);
            }
        }
    }
}
