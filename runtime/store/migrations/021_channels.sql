-- Chats to which their platform gave another key: a Telegram group that became a supergroup. Every other table holds the
-- new key only.

CREATE TABLE moved_chats (
    former TEXT PRIMARY KEY,
    chat TEXT NOT NULL,
    moved_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW v_moved_chats AS SELECT former, chat, moved_at FROM moved_chats;

-- Agents take back what they have said.
DROP VIEW v_sends;
ALTER TABLE sends RENAME TO sends_before;
DROP INDEX sends_of_group;
CREATE TABLE sends (
    send_id INTEGER PRIMARY KEY, -- agents know it as `s<number>`
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    call_id TEXT NOT NULL, -- the tool call that sends: once, however often it is asked for
    group_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'file', 'edit', 'react', 'delete')),
    chat TEXT NOT NULL,
    outbox_key TEXT NOT NULL, -- its message's idempotency key, in the outbox or held for a review
    sent_at TEXT NOT NULL,
    UNIQUE (task_id, call_id)
) STRICT;
INSERT INTO sends SELECT * FROM sends_before;
DROP TABLE sends_before;
CREATE INDEX sends_of_group ON sends (group_id, sent_at);

CREATE VIEW v_sends AS
SELECT 's' || s.send_id AS ref, s.group_id AS "group", s.task_id, s.kind, s.chat, s.sent_at,
    coalesce((SELECT o.state FROM outbox AS o WHERE o.idempotency_key = s.outbox_key),
        (SELECT h.state FROM held_messages AS h WHERE h.idempotency_key = s.outbox_key)) AS state
FROM sends AS s;
