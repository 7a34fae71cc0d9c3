//! Every code of the model: look through them, find where they are used, give them names, exchange them.

use eframe::egui::{
    self, Color32, CornerRadius, Panel, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui,
    vec2,
};
use lucide_icons::Icon;

use crate::app::command::{CodeCommand, FileCommand, ToolCommand, ViewCommand, WindowCommand};
use crate::app::state::{CodeMarks, CountUsageJob, PaletteView, State, Tool, Workspace};
use crate::document::Level;
use crate::ui::panels::palette::{
    Order, Sorted, counts_here, mute_mark, paint_swatch, swatch, swatch_grid,
};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, command_button, empty_state, heading, icon_button, icon_text_button, named_field,
    primary_button, segmented, small, title, weak,
};

/// Side of a code on the map, in points.
const MAP_SWATCH: f32 = 16.0;
const MAX_MAP_SWATCH: f32 = 40.0;

/// A choice among the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Only {
    #[default]
    All,
    Favourites,
    Muted,
}

/// The page with the codebook.
#[derive(Default)]
pub struct CodebookPanel {
    order: Order,
    sorted: Sorted,
    is_map: bool,
    search: String,
    only: Only,
    name: String,
    tags: String,
    /// The code whose name and tags stand in `name` and `tags`.
    named: Option<(Level, u16)>,
    /// The code that is to be replaced by the next one chosen.
    replaced: Option<(Level, u16)>,
}

