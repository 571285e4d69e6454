-- What agents ask of people and of the host, and tasks that wait for an answer.

-- name: insert_question
-- A tool call asks; asked again it changes nothing.
INSERT INTO questions (task_id, call_id, kind, ask_id, asked_at, deadline_at)
VALUES (:task_id, :call_id, :kind, :ask_id, :asked_at, :deadline_at);

-- name: question_by_call
-- One question with its texts.
SELECT q.*, a.body AS ask, r.body AS answer FROM questions AS q JOIN payloads AS a ON a.payload_id = q.ask_id
LEFT JOIN payloads AS r ON r.payload_id = q.answer_id WHERE q.task_id = :task_id AND q.call_id = :call_id;

-- name: questions_of_task
-- All questions of a task.
SELECT q.*, a.body AS ask, r.body AS answer FROM questions AS q JOIN payloads AS a ON a.payload_id = q.ask_id
LEFT JOIN payloads AS r ON r.payload_id = q.answer_id WHERE q.task_id = :task_id ORDER BY q.asked_at, q.call_id;

-- name: open_questions
-- Those of tasks that have not ended and that have no answer, the most pressing first.
SELECT q.*, a.body AS ask, NULL AS answer FROM questions AS q INDEXED BY questions_open JOIN tasks AS t USING (task_id)
JOIN payloads AS a ON a.payload_id = q.ask_id
WHERE q.state = 'open' AND t.state IN ('running', 'suspended') ORDER BY q.deadline_at;

-- name: answer_question
-- The first answer counts.
UPDATE questions SET state = 'answered', answer_id = :answer_id, answered_at = :answered_at
WHERE task_id = :task_id AND call_id = :call_id AND state = 'open';

-- name: questions_to_close
-- What tasks that have ended, one of them or all, still ask.
SELECT q.task_id, q.call_id FROM questions AS q INDEXED BY questions_open JOIN tasks AS t USING (task_id)
WHERE q.state = 'open' AND t.state NOT IN ('running', 'suspended') AND :task_id IN ('', q.task_id);

-- name: close_questions
-- Tasks that have ended need no answer any more.
UPDATE questions SET state = 'closed' WHERE state = 'open' AND task_id IN
    (SELECT q.task_id FROM questions AS q INDEXED BY questions_open JOIN tasks AS t USING (task_id)
     WHERE q.state = 'open' AND t.state NOT IN ('running', 'suspended'));

-- name: waits_for_answer
-- Whether a task has a question without an answer.
SELECT 1 FROM questions WHERE task_id = :task_id AND state = 'open' LIMIT 1;

-- name: suspend_task
-- A running task waits without a container.
UPDATE tasks SET state = 'suspended' WHERE task_id = :task_id AND state = 'running';

-- name: resume_task
-- A suspended task goes on.
UPDATE tasks SET state = 'running' WHERE task_id = :task_id AND state = 'suspended';

-- name: suspended_tasks
-- All that wait for a person.
SELECT t.*, s.body AS spec, NULL AS result FROM tasks AS t INDEXED BY tasks_suspended
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id WHERE t.state = 'suspended' ORDER BY t.created_at;
