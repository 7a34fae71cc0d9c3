//! How the tools are set, and what is done to the selection.

use std::sync::Arc;

use super::super::command::Command;
use super::super::tools::{TintKind, Tool};
use super::super::{App, Severity};
use crate::document::{
    Alphabet, CodeVectors, Companions, DETAIL_STRIDE_PX, DetailPolicy, Level, Selection, Turn,
    Vectors,
};
use crate::engine::{CompanionsJob, Palette};
use crate::error::Result;

impl App {
    pub(super) fn apply_tools(&mut self, command: Command) {
        if let Err(error) = self.do_tools(command) {
            self.tell(error);
        }
    }

    fn do_tools(&mut self, command: Command) -> Result<()> {
        // One cell of the level in hand, in detail cells.
        let cell = self.state.paint.level.stride_px() / DETAIL_STRIDE_PX;
        match command {
            Command::Stroke(step) => self.stroke(step)?,
            Command::SetTool(tool) => self.set_tool(tool),
            Command::SetDetailPolicy(policy) => {
                self.state.paint.detail_policy = policy;
                if self.state.session.companions.is_none() {
                    self.find_companions();
                }
            }
            Command::SetOption(option) => self.state.tools.set(option),
            Command::ChooseTexture => self.choose_texture(),
            Command::TextureFrom(path) => self.state.tools.texture_from = path,
            Command::SelectAll => {
                let geometry = self
                    .state
                    .session
                    .canvas
                    .as_ref()
                    .map(|c| c.document.geometry());
                self.select(geometry.map(Selection::all));
            }
            Command::SelectNone => self.select(None),
            Command::Reselect => {
                let id = self.state.session.canvas.as_ref().map(|canvas| canvas.id);
                if let Some((document, selection)) = &self.state.session.let_go
                    && Some(*document) == id
                {
                    let selection = Selection::clone(selection);
                    self.select(Some(selection));
                }
            }
            Command::InvertSelection => {
                self.change_selection(Some(Selection::none), |s, _| s.invert());
            }
            Command::GrowSelection => self.change_selection(None, |s, wrap| s.grow(cell, wrap)),
            Command::ShrinkSelection => {
                self.change_selection(Some(Selection::all), |s, wrap| s.shrink(cell, wrap));
            }
            Command::FillSelection => self.fill_selection()?,
            Command::EraseSelection => self.erase_selection()?,
            Command::ReplaceEverywhere { level, from, to } => self.replace_code(level, from, to)?,
            Command::ReplaceInProject { level, from, to } => {
                self.replace_in_project(level, (from, to))?;
            }
            Command::ToggleMirrorX => self.state.tools.symmetry.x ^= true,
            Command::ToggleMirrorY => self.state.tools.symmetry.y ^= true,
            Command::TurnBlock => {
                let tools = &mut self.state.tools;
                let quarters = (tools.turn.quarters + 1) % 4;
                let turn = Turn {
                    quarters,
                    ..tools.turn
                };
                tools.lay(tools.block.clone(), turn);
            }
            Command::MirrorBlock => {
                let tools = &mut self.state.tools;
                // Seen from the screen: mirrored after a turn is turned the other way after a mirror.
                let turn = Turn {
                    is_mirrored: !tools.turn.is_mirrored,
                    quarters: (4 - tools.turn.quarters) % 4,
                };
                tools.lay(tools.block.clone(), turn);
            }
            Command::ToggleCodeTint => self.toggle_tint(TintKind::Codes),
            Command::ToggleChangedCells => self.toggle_tint(TintKind::Changed),
            _ => {}
        }
        Ok(())
    }

    fn set_tool(&mut self, tool: Tool) {
        // Whatever was in progress belongs to the other tool.
        self.abort();
        self.state.paint.tool = tool;
        if tool == Tool::Texture {
            // It makes whole structure cells.
            self.apply(Command::SetLevel(Level::Structure));
        }
    }

    fn toggle_tint(&mut self, kind: TintKind) {
        let tools = &mut self.state.tools;
        tools.tint = (tools.tint != Some(kind)).then_some(kind);
        self.show_tint();
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
