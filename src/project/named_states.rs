//! Named states of documents: an artist's snapshots, apart from the journal, which forgets what was undone.

use rusqlite::params;

use super::limits::{MAX_NAME_BYTES, MAX_VALUE_BYTES};
use super::sqlite::{Doing, bytes, checked_name, limited_len, not_found, text};
use super::{DocumentId, Project, layers};
use crate::document::LayerStack;
use crate::error::{Error, Kind, Result};
use crate::foundation::time::now_ms;

/// Most snapshots of one document.
pub const MAX_NAMED_STATES: usize = 200;

/// A state that somebody gave a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedState {
    /// Counted per document; never given twice while the document has a newer one.
    pub number: u32,
    pub name: String,
    pub layers: LayerStack,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl Project {
    /// Snapshots of a document, oldest first.
    ///
    /// # Errors
    /// `Damaged` where one does not fit the document.
    pub fn named_states(&self, document: DocumentId) -> Result<Vec<NamedState>> {
        type Stored = (u32, String, Vec<u8>, i64);
        const DOING: &str = "read the snapshots of a document";
        let row = self.document(document)?;
        let list = || -> rusqlite::Result<Vec<Stored>> {
            self.connection
                .prepare_cached(
                    "SELECT number, name, layers, created_ms FROM named_states WHERE document = ?1
                     ORDER BY number LIMIT ?2",
                )?
                .query_map(params![document, MAX_NAMED_STATES as i64], |r| {
                    Ok((
                        r.get(0)?,
                        text(r, 1, MAX_NAME_BYTES)?,
                        bytes(r, 2, MAX_VALUE_BYTES)?,
                        r.get(3)?,
                    ))
                })?
                .collect()
        };
        let geometry = row.geometry()?;
        (list().doing(DOING, &self.path)?.into_iter())
            .map(|(number, name, stored, created_ms)| {
                let layers = layers::decode_stack(&stored, geometry, row.codebooks)
                    .map_err(|e| e.at(&self.path))?;
                Ok(NamedState {
                    number,
                    name,
                    layers,
                    created_ms,
                })
            })
            .collect()
    }

    /// Keeps a state under a number that its document does not use yet.
    ///
    /// # Errors
    /// `Limit` beyond [`MAX_NAMED_STATES`]; `Usage` for a name that is empty or too long; `DiskFull`.
    pub fn keep_state(
        &mut self,
        document: DocumentId,
        number: u32,
        name: &str,
        layers: &LayerStack,
    ) -> Result<()> {
        const DOING: &str = "store a snapshot";
        checked_name("a snapshot's name", name)?;
        self.document(document)?;
        let stored = layers::encode_stack(layers);
        limited_len("a snapshot", stored.len(), MAX_VALUE_BYTES)?;
        self.transact(DOING, |t, path| {
            let count: i64 = t
                .query_row(
                    "SELECT count(*) FROM named_states WHERE document = ?1",
                    [document],
                    |r| r.get(0),
                )
                .doing(DOING, path)?;
            if count >= MAX_NAMED_STATES as i64 {
                return Err(Error::new(
                    Kind::Limit,
                    "could not store the snapshot",
                    format!("a picture keeps at most {MAX_NAMED_STATES}"),
                    "Delete some",
                )
                .at(path));
            }
            t.execute(
                "INSERT INTO named_states (document, number, name, layers, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![document, number, name, stored, now_ms()],
            )
            .doing(DOING, path)
            .map(drop)
        })
    }

    pub fn rename_state(&mut self, document: DocumentId, number: u32, name: &str) -> Result<()> {
        checked_name("a snapshot's name", name)?;
        self.update_one(
            "rename a snapshot",
            "UPDATE named_states SET name = ?3 WHERE document = ?1 AND number = ?2",
            params![document, number, name],
        )
    }

    pub fn delete_state(&mut self, document: DocumentId, number: u32) -> Result<()> {
        const DOING: &str = "delete a snapshot";
        self.transact(DOING, |t, path| {
            let gone = t
                .execute(
                    "DELETE FROM named_states WHERE document = ?1 AND number = ?2",
                    params![document, number],
                )
                .doing(DOING, path)?;
            if gone == 0 {
                return Err(not_found("the snapshot", path));
            }
            Ok(())
        })
    }
}
