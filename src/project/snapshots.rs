//! The codes of a document: as encoded, and the snapshots that shorten the replay of its strokes.

use rusqlite::{OptionalExtension, params};

use super::limits::MAX_VALUE_BYTES;
use super::sqlite::{Doing, bytes, limited_len, unsigned};
use super::{DocumentId, DocumentRow, Project, journal, layers};
use crate::document::{Codes, LayerStack};
use crate::error::{Error, Kind, Result};

/// A snapshot of the edited codes is stored after this many strokes, so that opening replays no more.
pub(super) const SNAPSHOT_STROKES: u64 = 256;

/// Codes of a file, checked against everything the row says.
pub(super) fn decode_checked(stored: &[u8], row: &DocumentRow) -> Result<Codes> {
    let geometry = row.geometry()?;
    let codes = journal::decode_codes(stored, geometry)?;
    codes.check(geometry, Some(row.codebooks)).map_err(|e| {
        // Out-of-range codes are the caller's mistake elsewhere; here the file brought them.
        Error {
            kind: Kind::Damaged,
            ..e
        }
    })?;
    Ok(codes)
}

/// The layers of a snapshot: its own, or one that makes its codes of those as encoded.
pub(super) fn snapshot_layers(
    stored: &[u8],
    is_layered: bool,
    row: &DocumentRow,
    encoded: &Codes,
) -> Result<LayerStack> {
    if is_layered {
        return layers::decode_stack(stored, row.geometry()?, row.codebooks);
    }
    Ok(LayerStack::of_codes(encoded, &decode_checked(stored, row)?))
}

impl Project {
    /// Stores the edited codes as they are after the applied strokes, in place of an older snapshot.
    pub fn store_snapshot(&mut self, id: DocumentId) -> Result<()> {
        const DOING: &str = "store the codes of a document";
        let row = self.document(id)?;
        if row.applied_strokes == 0 {
            return Ok(());
        }
        let (encoded, stack) = self.state_after(&row, row.applied_strokes)?;
        let edited = journal::encode_codes(&stack.compose(stack.layers().len(), &encoded));
        let layers = (!stack.is_single_base()).then(|| layers::encode_stack(&stack));
        limited_len("the codes of a document", edited.len(), MAX_VALUE_BYTES)?;
        let layers_len = layers.as_ref().map_or(0, Vec::len);
        limited_len("the layers of a document", layers_len, MAX_VALUE_BYTES)?;
        let applied = row.applied_strokes.cast_signed();
        self.transact(DOING, |t, path| {
            t.execute(
                "DELETE FROM document_codes WHERE document = ?1 AND applied_strokes > 0",
                [id],
            )
            .doing(DOING, path)?;
            t.execute(
                "INSERT INTO document_codes (document, applied_strokes, codes, layers) VALUES (?1, ?2, ?3, ?4)",
                params![id, applied, edited, layers],
            )
            .doing(DOING, path)?;
            Ok(())
        })
    }

    /// The codes as encoded.
    pub(super) fn encoded_codes(&self, row: &DocumentRow) -> Result<Codes> {
        let stored = self
            .connection
            .query_row(
                "SELECT codes FROM document_codes WHERE document = ?1 AND applied_strokes = 0",
                [row.id],
                |r| bytes(r, 0, MAX_VALUE_BYTES),
            )
            .optional()
            .doing("read the codes of a document", &self.path)?
            .ok_or_else(|| {
                super::sqlite::damaged(
                    "read the codes of a document",
                    &self.path,
                    "they are missing",
                )
            })?;
        decode_checked(&stored, row).map_err(|e| e.at(&self.path))
    }

    /// The newest stored layers that are no newer than after stroke `upto`, and which stroke that was.
    fn stored_layers(
        &self,
        row: &DocumentRow,
        encoded: &Codes,
        upto: u64,
    ) -> Result<(u64, LayerStack)> {
        let found = self
            .connection
            .query_row(
                "SELECT applied_strokes, coalesce(layers, codes), layers IS NOT NULL FROM document_codes
                 WHERE document = ?1 AND applied_strokes BETWEEN 1 AND ?2 ORDER BY applied_strokes DESC LIMIT 1",
                [row.id, upto.cast_signed()],
                |r| Ok((unsigned(r, 0)?, bytes(r, 1, MAX_VALUE_BYTES)?, r.get(2)?)),
            )
            .optional()
            .doing("read the layers of a document", &self.path)?;
        let Some((applied, stored, is_layered)) = found else {
            return Ok((0, LayerStack::default()));
        };
        let stack = snapshot_layers(&stored, is_layered, row, encoded);
        Ok((applied, stack.map_err(|e| e.at(&self.path))?))
    }

    /// The codes as encoded, and the layers after stroke `upto`.
    pub(super) fn state_after(&self, row: &DocumentRow, upto: u64) -> Result<(Codes, LayerStack)> {
        let encoded = self.encoded_codes(row)?;
        let (from, mut stack) = self.stored_layers(row, &encoded, upto)?;
        self.for_strokes(row, from + 1, upto, &mut |_, stroke| {
            stroke.apply(&mut stack, &encoded);
            Ok(())
        })?;
        Ok((encoded, stack))
    }
}
