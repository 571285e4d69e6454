-- Persons, their identities, roles and limits; chats, bindings, pairing.

-- name: sender_facts
-- What is known of who speaks, where: a row for each agent of the chat, one without any if it has none. Messages are not
-- counted where no limit could come of it.
SELECT s.person, s.name, s.role, s.added_at AS person_at, s.added_by AS person_by, pr.role AS role_here,
    r.refused_at, l.person AS limited, l.per_minute, l.per_hour, l.per_day, l.model_calls_per_day, l.cost_usd_per_day,
    b.chat, b.chat_kind, b.group_id, b.answers, b.pattern, b.sticky_minutes, b.whom, b.whom_names, b.rest, b.session,
    b.mode, b.is_default, b.added_at, b.added_by, f.spoken_at,
    EXISTS (SELECT 1 FROM pairing_codes AS c WHERE c.expires_at > :now) AS pairing_pending,
    (SELECT q.code FROM access_requests AS q WHERE q.state = 'granted'
        AND (q.chat = :chat OR (q.kind = 'chat' AND q.subject = :parent)) LIMIT 1) AS granted,
    CASE WHEN s.role IS NULL OR (s.role = 'owner' AND l.person IS NULL) THEN NULL ELSE (
        SELECT sum(m.received_at > strftime('%Y-%m-%dT%H:%M:%f', :now, '-1 minute')) || ' '
            || sum(m.received_at > strftime('%Y-%m-%dT%H:%M:%f', :now, '-1 hour')) || ' ' || count(*)
        FROM messages AS m INDEXED BY messages_asked
        WHERE m.person IN (SELECT s.person UNION ALL SELECT o.identity FROM identities AS o WHERE o.person = s.person)
            AND m.received_at > strftime('%Y-%m-%dT%H:%M:%f', :now, '-1 day')
            AND m.state IN ('queued', 'claimed', 'answered', 'dead')) END AS asked
FROM (SELECT 1) LEFT JOIN identities AS i ON i.identity = :person
LEFT JOIN persons AS s ON s.person = coalesce(i.person, :person)
LEFT JOIN person_limits AS l ON l.person = s.person
LEFT JOIN refusals AS r ON r.person = :person AND r.chat = :chat
LEFT JOIN bindings AS b ON b.chat = CASE WHEN EXISTS (SELECT 1 FROM bindings WHERE chat = :chat) THEN :chat ELSE :parent END
LEFT JOIN person_roles AS pr ON pr.person = s.person AND pr.group_id = b.group_id
LEFT JOIN followed AS f ON f.chat = :chat AND f.group_id = b.group_id
ORDER BY b.is_default DESC, b.group_id;

-- name: people
-- All known persons.
SELECT * FROM persons ORDER BY added_at, person;

-- name: person_by_key
-- The known person whom a key is an identity of.
SELECT * FROM persons WHERE person = coalesce((SELECT person FROM identities WHERE identity = :person), :person);

-- name: person_with
-- The same, as they are to one agent.
SELECT s.*, pr.role AS role_here FROM persons AS s
LEFT JOIN person_roles AS pr ON pr.person = s.person AND pr.group_id = :group_id
WHERE s.person = coalesce((SELECT person FROM identities WHERE identity = :person), :person);

-- name: count_owners
-- Whether there is an owner yet.
SELECT count(*) AS owners FROM persons WHERE role = 'owner';

-- name: save_person
-- A person is added, or gets another name or role.
INSERT INTO persons (person, name, role, added_at, added_by) VALUES (:person, :name, :role, :added_at, :added_by)
ON CONFLICT (person) DO UPDATE SET name = excluded.name, role = excluded.role;

-- name: remove_person
-- A person may not speak any more, under any identity.
DELETE FROM persons WHERE person = :person;

-- name: identities
-- All linked identities.
SELECT * FROM identities ORDER BY person, added_at, identity;

-- name: save_identity
-- A key is another identity of somebody known.
INSERT INTO identities (identity, person, added_at, added_by) VALUES (:identity, :person, :added_at, :added_by)
ON CONFLICT (identity) DO UPDATE SET person = excluded.person, added_at = excluded.added_at,
    added_by = excluded.added_by;

