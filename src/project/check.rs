//! A look at everything a project holds, beyond what opening it checks.

use super::limits::MAX_VALUE_BYTES;
use super::snapshots::{decode_checked, snapshot_layers};
use super::sqlite::{Doing, bytes, unsigned};
use super::strokes::StoredStroke;
use super::{DocumentRow, Project};
use crate::document::{Codes, LayerStack};
use crate::error::{Kind, Notice, Result};
use crate::progress::Observer;

/// Findings of SQLite's own check that are listed one by one.
const MAX_PAGE_FINDINGS: usize = 100;

impl Project {
    /// Checks pages, references, the hash of every large value, every entry's form, and that each
    /// document's journal leads from its codes as encoded to its snapshots. Changes nothing.
    /// Returns one notice per finding; none means the project is whole.
    ///
    /// # Errors
    /// `Cancelled`, and `Io` where the file cannot be read at all.
    pub fn check(&self, observer: &dyn Observer) -> Result<Vec<Notice>> {
        let mut findings = Vec::new();
        self.check_pages(&mut findings)?;
        observer.check()?;
        self.check_references(&mut findings)?;
        self.check_rows(&mut findings)?;
        // Not those that are being written or removed.
        let whole = format!(
            "SELECT id FROM blobs WHERE complete = 1 OR NOT ({}) ORDER BY id",
            super::blobs::UNREFERENCED
        );
        let blobs = self.ids(&whole, &mut findings)?;
        let documents = self.ids("SELECT id FROM documents ORDER BY id", &mut findings)?;
        let total = (blobs.len() + documents.len()) as u64;
        let mut done = 0;
        for blob in blobs {
            observer.check()?;
            self.note(&mut findings, self.read_blob(blob, &mut std::io::sink()))?;
            done += 1;
            observer.progress(done, total);
        }
        for id in documents {
            observer.check()?;
            let outcome = self
                .document(id)
                .and_then(|row| self.check_document(&row, observer, &mut findings));
            self.note(&mut findings, outcome)?;
            done += 1;
            observer.progress(done, total);
        }
        Ok(findings)
    }

