//! One code in place of another in all documents of a project.

use std::collections::BTreeSet;
use std::fmt;

use crate::document::tools::{Easel, replace_stroke};
use crate::document::{Alphabet, DetailPolicy, Level};
use crate::engine::lanes::job::{Job, Lane, WhenLeft};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::documents::{self, Stored};
use crate::error::Result;
use crate::progress::Observer;
use crate::project::{ContentHash, DocumentId};

/// Replaces a code in the stored documents of a model, each by a stroke of its own that can be undone there.
pub struct ReplaceJob {
    pub project: Storage,
    pub model: Model,
    /// What is known of the model's codes; with companions where details are pulled.
    pub alphabet: Alphabet,
    pub level: Level,
    pub from: u16,
    pub to: u16,
    pub detail: DetailPolicy,
    /// Documents that are open, whose sender replaces the code in them himself.
    pub open: BTreeSet<DocumentId>,
}

/// What became of a code in a project's documents.
#[derive(Debug, Clone, Copy)]
pub struct Replaced {
    pub level: Level,
    pub from: u16,
    pub to: u16,
    /// Documents in which it was replaced.
    pub changed: usize,
    pub failed: usize,
    /// Documents of other models, which stayed as they were.
    pub of_other_models: usize,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Replaced {} code {} by {} in {} other {}.",
            self.level,
            self.from,
            self.to,
            self.changed,
            if self.changed == 1 {
                "picture"
            } else {
                "pictures"
            }
        )?;
        match self.of_other_models {
            0 => Ok(()),
            count => write!(f, " {count} of another model stayed as they were."),
        }
    }
}

impl Job for ReplaceJob {
    type Output = Replaced;
    const LANE: Lane = Lane::Foreground;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Replacing a code in all pictures"
    }

    fn run(self, context: &JobContext) -> Result<Replaced> {
        let hash = ContentHash::of(&self.model.bytes);
        let rows = self.project.call(|project| project.documents())?;
        let (ours, others): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .filter(|row| !self.open.contains(&row.id))
            .partition(|row| row.checkpoint == hash);
        let (mut changed, mut failed) = (0_usize, 0_usize);
        for (number, row) in ours.iter().enumerate() {
            context.check()?;
            context.progress(number as u64, ours.len() as u64);
            match self.replace_in(row.id) {
                Ok(is_changed) => changed += usize::from(is_changed),
                Err(error) => {
                    failed += 1;
                    context.warning(*error.notice);
                }
            }
        }
        Ok(Replaced {
            level: self.level,
            from: self.from,
            to: self.to,
            changed,
            failed,
            of_other_models: others.len(),
        })
    }
}

impl ReplaceJob {
    fn replace_in(&self, id: DocumentId) -> Result<bool> {
        let Stored { mut document, .. } = documents::open(&self.project, id, &self.model)?;
        let before = document.history().clone();
        let mut easel = Easel::new(&mut document, None, &self.alphabet);
        let codes = (self.from, self.to);
        let is_changed = replace_stroke(&mut easel, self.level, codes, self.detail)?.is_some();
        if is_changed {
            documents::journal(&self.project, id, before, document.history().clone())?;
        }
        Ok(is_changed)
    }
}
