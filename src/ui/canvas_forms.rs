//! Questions about the size of a canvas.

use eframe::egui::{
    self, Align2, CornerRadius, DragValue, Grid, Role, Sense, Ui, WidgetInfo, vec2,
};
use lucide_icons::Icon;

use super::theme::{self, tokens};
use super::widgets::{Commands, primary_button, segmented, small, title};
use crate::app::command::{DocumentCommand, NewCanvas, WindowCommand};
use crate::app::state::{Reframe, State};
use crate::document::{Geometry, Level, MAX_SIDE_PX, STRUCTURE_STRIDE_PX, Wrap};

/// What is fitted into the new size.
#[derive(Clone, Copy, PartialEq, Default)]
enum ResizeMode {
    #[default]
    Canvas,
    Picture,
}

pub struct CanvasForms {
    width: u32,
    height: u32,
    wrap: Wrap,
    how: ResizeMode,
    /// 0 to 2 on each axis: which part of the old canvas stays in place.
    anchor: [i64; 2],
}

impl Default for CanvasForms {
    fn default() -> Self {
        Self {
            width: 1024,
            height: 1024,
            wrap: Wrap::default(),
            how: ResizeMode::default(),
            anchor: [1, 1],
        }
    }
}

impl CanvasForms {
    pub fn new_canvas(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        title(ui, "New canvas");
        small(
            ui,
            format!(
                "Filled with structure code {}. The eraser brings this ground back.",
                state.paint.code.get(Level::Structure)
            ),
        );
        ui.add_space(theme::GAP_M);
        self.size(ui);
        ui.horizontal(|ui| {
            for (label, width, height) in [
                ("512²", 512, 512),
                ("1024²", 1024, 1024),
                ("2048²", 2048, 2048),
                ("8192²", 8192, 8192),
                ("16384 × 2048", 16_384, 2048),
            ] {
                if ui.button(label).clicked() {
                    (self.width, self.height) = (width, height);
                }
            }
        });
        ui.add_space(theme::GAP_S);
        ui.checkbox(&mut self.wrap.x, "Left and right join");
        ui.checkbox(&mut self.wrap.y, "Top and bottom join");
        let command = DocumentCommand::New(NewCanvas {
            width: self.width,
            height: self.height,
            wrap: self.wrap,
        });
        self.buttons(ui, "Make canvas", Some(command), out);
    }

    pub fn canvas_size(&mut self, ui: &mut Ui, state: &State, is_new: bool, out: &mut Commands) {
        title(ui, "Canvas size");
        let Some(canvas) = &state.session.canvas else {
            small(ui, "Open a picture first.");
            return;
        };
        let old = canvas.document.geometry();
        if is_new {
            (self.width, self.height) = (old.width(), old.height());
        }
        small(
            ui,
            "The new picture opens in its own tab; this one stays as it is.",
        );
        ui.add_space(theme::GAP_M);
        let choices = [
            (
                ResizeMode::Canvas,
                "Crop or extend",
                "Pixels stay as large as they are; edits and layers move along",
            ),
            (
                ResizeMode::Picture,
                "Scale",
                "The whole picture larger or smaller; edits become part of it",
            ),
        ];
        if let Some(how) = segmented(ui, self.how, &choices) {
            self.how = how;
        }
        ui.add_space(theme::GAP_S);
        let before = (self.width, self.height);
        self.size(ui);
        let is_same = (self.width, self.height) == (old.width(), old.height());
        let to = match self.how {
            ResizeMode::Picture => {
                // The side that was not changed follows.
                let follow = |side: u32, to: u32, from: u32| {
                    ((u64::from(to) * u64::from(side) + u64::from(from) / 2) / u64::from(from))
                        .max(1) as u32
                };
                if self.width != before.0 {
                    self.height = follow(old.height(), self.width, old.width());
                } else if self.height != before.1 {
                    self.width = follow(old.width(), self.height, old.height());
                }
                Reframe::Scale {
                    width: self.width,
                    height: self.height,
                }
            }
            ResizeMode::Canvas => {
                small(ui, "What stays in its place");
                self.anchors(ui);
                Reframe::Crop {
                    x: begin(old.width(), self.width, self.anchor[0]),
                    y: begin(old.height(), self.height, self.anchor[1]),
                    width: self.width,
                    height: self.height,
                }
            }
        };
        let command = (!is_same).then_some(DocumentCommand::Reframe(to));
        self.buttons(ui, "Make picture", command, out);
    }

