-- Conversations that ended long ago, packed.

-- name: archivable
-- A group's conversations that ended before a time and were not used since, the oldest first.
SELECT s.session_id FROM sessions AS s
WHERE s.group_id = :group_id AND s.is_current = 0 AND s.ended_at IS NOT NULL AND s.ended_at < :before
    AND NOT EXISTS (SELECT 1 FROM archives AS a WHERE a.session_id = s.session_id)
    AND EXISTS (SELECT 1 FROM tasks AS t WHERE t.session_id = s.session_id)
    AND NOT EXISTS (SELECT 1 FROM tasks AS t
        WHERE t.session_id = s.session_id AND (t.ended_at IS NULL OR t.ended_at >= :before))
ORDER BY s.ended_at LIMIT :limit;

-- name: turn_texts
-- What a model would be shown of a conversation.
SELECT p.payload_id, p.body FROM transcript AS t JOIN payloads AS p USING (payload_id)
WHERE t.session_id = :session_id ORDER BY t.position;

-- name: step_texts
-- What a conversation's tasks did, step by step.
SELECT p.payload_id, p.body FROM tasks AS t JOIN steps AS s USING (task_id)
JOIN payloads AS p ON p.payload_id = s.payload_id WHERE t.session_id = :session_id ORDER BY t.task_id, s.step_index;

-- name: insert_archive
-- A conversation is packed.
INSERT INTO archives (session_id, packed, texts, text_bytes, archived_at)
VALUES (:session_id, :packed, :texts, :text_bytes, :archived_at);

-- name: set_body
-- A text is packed away, or is back.
UPDATE payloads SET body = :body WHERE payload_id = :payload_id;

-- name: archive
-- A packed conversation.
SELECT packed FROM archives WHERE session_id = :session_id;

-- name: drop_archive
-- It is unpacked.
DELETE FROM archives WHERE session_id = :session_id;

-- name: archives_of_task
-- The packed conversation of a task.
SELECT a.session_id FROM tasks AS t JOIN archives AS a USING (session_id) WHERE t.task_id = :task_id;

-- name: all_archives
-- All packed conversations.
SELECT session_id FROM archives;