-- name: move_identities
-- Whoever was linked to one person is linked to another.
UPDATE identities SET person = :to_person WHERE person = :person;

-- name: remove_identity
-- A key is nobody's identity any more.
DELETE FROM identities WHERE identity = :identity;

-- name: person_roles
-- What persons are to single agents.
SELECT * FROM person_roles ORDER BY person, group_id;

-- name: save_role
-- A person's role with one agent.
INSERT INTO person_roles (person, group_id, role) VALUES (:person, :group_id, :role)
ON CONFLICT (person, group_id) DO UPDATE SET role = excluded.role;

-- name: remove_role
-- A person is to an agent what they are everywhere.
DELETE FROM person_roles WHERE person = :person AND group_id = :group_id;

-- name: person_limits
-- The limits that were set for persons.
SELECT * FROM person_limits;

-- name: save_limits
-- A person gets limits of their own.
INSERT INTO person_limits (person, per_minute, per_hour, per_day, model_calls_per_day, cost_usd_per_day)
VALUES (:person, :per_minute, :per_hour, :per_day, :model_calls_per_day, :cost_usd_per_day)
ON CONFLICT (person) DO UPDATE SET per_minute = excluded.per_minute, per_hour = excluded.per_hour,
    per_day = excluded.per_day, model_calls_per_day = excluded.model_calls_per_day,
    cost_usd_per_day = excluded.cost_usd_per_day;

-- name: remove_limits
-- A person has the limits that the agents' settings give everybody.
DELETE FROM person_limits WHERE person = :person;

-- name: asked_by
-- How many messages of a person went to agents of late.
SELECT coalesce(sum(received_at > :minute_ago), 0) AS minute, coalesce(sum(received_at > :hour_ago), 0) AS hour,
    count(*) AS day
FROM messages INDEXED BY messages_asked
WHERE person IN (SELECT value FROM json_each(:persons)) AND received_at > :day_ago
    AND state IN ('queued', 'claimed', 'answered', 'dead');

-- name: spent_by
-- What a person's tasks, and those of their schedules, have used on a day.
SELECT coalesce(sum(model_calls), 0) AS model_calls, coalesce(sum(cost_usd), 0.0) AS cost_usd FROM model_use
WHERE day = :day AND payer IN (SELECT value FROM json_each(:persons));

-- name: identities_of
-- The further keys of one person.
SELECT identity FROM identities WHERE person = :person ORDER BY added_at, identity;

-- name: note_refusal
-- A person has been told no in a chat.
INSERT INTO refusals (person, chat, refused_at) VALUES (:person, :chat, :refused_at)
ON CONFLICT (person, chat) DO UPDATE SET refused_at = excluded.refused_at;

-- name: forget_refusal
-- What a person was told when they were a stranger keeps nothing from being told now.
DELETE FROM refusals WHERE person = :person;

-- name: bind
-- A chat gets an agent, or its binding to the agent is changed.
INSERT INTO bindings (chat, group_id, chat_kind, answers, pattern, sticky_minutes, whom, whom_names, rest, session, mode,
    is_default, added_at, added_by)
VALUES (:chat, :group_id, :chat_kind, :answers, :pattern, :sticky_minutes, :whom, :whom_names, :rest, :session, :mode,
    :is_default, :added_at, :added_by)
ON CONFLICT (chat, group_id) DO UPDATE SET chat_kind = excluded.chat_kind, answers = excluded.answers,
    pattern = excluded.pattern, sticky_minutes = excluded.sticky_minutes, whom = excluded.whom,
    whom_names = excluded.whom_names, rest = excluded.rest, session = excluded.session, mode = excluded.mode,
    is_default = excluded.is_default, added_at = excluded.added_at, added_by = excluded.added_by;

-- name: clear_default
-- No agent of a chat is its default one, for a moment.
UPDATE bindings SET is_default = 0 WHERE chat = :chat AND is_default = 1;

-- name: make_default
-- The oldest agent of a chat that has no default one becomes it.
UPDATE bindings SET is_default = 1
WHERE chat = :chat AND NOT EXISTS (SELECT 1 FROM bindings WHERE chat = :chat AND is_default = 1) AND group_id =
    (SELECT group_id FROM bindings WHERE chat = :chat ORDER BY added_at, group_id LIMIT 1);

