//! What is in a project, as figures and as a page.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::lanes::job::{Report, file_name, pictures};
use crate::error::Notice;
use crate::foundation::time::rfc3339;
use crate::project::{
    CheckpointKind, CheckpointRow, DocumentRow, PictureCounts, RunRow, RunStatus,
};

/// What is in a project.
#[derive(Debug, Serialize)]
pub struct ProjectInfo {
    pub file_bytes: u64,
    pub pictures: PictureCounts,
    pub runs: Vec<RunInfo>,
    pub checkpoints: Vec<CheckpointInfo>,
    pub documents: Vec<DocumentInfo>,
    /// What would be computed on.
    pub device: String,
    /// Why this device, in words.
    pub device_reason: String,
    #[serde(skip)]
    pub path: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct RunInfo {
    pub id: i64,
    pub name: String,
    pub status: RunStatus,
    pub seed: u64,
    pub device: String,
    /// Date and time, UTC.
    pub created: String,
    /// Why it failed or stopped, where there is something to say.
    pub notice: Option<Notice>,
    /// Counted from 1, for runs without a name.
    #[serde(skip)]
    pub number: u64,
}

#[derive(Debug, Serialize)]
pub struct CheckpointInfo {
    /// What `--checkpoint` takes.
    pub id: i64,
    pub run: Option<i64>,
    pub kind: CheckpointKind,
    pub step: u64,
    pub name: String,
    /// Size of the weights.
    pub bytes: u64,
    pub metrics: serde_json::Value,
}

#[derive(Debug, Serialize)]
pub struct DocumentInfo {
    pub id: i64,
    pub name: String,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// Undone ones included.
    pub strokes: u64,
    pub applied_strokes: u64,
    /// Date and time, UTC.
    pub modified: String,
}

impl From<RunRow> for RunInfo {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            status: row.status,
            seed: row.seed,
            device: row.device,
            created: rfc3339(row.created_ms),
            notice: row.notice,
            number: row.number,
        }
    }
}

impl From<CheckpointRow> for CheckpointInfo {
    fn from(row: CheckpointRow) -> Self {
        Self {
            id: row.id,
            run: row.run,
            kind: row.kind,
            step: row.step,
            name: row.name,
            bytes: row.weights_bytes,
            metrics: row.metrics,
        }
    }
}

impl From<DocumentRow> for DocumentInfo {
    fn from(row: DocumentRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            width: row.width,
            height: row.height,
            strokes: row.strokes,
            applied_strokes: row.applied_strokes,
            modified: rfc3339(row.modified_ms),
        }
    }
}

impl fmt::Display for ProjectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pictures ({} usable), {} runs, {} checkpoints, {} documents.",
            self.pictures.total,
            self.pictures.usable,
            self.runs.len(),
            self.checkpoints.len(),
            self.documents.len()
        )
    }
}

impl Report for ProjectInfo {
    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    fn page(&self) -> Option<String> {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = self.write_page(&mut page);
        Some(page)
    }
}

impl ProjectInfo {
    fn write_page(&self, page: &mut String) -> fmt::Result {
        writeln!(
            page,
            "{} · {}",
            file_name(&self.path),
            size_text(self.file_bytes)
        )?;
        self.write_pictures(page)?;
        self.write_runs(page)?;
        self.write_checkpoints(page)?;
        self.write_documents(page)?;
        let (device, reason) = (&self.device, &self.device_reason);
        write!(page, "\nWould compute on {device}: {reason}.")
    }

