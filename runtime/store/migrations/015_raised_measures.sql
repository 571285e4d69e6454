-- A raise gives more of what was used up, not of everything: each measure of a purse has its own count.
ALTER TABLE purses ADD COLUMN calls_raises INTEGER NOT NULL DEFAULT 0;
ALTER TABLE purses ADD COLUMN tokens_raises INTEGER NOT NULL DEFAULT 0;
ALTER TABLE purses ADD COLUMN usd_raises INTEGER NOT NULL DEFAULT 0;
UPDATE purses SET calls_raises = raises, tokens_raises = raises, usd_raises = raises;
DROP VIEW v_purses;
CREATE VIEW v_purses AS
SELECT day, purse, state, raises, calls_raises, tokens_raises, usd_raises, approval_id, changed_at FROM purses;
