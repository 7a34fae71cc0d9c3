//! Fine-tuning runs and their metrics.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::{MAX_NAME_BYTES, MAX_PAGE_ROWS};
use super::sqlite::{
    Doing, bad_value, checked_name, json, not_found, signed, text, to_json, unsigned,
};
use super::{CheckpointId, Project};
use crate::error::{Notice, Result};
use crate::foundation::time::now_ms;

pub type RunId = i64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Running,
    /// Stopped with a resumable checkpoint: by the user, or because the process ended.
    Paused,
    Finished,
    Cancelled,
    Failed,
}

impl RunStatus {
    const ALL: [Self; 5] = [
        Self::Running,
        Self::Paused,
        Self::Finished,
        Self::Cancelled,
        Self::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed)
    }

    /// Whether nothing will go on from here. A failed run may, once the cause is mended.
    fn is_settled(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}

/// What a run is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Empty: "Run 3".
    pub name: String,
    /// The frozen specification: preset, steps, optimizer and so on.
    pub settings: Value,
    pub base_checkpoint: Option<CheckpointId>,
    pub seed: u64,
    /// The device in words: "cpu", "cuda:0".
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub id: RunId,
    /// Counted from 1.
    pub number: u64,
    pub name: String,
    pub settings: Value,
    pub base_checkpoint: Option<CheckpointId>,
    pub seed: u64,
    pub device: String,
    pub status: RunStatus,
    /// Why it failed or stopped, where there is something to say.
    pub notice: Option<Notice>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub updated_ms: i64,
    pub finished_ms: Option<i64>,
}

/// The numbers of one training step, by name ("loss", "psnr", "ssim", …).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MetricRow {
    pub step: u64,
    /// Infinities and NaN are stored as "no number" and come back as NaN.
    pub numbers: BTreeMap<String, f64>,
}

const RUN_COLUMNS: &str = "id, number, name, settings, base_checkpoint, seed, device, status, notice, created_ms, updated_ms, finished_ms";

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let status_text = text(row, 7, MAX_NAME_BYTES)?;
    let notice = match row.get_ref(8)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(json(row, 8)?),
    };
    Ok(RunRow {
        id: row.get(0)?,
        number: unsigned(row, 1)?,
        name: text(row, 2, MAX_NAME_BYTES)?,
        settings: json(row, 3)?,
        base_checkpoint: row.get(4)?,
        seed: row.get::<_, i64>(5)?.cast_unsigned(),
        device: text(row, 6, MAX_NAME_BYTES)?,
        status: RunStatus::ALL
            .into_iter()
            .find(|s| s.as_str() == status_text)
            .ok_or_else(|| bad_value(7, "unknown status"))?,
        notice,
        created_ms: row.get(9)?,
        updated_ms: row.get(10)?,
        finished_ms: row.get(11)?,
    })
}

impl Project {
    /// Adds a run in state `Running`, with the next free number.
    pub fn create_run(&mut self, new: &NewRun) -> Result<RunRow> {
        const DOING: &str = "start a run";
        checked_name("a run's name", &new.name)?;
        checked_name("a device's name", &new.device)?;
        let settings = to_json("a run's settings", &new.settings)?;
        let id = self.transact(DOING, |t, path| {
            let number: i64 = t
                .query_row("SELECT coalesce(max(number), 0) + 1 FROM runs", [], |row| {
                    row.get(0)
                })
                .doing(DOING, path)?;
            let name = if new.name.is_empty() {
                format!("Run {number}")
            } else {
                new.name.clone()
            };
            let now = now_ms();
            t.execute(
                "INSERT INTO runs (number, name, settings, base_checkpoint, seed, device, status, created_ms, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7, ?7)",
                params![number, name, settings, new.base_checkpoint, new.seed.cast_signed(), new.device, now],
            )
            .doing(DOING, path)?;
            Ok(t.last_insert_rowid())
        })?;
        self.run(id)
    }

    pub fn run(&self, id: RunId) -> Result<RunRow> {
        self.connection
            .query_row(
                &format!("SELECT {RUN_COLUMNS} FROM runs WHERE id = ?1"),
                [id],
                run_row,
            )
            .optional()
            .doing("read a run", &self.path)?
            .ok_or_else(|| not_found("the run", &self.path))
    }

