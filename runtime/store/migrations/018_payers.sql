-- Whose money a task uses, through which routes it was answered, and letters of what nobody else tries again.

-- The person whose limits a task counts for: who asked for it, made the schedule, or began what one agent asked of
-- another. '' for nobody's.
ALTER TABLE tasks ADD COLUMN payer TEXT NOT NULL DEFAULT '';
UPDATE tasks SET payer = substr(submitter, 8) WHERE submitter LIKE 'person:%';

DROP VIEW v_model_calls;
DROP VIEW v_model_use;
DROP INDEX model_use_task;
ALTER TABLE model_use RENAME TO model_use_before;
CREATE TABLE model_use (
    day TEXT NOT NULL, -- UTC, as the proxy counts
    task_id TEXT NOT NULL, -- '' for what was counted before tasks were, and for tasks long over
    group_id TEXT NOT NULL,
    model TEXT NOT NULL, -- '' where no answer came
    route TEXT NOT NULL, -- '' for a granted host that says what it used, and from before routes were kept
    submitter TEXT NOT NULL, -- the task's; '' where it is not known
    payer TEXT NOT NULL, -- the task's
    is_background INTEGER NOT NULL CHECK (is_background IN (0, 1)), -- no person waits for it
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL, -- of the calls whose price is known
    calls_without_price INTEGER NOT NULL,
    last_at TEXT NOT NULL, -- when the newest of its calls ended; '' where it is not known
    PRIMARY KEY (day, task_id, group_id, model, route)
) STRICT, WITHOUT ROWID;
INSERT INTO model_use SELECT day, task_id, group_id, model, '', submitter,
    CASE WHEN submitter LIKE 'person:%' THEN substr(submitter, 8) ELSE '' END, is_background, model_calls, input_tokens,
    output_tokens, cost_usd, calls_without_price, '' FROM model_use_before;
DROP TABLE model_use_before;
CREATE INDEX model_use_task ON model_use (task_id);

CREATE VIEW v_model_calls AS
SELECT day, group_id AS "group", sum(model_calls) AS calls FROM model_use GROUP BY day, group_id;

CREATE VIEW v_model_use AS
SELECT day, task_id, group_id AS "group", model, route, submitter, payer, is_background, model_calls, input_tokens,
    output_tokens, cost_usd, calls_without_price
FROM model_use;

-- What answered is the proxy's to say; mode and skill are those that the last attempt began with.
ALTER TABLE program_tasks DROP COLUMN provider;
ALTER TABLE program_tasks DROP COLUMN model;

DROP TRIGGER letters_task;
DROP TRIGGER letters_delivery;
DROP TRIGGER letters_update;
DROP VIEW v_letters;
DROP INDEX letters_open;
DROP INDEX letters_died;
ALTER TABLE letters RENAME TO letters_before;
CREATE TABLE letters (
    reference TEXT PRIMARY KEY, -- a task, a schedule's run, `out_<number>` of the outbox, `raw_<number>` of the updates
    kind TEXT NOT NULL CHECK (kind IN ('task', 'schedule', 'delivery', 'update')),
    group_id TEXT NOT NULL, -- '' where none is known
    chat TEXT NOT NULL, -- '' where none is known
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'closed')),
    died_at TEXT NOT NULL,
    ended_at TEXT,
    ended_by TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
INSERT INTO letters SELECT * FROM letters_before;
DROP TABLE letters_before;
CREATE INDEX letters_open ON letters (died_at) WHERE state = 'open';
CREATE INDEX letters_died ON letters (died_at);
-- Of what was handed in, its submitter decides: a program, another agent, a schedule (whose run has a letter).
UPDATE letters SET state = 'closed', ended_at = died_at, ended_by = 'submitter' WHERE kind = 'task' AND state = 'open'
    AND (SELECT t.submission_id FROM tasks AS t WHERE t.task_id = reference) IS NOT NULL;

CREATE TRIGGER letters_task AFTER UPDATE OF state ON tasks
WHEN NEW.state = 'failed' AND OLD.state <> 'failed' AND NEW.submission_id IS NULL
BEGIN
    INSERT INTO letters (reference, kind, group_id, chat, died_at)
    VALUES (NEW.task_id, 'task', NEW.group_id, coalesce(NEW.chat, ''), coalesce(NEW.ended_at, NEW.created_at))
    ON CONFLICT (reference) DO UPDATE SET state = 'open', died_at = excluded.died_at, ended_at = NULL, ended_by = '';
END;
CREATE TRIGGER letters_delivery AFTER UPDATE OF state ON outbox WHEN NEW.state = 'dead' AND OLD.state <> 'dead'
BEGIN
    INSERT INTO letters (reference, kind, group_id, chat, died_at)
    VALUES ('out_' || NEW.outbox_id, 'delivery',
        coalesce((SELECT t.group_id FROM tasks AS t WHERE t.task_id = NEW.task_id), ''), NEW.chat,
        coalesce(NEW.ended_at, NEW.created_at))
    ON CONFLICT (reference) DO UPDATE SET state = 'open', died_at = excluded.died_at, ended_at = NULL, ended_by = '';
END;
CREATE TRIGGER letters_update AFTER UPDATE OF state ON raw_updates WHEN NEW.state = 'dead' AND OLD.state <> 'dead'
BEGIN
    INSERT INTO letters (reference, kind, group_id, chat, died_at)
    VALUES ('raw_' || NEW.raw_id, 'update', '', '', NEW.received_at)
    ON CONFLICT (reference) DO UPDATE SET state = 'open', died_at = excluded.died_at, ended_at = NULL, ended_by = '';
END;

CREATE VIEW v_letters AS
SELECT reference, kind, group_id AS "group", chat, state, died_at, ended_at, ended_by FROM letters;