    /// Damage is a finding; anything else ends the check.
    fn note(&self, findings: &mut Vec<Notice>, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(e)
                if matches!(
                    e.kind,
                    Kind::Damaged | Kind::Limit | Kind::NotFound | Kind::Usage
                ) =>
            {
                findings.push(*e.notice);
                Ok(())
            }
            other => other,
        }
    }

    fn finding(&self, what: String, why: impl Into<String>) -> Notice {
        Notice::new(what, why, "Open a copy saved earlier").at(&self.path)
    }

    fn ids(&self, sql: &str, findings: &mut Vec<Notice>) -> Result<Vec<i64>> {
        let list = || -> rusqlite::Result<Vec<i64>> {
            self.connection
                .prepare(sql)?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        match list().doing("list what to check", &self.path) {
            Ok(ids) => Ok(ids),
            Err(e) => self.note(findings, Err(e)).map(|()| Vec::new()),
        }
    }

    fn check_pages(&self, findings: &mut Vec<Notice>) -> Result<()> {
        let list = || -> rusqlite::Result<Vec<String>> {
            self.connection
                .prepare(&format!("PRAGMA integrity_check({MAX_PAGE_FINDINGS})"))?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        match list().doing("check the pages", &self.path) {
            Ok(lines) => findings.extend(
                lines
                    .into_iter()
                    .filter(|line| line != "ok")
                    .map(|line| self.finding("pages do not fit together".to_owned(), line)),
            ),
            Err(e) => self.note(findings, Err(e))?,
        }
        Ok(())
    }

    fn check_references(&self, findings: &mut Vec<Notice>) -> Result<()> {
        let list = || -> rusqlite::Result<Vec<(String, Option<i64>, String)>> {
            self.connection
                .prepare("PRAGMA foreign_key_check")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .take(MAX_PAGE_FINDINGS)
                .collect()
        };
        match list().doing("check the references", &self.path) {
            Ok(rows) => findings.extend(rows.into_iter().map(|(table, row, target)| {
                self.finding(
                    format!("an entry of {table} refers to nothing"),
                    format!("entry {} names one of {target}", row.unwrap_or(0)),
                )
            })),
            Err(e) => self.note(findings, Err(e))?,
        }
        Ok(())
    }

    /// Reads every list as the program would.
    fn check_rows(&self, findings: &mut Vec<Notice>) -> Result<()> {
        self.note(findings, self.runs().map(drop))?;
        self.note(findings, self.checkpoints().map(drop))?;
        self.note(findings, self.imports().map(drop))?;
        const PAGE_ROWS: u64 = 1000;
        let mut after = super::PictureId::MIN;
        loop {
            match self.pictures_after(&super::PictureFilter::default(), after, PAGE_ROWS) {
                Ok(rows) => match rows.last() {
                    Some(last) => after = last.id,
                    None => break,
                },
                Err(e) => {
                    self.note(findings, Err(e))?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Replays the whole journal.
    fn check_document(
        &self,
        row: &DocumentRow,
        observer: &dyn Observer,
        findings: &mut Vec<Notice>,
    ) -> Result<()> {
        const DOING: &str = "check a document";
        let name = format!("document {} (“{}”)", row.id, row.name);
        if self.checkpoint_by_hash(row.checkpoint)?.is_none() {
            findings.push(self.finding(
                format!("{name} cannot be decoded"),
                format!("the project has no checkpoint {}", row.checkpoint),
            ));
        }
        let mut snapshots = self.snapshots(row)?.into_iter().peekable();
        let encoded: Codes = match snapshots.next() {
            Some((0, stored, false)) => decode_checked(&stored, row)?,
            _ => {
                findings.push(self.finding(
                    format!("{name} has no codes"),
                    "its codes as encoded are missing",
                ));
                return Ok(());
            }
        };
        let mut stack = LayerStack::default();
        let sources = self.document_sources(row.id)?.len();
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {} FROM strokes WHERE document = ?1 ORDER BY number",
                StoredStroke::COLUMNS
            ))
            .doing(DOING, &self.path)?;
        let mut rows = statement.query([row.id]).doing(DOING, &self.path)?;
        let mut last = 0;
        while let Some(r) = rows.next().doing(DOING, &self.path)? {
            observer.check()?;
            let number = unsigned(r, 0).doing(DOING, &self.path)?;
            if number != last + 1 {
                findings.push(self.finding(
                    format!("{name} has lost strokes"),
                    format!("stroke {} is missing", last + 1),
                ));
                return Ok(());
            }
            last = number;
            let stroke = StoredStroke::read(r)
                .doing(DOING, &self.path)?
                .decode(row)?;
            stroke.check_sources(sources)?;
            if !stroke.follows(&stack, &encoded) {
                findings.push(self.finding(
                    format!("{name} has a broken history"),
                    format!("stroke {number} does not follow from the one before"),
                ));
                return Ok(());
            }
            stroke.apply(&mut stack, &encoded);
            if let Some((_, stored, is_layered)) = snapshots.next_if(|(after, ..)| *after == number)
                && snapshot_layers(&stored, is_layered, row, &encoded)?.layers() != stack.layers()
            {
                findings.push(self.finding(
                    format!("{name} has a wrong snapshot"),
                    format!("replaying {number} strokes gives other codes"),
                ));
            }
        }
        if let Some((after, ..)) = snapshots.next() {
            findings.push(self.finding(
                format!("{name} has a wrong snapshot"),
                format!("it stands after stroke {after} of {last}"),
            ));
        }
        Ok(())
    }

    /// Stored codes, or layers where the third value says so, by the number of strokes they include, those as
    /// encoded first.
    fn snapshots(&self, row: &DocumentRow) -> Result<Vec<(u64, Vec<u8>, bool)>> {
        const DOING: &str = "check a document";
        // One snapshot is all that Tessera keeps; a forged file may bring more than memory holds.
        let list = || -> rusqlite::Result<Vec<(u64, Vec<u8>, bool)>> {
            self.connection
                .prepare_cached(
                    "SELECT applied_strokes, coalesce(layers, codes), layers IS NOT NULL FROM document_codes
                     WHERE document = ?1 ORDER BY applied_strokes LIMIT 2",
                )?
                .query_map([row.id], |r| {
                    Ok((unsigned(r, 0)?, bytes(r, 1, MAX_VALUE_BYTES)?, r.get(2)?))
                })?
                .collect()
        };
        list().doing(DOING, &self.path)
    }
}
