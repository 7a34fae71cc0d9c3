//! What is made, from which pictures, and how.

use eframe::egui::{
    self, Color32, ComboBox, CornerRadius, DragValue, ProgressBar, Rect, Role, ScrollArea, Sense,
    Slider, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use crate::app::command::{Command, DatasetCommand, GenerateCommand};
use crate::app::state::{ChosenPicture, Feed, GenerateForm, Making, State};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, check_box, duration_text, glyph, heading, icon_button, icon_text_button, name_choice,
    primary_button, segmented, small, tooltip, waiting,
};

/// Side of a chip's small picture.
const CHIP: f32 = 26.0;
/// Side of a picture to choose.
const TILE: f32 = 58.0;

pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    let mut form = state.session.generate.form.clone();
    heading(ui, "What to make");
    makings(ui, state, &mut form);
    ui.add_space(theme::GAP_S);
    heading(ui, "Copy from");
    feeds(ui, state, &mut form, out);
    ui.add_space(theme::GAP_S);
    shape(ui, state, &mut form);
    ui.add_space(theme::GAP_S);
    heading(ui, "How");
    how(ui, &mut form);
    luck(ui, state, &mut form, out);
    if form != state.session.generate.form {
        out.push(GenerateCommand::SetForm(Box::new(form)));
    }
}

/// The one button of the page, or how far it has come.
pub fn make(ui: &mut Ui, state: &State, out: &mut Commands) {
    if let Some(job) = state.making_job() {
        ui.horizontal(|ui| {
            if icon_text_button(ui, Icon::CircleX, "Cancel").clicked() {
                out.push(GenerateCommand::Stop);
            }
            if job.total == 0 {
                waiting(ui);
                small(ui, "Making…");
                return;
            }
            let share = job.done as f32 / job.total as f32;
            let bar = ProgressBar::new(share).fill(tokens(ui).accent);
            ui.add(bar.desired_width(90.0).desired_height(8.0));
            if let Some(eta) = job.eta_secs {
                small(ui, format!("{} left", duration_text(eta)));
            }
        });
        return;
    }
    let why = state.why_no_making();
    let hint = tooltip(&Command::from(GenerateCommand::Make), state);
    ui.add_enabled_ui(why.is_none(), |ui| {
        let width = ui.available_width();
        ui.scope(|ui| {
            ui.spacing_mut().button_padding = vec2(width / 2.0 - 32.0, 8.0);
            if primary_button(ui, Icon::Sparkles, "Make")
                .on_hover_text(hint)
                .clicked()
            {
                out.push(GenerateCommand::Make);
            }
        });
    });
    if let Some(why) = why {
        small(ui, format!("Not yet: {why}."));
    }
}

const fn words(making: Making) -> (&'static str, &'static str, Icon) {
    match making {
        Making::Tile => (
            "Seamless tile",
            "A picture that repeats without a visible edge, for grounds, walls and fabrics",
            Icon::Grid2x2,
        ),
        Making::New => (
            "New picture",
            "A new picture put together from pieces of yours",
            Icon::ImagePlus,
        ),
        Making::Vary => (
            "Variations",
            "Pictures like the open one, with its things in other places",
            Icon::Shuffle,
        ),
        Making::Extend => (
            "Extend",
            "The open picture, going on beyond its sides",
            Icon::Expand,
        ),
    }
}

fn makings(ui: &mut Ui, state: &State, form: &mut GenerateForm) {
    let gap = 6.0;
    let size = vec2((ui.available_width() - gap) / 2.0, 76.0);
    let all: Vec<Making> = Making::all().collect();
    for pair in all.chunks(2) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for &making in pair {
                let (label, hint, icon) = words(making);
                let is_on = form.making == making;
                let tokens = tokens(ui);
                let corner = CornerRadius::same(theme::RADIUS_CARD);
                let (rect, response) = choice(ui, size, corner, label, is_on);
                let centre = pos2(rect.center().x, rect.top() + 30.0);
                match &state.session.canvas {
                    Some(canvas) => pictogram(ui, making, centre, &canvas.thumb.texture),
                    None => {
                        let text = glyph(icon);
                        let font = theme::icons(26.0);
                        let at = egui::Align2::CENTER_CENTER;
                        ui.painter().text(centre, at, text, font, tokens.text);
                    }
                }
                ui.painter().text(
                    pos2(rect.center().x, rect.bottom() - 12.0),
                    egui::Align2::CENTER_CENTER,
                    label,
                    theme::medium(theme::TEXT_SMALL),
                    tokens.text,
                );
                if response.on_hover_text(hint).clicked() {
                    form.making = making;
                }
            }
        });
    }
}

