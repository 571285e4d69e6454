-- What agents ask of other agents, and the files they hand over.

-- name: delegation_of_submission
-- The delegation that a submission came of.
SELECT d.*, r.body AS request, a.body AS answer FROM delegations AS d
JOIN payloads AS r ON r.payload_id = d.request_id LEFT JOIN payloads AS a ON a.payload_id = d.answer_id
WHERE d.submission_id = :submission_id;

-- name: delegation_of_call
-- What a tool call has asked.
SELECT d.*, r.body AS request, a.body AS answer FROM delegations AS d
JOIN payloads AS r ON r.payload_id = d.request_id LEFT JOIN payloads AS a ON a.payload_id = d.answer_id
WHERE d.task_id = :from_task AND d.call_id = :call_id;

-- name: ancestors_of_task
-- The groups behind a task that is delegated work itself.
SELECT d.ancestors FROM tasks AS t JOIN delegations AS d ON d.submission_id = t.submission_id
WHERE t.task_id = :task_id AND t.submission_id IS NOT NULL;

-- name: count_delegations
-- How much was asked: by a task, of a pair of groups since a time, of a group's what has not ended.
SELECT (SELECT count(*) FROM delegations WHERE task_id = :from_task) AS by_task,
    (SELECT count(*) FROM delegations WHERE from_group = :from_group AND to_group = :to_group AND asked_at > :since)
        AS by_pair,
    (SELECT count(*) FROM delegations WHERE from_group = :from_group AND state IN ('asked', 'submitted')) AS open;

-- name: insert_delegation
-- An agent asks another.
INSERT INTO delegations (delegation_id, from_group, task_id, call_id, to_group, ancestors, request_id, asked_at)
VALUES (:delegation_id, :from_group, :from_task, :call_id, :to_group, :ancestors, :request_id, :asked_at);

-- name: submit_delegation
-- It has its submission.
UPDATE delegations SET state = 'submitted', submission_id = :submission_id
WHERE delegation_id = :delegation_id AND state = 'asked';

-- name: end_delegation
-- The other agent is done, or never began.
UPDATE delegations SET state = 'ended', answer_id = :answer_id, ended_at = :ended_at
WHERE delegation_id = :delegation_id AND state IN ('asked', 'submitted');

-- name: answer_delegation
-- The asking task has its answer.
UPDATE delegations SET state = 'answered' WHERE delegation_id = :delegation_id AND state = 'ended';

-- name: open_delegations
-- What has not been answered, the oldest first.
SELECT d.*, r.body AS request, a.body AS answer FROM delegations AS d
JOIN payloads AS r ON r.payload_id = d.request_id LEFT JOIN payloads AS a ON a.payload_id = d.answer_id
WHERE d.state <> 'answered' ORDER BY d.asked_at;

-- name: open_delegations_of_task
-- What a task has asked and has no answer to.
SELECT d.*, r.body AS request, a.body AS answer FROM delegations AS d
JOIN payloads AS r ON r.payload_id = d.request_id LEFT JOIN payloads AS a ON a.payload_id = d.answer_id
WHERE d.task_id = :from_task AND d.state <> 'answered';

-- name: newest_delegations
-- The newest ones, newest first.
SELECT d.*, r.body AS request, a.body AS answer FROM delegations AS d INDEXED BY delegations_asked
JOIN payloads AS r ON r.payload_id = d.request_id LEFT JOIN payloads AS a ON a.payload_id = d.answer_id
ORDER BY d.asked_at DESC LIMIT :limit;

-- name: insert_handed_file
-- An agent has sent a file for another agent.
INSERT INTO handed_files (task_id, call_id, file_id, payload_id, size_bytes, stored_at)
VALUES (:task_id, :call_id, :file_id, :payload_id, :size_bytes, :stored_at) ON CONFLICT DO NOTHING;

-- name: handed_files_of_task
-- The files that a task has handed over, in order.
SELECT h.*, p.body FROM handed_files AS h JOIN payloads AS p USING (payload_id) WHERE h.task_id = :task_id
ORDER BY h.stored_at, h.call_id;
