//! Events as lines: JSON for programs, a progress bar and sentences for people.

use std::fmt::Display;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use tessera::engine::{Event, EventKind, JobId, Report};
use tessera::error::{Error, Kind, Result};

/// Warnings shown one by one; the rest are counted, and stand in the project's report.
const SHOWN_WARNINGS: usize = 20;

pub struct Printer {
    is_json: bool,
    is_quiet: bool,
    bar: Option<ProgressBar>,
    warnings: usize,
    has_shown_failure: bool,
    /// Why results cannot be written any more.
    failure: Option<io::Error>,
}

/// The last event of a job that finished, for programs.
#[derive(Serialize)]
struct Finished<'a> {
    job: JobId,
    event: &'static str,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
}

impl Printer {
    pub fn new(is_json: bool, is_quiet: bool) -> Self {
        Self {
            is_json,
            is_quiet,
            bar: None,
            warnings: 0,
            has_shown_failure: false,
            failure: None,
        }
    }

    pub fn event(&mut self, event: &Event) {
        if self.is_json {
            // That one comes with the job's output.
            if !matches!(event.kind, EventKind::Finished) {
                self.json(event);
                self.has_shown_failure |= event.kind.is_final();
            }
            return;
        }
        match &event.kind {
            EventKind::Started { title } => {
                self.warnings = 0;
                self.note(title);
                self.bar = Some(self.new_bar());
            }
            EventKind::Progress {
                done,
                total,
                eta_secs,
            } => {
                if let Some(bar) = &self.bar {
                    bar.set_length(*total);
                    bar.set_position(*done);
                    bar.set_message(eta_text(*eta_secs));
                }
            }
            EventKind::Metrics(metrics) => {
                if metrics.phase == "eval" {
                    self.line(&format!("  {}", figures(metrics)));
                }
            }
            EventKind::Preview(_) => {}
            EventKind::Warning(notice) => {
                self.warnings += 1;
                if self.warnings <= SHOWN_WARNINGS {
                    self.line(&format!("  ! {notice}"));
                }
            }
            EventKind::Finished => self.end_bar(),
            EventKind::Cancelled { kept } => {
                self.end_bar();
                say(format_args!("Stopped. {kept}"));
                self.has_shown_failure = true;
            }
            EventKind::Failed { kind, notice } => {
                self.end_bar();
                say(format_args!("error: {notice}"));
                advise(*kind);
                self.has_shown_failure = true;
            }
        }
    }

    /// What a job that finished gave.
    pub fn finished(&mut self, job: JobId, report: &impl Report) {
        let files = report.files();
        let files = files.iter().map(|path| path.to_string_lossy().into_owned());
        let files: Vec<String> = files.collect();
        let figures = serde_json::to_value(report).unwrap_or_else(|error| {
            log::error!("a report could not be written as JSON: {error}");
            Value::Null
        });
        let has_figures = figures.as_object().is_none_or(|fields| !fields.is_empty());
        let figures = Some(&figures).filter(|_| has_figures);
        if self.is_json {
            self.json(&Finished {
                job,
                event: "finished",
                summary: report.to_string(),
                report: figures,
                files,
            });
            return;
        }
        match (report.page(), figures) {
            (Some(page), _) => self.out(&page),
            (None, figures) => {
                self.note(&report.to_string());
                // A report is the job's result, not talk about it.
                figures
                    .map_or_else(Vec::new, lines_of)
                    .iter()
                    .for_each(|line| self.out(line));
            }
        }
        files.iter().for_each(|file| self.out(file));
    }

    /// An error that no job reported.
    pub fn error(&mut self, error: &Error) {
        if self.has_shown_failure {
            return;
        }
        if self.is_json && self.failure.is_none() {
            self.json(&EventKind::failed(error.clone()));
        } else {
            say(format_args!("error: {error}"));
            advise(error.kind);
        }
    }

    pub fn note(&self, text: &str) {
        if !self.is_quiet && !self.is_json {
            say(text);
        }
    }

    /// Whether nobody reads the output any more: of `… | head`, the end.
    pub fn has_lost_its_reader(&self) -> bool {
        (self.failure.as_ref()).is_some_and(|why| why.kind() == io::ErrorKind::BrokenPipe)
    }

    /// # Errors
    /// Where results could not be written, unless it was their reader who left.
    pub fn end(&self) -> Result<()> {
        match &self.failure {
            Some(source) if !self.has_lost_its_reader() => {
                let what = "could not write the output";
                Err(Error::new(
                    Kind::Io,
                    what,
                    source.to_string(),
                    "Check where it goes to",
                ))
            }
            _ => Ok(()),
        }
    }

    fn json(&mut self, event: &impl Serialize) {
        match serde_json::to_string(event) {
            Ok(line) => self.out(&line),
            Err(error) => log::error!("an event could not be written as JSON: {error}"),
        }
    }

    /// A line of results.
    fn out(&mut self, line: &str) {
        if self.failure.is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        self.failure = written.err();
    }

    /// A line above the progress bar.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) if !bar.is_hidden() => bar.println(text),
            _ => self.note(text),
        }
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.warnings > SHOWN_WARNINGS {
            let more = self.warnings - SHOWN_WARNINGS;
            self.note(&format!("  ! and {more} more"));
        }
    }

    fn new_bar(&self) -> ProgressBar {
        let target = if self.is_quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "  {bar:40} {pos}/{len} · {elapsed} · {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar
    }
}

fn eta_text(eta_secs: Option<f64>) -> String {
    match eta_secs {
        None => "–".into(),
        Some(secs) if secs < 60.0 => format!("{secs:.0} s left"),
        Some(secs) if secs < 5400.0 => format!("{:.0} min left", secs / 60.0),
        Some(secs) => format!("{:.1} h left", secs / 3600.0),
    }
}

fn figures(metrics: &tessera::engine::Metrics) -> String {
    let values: Vec<String> = metrics
        .values
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect();
    format!("step {}: {}", metrics.step, values.join(" · "))
}

/// A line of talk. Where nobody hears it, work goes on.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// How to do here what an error advises.
fn advise(kind: Kind) {
    let hint = match kind {
        Kind::Device => "`--device cpu` computes on the CPU; `tessera-cli selftest` tells more",
        Kind::ReadOnly => "`tessera-cli info` shows a project that may not be written to",
        _ => return,
    };
    say(format_args!("{hint}."));
}

/// A report's top level as aligned lines; a list has one line for each entry.
fn lines_of(report: &Value) -> Vec<String> {
    let Value::Object(entries) = report else {
        return vec![format!("{report:#}")];
    };
    let width = entries.keys().map(|key| key.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut lines = Vec::new();
    for (key, value) in entries {
        match value {
            Value::Array(items) if items.iter().all(Value::is_string) => {
                lines.push(format!("  {key:width$}"));
                lines.extend(items.iter().map(|item| format!("    {}", one_line(item))));
            }
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    let key = if index == 0 { key } else { "" };
                    lines.push(format!("  {key:width$}  {}", one_line(item)));
                }
            }
            other => lines.push(format!("  {key:width$}  {}", one_line(other))),
        }
    }
    lines
}

/// `name value · name value` for an object of plain values; what is nested deeper stays JSON.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    other => format!("{name} {other}"),
                })
                .collect();
            fields.join(" · ")
        }
        other => other.to_string(),
    }
}