-- name: unbind
-- An agent of a chat is not bound to it any more.
DELETE FROM bindings WHERE chat = :chat AND group_id = :group_id;

-- name: bindings_of_chat
-- A chat's own agents, the default one first.
SELECT * FROM bindings WHERE chat = :chat ORDER BY is_default DESC, group_id;

-- name: all_bindings
-- All bindings.
SELECT * FROM bindings ORDER BY added_at, chat, group_id;

-- name: bindings_of_group
-- A group's bindings.
SELECT * FROM bindings WHERE group_id = :group_id ORDER BY added_at, chat;

-- name: follow
-- The agent of a `sticky` binding was spoken to in a chat or thread.
INSERT INTO followed (chat, group_id, spoken_at)
SELECT :chat, group_id, :spoken_at FROM bindings
WHERE chat IN (:chat, :parent) AND group_id = :group_id AND answers = 'sticky' LIMIT 1
ON CONFLICT (chat, group_id) DO UPDATE SET spoken_at = excluded.spoken_at;

-- name: unfollow
-- An agent follows nothing in a chat and its threads any more.
DELETE FROM followed WHERE group_id = :group_id AND (chat = :chat OR substr(chat, 1, length(:chat) + 1) = :chat || ':');

-- name: direct_chats
-- The direct chats of one key.
SELECT chat FROM chats WHERE person = :person AND person <> '' AND chat_kind = 'direct' ORDER BY seen_at;

-- name: owner_chats
-- Direct chats of owners that have an agent, under all their identities, the newest first; a terminal last.
SELECT c.chat, s.person FROM persons AS s
JOIN chats AS c ON c.person <> ''
    AND c.person IN (SELECT s.person UNION ALL SELECT i.identity FROM identities AS i WHERE i.person = s.person)
WHERE s.role = 'owner' AND c.chat_kind = 'direct' AND EXISTS (SELECT 1 FROM bindings AS b WHERE b.chat = c.chat)
ORDER BY c.channel_id = 'terminal', c.seen_at DESC;

-- name: terminal_chats
-- Chats of terminals with an agent: who can open one owns the home.
SELECT chat FROM bindings WHERE chat LIKE 'terminal:%' AND is_default = 1 ORDER BY added_at;

-- name: drop_expired_codes
-- Pairing codes that nobody used in time.
DELETE FROM pairing_codes WHERE expires_at <= :now;

-- name: drop_oldest_codes
-- More codes than may wait at once: the oldest end.
DELETE FROM pairing_codes WHERE code_hash NOT IN
    (SELECT code_hash FROM pairing_codes ORDER BY created_at DESC, code_hash LIMIT :keep);

-- name: drop_codes_of
-- A person's earlier code for another identity: one at a time is enough.
DELETE FROM pairing_codes WHERE person = :person AND person <> '';

-- name: insert_code
-- A pairing code, hashed.
INSERT INTO pairing_codes (code_hash, group_id, added_by, created_at, expires_at, person, role)
VALUES (:code_hash, :group_id, :added_by, :created_at, :expires_at, :person, :role);

-- name: code_by_hash
-- A pairing code that has not expired.
SELECT * FROM pairing_codes WHERE code_hash = :code_hash AND expires_at > :now;

-- name: drop_code
-- A pairing code has been used.
DELETE FROM pairing_codes WHERE code_hash = :code_hash;

-- name: drop_old_guesses
-- Wrong codes that no lock-out counts any more.
DELETE FROM pairing_guesses WHERE guessed_at < :before;

-- name: count_guesses
-- Wrong codes of late: from one person, and in all; and whether the person was told that pairing is locked.
SELECT coalesce(sum(person = :person AND is_word = 0), 0) AS by_person, coalesce(sum(is_word = 0), 0) AS in_all,
    coalesce(sum(person = :person AND is_word = 1), 0) AS words
FROM pairing_guesses;

-- name: insert_guess
-- A wrong code; or the word that pairing is locked.
INSERT INTO pairing_guesses (person, guessed_at, is_word) VALUES (:person, :guessed_at, :is_word);
