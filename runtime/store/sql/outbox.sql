-- The outbox and its receipts.

-- name: cards_of_key
-- What stands in chats with buttons under a key, or one that goes on after it.
SELECT o.idempotency_key, o.chat FROM outbox AS o JOIN payloads AS p USING (payload_id)
WHERE (o.idempotency_key = :key OR o.idempotency_key BETWEEN :key || ':' AND :last)
    AND o.state <> 'dead' AND json_array_length(p.body, '$.buttons') > 0;

-- name: outbox_key
-- Whether an idempotency key has been used.
SELECT outbox_id FROM outbox WHERE idempotency_key = :idempotency_key
UNION ALL SELECT held_id FROM held_messages WHERE idempotency_key = :idempotency_key AND state <> 'released';

-- name: insert_outbox
-- A message to deliver.
INSERT INTO outbox (idempotency_key, task_id, channel_id, chat, payload_id, next_try_at, created_at)
VALUES (:idempotency_key, :task_id, :channel_id, :chat, :payload_id, :now, :now);

-- name: due_outbox
-- The oldest open row of each chat, where it is pending and due.
SELECT o.*, p.body, NULL AS platform_message_ids
FROM outbox AS o INDEXED BY outbox_open JOIN payloads AS p USING (payload_id)
WHERE o.state IN ('pending', 'sending') AND o.state = 'pending' AND o.next_try_at <= :now
    AND o.outbox_id = (SELECT min(e.outbox_id) FROM outbox AS e
                       WHERE e.chat = o.chat AND e.state IN ('pending', 'sending'))
ORDER BY o.outbox_id LIMIT :limit;

-- name: next_outbox_at
-- When the next row that nothing holds up is due.
SELECT min(o.next_try_at) AS at FROM outbox AS o
WHERE o.state IN ('pending', 'sending') AND o.state = 'pending'
    AND o.outbox_id = (SELECT min(e.outbox_id) FROM outbox AS e
                       WHERE e.chat = o.chat AND e.state IN ('pending', 'sending'));

-- name: take_outbox
-- A delivery begins.
UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE outbox_id = :outbox_id AND state = 'pending';

-- name: settle_outbox
-- A delivery is over for good: sent, or given up.
UPDATE outbox SET state = :state, reason = :reason, ended_at = :ended_at
WHERE outbox_id = :outbox_id AND state IN ('pending', 'sending');

-- name: delay_outbox
-- A delivery failed and is tried again later.
UPDATE outbox SET state = 'pending', reason = :reason, next_try_at = :next_try_at
WHERE outbox_id = :outbox_id AND state = 'sending';

-- name: put_off_outbox
-- A delivery was not tried, since its platform's pace does not allow it yet.
UPDATE outbox SET state = 'pending', attempts = attempts - 1, reason = :reason, next_try_at = :next_try_at
WHERE outbox_id = :outbox_id AND state = 'sending';

-- name: waiting_outbox
-- What is tried again later.
SELECT o.outbox_id, o.next_try_at FROM outbox AS o INDEXED BY outbox_open
WHERE o.state IN ('pending', 'sending') AND o.state = 'pending' AND o.next_try_at > :now;

-- name: move_outbox
-- It is tried again at another time by the clock, which was set back.
UPDATE outbox SET next_try_at = :next_try_at WHERE outbox_id = :outbox_id AND state = 'pending';

-- name: sending_outbox
-- Deliveries that were under way.
SELECT o.*, p.body, NULL AS platform_message_ids
FROM outbox AS o INDEXED BY outbox_open JOIN payloads AS p USING (payload_id)
WHERE o.state IN ('pending', 'sending') AND o.state = 'sending' ORDER BY o.outbox_id;

-- name: open_outbox
-- What is not delivered yet, or is held back.
SELECT p.body FROM outbox AS o INDEXED BY outbox_open JOIN payloads AS p USING (payload_id)
WHERE o.state IN ('pending', 'sending')
UNION ALL SELECT p.body FROM held_messages AS h JOIN payloads AS p USING (payload_id) WHERE h.state = 'held';

-- name: recover_outbox
-- A delivery that was under way when the host died is begun again.
UPDATE outbox SET state = 'pending', maybe_sent = 1, next_try_at = :now
WHERE outbox_id = :outbox_id AND state = 'sending';

-- name: outbox_task
-- Which task a row belongs to.
SELECT task_id FROM outbox WHERE outbox_id = :outbox_id;

-- name: insert_receipt
-- What the platform answered.
INSERT INTO receipts (outbox_id, platform_message_ids, received_at)
VALUES (:outbox_id, :platform_message_ids, :received_at) ON CONFLICT (outbox_id) DO NOTHING;

-- name: outbox_of_task
-- What a task has to say.
SELECT o.*, p.body, r.platform_message_ids FROM outbox AS o JOIN payloads AS p USING (payload_id)
LEFT JOIN receipts AS r USING (outbox_id) WHERE o.task_id = :task_id ORDER BY o.outbox_id;

-- name: outbox_of_message
-- Notices that answer a message without a task, or say why it waits.
SELECT o.*, p.body, r.platform_message_ids FROM outbox AS o JOIN payloads AS p USING (payload_id)
LEFT JOIN receipts AS r USING (outbox_id)
WHERE o.idempotency_key = 'waits:' || :message_id
    OR (o.idempotency_key >= :message_id || '/' AND o.idempotency_key < :message_id || '0') ORDER BY o.outbox_id;
