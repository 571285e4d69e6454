-- Work that no message brought, tasks that wait for a person, groups that are held back.
--
-- `tasks` is made anew: a task may now be suspended, and may come of a submission. Foreign keys are off while a
-- migration runs, and are checked before it counts (migrate.py).

CREATE TABLE submissions (
    submission_seq INTEGER PRIMARY KEY,
    submission_id TEXT NOT NULL UNIQUE,
    submitter TEXT NOT NULL,
    idempotency_key TEXT NOT NULL DEFAULT '', -- '' where the submitter gave none
    digest TEXT NOT NULL, -- keyed digest of what was submitted: the same key with other content is refused
    group_id TEXT NOT NULL,
    session_id TEXT REFERENCES sessions (session_id),
    chat TEXT,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'claimed')),
    after_message INTEGER NOT NULL, -- the newest message's seq when it came: its place among them
    spec_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    created_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX submissions_key ON submissions (submitter, idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX submissions_queued ON submissions (submission_seq) WHERE state = 'queued';

DROP VIEW v_tasks;

CREATE TABLE tasks_new (
    task_id TEXT PRIMARY KEY,
    group_id TEXT NOT NULL,
    session_id TEXT REFERENCES sessions (session_id),
    submitter TEXT NOT NULL,
    submission_id TEXT REFERENCES submissions (submission_id), -- NULL: it answers messages
    chat TEXT,
    reply_to TEXT,
    state TEXT NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'suspended', 'reply', 'nothing_to_say', 'structured', 'failed', 'stopped')),
    code TEXT NOT NULL DEFAULT '', -- the stable word of a failure
    spec_id INTEGER REFERENCES payloads (payload_id),
    result_id INTEGER REFERENCES payloads (payload_id),
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO tasks_new (task_id, group_id, session_id, submitter, chat, reply_to, state, code, spec_id, result_id,
    created_at, ended_at)
SELECT task_id, group_id, session_id, submitter, chat, reply_to, state, code, spec_id, result_id, created_at, ended_at
FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;
-- Never two tasks of one session at once: the file itself refuses it. A suspended one holds nothing.
CREATE UNIQUE INDEX tasks_running ON tasks (session_id) WHERE state = 'running';
CREATE INDEX tasks_suspended ON tasks (created_at) WHERE state = 'suspended';
CREATE UNIQUE INDEX tasks_submission ON tasks (submission_id) WHERE submission_id IS NOT NULL;

CREATE TABLE questions (
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    call_id TEXT NOT NULL, -- the tool call that asks
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'closed')), -- closed: its task ended first
    ask_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    answer_id INTEGER REFERENCES payloads (payload_id),
    asked_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    answered_at TEXT,
    PRIMARY KEY (task_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX questions_open ON questions (deadline_at) WHERE state = 'open';

CREATE TABLE pauses (
    group_id TEXT NOT NULL,
    cause TEXT NOT NULL, -- whose pause it is: one of each may hold a group
    reason TEXT NOT NULL, -- the host's own words
    set_by TEXT NOT NULL,
    set_at TEXT NOT NULL,
    PRIMARY KEY (group_id, cause)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_tasks AS
SELECT t.task_id, t.group_id AS "group", t.session_id, t.submitter, t.submission_id, t.chat, t.state, t.code,
    r.body ->> '$.reason' AS reason, r.body ->> '$.text' AS reply,
    (SELECT count(*) FROM messages AS m WHERE m.task_id = t.task_id AND m.state <> 'context') AS messages,
    (SELECT count(*) FROM attempts AS a WHERE a.task_id = t.task_id) AS attempts,
    (SELECT count(*) FROM steps AS s WHERE s.task_id = t.task_id) AS steps,
    t.created_at, t.ended_at
FROM tasks AS t LEFT JOIN payloads AS r ON r.payload_id = t.result_id;

CREATE VIEW v_submissions AS
SELECT s.submission_id, s.submitter, s.idempotency_key, s.group_id AS "group", s.session_id, s.chat,
    coalesce(t.state, s.state) AS state, t.task_id, s.created_at, t.ended_at
FROM submissions AS s LEFT JOIN tasks AS t ON t.submission_id = s.submission_id;

CREATE VIEW v_questions AS
SELECT q.task_id, t.group_id AS "group", q.call_id, q.kind, q.state, q.asked_at, q.deadline_at, q.answered_at,
    p.body ->> '$.text' AS text
FROM questions AS q JOIN tasks AS t USING (task_id) JOIN payloads AS p ON p.payload_id = q.ask_id;

CREATE VIEW v_pauses AS SELECT group_id AS "group", cause, reason, set_by, set_at FROM pauses;