/// The room of one of several choices, of which one is on; what stands in it is drawn by the caller.
fn choice(
    ui: &mut Ui,
    size: Vec2,
    corner: CornerRadius,
    label: &str,
    is_on: bool,
) -> (Rect, egui::Response) {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, is_on, label));
    let tokens = tokens(ui);
    let fill = match (is_on, response.hovered() || response.has_focus()) {
        (true, _) => tokens.accent_soft,
        (false, true) => tokens.control_hover,
        (false, false) => tokens.control,
    };
    ui.painter().rect_filled(rect, corner, fill);
    if is_on {
        let line = Stroke::new(1.5, tokens.accent);
        (ui.painter()).rect_stroke(rect, corner, line, StrokeKind::Inside);
    }
    (rect, response)
}

/// What is made, drawn with the open picture.
fn pictogram(ui: &Ui, making: Making, centre: egui::Pos2, texture: &egui::TextureHandle) {
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let put = |rect: Rect, uv: Rect, alpha: u8| {
        egui::Image::from_texture(texture)
            .uv(uv)
            .tint(Color32::from_white_alpha(alpha))
            .paint_at(ui, rect);
    };
    let part = |x: f32, y: f32| Rect::from_min_size(pos2(x, y), Vec2::splat(0.5));
    let line = Stroke::new(1.0, tokens(ui).panel);
    match making {
        Making::Tile => {
            for (x, y) in [(-1.0, -1.0), (0.0, -1.0), (-1.0, 0.0), (0.0, 0.0)] {
                let side = 23.0;
                put(
                    Rect::from_min_size(centre + vec2(x, y) * side, Vec2::splat(side)),
                    whole,
                    255,
                );
            }
        }
        Making::New => {
            let side = 23.0;
            for (x, y, uv) in [
                (-1.0, -1.0, part(0.5, 0.5)),
                (0.0, -1.0, part(0.0, 0.3)),
                (-1.0, 0.0, part(0.3, 0.0)),
                (0.0, 0.0, part(0.0, 0.0)),
            ] {
                let at = centre + vec2(x, y) * side;
                put(Rect::from_min_size(at, Vec2::splat(side)), uv, 255);
            }
        }
        Making::Vary => {
            for (shift, uv) in [
                (-20.0, part(0.0, 0.2)),
                (20.0, part(0.5, 0.3)),
                (0.0, whole),
            ] {
                let rect = Rect::from_center_size(centre + vec2(shift, 0.0), Vec2::splat(38.0));
                put(rect, uv, 255);
                (ui.painter()).rect_stroke(rect, 0, line, StrokeKind::Outside);
            }
        }
        Making::Extend => {
            let rect = Rect::from_center_size(centre - vec2(12.0, 0.0), Vec2::splat(44.0));
            put(rect, whole, 255);
            let beside = Rect::from_min_size(rect.right_top(), vec2(24.0, 44.0));
            let mirrored = Rect::from_min_max(pos2(1.0, 0.0), pos2(0.5, 1.0));
            put(beside, mirrored, 110);
            let dashes = egui::Shape::dashed_line(
                &[
                    beside.left_top(),
                    beside.right_top(),
                    beside.right_bottom(),
                    beside.left_bottom(),
                ],
                Stroke::new(1.0, tokens(ui).text_weak),
                3.0,
                3.0,
            );
            ui.painter().extend(dashes);
        }
    }
}

