//! Checkpoints: immutable weights with their config and metrics, and the state that lets a run go on.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blobs::{self, BlobId, BlobWrite};
use super::limits::{MAX_NAME_BYTES, MAX_PAGE_ROWS};
use super::sqlite::{
    Doing, bad_value, checked_name, json, not_found, signed, text, to_json, unsigned,
};
use super::{ContentHash, Project, RunId};
use crate::error::{Error, Kind, Result};
use crate::foundation::time::now_ms;

pub type CheckpointId = i64;

/// Unused pages kept for the next checkpoint instead of being given back to the disk, in sizes of the
/// one just written: the next one needs that much while its predecessor is still there.
const KEEP_SIZES: u64 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// The run's best by held-out score; replaces the former best.
    Best,
    /// The run's newest; replaces the former last.
    Last,
    /// Brought in from outside, as a start for runs.
    Base,
    /// Kept until deleted.
    Named,
}

impl CheckpointKind {
    const ALL: [Self; 4] = [Self::Best, Self::Last, Self::Base, Self::Named];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
            Self::Base => "base",
            Self::Named => "named",
        }
    }

    fn replaces_its_predecessor(self) -> bool {
        matches!(self, Self::Best | Self::Last)
    }
}

/// A checkpoint to be stored.
#[derive(Debug, Clone)]
pub struct NewCheckpoint<'a> {
    pub run: Option<RunId>,
    pub kind: CheckpointKind,
    pub step: u64,
    pub name: &'a str,
    /// The codec's config.
    pub config: Value,
    /// The held-out metrics, and what else describes it.
    pub metrics: Value,
    /// A safetensors file.
    pub weights: Cow<'a, [u8]>,
    /// What resuming needs beyond the weights: optimizer, step, random state, data order.
    pub training_state: Option<Cow<'a, [u8]>>,
}

/// A checkpoint on its way into the file, in steps of one short transaction each, so that a stroke that is stored meanwhile
/// waits for one of them and not for the whole. Until [`Self::advance`] gives the row, the former checkpoint is whole; a write that
/// is left unfinished is cleared away at the next opening.
#[derive(Debug)]
pub struct CheckpointWrite<'a> {
    run: Option<RunId>,
    kind: CheckpointKind,
    step: i64,
    name: &'a str,
    config: String,
    metrics: String,
    weights: BlobWrite<'a>,
    training_state: Option<BlobWrite<'a>>,
    /// Bytes of weights and training state together.
    bytes: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Values,
    /// The row is stored; what it replaced is being removed,
    Remove(CheckpointId),
    /// and the space given back.
    GiveBack(CheckpointId),
}

impl<'a> CheckpointWrite<'a> {
    /// Hashes the large values: not on the thread that owns the project.
    ///
    /// # Errors
    /// `Limit`.
    pub fn new(new: NewCheckpoint<'a>) -> Result<Self> {
        checked_name("a checkpoint's name", new.name)?;
        let length = |bytes: &Cow<'_, [u8]>| bytes.len() as u64;
        Ok(Self {
            run: new.run,
            kind: new.kind,
            step: signed("a step", new.step)?,
            name: new.name,
            config: to_json("a model's config", &new.config)?,
            metrics: to_json("a checkpoint's metrics", &new.metrics)?,
            bytes: length(&new.weights) + new.training_state.as_ref().map_or(0, length),
            weights: BlobWrite::new(new.weights)?,
            training_state: new.training_state.map(BlobWrite::new).transpose()?,
            phase: Phase::Values,
        })
    }

    /// Goes on by one transaction; the row, once everything is done.
    ///
    /// # Errors
    /// `DiskFull`; the former checkpoint stays, and nothing of the new one.
    pub fn advance(&mut self, project: &mut Project) -> Result<Option<CheckpointRow>> {
        let row = self.next(project)?;
        // Else the log's pages would be carried over by whoever comes next: a stroke.
        project.carry_log_over()?;
        Ok(row)
    }

