-- Who did what an entry says. It stands beside the chain, which holds no names, so that a person can be forgotten.
CREATE TABLE journal_by (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    by TEXT NOT NULL -- a person's key, cli, file
) STRICT;

DROP VIEW v_journal;
CREATE VIEW v_journal AS
SELECT seq, at, kind, refs, digest, hash, b.by FROM journal LEFT JOIN journal_by AS b USING (seq);
