//! Gestures on the canvas: the pointer as the tool in hand. Codes change at once; pixels follow from the decode
//! lane, and the stroke goes to the project's journal when it ends.

use std::sync::Arc;

use super::App;
use crate::app::state::{Gesture, Severity, StrokeInput, StrokeStep, Tool};
use crate::document::tools::{
    self, BrushStroke, Easel, Gradient, Medium, Outline, Path, Setup, Transfer, constrained,
    offset_between,
};
use crate::document::{Alphabet, Block, Level, Selection, Stroke, Turn};
use crate::error::{Notice, Result};
use crate::project::DocumentId;

type Point = (f32, f32);

impl App {
    pub(super) fn stroke(&mut self, step: StrokeStep) -> Result<()> {
        if self.state.session.canvas.is_none() {
            return Ok(());
        }
        match step {
            StrokeStep::Begin(at, input) => {
                if self.state.tools.gesture.is_some() || self.is_being_encoded() {
                    return Ok(());
                }
                self.begin(at, input)
            }
            StrokeStep::To(at, input) => self.go_on(at, input),
            StrokeStep::End => self.end(),
            StrokeStep::Abort => {
                self.abort();
                Ok(())
            }
        }
    }

    fn begin(&mut self, at: Point, input: StrokeInput) -> Result<()> {
        let level = self.state.paint.level;
        let gesture = match self.state.paint.tool.with(input) {
            Tool::Eyedropper if input.shift => Gesture::Block { from: at, to: at },
            Tool::Eyedropper => {
                self.pick(at);
                Gesture::Pick
            }
            Tool::Clone if input.command || input.alt => {
                self.state.tools.clone_source = Some(at);
                self.state.tools.clone_offset = None;
                return Ok(());
            }
            Tool::Texture => match self.begin_texture(at) {
                Some(gesture) => gesture?,
                None => return Ok(()),
            },
            tool if tool.is_brush() => {
                let Some(gesture) = self.begin_brush(tool, at, input)? else {
                    return Ok(());
                };
                gesture
            }
            Tool::Bucket => return self.bucket(at),
            Tool::Gradient => Gesture::Gradient { from: at, to: at },
            Tool::Wand => return self.wand(at, input),
            Tool::Move => Gesture::Move {
                from: at,
                to: at,
                is_copy: input.alt,
            },
            tool => match tool.area_shape() {
                Some(shape) => {
                    let how = input.combine(self.state.tools.combine);
                    Gesture::Outline {
                        outline: Outline::press(shape, level, how, at),
                        began_with_shift: input.shift,
                    }
                }
                None => return Ok(()),
            },
        };
        self.state.tools.gesture = Some(gesture);
        Ok(())
    }

    fn begin_brush(
        &mut self,
        tool: Tool,
        at: Point,
        input: StrokeInput,
    ) -> Result<Option<Gesture>> {
        let Some(medium) = self.medium(tool, at) else {
            return Ok(None);
        };
        let paint = &mut self.state.paint;
        paint.seed = paint.seed.wrapping_add(1);
        paint.remember_code();
        let tools = &self.state.tools;
        let path = match tools.path {
            // A smudge along a line is a smudge all the same.
            _ if tool == Tool::Smudge => Path::Freehand,
            Path::Freehand if input.shift => Path::Line,
            path => path,
        };
        let mut brush = paint.brush();
        if tool == Tool::Smudge {
            brush.size = brush.size.min(MAX_SMUDGE_CELLS);
        }
        let setup = Setup {
            level: paint.level,
            brush,
            medium,
            detail: paint.detail(),
            symmetry: tools.symmetry,
            path,
            pressure: input.pressure(),
        };
        let label = match tool {
            Tool::Brush => format!("Brush, {} {}", paint.level, paint.current_code()),
            Tool::Eraser if tools.erases_to_empty => "Empty detail".into(),
            Tool::Eraser => format!("Erase {}", paint.level),
            Tool::Pattern => format!("Pattern, {}", paint.level),
            Tool::Clone => format!("Clone, {}", paint.level),
            _ => format!("Smudge, {}", paint.level),
        };
        let stroke = self.on_easel(|easel| BrushStroke::press(easel, setup, label, at))?;
        Ok(stroke.map(|stroke| Gesture::Stroke {
            stroke: Box::new(stroke),
            path,
            from: at,
            began_with_shift: input.shift,
        }))
    }

