//! The pictures that the model learns from: import, look through, leave out.

use eframe::egui::{
    self, Align2, Color32, ComboBox, CornerRadius, Rect, Response, Role, ScrollArea, Sense, Stroke,
    StrokeKind, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use crate::app::{Command, PictureCounts, PictureFilter, PictureRow, Purpose, State};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, card, command_button, empty_state, glyph, icon_text, primary_button, small, title,
    weak,
};

const TILE: f32 = 112.0;

#[derive(Default)]
pub struct DatasetPanel {
    text: String,
    is_report_open: bool,
}

impl DatasetPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let overview = state.project.as_ref().and_then(|p| p.overview.as_ref());
        let counts = overview.map(|overview| &overview.counts);
        ui.horizontal(|ui| {
            title(ui, "Pictures");
            if let Some(counts) = counts.filter(|counts| counts.total > 0) {
                weak(ui, summary(counts));
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if primary_button(ui, Icon::FolderPlus, "Import folder…").clicked() {
                    out.push(Command::ImportFolder);
                }
                command_button(ui, state, out, Command::ImportFiles);
            });
        });
        ui.add_space(theme::GAP_S);
        let Some(counts) = counts.filter(|counts| counts.total > 0) else {
            nothing_yet(ui, state, out);
            return;
        };
        self.filters(ui, state, counts, out);
        ui.add_space(theme::GAP_S);
        self.report(ui, state);
        self.grid(ui, state, out);
    }

    fn filters(&mut self, ui: &mut Ui, state: &State, counts: &PictureCounts, out: &mut Commands) {
        let filter = &state.gallery.filter;
        let mut wanted = filter.clone();
        ui.horizontal(|ui| {
            let shown = match (&filter.flag, filter.excluded) {
                (Some(flag), _) => format!("Flagged: {}", flag.replace('_', " ")),
                (None, Some(true)) => "Excluded".into(),
                (None, Some(false)) => "Used for learning".into(),
                (None, None) => "All pictures".into(),
            };
            let combo = ComboBox::from_id_salt("which pictures")
                .selected_text(shown)
                .width(190.0);
            combo.show_ui(ui, |ui| {
                let all = |flag: Option<&str>, excluded| PictureFilter {
                    flag: flag.map(str::to_owned),
                    excluded,
                    ..filter.clone()
                };
                let mut choice = |ui: &mut Ui, to: PictureFilter, label: String| {
                    let is_on = (to.flag == filter.flag) && (to.excluded == filter.excluded);
                    if ui.selectable_label(is_on, label).clicked() {
                        wanted = to;
                    }
                };
                choice(
                    ui,
                    all(None, None),
                    format!("All pictures ({})", counts.total),
                );
                choice(ui, all(None, Some(false)), "Used for learning".into());
                choice(
                    ui,
                    all(None, Some(true)),
                    format!("Excluded ({})", counts.excluded),
                );
                for (flag, count) in &counts.by_flag {
                    let label = format!("Flagged: {} ({count})", flag.replace('_', " "));
                    choice(ui, all(Some(flag), None), label);
                }
            });
            let field = TextEdit::singleline(&mut self.text)
                .hint_text("Find by name or folder")
                .desired_width(220.0);
            if ui.add(field).changed() {
                let text = self.text.trim();
                wanted.text = (!text.is_empty()).then(|| text.to_owned());
            }
            small(
                ui,
                "Click leaves a picture out of the learning; a double click paints on it.",
            );
        });
        if wanted != *filter {
            out.push(Command::FilterPictures(wanted));
        }
    }

    /// What the last import left out, and why.
    fn report(&mut self, ui: &mut Ui, state: &State) {
        let Some(report) = &state.import_report else {
            return;
        };
        if report.rejected.is_empty() {
            return;
        }
        card(&tokens(ui)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let warning = tokens(ui).warning;
                ui.label(icon_text(Icon::TriangleAlert).color(warning));
                ui.label(format!(
                    "{} of the files could not be used; {} pictures came in.",
                    report.rejected.len(),
                    report.imported
                ));
                let label = if self.is_report_open {
                    "Hide the list"
                } else {
                    "Which, and why"
                };
                if ui.button(label).clicked() {
                    self.is_report_open ^= true;
                }
            });
            if self.is_report_open {
                let row = ui.text_style_height(&eframe::egui::TextStyle::Body);
                ScrollArea::vertical()
                    .id_salt("import report")
                    .max_height(150.0)
                    .auto_shrink([false, true])
                    .show_rows(ui, row, report.rejected.len(), |ui, range| {
                        for notice in &report.rejected[range] {
                            let path = notice.path.as_deref().unwrap_or_default();
                            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
                            ui.add(
                                eframe::egui::Label::new(format!("{name}: {}", notice.why))
                                    .truncate(),
                            )
                            .on_hover_text(format!("{path}\n{}", notice.next));
                        }
                    });
            }
        });
        ui.add_space(theme::GAP_S);
    }

    fn grid(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let total = state.gallery.total.unwrap_or(0);
        if total == 0 {
            weak(ui, "No picture fits this filter.");
            return;
        }
        let gap = 6.0;
        let columns = ((ui.available_width() + gap) / (TILE + gap))
            .floor()
            .max(1.0) as u64;
        let side = (ui.available_width() - 10.0 + gap) / columns as f32 - gap;
        let rows = total.div_ceil(columns) as usize;
        ui.spacing_mut().item_spacing = vec2(gap, gap);
        ScrollArea::vertical()
            .auto_shrink(false)
            .show_rows(ui, side, rows, |ui, range| {
                let shown = range.start as u64 * columns..(range.end as u64 * columns).min(total);
                for row in range {
                    ui.horizontal(|ui| {
                        let start = row as u64 * columns;
                        for index in start..(start + columns).min(total) {
                            tile(ui, state, index, side, out);
                        }
                    });
                }
                out.push(Command::ShowRows(shown));
            });
    }
}

