-- Which tasks have read text that anybody may have written.

-- name: insert_taint
-- A task read something of anybody's.
INSERT INTO task_taints (task_id, source, origin, noted_at) VALUES (:task_id, :source, :origin, :now)
ON CONFLICT DO NOTHING;

-- name: taints_of_task
-- What a task read, and what the tasks before it in its conversation read: it was shown their answers.
SELECT DISTINCT t.source, t.origin FROM task_taints AS t
WHERE t.task_id = :task_id OR t.task_id IN (
    SELECT o.task_id FROM tasks AS o WHERE o.session_id = (SELECT s.session_id FROM tasks AS s WHERE s.task_id = :task_id))
ORDER BY t.source, t.origin;

-- name: strangers_of_task
-- Who spoke to a task, or before it in its conversation, and to which agent: some may be nobody to it.
SELECT DISTINCT m.person, t.group_id FROM tasks AS t JOIN messages AS m ON m.task_id IN (
    SELECT o.task_id FROM tasks AS o WHERE o.task_id = t.task_id OR o.session_id = t.session_id)
WHERE t.task_id = :task_id
ORDER BY m.person;

-- name: trust_of_task
-- How far the words of a submission are trusted; no row: messages made the task.
SELECT coalesce(p.body ->> '$.trust', 'program') AS trust FROM tasks AS t
JOIN submissions AS s USING (submission_id) JOIN payloads AS p ON p.payload_id = s.spec_id
WHERE t.task_id = :task_id;