    fn size(&mut self, ui: &mut Ui) {
        Grid::new("canvas size")
            .num_columns(2)
            .spacing(vec2(theme::GAP_M, theme::GAP_S))
            .show(ui, |ui| {
                for (name, side) in [("Width", &mut self.width), ("Height", &mut self.height)] {
                    let label = ui.label(name);
                    let value = DragValue::new(side)
                        .range(1..=MAX_SIDE_PX)
                        .speed(4.0)
                        .suffix(" px");
                    ui.add(value).labelled_by(label.id);
                    ui.end_row();
                }
            });
    }

    /// Nine places; the chosen one is filled.
    fn anchors(&mut self, ui: &mut Ui) {
        let tokens = tokens(ui);
        const NAMES: [[&str; 3]; 3] = [
            ["Top left", "Top", "Top right"],
            ["Left", "Middle", "Right"],
            ["Bottom left", "Bottom", "Bottom right"],
        ];
        ui.spacing_mut().item_spacing = vec2(3.0, 3.0);
        for (y, names) in (0i64..).zip(NAMES) {
            ui.horizontal(|ui| {
                for (x, name) in (0i64..).zip(names) {
                    let (rect, response) = ui.allocate_exact_size(vec2(26.0, 26.0), Sense::click());
                    let is_on = self.anchor == [x, y];
                    response
                        .widget_info(|| WidgetInfo::selected(Role::RadioButton, true, is_on, name));
                    let fill = match (is_on, response.hovered() || response.has_focus()) {
                        (true, _) => tokens.accent,
                        (false, true) => tokens.control_hover,
                        (false, false) => tokens.control,
                    };
                    ui.painter()
                        .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
                    if is_on {
                        ui.painter().text(
                            rect.center(),
                            Align2::CENTER_CENTER,
                            "·",
                            theme::medium(theme::TEXT_TITLE),
                            tokens.on_accent,
                        );
                    }
                    if response.on_hover_text(name).clicked() {
                        self.anchor = [x, y];
                    }
                }
            });
        }
    }

    fn buttons(
        &mut self,
        ui: &mut Ui,
        label: &str,
        command: Option<DocumentCommand>,
        out: &mut Commands,
    ) {
        let size = Geometry::new(self.width, self.height);
        ui.add_space(theme::GAP_M);
        match &size {
            Ok(geometry) => {
                let megapixels = geometry.bounds().area() as f64 / 1e6;
                small(ui, format!("{megapixels:.1} megapixels"));
            }
            Err(error) => {
                ui.colored_label(tokens(ui).warning, &error.notice.why);
            }
        }
        ui.horizontal(|ui| {
            ui.add_enabled_ui(size.is_ok() && command.is_some(), |ui| {
                if primary_button(ui, Icon::Check, label).clicked()
                    && let Some(command) = command
                {
                    out.push(command);
                }
            });
            if ui.button("Cancel").clicked() || ui.input(|i| i.key_pressed(egui::Key::Escape)) {
                out.push(WindowCommand::CloseOverlay);
            }
        });
    }
}

/// Where the new canvas begins on the old one, at whole cells.
fn begin(old: u32, new: u32, anchor: i64) -> i64 {
    let stride = i64::from(STRUCTURE_STRIDE_PX);
    let room = (i64::from(old) - i64::from(new)) * anchor / 2;
    room.div_euclid(stride) * stride
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_begins_at_whole_cells() {
        assert_eq!(begin(1000, 1000, 2), 0);
        assert_eq!(begin(1000, 500, 0), 0);
        assert_eq!(begin(1000, 500, 1), 240);
        assert_eq!(begin(1000, 500, 2), 496);
        assert_eq!(begin(500, 1000, 1), -256);
        assert_eq!(begin(500, 1000, 2), -512);
    }
}
