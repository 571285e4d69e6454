-- What a row may say besides, each empty where there is nothing to say, and sums that outlive the rows.
ALTER TABLE entries ADD COLUMN note TEXT NOT NULL DEFAULT '';            -- how it came to pass: `notes.py`
ALTER TABLE entries ADD COLUMN request_sha256 TEXT NOT NULL DEFAULT '';  -- of the body sent, held or not sent
ALTER TABLE entries ADD COLUMN response_sha256 TEXT NOT NULL DEFAULT ''; -- of the body fetched, so that a source can be checked
CREATE TABLE daily (
    day TEXT NOT NULL,               -- UTC
    group_id TEXT NOT NULL,
    host TEXT NOT NULL,              -- with its port where that is not the scheme's own; empty: not even a host
    secret TEXT NOT NULL,            -- empty: none
    requests INTEGER NOT NULL,       -- let out
    denied INTEGER NOT NULL,
    failed INTEGER NOT NULL,         -- let out, and no answer or one of 400 and above
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, group_id, host, secret)
) STRICT, WITHOUT ROWID;
