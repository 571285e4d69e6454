-- What people are asked to decide, what they decided, what waits for it; which tasks read untrusted text; which skills
-- are mounted where.

CREATE TABLE approvals (
    approval_id TEXT PRIMARY KEY, -- 8 characters of Crockford's base 32: a person types it
    kind TEXT NOT NULL,
    group_id TEXT NOT NULL, -- '' where it concerns the whole house
    task_id TEXT, -- or what a program's token acts for
    digest TEXT NOT NULL, -- SHA-256 over kind, group and payload: exactly what is decided
    payload_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    who TEXT NOT NULL, -- JSON: a role, or a list of person keys
    quorum INTEGER NOT NULL CHECK (quorum >= 1),
    scopes TEXT NOT NULL, -- JSON: how far a decision may be remembered
    asker_key TEXT UNIQUE, -- the asker's own: the same key again is the same approval
    origin TEXT NOT NULL DEFAULT '', -- what another process knows it by
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'approved', 'denied', 'expired', 'withdrawn')),
    reason TEXT NOT NULL DEFAULT '', -- the host's word for why it was withdrawn
    reminders INTEGER NOT NULL DEFAULT 0,
    remind_at TEXT, -- NULL: no more reminders
    asked_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    ended_at TEXT,
    told_at TEXT, -- when whoever asked has heard of the end
    used_at TEXT -- when the one thing that was approved was let go
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_waiting ON approvals (asked_at) WHERE state = 'waiting';
CREATE INDEX approvals_untold ON approvals (ended_at) WHERE state <> 'waiting' AND told_at IS NULL;
CREATE INDEX approvals_digest ON approvals (digest, asked_at);
CREATE INDEX approvals_task ON approvals (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX approvals_origin ON approvals (origin) WHERE origin <> '';
CREATE INDEX approvals_ended ON approvals (ended_at) WHERE state <> 'waiting';

CREATE TABLE approval_votes (
    approval_id TEXT NOT NULL REFERENCES approvals (approval_id),
    voter TEXT NOT NULL, -- a person, all their linked identities as one; or `cli`
    by TEXT NOT NULL, -- the identity that spoke
    is_yes INTEGER NOT NULL CHECK (is_yes IN (0, 1)),
    voted_at TEXT NOT NULL,
    PRIMARY KEY (approval_id, voter)
) STRICT, WITHOUT ROWID;

CREATE TABLE approval_chats (
    approval_id TEXT NOT NULL REFERENCES approvals (approval_id),
    chat TEXT NOT NULL, -- where its card was put
    PRIMARY KEY (approval_id, chat)
) STRICT, WITHOUT ROWID;

CREATE TABLE remembered_decisions (
    decision_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    group_id TEXT NOT NULL,
    scope TEXT NOT NULL, -- exact, command, folder, host, tool
    scope_key TEXT NOT NULL, -- SHA-256 of what the scope covers: never a text of an agent's
    is_yes INTEGER NOT NULL CHECK (is_yes IN (0, 1)),
    by TEXT NOT NULL,
    approval_id TEXT NOT NULL REFERENCES approvals (approval_id),
    decided_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    UNIQUE (kind, group_id, scope, scope_key)
) STRICT;

CREATE TABLE held_messages (
    held_id INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE, -- what the outbox will know it by
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    chat TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload_id INTEGER NOT NULL REFERENCES payloads (payload_id),
    approval_id TEXT NOT NULL REFERENCES approvals (approval_id),
    state TEXT NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'refused')),
    held_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX held_messages_held ON held_messages (held_id) WHERE state = 'held';
CREATE INDEX held_messages_approval ON held_messages (approval_id);
CREATE INDEX held_messages_task ON held_messages (task_id);

CREATE TABLE review_rules (
    group_id TEXT PRIMARY KEY,
    mode TEXT NOT NULL CHECK (mode IN ('copilot', 'autonomous')),
    who TEXT NOT NULL,
    quorum INTEGER NOT NULL,
    deadline_s REAL NOT NULL,
    sample_percent INTEGER NOT NULL,
    zone TEXT NOT NULL -- of the times on its cards
) STRICT, WITHOUT ROWID; -- as group.yaml says at the last reload: the store itself holds outputs back by it

CREATE TABLE send_rules (
    group_id TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    name TEXT NOT NULL, -- of a destination; `*`: whatever is not the chat where a task began
    verdict TEXT NOT NULL CHECK (verdict IN ('ask', 'deny')),
    who TEXT NOT NULL,
    quorum INTEGER NOT NULL,
    deadline_s REAL NOT NULL,
    PRIMARY KEY (group_id, rule_id)
) STRICT, WITHOUT ROWID; -- constraints on destinations, as they hold now

CREATE TABLE task_taints (
    task_id TEXT NOT NULL,
    source TEXT NOT NULL, -- web, grant, person, program
    origin TEXT NOT NULL, -- the host that was read, or how it came
    noted_at TEXT NOT NULL,
    PRIMARY KEY (task_id, source, origin)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_session ON tasks (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE added_constraints (
    constraint_id TEXT PRIMARY KEY,
    group_id TEXT NOT NULL,
    terms TEXT NOT NULL, -- JSON, as in group.yaml
    added_by TEXT NOT NULL,
    added_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX added_constraints_group ON added_constraints (group_id);

CREATE TABLE skill_mounts (
    group_id TEXT NOT NULL,
    skill TEXT NOT NULL,
    mounted_by TEXT NOT NULL,
    mounted_at TEXT NOT NULL,
    PRIMARY KEY (group_id, skill)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_approvals AS
SELECT a.approval_id, a.kind, a.group_id AS "group", a.task_id, a.state, a.reason, a.digest, a.who, a.quorum,
    (SELECT count(*) FROM approval_votes AS v WHERE v.approval_id = a.approval_id AND v.is_yes = 1) AS yes_votes,
    (SELECT group_concat(v.by, ' ') FROM approval_votes AS v WHERE v.approval_id = a.approval_id) AS decided_by,
    p.body ->> '$.summary' AS summary, a.asked_at, a.deadline_at, a.ended_at, a.used_at
FROM approvals AS a JOIN payloads AS p USING (payload_id);

CREATE VIEW v_remembered_decisions AS
SELECT decision_id, kind, group_id AS "group", scope, is_yes, by, approval_id, decided_at, expires_at
FROM remembered_decisions;

CREATE VIEW v_held_messages AS
SELECT h.held_id, h.idempotency_key, h.task_id, h.chat, h.approval_id, h.state, h.held_at, h.ended_at,
    p.body ->> '$.text' AS text
FROM held_messages AS h JOIN payloads AS p USING (payload_id);

CREATE VIEW v_task_taints AS SELECT task_id, source, origin, noted_at FROM task_taints;

CREATE VIEW v_constraints AS
SELECT constraint_id, group_id AS "group", terms, added_by, added_at FROM added_constraints;

CREATE VIEW v_skill_mounts AS SELECT group_id AS "group", skill, mounted_by, mounted_at FROM skill_mounts;
