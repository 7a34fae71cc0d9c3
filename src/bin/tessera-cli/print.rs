//! Events as lines: JSON for programs, a progress bar and sentences for people.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tessera::engine::{Event, EventKind};
use tessera::error::Error;

/// Warnings shown one by one; the rest are counted, and stand in the project's report.
const SHOWN_WARNINGS: usize = 20;

pub struct Printer {
    is_json: bool,
    is_quiet: bool,
    bar: Option<ProgressBar>,
    warnings: usize,
    has_shown_failure: bool,
}

impl Printer {
    pub fn new(is_json: bool, is_quiet: bool) -> Self {
        Self {
            is_json,
            is_quiet,
            bar: None,
            warnings: 0,
            has_shown_failure: false,
        }
    }

    pub fn event(&mut self, event: &Event) {
        if self.is_json {
            match serde_json::to_string(event) {
                Ok(line) => println!("{line}"),
                Err(error) => log::error!("an event could not be written as JSON: {error}"),
            }
            self.has_shown_failure |= event.kind.is_final();
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
            EventKind::Finished(outcome) => {
                self.end_bar();
                self.note(&outcome.summary);
                // A report is the job's result, not talk about it.
                if !outcome.report.is_null() {
                    print_report(&outcome.report);
                }
                for file in &outcome.files {
                    println!("{file}");
                }
            }
            EventKind::Cancelled { kept } => {
                self.end_bar();
                eprintln!("Stopped. {kept}");
                self.has_shown_failure = true;
            }
            EventKind::Failed { notice, .. } => {
                self.end_bar();
                eprintln!("error: {notice}");
                self.has_shown_failure = true;
            }
        }
    }

    /// An error that no job reported.
    pub fn error(&mut self, error: &Error) {
        if self.has_shown_failure {
            return;
        }
        if self.is_json {
            let failed = EventKind::failed(error.clone());
            match serde_json::to_string(&failed) {
                Ok(line) => println!("{line}"),
                Err(error) => log::error!("an event could not be written as JSON: {error}"),
            }
        } else {
            eprintln!("error: {error}");
        }
    }

    pub fn note(&self, text: &str) {
        if !self.is_quiet && !self.is_json {
            eprintln!("{text}");
        }
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

/// A report's top level as aligned lines; a list has one line for each entry.
fn print_report(report: &Value) {
    let Value::Object(entries) = report else {
        println!("{report:#}");
        return;
    };
    let width = entries.keys().map(|key| key.chars().count()).max();
    let width = width.unwrap_or(0);
    for (key, value) in entries {
        let lines: Vec<String> = match value {
            Value::Array(items) if items.iter().all(Value::is_string) => {
                println!("  {key:width$}");
                for item in items {
                    println!("    {}", one_line(item));
                }
                continue;
            }
            Value::Array(items) if items.iter().all(Value::is_object) => {
                items.iter().map(one_line).collect()
            }
            other => vec![one_line(other)],
        };
        for (index, line) in lines.iter().enumerate() {
            let key = if index == 0 { key } else { "" };
            println!("  {key:width$}  {line}");
        }
    }
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
