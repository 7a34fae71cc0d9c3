//! Painting: strokes go into the document at once, to the decode lane for their pixels, and to the project's
//! journal when they end.

use std::sync::Arc;

use super::super::command::{Command, StrokeStep, Tool};
use super::super::state::{Canvas, CodeMarks, Paint, ViewWish};
use super::super::{App, Severity};
use crate::document::{CellDelta, Document, Ink, Level, Stroke};
use crate::error::Result;
use crate::render::{Compare, Mask};

impl App {
    pub(super) fn apply_canvas(&mut self, command: Command) {
        match command {
            Command::Stroke(step) => {
                if let Err(error) = self.stroke(step) {
                    self.tell(error);
                }
            }
            Command::PickAt(at) => self.pick(at),
            Command::SelectCode(level, code) => self.select_code(level, code),
            Command::SwapCodes => {
                let paint = &mut self.state.paint;
                let level = paint.level;
                let (first, second) = (paint.code.get(level), paint.second_code.get(level));
                paint.code.set(level, second);
                paint.second_code.set(level, first);
                self.refresh_mask();
            }
            Command::SetTool(tool) => self.state.paint.tool = tool,
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
            Command::SetDetailPolicy(policy) => self.state.paint.detail_policy = policy,
            Command::LookAt(rect) => self.lanes.decode.look_at(rect),
            Command::SetView(view) => self.wish(ViewWish::At(view)),
            Command::ZoomFit => self.wish(ViewWish::Fit),
            Command::ZoomTo(percent) => self.wish(ViewWish::Zoom(percent as f32 / 100.0)),
            Command::ZoomIn => self.wish(ViewWish::Step(1.5)),
            Command::ZoomOut => self.wish(ViewWish::Step(1.0 / 1.5)),
            Command::ToggleGrid => self.state.look.has_grid ^= true,
            Command::SetCompare(compare) => self.state.look.compare = compare,
            Command::ToggleSplit => {
                let middle = (self.state.canvas.as_ref())
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
            Command::ReplaceEverywhere { level, from, to } => {
                if let Err(error) = self.replace_everywhere(level, from, to) {
                    self.tell(error);
                }
            }
            Command::NameCode(level, code, name) => self.mark(|marks| {
                let key = CodeMarks::key(level, code);
                match name.trim() {
                    "" => marks.names.remove(&key),
                    name => marks.names.insert(key, name.to_owned()),
                };
            }),
            Command::ToggleFavourite(level, code) => self.mark(|marks| {
                let key = CodeMarks::key(level, code);
                if !marks.favourites.remove(&key) {
                    marks.favourites.insert(key);
                }
            }),
            _ => {}
        }
    }

    fn wish(&mut self, view: ViewWish) {
        if let Some(canvas) = &mut self.state.canvas {
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
    }

    fn select_code(&mut self, level: Level, code: u16) {
        let paint = &mut self.state.paint;
        paint.level = level;
        if paint.code.get(level) != code {
            paint.second_code.set(level, paint.code.get(level));
            paint.code.set(level, code);
        }
        if matches!(paint.tool, Tool::Eyedropper | Tool::Eraser) {
            paint.tool = Tool::Brush;
        }
        self.refresh_mask();
    }

    fn pick(&mut self, (x, y): (f32, f32)) {
        let Some(canvas) = &self.state.canvas else {
            return;
        };
        let level = self.state.paint.level;
        let stride = level.stride_px() as f32;
        if x < 0.0 || y < 0.0 {
            return;
        }
        let grid = canvas.document.edited().level(level);
        if let Some(code) = grid.get((x / stride) as u32, (y / stride) as u32) {
            self.select_code(level, code);
        }
    }

    /// What is shown of the chosen code: cells that hold it stay bright while that view is on.
    pub(in crate::app) fn refresh_mask(&mut self) {
        self.show_exemplars();
        let level = self.state.paint.level;
        let code = self.state.paint.current_code();
        let is_on = self.state.look.is_where_used_on;
        if let Some(canvas) = &mut self.state.canvas {
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

    fn stroke(&mut self, step: StrokeStep) -> Result<()> {
        let Some(canvas) = &mut self.state.canvas else {
            return Ok(());
        };
        let paint = &mut self.state.paint;
        let stride = paint.level.stride_px() as f32;
        let cells = |(x, y): (f32, f32)| (x / stride, y / stride);
        match step {
            StrokeStep::Begin(at) => {
                if canvas.document.is_stroke_open() {
                    return Ok(());
                }
                paint.seed = paint.seed.wrapping_add(1);
                canvas.document.begin(label(paint))?;
                paint.stroke_at = Some(cells(at));
                remember_code(paint);
                let deltas = dab(&mut canvas.document, paint, cells(at))?;
                self.lanes.decode.change(&deltas, &canvas.document);
            }
            StrokeStep::To(at) => {
                let Some(from) = paint.stroke_at else {
                    return Ok(());
                };
                let to = cells(at);
                let mut deltas = Vec::new();
                for at in paint.brush().path(from, to) {
                    deltas.extend(dab(&mut canvas.document, paint, at)?);
                }
                paint.stroke_at = Some(to);
                if !deltas.is_empty() {
                    self.lanes.decode.change(&deltas, &canvas.document);
                }
            }
            StrokeStep::End => {
                paint.stroke_at = None;
                let (id, stroke) = (canvas.id, canvas.document.commit());
                if let Some(stroke) = stroke {
                    self.journal(id, stroke);
                }
            }
            StrokeStep::Abort => {
                paint.stroke_at = None;
                if let Some(stroke) = canvas.document.abort() {
                    self.lanes.decode.change(&stroke.deltas, &canvas.document);
                }
            }
        }
        Ok(())
    }

    pub(super) fn journal(&mut self, id: i64, stroke: Arc<Stroke>) {
        self.lanes
            .desk
            .write(move |project| project.append_stroke(id, &stroke).map(drop));
        if self.state.look.is_where_used_on {
            self.refresh_mask();
        }
    }

    fn replace_everywhere(&mut self, level: Level, from: u16, to: u16) -> Result<()> {
        let Some(canvas) = &mut self.state.canvas else {
            return Ok(());
        };
        let grid = canvas.document.edited().level(level);
        let cells: Vec<u32> = (0u32..)
            .zip(grid.cells())
            .filter(|(_, code)| **code == from)
            .map(|(index, _)| index)
            .collect();
        if cells.is_empty() {
            self.state.notices.say(
                Severity::Info,
                format!("This picture does not use {level} code {from}"),
            );
            return Ok(());
        }
        let detail = self.state.paint.detail_policy;
        canvas
            .document
            .begin(format!("Replace {level} {from} by {to}"))?;
        for index in &cells {
            canvas
                .document
                .paint_cell(level, *index, Some(to), detail)?;
        }
        let (id, stroke) = (canvas.id, canvas.document.commit());
        if let Some(stroke) = stroke {
            (self.lanes.decode).change(&stroke.deltas, &canvas.document);
            self.journal(id, stroke);
            self.state.notices.say(
                Severity::Success,
                format!(
                    "Replaced {} cells of {level} code {from} by {to}",
                    cells.len()
                ),
            );
        }
        Ok(())
    }

    fn mark(&mut self, change: impl FnOnce(&mut CodeMarks)) {
        let Some(project) = &mut self.state.project else {
            return;
        };
        change(&mut project.marks);
        match serde_json::to_value(&project.marks) {
            Ok(value) => (self.lanes.desk)
                .write(move |project| project.set_setting(crate::engine::CODE_MARKS, &value)),
            Err(source) => log::error!("code marks cannot be written: {source}"),
        }
    }

    /// Pixels for everything that differs from the source: for a document that was edited before it was opened.
    pub(in crate::app) fn show_edits(&self, canvas: &Canvas) {
        let document = &canvas.document;
        let deltas = document.changes();
        if !deltas.is_empty() {
            self.lanes.decode.change(&deltas, document);
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

fn label(paint: &Paint) -> String {
    match paint.tool {
        Tool::Eraser => format!("Erase {}", paint.level),
        _ => format!("Brush, {} {}", paint.level, paint.current_code()),
    }
}

fn ink(paint: &Paint) -> Ink {
    match paint.tool {
        Tool::Eraser => Ink::Source,
        _ => Ink::Code {
            code: Some(paint.current_code()),
            detail: paint.detail_policy,
        },
    }
}

fn dab(document: &mut Document, paint: &Paint, at: (f32, f32)) -> Result<Vec<CellDelta>> {
    document.dab(paint.level, at, &paint.brush(), ink(paint))
}

fn remember_code(paint: &mut Paint) {
    if paint.tool == Tool::Brush {
        let used = (paint.level, paint.current_code());
        paint.recent.retain(|other| *other != used);
        paint.recent.push_front(used);
        paint.recent.truncate(Paint::MAX_RECENT);
    }
}
