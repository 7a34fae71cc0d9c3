//! The pictures that the model learns from: import, look through, leave out.

use eframe::egui::{
    self, Align, Align2, Color32, ComboBox, CornerRadius, Layout, Panel, ProgressBar, Rect,
    Response, Role, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use crate::app::command::{DatasetCommand, FileCommand};
use crate::app::state::{
    ImportJob, PictureCounts, PictureFilter, PictureRole, PictureRow, State, Thumbnail,
};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, card, command_button, empty_state, glyph, heading, icon_button, icon_text,
    icon_text_button, name_choice, named_field, primary_button, small, title, weak,
};

const TILE: f32 = 112.0;
/// Side of the mark that leaves a picture out, in points.
const EYE: f32 = 24.0;
const DETAILS: f32 = 300.0;

/// The page with the pictures to learn from.
#[derive(Default)]
pub struct DatasetPanel {
    text: String,
    is_report_open: bool,
}

impl DatasetPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        let counts = overview.map(|overview| &overview.counts);
        ui.horizontal(|ui| {
            title(ui, "Pictures");
            if let Some(counts) = counts.filter(|counts| counts.total > 0) {
                weak(ui, summary(counts));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if primary_button(ui, Icon::FolderPlus, "Import folder…").clicked() {
                    out.push(DatasetCommand::ImportFolder);
                }
                command_button(ui, state, out, DatasetCommand::ImportFiles);
            });
        });
        ui.add_space(theme::GAP_S);
        let Some(counts) = counts.filter(|counts| counts.total > 0) else {
            nothing_yet(ui, state, out);
            return;
        };
        // It stands there before anything is chosen: a grid that moved would put another picture under a double click.
        Panel::right("picture details")
            .exact_size(DETAILS)
            .resizable(false)
            .frame(egui::Frame::new().inner_margin(egui::Margin {
                left: 16,
                ..Default::default()
            }))
            .show(ui, |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    match &state.session.gallery.selected {
                        Some(row) => details(ui, state, row, out),
                        None => no_details(ui),
                    }
                });
            });
        self.filters(ui, state, counts, out);
        ui.add_space(theme::GAP_S);
        missing(ui, state, counts, out);
        self.report(ui, state);
        self.grid(ui, state, out);
    }

    fn filters(&mut self, ui: &mut Ui, state: &State, counts: &PictureCounts, out: &mut Commands) {
        let filter = &state.session.gallery.filter;
        let mut wanted = filter.clone();
        ui.horizontal_wrapped(|ui| {
            choose_kind(ui, counts, &mut wanted);
            choose_label(ui, counts, &mut wanted);
            let field = TextEdit::singleline(&mut self.text)
                .hint_text("Find by name or folder")
                .desired_width(200.0);
            if named_field(ui.add(field), "Find by name or folder").changed() {
                let text = self.text.trim();
                wanted.text = (!text.is_empty()).then(|| text.to_owned());
            }
            let shown = state.session.gallery.total.unwrap_or(0);
            if *filter != PictureFilter::default() {
                small(ui, format!("{shown} of {}", counts.total));
                if icon_button(ui, Icon::X, "Show all pictures", false)
                    .on_hover_text("Show all pictures")
                    .clicked()
                {
                    self.text.clear();
                    wanted = PictureFilter::default();
                }
            }
        });
        if wanted != *filter {
            out.push(DatasetCommand::Filter(wanted));
        }
    }

    /// What the last import left out, and why.
    fn report(&mut self, ui: &mut Ui, state: &State) {
        let Some(report) = &state.session.import_report else {
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
        let total = state.session.gallery.total.unwrap_or(0);
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
                out.push(DatasetCommand::ShowRows(shown));
            });
    }
}

fn summary(counts: &PictureCounts) -> String {
    let mut text = format!("{} in use", counts.usable);
    for (count, word) in [(counts.excluded, "left out"), (counts.missing, "missing")] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text
}

