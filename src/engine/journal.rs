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
    /// Of a document whose first `stored` strokes are in the file.
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
