-- The first form. Files from before there were numbers have these tables already.
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,                -- ISO 8601, UTC
    kind TEXT NOT NULL,
    door_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    call_id TEXT NOT NULL,           -- joins a call's begin and end
    target TEXT NOT NULL,            -- METHOD scheme://host[:port]/path, before injection, without the query
    rule TEXT NOT NULL,              -- the grant or route that allowed it
    secret TEXT NOT NULL,            -- the name of what was injected, never its value
    is_unsafe INTEGER NOT NULL,      -- may change the world, and is no model call
    status INTEGER,                  -- of the upstream's answer, in `end`; NULL: no answer was seen
    detail TEXT NOT NULL,            -- JSON, by kind
    hash BLOB NOT NULL               -- SHA-256 of the hash before and of the columns: `chain.py`
) STRICT;
CREATE INDEX IF NOT EXISTS unsafe_by_task ON entries (task_id) WHERE is_unsafe = 1;
CREATE INDEX IF NOT EXISTS unsafe_by_call ON entries (call_id) WHERE is_unsafe = 1;
CREATE INDEX IF NOT EXISTS denied_by_task ON entries (task_id) WHERE kind = 'denied';
CREATE TABLE IF NOT EXISTS model_use (
    task_id TEXT NOT NULL,           -- empty: of tasks long over, summed up
    group_id TEXT NOT NULL,
    day TEXT NOT NULL,               -- UTC
    model TEXT NOT NULL,             -- empty: a call that has not ended
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    calls_without_price INTEGER NOT NULL,
    PRIMARY KEY (task_id, group_id, day, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS model_use_by_day ON model_use (day);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
