//! What the program tells its user: shown for a moment, kept in a history.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Notice;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Success,
    Info,
    Warning,
    Error,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: u64,
    pub severity: Severity,
    pub notice: Notice,
    pub at: SystemTime,
    shown_since: Instant,
    is_dismissed: bool,
}

/// Everything that was told, newest last.
#[derive(Debug, Default)]
pub struct Notices {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl Notices {
    /// Older ones are forgotten.
    const KEPT: usize = 500;

    pub fn push(&mut self, severity: Severity, notice: Notice) {
        match severity {
            Severity::Error => log::error!("{notice}"),
            Severity::Warning => log::warn!("{notice}"),
            Severity::Info | Severity::Success => log::info!("{notice}"),
        }
        // The same thing twice in a row is told once.
        if let Some(last) = self.entries.back_mut()
            && last.notice == notice
            && last.severity == severity
        {
            last.at = SystemTime::now();
            last.shown_since = Instant::now();
            last.is_dismissed = false;
            return;
        }
        self.next_id += 1;
        self.entries.push_back(Entry {
            id: self.next_id,
            severity,
            notice,
            at: SystemTime::now(),
            shown_since: Instant::now(),
            is_dismissed: false,
        });
        while self.entries.len() > Self::KEPT {
            self.entries.pop_front();
        }
    }

    /// Tells one plain sentence.
    pub fn say(&mut self, severity: Severity, text: impl Into<String>) {
        self.push(severity, Notice::new(text, "", ""));
    }

    pub fn dismiss(&mut self, id: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.is_dismissed = true;
        }
    }

    /// All that were kept, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The notices on the screen now, newest last.
    pub fn shown(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.left().is_some())
    }

    /// How long until the next notice leaves the screen.
    pub fn next_change(&self) -> Option<Duration> {
        self.entries.iter().filter_map(Entry::left).min()
    }
}

impl Entry {
    /// How long it stays on the screen.
    fn left(&self) -> Option<Duration> {
        let time = match self.severity {
            Severity::Success | Severity::Info => Duration::from_secs(4),
            Severity::Warning => Duration::from_secs(8),
            Severity::Error => Duration::from_secs(20),
        };
        if self.is_dismissed {
            return None;
        }
        time.checked_sub(self.shown_since.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// One sentence or more, without the path.
    pub fn text(&self) -> String {
        let Notice {
            what, why, next, ..
        } = &self.notice;
        let mut text = capitalised(what.trim_end_matches('.'));
        if !why.is_empty() {
            text.push_str(": ");
            text.push_str(why.trim_end_matches('.'));
        }
        text.push('.');
        if !next.is_empty() {
            text.push(' ');
            text.push_str(&capitalised(next.trim_end_matches('.')));
            text.push('.');
        }
        text
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_notices_are_told_once_and_dismissed_ones_stay_in_the_history() {
        let mut notices = Notices::default();
        for _ in 0..3 {
            notices.push(
                Severity::Error,
                Notice::new("could not paint", "why", "next"),
            );
        }
        notices.say(Severity::Success, "done");
        assert_eq!(notices.shown().count(), 2);
        let id = notices.shown().next().unwrap().id;
        notices.dismiss(id);
        assert_eq!(notices.shown().count(), 1);
        assert_eq!(notices.history().count(), 2);
        assert_eq!(
            notices.history().last().unwrap().text(),
            "Could not paint: why. Next."
        );
    }
}
