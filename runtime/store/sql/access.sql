-- Who asks to be let in, what was refused, and where agents may send.

-- name: request_by_subject
-- What was asked for a person or a chat.
SELECT * FROM access_requests WHERE kind = :kind AND subject = :subject;

-- name: request_by_code
-- One request.
SELECT * FROM access_requests WHERE code = :code;

-- name: requests
-- All requests, newest first.
SELECT * FROM access_requests ORDER BY created_at DESC, code;

-- name: granted_requests
-- Requests that were granted and whose messages have not been taken up again.
SELECT * FROM access_requests WHERE state = 'granted' ORDER BY created_at, code;

-- name: count_requests
-- How many requests of a kind wait for an owner.
SELECT count(*) AS pending FROM access_requests WHERE kind = :kind AND state = 'pending' AND expires_at > :now;

-- name: insert_request
-- Somebody asks to be let in, or a chat to be given an agent.
INSERT INTO access_requests (code, kind, subject, person, name, chat, chat_kind, message_id, created_at, expires_at)
VALUES (:code, :kind, :subject, :person, :name, :chat, :chat_kind, :message_id, :created_at, :expires_at);

-- name: decide_request
-- A request is granted or denied.
UPDATE access_requests SET state = :state WHERE code = :code;

-- name: drop_request
-- A request is over.
DELETE FROM access_requests WHERE code = :code;

-- name: drop_granted
-- A request that was granted is over.
DELETE FROM access_requests WHERE code = :code AND state = 'granted';

-- name: drop_expired_requests
-- Requests that nobody decided in time: they may be made again.
DELETE FROM access_requests WHERE state = 'pending' AND expires_at <= :now;

-- name: insert_wait
-- A refused message waits for an owner's yes.
INSERT OR IGNORE INTO access_waits (message_id, code) VALUES (:message_id, :code);

-- name: waits_beyond
-- More messages than are kept for a yes: the oldest.
SELECT m.*, p.body FROM access_waits AS w JOIN messages AS m USING (message_id) JOIN payloads AS p USING (payload_id)
WHERE w.code = :code ORDER BY m.seq DESC LIMIT -1 OFFSET :keep;

-- name: drop_wait
-- A message waits for no yes any more.
DELETE FROM access_waits WHERE message_id = :message_id;

-- name: count_beyond
-- So many more messages could not be kept.
UPDATE access_requests SET beyond = beyond + :more WHERE code = :code;

-- name: waiting_of_request
-- What waits for a request's yes, oldest first.
SELECT m.*, p.body FROM access_waits AS w JOIN messages AS m USING (message_id) JOIN payloads AS p USING (payload_id)
WHERE w.code = :code AND m.state = 'refused' AND m.received_at > :after ORDER BY m.seq;

-- name: count_refusal
-- Somebody was refused again, for the same reason in the same chat.
INSERT INTO access_refusals (person, chat, code, refusals, first_at, last_at) VALUES (:person, :chat, :code, 1, :now, :now)
ON CONFLICT (person, chat, code) DO UPDATE SET refusals = refusals + 1, last_at = excluded.last_at
RETURNING refusals;

-- name: drop_oldest_refusals
-- More lines of refusals than are kept: the oldest go.
DELETE FROM access_refusals WHERE (person, chat, code) IN
    (SELECT person, chat, code FROM access_refusals ORDER BY last_at DESC LIMIT -1 OFFSET :keep);

-- name: refusals
-- The newest lines of refusals.
SELECT r.*, coalesce(s.name, '') AS name FROM access_refusals AS r LEFT JOIN persons AS s USING (person)
ORDER BY r.last_at DESC LIMIT :limit;

-- name: refusals_in_all
-- All refusals by reason.
SELECT code, sum(refusals) AS refusals, max(last_at) AS last_at FROM access_refusals GROUP BY code ORDER BY refusals DESC;

-- name: save_destination
-- A group may send to a chat, under a name.
INSERT INTO destinations (group_id, name, chat, added_at, added_by) VALUES (:group_id, :name, :chat, :added_at, :added_by)
ON CONFLICT (group_id, name) DO UPDATE SET chat = excluded.chat, added_at = excluded.added_at,
    added_by = excluded.added_by;

-- name: remove_destination
-- A group may not send there any more under this name.
DELETE FROM destinations WHERE group_id = :group_id AND name = :name;

-- name: destinations
-- Where groups may send.
SELECT * FROM destinations ORDER BY group_id, name;

-- name: chat_by_key
-- A chat that something has come from.
SELECT * FROM chats WHERE chat = :chat;

-- name: known_chats
-- Chats that something has come from.
SELECT * FROM chats ORDER BY seen_at DESC LIMIT :limit;
