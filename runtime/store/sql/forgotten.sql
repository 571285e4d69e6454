-- Forgetting people. What reaches into every table is put together from the schema in forget_rows.py.

-- name: tasks_with_person
-- The tasks that answered somebody's messages, were shown them, or were asked for by them or by a schedule of theirs; and
-- those that summed up conversations that they took part in.
SELECT DISTINCT m.task_id FROM messages AS m WHERE m.person = :person AND m.task_id IS NOT NULL
UNION SELECT t.task_id FROM tasks AS t WHERE t.submitter = 'person:' || :person OR t.chat = :person
UNION SELECT c.task_id FROM compactions AS c WHERE c.task_id IS NOT NULL
    AND c.session_id IN (SELECT m.session_id FROM messages AS m WHERE m.person = :person)
UNION SELECT r.task_id FROM schedule_runs AS r JOIN schedules AS s USING (schedule_id)
WHERE s.made_by = 'person:' || :person AND r.task_id IS NOT NULL;

-- name: tasks_asked_by
-- The tasks that a task asked of other agents.
SELECT t.task_id FROM delegations AS d JOIN tasks AS t USING (submission_id) WHERE d.task_id = :task_id;

-- name: task_to_forget
-- What forgetting needs of a task.
SELECT task_id, group_id, state, submission_id, created_at FROM tasks WHERE task_id = :task_id;

-- name: delegations_of_task
-- What a task asked of other agents, or was asked by one: their files bear the delegation's name.
SELECT delegation_id, from_group, to_group FROM delegations WHERE task_id = :task_id
UNION SELECT delegation_id, from_group, to_group FROM delegations
WHERE submission_id IS NOT NULL AND submission_id = (SELECT submission_id FROM tasks WHERE task_id = :task_id);

-- name: direct_chats_of
-- Where somebody spoke with nobody else there.
SELECT DISTINCT m.chat FROM messages AS m JOIN chats AS c USING (chat)
WHERE m.person = :person AND c.chat_kind = 'direct';

-- name: told_in_chat
-- What was said in a chat, by notices of the host's too, which belong to no task.
SELECT payload_id FROM outbox WHERE chat = :chat;

-- name: drop_direct_binding
-- An agent answers no more where somebody forgotten was alone with it: nobody is there to be told anything.
DELETE FROM bindings WHERE chat = :chat AND chat_kind = 'direct';

-- name: open_work_of
-- What of somebody's is still under way.
SELECT count(*) AS open FROM messages WHERE person = :person AND state IN ('queued', 'claimed');

-- name: files_of_person
-- The messages in which somebody sent files.
SELECT m.message_id, m.group_id, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.person = :person AND m.group_id IS NOT NULL;

-- name: insert_forgotten
-- A person was forgotten.
INSERT INTO forgotten (forget_id, digests, receipt, forgotten_at)
VALUES (:forget_id, :digests, :receipt, :forgotten_at);

-- name: ended_tasks
-- Tasks that ended between two times, oldest first.
SELECT task_id, ended_at FROM tasks INDEXED BY tasks_ended
WHERE ended_at IS NOT NULL AND ended_at > :after AND ended_at < :before ORDER BY ended_at LIMIT :limit;

-- name: old_messages
-- Messages after one that came before a time, oldest first, up to the first that waits or is being answered.
SELECT seq, payload_id FROM messages WHERE seq > :seq AND received_at < :before
    AND seq < coalesce((SELECT min(q.seq) FROM messages AS q INDEXED BY messages_queued WHERE q.state = 'queued'), :last)
    AND seq < coalesce((SELECT min(c.seq) FROM messages AS c INDEXED BY messages_claimed WHERE c.state = 'claimed'), :last)
ORDER BY seq LIMIT :limit;

-- name: entries_of_task
-- What a task has added to its conversation.
SELECT session_id, position, payload_id FROM transcript WHERE session_id =
    (SELECT session_id FROM tasks WHERE task_id = :task_id) AND task_id = :task_id;

-- name: drop_entry
-- A turn of a conversation goes.
DELETE FROM transcript WHERE session_id = :session_id AND position = :position;

-- name: drop_payload
-- A text that nothing refers to any more.
DELETE FROM payloads WHERE payload_id = :payload_id;

-- name: payload
-- One text.
SELECT subject, body FROM payloads WHERE payload_id = :payload_id;

-- name: rewrite_payload
-- A text without its words.
UPDATE payloads SET body = :body, subject = :subject WHERE payload_id = :payload_id;

-- name: payloads_of_subject
-- All texts of somebody.
SELECT payload_id, subject, body FROM payloads WHERE subject = :subject;

-- name: cards_of_task
-- What people were shown to decide on of a task.
SELECT o.payload_id FROM approvals AS a JOIN outbox AS o
ON o.idempotency_key BETWEEN 'approval:' || a.approval_id || ':' AND 'approval:' || a.approval_id || ':~'
WHERE a.task_id = :task_id;

-- name: cards_about
-- What people were shown to decide on about somebody, or in their words.
SELECT o.payload_id FROM approvals AS a JOIN payloads AS p USING (payload_id) JOIN outbox AS o
ON o.idempotency_key BETWEEN 'approval:' || a.approval_id || ':' AND 'approval:' || a.approval_id || ':~'
WHERE p.subject = :person;
