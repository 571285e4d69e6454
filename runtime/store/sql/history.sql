-- What groups' folders held before tasks.

-- name: insert_snapshot
-- A moment that was kept; one that a task has already stays the first.
INSERT INTO snapshots (reference, group_id, manifest, reason, taken_at, memory_from)
VALUES (:reference, :group_id, :manifest, :reason, :taken_at, :memory_from) ON CONFLICT (reference) DO NOTHING;

-- name: snapshot_of
-- One moment.
SELECT * FROM snapshots WHERE reference = :reference;

-- name: snapshots_since
-- A group's moments after one, oldest first.
SELECT * FROM snapshots WHERE group_id = :group_id AND taken_at > :taken_at ORDER BY taken_at;

-- name: newest_snapshots
-- A group's newest moments, newest first.
SELECT * FROM snapshots WHERE group_id = :group_id ORDER BY taken_at DESC LIMIT :limit;

-- name: snapshot_of_chat
-- The newest moment before a task of one chat that has not been undone.
SELECT s.* FROM snapshots AS s JOIN tasks AS t ON t.task_id = s.reference
WHERE s.group_id = :group_id AND t.chat = :chat AND s.undone_by IS NULL ORDER BY s.taken_at DESC LIMIT 1;

-- name: mark_undone
-- Somebody went back to this moment.
UPDATE snapshots SET undone_by = :undone_by WHERE reference = :reference;

-- name: drop_snapshots
-- What moments held up to one is not kept any more.
UPDATE snapshots SET manifest = '', reason = :reason
WHERE group_id = :group_id AND taken_at <= :taken_at AND manifest <> '';

-- name: drop_snapshots_since
-- What moments held from one on is not kept any more.
UPDATE snapshots SET manifest = '', reason = :reason
WHERE group_id = :group_id AND taken_at >= :since AND manifest <> '';

-- name: moments_of
-- All moments of a group with the ends of their tasks, oldest first.
SELECT s.reference, s.manifest, s.taken_at, t.ended_at FROM snapshots AS s
LEFT JOIN tasks AS t ON t.task_id = s.reference WHERE s.group_id = :group_id ORDER BY s.taken_at;

-- name: snapshot_groups
-- The groups that have kept moments.
SELECT DISTINCT group_id FROM snapshots;

-- name: memory_from
-- What memory held before the part of a task that is still to be looked at.
SELECT memory_from FROM snapshots WHERE reference = :reference;

-- name: set_memory_from
-- The next part of a task begins, or this one was looked at: ''.
UPDATE snapshots SET memory_from = :memory_from WHERE reference = :reference;

-- name: memory_bases
-- The manifests of a group that are still to be compared with.
SELECT DISTINCT memory_from FROM snapshots WHERE group_id = :group_id AND memory_from <> '';

-- name: unlooked_tasks
-- Tasks that do not run any more, and whose memory nobody has looked at.
SELECT s.reference, s.group_id FROM snapshots AS s JOIN tasks AS t ON t.task_id = s.reference
WHERE s.memory_from <> '' AND t.state <> 'running' ORDER BY s.taken_at;