impl CodebookPanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(view) = &state.session.palette else {
            empty_state(
                ui,
                Icon::LayoutGrid,
                "No codes yet",
                "Open a picture: the codes of its model appear here.",
                |ui| {
                    command_button(ui, state, out, FileCommand::OpenPicture);
                },
            );
            return;
        };
        let level = state.paint.level;
        let code = state.paint.code.get(level);
        Panel::right("code details")
            .exact_size(312.0)
            .resizable(false)
            .frame(egui::Frame::new().inner_margin(egui::Margin {
                left: 16,
                ..Default::default()
            }))
            .show(ui, |ui| {
                ScrollArea::vertical()
                    .auto_shrink(false)
                    .show(ui, |ui| self.details(ui, state, view, code, out));
            });
        ui.horizontal(|ui| {
            title(ui, "Codebook");
            let model = state
                .session
                .canvas
                .as_ref()
                .map_or("", |canvas| canvas.model_name());
            weak(
                ui,
                format!("{} codes, {model}", view.palette.level(level).codes()),
            );
        });
        ui.add_space(theme::GAP_XS);
        self.choices(ui, state, out);
        ui.add_space(theme::GAP_S);
        if self.is_map {
            map(ui, state, view, code, out);
            return;
        }
        let codes = self.found(state, view);
        if codes.is_empty() {
            weak(ui, self.nothing_found());
            return;
        }
        swatch_grid(ui, state, view, &codes, code, |code| {
            out.push(ToolCommand::SelectCode(level, code));
        });
    }

    fn choices(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        ui.horizontal_wrapped(|ui| {
            let levels = [
                (Level::Structure, "Structure", "Layout and colour: one code per 16 × 16 px"),
                (Level::Detail, "Detail", "Texture: one code per 4 × 4 px"),
            ];
            if let Some(level) = segmented(ui, state.paint.level, &levels) {
                out.push(ToolCommand::SetLevel(level));
            }
            let orders = [
                (None, "Map", "Alike codes near each other, in two directions"),
                (Some(Order::Hue), "Colour", "By colour"),
                (Some(Order::Like), "Alike", "Alike codes beside each other"),
                (Some(Order::Used), "In use", "Most used in the open picture first"),
                (
                    Some(Order::UsedInPictures),
                    "In my pictures",
                    "Most used in the project's pictures first; count them with the button on the right",
                ),
                (Some(Order::Number), "Number", "By number"),
            ];
            let now = (!self.is_map).then_some(self.order);
            match segmented(ui, now, &orders) {
                Some(None) => self.is_map = true,
                Some(Some(order)) => {
                    self.is_map = false;
                    self.order = order;
                }
                None => {}
            }
            let field = TextEdit::singleline(&mut self.search)
                .hint_text("Name, tag or number")
                .desired_width(160.0);
            if named_field(ui.add(field), "Find a code").changed() {
                self.is_map = false;
            }
            for (icon, label, only) in [
                (Icon::Star, "Favourites only", Only::Favourites),
                (Icon::EyeOff, "Muted only", Only::Muted),
            ] {
                let is_on = self.only == only;
                if icon_button(ui, icon, label, is_on).on_hover_text(label).clicked() {
                    self.only = if is_on { Only::All } else { only };
                    self.is_map = false;
                }
            }
        });
        self.tag_row(ui, state);
    }

    fn nothing_found(&self) -> &'static str {
        match self.only {
            _ if !self.search.trim().is_empty() => "No code fits this search.",
            Only::Favourites => "No favourites yet: the star beside a code makes it one.",
            Only::Muted => "No code is muted: the crossed eye beside a code mutes it.",
            Only::All => "This level has no codes.",
        }
    }

    /// Every tag as a button that searches for it.
    fn tag_row(&mut self, ui: &mut Ui, state: &State) {
        let tags = state.marks().map(|marks| marks.all_tags(state.paint.level));
        let Some(tags) = tags.filter(|tags| !tags.is_empty()) else {
            return;
        };
        ui.horizontal_wrapped(|ui| {
            small(ui, "Tags");
            for (tag, count) in tags {
                let is_on = self.search == tag;
                let chip = ui.selectable_label(is_on, format!("{tag} ({count})"));
                if chip.clicked() {
                    self.search = if is_on { String::new() } else { tag.to_owned() };
                    self.is_map = false;
                }
            }
        });
    }

    /// The codes in order that fit the search.
    fn found(&mut self, state: &State, view: &PaletteView) -> Vec<u16> {
        let level = state.paint.level;
        let search = self.search.trim().to_lowercase();
        let only = self.only;
        let none = CodeMarks::default();
        let marks = state.marks().unwrap_or(&none);
        let fits = |code: &u16| {
            let is_wanted = match only {
                Only::All => true,
                Only::Favourites => marks.is_favourite(level, *code),
                Only::Muted => marks.is_muted(level, *code),
            };
            is_wanted && marks.is_found(level, *code, &search)
        };
        let codes = self.sorted.codes(self.order, state, view);
        codes.iter().copied().filter(fits).collect()
    }

    fn details(
        &mut self,
        ui: &mut Ui,
        state: &State,
        view: &PaletteView,
        code: u16,
        out: &mut Commands,
    ) {
        let level = state.paint.level;
        let marks = state.marks();
        if self.named != Some((level, code)) {
            self.named = Some((level, code));
            self.name = marks
                .and_then(|marks| marks.name(level, code))
                .unwrap_or_default()
                .to_owned();
            self.tags = marks.map_or(String::new(), |marks| marks.tags(level, code).join(", "));
        }
        let is_muted = state.is_muted(level, code);
        ui.horizontal_top(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(96.0, 96.0), Sense::hover());
            paint_swatch(ui, view, level, code, rect);
            ui.vertical(|ui| {
                ui.horizontal(|ui| {
                    heading(ui, &format!("{} {code}", capital(level)));
                    let is_favourite = marks.is_some_and(|marks| marks.is_favourite(level, code));
                    if icon_button(ui, Icon::Star, "Favourite", is_favourite)
                        .on_hover_text("Favourite")
                        .clicked()
                    {
                        out.push(CodeCommand::ToggleFavourite(level, code));
                    }
                    let hint = if is_muted {
                        "Muted: it is offered nowhere. Click to offer it again"
                    } else {
                        "Mute: do not offer it as a brush or as a code that is alike"
                    };
                    if icon_button(ui, Icon::EyeOff, "Mute", is_muted)
                        .on_hover_text(hint)
                        .clicked()
                    {
                        out.push(CodeCommand::ToggleMuted(level, code));
                    }
                });
                let field = TextEdit::singleline(&mut self.name)
                    .hint_text("Give it a name")
                    .desired_width(f32::INFINITY);
                if named_field(ui.add(field), "Name of the code").lost_focus() {
                    out.push(CodeCommand::Name(level, code, self.name.clone()));
                }
                let field = TextEdit::singleline(&mut self.tags)
                    .hint_text("Tags, with commas")
                    .desired_width(f32::INFINITY);
                if named_field(ui.add(field), "Tags of the code").lost_focus() {
                    out.push(CodeCommand::Tag(level, code, self.tags.clone()));
                }
            });
        });
        ui.add_space(theme::GAP_S);
        use_text(ui, state, view, level, code);
        ui.add_space(theme::GAP_S);
        ui.horizontal(|ui| {
            ui.add_enabled_ui(!is_muted, |ui| {
                if primary_button(ui, Icon::Brush, "Paint with it")
                    .on_disabled_hover_text("It is muted")
                    .clicked()
                {
                    out.push(ToolCommand::SetTool(Tool::Brush));
                    out.push(WindowCommand::Show(Workspace::Paint));
                }
            });
            if icon_text_button(ui, Icon::ScanSearch, "Show where")
                .on_hover_text("Dim all cells of the open picture but those with this code")
                .clicked()
            {
                if !state.look.is_where_used_on {
                    out.push(ViewCommand::ToggleWhereUsed);
                }
                out.push(WindowCommand::Show(Workspace::Paint));
            }
        });
        self.replace(ui, state, view, code, out);
        ui.add_space(theme::GAP_M);
        heading(ui, "Most alike");
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
            let offers = |other| !state.is_muted(level, other);
            for other in view.palette.level(level).nearest(code, 14, offers) {
                if swatch(ui, view, level, other, 34.0, false).clicked() {
                    out.push(ToolCommand::SelectCode(level, other));
                }
            }
        });
        ui.add_space(theme::GAP_M);
        heading(ui, "In my pictures");
        let exemplars = view
            .exemplars
            .as_ref()
            .map_or(&[][..], |shown| &shown.textures);
        if view.palette.counted_pictures == 0 {
            small(
                ui,
                "Count the codes of the project's pictures to see where this one comes from.",
            );
        } else if exemplars.is_empty() {
            small(ui, "None of the counted pictures uses it.");
        }
        ui.horizontal_wrapped(|ui| {
            for texture in exemplars {
                ui.add(
                    egui::Image::from_texture((texture.id(), vec2(64.0, 64.0)))
                        .corner_radius(CornerRadius::same(4)),
                );
            }
        });
        ui.add_space(theme::GAP_XS);
        let is_counting = state.has_job::<CountUsageJob>();
        ui.add_enabled_ui(!is_counting, |ui| {
            command_button(ui, state, out, CodeCommand::CountUsage);
        });
    }

    /// Exchanging one code for another in the whole picture, in two clicks.
    fn replace(
        &mut self,
        ui: &mut Ui,
        state: &State,
        view: &PaletteView,
        code: u16,
        out: &mut Commands,
    ) {
        let level = state.paint.level;
        let replaced = self.replaced.filter(|(of, _)| *of == level);
        ui.horizontal(|ui| match replaced {
            None => {
                let has_cells = counts_here(state, level, view.palette.level(level).codes())
                    .get(usize::from(code))
                    .is_some_and(|count| *count > 0);
                ui.add_enabled_ui(has_cells, |ui| {
                    if ui
                        .button("Replace it everywhere…")
                        .on_hover_text("Exchange this code for another one in the open picture")
                        .on_disabled_hover_text("The open picture does not use this code")
                        .clicked()
                    {
                        self.replaced = Some((level, code));
                    }
                });
            }
            Some((_, from)) if from == code => {
                weak(ui, "Choose the code that takes its place");
                if icon_button(ui, Icon::X, "Do not replace", false).clicked() {
                    self.replaced = None;
                }
            }
            Some((_, from)) => {
                swatch(ui, view, level, from, 24.0, false);
                if ui.button(format!("Replace {from} by {code}")).clicked() {
                    out.push(CodeCommand::Replace {
                        level,
                        from,
                        to: code,
                    });
                    self.replaced = None;
                }
                let everywhere = ui.button("In all pictures").on_hover_text(
                    "Exchange it in every picture of the project; each can take it back by itself",
                );
                if everywhere.clicked() {
                    out.push(CodeCommand::ReplaceInProject {
                        level,
                        from,
                        to: code,
                    });
                    self.replaced = None;
                }
                if icon_button(ui, Icon::X, "Do not replace", false).clicked() {
                    self.replaced = None;
                }
            }
        });
    }
}

