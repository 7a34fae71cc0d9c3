//! Undo, redo, jumps in the history, and states with a name.

use std::ops::Range;

use super::super::command::Command;
use super::super::state::Canvas;
use super::super::textures::of_raster;
use super::super::{App, Severity};
use crate::engine::{Thumbnails, ThumbnailsJob};
use crate::error::Result;
use crate::foundation::time::now_ms;
use crate::project::NamedState;

impl App {
    pub(super) fn apply_history(&mut self, command: Command) {
        if self.is_being_encoded() {
            return;
        }
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        let cursor = canvas.document.history().cursor();
        match command {
            Command::Undo => {
                if let Some(to) = cursor.checked_sub(1) {
                    self.go_to_history(to);
                }
            }
            Command::Redo => self.go_to_history(cursor + 1),
            Command::GoToHistory(to) => self.go_to_history(to),
            Command::ShowHistory(rows) => self.draw_history(rows),
            Command::TakeSnapshot => self.take_snapshot(),
            Command::BackToSnapshot(number) => {
                if let Err(error) = self.back_to_snapshot(number) {
                    self.tell(error);
                }
            }
            Command::RenameSnapshot(number, name) => {
                let found = canvas.snapshots.iter_mut().find(|s| s.number == number);
                let name = name.trim().to_owned();
                if let Some(snapshot) = found.filter(|_| !name.is_empty()) {
                    snapshot.name.clone_from(&name);
                    let id = canvas.id;
                    (self.lanes.desk).write(move |project| project.rename_state(id, number, &name));
                }
            }
            Command::DeleteSnapshot(number) => {
                canvas
                    .snapshots
                    .retain(|snapshot| snapshot.number != number);
                let id = canvas.id;
                (self.lanes.desk).write(move |project| project.delete_state(id, number));
            }
            _ => {}
        }
    }

    /// Has pictures made of strokes that have none yet.
    fn draw_history(&mut self, rows: Range<usize>) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        if canvas.document.is_stroke_open() {
            return;
        }
        let strokes = canvas.document.history().strokes();
        let lacking: Vec<usize> = rows
            .filter(|&row| (strokes.get(row)).is_some_and(|stroke| !canvas.pictures.knows(stroke)))
            .collect();
        if lacking.is_empty() {
            return;
        }
        for &row in &lacking {
            // Asked for once, also where it fails.
            canvas.pictures.keep(strokes[row].clone(), None);
        }
        let job = ThumbnailsJob {
            id: canvas.id,
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
            strokes: lacking,
        };
        self.submit(job, |app, made| app.history_drawn(&made));
    }

    fn history_drawn(&mut self, made: &Thumbnails) {
        let mut all = self.state.canvases_mut();
        let Some(canvas) = all.find(|canvas| canvas.id == made.id) else {
            return;
        };
        for (stroke, picture) in &made.of {
            let texture = picture
                .as_ref()
                .map(|picture| of_raster(&self.ctx, picture));
            canvas.pictures.keep(stroke.clone(), texture);
        }
    }

    fn go_to_history(&mut self, to: usize) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        if canvas.document.is_stroke_open() {
            // Undo in the middle of a stroke takes that stroke back.
            self.abort();
            return;
        }
        let id = canvas.id;
        let document = &mut canvas.document;
        let from = document.history().cursor();
        let mut deltas = Vec::new();
        while document.history().cursor() > to {
            let Some(stroke) = document.undo() else { break };
            deltas.extend(stroke.deltas.iter().copied());
        }
        while document.history().cursor() < to {
            let Some(stroke) = document.redo() else { break };
            deltas.extend(stroke.deltas.iter().copied());
        }
        let moved = document.history().cursor() as i64 - from as i64;
        if moved == 0 {
            return;
        }
        self.repaint(&deltas);
        // Strokes older than those in memory are counted by the file only.
        self.lanes.desk.write(move |project| {
            let applied = project.document(id)?.applied_strokes;
            project.set_applied_strokes(id, applied.saturating_add_signed(moved))
        });
        self.refresh_mask();
    }

    fn take_snapshot(&mut self) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        let number = 1 + canvas.snapshots.iter().map(|s| s.number).max().unwrap_or(0);
        let snapshot = NamedState {
            number,
            name: format!("Snapshot {number}"),
            layers: canvas.document.layers().clone(),
            created_ms: now_ms(),
        };
        self.state.notices.say(
            Severity::Success,
            format!("“{}” is kept in the history panel", snapshot.name),
        );
        let id = canvas.id;
        canvas.snapshots.push(snapshot.clone());
        self.lanes
            .desk
            .write(move |project| project.keep_state(id, number, &snapshot.name, &snapshot.layers));
    }

    fn back_to_snapshot(&mut self, number: u32) -> Result<()> {
        let Some(Canvas {
            id,
            document,
            snapshots,
            ..
        }) = &mut self.state.session.canvas
        else {
            return Ok(());
        };
        let Some(snapshot) = snapshots.iter().find(|s| s.number == number) else {
            return Ok(());
        };
        let label = format!("Back to {}", snapshot.name);
        let (id, stroke) = (
            *id,
            document.replace_layers(label, snapshot.layers.clone())?,
        );
        self.lanes.decode.change(&[], document);
        self.show_tint();
        if let Some(stroke) = stroke {
            self.journal(id, stroke);
            self.refresh_mask();
        }
        Ok(())
    }
}
