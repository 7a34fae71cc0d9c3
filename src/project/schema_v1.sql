-- Version 1. Times are milliseconds since 1970, paths are the system's own bytes. Rows that callers
-- name by id are AUTOINCREMENT: the id of a deleted one never comes back as another.
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- Large values (weights, training states, sources), found by content and stored in rows of bounded
-- size. Until `complete` is set nothing may refer to one; an interrupted write leaves an incomplete
-- one behind, which the next opening removes.
CREATE TABLE blobs (
    id INTEGER NOT NULL PRIMARY KEY,
    blake3 BLOB NOT NULL,
    length INTEGER NOT NULL,
    complete INTEGER NOT NULL
) STRICT;
CREATE INDEX blobs_by_hash ON blobs (blake3);

CREATE TABLE blob_chunks (
    id INTEGER NOT NULL PRIMARY KEY,
    blob INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (blob, number)
) STRICT;

CREATE TABLE imports (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    root BLOB NOT NULL,
    root_text TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    finished_ms INTEGER, -- NULL: interrupted
    summary TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE import_notices (
    id INTEGER NOT NULL PRIMARY KEY,
    import INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    next TEXT NOT NULL,
    path TEXT
) STRICT;
CREATE INDEX import_notices_by_import ON import_notices (import);

CREATE TABLE pictures (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,
    path_text TEXT NOT NULL, -- lossy, for people
    relative_text TEXT NOT NULL, -- below the import's root
    label TEXT,
    blake3 BLOB NOT NULL, -- of the file
    file_bytes INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    format TEXT NOT NULL,
    bit_depth INTEGER NOT NULL,
    has_alpha INTEGER NOT NULL,
    phash BLOB,
    excluded INTEGER NOT NULL, -- the user's choice
    missing INTEGER NOT NULL, -- not found by the last import of its folder
    import INTEGER NOT NULL REFERENCES imports (id), -- the last one that saw it
    added_by INTEGER NOT NULL REFERENCES imports (id)
) STRICT;
CREATE INDEX pictures_by_hash ON pictures (blake3);
CREATE INDEX pictures_by_import ON pictures (import);
CREATE INDEX pictures_by_adding_import ON pictures (added_by);

CREATE TABLE picture_flags (
    picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    flag TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (picture, flag)
) STRICT, WITHOUT ROWID;
CREATE INDEX picture_flags_by_flag ON picture_flags (flag);

CREATE TABLE thumbnails (
    picture INTEGER NOT NULL PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON
    base_checkpoint INTEGER REFERENCES checkpoints (id) ON DELETE SET NULL,
    seed INTEGER NOT NULL, -- the bits of an unsigned number
    device TEXT NOT NULL,
    status TEXT NOT NULL,
    notice TEXT, -- JSON: why it failed
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;
CREATE INDEX runs_by_base ON runs (base_checkpoint);

CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    numbers TEXT NOT NULL, -- JSON object of numbers
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    kind TEXT NOT NULL,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL, -- JSON
    metrics TEXT NOT NULL, -- JSON
    weights INTEGER NOT NULL REFERENCES blobs (id),
    training_state INTEGER REFERENCES blobs (id),
    pinned INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_run ON checkpoints (run);
CREATE INDEX checkpoints_by_weights ON checkpoints (weights);
CREATE INDEX checkpoints_by_training_state ON checkpoints (training_state);

CREATE TABLE documents (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    source_blob INTEGER REFERENCES blobs (id),
    source_picture INTEGER REFERENCES pictures (id) ON DELETE SET NULL,
    width INTEGER NOT NULL, -- pixels
    height INTEGER NOT NULL,
    checkpoint BLOB NOT NULL, -- BLAKE3 of the weights that made the codes
    structure_codes INTEGER NOT NULL, -- codebook sizes
    detail_codes INTEGER NOT NULL,
    wrap_x INTEGER NOT NULL,
    wrap_y INTEGER NOT NULL,
    applied_strokes INTEGER NOT NULL, -- strokes 1 to this are done, later ones undone
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_source_blob ON documents (source_blob);
CREATE INDEX documents_by_source_picture ON documents (source_picture);
CREATE INDEX documents_by_checkpoint ON documents (checkpoint);

-- Code grids apart from their document, so that a stroke never rewrites them.
CREATE TABLE document_codes (
    id INTEGER NOT NULL PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    applied_strokes INTEGER NOT NULL, -- 0: as encoded; n: a snapshot after stroke n
    codes BLOB NOT NULL,
    UNIQUE (document, applied_strokes)
) STRICT;

CREATE TABLE strokes (
    id INTEGER NOT NULL PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, -- from 1, without gaps
    label TEXT NOT NULL,
    deltas BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (document, number)
) STRICT;
