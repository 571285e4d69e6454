-- A task may also sum its conversation up by itself: then no submission asked for it, and its own id stands there.
DROP VIEW v_compactions;
CREATE TABLE compactions_new (
    submission_id TEXT PRIMARY KEY, -- the submission that asked; `task:ID` of a task whose agent did so by itself
    session_id TEXT NOT NULL REFERENCES sessions (session_id),
    task_id TEXT REFERENCES tasks (task_id), -- the one that summed up, once it has ended
    chat TEXT NOT NULL, -- where it was asked for, and is told of
    asked_by TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed')),
    from_position INTEGER, -- the first turn of the conversation that is shown in full beside the summary
    payload_id INTEGER REFERENCES payloads (payload_id), -- the turn that stands for those before
    asked_at TEXT NOT NULL,
    ended_at TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO compactions_new SELECT submission_id, session_id, task_id, chat, asked_by, state, from_position, payload_id,
    asked_at, ended_at FROM compactions;
DROP TABLE compactions;
ALTER TABLE compactions_new RENAME TO compactions;
CREATE INDEX compactions_session ON compactions (session_id, from_position) WHERE state = 'done';
CREATE INDEX compactions_open ON compactions (submission_id) WHERE state = 'open';
CREATE VIEW v_compactions AS
SELECT session_id, submission_id, task_id, chat, asked_by, state, from_position, asked_at, ended_at FROM compactions;
