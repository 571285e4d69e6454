-- The chain of entries.

-- name: insert_payload
-- A text, under its subject: a person key or a group.
INSERT INTO payloads (subject, body) VALUES (:subject, :body);

-- name: journal_last
-- The entry that the next one follows.
SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1;

-- name: journal_insert
-- One entry of the chain.
INSERT INTO journal (seq, at, kind, refs, digest, previous, hash)
VALUES (:seq, :at, :kind, :refs, :digest, :previous, :hash);

-- name: journal_after
-- A piece of the chain, to check it.
SELECT * FROM journal WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- name: journal_tail
-- The newest entries, newest first.
SELECT j.*, b.by FROM journal AS j LEFT JOIN journal_by AS b USING (seq) ORDER BY j.seq DESC LIMIT :limit;

-- name: insert_journal_by
-- Who did what an entry says.
INSERT INTO journal_by (seq, by) VALUES (:seq, :by);

-- name: journal_of_message
-- What happened to a message.
SELECT * FROM journal WHERE refs ->> 'message' IS NOT NULL AND refs ->> 'message' = :message_id ORDER BY seq;

-- name: journal_of_task
-- What happened to a task.
SELECT * FROM journal WHERE refs ->> 'task' IS NOT NULL AND refs ->> 'task' = :task_id ORDER BY seq;
