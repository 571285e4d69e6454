-- Conversations: when and why they ended, summaries that stand for what came before, and which model answers where.

ALTER TABLE sessions ADD COLUMN ended_at TEXT;
ALTER TABLE sessions ADD COLUMN ended_by TEXT NOT NULL DEFAULT ''; -- new, resumed, idle, daily; '' while it is current
ALTER TABLE sessions ADD COLUMN untold INTEGER NOT NULL DEFAULT 0 CHECK (untold IN (0, 1));
-- 1: it began by itself, and whoever speaks first in it is to be told so
CREATE INDEX sessions_chat ON sessions (group_id, chat, started_at);

CREATE INDEX messages_session ON messages (session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX tasks_chat ON tasks (chat, created_at) WHERE chat IS NOT NULL;
CREATE INDEX tasks_group ON tasks (group_id, created_at);

CREATE TABLE compactions (
    submission_id TEXT PRIMARY KEY REFERENCES submissions (submission_id),
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
CREATE INDEX compactions_session ON compactions (session_id, from_position) WHERE state = 'done';
CREATE INDEX compactions_open ON compactions (submission_id) WHERE state = 'open';

CREATE TABLE model_choices (
    group_id TEXT NOT NULL,
    chat TEXT NOT NULL, -- '' for all chats of the group that have no choice of their own
    model TEXT NOT NULL, -- route/model-name
    chosen_by TEXT NOT NULL,
    chosen_at TEXT NOT NULL,
    PRIMARY KEY (group_id, chat)
) STRICT, WITHOUT ROWID;

DROP VIEW v_sessions;
CREATE VIEW v_sessions AS
SELECT s.session_id, s.group_id AS "group", s.chat, s.is_current, s.started_at, s.ended_at, s.ended_by,
    (SELECT count(*) FROM transcript AS t WHERE t.session_id = s.session_id) AS entries
FROM sessions AS s;

CREATE VIEW v_compactions AS
SELECT session_id, submission_id, task_id, chat, asked_by, state, from_position, asked_at, ended_at FROM compactions;

CREATE VIEW v_model_choices AS SELECT group_id AS "group", chat, model, chosen_by, chosen_at FROM model_choices;
