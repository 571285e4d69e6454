-- Work that no message brought.

-- name: submission_by_key
-- What a submitter has submitted under a key.
SELECT s.*, p.body, t.task_id, t.state AS task_state FROM submissions AS s
JOIN payloads AS p ON p.payload_id = s.spec_id LEFT JOIN tasks AS t ON t.submission_id = s.submission_id
WHERE s.submitter = :submitter AND s.idempotency_key = :idempotency_key AND s.idempotency_key <> '';

-- name: submission_by_id
-- One submission and where its task stands.
SELECT s.*, p.body, t.task_id, t.state AS task_state FROM submissions AS s
JOIN payloads AS p ON p.payload_id = s.spec_id LEFT JOIN tasks AS t ON t.submission_id = s.submission_id
WHERE s.submission_id = :submission_id;

-- name: insert_submission
-- New work, queued.
INSERT INTO submissions (submission_id, submitter, idempotency_key, digest, group_id, session_id, chat, after_message,
    spec_id, created_at)
VALUES (:submission_id, :submitter, :idempotency_key, :digest, :group_id, :session_id, :chat,
    (SELECT coalesce(max(seq), 0) FROM messages), :spec_id, :created_at);

-- name: count_queued_submissions
-- How many wait.
SELECT count(*) AS queued FROM submissions WHERE state = 'queued';

-- name: waiting_submissions
-- Those that wait, oldest first.
SELECT s.*, p.body, NULL AS task_id, NULL AS task_state FROM submissions AS s INDEXED BY submissions_queued
JOIN payloads AS p ON p.payload_id = s.spec_id WHERE s.state = 'queued' ORDER BY s.submission_seq LIMIT :limit;

-- name: claim_submission
-- A queued submission becomes a task.
UPDATE submissions SET state = 'claimed' WHERE submission_id = :submission_id AND state = 'queued';

-- name: insert_session_apart
-- A session that no chat's messages join.
INSERT INTO sessions (session_id, group_id, chat, is_current, started_at)
VALUES (:session_id, :group_id, :chat, 0, :started_at);

-- name: session_group
-- Whose a session is.
SELECT group_id FROM sessions WHERE session_id = :session_id;

-- name: task_of_submission
-- The task that a submission has become.
SELECT t.*, s.body AS spec, r.body AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id LEFT JOIN payloads AS r ON r.payload_id = t.result_id
WHERE t.submission_id = :submission_id AND t.submission_id IS NOT NULL;

-- name: open_submissions
-- Those whose tasks have not ended.
SELECT submission_id FROM tasks WHERE state = 'running' AND submission_id IS NOT NULL
UNION ALL
SELECT submission_id FROM tasks WHERE state = 'suspended' AND submission_id IS NOT NULL;
