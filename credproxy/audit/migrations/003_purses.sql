-- What several tasks may spend together in a day, so that a restart in the middle of it forgets nothing.
CREATE TABLE purse_use (
    day TEXT NOT NULL,               -- UTC
    purse TEXT NOT NULL,             -- as a lease names it: `machine`, `group:main`
    model_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    PRIMARY KEY (day, purse)
) STRICT, WITHOUT ROWID;
