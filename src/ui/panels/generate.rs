//! The page that makes new pictures from existing ones: the form, the result that is shown, and the strip of all results.

mod form;

use eframe::egui::{
    self, Align, Align2, Button, CornerRadius, Frame, Layout, Margin, Panel, Rect, Role,
    ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2,
};
use lucide_icons::Icon;

use crate::app::command::{Command, GenerateCommand};
use crate::app::state::{DocumentId, DocumentRow, MadeFacts, ResultView, State, What};
use crate::document::Wrap;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    Commands, empty_state, glyph, icon_text, icon_text_button, named, small, tooltip, waiting, weak,
};

const FORM: f32 = 292.0;
/// Side of a picture in the strip.
const SMALL: f32 = 84.0;
/// Shares of pictures that are told one by one.
const MAX_SHARES: usize = 3;

/// The page that makes pictures.
#[derive(Default)]
pub struct GeneratePanel {
    /// The result that is asked whether to delete it.
    deleting: Option<DocumentId>,
}

impl GeneratePanel {
    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        Panel::left("generate form")
            .exact_size(FORM)
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::new().inner_margin(Margin {
                right: 16,
                ..Default::default()
            }))
            .show(ui, |ui| {
                Panel::bottom("generate make")
                    .resizable(false)
                    .show_separator_line(false)
                    .frame(Frame::new().inner_margin(Margin {
                        top: 8,
                        ..Default::default()
                    }))
                    .show(ui, |ui| form::make(ui, state, out));
                ScrollArea::vertical()
                    .id_salt("generate form")
                    .auto_shrink(false)
                    .show(ui, |ui| {
                        ui.set_max_width(FORM - 26.0);
                        form::show(ui, state, out);
                    });
            });
        if state.results().next().is_none() {
            nothing_yet(ui, state);
            return;
        }
        Panel::bottom("results")
            .exact_size(SMALL + 34.0)
            .resizable(false)
            .frame(Frame::new().inner_margin(Margin {
                top: 8,
                ..Default::default()
            }))
            .show(ui, |ui| strip(ui, state, out));
        let selected = state.session.generate.selected;
        let row = state.results().find(|row| Some(row.id) == selected);
        match row {
            Some(row) => self.result(ui, state, row, out),
            None => {
                weak(ui, "Click a picture below to see it large.");
            }
        }
    }

    fn result(&mut self, ui: &mut Ui, state: &State, row: &DocumentRow, out: &mut Commands) {
        let view = state.session.generate.view(row.id);
        Panel::bottom("result facts")
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::new().inner_margin(Margin {
                top: 8,
                bottom: 8,
                ..Default::default()
            }))
            .show(ui, |ui| {
                ui.horizontal_wrapped(|ui| {
                    ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
                    self.buttons(ui, state, row, view, out);
                });
                match view {
                    Some(view) => facts(ui, row, &view.facts),
                    None => {
                        small(ui, &row.name);
                    }
                }
            });
        let room = ui.available_rect_before_wrap();
        ui.allocate_rect(room, Sense::hover());
        let corner = CornerRadius::same(theme::RADIUS);
        let tokens = tokens(ui);
        ui.painter().rect_filled(room, corner, tokens.ground);
        let Some(view) = view else {
            if state.session.generate.has_failed(row) {
                let text = glyph(Icon::ImageOff);
                let font = theme::icons(40.0);
                let at = Align2::CENTER_CENTER;
                (ui.painter()).text(room.center(), at, text, font, tokens.text_weak);
            } else {
                let at = Rect::from_center_size(room.center(), Vec2::splat(20.0));
                let builder = egui::UiBuilder::new().max_rect(at);
                ui.scope_builder(builder, waiting);
            }
            return;
        };
        large(ui, room.shrink(8.0), view, state.session.generate.is_tiled);
    }

    fn buttons(
        &mut self,
        ui: &mut Ui,
        state: &State,
        row: &DocumentRow,
        view: Option<&ResultView>,
        out: &mut Commands,
    ) {
        let is_tile = view.is_some_and(|view| view.facts.wrap != Wrap::default());
        for command in [
            GenerateCommand::ToggleTiled,
            GenerateCommand::PaintOn,
            GenerateCommand::MakeAnother,
            GenerateCommand::Export,
        ] {
            let is_toggle = command == GenerateCommand::ToggleTiled;
            if is_toggle && !is_tile {
                continue;
            }
            let command = Command::from(command);
            let Some(spec) = command.spec() else { continue };
            let is_on = is_toggle && state.session.generate.is_tiled;
            let button = Button::new((icon_text(spec.icon), spec.label)).selected(is_on);
            let response = ui.add_enabled(command.is_possible(state), button);
            let response = named(response, spec.label).on_hover_text(tooltip(&command, state));
            if response.clicked() {
                out.push(command);
            }
        }
        if self.deleting == Some(row.id) {
            let red = tokens(ui).error;
            ui.label(egui::RichText::new("Delete it for good?").color(red));
            if ui.button("Yes, delete").clicked() {
                out.push(GenerateCommand::Delete(row.id));
                self.deleting = None;
            }
            if ui.button("Keep it").clicked() {
                self.deleting = None;
            }
        } else if icon_text_button(ui, Icon::Trash2, "Delete")
            .on_hover_text("Take this picture out of the project")
            .clicked()
        {
            self.deleting = Some(row.id);
        }
    }
}

fn nothing_yet(ui: &mut Ui, state: &State) {
    if state.is_making() {
        empty_state(ui, Icon::Sparkles, "Making the first one", "", waiting);
        return;
    }
    empty_state(
        ui,
        Icon::WandSparkles,
        "New pictures from your own",
        "Every piece is copied from the pictures that you choose, and each result says from which. \
         Nothing is sent anywhere. Choose what to make on the left and press Make.",
        |_| {},
    );
}

