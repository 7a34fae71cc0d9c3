//! Project-wide values: facts about the file, and settings as JSON under a key.

use rusqlite::OptionalExtension;
use serde_json::Value;

use super::Project;
use super::limits::MAX_NAME_BYTES;
use super::sqlite::{Doing, checked_name, json, text, to_json};
use crate::error::Result;

impl Project {
    /// A random name for this project, kept by its copies; 32 hexadecimal digits.
    pub fn project_id(&self) -> Result<String> {
        self.meta("project_id")
    }

    /// When the project was made, in milliseconds since 1970.
    pub fn created_ms(&self) -> Result<i64> {
        Ok(self.meta("created_ms")?.parse().unwrap_or(0))
    }

    fn meta(&self, key: &str) -> Result<String> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                text(row, 0, MAX_NAME_BYTES)
            })
            .optional()
            .map(Option::unwrap_or_default)
            .doing("read the project's facts", &self.path)
    }

    /// The setting stored under `key`, `None` where there is none.
    pub fn setting(&self, key: &str) -> Result<Option<Value>> {
        self.connection
            .query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| {
                json(row, 0)
            })
            .optional()
            .doing("read a setting", &self.path)
    }

    /// Stores `value` under `key`; `Value::Null` removes it.
    pub fn set_setting(&mut self, key: &str, value: &Value) -> Result<()> {
        checked_name("a setting's key", key)?;
        let value_text = to_json("a setting", value)?;
        let is_removal = value.is_null();
        self.transact("store a setting", |t, path| {
            if is_removal {
                t.execute("DELETE FROM settings WHERE key = ?1", [key])
            } else {
                t.execute(
                    "INSERT INTO settings (key, value) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (key, value_text),
                )
            }
            .doing("store a setting", path)
            .map(drop)
        })
    }
}
