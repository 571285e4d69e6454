-- Writing out what is kept.

-- name: said_by
-- Somebody's messages after one, with what was answered.
SELECT m.seq, m.message_id, m.received_at, m.chat, m.state, m.end_reason, m.group_id AS "group", m.task_id,
    p.body ->> '$.inbound.text' AS text, t.state AS task_state, r.body ->> '$.text' AS reply
FROM messages AS m JOIN payloads AS p USING (payload_id)
LEFT JOIN tasks AS t ON t.task_id = m.task_id LEFT JOIN payloads AS r ON r.payload_id = t.result_id
WHERE m.seq > :seq AND m.person IN (SELECT value FROM json_each(:persons)) ORDER BY m.seq LIMIT :limit;