    /// What a brush leaves behind; says what is missing where there is nothing.
    fn medium(&mut self, tool: Tool, at: Point) -> Option<Medium> {
        let level = self.state.paint.level;
        let tools = &mut self.state.tools;
        let missing = match tool {
            Tool::Eraser if tools.erases_to_empty => return Some(Medium::Code(None)),
            Tool::Eraser => return Some(Medium::Source),
            Tool::Smudge => {
                let strength = tools.smudge_percent as f32 / 100.0;
                return Some(Medium::Smudge { strength });
            }
            Tool::Pattern => match tools.laid_block() {
                Some(block) if block.level == level => {
                    return Some(Medium::Pattern {
                        block: block.clone(),
                        layout: tools.layout,
                        is_aligned: tools.is_aligned,
                    });
                }
                Some(_) => (
                    "the block is of the other level",
                    "Press D, or take another block",
                ),
                None => (
                    "there is no block to paint with yet",
                    "Hold Ctrl and Shift and drag over the cells to take",
                ),
            },
            Tool::Clone => {
                if let Some(source) = tools.clone_source.take() {
                    tools.clone_offset = Some(offset_between(level, at, source));
                }
                match tools.clone_offset {
                    Some(offset) => return Some(Medium::Clone { offset }),
                    None => (
                        "there is nothing to clone from yet",
                        "Ctrl-click where to clone from",
                    ),
                }
            }
            _ => return Some(Medium::Code(Some(self.state.paint.current_code()))),
        };
        let (what, next) = missing;
        self.state
            .notices
            .push(Severity::Info, Notice::new(what, "", next));
        None
    }

    fn go_on(&mut self, at: Point, input: StrokeInput) -> Result<()> {
        let Some(mut gesture) = self.state.tools.gesture.take() else {
            return Ok(());
        };
        let mut done = Ok(());
        match &mut gesture {
            Gesture::Stroke {
                stroke,
                path,
                from,
                began_with_shift,
            } => {
                // A line that Shift asked for is free; in a line or rectangle that was chosen, Shift makes it even.
                let is_even = input.shift && (!*began_with_shift || self.state.tools.path == *path);
                let to = if is_even {
                    constrained(*path, *from, at)
                } else {
                    at
                };
                stroke.set_pressure(input.pressure());
                done = self.on_easel(|easel| stroke.drag(easel, to)).map(drop);
            }
            Gesture::Texture { is_ending, .. } => {
                if !*is_ending {
                    self.lanes.texture.go_on(at);
                }
            }
            Gesture::Gradient { from, to } => {
                *to = if input.shift {
                    constrained(Path::Line, *from, at)
                } else {
                    at
                };
            }
            Gesture::Outline {
                outline,
                began_with_shift,
            } => outline.drag(at, input.shift && !*began_with_shift),
            Gesture::Block { to, .. } => *to = at,
            Gesture::Move { to, is_copy, .. } => (*to, *is_copy) = (at, *is_copy || input.alt),
            Gesture::Pick => self.pick(at),
        }
        if done.is_ok() {
            self.state.tools.gesture = Some(gesture);
        }
        done
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let Some(gesture) = self.state.tools.gesture.take() else {
            return Ok(());
        };
        match gesture {
            Gesture::Stroke { stroke, .. } => {
                let stroke = self.on_easel(|easel| stroke.release(easel))?.flatten();
                self.keep(stroke);
                Ok(())
            }
            Gesture::Texture { number, is_ending } => {
                if !is_ending {
                    self.lanes.texture.end();
                }
                self.state.tools.gesture = Some(Gesture::Texture {
                    number,
                    is_ending: true,
                });
                Ok(())
            }
            Gesture::Gradient { from, to } => self.gradient(from, to),
            Gesture::Outline { outline, .. } => {
                let Some(canvas) = &self.state.session.canvas else {
                    return Ok(());
                };
                let now = self.state.session.selection(canvas.id);
                let selection = outline.release(canvas.document.geometry(), now.map(AsRef::as_ref));
                self.select(selection);
                Ok(())
            }
            Gesture::Block { from, to } => self.take_block(from, to),
            Gesture::Pick => Ok(()),
            Gesture::Move { from, to, is_copy } => self.move_selected(from, to, is_copy),
        }
    }

