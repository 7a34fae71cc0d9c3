-- Version 3: what tells an unchanged file, the order of names, and the index of encoded pictures.
ALTER TABLE pictures ADD COLUMN changed_ns INTEGER; -- last change of the file's content, name or rights, nanoseconds since 1970; NULL: not known
ALTER TABLE pictures ADD COLUMN analysis INTEGER NOT NULL DEFAULT 1; -- version of what was measured
ALTER TABLE pictures ADD COLUMN sort_key BLOB NOT NULL DEFAULT x''; -- of path_text: names as people order them
UPDATE pictures SET sort_key = sort_key(path_text);
CREATE INDEX pictures_by_sort_key ON pictures (sort_key);

-- The codes of pictures. A row is stale when its content_hash is not the picture's blake3.
CREATE TABLE encodings (
    model_hash BLOB NOT NULL, -- of the weights that made the codes
    picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    content_hash BLOB NOT NULL, -- BLAKE3 of the file that was encoded
    width INTEGER NOT NULL, -- pixels as encoded: at most those of the picture
    height INTEGER NOT NULL,
    embedding BLOB NOT NULL, -- 32-bit floats; empty: the model has none
    structure BLOB NOT NULL, -- packed codes
    detail BLOB NOT NULL,
    PRIMARY KEY (model_hash, picture)
) STRICT;
CREATE INDEX encodings_by_picture ON encodings (picture);
