-- What waits for an owner's word, message by message; whom we told no, chat by chat; who knows that pairing is locked.

-- A request is decided as an approval of the same code. Those that waited had none: whoever made them may ask again.
DELETE FROM access_requests WHERE state = 'pending';
ALTER TABLE access_requests ADD COLUMN beyond INTEGER NOT NULL DEFAULT 0; -- messages that were too many to keep
CREATE TABLE access_waits (
    message_id TEXT PRIMARY KEY REFERENCES messages (message_id),
    code TEXT NOT NULL REFERENCES access_requests (code) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX access_waits_code ON access_waits (code);
INSERT INTO access_waits (message_id, code) SELECT message_id, code FROM access_requests;

DROP VIEW v_access_requests;
CREATE VIEW v_access_requests AS
SELECT code, kind, subject, person, name, chat, chat_kind, message_id, state, beyond, created_at, expires_at,
    (SELECT count(*) FROM access_waits AS w WHERE w.code = r.code) AS waiting
FROM access_requests AS r;

-- Clocks that run an hour at most: what they showed need not be kept.
DROP TABLE refusals;
CREATE TABLE refusals (
    person TEXT NOT NULL,
    chat TEXT NOT NULL,
    refused_at TEXT NOT NULL, -- when this person was last told no in this chat
    PRIMARY KEY (person, chat)
) STRICT, WITHOUT ROWID;

-- 1: no guess; somebody was told that pairing is locked.
ALTER TABLE pairing_guesses ADD COLUMN is_word INTEGER NOT NULL DEFAULT 0 CHECK (is_word IN (0, 1));

-- Homes that forgot somebody may have kept an agent bound to a chat without a name: notices for owners went there.
DELETE FROM bindings WHERE chat_kind = 'direct' AND substr(chat, 1, 10) = 'forgotten_';
