-- What agents send of their own accord: each under a name that they may use again, and counted.

CREATE TABLE sends (
    send_id INTEGER PRIMARY KEY, -- agents know it as `s<number>`
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    call_id TEXT NOT NULL, -- the tool call that sends: once, however often it is asked for
    group_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'file', 'edit', 'react')),
    chat TEXT NOT NULL,
    outbox_key TEXT NOT NULL, -- its message's idempotency key, in the outbox or held for a review
    sent_at TEXT NOT NULL,
    UNIQUE (task_id, call_id)
) STRICT;
CREATE INDEX sends_of_group ON sends (group_id, sent_at);

CREATE VIEW v_sends AS
SELECT 's' || s.send_id AS ref, s.group_id AS "group", s.task_id, s.kind, s.chat, s.sent_at,
    coalesce((SELECT o.state FROM outbox AS o WHERE o.idempotency_key = s.outbox_key),
        (SELECT h.state FROM held_messages AS h WHERE h.idempotency_key = s.outbox_key)) AS state
FROM sends AS s;
