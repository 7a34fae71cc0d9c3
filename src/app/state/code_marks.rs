//! Names, tags and favourites of codes.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Level;

/// What a user said about codes.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CodeMarks {
    /// What codes are called, by [`CodeMarks::key`].
    pub names: BTreeMap<String, String>,
    /// The tags of codes, in small letters, by [`CodeMarks::key`].
    pub tags: BTreeMap<String, Vec<String>>,
    pub favourites: BTreeSet<String>,
    /// Codes that are not offered: not as a brush, not as alike, and never chosen by the program.
    pub muted: BTreeSet<String>,
}

impl CodeMarks {
    /// How a code is written here: "structure:17".
    pub fn key(level: Level, code: u16) -> String {
        format!("{level}:{code}")
    }

    pub fn name(&self, level: Level, code: u16) -> Option<&str> {
        self.names.get(&Self::key(level, code)).map(String::as_str)
    }

    pub fn tags(&self, level: Level, code: u16) -> &[String] {
        let tags = self.tags.get(&Self::key(level, code));
        tags.map_or(&[], Vec::as_slice)
    }

    pub fn is_favourite(&self, level: Level, code: u16) -> bool {
        self.favourites.contains(&Self::key(level, code))
    }

    pub fn is_muted(&self, level: Level, code: u16) -> bool {
        // Most projects mute nothing, and this is asked for every swatch.
        !self.muted.is_empty() && self.muted.contains(&Self::key(level, code))
    }

    /// Whether its number, its name or one of its tags is what a search says, in small letters.
    pub fn is_found(&self, level: Level, code: u16, search: &str) -> bool {
        search.is_empty()
            || code.to_string() == search
            || (self.name(level, code)).is_some_and(|name| name.to_lowercase().contains(search))
            || self
                .tags(level, code)
                .iter()
                .any(|tag| tag.contains(search))
    }

    /// Every tag of a level's codes, with how many have it.
    pub fn all_tags(&self, level: Level) -> BTreeMap<&str, usize> {
        let prefix = format!("{level}:");
        let mut counts = BTreeMap::new();
        for (_, tags) in self.tags.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            for tag in tags {
                *counts.entry(tag.as_str()).or_default() += 1;
            }
        }
        counts
    }
}
