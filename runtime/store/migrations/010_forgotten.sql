-- Whom we were asked to forget: not who it was, only that it was done, so that a restored backup can do it again.

CREATE TABLE forgotten (
    forget_id TEXT PRIMARY KEY,
    digests TEXT NOT NULL, -- a JSON list: keyed digests of the person's keys
    receipt TEXT NOT NULL, -- a JSON object of counts
    forgotten_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW v_forgotten AS SELECT forget_id, receipt, forgotten_at FROM forgotten;

-- What has ended, by when: old words are taken out in this order.
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
