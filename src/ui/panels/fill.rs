//! In the strip of the selection tools: new texture for what is selected.

use eframe::egui::{self, Ui};
use lucide_icons::Icon;

use crate::app::command::{Command, SelectionCommand, ToolCommand};
use crate::app::state::{FillFrom, State, ToolOption};
use crate::ui::widgets::{Commands, icon_text_button, name_choice, tooltip};

/// New texture for what is selected, and which pictures it comes from.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    ui.separator();
    let tools = &state.tools;
    let file = (tools.texture_from.as_ref()).and_then(|path| path.file_name());
    let other = file.map_or("A picture file…".into(), |name| name.to_string_lossy());
    let sources = [
        (
            FillFrom::Picture,
            "This picture",
            "Copy from the rest of this picture",
        ),
        (
            FillFrom::Project,
            "My pictures",
            "Copy from all pictures of the project as well",
        ),
        (
            FillFrom::File,
            &*other,
            "Copy from a picture file that you choose as well",
        ),
    ];
    let now = sources.iter().find(|source| source.0 == tools.fill_from);
    let response = egui::ComboBox::from_id_salt("fill from")
        .selected_text(now.map_or("", |source| source.1))
        .width(104.0)
        .truncate()
        .show_ui(ui, |ui| {
            for (from, label, hint) in sources {
                let is_on = from == tools.fill_from;
                if (ui.selectable_label(is_on, label).on_hover_text(hint)).clicked() {
                    out.push(ToolCommand::SetOption(ToolOption::FillFrom(from)));
                    if from == FillFrom::File {
                        out.push(ToolCommand::ChooseTexture);
                    }
                }
            }
        })
        .response;
    name_choice(&response, "New texture from");
    response.on_hover_text("Which pictures the new texture is copied from");
    let command = Command::from(SelectionCommand::FillTexture);
    let hint = tooltip(&command, state);
    ui.add_enabled_ui(command.is_possible(state), |ui| {
        if icon_text_button(ui, Icon::WandSparkles, "Fill with new texture")
            .on_hover_text(hint)
            .clicked()
        {
            out.push(command);
        }
    });
}
