-- Updates, messages, sessions: what comes in.

-- name: insert_raw
-- A platform's update as it came; an event that is stored already changes nothing, nor one of somebody forgotten.
INSERT INTO raw_updates (channel_id, event_id, raw, received_at) SELECT :channel_id, :event_id, :raw, :received_at
WHERE NOT EXISTS (SELECT 1 FROM raw_updates WHERE channel_id = :channel_id AND event_id = :sealed)
ON CONFLICT (channel_id, event_id) DO NOTHING RETURNING *;

-- name: pending_raws
-- The oldest updates of some channels that have not been filed.
SELECT * FROM raw_updates INDEXED BY raw_updates_pending WHERE state = 'pending' AND channel_id IN (SELECT value FROM json_each(:channels))
ORDER BY raw_id LIMIT :limit;

-- name: end_raw
-- An update has been filed: its bytes are not needed any more, the message has them.
UPDATE raw_updates SET state = :state, raw = x'' WHERE raw_id = :raw_id AND state = 'pending';

-- name: kill_raw
-- An update could not be decoded: its bytes stay for whoever mends the decoder.
UPDATE raw_updates SET state = 'dead', reason = :reason WHERE raw_id = :raw_id AND state = 'pending';

-- name: see_chat
-- A chat that a message came from.
INSERT INTO chats (chat, channel_id, chat_kind, seen_at, person)
VALUES (:chat, :channel_id, :chat_kind, :seen_at, iif(:chat_kind = 'direct', :person, '')) ON CONFLICT (chat) DO NOTHING;

-- name: insert_message
-- A decoded message in the state that was decided.
INSERT INTO messages (message_id, raw_id, state, end_reason, channel_id, chat, person, kind, platform_message_id,
    group_id, session_id, task_id, mode, payload_id, received_at, ended_at)
VALUES (:message_id, :raw_id, :state, :end_reason, :channel_id, :chat, :person, :kind, :platform_message_id,
    :group_id, :session_id, :task_id, :mode, :payload_id, :received_at, :ended_at);

-- name: message_of_raw
-- The message that an update became.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.raw_id = :raw_id;

-- name: message_by_id
-- One message.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.message_id = :message_id;

-- name: message_by_platform_id
-- The newest message with the platform's own id.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.platform_message_id = :platform_message_id ORDER BY m.seq DESC LIMIT 1;

-- name: original_of
-- The newest message of a chat with the platform's own id that is not itself an edit or a deletion.
SELECT m.*, p.body, EXISTS (SELECT 1 FROM access_waits AS w WHERE w.message_id = m.message_id) AS waits_for_owner
FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.platform_message_id = :platform_message_id AND m.chat = :chat AND m.kind = 'message' ORDER BY m.seq DESC LIMIT 1;

-- name: said_to_us
-- What somebody said in a chat under the platform's own id.
SELECT p.body ->> '$.inbound.text' AS text, NULL AS by FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.platform_message_id = :platform_message_id AND m.chat = :chat AND m.kind = 'message' ORDER BY m.seq DESC LIMIT 1;

-- name: said_by_us
-- What we said in a chat under the platform's own id, among the newest so many, and for which group.
SELECT p.body ->> '$.text' AS text, t.group_id AS by
FROM outbox AS o JOIN receipts AS r USING (outbox_id) JOIN payloads AS p USING (payload_id) LEFT JOIN tasks AS t USING (task_id)
WHERE o.outbox_id > (SELECT max(outbox_id) FROM outbox) - :newest AND o.chat = :chat
    AND EXISTS (SELECT 1 FROM json_each(r.platform_message_ids) WHERE value = :platform_message_id)
ORDER BY o.outbox_id DESC LIMIT 1;

-- name: replace_payload
-- What a waiting message says is replaced.
UPDATE payloads SET body = :body WHERE payload_id = (SELECT payload_id FROM messages WHERE message_id = :message_id);

-- name: requeue_message
-- A refused message is taken up again: its sender, or its chat, was let in.
UPDATE messages SET state = :state, end_reason = :reason, ended_at = :ended_at, group_id = :group_id,
    session_id = :session_id, mode = :mode
WHERE message_id = :message_id AND state = 'refused';

-- name: waiting_messages
-- The queue, oldest first.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.state = 'queued' ORDER BY m.seq LIMIT :limit;

-- name: messages_with_files
-- Messages whose files somebody will still ask for: they wait, are worked on, or are kept for the next task.
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_queued JOIN payloads AS p USING (payload_id)
WHERE m.state = 'queued'
UNION ALL
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_claimed JOIN payloads AS p USING (payload_id)
WHERE m.state = 'claimed'
UNION ALL
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_open_context
JOIN payloads AS p USING (payload_id) WHERE m.state = 'context' AND m.task_id IS NULL
UNION ALL
SELECT m.message_id, m.state, p.body FROM tasks AS t JOIN messages AS m USING (task_id)
JOIN payloads AS p ON p.payload_id = m.payload_id WHERE t.state = 'running' AND m.state = 'context'
UNION ALL
SELECT m.message_id, m.state, p.body FROM tasks AS t JOIN messages AS m USING (task_id)
JOIN payloads AS p ON p.payload_id = m.payload_id WHERE t.state = 'suspended' AND m.state = 'context';

-- name: found_before
-- Whether anything is in the way of a message: a freeze, its session's task, or an older message waiting there.
SELECT 1 WHERE EXISTS (SELECT 1 FROM flags WHERE name = :frozen AND value)
    OR EXISTS (SELECT 1 FROM tasks WHERE session_id = :session_id AND state = 'running')
    OR EXISTS (SELECT 1 FROM messages INDEXED BY messages_queued
        WHERE state = 'queued' AND seq < :seq AND session_id = :session_id);

-- name: open_commands
-- Commands that have not been carried out.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.state = 'command' AND m.ended_at IS NULL ORDER BY m.seq;

-- name: recent_messages
-- The newest messages.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) ORDER BY m.seq DESC LIMIT :limit;

-- name: end_queued_message
-- A queued message that no task will answer.
UPDATE messages SET state = :state, end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'queued';

-- name: end_command
-- A command has been carried out.
UPDATE messages SET end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'command' AND ended_at IS NULL;

-- name: current_session
-- Which chat's session a chat's messages join, that session if there is one, whether it began by itself and nobody has
-- been told, and how messages are queued. A binding of
-- the chat's own counts before one of the chat that it is a thread of.
SELECT w.session_chat, w.mode, s.session_id, s.untold FROM (
    SELECT b.mode, CASE b.session WHEN 'thread' THEN :chat WHEN 'chat' THEN b.chat
        ELSE iif(b.chat_kind = 'direct', '', :many) END AS session_chat, b.chat <> :chat AS rank
    FROM bindings AS b WHERE b.group_id = :group_id AND b.chat IN (:chat, :parent)
    UNION ALL SELECT 'steer', :chat, 2 ORDER BY rank LIMIT 1) AS w
LEFT JOIN sessions AS s ON s.group_id = :group_id AND s.chat = w.session_chat AND s.is_current = 1;

-- name: retire_session
-- The session of a chat is not its current one any more.
UPDATE sessions SET is_current = 0, ended_by = :ended_by, ended_at = :ended_at
WHERE group_id = :group_id AND chat = :chat AND is_current = 1;

-- name: insert_session
-- A new current session.
INSERT INTO sessions (session_id, group_id, chat, started_at) VALUES (:session_id, :group_id, :chat, :started_at);
