-- What waits for a review before it goes out, and which agents' outputs do.

-- name: review_of_output
-- The rule of a task's group, where its output is not the answer to messages of this very chat.
SELECT t.task_id, t.group_id, t.chat, t.submitter, r.mode, r.who, r.quorum, r.deadline_s, r.sample_percent, r.zone
FROM tasks AS t JOIN review_rules AS r USING (group_id)
WHERE t.task_id = :task_id
    AND NOT (coalesce(t.chat, '') = :chat AND (t.submission_id IS NULL OR t.submitter LIKE 'person:%'));

-- name: review_of_result
-- The rule of a task's group, where its result goes to another agent, or to a program at which nobody sits; what another
-- agent wants shown in a chat is reviewed there.
SELECT t.submitter, r.* FROM tasks AS t JOIN review_rules AS r USING (group_id)
JOIN submissions AS s USING (submission_id) JOIN payloads AS p ON p.payload_id = s.spec_id
WHERE t.task_id = :task_id AND t.chat IS NULL AND coalesce(p.body ->> '$.effects', 'live') = 'live' AND (t.submitter LIKE 'group:%' OR t.submitter LIKE 'program:%'
    AND NOT EXISTS (SELECT 1 FROM programs AS o WHERE o.program = substr(t.submitter, 9) AND o.is_attended));

-- name: open_review_of_submission
-- The question whether what a submission would give back may be.
SELECT a.approval_id FROM tasks AS t JOIN approvals AS a ON a.asker_key = 'review:' || t.task_id || '/result'
WHERE t.submission_id = :submission_id AND a.state = 'waiting';

-- name: send_rule
-- The strictest constraint on what a group says in a chat of one of its destinations (`approvals/constraint_terms.py`).
SELECT s.* FROM send_rules AS s
WHERE s.group_id = :group_id AND (s.name = '*' OR EXISTS (
    SELECT 1 FROM destinations AS d WHERE d.group_id = s.group_id AND d.name = s.name AND d.chat = :chat))
ORDER BY s.verdict = 'deny' DESC, s.quorum DESC,
    CASE s.who WHEN '"owner"' THEN 0 WHEN '"admin"' THEN 2 WHEN '"member"' THEN 3 ELSE 1 END, s.deadline_s LIMIT 1;

-- name: drop_send_rules
-- All groups' constraints are read again.
DELETE FROM send_rules;

-- name: insert_send_rule
-- A constraint on a destination.
INSERT INTO send_rules (group_id, rule_id, name, verdict, who, quorum, deadline_s)
VALUES (:group_id, :rule_id, :name, :verdict, :who, :quorum, :deadline_s);

-- name: insert_held
-- An output waits for a review, or was refused as one before it was.
INSERT INTO held_messages
    (idempotency_key, task_id, chat, subject, payload_id, approval_id, state, held_at, ended_at)
VALUES (:idempotency_key, :task_id, :chat, :subject, :payload_id, :approval_id, :state, :now, :ended_at);

-- name: held_of_approval
-- What one review decides on.
SELECT h.*, p.body FROM held_messages AS h JOIN payloads AS p USING (payload_id)
WHERE h.approval_id = :approval_id AND h.state = 'held' ORDER BY h.held_id;

-- name: settle_held
-- A held output goes, or does not.
UPDATE held_messages SET state = :state, ended_at = :now WHERE held_id = :held_id AND state = 'held';

-- name: held_of_task
-- What a task has said that was held back.
SELECT h.*, p.body FROM held_messages AS h JOIN payloads AS p USING (payload_id)
WHERE h.task_id = :task_id ORDER BY h.held_id;

-- name: drop_review_rules
-- The groups are read again.
DELETE FROM review_rules;

-- name: insert_review_rule
-- How a group's outputs are reviewed.
INSERT INTO review_rules (group_id, mode, who, quorum, deadline_s, sample_percent, zone)
VALUES (:group_id, :mode, :who, :quorum, :deadline_s, :sample_percent, :zone);
