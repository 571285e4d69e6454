-- Schedules and their runs.

-- name: insert_schedule
-- A schedule is made.
INSERT INTO schedules (group_id, chat, kind, timing, zone, jitter_s, missed, overlap, session, retries, limits, trust,
    made_by, made_key, payload_id, next_due_at, made_at)
VALUES (:group_id, :chat, :kind, :timing, :zone, :jitter_s, :missed, :overlap, :session, :retries, :limits, :trust,
    :made_by, :made_key, :payload_id, :next_due_at, :made_at);

-- name: count_made_by_agents
-- Schedules that agents made: one task (`;` follows `:`, with which its keys go on), and a group's that may still run.
SELECT (SELECT count(*) FROM schedules WHERE made_key > :first AND made_key < :last AND made_key <> '' AND made_key <> :but)
        AS by_task,
    (SELECT count(*) FROM schedules WHERE group_id = :group_id AND made_by = :made_by AND state IN ('active', 'paused')
        AND made_key <> :but) AS by_group;

-- name: schedule_by_key
-- The schedule that was made for a message, or for whatever else the key names.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id)
WHERE s.made_key = :made_key AND s.made_key <> '';

-- name: count_schedules
-- Those of a group that may still run: the cap counts them.
SELECT count(*) AS number FROM schedules WHERE group_id = :group_id AND state IN ('active', 'paused');

-- name: schedule_by_id
-- One schedule with its texts.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id) WHERE s.schedule_id = :schedule_id;

-- name: listed_schedules
-- All that were not removed, in the order in which they were made.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id)
WHERE s.state <> 'removed' AND s.schedule_id > :after ORDER BY s.schedule_id LIMIT :limit;

-- name: listed_schedules_of_group
-- A group's that were not removed.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id)
WHERE s.state <> 'removed' AND s.group_id = :group_id AND s.schedule_id > :after ORDER BY s.schedule_id LIMIT :limit;

-- name: due_schedules
-- Active ones whose time has come, the longest due first.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id)
WHERE s.state = 'active' AND s.next_due_at IS NOT NULL AND s.next_due_at <= :now ORDER BY s.next_due_at;

-- name: active_schedules
-- Those that something will be due of.
SELECT s.*, p.body FROM schedules AS s JOIN payloads AS p USING (payload_id)
WHERE s.state = 'active' AND s.next_due_at IS NOT NULL ORDER BY s.next_due_at;

-- name: zone_of_person
-- Whose clocks count for somebody, under whichever of their identities.
SELECT zone FROM person_zones
WHERE person = coalesce((SELECT person FROM identities WHERE identity = :person), :person);

-- name: set_person_zone
-- Somebody lives by the clocks of a zone.
INSERT INTO person_zones (person, zone, set_at)
VALUES (coalesce((SELECT person FROM identities WHERE identity = :person), :person), :zone, :set_at)
ON CONFLICT (person) DO UPDATE SET zone = excluded.zone, set_at = excluded.set_at;

-- name: next_schedule_moment
-- When something is to be done next: a due time, or a run that waits for its start.
SELECT (SELECT min(next_due_at) FROM schedules WHERE state = 'active' AND next_due_at IS NOT NULL AND next_due_at > :now)
    AS due_at, (SELECT min(start_at) FROM schedule_runs WHERE state = 'waiting' AND start_at > :now) AS start_at;

-- name: set_schedule_due
-- The next due time of an active schedule, if nobody changed it meanwhile.
UPDATE schedules SET next_due_at = :next_due_at
WHERE schedule_id = :schedule_id AND state = 'active' AND next_due_at IS :expected;

-- name: set_schedule_state
-- A schedule is paused, resumed, done or removed.
UPDATE schedules SET state = :state, next_due_at = :next_due_at, ended_at = :ended_at
WHERE schedule_id = :schedule_id AND state = :expected;

-- name: set_schedule_failures
-- How many of its runs failed one after the other.
UPDATE schedules SET failures = :failures WHERE schedule_id = :schedule_id;

-- name: insert_run
-- A due time becomes a run, or is recorded as skipped.
INSERT INTO schedule_runs (run_id, schedule_id, due_at, start_at, origin, state, reason, gone_by, number, made_at,
    ended_at)
VALUES (:run_id, :schedule_id, :due_at, :start_at, :origin, :state, :reason, :gone_by, :number, :made_at, :ended_at)
ON CONFLICT DO NOTHING;

-- name: run_by_id
-- One run.
SELECT * FROM schedule_runs WHERE run_id = :run_id;

-- name: manual_run
-- The run that a person asked for at a time.
SELECT * FROM schedule_runs WHERE schedule_id = :schedule_id AND due_at = :due_at AND origin = 'manual';

-- name: runs_of_schedule
-- A schedule's newest runs.
SELECT * FROM schedule_runs WHERE schedule_id = :schedule_id ORDER BY made_at DESC, due_at DESC LIMIT :limit;

-- name: open_runs_of_schedule
-- A schedule's runs that have not ended.
SELECT * FROM schedule_runs WHERE schedule_id = :schedule_id AND state IN ('waiting', 'submitted') ORDER BY due_at;

-- name: recorded_dues
-- Due times after a moment that have been dealt with.
SELECT due_at FROM schedule_runs WHERE schedule_id = :schedule_id AND due_at > :after AND origin IN ('due', 'missed');

-- name: startable_runs
-- Runs whose start has come, of schedules none of whose runs works, in the order of their due times.
SELECT r.* FROM schedule_runs AS r WHERE r.state = 'waiting' AND r.start_at <= :now
    AND NOT EXISTS (SELECT 1 FROM schedule_runs AS w WHERE w.schedule_id = r.schedule_id AND w.state = 'submitted')
ORDER BY r.due_at;

-- name: submitted_runs
-- Runs that work.
SELECT * FROM schedule_runs WHERE state = 'submitted';

-- name: submit_run
-- A run has its submission.
UPDATE schedule_runs SET state = 'submitted', submission_id = :submission_id
WHERE run_id = :run_id AND state = 'waiting';

-- name: end_run
-- A run has ended.
UPDATE schedule_runs SET state = :state, reason = :reason, task_id = :task_id, ended_at = :ended_at
WHERE run_id = :run_id AND state IN ('waiting', 'submitted');

-- name: drop_old_runs
-- Of each schedule the newest runs are kept, and what has not ended.
DELETE FROM schedule_runs WHERE schedule_id = :schedule_id AND state NOT IN ('waiting', 'submitted')
    AND run_id IN (SELECT run_id FROM schedule_runs WHERE schedule_id = :schedule_id
        ORDER BY made_at DESC, due_at DESC LIMIT -1 OFFSET :keep);

-- name: undelivered_runs
-- Runs whose answer could not be delivered, and whose owner has not been told.
SELECT r.*, min(o.reason) AS delivery_reason FROM outbox AS o JOIN schedule_runs AS r USING (task_id)
WHERE o.state = 'dead' AND o.task_id IS NOT NULL AND r.is_delivery_told = 0 GROUP BY r.run_id;

-- name: tell_delivery
-- The owner has been told that a run's answer was not delivered.
UPDATE schedule_runs SET is_delivery_told = 1 WHERE run_id = :run_id AND is_delivery_told = 0;

-- name: delivery_of_task
-- How far a task's messages have come: one row for each state.
SELECT state, count(*) AS messages FROM outbox WHERE task_id = :task_id GROUP BY state;
