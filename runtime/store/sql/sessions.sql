-- Conversations: lists of them, summaries, ends by policy, choices of models.

-- name: sessions_of_chat
-- A chat's conversations in which somebody said something, newest first.
SELECT s.session_id, s.is_current, s.started_at, s.ended_by,
    EXISTS (SELECT 1 FROM archives AS a WHERE a.session_id = s.session_id) AS is_archived,
    (SELECT p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.session_id = s.session_id
        ORDER BY m.seq LIMIT 1) AS first_body,
    (SELECT m.received_at FROM messages AS m WHERE m.session_id = s.session_id ORDER BY m.seq DESC LIMIT 1) AS last_at,
    (SELECT count(*) FROM messages AS m WHERE m.session_id = s.session_id) AS messages
FROM sessions AS s WHERE s.group_id = :group_id AND s.chat = :chat
    AND EXISTS (SELECT 1 FROM messages AS m WHERE m.session_id = s.session_id)
ORDER BY s.started_at DESC LIMIT :limit;

-- name: session_by_id
-- One conversation.
SELECT session_id, group_id, chat, is_current, started_at, ended_at, ended_by FROM sessions
WHERE session_id = :session_id;

-- name: take_up_session
-- An earlier conversation is the chat's current one again.
UPDATE sessions SET is_current = 1, ended_at = NULL, ended_by = '', untold = 0 WHERE session_id = :session_id;

-- name: insert_fresh_session
-- A conversation that began by itself.
INSERT INTO sessions (session_id, group_id, chat, started_at, untold)
VALUES (:session_id, :group_id, :chat, :started_at, 1);

-- name: told_fresh
-- Somebody was told that a conversation had begun by itself.
UPDATE sessions SET untold = 0 WHERE session_id = :session_id AND untold = 1;

-- name: current_sessions
-- A group's current conversations, and when each was last used. One in which nobody said anything has no such time.
SELECT s.session_id, s.chat,
    (SELECT m.received_at FROM messages AS m WHERE m.session_id = s.session_id ORDER BY m.seq DESC LIMIT 1) AS said_at,
    (SELECT max(coalesce(t.ended_at, t.created_at)) FROM tasks AS t WHERE t.session_id = s.session_id) AS worked_at
FROM sessions AS s WHERE s.group_id = :group_id AND s.is_current = 1;

-- name: session_is_busy
-- Whether somebody works in a conversation, waits in it, or is to.
SELECT 1 FROM tasks WHERE session_id = :session_id AND state IN ('running', 'suspended')
UNION ALL SELECT 1 FROM messages INDEXED BY messages_queued WHERE state = 'queued' AND session_id = :session_id
UNION ALL SELECT 1 FROM submissions INDEXED BY submissions_queued WHERE state = 'queued' AND session_id = :session_id
LIMIT 1;

-- name: tasks_of_session
-- The tasks of a conversation, oldest first.
SELECT t.*, s.body AS spec, r.body AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id LEFT JOIN payloads AS r ON r.payload_id = t.result_id
WHERE t.session_id = :session_id ORDER BY t.created_at, t.task_id LIMIT :limit OFFSET :past;

-- name: tools_of_task
-- The tools that a task has used, in order.
SELECT label FROM steps WHERE task_id = :task_id AND kind = 'tool_started' ORDER BY step_index;

-- name: turns_in_view
-- How many turns of a conversation a model is shown in full.
SELECT count(*) AS turns FROM transcript WHERE session_id = :session_id AND position >= coalesce(
    (SELECT max(c.from_position) FROM compactions AS c INDEXED BY compactions_session
        WHERE c.session_id = :session_id AND c.state = 'done'), 0);

-- name: open_compaction_of
-- Whether a conversation is being summed up.
SELECT submission_id FROM compactions WHERE session_id = :session_id AND state = 'open';

-- name: insert_compaction
-- A conversation is to be summed up.
INSERT INTO compactions (submission_id, session_id, chat, asked_by, asked_at)
VALUES (:submission_id, :session_id, :chat, :asked_by, :asked_at) ON CONFLICT DO NOTHING;

-- name: open_compactions
-- The summaries that are awaited, with the ended task of each that has one.
SELECT c.submission_id, c.session_id, c.chat, t.task_id, t.group_id, t.state AS task_state, t.ended_at AS task_ended_at,
    r.body AS result
