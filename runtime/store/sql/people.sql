-- Persons, chats, bindings, pairing.

-- name: sender_facts
-- What is known of who speaks, where: one row.
SELECT s.name, s.role, s.added_at, s.added_by, b.chat_kind, b.group_id, b.answers, b.rest, b.session,
    b.added_at AS bound_at, b.added_by AS bound_by, r.refused_at,
    EXISTS (SELECT 1 FROM pairing_codes AS c WHERE c.expires_at > :now) AS pairing_pending
FROM (SELECT 1) LEFT JOIN persons AS s ON s.person = :person LEFT JOIN bindings AS b ON b.chat = :chat
LEFT JOIN refusals AS r ON r.person = :person;

-- name: people
-- All known persons.
SELECT * FROM persons ORDER BY added_at, person;

-- name: person_by_key
-- One known person.
SELECT * FROM persons WHERE person = :person;

-- name: save_person
-- A person is added, or gets another name or role.
INSERT INTO persons (person, name, role, added_at, added_by) VALUES (:person, :name, :role, :added_at, :added_by)
ON CONFLICT (person) DO UPDATE SET name = excluded.name, role = excluded.role;

-- name: remove_person
-- A person may not speak any more.
DELETE FROM persons WHERE person = :person;

-- name: note_refusal
-- A person has been told no.
INSERT INTO refusals (person, refused_at) VALUES (:person, :refused_at)
ON CONFLICT (person) DO UPDATE SET refused_at = excluded.refused_at;

-- name: bind
-- A chat is bound to a group, in place of its binding so far.
INSERT INTO bindings (chat, chat_kind, group_id, answers, rest, session, added_at, added_by)
VALUES (:chat, :chat_kind, :group_id, :answers, :rest, :session, :added_at, :added_by)
ON CONFLICT (chat) DO UPDATE SET chat_kind = excluded.chat_kind, group_id = excluded.group_id,
    answers = excluded.answers, rest = excluded.rest, session = excluded.session, added_at = excluded.added_at,
    added_by = excluded.added_by;

-- name: unbind
-- A chat is not bound any more.
DELETE FROM bindings WHERE chat = :chat;

-- name: binding_of_chat
-- A chat's binding.
SELECT * FROM bindings WHERE chat = :chat;

-- name: all_bindings
-- All bindings.
SELECT * FROM bindings ORDER BY added_at, chat;

-- name: bindings_of_group
-- A group's bindings.
SELECT * FROM bindings WHERE group_id = :group_id ORDER BY added_at, chat;

-- name: drop_expired_codes
-- Pairing codes that nobody used in time.
DELETE FROM pairing_codes WHERE expires_at <= :now;

-- name: drop_oldest_codes
-- More codes than may wait at once: the oldest end.
DELETE FROM pairing_codes WHERE code_hash NOT IN
    (SELECT code_hash FROM pairing_codes ORDER BY created_at DESC, code_hash LIMIT :keep);

-- name: insert_code
-- A pairing code, hashed.
INSERT INTO pairing_codes (code_hash, group_id, added_by, created_at, expires_at)
VALUES (:code_hash, :group_id, :added_by, :created_at, :expires_at);

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
-- Wrong codes of late: from one person, and in all.
SELECT coalesce(sum(person = :person), 0) AS by_person, count(*) AS in_all FROM pairing_guesses;

-- name: insert_guess
-- A wrong code.
INSERT INTO pairing_guesses (person, guessed_at) VALUES (:person, :guessed_at);
