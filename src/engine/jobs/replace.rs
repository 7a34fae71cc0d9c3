//! One code in place of another in all documents of a project.

use std::collections::BTreeSet;

use serde_json::json;

use crate::document::tools::{Easel, replace_stroke};
use crate::document::{Alphabet, DetailPolicy, Level};
use crate::engine::documents::{self, Stored};
use crate::engine::event::Outcome;
use crate::engine::model::Model;
use crate::engine::storage::Storage;
use crate::engine::worker::JobContext;
use crate::error::Result;
use crate::progress::Observer;
use crate::project::{ContentHash, DocumentId};

/// Replaces a code in the stored documents of a model, each by a stroke of its own that can be undone there.
pub struct ReplaceJob {
    pub project: Storage,
    pub model: Model,
    /// Of the model's codes; with companions where details are pulled.
    pub alphabet: Alphabet,
    pub level: Level,
    pub from: u16,
    pub to: u16,
    pub detail: DetailPolicy,
    /// Documents that are open, whose sender replaces the code in them himself.
    pub open: BTreeSet<DocumentId>,
}

impl ReplaceJob {
    pub(in crate::engine) fn run(self, context: &JobContext) -> Result<Outcome> {
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
        let Self {
            level, from, to, ..
        } = self;
        let mut summary = format!(
            "Replaced {level} code {from} by {to} in {changed} other {}.",
            if changed == 1 { "picture" } else { "pictures" }
        );
        if !others.is_empty() {
            let count = others.len();
            summary += &format!(" {count} of another model stayed as they were.");
        }
        Ok(Outcome::new(summary).with_report(json!({
            "changed": changed, "failed": failed, "of_other_models": others.len(),
        })))
    }

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
