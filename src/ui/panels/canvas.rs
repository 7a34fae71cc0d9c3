//! The picture itself: pan, zoom, and the pointer as the tool in hand.

use eframe::egui::{
    self, Color32, CursorIcon, Key, PointerButton, Pos2, Rect, Response, Role, Sense, Ui, Vec2,
    WidgetInfo, vec2,
};
use lucide_icons::Icon;

use super::tool_preview::ToolPreview;
use crate::app::command::{FileCommand, ToolCommand, ViewCommand};
use crate::app::state::{
    Canvas, OpenProjectJob, SAMPLES, State, StrokeInput, StrokeStep, Tool, ViewRequest, Workspace,
};
use crate::document::{self, Level};
use crate::render::{Compare, Look, Placed, View};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{Commands, command_button, empty_state};

/// A dab counts as a new point of the stroke from this far on, in screen points.
const STEP_POINTS: f32 = 0.5;
/// How often the selection's outline walks on.
const WALK: std::time::Duration = std::time::Duration::from_millis(140);

/// The cell under the pointer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HoveredCell {
    pub level: Level,
    pub column: u32,
    pub row: u32,
    /// `None` for an empty detail cell.
    pub code: Option<u16>,
}

/// The canvas: its view, and the pointer on it.
#[derive(Default)]
pub struct CanvasPanel {
    view: Option<View>,
    /// The opening that `view` belongs to.
    opening: u64,
    /// Last said to the decode lane.
    seen: document::Rect,
    hovered: Option<HoveredCell>,
    last_point: Option<Pos2>,
    is_painting: bool,
    /// Of a pen that tells how hard it is pressed.
    pressure_percent: Option<u8>,
    is_dragging_split: bool,
    /// What of the wheel has not made a step of the brush's size yet.
    wheel: f32,
}

impl CanvasPanel {
    pub fn hovered(&self) -> Option<HoveredCell> {
        self.hovered
    }