fn feeds(ui: &mut Ui, state: &State, form: &mut GenerateForm, out: &mut Commands) {
    let overview = state.overview();
    let usable = overview.map_or(0, |overview| overview.counts.usable);
    let gallery = &state.session.gallery;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        let own = state
            .session
            .canvas
            .as_ref()
            .map(|canvas| &canvas.thumb.texture);
        if chip(ui, form.feed == Feed::Picture, "This picture", own)
            .on_hover_text("Copy from the picture on the canvas, as it is now")
            .clicked()
        {
            form.feed = Feed::Picture;
        }
        let first = (form.chosen.first())
            .and_then(|one| gallery.thumbnail(one.id))
            .and_then(|thumbnail| thumbnail.texture.as_ref());
        if chip(ui, form.feed == Feed::Chosen, "Chosen", first)
            .on_hover_text("Copy from pictures of the project that you choose")
            .clicked()
        {
            form.feed = Feed::Chosen;
        }
        let any = (0..4).find_map(|index| {
            let row = gallery.row(index)?;
            gallery.thumbnail(row.id)?.texture.as_ref()
        });
        let all = format!("Copy from all {usable} pictures of the project");
        if chip(ui, form.feed == Feed::Project, "All my pictures", any)
            .on_hover_text(all)
            .clicked()
        {
            form.feed = Feed::Project;
        }
        labels(ui, state, form);
    });
    if form.making.needs_picture() && form.feed != Feed::Picture {
        small(ui, "Besides the open picture itself.");
    }
    if form.feed == Feed::Chosen {
        choose(ui, state, form, out);
    } else if usable > 0 {
        // For the small pictures on the chips.
        out.push(DatasetCommand::ShowRows(0..4.min(usable)));
    }
}

fn labels(ui: &mut Ui, state: &State, form: &mut GenerateForm) {
    let counts = state.overview().map(|overview| &overview.counts);
    let Some(counts) = counts.filter(|counts| !counts.by_label.is_empty()) else {
        return;
    };
    let shown = match &form.feed {
        Feed::Label(label) => label.clone(),
        Feed::Picture | Feed::Chosen | Feed::Project => "A folder…".into(),
    };
    let response = ComboBox::from_id_salt("copy from label")
        .selected_text(shown)
        .width(92.0)
        .truncate()
        .show_ui(ui, |ui| {
            for (label, count) in &counts.by_label {
                let feed = Feed::Label(label.clone());
                let is_on = form.feed == feed;
                if ui
                    .selectable_label(is_on, format!("{label} ({count})"))
                    .clicked()
                {
                    form.feed = feed;
                }
            }
        })
        .response;
    name_choice(&response, "Copy from a folder");
    response.on_hover_text("Copy from the pictures of one folder of the project");
}

fn chip(
    ui: &mut Ui,
    is_on: bool,
    label: &str,
    texture: Option<&egui::TextureHandle>,
) -> egui::Response {
    let tokens = tokens(ui);
    let font = egui::FontId::proportional(theme::TEXT_BODY);
    let ink = if is_on { tokens.accent } else { tokens.text };
    let text = (ui.painter()).layout_no_wrap(label.to_owned(), font, ink);
    // The same room with and without a picture: nothing may move under the pointer.
    let picture = CHIP + 2.0;
    let size = vec2(picture + text.size().x + 16.0, CHIP + 4.0);
    let (rect, response) = choice(ui, size, CornerRadius::same(15), label, is_on);
    let round = Rect::from_min_size(rect.min + vec2(2.0, 2.0), Vec2::splat(CHIP));
    match texture {
        Some(texture) => egui::Image::from_texture(texture)
            .uv(square_of(texture))
            .corner_radius(CornerRadius::same(13))
            .paint_at(ui, round),
        None => {
            let (at, middle) = (round.center(), egui::Align2::CENTER_CENTER);
            (ui.painter()).text(at, middle, glyph(Icon::Images), theme::icons(15.0), ink);
        }
    }
    let at = pos2(
        rect.left() + picture + 6.0,
        rect.center().y - text.size().y / 2.0,
    );
    ui.painter().galley(at, text, ink);
    response
}

/// The middle of a picture, cut square.
pub fn square_of(texture: &egui::TextureHandle) -> Rect {
    let [w, h] = texture.size().map(|v| v as f32);
    let (x, y) = (
        (1.0 - (h / w).min(1.0)) / 2.0,
        (1.0 - (w / h).min(1.0)) / 2.0,
    );
    Rect::from_min_max(pos2(x, y), pos2(1.0 - x, 1.0 - y))
}

