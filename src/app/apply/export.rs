//! Writing pictures to files.

use std::path::PathBuf;

use super::super::command::Command;
use super::super::dialogs::Question;
use super::super::state::{ExportForm, file_name};
use super::super::{App, Severity};
use crate::engine::{ExportTarget, Job, SnapshotJob};
use crate::error::Notice;
use crate::foundation::time::{local_date_and_time, now_ms};

impl App {
    pub(super) fn apply_export(&mut self, command: Command) {
        match command {
            Command::SetExport(form) => self.state.export = form,
            Command::ChooseExportFolder => self.ask(Question::ExportFolder),
            Command::ExportFolder(folder) => {
                self.state.export.folder.clone_from(&folder);
                self.state.settings.export_folder = Some(folder);
                self.save_settings();
            }
            Command::Export => self.export(),
            _ => {}
        }
    }

    fn export(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            self.state.notices.push(
                Severity::Warning,
                Notice::new(
                    "there is nothing to export",
                    "no picture is open",
                    "Open one first",
                ),
            );
            return;
        };
        let form = &self.state.export;
        let path = file_path(form, &canvas.name, canvas.model_name());
        let job = SnapshotJob {
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
            out: ExportTarget {
                path,
                existing: form.existing,
                has_restore_data: form.has_restore_data && form.writer.restores,
            },
        };
        self.submit_export(job);
    }

    /// Queues a job that writes a picture.
    pub(super) fn submit_export(&mut self, job: impl Job<Output = PathBuf>) {
        self.submit(job, |app, file| {
            let text = format!("Exported {}.", file_name(&file));
            app.state.notices.say(Severity::Success, text);
            app.state.session.last_export = Some(file);
        });
    }
}

/// Where an export goes.
pub fn file_path(form: &ExportForm, name: &str, model: &str) -> PathBuf {
    let (date, time) = local_date_and_time(now_ms());
    let text = form
        .pattern
        .replace("{name}", name)
        .replace("{date}", &date)
        .replace("{time}", &time)
        .replace("{model}", model);
    let mut folder = form.folder.clone();
    if form.has_dated_folder {
        folder.push(&date);
    }
    folder.join(format!(
        "{}.{}",
        safe_file_name(&text),
        form.writer.ending()
    ))
}

/// The path without the extension that an export gave it.
pub(super) fn free_of_extension(path: &std::path::Path) -> PathBuf {
    path.with_extension("")
}

/// What every system takes as a file name.
fn safe_file_name(text: &str) -> String {
    const MAX_BYTES: usize = 120;
    let mut safe = String::new();
    for c in text.trim().chars() {
        let allowed = !c.is_control() && !"<>:\"/\\|?*".contains(c);
        let next = if allowed { c } else { '-' };
        if safe.len() + next.len_utf8() > MAX_BYTES {
            break;
        }
        safe.push(next);
    }
    let trimmed = safe.trim_matches(['.', ' ']);
    if trimmed.is_empty() {
        "picture".into()
    } else {
        trimmed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Existing, WRITERS};

    #[test]
    fn patterns_become_safe_names() {
        let form = |pattern: &str| ExportForm {
            folder: PathBuf::from("/out"),
            writer: &WRITERS[0],
            pattern: pattern.into(),
            has_dated_folder: false,
            has_restore_data: true,
            existing: Existing::Refuse,
        };
        let name = |pattern: &str| {
            let path = file_path(&form(pattern), "my/cat", "Run 1");
            assert_eq!(path.parent(), Some(std::path::Path::new("/out")));
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(name("{name}"), "my-cat.png");
        assert_eq!(name("../{model}"), "-Run 1.png");
        assert_eq!(name(" .. "), "picture.png");
        assert!(name(&"ü".repeat(500)).len() < 130);
        let dated = name("{date}_{time}");
        assert_eq!(dated.len(), "2026-11-22_0840.png".len(), "{dated}");
    }
}
