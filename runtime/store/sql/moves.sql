-- Chats that have another key now. What reaches into every table is put together from the schema in move_rows.py.

-- name: chat_now
-- The key of a chat, or of the one that it is a thread of, that has another now.
SELECT former, chat FROM moved_chats WHERE former IN (:chat, :parent) ORDER BY former <> :chat LIMIT 1;

-- name: moved_chats
-- All of them.
SELECT former, chat FROM moved_chats;

-- name: insert_move
-- A chat has another key.
INSERT INTO moved_chats (former, chat, moved_at) VALUES (:former, :chat, :moved_at)
ON CONFLICT (former) DO UPDATE SET chat = excluded.chat, moved_at = excluded.moved_at;

-- name: drop_move
-- A key is in use again.
DELETE FROM moved_chats WHERE former = :chat;

-- name: retire_before_move
-- Where a conversation goes on under the new key already, the one under the former key is over.
UPDATE sessions SET is_current = 0, ended_by = 'moved', ended_at = :ended_at
WHERE chat = :former AND is_current = 1 AND EXISTS (SELECT 1 FROM sessions AS s
    WHERE s.group_id = sessions.group_id AND s.chat = :chat AND s.is_current = 1);
