//! The journal of a document that is open in the window, written behind it. What could not be written waits and
//! is tried again before anything newer, so that the file never holds a stroke without those before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::document::Stroke;
use crate::error::Result;
use crate::project::{DocumentId, Project};

/// What a document's strokes in the file lack. Strokes are numbered from 1.
#[derive(Debug)]
pub struct Journal {
    document: DocumentId,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Rising numbers without gaps.
    strokes: VecDeque<(u64, Arc<Stroke>)>,
    /// How many strokes are to be applied after those, where that is another number than theirs.
    applied: Option<u64>,
    /// The file has all strokes up to this number, as the window has them.
    stored: u64,
}

impl Journal {
    /// The journal of a document whose first `stored` strokes are in the file.
    pub fn new(document: DocumentId, stored: u64) -> Self {
        Self {
            document,
            waiting: Mutex::new(Waiting {
                strokes: VecDeque::new(),
                applied: None,
                stored,
            }),
        }
    }

    /// Notes a new stroke of this number; those with this number or a later one are forgotten.
    pub fn append(&self, number: u64, stroke: Arc<Stroke>) {
        let mut waiting = self.lock();
        waiting.strokes.retain(|(other, _)| *other < number);
        waiting.strokes.push_back((number, stroke));
        waiting.applied = None;
        waiting.stored = waiting.stored.min(number.saturating_sub(1));
    }

    /// Notes that so many strokes are applied now: an undo, a redo, a jump.
    pub fn go_to(&self, applied: u64) {
        self.lock().applied = Some(applied);
    }

    /// The file has all strokes up to this number.
    pub fn stored(&self) -> u64 {
        self.lock().stored
    }

    /// Whether the file lacks anything.
    pub fn is_behind(&self) -> bool {
        let waiting = self.lock();
        !waiting.strokes.is_empty() || waiting.applied.is_some()
    }

    /// Writes what is lacking. What fails stays noted for the next time.
    ///
    /// # Errors
    /// As [`Project::append_stroke`].
    pub fn write(&self, project: &mut Project) -> Result<()> {
        while let Some((number, stroke)) = self.next() {
            if let Err(mut error) = self.store(project, number, &stroke) {
                if let Some(applied) = self.lock().applied.filter(|applied| *applied < number) {
                    // Where it stands among the strokes that it has can be written all the same.
                    project.set_applied_strokes(self.document, applied)?;
                }
                let next = std::mem::take(&mut error.notice.next);
                let kept = "It stays in the window and is stored together with the next one";
                error.notice.next = match next.is_empty() {
                    true => kept.into(),
                    false => format!("{}. {kept}", next.trim_end_matches('.')),
                };
                return Err(error);
            }
            let mut waiting = self.lock();
            // Meanwhile it may have been undone and painted over.
            if (waiting.strokes.front()).is_some_and(|(_, front)| Arc::ptr_eq(front, &stroke)) {
                waiting.strokes.pop_front();
                waiting.stored = number;
            }
        }
        let applied = self.lock().applied;
        if let Some(applied) = applied {
            project.set_applied_strokes(self.document, applied)?;
            let mut waiting = self.lock();
            if waiting.applied == Some(applied) {
                waiting.applied = None;
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<(u64, Arc<Stroke>)> {
        self.lock().strokes.front().cloned()
    }

    fn store(&self, project: &mut Project, number: u64, stroke: &Stroke) -> Result<()> {
        let before = number.saturating_sub(1);
        if project.document(self.document)?.applied_strokes != before {
            project.set_applied_strokes(self.document, before)?;
        }
        project.append_stroke(self.document, stroke).map(drop)
    }

    /// Never held while the file is written: the window asks, too.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is a few whole assignments, so a panicked holder leaves it sound.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{CellDelta, Codebooks, Codes, Geometry, Level, Wrap};
    use crate::project::{CheckpointKind, NewCheckpoint, NewDocument, NewSource};

    fn stroke(label: &str, index: u32) -> Arc<Stroke> {
        let delta = CellDelta {
            level: Level::Structure,
            index,
            before: 0,
            after: 1,
        };
        Arc::new(Stroke::new(label, vec![delta]))
    }

    fn project(folder: &std::path::Path) -> (Project, DocumentId) {
        let mut project = Project::create(&folder.join("p.tessera")).unwrap();
        let checkpoint = project.save_checkpoint(&NewCheckpoint {
            run: None,
            kind: CheckpointKind::Base,
            step: 0,
            name: "",
            config: serde_json::json!({}),
            metrics: serde_json::json!({}),
            weights: b"weights".as_slice().into(),
            training_state: None,
        });
        let geometry = Geometry::new(64, 64).unwrap();
        let mut codes = Codes::blank(geometry);
        for index in 0..geometry.cell_count(Level::Structure) as u32 {
            codes.structure.set(index, Some(0));
        }
        let document = project.create_document(&NewDocument {
            name: "picture",
            source: NewSource::Embedded(b"png"),
            geometry,
            checkpoint: checkpoint.unwrap().hash,
            codebooks: Codebooks {
                structure: 4,
                detail: 4,
            },
            wrap: Wrap::default(),
            codes: &codes,
        });
        let id = document.unwrap().id;
        (project, id)
    }

    fn labels(project: &Project, id: DocumentId) -> (u64, Vec<String>) {
        let rows = project.stroke_rows(id, 0, 100).unwrap();
        let applied = project.document(id).unwrap().applied_strokes;
        (applied, rows.into_iter().map(|row| row.label).collect())
    }

    #[test]
    fn what_waits_is_written_in_order_and_what_was_painted_over_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut project, id) = project(folder.path());
        let journal = Journal::new(id, 0);
        for (number, label) in [(1, "a"), (2, "b"), (3, "c")] {
            journal.append(number, stroke(label, number as u32));
        }
        journal.go_to(1);
        journal.append(2, stroke("d", 9));
        assert!(journal.is_behind());
        journal.write(&mut project).unwrap();
        assert_eq!(labels(&project, id), (2, vec!["a".into(), "d".into()]));
        assert_eq!((journal.stored(), journal.is_behind()), (2, false));
        // Undone and painted over again, after it was stored.
        journal.go_to(0);
        journal.write(&mut project).unwrap();
        assert_eq!(labels(&project, id).0, 0);
        journal.append(1, stroke("e", 3));
        assert_eq!(journal.stored(), 0);
        journal.write(&mut project).unwrap();
        assert_eq!(labels(&project, id), (1, vec!["e".into()]));
    }

    #[test]
    fn a_stroke_that_cannot_be_stored_holds_up_those_after_it_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (mut project, id) = project(folder.path());
        let journal = Journal::new(id, 0);
        journal.append(1, stroke("a", 1));
        journal.append(2, stroke("outside", 1 << 20));
        journal.append(3, stroke("c", 3));
        let error = journal.write(&mut project).unwrap_err();
        assert!(
            error.notice.next.contains("stored together with the next"),
            "{error}"
        );
        assert_eq!(labels(&project, id), (1, vec!["a".into()]));
        assert_eq!((journal.stored(), journal.is_behind()), (1, true));
        // Where it stands is written all the same.
        journal.go_to(0);
        assert!(journal.write(&mut project).is_err());
        assert_eq!(labels(&project, id).0, 0);
        // Painted over, it is out of the way.
        journal.append(2, stroke("d", 4));
        journal.write(&mut project).unwrap();
        assert_eq!(labels(&project, id), (2, vec!["a".into(), "d".into()]));
    }
}