/// The picture as large as it fits, or beside itself as it repeats.
fn large(ui: &Ui, room: Rect, view: &ResultView, is_tiled: bool) {
    let texture = view.large.as_ref().unwrap_or(&view.small);
    let (width, height) = view.facts.size;
    let wrap = view.facts.wrap;
    let times = |joins: bool| if is_tiled && joins { 3 } else { 1 };
    let (columns, rows) = (times(wrap.x), times(wrap.y));
    let size = vec2((width * columns) as f32, (height * rows) as f32);
    // Small ones up to four times as large as they are.
    let scale = (room.size() / size).min_elem().min(4.0);
    let one = vec2(width as f32, height as f32) * scale;
    let shown = Rect::from_center_size(room.center(), size * scale);
    for row in 0..rows {
        for column in 0..columns {
            let at = shown.min + vec2(column as f32, row as f32) * one;
            egui::Image::from_texture(texture).paint_at(ui, Rect::from_min_size(at, one));
        }
    }
}

/// What can be said of a result, in words.
fn facts(ui: &mut Ui, row: &DocumentRow, facts: &MadeFacts) {
    let what = match facts.what {
        What::Tile => "Seamless tile",
        What::New => "New picture",
        What::Vary => "Variation",
        What::Extend => "Extended picture",
        What::Fill => "Filled picture",
    };
    let (width, height) = facts.size;
    let text = format!(
        "{}  ·  {what}  ·  {width} × {height} px  ·  seed {}",
        row.name, facts.seed
    );
    ui.add(
        egui::Label::new(egui::RichText::new(text).font(theme::medium(theme::TEXT_BODY)))
            .truncate(),
    );
    if let Some(text) = border_text(facts.border_step) {
        small(ui, text);
    }
    let mut origin = match facts.shares.is_empty() {
        true => "Nothing of it is copied any more.".to_owned(),
        false => format!("Copied from {}.", shares_text(facts)),
    };
    if let Some(piece) = &facts.largest_piece {
        origin += &format!(
            " The largest piece copied as one: {} × {} px, {} of the picture, from {}.",
            piece.width_px,
            piece.height_px,
            percent(piece.share),
            piece.picture
        );
    }
    small(ui, origin);
}

fn border_text(border_step: [Option<f32>; 2]) -> Option<String> {
    let told: Vec<String> = (["left–right", "top–bottom"].iter().zip(border_step))
        .filter_map(|(axis, step)| Some(format!("{axis} {:.2}", step?)))
        .collect();
    (!told.is_empty()).then(|| {
        format!(
            "Step across the border: {}  (1 is like anywhere within the picture)",
            told.join(", ")
        )
    })
}

fn shares_text(facts: &MadeFacts) -> String {
    let shares = &facts.shares;
    let mut told: Vec<String> = (shares.iter().take(MAX_SHARES))
        .map(|one| format!("{} ({})", one.picture, percent(one.share)))
        .collect();
    match shares.len().saturating_sub(MAX_SHARES) {
        0 => {}
        1 => told.push("1 more".into()),
        more => told.push(format!("{more} more")),
    }
    match told.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => told.concat(),
    }
}

fn percent(share: f32) -> String {
    match share {
        share if share > 0.0 && share < 0.005 => "less than 1 %".into(),
        share => format!("{:.0} %", share * 100.0),
    }
}

/// All results, newest first.
fn strip(ui: &mut Ui, state: &State, out: &mut Commands) {
    let rows: Vec<&DocumentRow> = state.results().collect();
    let mut on_screen = Vec::new();
    ScrollArea::horizontal()
        .id_salt("results")
        .auto_shrink(false)
        .show_viewport(ui, |ui, viewport| {
            let step = SMALL + 6.0;
            ui.set_width(rows.len() as f32 * step);
            let first = (viewport.min.x / step).floor().max(0.0) as usize;
            let last = ((viewport.max.x / step).ceil() as usize).min(rows.len());
            ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                ui.add_space((first as f32 * step - 6.0).max(0.0));
                for row in rows.get(first..last).unwrap_or_default() {
                    on_screen.push(row.id);
                    result_tile(ui, state, row, out);
                }
            });
        });
    out.push(GenerateCommand::ShowResults(on_screen));
}

fn result_tile(ui: &mut Ui, state: &State, row: &DocumentRow, out: &mut Commands) {
    let tokens = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(SMALL), Sense::click());
    let is_on = state.session.generate.selected == Some(row.id);
    response.widget_info(|| {
        WidgetInfo::selected(Role::Button, true, is_on, format!("Result {}", row.name))
    });
    let corner = CornerRadius::same(theme::RADIUS);
    ui.painter().rect_filled(rect, corner, tokens.control);
    match state.session.generate.view(row.id) {
        Some(view) => egui::Image::from_texture(&view.small)
            .uv(form::square_of(&view.small))
            .corner_radius(corner)
            .paint_at(ui, rect),
        None => {
            let icon = match state.session.generate.has_failed(row) {
                true => Icon::ImageOff,
                false => Icon::Image,
            };
            (ui.painter()).text(
                rect.center(),
                Align2::CENTER_CENTER,
                glyph(icon),
                theme::icons(22.0),
                tokens.text_weak,
            );
        }
    }
    if is_on || response.hovered() || response.has_focus() {
        let line = Stroke::new(2.0, tokens.accent);
        ui.painter()
            .rect_stroke(rect, corner, line, StrokeKind::Inside);
    }
    if response.on_hover_text(&row.name).clicked() {
        out.push(GenerateCommand::Select(Some(row.id)));
    }
}
