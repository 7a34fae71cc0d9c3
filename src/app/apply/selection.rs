//! What the tools are restricted to, and what is done to all of it at once.

use std::sync::Arc;

use super::App;
use crate::app::command::SelectionCommand;
use crate::document::tools;
use crate::document::{DETAIL_STRIDE_PX, Geometry, Selection, Wrap};
use crate::error::Result;

impl App {
    pub(super) fn apply_selection(&mut self, command: SelectionCommand) {
        // One cell of the level in hand, in detail cells.
        let cell = self.state.paint.level.stride_px() / DETAIL_STRIDE_PX;
        match command {
            SelectionCommand::All => {
                let geometry = self
                    .state
                    .session
                    .canvas
                    .as_ref()
                    .map(|c| c.document.geometry());
                self.select(geometry.map(Selection::all));
            }
            SelectionCommand::Nothing => self.select(None),
            SelectionCommand::Again => {
                let id = self.state.session.canvas.as_ref().map(|canvas| canvas.id);
                if let Some((document, selection)) = &self.state.session.let_go
                    && Some(*document) == id
                {
                    let selection = Selection::clone(selection);
                    self.select(Some(selection));
                }
            }
            SelectionCommand::Invert => {
                self.change_selection(Some(Selection::none), |s, _| s.invert());
            }
            SelectionCommand::Grow => self.change_selection(None, |s, wrap| s.grow(cell, wrap)),
            SelectionCommand::Shrink => {
                self.change_selection(Some(Selection::all), |s, wrap| s.shrink(cell, wrap));
            }
            SelectionCommand::Fill => self.tell_failure(Self::fill_selection),
            SelectionCommand::FillTexture => self.tell_failure(Self::fill_with_texture),
            SelectionCommand::Erase => self.tell_failure(Self::erase_selection),
        }
    }

    /// From now on tools change only this; everything where it is `None`.
    pub(super) fn select(&mut self, selection: Option<Selection>) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let id = canvas.id;
        let session = &mut self.state.session;
        let before = match selection {
            Some(selection) => session.selections.insert(id, Arc::new(selection)),
            None => session.selections.remove(&id),
        };
        if let Some(before) = before {
            session.let_go = Some((id, before));
        }
        self.show_selection();
    }

    /// Changes the selection there is; without one `otherwise`.
    fn change_selection(
        &mut self,
        otherwise: Option<fn(Geometry) -> Selection>,
        change: impl FnOnce(&mut Selection, Wrap),
    ) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let (geometry, wrap) = (canvas.document.geometry(), canvas.document.wrap());
        let now = self.state.session.selection(canvas.id);
        let selection = match (now, otherwise) {
            (Some(now), _) => Some(Selection::clone(now)),
            (None, Some(make)) => Some(make(geometry)),
            (None, None) => None,
        };
        if let Some(mut selection) = selection {
            change(&mut selection, wrap);
            self.select((!selection.is_empty()).then_some(selection));
        }
    }

    /// Fills what is selected, or everything.
    fn fill_selection(&mut self) -> Result<()> {
        if self.is_being_encoded() {
            return Ok(());
        }
        let (level, code) = (self.state.paint.level, self.state.paint.current_code());
        let detail = self.state.paint.detail();
        self.state.paint.remember_code();
        self.one_stroke(format!("Fill, {level} {code}"), |easel| {
            tools::fill(easel, level, None, Some(code), detail)
        })
        .map(drop)
    }

    /// Brings the source back in what is selected, or everywhere.
    fn erase_selection(&mut self) -> Result<()> {
        if self.is_being_encoded() {
            return Ok(());
        }
        let level = self.state.paint.level;
        let is_empty = self.state.tools.erases_to_empty;
        self.one_stroke(format!("Erase {level}"), |easel| {
            if is_empty {
                tools::empty(easel, None)
            } else {
                tools::erase(easel, level, None)
            }
        })
        .map(drop)
    }
}
