-- Conversations that ended long ago: the turns and steps of each, in one piece. Their payloads are empty meanwhile.

CREATE TABLE archives (
    archive_id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE REFERENCES sessions (session_id),
    packed BLOB NOT NULL, -- zlib over a JSON list of [payload, text]
    texts INTEGER NOT NULL,
    text_bytes INTEGER NOT NULL, -- unpacked
    archived_at TEXT NOT NULL
) STRICT;

CREATE VIEW v_archives AS
SELECT a.session_id, s.group_id AS "group", s.chat, a.texts, a.text_bytes, length(a.packed) AS packed_bytes, a.archived_at
FROM archives AS a JOIN sessions AS s USING (session_id);