fn summary(counts: &PictureCounts) -> String {
    let mut text = format!("{} in use", counts.usable);
    for (count, word) in [(counts.excluded, "excluded"), (counts.missing, "missing")] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text
}

fn nothing_yet(ui: &mut Ui, state: &State, out: &mut Commands) {
    if state.has_job(Purpose::Import) {
        ui.centered_and_justified(|ui| ui.spinner());
        return;
    }
    empty_state(
        ui,
        Icon::Images,
        "Give Tessera your pictures",
        "Drop a folder here, or choose one. 30 pictures are enough for a first try; they can be of any size and kind. \
         Your files are only read, never changed, and nothing leaves this computer.",
        |ui| {
            command_button(ui, state, out, Command::ImportFolder);
            command_button(ui, state, out, Command::ImportSamples);
        },
    );
}

fn tile(ui: &mut Ui, state: &State, index: u64, side: f32, out: &mut Commands) {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let corner = CornerRadius::same(theme::RADIUS);
    ui.painter().rect_filled(rect, corner, tokens.raised);
    let Some(row) = state.gallery.row(index) else {
        return;
    };
    response
        .widget_info(|| WidgetInfo::selected(Role::CheckBox, true, !row.excluded, &row.relative));
    let tint = if row.excluded || row.missing {
        Color32::from_white_alpha(60)
    } else {
        Color32::WHITE
    };
    if let Some(thumbnail) = state.gallery.thumbnail(row.id) {
        match &thumbnail.texture {
            Some(texture) => {
                let [w, h] = texture.size().map(|v| v as f32);
                // The middle of the picture, cut square.
                let (x, y) = (
                    (1.0 - (h / w).min(1.0)) / 2.0,
                    (1.0 - (w / h).min(1.0)) / 2.0,
                );
                egui::Image::from_texture(texture)
                    .uv(Rect::from_min_max(pos2(x, y), pos2(1.0 - x, 1.0 - y)))
                    .corner_radius(corner)
                    .tint(tint)
                    .paint_at(ui, rect);
            }
            None => icon_at(ui, rect, Icon::ImageOff),
        }
    }
    if row.excluded {
        icon_at(ui, rect, Icon::EyeOff);
    }
    if !row.flags.is_empty() {
        let at = rect.right_top() + vec2(-6.0, 6.0);
        ui.painter()
            .circle_filled(at + vec2(-6.0, 6.0), 9.0, tokens.panel);
        ui.painter().text(
            at + vec2(-6.0, 6.0),
            Align2::CENTER_CENTER,
            glyph(Icon::TriangleAlert),
            theme::icons(11.0),
            tokens.warning,
        );
    }
    if response.hovered() || response.has_focus() {
        let line = Stroke::new(2.0, tokens.accent);
        ui.painter()
            .rect_stroke(rect, corner, line, StrokeKind::Inside);
    }
    let response = hints(response, row);
    if response.double_clicked() {
        out.push(Command::OpenFiles(vec![row.path.clone()]));
    } else if response.clicked() {
        out.push(Command::Exclude(vec![row.id], !row.excluded));
    }
}

fn hints(response: Response, row: &PictureRow) -> Response {
    response.on_hover_ui(|ui| {
        ui.label(&row.relative);
        small(
            ui,
            format!("{} × {} px, {}", row.width, row.height, row.format),
        );
        if let Some(label) = &row.label {
            small(ui, format!("Label: {label}"));
        }
        for flag in &row.flags {
            weak(ui, &flag.reason);
        }
        if row.missing {
            weak(
                ui,
                "The file is no longer where it was. Import its folder again.",
            );
        }
    })
}

fn icon_at(ui: &Ui, rect: Rect, icon: Icon) {
    let colour = tokens(ui).text_weak;
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        glyph(icon),
        theme::icons(22.0),
        colour,
    );
}
