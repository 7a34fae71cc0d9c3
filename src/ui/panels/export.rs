//! Writing the picture to a file.

use eframe::egui::{TextEdit, Ui};
use lucide_icons::Icon;

use crate::app::command::ExportCommand;
use crate::app::state::{Existing, State, WRITERS};
use crate::foundation::typed;
use crate::ui::theme;
use crate::ui::widgets::{
    Commands, check_box, command_button, heading, named_field, primary_button, segmented, small,
    weak,
};

/// The panel for exporting.
#[derive(Default)]
pub struct ExportPanel {
    folder: String,
}

impl ExportPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let mut form = state.export.clone();
        heading(ui, "Export");
        let Some(canvas) = &state.session.canvas else {
            weak(ui, "Open a picture first.");
            return;
        };
        ui.add_space(theme::GAP_S);
        small(ui, "Format");
        let writers = WRITERS.each_ref();
        let writers = writers.map(|writer| (writer, writer.format.name, writer.hint));
        if let Some(writer) = segmented(ui, form.writer, &writers) {
            form.writer = writer;
        }
        ui.add_space(theme::GAP_S);
        small(ui, "File name");
        let field = TextEdit::singleline(&mut form.pattern).desired_width(f32::INFINITY);
        named_field(ui.add(field), "File name");
        small(ui, "{name}, {date}, {time} and {model} are filled in");
        ui.add_space(theme::GAP_S);
        small(ui, "Folder");
        if self.folder.is_empty() || !ui.ctx().text_edit_focused() {
            self.folder = form.folder.display().to_string();
        }
        let field = TextEdit::singleline(&mut self.folder).desired_width(f32::INFINITY);
        let response = named_field(ui.add(field), "Folder");
        if response.lost_focus() && self.folder != form.folder.display().to_string() {
            out.push(ExportCommand::SetFolder(typed::path(&self.folder)));
        }
        command_button(ui, state, out, ExportCommand::ChooseFolder);
        check_box(ui, &mut form.has_dated_folder, "A folder for each day");
        ui.add_enabled_ui(form.writer.restores, |ui| {
            check_box(
                ui,
                &mut form.has_restore_data,
                "Keep the edits inside the PNG",
            )
            .on_hover_text("Dropping the file on Tessera brings the document back");
        });
        let mut replaces = form.existing == Existing::Replace;
        check_box(ui, &mut replaces, "Replace a file of the same name")
            .on_hover_text("Off: the new one gets a number");
        form.existing = if replaces {
            Existing::Replace
        } else {
            Existing::Refuse
        };
        ui.add_space(theme::GAP_M);
        let path = form.file_path(&canvas.name, canvas.model_name());
        small(ui, format!("Goes to {}", path.display()));
        ui.add_space(theme::GAP_S);
        let is_busy = state.is_exporting();
        ui.add_enabled_ui(!is_busy, |ui| {
            if primary_button(ui, Icon::Download, "Export").clicked() {
                out.push(ExportCommand::Export);
            }
        });
        if let Some(path) = &state.session.last_export {
            ui.add_space(theme::GAP_M);
            weak(ui, format!("Written: {}", path.display()));
            command_button(ui, state, out, ExportCommand::RevealInFolder(path.clone()));
        }
        super::timelapse::show(ui, state, out);
        if form != state.export {
            out.push(ExportCommand::SetForm(form));
        }
    }
}
