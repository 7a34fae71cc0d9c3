//! The canvas: codes and brush settings, views, marks on codes. `stroke` has the gestures themselves.

use std::sync::Arc;

use super::super::App;
use super::super::command::Command;
use super::super::state::{Paint, ViewWish};
use super::super::tools::Tool;
use crate::document::{Level, Stroke};
use crate::project::DocumentId;
use crate::render::{Compare, Mask};

impl App {
    pub(super) fn apply_canvas(&mut self, command: Command) {
        match command {
            Command::SelectCode(level, code) => self.select_code(level, code),
            Command::SwapCodes => {
                let paint = &mut self.state.paint;
                let level = paint.level;
                let (first, second) = (paint.code.get(level), paint.second_code.get(level));
                paint.code.set(level, second);
                paint.second_code.set(level, first);
                self.refresh_mask();
            }
            Command::SetLevel(level) => self.set_level(level),
            Command::ToggleLevel => self.set_level(match self.state.paint.level {
                Level::Structure => Level::Detail,
                Level::Detail => Level::Structure,
            }),
            Command::SetBrushSize(size) => self.set_size(size),
            Command::BrushLarger => self.set_size(self.size() + step_of(self.size())),
            Command::BrushSmaller => {
                self.set_size(self.size().saturating_sub(step_of(self.size() - 1)));
            }
            Command::SetScatter(percent) => self.state.paint.scatter_percent = percent.min(95),
            Command::SetShape(shape) => self.state.paint.shape = shape,
            Command::LookAt(rect) => self.lanes.decode.look_at(rect),
            Command::SetView(view) => self.wish(ViewWish::At(view)),
            Command::ZoomFit => self.wish(ViewWish::Fit),
            Command::ZoomTo(percent) => self.wish(ViewWish::Zoom(percent as f32 / 100.0)),
            Command::ZoomIn => self.wish(ViewWish::Step(1.5)),
            Command::ZoomOut => self.wish(ViewWish::Step(1.0 / 1.5)),
            Command::ToggleGrid => self.state.look.has_grid ^= true,
            Command::SetCompare(compare) => self.state.look.compare = compare,
            Command::ToggleSplit => {
                let middle = (self.state.session.canvas.as_ref())
                    .map_or(0.0, |canvas| canvas.document.width() as f32 / 2.0);
                self.state.look.compare = match self.state.look.compare {
                    Compare::Split(_) => Compare::Now,
                    _ => Compare::Split(middle),
                };
            }
            Command::ToggleDifference => {
                self.state.look.compare = match self.state.look.compare {
                    Compare::Difference => Compare::Now,
                    _ => Compare::Difference,
                };
            }
            Command::ToggleWhereUsed => {
                self.state.look.is_where_used_on ^= true;
                self.refresh_mask();
            }
            _ => {}
        }
    }

    fn wish(&mut self, view: ViewWish) {
        if let Some(canvas) = &mut self.state.session.canvas {
            canvas.view = view;
        }
    }

    fn size(&self) -> u32 {
        self.state.paint.size.get(self.state.paint.level)
    }

    fn set_size(&mut self, size: u32) {
        let level = self.state.paint.level;
        (self.state.paint.size).set(level, size.clamp(1, Paint::MAX_SIZE));
    }

    fn set_level(&mut self, level: Level) {
        self.state.paint.level = level;
        self.refresh_mask();
        self.show_tint();
    }

    pub(super) fn select_code(&mut self, level: Level, code: u16) {
        if self.state.paint.level != level {
            self.set_level(level);
        }
        let paint = &mut self.state.paint;
        if paint.code.get(level) != code {
            paint.second_code.set(level, paint.code.get(level));
            paint.code.set(level, code);
        }
        if matches!(paint.tool, Tool::Eyedropper | Tool::Eraser) {
            paint.tool = Tool::Brush;
        }
        self.refresh_mask();
    }

    /// What is shown of the chosen code: cells that hold it stay bright while that view is on.
    pub(in crate::app) fn refresh_mask(&mut self) {
        self.show_exemplars();
        let level = self.state.paint.level;
        let code = self.state.paint.current_code();
        let is_on = self.state.look.is_where_used_on;
        if let Some(canvas) = &mut self.state.session.canvas {
            let mask = is_on.then(|| {
                Mask::of_code(
                    canvas.document.edited().level(level),
                    code,
                    level.stride_px(),
                )
            });
            canvas.surface.set_mask(mask);
        }
    }

    /// Stores the newest stroke of an open document.
    pub(super) fn journal(&mut self, id: DocumentId, stroke: Arc<Stroke>) {
        let most = self.state.most_history_cells;
        if let Some(canvas) = self.state.canvases_mut().find(|canvas| canvas.id == id) {
            let journal = canvas.journal.clone();
            journal.append(canvas.document.history().applied(), stroke);
            canvas.document.forget_strokes(most, journal.stored());
            (self.lanes.desk).write(move |project| journal.write(project));
        }
        if self.state.look.is_where_used_on {
            self.refresh_mask();
        }
    }
}

/// Larger brushes grow in larger steps.
fn step_of(size: u32) -> u32 {
    match size {
        0..=9 => 1,
        10..=19 => 2,
        _ => 4,
    }
}
