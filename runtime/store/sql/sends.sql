-- What agents send of their own accord.

-- name: insert_send
-- One more, under the next number.
INSERT INTO sends (task_id, call_id, group_id, kind, chat, outbox_key, sent_at)
VALUES (:task_id, :call_id, :group_id, :kind, :chat, :outbox_key, :now);

-- name: send_of_call
-- What a call has sent.
SELECT * FROM sends WHERE task_id = :task_id AND call_id = :call_id;

-- name: send_by_number
-- What an agent of the group has sent under a number.
SELECT * FROM sends WHERE send_id = :send_id AND group_id = :group_id;

-- name: count_sends
-- How much a task has sent, and its group of late.
SELECT
    (SELECT count(*) FROM sends WHERE task_id = :task_id AND kind IN ('text', 'file')) AS sends_of_task,
    (SELECT count(*) FROM sends WHERE task_id = :task_id AND kind IN ('edit', 'react', 'delete')) AS changes_of_task,
    (SELECT count(*) FROM sends WHERE group_id = :group_id AND sent_at > :since) AS last_minute;

-- name: state_of_output
-- Where a message of a key is: in the outbox, with the platform's ids once it is sent, or held back.
SELECT o.state, r.platform_message_ids, 0 AS is_held FROM outbox AS o LEFT JOIN receipts AS r USING (outbox_id)
WHERE o.idempotency_key = :key
UNION ALL SELECT h.state, NULL, 1 FROM held_messages AS h WHERE h.idempotency_key = :key AND h.state <> 'released';

-- name: message_by_seq
-- A message that came, by its number.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.seq = :seq;
