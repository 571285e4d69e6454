-- Dead letters.

-- name: open_letters
-- The newest that nobody has ended, newest first: of one chat, or of all.
SELECT * FROM letters INDEXED BY letters_open WHERE state = 'open' AND (:chat IS NULL OR chat = :chat)
ORDER BY died_at DESC LIMIT :limit OFFSET :past;

-- name: count_open_letters
-- How many are open: of one chat, or of all.
SELECT count(*) AS letters FROM letters INDEXED BY letters_open
WHERE state = 'open' AND (:chat IS NULL OR chat = :chat);

-- name: newest_letters
-- The newest of all, newest first.
SELECT * FROM letters INDEXED BY letters_died ORDER BY died_at DESC LIMIT :limit;

-- name: open_letter_of_chat
-- A chat's newest that can be tried again.
SELECT * FROM letters INDEXED BY letters_open WHERE state = 'open' AND chat = :chat AND kind IN ('task', 'schedule')
ORDER BY died_at DESC LIMIT 1;

-- name: letter
-- One.
SELECT * FROM letters WHERE reference = :reference;

-- name: put_run_letter
-- A schedule's run failed, and is not tried again by itself.
INSERT INTO letters (reference, kind, group_id, chat, died_at)
SELECT r.run_id, 'schedule', s.group_id, coalesce(s.chat, ''), r.ended_at
FROM schedule_runs AS r JOIN schedules AS s USING (schedule_id) WHERE r.run_id = :run_id;

-- name: end_letter
-- Somebody tries again what it is about, or closes it.
UPDATE letters SET state = :state, ended_at = :ended_at, ended_by = :ended_by
WHERE reference = :reference AND state = 'open';

-- name: close_letters
-- Those that died before a time are closed: of one chat, or of all.
UPDATE letters SET state = 'closed', ended_at = :ended_at, ended_by = :ended_by
WHERE state = 'open' AND died_at < :before AND (:chat IS NULL OR chat = :chat);

-- name: empty_closed
-- What nobody could read is not kept when nobody wants it any more.
UPDATE raw_updates SET raw = x'' WHERE raw_id IN
    (SELECT CAST(substr(reference, 5) AS INTEGER) FROM letters WHERE kind = 'update' AND state = 'closed')
    AND state = 'dead' AND raw <> x'';

-- name: count_letters
-- How many are open, of each kind.
SELECT kind, count(*) AS letters FROM letters WHERE state = 'open' GROUP BY kind;

-- name: outbox_row
-- One message of the outbox.
SELECT o.*, p.body, r.platform_message_ids FROM outbox AS o JOIN payloads AS p USING (payload_id)
LEFT JOIN receipts AS r USING (outbox_id) WHERE o.outbox_id = :outbox_id;

-- name: revive_outbox
-- A message that was given up is to be delivered after all.
UPDATE outbox SET state = 'pending', attempts = 0, next_try_at = :now, reason = '', ended_at = NULL
WHERE outbox_id = :outbox_id AND state = 'dead';

-- name: raw_update
-- One update, with its bytes' number only.
SELECT raw_id, channel_id, event_id, state, reason, received_at, length(raw) AS raw_bytes FROM raw_updates
WHERE raw_id = :raw_id;

-- name: revive_raw
-- An update that could not be decoded is to be decoded again.
UPDATE raw_updates SET state = 'pending', reason = '' WHERE raw_id = :raw_id AND state = 'dead';