/// The project's pictures, to click on.
fn choose(ui: &mut Ui, state: &State, form: &mut GenerateForm, out: &mut Commands) {
    let gallery = &state.session.gallery;
    let total = gallery.total.unwrap_or(0);
    if total == 0 {
        small(
            ui,
            "The project has no pictures yet: import some on the Pictures page.",
        );
        return;
    }
    match form.chosen.len() {
        0 => small(ui, "Click the pictures to copy from."),
        count => small(ui, format!("{count} chosen; click for more or fewer.")),
    };
    let gap = 4.0;
    let columns = ((ui.available_width() - 8.0 + gap) / (TILE + gap))
        .floor()
        .max(1.0) as u64;
    let rows = total.div_ceil(columns) as usize;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing = vec2(gap, gap);
        ScrollArea::vertical()
            .id_salt("pictures to copy from")
            .max_height(TILE * 2.5)
            .auto_shrink([false, true])
            .show_rows(ui, TILE, rows, |ui, range| {
                let shown = range.start as u64 * columns..(range.end as u64 * columns).min(total);
                for row in range {
                    ui.horizontal(|ui| {
                        let start = row as u64 * columns;
                        for index in start..(start + columns).min(total) {
                            tile(ui, state, index, form);
                        }
                    });
                }
                out.push(DatasetCommand::ShowRows(shown));
            });
    });
}

fn tile(ui: &mut Ui, state: &State, index: u64, form: &mut GenerateForm) {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(TILE), Sense::click());
    let corner = CornerRadius::same(theme::RADIUS);
    ui.painter().rect_filled(rect, corner, tokens.control);
    let Some(row) = state.session.gallery.row(index) else {
        return;
    };
    let place = form.chosen.iter().position(|one| one.id == row.id);
    let is_on = place.is_some();
    let name = format!("Copy from {}", row.relative);
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, !row.missing, is_on, &name));
    let thumbnail = state.session.gallery.thumbnail(row.id);
    if let Some(texture) = thumbnail.and_then(|thumbnail| thumbnail.texture.as_ref()) {
        let alpha = if row.missing { 60 } else { 255 };
        egui::Image::from_texture(texture)
            .uv(square_of(texture))
            .corner_radius(corner)
            .tint(Color32::from_white_alpha(alpha))
            .paint_at(ui, rect);
    }
    if is_on || response.hovered() || response.has_focus() {
        let line = Stroke::new(2.0, tokens.accent);
        ui.painter()
            .rect_stroke(rect, corner, line, StrokeKind::Inside);
    }
    if is_on {
        let at = rect.right_top() + vec2(-10.0, 10.0);
        ui.painter().circle_filled(at, 8.0, tokens.accent);
        let text = glyph(Icon::Check);
        let middle = egui::Align2::CENTER_CENTER;
        (ui.painter()).text(at, middle, text, theme::icons(11.0), tokens.on_accent);
    }
    let response = response.on_hover_text(match row.missing {
        true => format!("{}: the file is no longer where it was", row.relative),
        false => row.relative.clone(),
    });
    if response.clicked() && !row.missing {
        match place {
            Some(place) => drop(form.chosen.remove(place)),
            None => form.chosen.push(ChosenPicture {
                id: row.id,
                path: row.path.clone(),
            }),
        }
    }
}