/// Which pictures: all, those of one flag, those left out.
fn choose_kind(ui: &mut Ui, counts: &PictureCounts, wanted: &mut PictureFilter) {
    let plain = |flag: &str| flag.replace('_', " ");
    let mut kinds = vec![
        (
            PictureFilter::default(),
            format!("All pictures ({})", counts.total),
        ),
        (
            PictureFilter::usable(),
            format!("Used for learning ({})", counts.usable),
        ),
    ];
    if counts.excluded > 0 {
        let excluded = PictureFilter {
            excluded: Some(true),
            ..PictureFilter::default()
        };
        kinds.push((excluded, format!("Left out ({})", counts.excluded)));
    }
    if counts.missing > 0 {
        let missing = PictureFilter {
            missing: Some(true),
            ..PictureFilter::default()
        };
        kinds.push((missing, format!("Missing ({})", counts.missing)));
    }
    for (flag, count) in &counts.by_flag {
        let flagged = PictureFilter {
            flag: Some(flag.clone()),
            ..PictureFilter::default()
        };
        kinds.push((flagged, format!("Flagged: {} ({count})", plain(flag))));
    }
    let is_same = |a: &PictureFilter, b: &PictureFilter| {
        (&a.flag, a.excluded, a.missing) == (&b.flag, b.excluded, b.missing)
    };
    let shown = (kinds.iter().find(|(kind, _)| is_same(kind, wanted)))
        .map_or("All pictures", |(_, name)| name.as_str());
    let response = ComboBox::from_id_salt("which pictures")
        .selected_text(shown)
        .width(170.0)
        .show_ui(ui, |ui| {
            for (kind, name) in &kinds {
                if ui.selectable_label(is_same(kind, wanted), name).clicked() {
                    *wanted = PictureFilter {
                        label: wanted.label.clone(),
                        text: wanted.text.clone(),
                        ..kind.clone()
                    };
                }
            }
        });
    name_choice(&response.response, "Which pictures");
}

/// Labels are the names of sub-folders.
fn choose_label(ui: &mut Ui, counts: &PictureCounts, wanted: &mut PictureFilter) {
    if counts.by_label.is_empty() {
        return;
    }
    let shown = wanted.label.clone().unwrap_or_else(|| "Any label".into());
    let response = ComboBox::from_id_salt("which label")
        .selected_text(shown)
        .width(120.0)
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut wanted.label, None, "Any label");
            for (label, count) in &counts.by_label {
                let name = format!("{label} ({count})");
                ui.selectable_value(&mut wanted.label, Some(label.clone()), name);
            }
        });
    name_choice(&response.response, "Which label");
}

/// Says so where files are gone, and offers to find them.
fn missing(ui: &mut Ui, state: &State, counts: &PictureCounts, out: &mut Commands) {
    if counts.missing == 0 {
        return;
    }
    card(&tokens(ui)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            ui.label(icon_text(Icon::TriangleAlert).color(tokens(ui).warning));
            let (count, verb) = match counts.missing {
                1 => ("1 picture".to_owned(), "is"),
                many => (format!("{many} pictures"), "are"),
            };
            ui.label(format!("{count} {verb} no longer at the old place."));
            small(
                ui,
                "Moved or renamed? Show where they are now: they are known by their content.",
            );
        });
        ui.horizontal(|ui| {
            ui.add_enabled_ui(!state.has_job::<ImportJob>(), |ui| {
                command_button(ui, state, out, DatasetCommand::FindMissing);
            });
            if ui.button("Show which").clicked() {
                out.push(DatasetCommand::Filter(PictureFilter {
                    missing: Some(true),
                    ..PictureFilter::default()
                }));
            }
        });
    });
    ui.add_space(theme::GAP_S);
}

fn nothing_yet(ui: &mut Ui, state: &State, out: &mut Commands) {
    let import = (state.session.jobs.values()).find(|job| job.is::<ImportJob>());
    if let Some(job) = import {
        let text = match job.total {
            0 => "Looking for pictures".to_owned(),
            total => format!("{} of {total} files", job.done),
        };
        empty_state(ui, Icon::Images, "Importing", &text, |ui| {
            let share = job.done as f32 / job.total.max(1) as f32;
            ui.add(
                ProgressBar::new(share)
                    .fill(tokens(ui).accent)
                    .desired_width(260.0)
                    .desired_height(8.0),
            );
        });
        return;
    }
    empty_state(
        ui,
        Icon::Images,
        "Give Tessera your pictures",
        "Drop a folder here, or choose one. 30 pictures are enough for a first try; they can be of any size and kind. \
         Your files are only read, never changed, and nothing leaves this computer.",
        |ui| {
            command_button(ui, state, out, DatasetCommand::ImportFolder);
            command_button(ui, state, out, DatasetCommand::ImportSamples);
        },
    );
}

