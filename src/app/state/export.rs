//! How pictures and timelapses are written.

use std::path::PathBuf;

use crate::engine::{AnimationWriter, Existing, Writer};
use crate::foundation::time::{local_date_and_time, now_ms};

/// How a picture is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportForm {
    pub folder: PathBuf,
    pub writer: &'static Writer,
    /// With `{name}`, `{date}`, `{time}`, `{model}`. A name that is taken gets a number behind it.
    pub pattern: String,
    /// A folder of its own for each day's exports.
    pub has_dated_folder: bool,
    /// Whether a PNG carries what brings the document back.
    pub has_restore_data: bool,
    pub existing: Existing,
}

impl ExportForm {
    /// Where a picture of this name, decoded by the model of this name, goes.
    pub fn file_path(&self, name: &str, model: &str) -> PathBuf {
        let (date, time) = local_date_and_time(now_ms());
        let text = self
            .pattern
            .replace("{name}", name)
            .replace("{date}", &date)
            .replace("{time}", &time)
            .replace("{model}", model);
        let mut folder = self.folder.clone();
        if self.has_dated_folder {
            folder.push(&date);
        }
        folder.join(format!(
            "{}.{}",
            safe_file_name(&text),
            self.writer.ending()
        ))
    }
}

/// How a timelapse is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelapseForm {
    pub writer: &'static AnimationWriter,
    pub longest_px: u32,
    pub frames_per_second: f32,
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
            let path = form(pattern).file_path("my/cat", "Run 1");
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
