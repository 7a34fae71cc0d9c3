//! Every code of the model: look through them, find where they are used, give them names.

use eframe::egui::{Panel, TextEdit, Ui, vec2};
use lucide_icons::Icon;

use crate::app::{Command, State};
use crate::document::Level;
use crate::ui::panels::palette::{hue_key, paint_swatch, swatch, swatch_grid};
use crate::ui::theme;
use crate::ui::widgets::{
    Commands, command_button, empty_state, heading, icon_button, primary_button, segmented, small,
    title, weak,
};

#[derive(Default)]
pub struct CodebookPanel {
    name: String,
    named: Option<(Level, u16)>,
}

impl CodebookPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(view) = &state.palette else {
            empty_state(
                ui,
                Icon::LayoutGrid,
                "No codes yet",
                "Open a picture: the codes of its model appear here.",
                |ui| {
                    command_button(ui, state, out, Command::OpenPicture);
                },
            );
            return;
        };
        let level = state.paint.level;
        let code = state.paint.code.get(level);
        Panel::right("code details")
            .exact_size(300.0)
            .show(ui, |ui| self.details(ui, state, level, code, out));
        title(ui, "Codebook");
        ui.horizontal(|ui| {
            let levels = [
                (Level::Structure, "Structure", ""),
                (Level::Detail, "Detail", ""),
            ];
            if let Some(level) = segmented(ui, level, &levels) {
                out.push(Command::SetLevel(level));
            }
            weak(ui, format!("{} codes", view.palette.level(level).codes()));
        });
        ui.add_space(theme::GAP_S);
        let colours = &view.palette.level(level).colours;
        let mut codes: Vec<u16> = (0..colours.len() as u16).collect();
        codes.sort_by_cached_key(|&code| hue_key(colours[usize::from(code)]));
        swatch_grid(ui, view, level, &codes, code, |code| {
            out.push(Command::SelectCode(level, code));
        });
    }

    fn details(&mut self, ui: &mut Ui, state: &State, level: Level, code: u16, out: &mut Commands) {
        let Some(view) = &state.palette else { return };
        let marks = state.project.as_ref().map(|project| &project.marks);
        if self.named != Some((level, code)) {
            self.named = Some((level, code));
            self.name = marks
                .and_then(|marks| marks.name(level, code))
                .unwrap_or_default()
                .to_owned();
        }
        let (rect, _) = ui.allocate_exact_size(vec2(120.0, 120.0), eframe::egui::Sense::hover());
        paint_swatch(ui, view, level, code, rect);
        ui.add_space(theme::GAP_S);
        ui.horizontal(|ui| {
            heading(ui, &format!("{level} code {code}"));
            let is_favourite = marks.is_some_and(|marks| marks.is_favourite(level, code));
            if icon_button(ui, Icon::Star, "Favourite", is_favourite).clicked() {
                out.push(Command::ToggleFavourite(level, code));
            }
        });
        let field = TextEdit::singleline(&mut self.name).hint_text("Give it a name");
        if ui.add(field).lost_focus() {
            out.push(Command::NameCode(level, code, self.name.clone()));
        }
        ui.add_space(theme::GAP_S);
        if primary_button(ui, Icon::Brush, "Paint with it").clicked() {
            out.push(Command::Show(crate::app::Workspace::Paint));
        }
        ui.add_space(theme::GAP_M);
        heading(ui, "Most alike");
        ui.horizontal_wrapped(|ui| {
            for other in view.palette.level(level).nearest(code, 12) {
                if swatch(ui, view, level, other, 34.0, false).clicked() {
                    out.push(Command::SelectCode(level, other));
                }
            }
        });
        ui.add_space(theme::GAP_M);
        let counted = view.palette.counted_pictures;
        if counted > 0 {
            let count = view.palette.level(level).counts.get(usize::from(code));
            small(
                ui,
                format!(
                    "{} cells in {counted} of your pictures",
                    count.unwrap_or(&0)
                ),
            );
        }
        command_button(ui, state, out, Command::CountUsage);
    }
}
