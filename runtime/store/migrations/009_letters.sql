-- Dead letters: what found no good end and waits for somebody to look. The file itself notes them, whoever ends what.

CREATE TABLE letters (
    reference TEXT PRIMARY KEY, -- a task, `out_<number>` of the outbox, `raw_<number>` of the updates
    kind TEXT NOT NULL CHECK (kind IN ('task', 'delivery', 'update')),
    group_id TEXT NOT NULL, -- '' where none is known
    chat TEXT NOT NULL, -- '' where none is known
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'closed')),
    died_at TEXT NOT NULL,
    ended_at TEXT,
    ended_by TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX letters_open ON letters (died_at) WHERE state = 'open';
CREATE INDEX letters_died ON letters (died_at);

CREATE TRIGGER letters_task AFTER UPDATE OF state ON tasks WHEN NEW.state = 'failed' AND OLD.state <> 'failed'
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

INSERT INTO letters (reference, kind, group_id, chat, died_at)
SELECT task_id, 'task', group_id, coalesce(chat, ''), coalesce(ended_at, created_at) FROM tasks WHERE state = 'failed';
INSERT INTO letters (reference, kind, group_id, chat, died_at)
SELECT 'out_' || o.outbox_id, 'delivery',
    coalesce((SELECT t.group_id FROM tasks AS t WHERE t.task_id = o.task_id), ''), o.chat,
    coalesce(o.ended_at, o.created_at) FROM outbox AS o WHERE o.state = 'dead';
INSERT INTO letters (reference, kind, group_id, chat, died_at)
SELECT 'raw_' || raw_id, 'update', '', '', received_at FROM raw_updates WHERE state = 'dead';

CREATE VIEW v_letters AS
SELECT reference, kind, group_id AS "group", chat, state, died_at, ended_at, ended_by FROM letters;
