-- What people were asked on a task's behalf, and what a message waits for: for a trace.

-- name: approvals_of_task
-- What was asked of people for a task, in order.
SELECT a.approval_id, a.kind, a.state, a.reason, a.asked_at, a.deadline_at, a.ended_at,
    p.body ->> '$.summary' AS summary, p.body ->> '$.because' AS because
FROM approvals AS a INDEXED BY approvals_task JOIN payloads AS p USING (payload_id)
WHERE a.task_id = :task_id AND a.task_id IS NOT NULL ORDER BY a.asked_at, a.approval_id;

-- name: submitted_at
-- When work that no message brought was submitted.
SELECT created_at FROM submissions WHERE submission_id = :submission_id;

-- name: before_in_line
-- How much of a group's work is before a message that waits.
SELECT
    (SELECT count(*) FROM messages INDEXED BY messages_queued
        WHERE state = 'queued' AND group_id = :group_id AND seq < :seq)
    + (SELECT count(*) FROM submissions INDEXED BY submissions_queued
        WHERE state = 'queued' AND group_id = :group_id AND after_message < :seq) AS work;
