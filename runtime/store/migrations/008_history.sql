-- What groups' folders held before the tasks that touched them; the bytes are in the home's `history/`.

CREATE TABLE snapshots (
    reference TEXT PRIMARY KEY, -- the task that was about to use its first tool, or an undo (`undo_…`)
    group_id TEXT NOT NULL,
    manifest TEXT NOT NULL, -- its id; '' where none could be kept, or it is not kept any more
    reason TEXT NOT NULL DEFAULT '', -- why not
    taken_at TEXT NOT NULL,
    undone_by TEXT -- the undo that went back to here
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshots_group ON snapshots (group_id, taken_at);

CREATE VIEW v_snapshots AS
SELECT reference, group_id AS "group", manifest, reason, taken_at, undone_by FROM snapshots;
