-- People and access: linked identities, roles for one agent, limits, who asks to be let in, several agents in a chat,
-- what was refused, and where agents may send.

CREATE TABLE identities (
    identity TEXT PRIMARY KEY, -- another key of somebody who is in `persons` under their first
    person TEXT NOT NULL REFERENCES persons (person) ON DELETE CASCADE,
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_person ON identities (person);

CREATE TABLE person_roles (
    person TEXT NOT NULL REFERENCES persons (person) ON DELETE CASCADE,
    group_id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member', 'guest')), -- with this agent, where it is more than everywhere
    PRIMARY KEY (person, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE person_limits (
    person TEXT PRIMARY KEY REFERENCES persons (person) ON DELETE CASCADE,
    per_minute INTEGER, -- messages to agents; null: as the agent's settings say
    per_hour INTEGER,
    per_day INTEGER,
    model_calls_per_day INTEGER,
    cost_usd_per_day REAL
) STRICT, WITHOUT ROWID;

-- What counts against somebody's limits. Small beside the table: chatter of rooms is not in it.
CREATE INDEX messages_asked ON messages (person, received_at)
    WHERE state IN ('queued', 'claimed', 'answered', 'dead');

CREATE TABLE access_requests (
    code TEXT PRIMARY KEY, -- names the request; opens nothing by itself
    kind TEXT NOT NULL CHECK (kind IN ('person', 'chat')),
    subject TEXT NOT NULL, -- the person's key, or the chat's
    person TEXT NOT NULL, -- who spoke
    name TEXT NOT NULL,
    chat TEXT NOT NULL, -- where
    chat_kind TEXT NOT NULL CHECK (chat_kind IN ('direct', 'many')),
    message_id TEXT NOT NULL REFERENCES messages (message_id), -- what is taken up again after a yes
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'granted', 'denied')),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    UNIQUE (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_requests_message ON access_requests (message_id);

CREATE TABLE access_refusals (
    person TEXT NOT NULL,
    chat TEXT NOT NULL,
    code TEXT NOT NULL, -- why, in one stable word
    refusals INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    PRIMARY KEY (person, chat, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_refusals_last ON access_refusals (last_at);

CREATE TABLE followed (
    chat TEXT NOT NULL,
    group_id TEXT NOT NULL,
    spoken_at TEXT NOT NULL, -- when the agent of a `sticky` binding was last spoken to in this chat or thread
    PRIMARY KEY (chat, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE destinations (
    group_id TEXT NOT NULL,
    name TEXT NOT NULL,
    chat TEXT NOT NULL,
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    PRIMARY KEY (group_id, name)
) STRICT, WITHOUT ROWID;

-- How a message is queued, as its binding said when it was filed.
ALTER TABLE messages ADD COLUMN mode TEXT NOT NULL DEFAULT 'steer'
    CHECK (mode IN ('steer', 'follow_up', 'collect', 'interrupt'));

-- Who writes in a direct chat, so that owners can be found.
ALTER TABLE chats ADD COLUMN person TEXT NOT NULL DEFAULT '';
UPDATE chats SET person = last.person FROM (SELECT chat, person, max(seq) FROM messages GROUP BY chat) AS last
WHERE last.chat = chats.chat AND chat_kind = 'direct';
CREATE INDEX chats_person ON chats (person) WHERE person <> '';

ALTER TABLE pairing_codes ADD COLUMN person TEXT NOT NULL DEFAULT ''; -- whose other identity sends it; '': somebody new
ALTER TABLE pairing_codes ADD COLUMN role TEXT NOT NULL DEFAULT 'owner'
    CHECK (role IN ('owner', 'admin', 'member', 'guest'));

-- Several agents in a chat, and more to say about each.
DROP VIEW v_bindings;
ALTER TABLE bindings RENAME TO old_bindings;
DROP INDEX bindings_group;
CREATE TABLE bindings (
    chat TEXT NOT NULL,
    group_id TEXT NOT NULL,
    chat_kind TEXT NOT NULL CHECK (chat_kind IN ('direct', 'many')),
    answers TEXT NOT NULL CHECK (answers IN ('always', 'mention', 'pattern', 'sticky')),
    pattern TEXT NOT NULL DEFAULT '',
    sticky_minutes INTEGER NOT NULL,
    whom TEXT NOT NULL CHECK (whom IN ('known', 'roles', 'persons')),
    whom_names TEXT NOT NULL, -- a JSON list of roles or persons
    rest TEXT NOT NULL CHECK (rest IN ('drop', 'context')),
    session TEXT NOT NULL CHECK (session IN ('chat', 'thread', 'shared')),
    mode TEXT NOT NULL CHECK (mode IN ('steer', 'follow_up', 'collect', 'interrupt')),
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    PRIMARY KEY (chat, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_group ON bindings (group_id);
CREATE UNIQUE INDEX bindings_default ON bindings (chat) WHERE is_default = 1;
INSERT INTO bindings (chat, group_id, chat_kind, answers, sticky_minutes, whom, whom_names, rest, session, mode,
    is_default, added_at, added_by)
SELECT chat, group_id, chat_kind, answers, 30, 'known', '[]', rest, session, 'steer', 1, added_at, added_by
FROM old_bindings;
DROP TABLE old_bindings;

CREATE VIEW v_bindings AS
SELECT chat, chat_kind, group_id AS "group", answers, pattern, sticky_minutes, whom, whom_names, rest, session, mode,
    is_default, added_at, added_by FROM bindings;

CREATE VIEW v_identities AS SELECT identity, person, added_at, added_by FROM identities;

CREATE VIEW v_roles AS
SELECT person, '' AS "group", role FROM persons UNION ALL SELECT person, group_id, role FROM person_roles;

CREATE VIEW v_person_limits AS
SELECT person, per_minute, per_hour, per_day, model_calls_per_day, cost_usd_per_day FROM person_limits;

CREATE VIEW v_access_requests AS
SELECT code, kind, subject, person, name, chat, chat_kind, message_id, state, created_at, expires_at FROM access_requests;

CREATE VIEW v_access_refusals AS SELECT person, chat, code, refusals, first_at, last_at FROM access_refusals;

CREATE VIEW v_destinations AS SELECT group_id AS "group", name, chat, added_at, added_by FROM destinations;
