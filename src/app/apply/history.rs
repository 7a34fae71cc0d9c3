//! Undo, redo, jumps in the history, and states with a name.

use std::ops::Range;
use std::sync::Arc;

use super::App;
use crate::app::command::HistoryCommand;
use crate::app::lanes::of_raster;
use crate::app::state::{Canvas, Severity, Workspace};
use crate::document::Stroke;
use crate::engine::{Thumbnails, ThumbnailsJob};
use crate::error::Result;
use crate::foundation::time::now_ms;
use crate::project::{DocumentId, NamedState};

impl App {
    pub(super) fn apply_history(&mut self, command: HistoryCommand) {
        // The picture on the canvas is not seen there.
        if self.state.workspace == Workspace::Dataset {
            match command {
                HistoryCommand::Undo => self.step_choice(false),
                HistoryCommand::Redo => self.step_choice(true),
                HistoryCommand::GoTo(_)
                | HistoryCommand::ShowStrokes(_)
                | HistoryCommand::TakeSnapshot
                | HistoryCommand::BackToSnapshot(_)
                | HistoryCommand::RenameSnapshot(..)
                | HistoryCommand::DeleteSnapshot(_) => {}
            }
            return;
        }
        if self.is_being_encoded() {
            return;
        }
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        let cursor = canvas.document.history().cursor();
        match command {
            HistoryCommand::Undo => {
                if canvas.document.is_stroke_open() {
                    // In the middle of a stroke that one is taken back.
                    self.abort();
                } else if let Some(to) = cursor.checked_sub(1) {
                    self.go_to_history(to);
                } else {
                    self.read_older_strokes();
                }
            }
            HistoryCommand::Redo => self.go_to_history(cursor + 1),
            HistoryCommand::GoTo(to) => self.go_to_history(to),
            HistoryCommand::ShowStrokes(rows) => self.draw_history(rows),
            HistoryCommand::TakeSnapshot => self.take_snapshot(),
            HistoryCommand::BackToSnapshot(number) => {
                if let Err(error) = self.back_to_snapshot(number) {
                    self.tell(error);
                }
            }
            HistoryCommand::RenameSnapshot(number, name) => {
                let found = canvas.snapshots.iter_mut().find(|s| s.number == number);
                let name = name.trim().to_owned();
                if let Some(snapshot) = found.filter(|_| !name.is_empty()) {
                    snapshot.name.clone_from(&name);
                    let id = canvas.id;
                    (self.lanes.desk).write(move |project| project.rename_state(id, number, &name));
                }
            }
            HistoryCommand::DeleteSnapshot(number) => {
                canvas
                    .snapshots
                    .retain(|snapshot| snapshot.number != number);
                let id = canvas.id;
                (self.lanes.desk).write(move |project| project.delete_state(id, number));
            }
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
            canvas.pictures.keep(&strokes[row], None);
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
            canvas.pictures.keep(stroke, texture);
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
        if document.history().cursor() == from {
            return;
        }
        let journal = canvas.journal.clone();
        journal.go_to(document.history().applied());
        (self.lanes.desk).write(move |project| journal.write(project));
        self.repaint(&deltas);
        self.refresh_mask();
        self.count_tint();
    }

    /// What is in the file only is taken back as soon as it has been read.
    fn read_older_strokes(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let older = canvas.document.history().older();
        if older > 0 {
            let cells = self.state.most_history_cells / 2;
            self.lanes.desk.read_strokes(canvas.id, older, cells);
        }
    }

    pub(in crate::app) fn older_strokes_read(
        &mut self,
        id: DocumentId,
        last: u64,
        strokes: Vec<Stroke>,
    ) {
        let mut canvases = self.state.canvases_mut();
        let Some(canvas) = canvases.find(|canvas| canvas.id == id) else {
            return;
        };
        let first = last + 1 - strokes.len() as u64;
        let had_none = canvas.document.history().cursor() == 0;
        let strokes = strokes.into_iter().map(Arc::new).collect();
        let is_recalled = canvas.document.recall_strokes(first, strokes);
        drop(canvases);
        let is_shown = (self.state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == id);
        if is_recalled && had_none && is_shown {
            self.apply(HistoryCommand::Undo);
        }
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
        self.repaint(&[]);
        if let Some(stroke) = stroke {
            self.journal(id, stroke);
            self.refresh_mask();
        }
        Ok(())
    }
}
