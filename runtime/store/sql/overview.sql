-- Flags, counters, overview.

-- name: flag
-- One flag.
SELECT value FROM flags WHERE name = :name;

-- name: flags_set
-- The flags that are set, of those whose names begin alike.
SELECT name FROM flags WHERE name BETWEEN :first AND :last AND value <> 0;

-- name: set_flag
-- A flag is set or lifted.
INSERT INTO flags (name, value, set_by, set_at) VALUES (:name, :value, :set_by, :set_at)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: status
-- The counts that people look at; each is answered from a small partial index.
SELECT
    (SELECT count(*) FROM messages WHERE state = 'queued') AS queued,
    (SELECT count(*) FROM messages WHERE state = 'claimed') AS claimed,
    (SELECT count(*) FROM tasks WHERE state = 'running') AS running_tasks,
    (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')) AS outbox_waiting,
    (SELECT count(*) FROM outbox WHERE state = 'dead') AS outbox_dead,
    (SELECT count(*) FROM raw_updates WHERE state = 'dead') AS dead_letters,
    (SELECT count(*) FROM approvals WHERE state = 'waiting') AS approvals,
    (SELECT received_at FROM messages WHERE state = 'queued' ORDER BY seq LIMIT 1) AS oldest_queued_at,
    (SELECT value FROM flags WHERE name = 'frozen') AS frozen;
