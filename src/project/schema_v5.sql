-- Version 5: what strokes were generated with, sources that are turned, and pictures kept because cells come from them.
ALTER TABLE strokes ADD COLUMN settings TEXT; -- JSON; NULL: painted by hand
ALTER TABLE document_sources ADD COLUMN turn INTEGER NOT NULL DEFAULT 0; -- quarters clockwise, 4 more where mirrored first

-- Picture files that are neither in the index nor the source of a document.
CREATE TABLE kept_pictures (
    blake3 BLOB NOT NULL PRIMARY KEY,
    blob INTEGER NOT NULL REFERENCES blobs (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_pictures_by_blob ON kept_pictures (blob);