    fn next(&mut self, project: &mut Project) -> Result<Option<CheckpointRow>> {
        match self.phase {
            Phase::Values => {
                let stored = self.store_some(project);
                if !matches!(stored, Ok(None)) {
                    self.release(project);
                }
                if stored.is_err() {
                    project.remove_unused_blobs();
                }
                if let Some(id) = stored? {
                    self.phase = Phase::Remove(id);
                }
            }
            // It is stored: what cannot be tidied now is tidied at the next opening.
            Phase::Remove(id) => {
                if !told(project.remove_some_unused()) {
                    self.phase = Phase::GiveBack(id);
                }
            }
            Phase::GiveBack(id) => {
                if !told(project.give_back_some(KEEP_SIZES * self.bytes)) {
                    return project.checkpoint(id).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn release(&self, project: &mut Project) {
        self.weights.release(project);
        if let Some(state) = &self.training_state {
            state.release(project);
        }
    }

    /// The next piece of a value; with both in the file, the row.
    fn store_some(&mut self, project: &mut Project) -> Result<Option<CheckpointId>> {
        const DOING: &str = "store a checkpoint";
        let Some(weights) = self.weights.id() else {
            return self.weights.step(project).map(|()| None);
        };
        let mut training_state = None;
        if let Some(state) = &mut self.training_state {
            let Some(id) = state.id() else {
                return state.step(project).map(|()| None);
            };
            training_state = Some(id);
        }
        let id = project.transact(DOING, |t, path| {
            blobs::complete(t, weights, path)?;
            if let Some(state) = training_state {
                blobs::complete(t, state, path)?;
            }
            if let Some(run) = self.run {
                if self.kind.replaces_its_predecessor() {
                    retire_predecessors(t, run, self.kind).doing(DOING, path)?;
                }
                if training_state.is_some() {
                    t.execute(
                        "UPDATE checkpoints SET training_state = NULL WHERE run = ?1",
                        [run],
                    )
                    .doing(DOING, path)?;
                }
            }
            t.execute(
                "INSERT INTO checkpoints (run, kind, step, name, config, metrics, weights, training_state, pinned, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9)",
                params![self.run, self.kind.as_str(), self.step, self.name, self.config, self.metrics, weights, training_state, now_ms()],
            )
            .doing(DOING, path)?;
            Ok(t.last_insert_rowid())
        })?;
        Ok(Some(id))
    }
}

/// Whether there is more to tidy; a failure is logged and ends it.
fn told(more: Result<bool>) -> bool {
    more.unwrap_or_else(|error| {
        log::warn!("{error}");
        false
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRow {
    pub id: CheckpointId,
    pub run: Option<RunId>,
    pub kind: CheckpointKind,
    pub step: u64,
    pub name: String,
    pub config: Value,
    pub metrics: Value,
    /// The BLAKE3 hash of the weights: the name documents know them by.
    pub hash: ContentHash,
    pub weights_bytes: u64,
    /// Size of the training state, `None` where there is none.
    pub training_state_bytes: Option<u64>,
    pub pinned: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

const SELECT: &str = "SELECT c.id, c.run, c.kind, c.step, c.name, c.config, c.metrics, w.blake3, w.length, s.length, c.pinned, c.created_ms
     FROM checkpoints c JOIN blobs w ON w.id = c.weights LEFT JOIN blobs s ON s.id = c.training_state";

/// A checkpoint that a document or another run builds on, or that the user pinned.
const IS_NEEDED: &str = "(pinned = 1
     OR EXISTS (SELECT 1 FROM documents d JOIN blobs b ON b.blake3 = d.checkpoint WHERE b.id = checkpoints.weights)
     OR EXISTS (SELECT 1 FROM runs r WHERE r.base_checkpoint = checkpoints.id AND r.id IS NOT checkpoints.run))";

fn checkpoint_row(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    let kind_text = text(row, 2, MAX_NAME_BYTES)?;
    Ok(CheckpointRow {
        id: row.get(0)?,
        run: row.get(1)?,
        kind: CheckpointKind::ALL
            .into_iter()
            .find(|k| k.as_str() == kind_text)
            .ok_or_else(|| bad_value(2, "unknown kind"))?,
        step: unsigned(row, 3)?,
        name: text(row, 4, MAX_NAME_BYTES)?,
        config: json(row, 5)?,
        metrics: json(row, 6)?,
        hash: row.get(7)?,
        weights_bytes: unsigned(row, 8)?,
        training_state_bytes: match row.get_ref(9)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(unsigned(row, 9)?),
        },
        pinned: row.get(10)?,
        created_ms: row.get(11)?,
    })
}

/// Takes the run's former checkpoints of this kind away; a needed one stays as a named one.
fn retire_predecessors(
    t: &Transaction<'_>,
    run: RunId,
    kind: CheckpointKind,
) -> rusqlite::Result<()> {
    t.execute(
        &format!("DELETE FROM checkpoints WHERE run = ?1 AND kind = ?2 AND NOT {IS_NEEDED}"),
        params![run, kind.as_str()],
    )?;
    t.execute(
        "UPDATE checkpoints SET kind = 'named', name = CASE name WHEN '' THEN 'Step ' || step ELSE name END
         WHERE run = ?1 AND kind = ?2",
        params![run, kind.as_str()],
    )
    .map(drop)
}

/// Deletes the checkpoints that only this run needed; the others lose their training state.
pub(super) fn delete_unneeded_of_run(t: &Transaction<'_>, run: RunId, path: &Path) -> Result<()> {
    const DOING: &str = "delete a run's checkpoints";
    t.execute(
        &format!("DELETE FROM checkpoints WHERE run = ?1 AND NOT {IS_NEEDED}"),
        [run],
    )
    .doing(DOING, path)?;
    t.execute(
        "UPDATE checkpoints SET training_state = NULL, kind = 'named' WHERE run = ?1",
        [run],
    )
    .doing(DOING, path)
    .map(drop)
}

impl Project {
    /// Stores a checkpoint. A `Best` or `Last` one takes the place of the run's former one of that kind,
    /// and a new training state that of the run's older ones, so a run's size does not grow with its
    /// length. Equal weights are stored once. Until this returns, the former checkpoint is whole.
    ///
    /// # Errors
    /// `DiskFull`, `Limit`; the former checkpoint stays.
    pub fn save_checkpoint(&mut self, new: &NewCheckpoint<'_>) -> Result<CheckpointRow> {
        let mut write = CheckpointWrite::new(NewCheckpoint {
            weights: Cow::Borrowed(&new.weights),
            training_state: new.training_state.as_deref().map(Cow::Borrowed),
            config: new.config.clone(),
            metrics: new.metrics.clone(),
            ..*new
        })?;
        loop {
            if let Some(row) = write.advance(self)? {
                return Ok(row);
            }
        }
    }

    pub fn checkpoint(&self, id: CheckpointId) -> Result<CheckpointRow> {
        self.first_checkpoint("c.id = ?1", id)?
            .ok_or_else(|| not_found("the checkpoint", &self.path))
    }

    /// A checkpoint with these weights.
    pub fn checkpoint_by_hash(&self, hash: ContentHash) -> Result<Option<CheckpointRow>> {
        self.first_checkpoint("w.blake3 = ?1", hash)
    }

    /// The newest checkpoint of this run that training can go on from.
    pub fn resumable_checkpoint(&self, run: RunId) -> Result<Option<CheckpointRow>> {
        self.first_checkpoint("c.run = ?1 AND c.training_state IS NOT NULL", run)
    }

    /// The newest checkpoint of a kind, of any run.
    pub fn newest_checkpoint(&self, kind: CheckpointKind) -> Result<Option<CheckpointRow>> {
        self.first_checkpoint("c.kind = ?1", kind.as_str())
    }

    /// A run's checkpoint of a kind.
    pub fn run_checkpoint(
        &self,
        run: RunId,
        kind: CheckpointKind,
    ) -> Result<Option<CheckpointRow>> {
        // `kind` is one of our own words.
        self.first_checkpoint(&format!("c.run = ?1 AND c.kind = '{}'", kind.as_str()), run)
    }

    fn first_checkpoint(
        &self,
        condition: &str,
        value: impl rusqlite::ToSql,
    ) -> Result<Option<CheckpointRow>> {
        self.connection
            .query_row(
                &format!("{SELECT} WHERE {condition} ORDER BY c.id DESC LIMIT 1"),
                [value],
                checkpoint_row,
            )
            .optional()
            .doing("read a checkpoint", &self.path)
    }

    /// All checkpoints, newest first; at most [`MAX_PAGE_ROWS`].
    pub fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        let list = || -> rusqlite::Result<Vec<CheckpointRow>> {
            self.connection
                .prepare(&format!(
                    "{SELECT} ORDER BY c.id DESC LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([], checkpoint_row)?
                .collect()
        };
        list().doing("list the checkpoints", &self.path)
    }

    fn blobs_of(&self, id: CheckpointId) -> Result<(BlobId, Option<BlobId>)> {
        self.connection
            .query_row(
                "SELECT weights, training_state FROM checkpoints WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .doing("read a checkpoint", &self.path)?
            .ok_or_else(|| not_found("the checkpoint", &self.path))
    }

    /// The weights: a safetensors file whose hash was checked. Its content is still a stranger's.
    ///
    /// # Errors
    /// `Damaged` where the bytes are not those that were stored.
    pub fn checkpoint_weights(&self, id: CheckpointId) -> Result<Vec<u8>> {
        self.read_blob_to_vec(self.blobs_of(id)?.0)
    }

    /// Writes the weights to `out` without holding them in memory.
    ///
    /// # Errors
    /// `Damaged` where the bytes are not those that were stored; `out` is then to be thrown away.
    pub fn write_checkpoint_weights(&self, id: CheckpointId, out: &mut dyn Write) -> Result<()> {
        self.read_blob(self.blobs_of(id)?.0, out)
    }

    /// What resuming needs beyond the weights, where this checkpoint has it.
    pub fn checkpoint_training_state(&self, id: CheckpointId) -> Result<Option<Vec<u8>>> {
        self.blobs_of(id)?
            .1
            .map(|blob| self.read_blob_to_vec(blob))
            .transpose()
    }

    /// A pinned checkpoint is never replaced.
    pub fn pin_checkpoint(&mut self, id: CheckpointId, pinned: bool) -> Result<()> {
        self.update_one(
            "pin a checkpoint",
            "UPDATE checkpoints SET pinned = ?2 WHERE id = ?1",
            params![id, pinned],
        )
    }

    pub fn rename_checkpoint(&mut self, id: CheckpointId, name: &str) -> Result<()> {
        checked_name("a checkpoint's name", name)?;
        self.update_one(
            "rename a checkpoint",
            "UPDATE checkpoints SET name = ?2 WHERE id = ?1",
            params![id, name],
        )
    }

    /// # Errors
    /// `Usage` where a document's codes can only be read with these weights.
    pub fn delete_checkpoint(&mut self, id: CheckpointId) -> Result<()> {
        const DOING: &str = "delete a checkpoint";
        let row = self.checkpoint(id)?;
        self.transact(DOING, |t, path| {
            let is_last_of_a_document: bool = t
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM documents WHERE checkpoint = ?1)
                     AND NOT EXISTS (SELECT 1 FROM checkpoints c JOIN blobs b ON b.id = c.weights WHERE b.blake3 = ?1 AND c.id <> ?2)",
                    params![row.hash, id],
                    |r| r.get(0),
                )
                .doing(DOING, path)?;
            if is_last_of_a_document {
                return Err(Error::new(
                    Kind::Usage,
                    "could not delete the checkpoint",
                    "a document is painted with its codes",
                    "Delete that document first, or encode it with another checkpoint",
                )
                .at(path));
            }
            t.execute("DELETE FROM checkpoints WHERE id = ?1", [id])
                .doing(DOING, path)
                .map(drop)
        })?;
        self.remove_unused_blobs();
        self.give_back_pages(0)
    }
}