    pub fn show(&mut self, ui: &mut Ui, state: &State, out: &mut Commands) {
        let Some(canvas) = &state.session.canvas else {
            self.hovered = None;
            nothing_open(ui, state, out);
            return;
        };
        let panel = ui.available_rect_before_wrap();
        let response = ui.allocate_rect(panel, Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Canvas"));
        let size = size_of(canvas);
        let mut placed = Placed {
            view: self.settle(canvas, repeats(state), panel, ui.ctx().pixels_per_point()),
            panel,
            pixels_per_point: ui.ctx().pixels_per_point(),
        };
        let is_pan_held = self.navigate(ui, &response, &mut placed, out);
        self.view = Some(placed.view);
        let pointer = response.hover_pos();
        let pointer_px = pointer.map(|at| placed.canvas_from_screen(at));
        let seen = around(placed.visible(size), pointer_px);
        if seen != self.seen {
            self.seen = seen;
            out.push(ViewCommand::LookAt(seen));
        }

        let is_before_held = response.hovered()
            && !ui.ctx().text_edit_focused()
            && ui.input(|input| input.key_down(Key::C) && !input.modifiers.any());
        let compare = if is_before_held {
            Compare::Before
        } else {
            state.look.compare
        };
        let tokens = tokens(ui);
        let painter = ui.painter().with_clip_rect(panel);
        frame_picture(&painter, &placed, size);
        let level = state.paint.level;
        let has_room = placed.view.zoom * level.stride_px() as f32 >= 6.0;
        canvas.surface.paint(
            &painter,
            &Look {
                placed,
                compare,
                grid_px: (state.look.has_grid && has_room).then(|| level.stride_px()),
                colours: tokens.canvas,
                repeats: repeats(state),
            },
        );
        self.overlays(ui, state, canvas, &placed, &painter);
        self.compare_handle(ui, state, &placed, &response, out);

        self.hovered = pointer.and_then(|at| cell_at(canvas, level, placed.canvas_from_screen(at)));
        if state.workspace != Workspace::Paint || self.is_dragging_split {
            return;
        }
        let tool = self.tool_in_hand(ui, state);
        if is_pan_held || tool == Tool::Pan {
            if response.hovered() {
                ui.ctx().set_cursor_icon(if response.dragged() {
                    CursorIcon::Grabbing
                } else {
                    CursorIcon::Grab
                });
            }
        } else {
            self.use_tool(ui, state, &placed, &response, out);
            let preview = ToolPreview {
                state,
                canvas,
                placed: &placed,
                painter: &painter,
            };
            preview.gesture();
            if let Some(at) = pointer {
                preview.cursor(ui, tool, at);
            }
        }
        let other = canvas.reskin.as_ref().map(|reskin| reskin.model.as_str());
        label_compare(&painter, &placed, compare, other, &tokens);
    }

    /// The view that was asked for, in the panel's size.
    fn settle(
        &mut self,
        canvas: &Canvas,
        repeats: [bool; 2],
        panel: Rect,
        pixels_per_point: f32,
    ) -> View {
        let size = size_of(canvas);
        let copies = repeats.map(|repeats| if repeats { 3.0 } else { 1.0 });
        let fit = View {
            centre_px: size / 2.0,
            ..View::fit(size * Vec2::from(copies), panel, pixels_per_point)
        };
        if self.opening != canvas.opening {
            self.opening = canvas.opening;
            self.view = None;
            self.seen = document::Rect::default();
            self.is_painting = false;
        }
        let now = self.view.unwrap_or(fit);
        match canvas.view {
            ViewRequest::Fit => fit,
            ViewRequest::Zoom(zoom) => View { zoom, ..now },
            ViewRequest::Step(factor) => View {
                zoom: (now.zoom * factor).clamp(View::MIN_ZOOM, View::MAX_ZOOM),
                ..now
            },
            ViewRequest::At(view) => view,
        }
    }

    /// Wheel, middle button, Space and the pan tool. Says whether panning has the pointer.
    fn navigate(
        &mut self,
        ui: &Ui,
        response: &Response,
        placed: &mut Placed,
        out: &mut Commands,
    ) -> bool {
        let before = placed.view;
        let is_space =
            ui.input(|input| input.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
        let is_pan = is_space || response.dragged_by(PointerButton::Middle);
        if is_pan && response.dragged() {
            placed.view = placed.panned(response.drag_delta());
        }
        if let Some(at) = response.hover_pos() {
            let (scroll, zoom, modifiers) = ui.input(|input| {
                (
                    input.smooth_scroll_delta,
                    input.zoom_delta(),
                    input.modifiers,
                )
            });
            if modifiers.command && scroll == Vec2::ZERO && zoom != 1.0 {
                // Ctrl and the wheel change the brush, as in Krita and Photoshop.
                self.wheel_brush(zoom.ln(), out);
            } else if zoom != 1.0 {
                placed.view = placed.zoomed(zoom, at);
            } else if modifiers.shift && scroll != Vec2::ZERO {
                placed.view = placed.panned(vec2(scroll.x + scroll.y, 0.0));
            } else if scroll.y != 0.0 {
                placed.view = placed.zoomed((scroll.y / 240.0).exp(), at);
            }
        }
        if placed.view != before {
            out.push(ViewCommand::SetView(placed.view));
        } else if self.view.is_some_and(|view| view != placed.view) {
            // A wish was settled; from here on it is a view like any other, except that fitting stays.
            ui.ctx().request_repaint();
        }
        is_pan
    }

    /// A notch of the wheel comes spread over several frames; it makes one or two steps.
    fn wheel_brush(&mut self, turn: f32, out: &mut Commands) {
        const STEP: f32 = 0.12;
        self.wheel += turn;
        if self.wheel.abs() >= STEP {
            out.push(if self.wheel > 0.0 {
                ToolCommand::BrushLarger
            } else {
                ToolCommand::BrushSmaller
            });
            self.wheel = 0.0;
        }
    }

    fn tool_in_hand(&self, ui: &Ui, state: &State) -> Tool {
        let tool = state.paint.tool;
        if self.is_painting {
            tool
        } else {
            tool.with(stroke_input(ui))
        }
    }

    /// Tint and selection; the selection's outline walks while the window has the keyboard.
    fn overlays(
        &self,
        ui: &Ui,
        state: &State,
        canvas: &Canvas,
        placed: &Placed,
        painter: &egui::Painter,
    ) {
        let (seconds, is_focused) = ui.input(|input| (input.time, input.focused));
        let shift_px = ToolPreview::shift_px(state);
        state
            .tools
            .overlay
            .paint(painter, placed, size_of(canvas), (seconds, shift_px));
        if is_focused && state.session.selection(canvas.id).is_some() {
            ui.ctx().request_repaint_after(WALK);
        }
    }

    fn use_tool(
        &mut self,
        ui: &Ui,
        state: &State,
        placed: &Placed,
        response: &Response,
        out: &mut Commands,
    ) {
        let (events, is_down, escape, enter) = ui.input(|input| {
            (
                input.events.clone(),
                input.pointer.primary_down(),
                input.key_pressed(Key::Escape),
                input.key_pressed(Key::Enter),
            )
        });
        let mut stroke_input = stroke_input(ui);
        stroke_input.pressure_percent = self.pressure_percent;
        let canvas_at = |at: Pos2| {
            let p = placed.canvas_from_screen(at);
            (p.x, p.y)
        };
        let is_ours = response.contains_pointer() || response.is_pointer_button_down_on();
        let can_begin = is_ours && state.look.compare != Compare::Before;
        // In their order: a whole stroke may lie between two frames.
        for event in events {
            match event {
                // Comes before the pointer's event of the same moment.
                egui::Event::Touch { phase, force, .. } => {
                    let is_over = matches!(phase, egui::TouchPhase::End | egui::TouchPhase::Cancel);
                    let percent = |force: f32| (force.clamp(0.0, 1.0) * 100.0).round() as u8;
                    self.pressure_percent = force.filter(|_| !is_over).map(percent);
                    if !is_over {
                        stroke_input.pressure_percent = self.pressure_percent;
                    }
                }
                egui::Event::PointerButton {
                    pos,
                    button: PointerButton::Primary,
                    pressed: true,
                    ..
                } if can_begin && !self.is_painting && placed.panel.contains(pos) => {
                    self.is_painting = true;
                    self.last_point = Some(pos);
                    out.push(ToolCommand::Stroke(StrokeStep::Begin(
                        canvas_at(pos),
                        stroke_input,
                    )));
                }
                egui::Event::PointerMoved(pos)
                | egui::Event::PointerButton {
                    pos,
                    button: PointerButton::Primary,
                    pressed: false,
                    ..
                } if self.is_painting => {
                    let is_far =
                        (self.last_point).is_none_or(|last| (pos - last).length() >= STEP_POINTS);
                    if is_far {
                        self.last_point = Some(pos);
                        out.push(ToolCommand::Stroke(StrokeStep::To(
                            canvas_at(pos),
                            stroke_input,
                        )));
                    }
                    if matches!(event, egui::Event::PointerButton { .. }) {
                        self.is_painting = false;
                        out.push(ToolCommand::Stroke(StrokeStep::End));
                    }
                }
                _ => {}
            }
        }
        if self.is_painting && escape {
            self.is_painting = false;
            out.push(ToolCommand::Stroke(StrokeStep::Abort));
        } else if self.is_painting && (!is_down || enter) {
            self.is_painting = false;
            out.push(ToolCommand::Stroke(StrokeStep::End));
        }
    }

    /// The line between before and after, as something to drag.
    fn compare_handle(
        &mut self,
        ui: &Ui,
        state: &State,
        placed: &Placed,
        response: &Response,
        out: &mut Commands,
    ) {
        let Compare::Split(column) = state.look.compare else {
            self.is_dragging_split = false;
            return;
        };
        let x = placed.screen_from_canvas(vec2(column, 0.0)).x;
        let is_near = response
            .hover_pos()
            .is_some_and(|at| (at.x - x).abs() < 6.0);
        let (is_down, is_pressed) = ui.input(|input| {
            (
                input.pointer.primary_down(),
                input.pointer.primary_pressed(),
            )
        });
        if is_near && is_pressed && !self.is_painting {
            self.is_dragging_split = true;
        }
        if !is_down {
            self.is_dragging_split = false;
        }
        if is_near || self.is_dragging_split {
            ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        if self.is_dragging_split
            && let Some(at) = response.interact_pointer_pos()
        {
            let width = state
                .session
                .canvas
                .as_ref()
                .map_or(0, |c| c.document.width());
            let column = placed.canvas_from_screen(at).x.clamp(0.0, width as f32);
            out.push(ViewCommand::SetCompare(Compare::Split(column)));
        }
    }
}

fn stroke_input(ui: &Ui) -> StrokeInput {
    ui.input(|input| StrokeInput {
        shift: input.modifiers.shift,
        alt: input.modifiers.alt,
        command: input.modifiers.command,
        pressure_percent: None,
    })
}

/// On which axes copies are shown: where the picture joins, else on both, to see whether it would.
fn repeats(state: &State) -> [bool; 2] {
    let wrap = state
        .session
        .canvas
        .as_ref()
        .map(|canvas| canvas.document.wrap());
    match wrap.filter(|_| state.look.is_wrap_preview_on) {
        None => [false; 2],
        Some(wrap) if wrap.x || wrap.y => [wrap.x, wrap.y],
        Some(_) => [true; 2],
    }
}

fn size_of(canvas: &Canvas) -> Vec2 {
    vec2(
        canvas.document.width() as f32,
        canvas.document.height() as f32,
    )
}

fn cell_at(canvas: &Canvas, level: Level, at_px: Vec2) -> Option<HoveredCell> {
    if at_px.x < 0.0 || at_px.y < 0.0 {
        return None;
    }
    let size = size_of(canvas);
    if at_px.x >= size.x || at_px.y >= size.y {
        return None;
    }
    let stride = level.stride_px();
    let (column, row) = (at_px.x as u32 / stride, at_px.y as u32 / stride);
    let code = canvas.document.edited().level(level).get(column, row);
    Some(HoveredCell {
        level,
        column,
        row,
        code,
    })
}

/// Of a view of more than can be kept ready for painting: what lies around the pointer.
fn around(seen: document::Rect, pointer_px: Option<Vec2>) -> document::Rect {
    /// Side of what is kept ready, px.
    const SIDE: u32 = 2048;
    /// A pointer that moves less asks for nothing new, px.
    const STEP: u32 = 256;
    let Some(at) = pointer_px.filter(|_| seen.width > SIDE || seen.height > SIDE) else {
        return seen;
    };
    let along = |at: f32, start: u32, length: u32| {
        let side = length.min(SIDE);
        let middle = at.max(0.0) as u32 / STEP * STEP + STEP / 2;
        let from = middle.saturating_sub(side / 2);
        (from.clamp(start, start + length - side), side)
    };
    let (x, width) = along(at.x, seen.x, seen.width);
    let (y, height) = along(at.y, seen.y, seen.height);
    document::Rect::new(x, y, width, height)
}

/// A soft edge, so that the picture stands out from the ground.
fn frame_picture(painter: &egui::Painter, placed: &Placed, size: Vec2) {
    let rect = Rect::from_two_pos(
        placed.screen_from_canvas(Vec2::ZERO),
        placed.screen_from_canvas(size),
    );
    painter.add(
        egui::Shadow {
            offset: [0, 2],
            blur: 18,
            spread: 0,
            color: Color32::from_black_alpha(90),
        }
        .as_shape(rect, 0),
    );
}

fn label_compare(
    painter: &egui::Painter,
    placed: &Placed,
    compare: Compare,
    other: Option<&str>,
    tokens: &theme::Tokens,
) {
    let before = other.unwrap_or("Before");
    let labels: &[(Pos2, egui::Align2, &str)] = match compare {
        Compare::Now | Compare::Blend(_) => return,
        Compare::Before => &[(
            placed.panel.left_top() + vec2(14.0, 12.0),
            egui::Align2::LEFT_TOP,
            before,
        )],
        Compare::Difference => &[(
            placed.panel.left_top() + vec2(14.0, 12.0),
            egui::Align2::LEFT_TOP,
            "Difference",
        )],
        Compare::Split(_) => &[
            (
                placed.panel.left_top() + vec2(14.0, 12.0),
                egui::Align2::LEFT_TOP,
                before,
            ),
            (
                placed.panel.right_top() + vec2(-14.0, 12.0),
                egui::Align2::RIGHT_TOP,
                "Now",
            ),
        ],
    };
    for (at, align, text) in labels {
        let galley = painter.layout_no_wrap(
            (*text).to_owned(),
            theme::medium(theme::TEXT_SMALL),
            tokens.text,
        );
        let rect = align.anchor_size(*at, galley.size());
        painter.rect_filled(rect.expand2(vec2(8.0, 4.0)), 5, tokens.panel);
        painter.galley(rect.min, galley, tokens.text);
    }
}

fn nothing_open(ui: &mut Ui, state: &State, out: &mut Commands) {
    if state.is_opening_document() || state.has_job::<OpenProjectJob>() {
        ui.centered_and_justified(|ui| ui.spinner());
        return;
    }
    empty_state(
        ui,
        Icon::ImagePlus,
        "No picture is open",
        "Open one of yours, drop one on the window, or start with a sample.",
        |ui| {
            command_button(ui, state, out, FileCommand::OpenPicture);
            if let Some((name, _)) = SAMPLES.first()
                && ui.button("Open a sample").clicked()
            {
                out.push(FileCommand::OpenSample(name));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_view_is_kept_ready_around_the_pointer() {
        let seen = document::Rect::new(100, 50, 4000, 900);
        let at = |x: f32, y: f32| around(seen, Some(Vec2::new(x, y)));
        assert_eq!(at(2000.0, 400.0), document::Rect::new(896, 50, 2048, 900));
        assert_eq!(at(2010.0, 90.0), at(2000.0, 400.0));
        assert_eq!(at(-5.0, 0.0), document::Rect::new(100, 50, 2048, 900));
        assert_eq!(at(9000.0, 0.0), document::Rect::new(2052, 50, 2048, 900));
        assert_eq!(around(seen, None), seen);
        let small = document::Rect::new(0, 0, 800, 600);
        assert_eq!(around(small, Some(Vec2::new(3.0, 4.0))), small);
    }
}
