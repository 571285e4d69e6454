-- What models were used, and what was decided about purses.

-- name: put_model_use
-- What a task has used of a model on a day, in place of what was known before; the proxy's sums only grow.
INSERT INTO model_use (day, task_id, group_id, model, route, submitter, payer, is_background, model_calls, input_tokens,
    output_tokens, cost_usd, calls_without_price, last_at)
VALUES (:day, :task_id, :group_id, :model, :route,
    coalesce((SELECT t.submitter FROM tasks AS t WHERE t.task_id = :task_id), ''),
    coalesce((SELECT t.payer FROM tasks AS t WHERE t.task_id = :task_id), ''), 0, :model_calls, :input_tokens,
    :output_tokens, :cost_usd, :calls_without_price, :last_at)
ON CONFLICT (day, task_id, group_id, model, route) DO UPDATE SET model_calls = excluded.model_calls,
    input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, cost_usd = excluded.cost_usd,
    calls_without_price = excluded.calls_without_price, last_at = excluded.last_at,
    submitter = CASE WHEN submitter = '' THEN excluded.submitter ELSE submitter END,
    payer = CASE WHEN payer = '' THEN excluded.payer ELSE payer END;

-- name: set_background
-- Work that no person waits for: of a schedule, another agent, or a program that nobody sits behind.
UPDATE model_use SET is_background = 1
WHERE task_id = :task_id AND task_id <> '' AND is_background = 0 AND (
    submitter LIKE 'schedule:%' OR submitter LIKE 'group:%' OR (submitter LIKE 'program:%' AND NOT EXISTS (
        SELECT 1 FROM programs AS p WHERE p.program = substr(submitter, 9) AND p.is_attended = 1)));

-- name: use_of_days
-- Use by whatever is asked for, over some days; the most first.
SELECT CASE :by WHEN 'day' THEN day WHEN 'group' THEN group_id WHEN 'model' THEN model WHEN 'task' THEN task_id
    ELSE submitter END AS key,
    sum(model_calls) AS model_calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd, sum(calls_without_price) AS calls_without_price
FROM model_use WHERE day BETWEEN :since AND :until AND (:group_id = '' OR group_id = :group_id)
GROUP BY key ORDER BY cost_usd DESC, model_calls DESC, key LIMIT :limit;

-- name: use_of_day
-- One day's use by group, background work apart.
SELECT group_id, is_background, sum(model_calls) AS model_calls, sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd, sum(calls_without_price) AS calls_without_price
FROM model_use WHERE day = :day GROUP BY group_id, is_background;

-- name: payers_of_day
-- One day's use by the person whose limits it counts for (under whichever identity), and group; of all, or of one.
SELECT coalesce(i.person, u.payer) AS person, u.group_id, sum(u.model_calls) AS model_calls,
    sum(u.input_tokens) AS input_tokens, sum(u.output_tokens) AS output_tokens, sum(u.cost_usd) AS cost_usd,
    sum(u.calls_without_price) AS calls_without_price
FROM model_use AS u LEFT JOIN identities AS i ON i.identity = u.payer
WHERE u.day = :day AND u.payer <> '' AND (:person = '' OR coalesce(i.person, u.payer) = :person)
GROUP BY 1, 2;

-- name: payer
-- Who somebody is, and the limits of their own, for what they may use.
SELECT k.person, p.name, p.role, l.model_calls_per_day, l.cost_usd_per_day
FROM (SELECT coalesce((SELECT person FROM identities WHERE identity = :person), :person) AS person) AS k
LEFT JOIN persons AS p ON p.person = k.person LEFT JOIN person_limits AS l ON l.person = k.person;

-- name: has_person_limits
-- Whether anybody has limits of their own on what they may use.
SELECT 1 AS yes FROM person_limits WHERE model_calls_per_day IS NOT NULL OR cost_usd_per_day IS NOT NULL LIMIT 1;

-- name: use_of_task
-- What one task has used, by model and the route to it.
SELECT model, route, sum(model_calls) AS model_calls, sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd, sum(calls_without_price) AS calls_without_price,
    max(last_at) AS last_at
FROM model_use WHERE task_id = :task_id GROUP BY model, route ORDER BY model_calls DESC, model, route;

-- name: newest_use_day
-- The newest day of which anything is known: what came later is asked of the proxy at a start.
SELECT max(day) AS day FROM model_use;

-- name: purse_of_day
-- What was decided about a purse today.
SELECT * FROM purses WHERE day = :day AND purse = :purse;

-- name: purses_of_day
-- What was decided about purses on a day.
SELECT * FROM purses WHERE day = :day ORDER BY purse;

-- name: put_purse
-- A purse was found empty, or something was decided about it.
INSERT INTO purses (day, purse, state, raises, calls_raises, tokens_raises, usd_raises, approval_id, changed_at)
VALUES (:day, :purse, :state, :raises, :calls_raises, :tokens_raises, :usd_raises, :approval_id, :changed_at)
ON CONFLICT (day, purse) DO UPDATE SET state = excluded.state, raises = excluded.raises,
    calls_raises = excluded.calls_raises, tokens_raises = excluded.tokens_raises, usd_raises = excluded.usd_raises,
    approval_id = excluded.approval_id, changed_at = excluded.changed_at;

-- name: put_spent_task
-- A task waits because its money is used up.
INSERT INTO spent_tasks (task_id, purse, call_id, approval_id, state, stopped_at)
VALUES (:task_id, :purse, :call_id, '', 'waiting', :stopped_at)
ON CONFLICT (task_id) DO UPDATE SET purse = excluded.purse, call_id = excluded.call_id, approval_id = '',
    state = 'waiting', stopped_at = excluded.stopped_at;

-- name: spent_task
-- One task that waits, or waited, for money.
SELECT s.*, t.group_id, t.payer FROM spent_tasks AS s JOIN tasks AS t USING (task_id) WHERE s.task_id = :task_id;

-- name: spent_tasks
-- The tasks that wait for money, the oldest first.
SELECT s.*, t.group_id, t.payer FROM spent_tasks AS s JOIN tasks AS t USING (task_id) WHERE s.state = 'waiting'
ORDER BY s.stopped_at;

-- name: ask_for_task
-- A person is asked about a task's own limits.
UPDATE spent_tasks SET approval_id = :approval_id WHERE task_id = :task_id;

-- name: end_wait
-- A task waits for money no more; `more`: it was given its limits once again.
UPDATE spent_tasks SET state = 'over', raises = raises + :more WHERE task_id = :task_id AND state = 'waiting';

-- name: raised_tasks
-- Tasks that have not ended and were given their own limits again.
SELECT s.task_id, s.raises FROM spent_tasks AS s JOIN tasks AS t USING (task_id)
WHERE s.raises > 0 AND t.state IN ('running', 'suspended');
