-- Version 4: where cells of documents come from.
ALTER TABLE strokes ADD COLUMN coordinates BLOB; -- NULL: of no cell

-- The pictures, beside its own, that cells of a document come from. Never fewer: states and strokes name them by number.
CREATE TABLE document_sources (
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, -- from 1, without gaps
    blake3 BLOB NOT NULL, -- of the picture file
    width INTEGER NOT NULL, -- pixels
    height INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (document, number)
) STRICT;
CREATE INDEX document_sources_by_hash ON document_sources (blake3);