fn no_details(ui: &mut Ui) {
    ui.add_space(120.0);
    for (icon, text) in [
        (
            Icon::MousePointerClick,
            "Click a picture to see what training makes of it.",
        ),
        (Icon::EyeOff, "Its eye leaves it out of the learning."),
        (Icon::Brush, "A double click paints on it."),
    ] {
        ui.horizontal_top(|ui| {
            ui.label(icon_text(icon).color(tokens(ui).text_weak));
            ui.add(egui::Label::new(egui::RichText::new(text).color(tokens(ui).text_weak)).wrap());
        });
        ui.add_space(theme::GAP_XS);
    }
}

/// One picture closer: what is known of it, what training does with it, what can be done.
fn details(ui: &mut Ui, state: &State, row: &PictureRow, out: &mut Commands) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::X, "Close the details", false).clicked() {
                out.push(DatasetCommand::Select(None));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let name = row.relative.rsplit(['/', '\\']).next();
                let text = egui::RichText::new(name.unwrap_or(&row.relative))
                    .font(theme::semibold(theme::TEXT_BODY));
                ui.add(egui::Label::new(text).truncate())
                    .on_hover_text(row.path.display().to_string());
            });
        });
    });
    let side = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(side, 150.0), Sense::hover());
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS), tokens(ui).raised);
    if let Some(texture) =
        (state.session.gallery.thumbnail(row.id)).and_then(|t| t.texture.as_ref())
    {
        let size = texture.size_vec2();
        let scale = (rect.size() / size).min_elem().min(1.25);
        egui::Image::from_texture(texture)
            .paint_at(ui, Rect::from_center_size(rect.center(), size * scale));
    }
    small(
        ui,
        format!("{} × {} px, {}", row.width, row.height, row.format),
    );
    if let Some(label) = &row.label {
        small(ui, format!("Label: {label}"));
    }
    for flag in &row.flags {
        ui.horizontal_wrapped(|ui| {
            ui.label(icon_text(Icon::TriangleAlert).color(tokens(ui).warning));
            weak(ui, &flag.reason);
        });
    }
    ui.add_space(theme::GAP_XS);
    ui.horizontal_wrapped(|ui| {
        let (icon, label) = if row.excluded {
            (Icon::Eye, "Use it for learning")
        } else {
            (Icon::EyeOff, "Leave it out")
        };
        if icon_text_button(ui, icon, label).clicked() {
            out.push(DatasetCommand::Exclude(vec![row.id], !row.excluded));
        }
        ui.add_enabled_ui(!row.missing, |ui| {
            if icon_text_button(ui, Icon::Brush, "Paint on it").clicked() {
                out.push(FileCommand::OpenFiles(vec![row.path.clone()]));
            }
        });
        if icon_text_button(ui, Icon::Trash2, "Remove")
            .on_hover_text("Take it out of the project; the file stays where it is")
            .clicked()
        {
            out.push(DatasetCommand::Remove(vec![row.id]));
        }
    });
    ui.add_space(theme::GAP_M);
    heading(ui, "What training sees");
    if row.missing {
        weak(
            ui,
            "The file is no longer where it was, so training goes on without it.",
        );
        return;
    }
    let crops = (state.session.gallery.crops.as_ref()).filter(|crops| crops.picture == row.id);
    let role = match crops.map(|crops| crops.role) {
        _ if row.excluded => "Nothing: it is left out. Otherwise it would be parts like these.",
        Some(PictureRole::HeldOut) => {
            "It is held out: quality is measured on it, and nothing is learned from it. Others give parts like these."
        }
        _ => {
            "Parts of 128 × 128 px from any place, in their own size, half of them mirrored. Colours stay as they are."
        }
    };
    small(ui, role);
    let columns = 4;
    let gap = 6.0;
    let cell = (ui.available_width() - gap * (columns - 1) as f32) / columns as f32;
    egui::Grid::new("crops")
        .spacing(vec2(gap, gap))
        .show(ui, |ui| {
            for index in 0..8 {
                let (rect, _) = ui.allocate_exact_size(vec2(cell, cell), Sense::hover());
                let corner = CornerRadius::same(4);
                ui.painter().rect_filled(rect, corner, tokens(ui).control);
                if let Some(texture) = crops.and_then(|crops| crops.textures.get(index)) {
                    egui::Image::from_texture(texture)
                        .corner_radius(corner)
                        .paint_at(ui, rect);
                }
                if index % columns == columns - 1 {
                    ui.end_row();
                }
            }
        });
    ui.add_space(theme::GAP_XS);
    ui.add_enabled_ui(crops.is_some(), |ui| {
        if icon_text_button(ui, Icon::Dices, "Other parts").clicked() {
            out.push(DatasetCommand::OtherCrops);
        }
    });
}

