//! SQLite's errors in the project's words, and the conversions shared by all tables.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::types::{FromSqlError, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits::{MAX_JSON_BYTES, MAX_NAME_BYTES};
use crate::error::{Error, Kind, Result};

const DAMAGED_NEXT: &str = "Open a copy saved earlier";

/// Turns SQLite's result into ours: `doing` completes the sentence "could not …".
pub(super) trait Doing<T> {
    fn doing(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|source| translate(doing, path, &source))
    }
}

pub(super) fn damaged(doing: &str, path: &Path, why: impl Into<String>) -> Error {
    Error::new(
        Kind::Damaged,
        format!("could not {doing}"),
        format!("the project file is damaged ({})", why.into()),
        DAMAGED_NEXT,
    )
    .at(path)
}

pub(super) fn not_found(what: &str, path: &Path) -> Error {
    Error::new(
        Kind::NotFound,
        format!("could not find {what}"),
        "the project has no such entry",
        "Look at the project's lists for what it has",
    )
    .at(path)
}

pub(super) fn over_limit(what: &str, has: u64, limit: u64) -> Error {
    Error::new(
        Kind::Limit,
        format!("could not store {what}"),
        format!("it has {has} where a project takes at most {limit}"),
        "",
    )
}

pub(super) fn translate(doing: &str, path: &Path, source: &rusqlite::Error) -> Error {
    use rusqlite::Error as E;
    let what = format!("could not {doing}");
    let (kind, why, next) = match source {
        E::SqliteFailure(failure, message) => {
            let why = message.clone().unwrap_or_else(|| failure.to_string());
            match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    return damaged(doing, path, why);
                }
                ErrorCode::DiskFull => (
                    Kind::DiskFull,
                    "the disk is full".to_owned(),
                    "Free some space on this disk and try again",
                ),
                ErrorCode::ReadOnly => (
                    Kind::ReadOnly,
                    "the file or its folder is read-only".to_owned(),
                    "Copy the project to a place you may write to",
                ),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
                    Kind::Locked,
                    "another program is using the file".to_owned(),
                    "Close it there and try again",
                ),
                ErrorCode::TooBig | ErrorCode::OutOfMemory => (
                    Kind::Limit,
                    format!("a value is too large ({why})"),
                    DAMAGED_NEXT,
                ),
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied => {
                    (Kind::Io, why, "Check the disk and its permissions")
                }
                _ => (Kind::Internal, why, "Report this with the log"),
            }
        }
        // What a row holds does not fit its column: only a damaged or forged file has that.
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::InvalidColumnType(..) => return damaged(doing, path, source.to_string()),
        E::QueryReturnedNoRows => return not_found("it", path),
        other => (
            Kind::Internal,
            other.to_string(),
            "Report this with the log",
        ),
    };
    Error::new(kind, what, why, next).at(path)
}

/// A row's value that SQLite could read but Tessera cannot accept.
pub(super) fn bad_value(column: usize, why: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        column,
        Type::Null,
        Box::new(FromSqlError::Other(why.into().into())),
    )
}

/// A count or size, stored as a signed number, that must not be negative.
pub(super) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A JSON column; its text is bounded before it is parsed.
pub(super) fn json<T: DeserializeOwned>(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|e| bad_value(column, e.to_string()))?;
    if text.len() > MAX_JSON_BYTES {
        return Err(bad_value(column, "its JSON is too long"));
    }
    serde_json::from_str(text).map_err(|e| bad_value(column, e.to_string()))
}

pub(super) fn to_json<T: Serialize>(what: &str, value: &T) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|e| {
        Error::new(
            Kind::Internal,
            format!("could not store {what}"),
            e.to_string(),
            "Report this with the log",
        )
    })?;
    limited_len(what, text.len(), MAX_JSON_BYTES)?;
    Ok(text)
}

/// Text from a file, refused where it is longer than `limit_bytes`.
pub(super) fn text(
    row: &rusqlite::Row<'_>,
    column: usize,
    limit_bytes: usize,
) -> rusqlite::Result<String> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|e| bad_value(column, e.to_string()))?;
    if text.len() > limit_bytes {
        return Err(bad_value(column, "its text is too long"));
    }
    Ok(text.to_owned())
}

/// Bytes from a file, refused where they are more than `limit_bytes`.
pub(super) fn bytes(
    row: &rusqlite::Row<'_>,
    column: usize,
    limit_bytes: usize,
) -> rusqlite::Result<Vec<u8>> {
    let bytes = row
        .get_ref(column)?
        .as_blob()
        .map_err(|e| bad_value(column, e.to_string()))?;
    if bytes.len() > limit_bytes {
        return Err(bad_value(column, "it has too many bytes"));
    }
    Ok(bytes.to_vec())
}

pub(super) fn limited_len(what: &str, len: usize, limit: usize) -> Result<()> {
    if len > limit {
        return Err(over_limit(
            &format!("{what} (bytes)"),
            len as u64,
            limit as u64,
        ));
    }
    Ok(())
}

pub(super) fn checked_name<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    limited_len(what, name.len(), MAX_NAME_BYTES)?;
    Ok(name)
}

/// SQLite's integers are signed.
pub(super) fn signed(what: &str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| over_limit(what, value, i64::MAX as u64))
}
