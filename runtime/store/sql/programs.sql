-- Programs, their tokens, and what they submitted.

-- name: put_program
-- A program may submit tasks; one that was revoked may again.
INSERT INTO programs (program, groups, is_attended, added_at, added_by) VALUES (:program, :groups, :is_attended,
    :added_at, :added_by)
ON CONFLICT (program) DO UPDATE SET groups = excluded.groups, is_attended = excluded.is_attended,
    added_at = excluded.added_at, added_by = excluded.added_by, revoked_at = NULL;

-- name: put_program_token
-- The hash of a program's token.
INSERT INTO program_tokens (token_hash, program, created_at) VALUES (:token_hash, :program, :created_at);

-- name: forget_program_tokens
-- A program's tokens open nothing any more.
DELETE FROM program_tokens WHERE program = :program;

-- name: revoke_program
-- A program may not submit any more.
UPDATE programs SET revoked_at = :revoked_at WHERE program = :program AND revoked_at IS NULL;

-- name: all_programs
-- Every program, those that were revoked too.
SELECT p.*, EXISTS (SELECT 1 FROM program_tokens AS t WHERE t.program = p.program) AS has_token
FROM programs AS p ORDER BY p.program;

-- name: program_by_name
-- One program.
SELECT p.*, EXISTS (SELECT 1 FROM program_tokens AS t WHERE t.program = p.program) AS has_token
FROM programs AS p WHERE p.program = :program;

-- name: program_by_token
-- The program that a token belongs to.
SELECT p.*, 1 AS has_token FROM program_tokens AS t JOIN programs AS p USING (program)
WHERE t.token_hash = :token_hash AND p.revoked_at IS NULL;

-- name: put_program_task
-- What a program submitted, and when its work was taken in (it may have begun by now); asked for again it stays as it was.
INSERT INTO program_tasks (submission_id, program, group_id, skill, skill_sha256, input_sha256, mode, submitted_at)
VALUES (:submission_id, :program, :group_id, :skill, :skill_sha256, :input_sha256, :mode,
    coalesce((SELECT created_at FROM submissions WHERE submission_id = :submission_id), :submitted_at))
ON CONFLICT (submission_id) DO NOTHING;

-- name: note_start
-- What an attempt begins with.
UPDATE program_tasks SET mode = :mode, skill_sha256 = :skill_sha256 WHERE submission_id = :submission_id;

-- name: program_task
-- What was noted of a submission.
SELECT * FROM program_tasks WHERE submission_id = :submission_id;

-- name: program_tasks
-- A program's newest submissions, or everybody's.
SELECT p.*, t.task_id, t.state, t.code, t.ended_at FROM program_tasks AS p LEFT JOIN tasks AS t USING (submission_id)
WHERE :program = '' OR p.program = :program ORDER BY p.submitted_at DESC LIMIT :limit;

-- name: program_counts
-- How much of a program's waits and runs.
SELECT (SELECT count(*) FROM submissions AS s WHERE s.state = 'queued' AND s.submitter = :submitter) AS queued,
    (SELECT count(*) FROM tasks AS t WHERE t.state = 'running' AND t.submitter = :submitter) AS running;

-- name: events_of_submitter
-- What happened to a submitter's work in a part of the journal.
SELECT j.seq, j.at, j.kind, j.refs ->> 'attempt' AS attempt_id, s.submission_id, t.task_id
FROM journal AS j LEFT JOIN tasks AS t ON t.task_id = j.refs ->> 'task'
JOIN submissions AS s ON s.submission_id = coalesce(j.refs ->> 'submission', t.submission_id)
WHERE j.seq > :after AND j.seq <= :up_to AND s.submitter = :submitter
    AND (:submission_id = '' OR s.submission_id = :submission_id)
ORDER BY j.seq;

-- name: journal_end
-- The journal's last number.
SELECT coalesce(max(seq), 0) AS seq FROM journal;
