-- Schedules with their runs, and work that agents handed to other agents.

CREATE TABLE schedules (
    schedule_id INTEGER PRIMARY KEY AUTOINCREMENT, -- people type it; never given twice
    group_id TEXT NOT NULL,
    chat TEXT, -- NULL: its answers go nowhere
    kind TEXT NOT NULL CHECK (kind IN ('once', 'cron', 'every')),
    timing TEXT NOT NULL, -- a time, an expression, or `<seconds> <time of the first second>`
    zone TEXT NOT NULL,
    jitter_s INTEGER NOT NULL,
    missed TEXT NOT NULL CHECK (missed IN ('run_once', 'skip', 'run_all')),
    overlap TEXT NOT NULL CHECK (overlap IN ('skip', 'queue')),
    session TEXT NOT NULL CHECK (session IN ('chat', 'own', 'none')),
    retries INTEGER NOT NULL,
    limits TEXT NOT NULL, -- a JSON object
    trust TEXT NOT NULL CHECK (trust IN ('person', 'program', 'agent', 'untrusted')),
    made_by TEXT NOT NULL,
    made_key TEXT NOT NULL DEFAULT '', -- what makes asking twice harmless: the message that asked
    payload_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'done', 'removed')),
    next_due_at TEXT, -- of an active one, until nothing is due any more
    failures INTEGER NOT NULL DEFAULT 0,
    made_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX schedules_due ON schedules (next_due_at) WHERE state = 'active' AND next_due_at IS NOT NULL;
CREATE UNIQUE INDEX schedules_key ON schedules (made_key) WHERE made_key <> '';
CREATE INDEX schedules_group ON schedules (group_id, schedule_id) WHERE state <> 'removed';

CREATE TABLE schedule_runs (
    run_id TEXT PRIMARY KEY,
    schedule_id INTEGER NOT NULL REFERENCES schedules (schedule_id),
    due_at TEXT NOT NULL,
    start_at TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('due', 'missed', 'manual', 'retry')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'submitted', 'done', 'skipped', 'failed', 'stopped')),
    reason TEXT NOT NULL DEFAULT '',
    gone_by INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 1,
    submission_id TEXT,
    task_id TEXT,
    is_delivery_told INTEGER NOT NULL DEFAULT 0 CHECK (is_delivery_told IN (0, 1)),
    made_at TEXT NOT NULL,
    ended_at TEXT
) STRICT, WITHOUT ROWID;
-- No due time ever becomes two runs, whatever a clock does.
CREATE UNIQUE INDEX schedule_runs_due ON schedule_runs (schedule_id, due_at) WHERE origin IN ('due', 'missed');
CREATE UNIQUE INDEX schedule_runs_manual ON schedule_runs (schedule_id, due_at) WHERE origin = 'manual';
CREATE INDEX schedule_runs_schedule ON schedule_runs (schedule_id, made_at);
CREATE INDEX schedule_runs_waiting ON schedule_runs (start_at) WHERE state = 'waiting';
CREATE INDEX schedule_runs_submitted ON schedule_runs (schedule_id) WHERE state = 'submitted';
CREATE INDEX schedule_runs_task ON schedule_runs (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE person_zones (
    person TEXT PRIMARY KEY,
    zone TEXT NOT NULL, -- whose clocks count for what this person says
    set_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE delegations (
    delegation_id TEXT PRIMARY KEY,
    from_group TEXT NOT NULL,
    task_id TEXT NOT NULL, -- the task that asks
    call_id TEXT NOT NULL, -- its tool call
    to_group TEXT NOT NULL,
    ancestors TEXT NOT NULL, -- a JSON list of groups, the first asker first
    state TEXT NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'submitted', 'ended', 'answered')),
    submission_id TEXT,
    request_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    answer_id INTEGER REFERENCES payloads (payload_id),
    asked_at TEXT NOT NULL,
    ended_at TEXT,
    UNIQUE (task_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delegations_open ON delegations (asked_at) WHERE state <> 'answered';
CREATE INDEX delegations_asked ON delegations (asked_at);
CREATE INDEX delegations_pair ON delegations (from_group, to_group, asked_at);
CREATE INDEX delegations_submission ON delegations (submission_id) WHERE submission_id IS NOT NULL;

CREATE TABLE handed_files (
    task_id TEXT NOT NULL, -- whose agent sent it
    call_id TEXT NOT NULL,
    file_id TEXT NOT NULL, -- its name in that group's outbox, made by the host
    payload_id INTEGER NOT NULL REFERENCES payloads (payload_id), -- what the agent calls it
    size_bytes INTEGER NOT NULL,
    stored_at TEXT NOT NULL,
    PRIMARY KEY (task_id, call_id)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_schedules AS
SELECT s.schedule_id, s.group_id AS "group", s.chat, s.state, s.kind, s.timing, s.zone, s.next_due_at, s.failures,
    s.missed, s.overlap, s.session, s.made_by, s.made_at, s.ended_at,
    p.body ->> '$.name' AS name, p.body ->> '$.prompt' AS prompt
FROM schedules AS s JOIN payloads AS p USING (payload_id);

CREATE VIEW v_schedule_runs AS
SELECT run_id, schedule_id, due_at, start_at, origin, state, reason, gone_by, number, submission_id, task_id, made_at,
    ended_at
FROM schedule_runs;

CREATE VIEW v_person_zones AS SELECT person, zone, set_at FROM person_zones;

CREATE VIEW v_delegations AS
SELECT d.delegation_id, d.from_group, d.task_id, d.to_group, t.task_id AS to_task, d.state, d.ancestors, d.asked_at, d.ended_at,
    r.body ->> '$.prompt' AS prompt
FROM delegations AS d JOIN payloads AS r ON r.payload_id = d.request_id
LEFT JOIN tasks AS t ON t.submission_id = d.submission_id;

CREATE VIEW v_handed_files AS
SELECT h.task_id, h.call_id, h.file_id, h.size_bytes, h.stored_at, p.body ->> '$.name' AS name
FROM handed_files AS h JOIN payloads AS p USING (payload_id);