    /// Ends what the pointer is at: a stroke is kept as it is, anything else is forgotten.
    pub(in crate::app) fn close_gesture(&mut self) {
        if matches!(self.state.tools.gesture, Some(Gesture::Texture { .. })) {
            self.lanes.texture.cancel();
        }
        if !matches!(self.state.tools.gesture, Some(Gesture::Stroke { .. })) {
            self.state.tools.gesture = None;
        } else if let Err(error) = self.end() {
            self.tell(error);
        }
        // Nothing may stay open, whatever went wrong before.
        let canvas = self.state.session.canvas.as_mut();
        if let Some(stroke) = canvas.and_then(|canvas| canvas.document.commit()) {
            self.keep(Some(stroke));
        }
    }

    pub(super) fn abort(&mut self) {
        if matches!(self.state.tools.gesture, Some(Gesture::Texture { .. })) {
            self.abort_texture();
            return;
        }
        let (Some(Gesture::Stroke { stroke, .. }), Some(canvas)) = (
            self.state.tools.gesture.take(),
            &mut self.state.session.canvas,
        ) else {
            return;
        };
        if let Some(taken_back) = stroke.abort(&mut canvas.document) {
            self.repaint(&taken_back.deltas);
        }
    }

    /// Works on the open document and shows what has changed.
    pub(super) fn on_easel<R>(
        &mut self,
        work: impl FnOnce(&mut Easel<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        let alphabet = self.alphabet();
        let Some(canvas) = &mut self.state.session.canvas else {
            return Ok(None);
        };
        let geometry = canvas.document.geometry();
        let before = (canvas.document.revision(), canvas.document.is_stroke_open());
        // A canvas of another size has another selection.
        let selection = (self.state.session.selections.get(&canvas.id))
            .filter(|selection| selection.geometry() == geometry);
        let mut easel = Easel::new(
            &mut canvas.document,
            selection.map(AsRef::as_ref),
            &alphabet,
        );
        let done = work(&mut easel);
        let deltas = easel.take_deltas();
        let after = (canvas.document.revision(), canvas.document.is_stroke_open());
        if done.is_err() && before != after {
            // What was taken back was changed by earlier calls as well.
            self.decode_anew();
        }
        self.repaint(&deltas);
        done.map(Some)
    }

    /// One stroke of its own: done, journaled and shown. Says whether anything changed.
    pub(super) fn one_stroke(
        &mut self,
        label: String,
        work: impl FnOnce(&mut Easel<'_>) -> Result<()>,
    ) -> Result<bool> {
        let stroke = self.on_easel(|easel| easel.stroke(label, work))?.flatten();
        Ok(self.keep(stroke))
    }

    /// What is known of the codes of the open document.
    pub(super) fn alphabet(&self) -> Alphabet {
        let (Some(canvas), known) = (&self.state.session.canvas, &self.state.session.alphabet)
        else {
            return Alphabet::plain(NO_CODES);
        };
        let alphabet = match known {
            Some((hash, alphabet)) if *hash == canvas.model.hash => alphabet.clone(),
            _ => Alphabet::plain(canvas.model.codebooks()),
        };
        alphabet.with_companions(self.state.session.companions.clone())
    }

    pub(super) fn keep(&mut self, stroke: Option<Arc<Stroke>>) -> bool {
        let (Some(stroke), Some(canvas)) = (stroke, &self.state.session.canvas) else {
            return false;
        };
        self.journal(canvas.id, stroke);
        true
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
        self.count_tint();
    }

    fn bucket(&mut self, at: Point) -> Result<()> {
        let (level, code) = (self.state.paint.level, self.state.paint.current_code());
        let detail = self.state.paint.detail();
        let takes = self.takes();
        let Some(start) = self.cell_at(level, at) else {
            return Ok(());
        };
        self.state.paint.remember_code();
        self.one_stroke(format!("Bucket, {level} {code}"), |easel| {
            tools::bucket(easel, level, start, takes, Some(code), detail)
        })
        .map(drop)
    }

    fn gradient(&mut self, from: Point, to: Point) -> Result<()> {
        let paint = &mut self.state.paint;
        paint.seed = paint.seed.wrapping_add(1);
        let level = paint.level;
        let codes = (paint.code.get(level), paint.second_code.get(level));
        let gradient = Gradient {
            level,
            shape: self.state.tools.gradient_shape,
            codes,
            from_px: from,
            to_px: to,
            scatter: paint.scatter_percent as f32 / 100.0,
            seed: paint.seed,
            detail: paint.detail(),
        };
        let label = format!("Gradient, {level} {} to {}", codes.0, codes.1);
        self.one_stroke(label, |easel| tools::gradient(easel, &gradient))
            .map(drop)
    }

    fn wand(&mut self, at: Point, input: StrokeInput) -> Result<()> {
        let level = self.state.paint.level;
        let (tolerance, is_contiguous) = self.takes();
        let how = input.combine(self.state.tools.combine);
        let start = self.cell_at(level, at);
        let alphabet = self.alphabet();
        let Some(canvas) = &self.state.session.canvas else {
            return Ok(());
        };
        let document = &canvas.document;
        let geometry = document.geometry();
        let area = match start {
            Some(start) => {
                let grid = document.edited().level(level);
                let alike = alphabet.alike(level, grid.at(start), tolerance)?;
                let wrap = document.wrap();
                Selection::wand(geometry, grid, level, start, &alike, is_contiguous, wrap)
            }
            None => Selection::none(geometry),
        };
        let now = self.state.session.selection(canvas.id).map(AsRef::as_ref);
        let selection = Selection::joined(now, &area, how);
        self.select(selection);
        Ok(())
    }

    fn take_block(&mut self, from: Point, to: Point) -> Result<()> {
        let level = self.state.paint.level;
        let Some(canvas) = &self.state.session.canvas else {
            return Ok(());
        };
        let document = &canvas.document;
        let rect = tools::cells_between(document.geometry(), level, from, to);
        if let Some(block) = Block::of_document(document, level, rect)? {
            self.state.tools.lay(Some(Arc::new(block)), Turn::default());
            self.state.paint.tool = Tool::Pattern;
        }
        Ok(())
    }

    fn move_selected(&mut self, from: Point, to: Point, is_copy: bool) -> Result<()> {
        let level = self.state.paint.level;
        let by = offset_between(level, from, to);
        if by == (0, 0) {
            return Ok(());
        }
        let transfer = Transfer {
            level,
            by,
            is_copy,
            leaves: self.state.paint.second_code.get(Level::Structure),
        };
        let mut moved = None;
        let verb = if is_copy { "Duplicate" } else { "Move" };
        self.one_stroke(format!("{verb}, {level}"), |easel| {
            moved = Some(tools::transfer(easel, &transfer)?);
            Ok(())
        })?;
        let had_selection = (self.state.session.canvas.as_ref())
            .is_some_and(|canvas| self.state.session.selection(canvas.id).is_some());
        if had_selection {
            self.select(moved.filter(|moved| !moved.is_empty()));
        }
        Ok(())
    }

    /// Tolerance from 0 to 1, and whether only cells that hang together count.
    fn takes(&self) -> (f32, bool) {
        let tools = &self.state.tools;
        (tools.tolerance_percent as f32 / 100.0, tools.is_contiguous)
    }

    fn cell_at(&self, level: Level, at: Point) -> Option<u32> {
        let geometry = self.state.session.canvas.as_ref()?.document.geometry();
        let cell = tools::cells_between(geometry, level, at, at);
        (!cell.is_empty()).then(|| cell.y * geometry.grid_width(level) + cell.x)
    }

    /// Takes the code under a point; an empty detail cell has none.
    fn pick(&mut self, at: Point) {
        let level = self.state.paint.level;
        let code = self.cell_at(level, at).and_then(|index| {
            let canvas = self.state.session.canvas.as_ref()?;
            canvas.document.edited().level(level).at(index)
        });
        if let Some(code) = code {
            self.select_code(level, code);
        }
    }
}

/// Larger smudges would make a dab wait: every cell of one is compared with all codes.
const MAX_SMUDGE_CELLS: u32 = 24;
const NO_CODES: crate::document::Codebooks = crate::document::Codebooks {
    structure: 0,
    detail: 0,
};