/// Its size, and what joins.
fn shape(ui: &mut Ui, state: &State, form: &mut GenerateForm) {
    match form.making {
        Making::Tile | Making::New => {
            heading(ui, "Size");
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0;
                for (name, side) in [("Width", &mut form.width), ("Height", &mut form.height)] {
                    let value = DragValue::new(side)
                        .range(GenerateForm::SIDES_PX)
                        .speed(16.0)
                        .suffix(" px");
                    let response = ui.add(value).on_hover_text(name);
                    response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, name));
                    // Whole cells meet at a border that joins.
                    *side = side.next_multiple_of(16).min(*GenerateForm::SIDES_PX.end());
                    if name == "Width" {
                        ui.label("×");
                    }
                }
            });
            let sides = [(256, "256²", ""), (512, "512²", ""), (1024, "1024²", "")];
            let now = if form.width == form.height {
                form.width
            } else {
                0
            };
            if let Some(side) = segmented(ui, now, &sides) {
                (form.width, form.height) = (side, side);
            }
            if form.making == Making::Tile {
                check_box(ui, &mut form.wrap.x, "Seamless left–right");
                check_box(ui, &mut form.wrap.y, "Seamless top–bottom");
            }
        }
        Making::Vary => {
            heading(ui, "How far");
            ui.horizontal(|ui| {
                small(ui, "near");
                ui.spacing_mut().slider_width = (ui.available_width() - 90.0).clamp(60.0, 150.0);
                let slider = Slider::new(&mut form.reach_percent, 0..=100).suffix(" %");
                let response = ui.add(slider);
                response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, "How far"));
                response.on_hover_text("How far things move from where they are in the picture");
                small(ui, "far");
            });
        }
        Making::Extend => {
            heading(ui, "Grow by");
            egui::Grid::new("grow by").num_columns(4).show(ui, |ui| {
                for (place, name) in [(0, "Top"), (1, "Right"), (2, "Bottom"), (3, "Left")] {
                    let label = ui.label(name);
                    let side = &mut form.by_px[place];
                    let value = DragValue::new(side)
                        .range(0..=1024)
                        .speed(16.0)
                        .suffix(" px");
                    ui.add(value).labelled_by(label.id);
                    *side = side.next_multiple_of(16);
                    if place % 2 == 1 {
                        ui.end_row();
                    }
                }
            });
            if let Some(canvas) = &state.session.canvas {
                let [top, right, bottom, left] = form.by_px;
                let whole = |side: u32| side / 16 * 16;
                let width = whole(canvas.document.width()) + left + right;
                let height = whole(canvas.document.height()) + top + bottom;
                small(ui, format!("Becomes {width} × {height} px"));
            }
        }
    }
}

fn how(ui: &mut Ui, form: &mut GenerateForm) {
    ui.horizontal(|ui| {
        ui.label("Freedom");
        ui.spacing_mut().slider_width = (ui.available_width() - 64.0).clamp(60.0, 150.0);
        let slider = Slider::new(&mut form.freedom_percent, 0..=100).suffix(" %");
        let response = ui.add(slider);
        response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, "Freedom"));
        response.on_hover_text("0: always the piece that fits best; 100: any that fits well");
    });
    ui.horizontal(|ui| {
        ui.label("Copied pieces up to");
        let text = |piece: Option<u32>| match piece {
            Some(px) => format!("{px} × {px} px"),
            None => "any size".into(),
        };
        let response = ComboBox::from_id_salt("largest piece")
            .selected_text(text(form.largest_piece_px))
            .width(110.0)
            .show_ui(ui, |ui| {
                let sizes = GenerateForm::PIECES_PX.map(Some);
                for piece in std::iter::once(None).chain(sizes) {
                    ui.selectable_value(&mut form.largest_piece_px, piece, text(piece));
                }
            })
            .response;
        name_choice(&response, "Largest copied piece");
        response.on_hover_text("Smaller pieces are harder to recognise, and more of a mixture");
    });
}

fn luck(ui: &mut Ui, state: &State, form: &mut GenerateForm, out: &mut Commands) {
    ui.horizontal(|ui| {
        ui.label("How many");
        let response = ui.add(DragValue::new(&mut form.count).range(1..=GenerateForm::MAX_COUNT));
        response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "How many"));
        ui.add_space(theme::GAP_S);
        ui.label("Seed");
        let value = DragValue::new(&mut form.seed).range(1..=GenerateForm::MAX_SEED);
        let response = ui.add(value);
        response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Seed"));
        response.on_hover_text("The same seed makes the same picture again");
        ui.spacing_mut().item_spacing.x = 2.0;
        let roll = Command::from(GenerateCommand::RollSeed);
        if icon_button(ui, Icon::Dices, "Roll the dice", false)
            .on_hover_text(tooltip(&roll, state))
            .clicked()
        {
            out.push(roll);
        }
        let (icon, hint) = match form.is_seed_kept {
            true => (
                Icon::Lock,
                "The seed stays; click to roll after each picture",
            ),
            false => (
                Icon::LockOpen,
                "Each picture gets a new seed; click to keep this one",
            ),
        };
        if icon_button(ui, icon, "Keep the seed", form.is_seed_kept)
            .on_hover_text(hint)
            .clicked()
        {
            form.is_seed_kept ^= true;
        }
    });
}