fn capital(level: Level) -> &'static str {
    match level {
        Level::Structure => "Structure",
        Level::Detail => "Detail",
    }
}

fn use_text(ui: &mut Ui, state: &State, view: &PaletteView, level: Level, code: u16) {
    let palette = view.palette.level(level);
    let here = counts_here(state, level, palette.codes());
    let here = here.get(usize::from(code)).copied().unwrap_or(0);
    small(ui, format!("{here} cells in the open picture"));
    let counted = view.palette.counted_pictures;
    if counted > 0 {
        let count = palette.counts.get(usize::from(code)).copied().unwrap_or(0);
        small(ui, format!("{count} cells in {counted} of your pictures"));
    }
}

/// Codes in a plane, alike ones near each other.
fn map(ui: &mut Ui, state: &State, view: &PaletteView, chosen: u16, out: &mut Commands) {
    let level = state.paint.level;
    let palette = view.palette.level(level);
    let all = ui.available_rect_before_wrap();
    let share = all.area() / palette.map.len().max(1) as f32;
    let side = (share.sqrt() * 0.6).clamp(MAP_SWATCH, MAX_MAP_SWATCH);
    let room = all.shrink(side);
    let response = ui.allocate_rect(all, Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Map of the codes"));
    let place = |at: [f32; 2]| room.lerp_inside(vec2(at[0], at[1]));
    let mut nearest: Option<(f32, u16)> = None;
    let pointer = response.hover_pos();
    for (code, at) in (0u16..).zip(&palette.map) {
        let centre = place(*at);
        let rect = Rect::from_center_size(centre, egui::Vec2::splat(side));
        paint_swatch(ui, view, level, code, rect);
        if state.is_muted(level, code) {
            mute_mark(ui, rect);
        }
        if let Some(pointer) = pointer {
            let distance = (pointer - centre).length();
            if distance < side && nearest.is_none_or(|(best, _)| distance < best) {
                nearest = Some((distance, code));
            }
        }
    }
    let mark = |code: u16, side: f32, colour: Color32| {
        if let Some(at) = palette.map.get(usize::from(code)) {
            let rect = Rect::from_center_size(place(*at), vec2(side, side));
            paint_swatch(ui, view, level, code, rect);
            let line = Stroke::new(2.0, colour);
            ui.painter()
                .rect_stroke(rect, CornerRadius::same(4), line, StrokeKind::Outside);
        }
    };
    let tokens = tokens(ui);
    mark(chosen, side + 12.0, tokens.accent);
    if let Some((_, code)) = nearest {
        mark(code, side + 20.0, tokens.text);
        if response.clicked() {
            out.push(ToolCommand::SelectCode(level, code));
        }
    }
}
