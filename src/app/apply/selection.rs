//! What the tools are restricted to, and what is done to all of it at once.

use std::sync::Arc;

use super::super::App;
use crate::document::Selection;
use crate::document::tools;
use crate::error::Result;

impl App {
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
    pub(super) fn change_selection(
        &mut self,
        otherwise: Option<fn(crate::document::Geometry) -> Selection>,
        change: impl FnOnce(&mut Selection, crate::document::Wrap),
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
    pub(super) fn fill_selection(&mut self) -> Result<()> {
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
    pub(super) fn erase_selection(&mut self) -> Result<()> {
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