fn tile(ui: &mut Ui, state: &State, index: u64, side: f32, out: &mut Commands) {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let corner = CornerRadius::same(theme::RADIUS);
    ui.painter().rect_filled(rect, corner, tokens.raised);
    let Some(row) = state.session.gallery.row(index) else {
        return;
    };
    let is_selected =
        (state.session.gallery.selected.as_ref()).is_some_and(|shown| shown.id == row.id);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_selected, &row.relative));
    if let Some(thumbnail) = state.session.gallery.thumbnail(row.id) {
        let is_dim = row.excluded || row.missing;
        picture(ui, rect, thumbnail, if is_dim { 60 } else { 255 });
    }
    if row.missing {
        icon_at(ui, rect, Icon::FileQuestion);
    }
    if !row.flags.is_empty() {
        let at = rect.right_top() + vec2(-12.0, 12.0);
        ui.painter().circle_filled(at, 9.0, tokens.panel);
        ui.painter().text(
            at,
            Align2::CENTER_CENTER,
            glyph(Icon::TriangleAlert),
            theme::icons(11.0),
            tokens.warning,
        );
    }
    let eye = Rect::from_min_size(
        pos2(rect.left() + 4.0, rect.bottom() - EYE - 4.0),
        vec2(EYE, EYE),
    );
    let eye_response = ui.interact(eye, response.id.with("eye"), Sense::click());
    let eye_name = format!("Leave out {}", row.relative);
    eye_response
        .widget_info(|| WidgetInfo::selected(Role::CheckBox, true, row.excluded, &eye_name));
    let is_pointed = ui.rect_contains_pointer(rect);
    if row.excluded || is_pointed || eye_response.has_focus() {
        let is_on = eye_response.hovered() || eye_response.has_focus();
        let fill = if is_on {
            tokens.control_hover
        } else {
            tokens.panel
        };
        ui.painter().rect_filled(eye, corner, fill);
        let icon = if row.excluded {
            Icon::EyeOff
        } else {
            Icon::Eye
        };
        let ink = if row.excluded {
            tokens.warning
        } else {
            tokens.text
        };
        icon_in(ui, eye, icon, 14.0, ink);
    }
    if is_selected || is_pointed || response.has_focus() {
        let line = Stroke::new(2.0, tokens.accent);
        ui.painter()
            .rect_stroke(rect, corner, line, StrokeKind::Inside);
    }
    let eye_hint = if row.excluded {
        "Left out of the learning; click to use it"
    } else {
        "Leave it out of the learning"
    };
    if eye_response.on_hover_text(eye_hint).clicked() {
        out.push(DatasetCommand::Exclude(vec![row.id], !row.excluded));
        return;
    }
    let response = hints(response, row);
    if response.double_clicked() && !row.missing {
        out.push(FileCommand::OpenFiles(vec![row.path.clone()]));
    } else if response.clicked() {
        out.push(DatasetCommand::Select((!is_selected).then_some(row.id)));
    }
}

/// The middle of the picture, cut square.
fn picture(ui: &Ui, rect: Rect, thumbnail: &Thumbnail, alpha: u8) {
    let Some(texture) = &thumbnail.texture else {
        icon_at(ui, rect, Icon::ImageOff);
        return;
    };
    let [w, h] = texture.size().map(|v| v as f32);
    let (x, y) = (
        (1.0 - (h / w).min(1.0)) / 2.0,
        (1.0 - (w / h).min(1.0)) / 2.0,
    );
    egui::Image::from_texture(texture)
        .uv(Rect::from_min_max(pos2(x, y), pos2(1.0 - x, 1.0 - y)))
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .tint(Color32::from_white_alpha(alpha))
        .paint_at(ui, rect);
}

fn hints(response: Response, row: &PictureRow) -> Response {
    response.on_hover_ui(|ui| {
        ui.label(&row.relative);
        for flag in &row.flags {
            weak(ui, &flag.reason);
        }
        if row.missing {
            weak(ui, "The file is no longer where it was.");
        }
    })
}

fn icon_at(ui: &Ui, rect: Rect, icon: Icon) {
    icon_in(ui, rect, icon, 22.0, tokens(ui).text_weak);
}

fn icon_in(ui: &Ui, rect: Rect, icon: Icon, size: f32, colour: Color32) {
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        glyph(icon),
        theme::icons(size),
        colour,
    );
}
