//! How the tools are set, and what they know of the codes.

use std::sync::Arc;

use super::App;
use crate::app::command::ToolCommand;
use crate::app::state::{Paint, Severity, Tool};
use crate::document::{Alphabet, CodeVectors, Companions, DetailPolicy, Level, Turn, Vectors};
use crate::engine::{CompanionsJob, Palette};

impl App {
    pub(super) fn apply_tool(&mut self, command: ToolCommand) {
        match command {
            ToolCommand::SetTool(tool) => self.set_tool(tool),
            ToolCommand::SetLevel(level) => self.set_level(level),
            ToolCommand::ToggleLevel => self.set_level(match self.state.paint.level {
                Level::Structure => Level::Detail,
                Level::Detail => Level::Structure,
            }),
            ToolCommand::SetBrushSize(size) => self.set_size(size),
            ToolCommand::BrushLarger => self.set_size(self.size() + step_of(self.size())),
            ToolCommand::BrushSmaller => {
                self.set_size(self.size().saturating_sub(step_of(self.size() - 1)));
            }
            ToolCommand::SetScatter(percent) => self.state.paint.scatter_percent = percent.min(95),
            ToolCommand::SetShape(shape) => self.state.paint.shape = shape,
            ToolCommand::SetDetailPolicy(policy) => {
                self.state.paint.detail_policy = policy;
                if self.state.session.companions.is_none() {
                    self.find_companions();
                }
            }
            ToolCommand::SelectCode(level, code) => self.select_code(level, code),
            ToolCommand::SwapCodes => {
                let paint = &mut self.state.paint;
                let level = paint.level;
                let (first, second) = (paint.code.get(level), paint.second_code.get(level));
                paint.code.set(level, second);
                paint.second_code.set(level, first);
                self.refresh_mask();
            }
            ToolCommand::Stroke(step) => self.tell_failure(|app| app.stroke(step)),
            ToolCommand::SetOption(option) => self.state.tools.set(option),
            ToolCommand::ToggleMirrorX => self.state.tools.symmetry.x ^= true,
            ToolCommand::ToggleMirrorY => self.state.tools.symmetry.y ^= true,
            ToolCommand::TurnBlock => {
                let tools = &mut self.state.tools;
                let quarters = (tools.turn.quarters + 1) % 4;
                let turn = Turn {
                    quarters,
                    ..tools.turn
                };
                tools.lay(tools.block.clone(), turn);
            }
            ToolCommand::MirrorBlock => {
                let tools = &mut self.state.tools;
                // Seen from the screen: mirrored after a turn is turned the other way after a mirror.
                let turn = Turn {
                    is_mirrored: !tools.turn.is_mirrored,
                    quarters: (4 - tools.turn.quarters) % 4,
                };
                tools.lay(tools.block.clone(), turn);
            }
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

    fn set_tool(&mut self, tool: Tool) {
        // Whatever was in progress belongs to the other tool.
        self.abort();
        self.state.paint.tool = tool;
    }

    /// Looks for the details that go with structure codes, where painting asks for them.
    pub(in crate::app) fn find_companions(&mut self) {
        let (Some(canvas), Some(project)) =
            (&self.state.session.canvas, &self.state.session.project)
        else {
            return;
        };
        if self.state.paint.detail_policy != DetailPolicy::Pull {
            return;
        }
        let job = CompanionsJob {
            project: project.storage.clone(),
            model_hash: canvas.model.hash.clone(),
            codebooks: canvas.model.codebooks(),
            codes: canvas.document.encoded().clone(),
        };
        self.submit(job, |app, table| {
            let text = format!("Textures come from {}.", table.origin);
            app.state.notices.say(Severity::Info, text);
            app.companions_found(table.into());
        });
    }

    fn companions_found(&mut self, table: Arc<Companions>) {
        // Another document may have been opened meanwhile; then its own table is on the way.
        let fits = (self.state.session.canvas.as_ref())
            .is_some_and(|canvas| table.check(canvas.model.codebooks()).is_ok());
        self.state.session.companions = fits.then_some(table);
    }

    /// Takes over what tools need to know of the codes on the screen.
    pub(in crate::app) fn know_codes(&mut self, palette: &Palette) {
        let vectors = |level: Level| {
            let codes = palette.level(level);
            let width = codes.vectors.len().checked_div(codes.codes()).unwrap_or(0);
            let vectors = CodeVectors::new(width, codes.vectors.clone())?;
            Ok(vectors.without(|code| self.state.is_muted(level, code)))
        };
        match (vectors(Level::Structure), vectors(Level::Detail)) {
            (Ok(structure), Ok(detail)) => {
                let vectors = Arc::new(Vectors { structure, detail });
                self.state.session.alphabet =
                    Some((palette.model_hash.clone(), Alphabet::new(vectors)));
            }
            (Err(error), _) | (_, Err(error)) => self.tell(error),
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
