//! What a tool shows on the canvas: the cells it would touch, lines and shapes being drawn, symmetry axes.

use std::collections::BTreeSet;

use eframe::egui::{self, Color32, CursorIcon, Painter, Pos2, Rect, Shape, Stroke, Ui, Vec2, vec2};

use crate::app::state::{Canvas, Gesture, State, Tool};
use crate::document::tools::{AreaShape, Layout, Path, cells_between};
use crate::document::{self, Level};
use crate::render::Placed;

/// Cells of the brush's outline drawn one by one; larger brushes get a circle or a square.
const MAX_OUTLINE_CELLS: u32 = 24;

/// Where the pointer's tool will work, and what is being drawn with it.
pub struct ToolPreview<'a> {
    pub state: &'a State,
    pub canvas: &'a Canvas,
    pub placed: &'a Placed,
    pub painter: &'a Painter,
}

impl ToolPreview<'_> {
    /// How far the selection is shown from its place: while it is being moved.
    pub fn shift_px(state: &State) -> Vec2 {
        let Some(Gesture::Move { from, to, .. }) = &state.tools.gesture else {
            return Vec2::ZERO;
        };
        let level = state.paint.level;
        let stride = level.stride_px() as f32;
        let (x, y) = document::tools::offset_between(level, *from, *to);
        vec2(x as f32, y as f32) * stride
    }

    /// The gesture in progress.
    pub fn gesture(&self) {
        let level = self.state.paint.level;
        match &self.state.tools.gesture {
            Some(Gesture::Stroke { stroke, path, .. }) => {
                let [from, to] = stroke.ends_px();
                match path {
                    Path::Freehand => {}
                    Path::Line => self.line(&[from, to]),
                    Path::Rectangle => self.cells(level, from, to),
                }
            }
            Some(Gesture::Gradient { from, to }) => {
                self.line(&[*from, *to]);
                for end in [from, to] {
                    let at = self.screen(*end);
                    self.painter.circle_filled(at, 4.0, Color32::WHITE);
                    self.painter
                        .circle_stroke(at, 4.5, Stroke::new(1.5, Color32::BLACK));
                }
            }
            Some(Gesture::Outline { outline, .. }) => {
                let points = outline.points();
                match (outline.shape, points) {
                    (AreaShape::Lasso, points) => {
                        self.line(points);
                    }
                    (shape, [from, to, ..]) => {
                        if shape == AreaShape::Ellipse {
                            self.ellipse(outline.level, *from, *to);
                        } else {
                            self.cells(outline.level, *from, *to);
                        }
                    }
                    _ => {}
                }
            }
            Some(Gesture::Block { from, to }) => self.cells(level, *from, *to),
            Some(Gesture::Move { .. } | Gesture::Pick) | None => {}
        }
        if self.state.paint.tool.is_brush() {
            self.axes();
        }
    }

    /// What the next press would touch, and the pointer's look.
    pub fn cursor(&self, ui: &Ui, tool: Tool, at: Pos2) {
        let icon = match tool {
            Tool::Move => CursorIcon::Move,
            Tool::Pan => CursorIcon::Grab,
            _ => CursorIcon::Crosshair,
        };
        ui.ctx().set_cursor_icon(icon);
        if !tool.is_brush() {
            return;
        }
        if tool == Tool::Clone {
            self.clone_source(at);
        }
        let tools = &self.state.tools;
        let level = self.state.paint.level;
        if tool == Tool::Pattern
            && let Some(block) = tools.laid_block()
            && tools.layout == Layout::Stamp
        {
            if block.level == level {
                self.stamp((block.width, block.height), at);
            }
            return;
        }
        self.footprint(at);
    }

    fn screen(&self, (x, y): (f32, f32)) -> Pos2 {
        self.placed.screen_from_canvas(vec2(x, y))
    }

    /// Dark below, bright on top: to be seen on any picture.
    fn line(&self, points: &[(f32, f32)]) {
        let points: Vec<Pos2> = points.iter().map(|at| self.screen(*at)).collect();
        for (width, colour) in OUTLINE {
            let stroke = Stroke::new(width, colour);
            self.painter.add(Shape::line(points.clone(), stroke));
        }
    }

    fn rect(&self, rect: Rect) {
        for (width, colour) in OUTLINE {
            let stroke = Stroke::new(width, colour);
            self.painter
                .rect_stroke(rect, 0, stroke, egui::StrokeKind::Middle);
        }
    }

    /// The cells between two points.
    fn cells(&self, level: Level, from: (f32, f32), to: (f32, f32)) {
        let geometry = self.canvas.document.geometry();
        let cells = cells_between(geometry, level, from, to);
        if !cells.is_empty() {
            self.rect(self.placed.screen_rect(cells.to_pixels(level.stride_px())));
        }
    }

    fn ellipse(&self, level: Level, from: (f32, f32), to: (f32, f32)) {
        let geometry = self.canvas.document.geometry();
        let cells = cells_between(geometry, level, from, to).to_pixels(level.stride_px());
        let rect = self.placed.screen_rect(cells);
        for (width, colour) in OUTLINE {
            let stroke = Stroke::new(width, colour);
            let half = rect.size() / 2.0;
            self.painter.add(egui::epaint::EllipseShape::stroke(
                rect.center(),
                half,
                stroke,
            ));
        }
    }

    fn stamp(&self, size: (u32, u32), at: Pos2) {
        let stride = self.state.paint.level.stride_px() as f32;
        let p = self.placed.canvas_from_screen(at) / stride;
        let size = vec2(size.0 as f32, size.1 as f32);
        let corner = if self.state.tools.is_aligned {
            (p / size).floor() * size
        } else {
            (p - size / 2.0).round()
        };
        let from = self.placed.screen_from_canvas(corner * stride);
        let to = self.placed.screen_from_canvas((corner + size) * stride);
        self.rect(Rect::from_min_max(from, to));
    }

    /// Where a clone reads from.
    fn clone_source(&self, at: Pos2) {
        let tools = &self.state.tools;
        let stride = self.state.paint.level.stride_px() as f32;
        let source = match (tools.clone_source, tools.clone_offset) {
            (Some(source), _) => self.screen(source),
            (None, Some((x, y))) => at + vec2(x as f32, y as f32) * stride * self.placed.scale(),
            (None, None) => return,
        };
        for (width, colour) in OUTLINE {
            let stroke = Stroke::new(width, colour);
            for arm in [vec2(8.0, 0.0), vec2(0.0, 8.0)] {
                self.painter
                    .line_segment([source - arm, source + arm], stroke);
            }
            self.painter.circle_stroke(source, 5.0, stroke);
        }
    }

    /// The cells that the next dab would touch.
    fn footprint(&self, at: Pos2) {
        let level = self.state.paint.level;
        let stride = level.stride_px() as f32;
        let mut brush = self.state.paint.brush();
        brush.scatter = 0.0;
        let p = self.placed.canvas_from_screen(at);
        let geometry = self.canvas.document.geometry();
        if brush.size > MAX_OUTLINE_CELLS {
            let radius = brush.size as f32 * stride * self.placed.scale() / 2.0;
            if brush.shape == document::Shape::Square {
                self.rect(Rect::from_center_size(at, Vec2::splat(2.0 * radius)));
                return;
            }
            for (width, colour) in OUTLINE {
                self.painter
                    .circle_stroke(at, radius, Stroke::new(width, colour));
            }
            return;
        }
        let mut cells = BTreeSet::new();
        let centre = (p.x / stride, p.y / stride);
        brush.dab(
            centre,
            level,
            geometry,
            self.canvas.document.wrap(),
            |index| {
                cells.insert(index);
            },
        );
        let columns = geometry.grid_width(level);
        let mut edges = Vec::new();
        for &index in &cells {
            let (x, y) = (index % columns, index / columns);
            let rect = self.placed.screen_rect(geometry.cell_pixels(level, index));
            let holds = |dx: i64, dy: i64| {
                let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
                x >= 0
                    && y >= 0
                    && x < i64::from(columns)
                    && cells.contains(&((y * i64::from(columns) + x) as u32))
            };
            for (is_inside, from, to) in [
                (holds(-1, 0), rect.left_top(), rect.left_bottom()),
                (holds(1, 0), rect.right_top(), rect.right_bottom()),
                (holds(0, -1), rect.left_top(), rect.right_top()),
                (holds(0, 1), rect.left_bottom(), rect.right_bottom()),
            ] {
                if !is_inside {
                    edges.push([from, to]);
                }
            }
        }
        for (width, colour) in OUTLINE {
            let stroke = Stroke::new(width, colour);
            self.painter
                .extend(edges.iter().map(|edge| Shape::line_segment(*edge, stroke)));
        }
    }

    /// The lines that dabs are mirrored at, and the point they are turned about.
    fn axes(&self) {
        let symmetry = self.state.tools.symmetry;
        if !symmetry.is_on() {
            return;
        }
        let document = &self.canvas.document;
        let (width, height) = (document.width() as f32, document.height() as f32);
        let (x, y) = symmetry.centre_px(document.geometry());
        let mut lines = Vec::new();
        if symmetry.x {
            lines.push([(x, 0.0), (x, height)]);
        }
        if symmetry.y {
            lines.push([(0.0, y), (width, y)]);
        }
        if symmetry.turns > 1 {
            let reach = width.hypot(height) / 2.0;
            for turn in 0..symmetry.turns {
                let angle = std::f32::consts::TAU * turn as f32 / symmetry.turns as f32;
                let end = (x - angle.sin() * reach, y - angle.cos() * reach);
                lines.push([(x, y), end]);
            }
        }
        let picture = Rect::from_two_pos(self.screen((0.0, 0.0)), self.screen((width, height)));
        let painter = self
            .painter
            .with_clip_rect(picture.intersect(self.painter.clip_rect()));
        for line in lines {
            let ends = line.map(|at| self.screen(at));
            for (offset, colour) in [(0.0, Color32::WHITE), (4.0, Color32::BLACK)] {
                let stroke = Stroke::new(1.0, colour.gamma_multiply(0.7));
                painter.extend(Shape::dashed_line_with_offset(
                    &ends,
                    stroke,
                    &[4.0],
                    &[4.0],
                    offset,
                ));
            }
        }
    }
}

const OUTLINE: [(f32, Color32); 2] = [(3.0, Color32::from_black_alpha(130)), (1.0, Color32::WHITE)];
