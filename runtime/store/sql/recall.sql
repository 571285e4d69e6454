-- Search in past conversations: what has ended, and who has seen what.

-- name: tasks_ended_after
-- The tasks whose end stands behind an entry of the journal, a stretch of it at a time.
SELECT seq, refs ->> 'task' AS task_id FROM journal
WHERE seq > :seq AND seq <= :last AND kind = 'task_ended' ORDER BY seq;

-- name: recall_chat
-- What kind of a chat it is, and whose, if it is one person's.
SELECT chat_kind, person FROM chats WHERE chat = :chat;

-- name: chats_heard
-- The chats in which an agent has heard somebody: what is said there, they can read.
SELECT DISTINCT m.chat FROM sessions AS s JOIN messages AS m ON m.session_id = s.session_id
WHERE s.group_id = :group_id AND m.person = :person AND m.state IN ('queued', 'claimed', 'answered', 'context');
