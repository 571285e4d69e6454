-- What models were used, by task; what a person decided about a day's purse; the programs that may submit tasks.

DROP VIEW v_model_calls;
CREATE TABLE model_use (
    day TEXT NOT NULL, -- UTC, as the proxy counts
    task_id TEXT NOT NULL, -- '' for what was counted before tasks were, and for tasks long over
    group_id TEXT NOT NULL,
    model TEXT NOT NULL, -- '' where no answer came
    submitter TEXT NOT NULL, -- the task's; '' where it is not known
    is_background INTEGER NOT NULL CHECK (is_background IN (0, 1)), -- no person waits for it
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL, -- of the calls whose price is known
    calls_without_price INTEGER NOT NULL,
    PRIMARY KEY (day, task_id, group_id, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_use_task ON model_use (task_id);
INSERT INTO model_use (day, task_id, group_id, model, submitter, is_background, model_calls, input_tokens,
    output_tokens, cost_usd, calls_without_price)
SELECT day, '', group_id, '', '', 0, calls, 0, 0, 0.0, 0 FROM model_calls;
DROP TABLE model_calls;

CREATE TABLE purses (
    day TEXT NOT NULL, -- UTC
    purse TEXT NOT NULL, -- `machine`, `group:<id>`, `background:<id>`
    state TEXT NOT NULL CHECK (state IN ('open', 'asked', 'waiting', 'stopped')),
    raises INTEGER NOT NULL DEFAULT 0, -- how often it was given as much again
    approval_id TEXT NOT NULL DEFAULT '', -- the card that asks about it
    changed_at TEXT NOT NULL,
    PRIMARY KEY (day, purse)
) STRICT, WITHOUT ROWID;

CREATE TABLE spent_tasks (
    task_id TEXT PRIMARY KEY REFERENCES tasks (task_id),
    purse TEXT NOT NULL, -- what it waits for; `task` for its own limits
    call_id TEXT NOT NULL, -- the question by which it is suspended
    raises INTEGER NOT NULL DEFAULT 0, -- how often its own limits were given again
    approval_id TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('waiting', 'over')),
    stopped_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_tasks_waiting ON spent_tasks (stopped_at) WHERE state = 'waiting';
CREATE INDEX spent_tasks_raised ON spent_tasks (task_id) WHERE raises > 0;

CREATE TABLE programs (
    program TEXT PRIMARY KEY,
    groups TEXT NOT NULL, -- a JSON list: where it may submit
    is_attended INTEGER NOT NULL CHECK (is_attended IN (0, 1)), -- a person waits for its answers
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE program_tokens (
    token_hash TEXT PRIMARY KEY, -- SHA-256 of 256 random bits
    program TEXT NOT NULL REFERENCES programs (program),
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX program_tokens_program ON program_tokens (program);

CREATE TABLE program_tasks (
    submission_id TEXT PRIMARY KEY REFERENCES submissions (submission_id),
    program TEXT NOT NULL,
    group_id TEXT NOT NULL,
    skill TEXT NOT NULL DEFAULT '',
    skill_sha256 TEXT NOT NULL DEFAULT '', -- of its folder when it was submitted
    input_sha256 TEXT NOT NULL,
    mode TEXT NOT NULL, -- the group's, when it was submitted
    provider TEXT NOT NULL, -- the route
    model TEXT NOT NULL, -- as it was asked for
    submitted_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX program_tasks_program ON program_tasks (program, submitted_at);
CREATE INDEX program_tasks_newest ON program_tasks (submitted_at);

CREATE VIEW v_model_calls AS
SELECT day, group_id AS "group", sum(model_calls) AS calls FROM model_use GROUP BY day, group_id;

CREATE VIEW v_model_use AS
SELECT day, task_id, group_id AS "group", model, submitter, is_background, model_calls, input_tokens, output_tokens,
    cost_usd, calls_without_price
FROM model_use;

CREATE VIEW v_purses AS SELECT day, purse, state, raises, approval_id, changed_at FROM purses;

CREATE VIEW v_programs AS
SELECT p.program, p.groups, p.is_attended, p.added_at, p.added_by, p.revoked_at,
    (SELECT count(*) FROM program_tasks AS t WHERE t.program = p.program) AS tasks
FROM programs AS p;