FROM compactions AS c LEFT JOIN tasks AS t ON t.submission_id = c.submission_id
LEFT JOIN payloads AS r ON r.payload_id = t.result_id WHERE c.state = 'open';

-- name: end_compaction
-- A summary was made, or was not.
UPDATE compactions SET state = :state, task_id = :task_id, from_position = :from_position, payload_id = :payload_id,
    ended_at = :ended_at WHERE submission_id = :submission_id AND state = 'open';

-- name: compactions_of_task
-- The summaries that a task has made.
SELECT submission_id, payload_id FROM compactions WHERE task_id = :task_id;

-- name: is_summing_up
-- Whether a task was there only to sum its conversation up.
SELECT 1 FROM compactions AS c JOIN tasks AS t ON t.submission_id = c.submission_id WHERE t.task_id = :task_id;

-- name: insert_own_summary
-- A task's agent has summed its conversation up by itself.
INSERT INTO compactions
    (submission_id, session_id, task_id, chat, asked_by, state, from_position, payload_id, asked_at, ended_at)
VALUES (:summary_id, :session_id, :task_id, '', 'agent', 'done', :from_position, :payload_id, :at, :at);

-- name: drop_compaction
-- A summary goes: what it stood for is shown again, if it is there.
DELETE FROM compactions WHERE submission_id = :submission_id;

-- name: recent_tasks_of_chat
-- A chat's newest tasks.
SELECT task_id, group_id, chat, submitter, state, code, created_at, ended_at FROM tasks
WHERE chat = :chat AND chat IS NOT NULL ORDER BY created_at DESC LIMIT :limit;

-- name: recent_tasks_of_group
-- A group's newest tasks.
SELECT task_id, group_id, chat, submitter, state, code, created_at, ended_at FROM tasks
WHERE group_id = :group_id ORDER BY created_at DESC LIMIT :limit;

-- name: open_tasks_of_group
-- A group's tasks that have not ended.
SELECT task_id, group_id, chat, submitter, state, code, created_at, ended_at FROM tasks INDEXED BY tasks_running
WHERE state = 'running' AND group_id = :group_id
UNION ALL
SELECT task_id, group_id, chat, submitter, state, code, created_at, ended_at FROM tasks INDEXED BY tasks_suspended
WHERE state = 'suspended' AND group_id = :group_id;

-- name: waiting_of_group
-- What waits for a group: messages, and work that no message brought.
SELECT m.message_id AS work, m.chat, m.received_at AS since FROM messages AS m INDEXED BY messages_queued
WHERE m.state = 'queued' AND m.group_id = :group_id
UNION ALL
SELECT s.submission_id, coalesce(s.chat, ''), s.created_at FROM submissions AS s INDEXED BY submissions_queued
WHERE s.state = 'queued' AND s.group_id = :group_id
ORDER BY since LIMIT :limit;

-- name: model_choices
-- Who chose which model for what.
SELECT group_id, chat, model, chosen_by, chosen_at FROM model_choices ORDER BY group_id, chat;

-- name: set_model_choice
-- Somebody chose a model.
INSERT INTO model_choices (group_id, chat, model, chosen_by, chosen_at)
VALUES (:group_id, :chat, :model, :chosen_by, :chosen_at)
ON CONFLICT (group_id, chat) DO UPDATE SET model = excluded.model, chosen_by = excluded.chosen_by,
    chosen_at = excluded.chosen_at;

-- name: drop_model_choice
-- The settings say the model again.
DELETE FROM model_choices WHERE group_id = :group_id AND chat = :chat;

-- name: uncommon_chats
-- The direct chats of those who are not plain members to the agent there, under all their identities.
SELECT c.chat, s.role, r.role AS role_here FROM persons AS s
JOIN chats AS c ON c.person <> ''
    AND c.person IN (SELECT s.person UNION ALL SELECT i.identity FROM identities AS i WHERE i.person = s.person)
LEFT JOIN bindings AS b ON b.chat = c.chat AND b.is_default
LEFT JOIN person_roles AS r ON r.person = s.person AND r.group_id = b.group_id
WHERE c.chat_kind = 'direct' AND (s.role NOT IN ('guest', 'member') OR coalesce(r.role, s.role) <> 'member')
ORDER BY c.chat;
