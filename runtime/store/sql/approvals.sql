-- Approvals: what people are asked, their words, and what is remembered of them.

-- name: insert_approval
-- A person is asked, or is found to have answered before.
INSERT INTO approvals (approval_id, kind, group_id, task_id, digest, payload_id, who, quorum, scopes, asker_key, origin,
    state, reason, remind_at, asked_at, deadline_at, ended_at, told_at, used_at)
VALUES (:approval_id, :kind, :group_id, :task_id, :digest, :payload_id, :who, :quorum, :scopes, :asker_key, :origin,
    :state, :reason, :remind_at, :asked_at, :deadline_at, :ended_at, :told_at, :used_at);

-- name: approval
-- One approval with what it shows.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id) WHERE a.approval_id = :approval_id;

-- name: approval_by_asker_key
-- The approval that a room has asked for under its own key.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id) WHERE a.asker_key = :asker_key;

-- name: approval_by_origin
-- The newest approval that another process knows by this id.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.origin = :origin AND a.origin <> '' ORDER BY a.asked_at DESC LIMIT 1;

-- name: live_approval
-- The newest approval of exactly this that waits, or was given and not used yet.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.digest = :digest AND a.used_at IS NULL AND a.deadline_at > :now
    AND (a.state = 'waiting' OR (a.state = 'approved' AND a.kind IN ('tool', 'egress', 'send')))
ORDER BY a.asked_at DESC LIMIT 1;

-- name: waiting_approvals
-- What nobody has decided yet, the oldest first.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.state = 'waiting' ORDER BY a.asked_at;

-- name: waiting_in_group
-- How many of a group's questions wait; what strangers ask of the house is counted by itself.
SELECT count(*) AS waiting FROM approvals
WHERE state = 'waiting' AND group_id = :group_id AND kind NOT IN ('chat', 'person');

-- name: waiting_of_task
-- A task's questions that its end takes along: about its tools, and if it was stopped, about its requests out. What
-- it has said may be reviewed afterwards, and a request may be made again by a later task.
SELECT approval_id FROM approvals WHERE task_id = :task_id AND state = 'waiting'
    AND (kind = 'tool' OR (kind = 'egress' AND :is_stopped));

-- name: ended_approvals
-- What was decided last, the newest first.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.state <> 'waiting' ORDER BY a.ended_at DESC LIMIT :limit;

-- name: untold_approvals
-- Ends that whoever asked has not heard of.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.state <> 'waiting' AND a.told_at IS NULL ORDER BY a.ended_at;

-- name: due_approvals
-- What has run out, or should be reminded of.
SELECT a.*, p.body FROM approvals AS a JOIN payloads AS p USING (payload_id)
WHERE a.state = 'waiting' AND (a.deadline_at <= :now OR a.remind_at <= :now) ORDER BY a.asked_at;

-- name: next_approval_at
-- When the next one runs out or should be reminded of.
SELECT min(min(deadline_at, coalesce(remind_at, deadline_at))) AS at FROM approvals WHERE state = 'waiting';

-- name: end_approval
-- A decision is final, or will not be made.
UPDATE approvals SET state = :state, reason = :reason, ended_at = :now, remind_at = NULL
WHERE approval_id = :approval_id AND state = 'waiting';

-- name: approval_because
-- Why somebody said no, beside what they were shown.
UPDATE payloads SET body = json_set(body, '$.because', :because)
WHERE payload_id = (SELECT payload_id FROM approvals WHERE approval_id = :approval_id);

-- name: approval_edited
-- What a reviewer has said instead, beside what they were shown.
UPDATE payloads SET body = json_set(body, '$.edited', :edited)
WHERE payload_id = (SELECT payload_id FROM approvals WHERE approval_id = :approval_id);

-- name: approval_told
-- Whoever asked has heard of the end.
UPDATE approvals SET told_at = :now WHERE approval_id = :approval_id AND told_at IS NULL;

