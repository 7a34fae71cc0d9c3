-- Version 2: layers, and named states of a document.
ALTER TABLE strokes ADD COLUMN target INTEGER NOT NULL DEFAULT 0; -- twice the layer's id, one more for its mask
ALTER TABLE strokes ADD COLUMN layer_edits BLOB; -- changes of the layers themselves; NULL: none
ALTER TABLE document_codes ADD COLUMN layers BLOB; -- NULL: one layer that makes the codes of those as encoded

CREATE TABLE named_states (
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    layers BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (document, number)
) STRICT;
