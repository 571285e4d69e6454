-- Groups that are held back.

-- name: pauses
-- All that hold a group.
SELECT * FROM pauses ORDER BY set_at, group_id, cause;

-- name: set_pause
-- A group is held back; a pause of the same cause stays as it is.
INSERT INTO pauses (group_id, cause, reason, set_by, set_at) VALUES (:group_id, :cause, :reason, :set_by, :set_at)
ON CONFLICT (group_id, cause) DO NOTHING;

-- name: lift_pause
-- One cause holds a group no more.
DELETE FROM pauses WHERE group_id = :group_id AND cause = :cause;