-- name: approval_used
-- The one thing that was approved is let go; only once.
UPDATE approvals SET used_at = :now WHERE approval_id = :approval_id AND state = 'approved' AND used_at IS NULL;

-- name: approval_asked_again
-- Another process asks the same under another id.
UPDATE approvals SET origin = :origin WHERE approval_id = :approval_id;

-- name: approval_reminded
-- Those asked were reminded.
UPDATE approvals SET reminders = reminders + 1, remind_at = :remind_at WHERE approval_id = :approval_id;

-- name: insert_vote
-- Somebody's word.
INSERT INTO approval_votes (approval_id, voter, by, is_yes, voted_at)
VALUES (:approval_id, :voter, :by, :is_yes, :voted_at)
ON CONFLICT (approval_id, voter) DO UPDATE SET by = excluded.by, is_yes = excluded.is_yes, voted_at = excluded.voted_at;

-- name: votes_of
-- The words on one approval, in order.
SELECT voter, by, is_yes, voted_at FROM approval_votes WHERE approval_id = :approval_id ORDER BY voted_at, voter;

-- name: insert_approval_chat
-- A card was put into a chat.
INSERT INTO approval_chats (approval_id, chat) VALUES (:approval_id, :chat) ON CONFLICT DO NOTHING;

-- name: approval_chats
-- Where an approval's cards are.
SELECT chat FROM approval_chats WHERE approval_id = :approval_id ORDER BY chat;

-- name: remember_decision
-- A decision that holds for more than this, in place of an earlier one of the same reach.
INSERT INTO remembered_decisions
    (kind, group_id, scope, scope_key, is_yes, by, approval_id, decided_at, expires_at)
VALUES (:kind, :group_id, :scope, :scope_key, :is_yes, :by, :approval_id, :now, :expires_at)
ON CONFLICT (kind, group_id, scope, scope_key) DO UPDATE SET is_yes = excluded.is_yes, by = excluded.by,
    approval_id = excluded.approval_id, decided_at = excluded.decided_at, expires_at = excluded.expires_at;

-- name: remembered_decision
-- What is remembered for one reach.
SELECT * FROM remembered_decisions
WHERE kind = :kind AND group_id = :group_id AND scope = :scope AND scope_key = :scope_key AND expires_at > :now;

-- name: remembered_decisions
-- All that is remembered now.
SELECT * FROM remembered_decisions WHERE expires_at > :now ORDER BY decided_at;

-- name: forget_decision
-- A remembered decision does not hold any more.
DELETE FROM remembered_decisions WHERE decision_id = :decision_id;

-- name: forget_old_decisions
-- Remembered decisions that have run out.
DELETE FROM remembered_decisions WHERE expires_at <= :now;

-- name: decider
-- Who speaks: their first identity, their role everywhere and with one agent.
SELECT p.person, p.name, p.role, r.role AS group_role FROM persons AS p
LEFT JOIN person_roles AS r ON r.person = p.person AND r.group_id = :group_id
WHERE p.person = coalesce((SELECT i.person FROM identities AS i WHERE i.identity = :by), :by);

-- name: identities_of_decider
-- All the keys of somebody besides their first.
SELECT identity FROM identities WHERE person = :person;

-- name: chats_of_deciders
-- Everybody's direct chats, those that the group answers in before others, the newest first: where they can be asked.
SELECT chat, person FROM chats AS c WHERE chat_kind = 'direct' AND person <> ''
ORDER BY EXISTS (SELECT 1 FROM bindings WHERE chat = c.chat AND group_id = :group_id) DESC, seen_at DESC, chat;

-- name: direct_chat_of_task
-- Where a task began, if that is somebody's direct chat.
SELECT c.chat, c.person FROM tasks AS t JOIN chats AS c ON c.chat = t.chat
WHERE t.task_id = :task_id AND c.chat_kind = 'direct' AND c.person <> '';

-- name: chat_person
-- Whose direct chat it is.
SELECT person FROM chats WHERE chat = :chat AND chat_kind = 'direct';
