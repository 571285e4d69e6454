-- Shared folders: what each is known to hold, who is at work in it, and who wrote what.

CREATE TABLE space_files (
    space TEXT NOT NULL,
    path TEXT NOT NULL,
    mark TEXT NOT NULL, -- what the kernel said of it when it was last read; '' for what is to be read again
    digest TEXT NOT NULL, -- keyed, of its bytes
    size_bytes INTEGER NOT NULL,
    look_id TEXT, -- the look that found it as it is now
    PRIMARY KEY (space, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE space_tasks (
    space TEXT NOT NULL,
    task_id TEXT NOT NULL, -- tools of it may look in there now
    may_write INTEGER NOT NULL,
    PRIMARY KEY (space, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX space_tasks_task ON space_tasks (task_id);

CREATE TABLE space_looks (
    look_id TEXT PRIMARY KEY,
    space TEXT NOT NULL,
    looked_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX space_looks_space ON space_looks (space, looked_at);

CREATE TABLE space_look_tasks (
    look_id TEXT NOT NULL REFERENCES space_looks (look_id),
    task_id TEXT NOT NULL,
    PRIMARY KEY (look_id, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX space_look_tasks_task ON space_look_tasks (task_id);

CREATE TABLE space_look_taints (
    look_id TEXT NOT NULL REFERENCES space_looks (look_id),
    source TEXT NOT NULL, -- what its tasks had read of anybody's text
    origin TEXT NOT NULL,
    PRIMARY KEY (look_id, source, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE space_changes (
    change_id INTEGER PRIMARY KEY,
    look_id TEXT NOT NULL REFERENCES space_looks (look_id),
    path TEXT NOT NULL, -- '' where its task's person was forgotten
    kind TEXT NOT NULL, -- created, changed, deleted; refused: the host took it away
    digest TEXT NOT NULL, -- '' for what is not there
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX space_changes_look ON space_changes (look_id);

CREATE VIEW v_space_changes AS
SELECT
    c.change_id, l.space, l.looked_at, c.kind, c.path, c.size_bytes, c.digest,
    w.task_id, t.group_id AS "group", t.submitter,
    (SELECT count(*) FROM space_look_tasks AS n WHERE n.look_id = l.look_id) AS writers
FROM space_changes AS c
JOIN space_looks AS l USING (look_id)
LEFT JOIN space_look_tasks AS w USING (look_id)
LEFT JOIN tasks AS t ON t.task_id = w.task_id;
