-- Tasks, attempts, steps, transcripts.

-- name: insert_task
-- A task of claimed messages, or of a submission.
INSERT INTO tasks (task_id, group_id, session_id, submitter, payer, submission_id, chat, reply_to, state, spec_id,
    created_at)
VALUES (:task_id, :group_id, :session_id, :submitter, :payer, :submission_id, :chat, :reply_to, :state, :spec_id,
    :created_at);

-- name: payer_of_schedule
-- Whose limits a schedule counts for: its maker's; for an agent's, those of the task in which it was made.
SELECT CASE WHEN s.made_by LIKE 'person:%' THEN substr(s.made_by, 8) ELSE coalesce((SELECT t.payer FROM tasks AS t
    WHERE t.task_id = substr(s.made_key, 1, instr(s.made_key, ':') - 1)), '') END AS payer
FROM schedules AS s WHERE s.schedule_id = :schedule_id;

-- name: payer_of_delegation
-- Whose limits it counts for what one agent asks of another: those of the task that asks.
SELECT t.payer FROM delegations AS d JOIN tasks AS t ON t.task_id = d.task_id WHERE d.delegation_id = :delegation_id;

-- name: running_task_of_session
-- The task that a session is busy with.
SELECT task_id FROM tasks WHERE session_id = :session_id AND state = 'running';

-- name: claim_message
-- A queued message becomes part of a task.
UPDATE messages SET state = 'claimed', task_id = :task_id WHERE message_id = :message_id AND state = 'queued';

-- name: claim_told_message
-- A queued message of its session was told to a running task; or an edit, kept as context: that has been seen then.
UPDATE messages SET state = iif(state = 'queued', 'claimed', state), task_id = :task_id
WHERE message_id = :message_id AND session_id = :session_id
    AND (state = 'queued' OR (state = 'context' AND task_id IS NULL));

-- name: waiting_context
-- What was kept as context for the next task of a session.
SELECT m.*, p.body FROM messages AS m INDEXED BY messages_open_context JOIN payloads AS p USING (payload_id)
WHERE m.state = 'context' AND m.task_id IS NULL AND m.session_id = :session_id AND m.seq < :before ORDER BY m.seq;

-- name: show_context
-- Kept context is shown to a task.
UPDATE messages SET task_id = :task_id
WHERE state = 'context' AND task_id IS NULL AND session_id = :session_id AND seq < :before;

-- name: task_by_id
-- One task with its spec and result.
SELECT t.*, s.body AS spec, r.body AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id LEFT JOIN payloads AS r ON r.payload_id = t.result_id
WHERE t.task_id = :task_id;

-- name: running_tasks
-- Tasks that have not ended.
SELECT t.*, s.body AS spec, NULL AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id
WHERE t.state = 'running' ORDER BY t.created_at, t.task_id;

-- name: messages_of_task
-- What a task answers and was shown.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.task_id = :task_id ORDER BY m.seq;

-- name: set_spec
-- What the host built of a task, kept from its first attempt.
UPDATE tasks SET spec_id = :spec_id WHERE task_id = :task_id AND spec_id IS NULL;

-- name: task_head
-- A task without its texts.
SELECT task_id, group_id, session_id, state, spec_id, submission_id FROM tasks WHERE task_id = :task_id;

-- name: end_task
-- A task that runs, or waits for a person, ends.
UPDATE tasks SET state = :state, code = :code, result_id = :result_id, ended_at = :ended_at
WHERE task_id = :task_id AND state IN ('running', 'suspended');

-- name: end_message
-- A claimed message reaches its end with its task.
UPDATE messages SET state = :state, end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'claimed';

-- name: claimed_messages
-- The messages that a task has to end.
SELECT message_id FROM messages WHERE task_id = :task_id AND state = 'claimed' ORDER BY seq;

-- name: insert_attempt
-- The next attempt of a task.
INSERT INTO attempts (attempt_id, task_id, number, state, door_id, container_id, nonce_hash, started_at)
VALUES (:attempt_id, :task_id, :number, :state, :door_id, :container_id, :nonce_hash, :started_at);

-- name: attempt_by_id
-- One attempt.
SELECT * FROM attempts WHERE attempt_id = :attempt_id;

-- name: attempts_of_task
-- All attempts of a task.
SELECT * FROM attempts WHERE task_id = :task_id ORDER BY number;

-- name: open_attempts
-- Attempts that have not ended.
SELECT * FROM attempts WHERE state <> 'ended' ORDER BY started_at, attempt_id;

-- name: open_attempt_of_task
-- A task's attempt that has not ended.
SELECT * FROM attempts WHERE task_id = :task_id AND state <> 'ended';

-- name: run_attempt
-- An attempt has its container.
UPDATE attempts SET state = 'running', door_id = :door_id, container_id = :container_id,
    container_name = :container_name, nonce_hash = :nonce_hash
WHERE attempt_id = :attempt_id AND state <> 'ended';

-- name: end_attempt
-- An attempt is over.
UPDATE attempts SET state = 'ended', ended_at = :ended_at, end_reason = :reason
WHERE attempt_id = :attempt_id AND state <> 'ended';

-- name: advance_attempt
-- How far an attempt's link is stored.
UPDATE attempts SET stored_seq = :seq WHERE attempt_id = :attempt_id AND stored_seq < :seq;

-- name: next_step_index
-- The index that the next step of a task must have.
SELECT coalesce(max(step_index) + 1, 0) AS next_index FROM steps WHERE task_id = :task_id;

-- name: insert_step
-- A fact of a running attempt.
INSERT INTO steps (task_id, step_index, attempt_id, kind, label, payload_id, stored_at)
VALUES (:task_id, :step_index, :attempt_id, :kind, :label, :payload_id, :stored_at);

-- name: steps_of_task
-- All steps of a task.
SELECT s.*, p.body FROM steps AS s JOIN payloads AS p USING (payload_id) WHERE s.task_id = :task_id
ORDER BY s.step_index;

-- name: step_summaries
-- All steps of a task without their texts.
SELECT * FROM steps WHERE task_id = :task_id ORDER BY step_index;

-- name: next_position
-- Where the next transcript entry of a session goes.
SELECT coalesce(max(position) + 1, 0) AS next_position FROM transcript WHERE session_id = :session_id;

-- name: insert_entry
-- A turn of a conversation.
INSERT INTO transcript (session_id, position, task_id, role, payload_id)
VALUES (:session_id, :position, :task_id, :role, :payload_id);

-- name: transcript_of_session
-- A conversation so far: its newest summary, if it has one, and the turns since.
SELECT p.body, -1 AS position FROM compactions AS c INDEXED BY compactions_session JOIN payloads AS p USING (payload_id)
WHERE c.session_id = :session_id AND c.state = 'done' AND c.from_position = (
    SELECT max(d.from_position) FROM compactions AS d INDEXED BY compactions_session
    WHERE d.session_id = :session_id AND d.state = 'done')
UNION ALL
SELECT p.body, t.position FROM transcript AS t JOIN payloads AS p USING (payload_id)
WHERE t.session_id = :session_id AND t.position >= coalesce(
    (SELECT max(d.from_position) FROM compactions AS d INDEXED BY compactions_session
        WHERE d.session_id = :session_id AND d.state = 'done'), 0)
ORDER BY 2;