    /// All runs, newest first; at most [`MAX_PAGE_ROWS`].
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        self.run_list("WHERE ?1 = ?1", "")
    }

    /// The newest run that was paused or interrupted and has a training state to go on from.
    pub fn resumable_run(&self) -> Result<Option<RunRow>> {
        Ok(self
            .run_list(
                "WHERE status = ?1 AND EXISTS (SELECT 1 FROM checkpoints c WHERE c.run = runs.id AND c.training_state IS NOT NULL)",
                RunStatus::Paused.as_str(),
            )?
            .into_iter()
            .next())
    }

    fn run_list(&self, condition: &str, argument: &str) -> Result<Vec<RunRow>> {
        let list = || -> rusqlite::Result<Vec<RunRow>> {
            self.connection
                .prepare(&format!(
                    "SELECT {RUN_COLUMNS} FROM runs {condition} ORDER BY number DESC LIMIT {MAX_PAGE_ROWS}"
                ))?
                .query_map([argument], run_row)?
                .collect()
        };
        list().doing("list the runs", &self.path)
    }

    /// Sets a run's state; `notice` says why, `None` clears it. A run that is finished or cancelled gives its training
    /// state, two thirds of what it takes on the disk, back.
    pub fn set_run_status(
        &mut self,
        id: RunId,
        status: RunStatus,
        notice: Option<&Notice>,
    ) -> Result<()> {
        const DOING: &str = "change a run's state";
        let notice = notice.map(|n| to_json("a notice", n)).transpose()?;
        let now = now_ms();
        let finished = status.is_final().then_some(now);
        self.transact(DOING, |t, path| {
            let changed = t
                .execute(
                    "UPDATE runs SET status = ?2, notice = ?3, updated_ms = ?4, finished_ms = ?5 WHERE id = ?1",
                    params![id, status.as_str(), notice, now, finished],
                )
                .doing(DOING, path)?;
            if changed == 0 {
                return Err(not_found("the run", path));
            }
            if status.is_settled() {
                t.execute(
                    "UPDATE checkpoints SET training_state = NULL WHERE run = ?1",
                    [id],
                )
                .doing(DOING, path)?;
            }
            Ok(())
        })?;
        if status.is_settled() {
            self.remove_unused_blobs();
            self.give_back_pages(0)?;
        }
        Ok(())
    }

    pub fn rename_run(&mut self, id: RunId, name: &str) -> Result<()> {
        checked_name("a run's name", name)?;
        self.update_one(
            "rename a run",
            "UPDATE runs SET name = ?2 WHERE id = ?1",
            params![id, name],
        )
    }

    /// Deletes a run with its metrics and those of its checkpoints that nothing else needs: pinned
    /// ones, and those a document or another run builds on, stay.
    pub fn delete_run(&mut self, id: RunId) -> Result<()> {
        const DOING: &str = "delete a run";
        self.transact(DOING, |t, path| {
            super::checkpoints::delete_unneeded_of_run(t, id, path)?;
            let changed = t
                .execute("DELETE FROM runs WHERE id = ?1", [id])
                .doing(DOING, path)?;
            if changed == 0 {
                return Err(not_found("the run", path));
            }
            Ok(())
        })?;
        self.remove_unused_blobs();
        Ok(())
    }

    /// Adds or replaces the numbers of some steps.
    pub fn add_metrics(&mut self, run: RunId, rows: &[MetricRow]) -> Result<()> {
        const DOING: &str = "store metrics";
        self.transact(DOING, |t, path| {
            let mut insert = t
                .prepare_cached(
                    "INSERT INTO metrics (run, step, numbers) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run, step) DO UPDATE SET numbers = excluded.numbers",
                )
                .doing(DOING, path)?;
            for row in rows {
                let numbers = to_json("metrics", &row.numbers)?;
                insert
                    .execute(params![run, signed("a step", row.step)?, numbers])
                    .doing(DOING, path)?;
            }
            Ok(())
        })
    }

    /// Forgets the numbers after `step`: a run resumed from there will make them again.
    pub fn delete_metrics_after(&mut self, run: RunId, step: u64) -> Result<()> {
        const DOING: &str = "clear metrics";
        let step = signed("a step", step)?;
        self.transact(DOING, |t, path| {
            t.execute(
                "DELETE FROM metrics WHERE run = ?1 AND step > ?2",
                params![run, step],
            )
            .doing(DOING, path)
            .map(drop)
        })
    }

    /// The numbers of a run from `first_step` on, in order; at most `limit` and [`MAX_PAGE_ROWS`] rows.
    pub fn metrics(&self, run: RunId, first_step: u64, limit: u64) -> Result<Vec<MetricRow>> {
        let first_step = signed("a step", first_step)?;
        let limit = limit.min(MAX_PAGE_ROWS) as i64; // small, so it fits
        let list = || -> rusqlite::Result<Vec<MetricRow>> {
            self.connection
                .prepare_cached(
                    "SELECT step, numbers FROM metrics WHERE run = ?1 AND step >= ?2 ORDER BY step LIMIT ?3",
                )?
                .query_map([run, first_step, limit], |row| {
                    let numbers: BTreeMap<String, Option<f64>> = json(row, 1)?;
                    Ok(MetricRow {
                        step: unsigned(row, 0)?,
                        numbers: numbers
                            .into_iter()
                            .map(|(name, number)| (name, number.unwrap_or(f64::NAN)))
                            .collect(),
                    })
                })?
                .collect()
        };
        list().doing("read metrics", &self.path)
    }

    /// No process runs what the file says is running: we hold the lock.
    pub(super) fn pause_interrupted_runs(&mut self) -> Result<()> {
        const DOING: &str = "pause interrupted runs";
        let has_some: bool = self
            .connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM runs WHERE status = 'running')",
                [],
                |row| row.get(0),
            )
            .doing(DOING, &self.path)?;
        if !has_some {
            return Ok(());
        }
        let notice = to_json(
            "a notice",
            &Notice::new(
                "the run stopped early",
                "the program ended while it ran",
                "Resume it",
            ),
        )?;
        self.transact(DOING, |t, path| {
            t.execute(
                "UPDATE runs SET status = 'paused', notice = ?1 WHERE status = 'running'",
                [&notice],
            )
            .doing(DOING, path)
            .map(drop)
        })
    }

    /// An update that must hit exactly the row it names.
    pub(super) fn update_one(
        &mut self,
        doing: &str,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<()> {
        self.transact(doing, |t, path| {
            match t.execute(sql, values).doing(doing, path)? {
                0 => Err(not_found("what to change", path)),
                _ => Ok(()),
            }
        })
    }
}