    fn write_pictures(&self, page: &mut String) -> fmt::Result {
        let counts = &self.pictures;
        write!(page, "\n{}", pictures(counts.total))?;
        let parts: Vec<String> = [
            (counts.usable, "usable"),
            (counts.excluded, "left out"),
            (counts.missing, "missing"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if !parts.is_empty() {
            write!(page, ": {}", parts.join(", "))?;
        }
        writeln!(page)?;
        for (head, counts) in [("flags", &counts.by_flag), ("folders", &counts.by_label)] {
            if !counts.is_empty() {
                let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
                let counts: Vec<String> = counts.collect();
                writeln!(page, "  {head}: {}", counts.join(", "))?;
            }
        }
        Ok(())
    }

    fn write_runs(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "\n{}", count_text(self.runs.len(), "fine-tune"))?;
        let rows = self.runs.iter().map(|run| {
            let name = match run.name.as_str() {
                "" => format!("Run {}", run.number),
                name => name.to_owned(),
            };
            let why = run
                .notice
                .as_ref()
                .map_or("", |notice| notice.what.as_str());
            [
                run.id.to_string(),
                name,
                word(&run.status),
                run.created.clone(),
                why.to_owned(),
            ]
        });
        write_table(page, rows)
    }

    fn write_checkpoints(&self, page: &mut String) -> fmt::Result {
        writeln!(
            page,
            "\n{}",
            count_text(self.checkpoints.len(), "checkpoint")
        )?;
        let rows = self.checkpoints.iter().map(|row| {
            let run = row
                .run
                .map_or(String::new(), |run| format!("of fine-tune {run}"));
            let score = &row.metrics["evaluation"]["psnr_db"];
            let score = score.as_f64();
            [
                row.id.to_string(),
                match row.name.as_str() {
                    "" => word(&row.kind),
                    name => name.to_owned(),
                },
                run,
                format!("step {}", row.step),
                score.map_or(String::new(), |score| format!("{score:.2} dB")),
                size_text(row.bytes),
            ]
        });
        write_table(page, rows)
    }

    fn write_documents(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "\n{}", count_text(self.documents.len(), "document"))?;
        let rows = self.documents.iter().map(|row| {
            let strokes = match (row.applied_strokes, row.strokes) {
                (applied, all) if applied == all => count_text(all as usize, "stroke"),
                (applied, all) => format!("{applied} of {}", count_text(all as usize, "stroke")),
            };
            [
                row.id.to_string(),
                row.name.clone(),
                format!("{} × {}", row.width, row.height),
                strokes,
                row.modified.clone(),
            ]
        });
        write_table(page, rows)
    }
}

/// Columns as wide as their widest text, empty ends left off.
fn write_table<const COLUMNS: usize>(
    page: &mut String,
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| {
        let texts = rows.iter().map(|row| row[column].chars().count());
        texts.max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in &rows {
        let mut line = String::new();
        for (text, width) in row.iter().zip(widths) {
            write!(line, "  {text:width$}")?;
        }
        writeln!(page, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The name that JSON has for it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// "1 document", "7 documents", "no documents".
fn count_text(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// In the unit that gives few digits.
fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_no_json_and_names_everything() {
        let info = ProjectInfo {
            file_bytes: 12_345_678,
            pictures: PictureCounts {
                total: 3,
                usable: 2,
                missing: 1,
                ..PictureCounts::default()
            },
            runs: vec![RunInfo {
                id: 4,
                name: String::new(),
                status: RunStatus::Finished,
                seed: 0,
                device: "Cpu".into(),
                created: "2026-11-27 13:00 UTC".into(),
                notice: None,
                number: 1,
            }],
            checkpoints: vec![CheckpointInfo {
                id: 9,
                run: Some(4),
                kind: CheckpointKind::Best,
                step: 45,
                name: String::new(),
                bytes: 5_000,
                metrics: serde_json::json!({"evaluation": {"psnr_db": 25.125}}),
            }],
            documents: vec![DocumentInfo {
                id: 2,
                name: "kitten".into(),
                width: 384,
                height: 260,
                strokes: 3,
                applied_strokes: 2,
                modified: "2026-11-27 13:05 UTC".into(),
            }],
            device: "CPU".into(),
            device_reason: "there is no accelerator".into(),
            path: "folder/cats.tessera".into(),
        };
        let page = info.page().unwrap();
        assert_eq!(
            page,
            "cats.tessera · 12.3 MB\n\n\
             3 pictures: 2 usable, 1 missing\n\n\
             1 fine-tune\n  4  Run 1  finished  2026-11-27 13:00 UTC\n\n\
             1 checkpoint\n  9  best  of fine-tune 4  step 45  25.12 dB  5 kB\n\n\
             1 document\n  2  kitten  384 × 260  2 of 3 strokes  2026-11-27 13:05 UTC\n\n\
             Would compute on CPU: there is no accelerator."
        );
    }
}
