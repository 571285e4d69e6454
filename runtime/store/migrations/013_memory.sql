-- What an agent's memory held before the part of a task that is still to be looked at: a manifest; '' for none.
ALTER TABLE snapshots ADD COLUMN memory_from TEXT NOT NULL DEFAULT '';
CREATE INDEX snapshots_unlooked ON snapshots (group_id) WHERE memory_from <> '';
