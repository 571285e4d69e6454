-- What failed tasks were to answer, once more.

-- name: requeue_messages
-- Messages that a task ended without an answer wait again.
UPDATE messages SET state = 'queued', task_id = NULL, end_reason = '', ended_at = NULL
WHERE task_id = :task_id AND state = 'dead' RETURNING message_id;

-- name: release_context
-- Context that the task was shown is shown to the next one.
UPDATE messages SET task_id = NULL WHERE task_id = :task_id AND state = 'context';
