-- Through which route each call of a model went, and when its answer last ended: what a task was really answered by.
DROP INDEX model_use_by_day;
ALTER TABLE model_use RENAME TO model_use_before;
CREATE TABLE model_use (
    task_id TEXT NOT NULL,           -- empty: of tasks long over, summed up
    group_id TEXT NOT NULL,
    day TEXT NOT NULL,               -- UTC
    model TEXT NOT NULL,             -- as the provider names it; empty: a call that has not ended
    route TEXT NOT NULL,             -- empty: a granted host that says what it used, or from before routes were kept
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    calls_without_price INTEGER NOT NULL,
    last_at TEXT NOT NULL,           -- ISO 8601, UTC; empty: not known
    PRIMARY KEY (task_id, group_id, day, model, route)
) STRICT, WITHOUT ROWID;
INSERT INTO model_use SELECT task_id, group_id, day, model, '', model_calls, input_tokens, output_tokens, cost_usd,
    calls_without_price, '' FROM model_use_before;
DROP TABLE model_use_before;
CREATE INDEX model_use_by_day ON model_use (day);
