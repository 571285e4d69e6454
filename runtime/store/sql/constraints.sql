-- Constraints that were added in chats or by the command line, and who mounted which skill.

-- name: insert_constraint
-- Somebody added a constraint.
INSERT INTO added_constraints (constraint_id, group_id, terms, added_by, added_at)
VALUES (:constraint_id, :group_id, :terms, :added_by, :now);

-- name: delete_constraint
-- A constraint does not hold any more.
DELETE FROM added_constraints WHERE constraint_id = :constraint_id AND group_id = :group_id;

-- name: added_constraints
-- All that were added, oldest first.
SELECT * FROM added_constraints ORDER BY added_at, constraint_id;

-- name: skill_mounts
-- Which skills were mounted where, as the host saw last.
SELECT group_id, skill FROM skill_mounts ORDER BY group_id, skill;

-- name: insert_skill_mount
-- A skill was mounted.
INSERT INTO skill_mounts (group_id, skill, mounted_by, mounted_at) VALUES (:group_id, :skill, :by, :now);

-- name: delete_skill_mount
-- A skill was taken out.
DELETE FROM skill_mounts WHERE group_id = :group_id AND skill = :skill;
