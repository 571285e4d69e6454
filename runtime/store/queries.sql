-- Every statement of the store, by name. Reads give whole rows; the *_rows.py files make records of them.

-- name: insert_payload
-- A text, under its subject: a person key or a group.
INSERT INTO payloads (subject, body) VALUES (:subject, :body);

-- ---------------------------------------------------------------- journal

-- name: journal_last
-- The entry that the next one follows.
SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1;

-- name: journal_insert
-- One entry of the chain.
INSERT INTO journal (seq, at, kind, refs, digest, previous, hash)
VALUES (:seq, :at, :kind, :refs, :digest, :previous, :hash);

-- name: journal_after
-- A piece of the chain, to check it.
SELECT * FROM journal WHERE seq > :seq ORDER BY seq LIMIT :limit;

-- name: journal_tail
-- The newest entries, newest first.
SELECT * FROM journal ORDER BY seq DESC LIMIT :limit;

-- name: journal_of_message
-- What happened to a message.
SELECT * FROM journal WHERE refs ->> 'message' IS NOT NULL AND refs ->> 'message' = :message_id ORDER BY seq;

-- name: journal_of_task
-- What happened to a task.
SELECT * FROM journal WHERE refs ->> 'task' IS NOT NULL AND refs ->> 'task' = :task_id ORDER BY seq;

-- ---------------------------------------------------------------- what comes in

-- name: insert_raw
-- A platform's update as it came; an event that is stored already changes nothing.
INSERT INTO raw_updates (channel_id, event_id, raw, received_at) VALUES (:channel_id, :event_id, :raw, :received_at)
ON CONFLICT (channel_id, event_id) DO NOTHING RETURNING *;

-- name: pending_raws
-- The oldest updates of some channels that have not been filed.
SELECT * FROM raw_updates INDEXED BY raw_updates_pending WHERE state = 'pending' AND channel_id IN (SELECT value FROM json_each(:channels))
ORDER BY raw_id LIMIT :limit;

-- name: end_raw
-- An update has been filed: its bytes are not needed any more, the message has them.
UPDATE raw_updates SET state = :state, raw = x'' WHERE raw_id = :raw_id AND state = 'pending';

-- name: kill_raw
-- An update could not be decoded: its bytes stay for whoever mends the decoder.
UPDATE raw_updates SET state = 'dead', reason = :reason WHERE raw_id = :raw_id AND state = 'pending';

-- name: see_chat
-- A chat that a message came from.
INSERT INTO chats (chat, channel_id, chat_kind, seen_at) VALUES (:chat, :channel_id, :chat_kind, :seen_at)
ON CONFLICT (chat) DO NOTHING;

-- name: insert_message
-- A decoded message in the state that was decided.
INSERT INTO messages (message_id, raw_id, state, end_reason, channel_id, chat, person, kind, platform_message_id,
    group_id, session_id, payload_id, received_at, ended_at)
VALUES (:message_id, :raw_id, :state, :end_reason, :channel_id, :chat, :person, :kind, :platform_message_id,
    :group_id, :session_id, :payload_id, :received_at, :ended_at);

-- name: message_of_raw
-- The message that an update became.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.raw_id = :raw_id;

-- name: message_by_id
-- One message.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.message_id = :message_id;

-- name: message_by_platform_id
-- The newest message with the platform's own id.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.platform_message_id = :platform_message_id ORDER BY m.seq DESC LIMIT 1;

-- name: waiting_messages
-- The queue, oldest first.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.state = 'queued' ORDER BY m.seq LIMIT :limit;

-- name: messages_with_files
-- Messages whose files somebody will still ask for: they wait, are worked on, or are kept for the next task.
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_queued JOIN payloads AS p USING (payload_id)
WHERE m.state = 'queued'
UNION ALL
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_claimed JOIN payloads AS p USING (payload_id)
WHERE m.state = 'claimed'
UNION ALL
SELECT m.message_id, m.state, p.body FROM messages AS m INDEXED BY messages_open_context
JOIN payloads AS p USING (payload_id) WHERE m.state = 'context' AND m.task_id IS NULL
UNION ALL
SELECT m.message_id, m.state, p.body FROM tasks AS t JOIN messages AS m USING (task_id)
JOIN payloads AS p ON p.payload_id = m.payload_id WHERE t.state = 'running' AND m.state = 'context';

-- name: queued_before
-- Whether a session has an older message waiting.
SELECT 1 FROM messages INDEXED BY messages_queued
WHERE state = 'queued' AND seq < :seq AND session_id = :session_id LIMIT 1;

-- name: open_commands
-- Commands that have not been carried out.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id)
WHERE m.state = 'command' AND m.ended_at IS NULL ORDER BY m.seq;

-- name: recent_messages
-- The newest messages.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) ORDER BY m.seq DESC LIMIT :limit;

-- name: end_queued_message
-- A queued message that no task will answer.
UPDATE messages SET state = :state, end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'queued';

-- name: end_command
-- A command has been carried out.
UPDATE messages SET end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'command' AND ended_at IS NULL;

-- name: current_session
-- The session that a chat's messages join.
SELECT session_id FROM sessions WHERE group_id = :group_id AND chat = :chat AND is_current = 1;

-- name: retire_session
-- The session of a chat is not its current one any more.
UPDATE sessions SET is_current = 0 WHERE group_id = :group_id AND chat = :chat AND is_current = 1;

-- name: insert_session
-- A new current session.
INSERT INTO sessions (session_id, group_id, chat, started_at) VALUES (:session_id, :group_id, :chat, :started_at);

-- ---------------------------------------------------------------- tasks

-- name: insert_task
-- A task of claimed messages.
INSERT INTO tasks (task_id, group_id, session_id, submitter, chat, reply_to, created_at)
VALUES (:task_id, :group_id, :session_id, :submitter, :chat, :reply_to, :created_at);

-- name: running_task_of_session
-- The task that a session is busy with.
SELECT task_id FROM tasks WHERE session_id = :session_id AND state = 'running';

-- name: claim_message
-- A queued message becomes part of a task.
UPDATE messages SET state = 'claimed', task_id = :task_id WHERE message_id = :message_id AND state = 'queued';

-- name: show_context
-- Kept context is shown to a task.
UPDATE messages SET task_id = :task_id
WHERE state = 'context' AND task_id IS NULL AND session_id = :session_id AND seq < :before;

-- name: task_by_id
-- One task with its spec and result.
SELECT t.*, s.body AS spec, r.body AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id LEFT JOIN payloads AS r ON r.payload_id = t.result_id
WHERE t.task_id = :task_id;

-- name: running_tasks
-- Tasks that have not ended.
SELECT t.*, s.body AS spec, NULL AS result FROM tasks AS t
LEFT JOIN payloads AS s ON s.payload_id = t.spec_id
WHERE t.state = 'running' ORDER BY t.created_at, t.task_id;

-- name: messages_of_task
-- What a task answers and was shown.
SELECT m.*, p.body FROM messages AS m JOIN payloads AS p USING (payload_id) WHERE m.task_id = :task_id ORDER BY m.seq;

-- name: set_spec
-- What the host built of a task, kept from its first attempt.
UPDATE tasks SET spec_id = :spec_id WHERE task_id = :task_id AND spec_id IS NULL;

-- name: task_head
-- A task without its texts.
SELECT task_id, group_id, session_id, state, spec_id FROM tasks WHERE task_id = :task_id;

-- name: end_task
-- A running task ends.
UPDATE tasks SET state = :state, code = :code, result_id = :result_id, ended_at = :ended_at
WHERE task_id = :task_id AND state = 'running';

-- name: end_message
-- A claimed message reaches its end with its task.
UPDATE messages SET state = :state, end_reason = :reason, ended_at = :ended_at
WHERE message_id = :message_id AND state = 'claimed';

-- name: claimed_messages
-- The messages that a task has to end.
SELECT message_id FROM messages WHERE task_id = :task_id AND state = 'claimed' ORDER BY seq;

-- name: insert_attempt
-- The next attempt of a task.
INSERT INTO attempts (attempt_id, task_id, number, started_at)
VALUES (:attempt_id, :task_id, :number, :started_at);

-- name: attempt_by_id
-- One attempt.
SELECT * FROM attempts WHERE attempt_id = :attempt_id;

-- name: attempts_of_task
-- All attempts of a task.
SELECT * FROM attempts WHERE task_id = :task_id ORDER BY number;

-- name: open_attempts
-- Attempts that have not ended.
SELECT * FROM attempts WHERE state <> 'ended' ORDER BY started_at, attempt_id;

-- name: open_attempt_of_task
-- A task's attempt that has not ended.
SELECT * FROM attempts WHERE task_id = :task_id AND state <> 'ended';

-- name: run_attempt
-- An attempt has its container.
UPDATE attempts SET state = 'running', door_id = :door_id, container_id = :container_id,
    container_name = :container_name, nonce_hash = :nonce_hash
WHERE attempt_id = :attempt_id AND state <> 'ended';

-- name: end_attempt
-- An attempt is over.
UPDATE attempts SET state = 'ended', ended_at = :ended_at, end_reason = :reason
WHERE attempt_id = :attempt_id AND state <> 'ended';

-- name: advance_attempt
-- How far an attempt's link is stored.
UPDATE attempts SET stored_seq = :seq WHERE attempt_id = :attempt_id AND stored_seq < :seq;

-- name: next_step_index
-- The index that the next step of a task must have.
SELECT coalesce(max(step_index) + 1, 0) AS next_index FROM steps WHERE task_id = :task_id;

-- name: insert_step
-- A fact of a running attempt.
INSERT INTO steps (task_id, step_index, attempt_id, kind, label, payload_id, stored_at)
VALUES (:task_id, :step_index, :attempt_id, :kind, :label, :payload_id, :stored_at);

-- name: steps_of_task
-- All steps of a task.
SELECT s.*, p.body FROM steps AS s JOIN payloads AS p USING (payload_id) WHERE s.task_id = :task_id
ORDER BY s.step_index;

-- name: step_summaries
-- All steps of a task without their texts.
SELECT * FROM steps WHERE task_id = :task_id ORDER BY step_index;

-- name: next_position
-- Where the next transcript entry of a session goes.
SELECT coalesce(max(position) + 1, 0) AS next_position FROM transcript WHERE session_id = :session_id;

-- name: insert_entry
-- A turn of a conversation.
INSERT INTO transcript (session_id, position, task_id, role, payload_id)
VALUES (:session_id, :position, :task_id, :role, :payload_id);

-- name: transcript_of_session
-- A conversation so far.
SELECT p.body FROM transcript AS t JOIN payloads AS p USING (payload_id) WHERE t.session_id = :session_id
ORDER BY t.position;

-- ---------------------------------------------------------------- what goes out

-- name: outbox_key
-- Whether an idempotency key has been used.
SELECT outbox_id FROM outbox WHERE idempotency_key = :idempotency_key;

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

-- name: sending_outbox
-- Deliveries that were under way.
SELECT o.*, p.body, NULL AS platform_message_ids
FROM outbox AS o INDEXED BY outbox_open JOIN payloads AS p USING (payload_id)
WHERE o.state IN ('pending', 'sending') AND o.state = 'sending' ORDER BY o.outbox_id;

-- name: open_outbox
-- What is not delivered yet.
SELECT p.body FROM outbox AS o INDEXED BY outbox_open JOIN payloads AS p USING (payload_id)
WHERE o.state IN ('pending', 'sending');

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
-- Notices that answer a message without a task.
SELECT o.*, p.body, r.platform_message_ids FROM outbox AS o JOIN payloads AS p USING (payload_id)
LEFT JOIN receipts AS r USING (outbox_id)
WHERE o.idempotency_key >= :message_id || '/' AND o.idempotency_key < :message_id || '0' ORDER BY o.outbox_id;

-- ---------------------------------------------------------------- people

-- name: sender_facts
-- What is known of who speaks, where: one row.
SELECT s.name, s.role, s.added_at, s.added_by, b.chat_kind, b.group_id, b.answers, b.rest, b.session,
    b.added_at AS bound_at, b.added_by AS bound_by, r.refused_at,
    EXISTS (SELECT 1 FROM pairing_codes AS c WHERE c.expires_at > :now) AS pairing_pending
FROM (SELECT 1) LEFT JOIN persons AS s ON s.person = :person LEFT JOIN bindings AS b ON b.chat = :chat
LEFT JOIN refusals AS r ON r.person = :person;

-- name: people
-- All known persons.
SELECT * FROM persons ORDER BY added_at, person;

-- name: person_by_key
-- One known person.
SELECT * FROM persons WHERE person = :person;

-- name: save_person
-- A person is added, or gets another name or role.
INSERT INTO persons (person, name, role, added_at, added_by) VALUES (:person, :name, :role, :added_at, :added_by)
ON CONFLICT (person) DO UPDATE SET name = excluded.name, role = excluded.role;

-- name: remove_person
-- A person may not speak any more.
DELETE FROM persons WHERE person = :person;

-- name: note_refusal
-- A person has been told no.
INSERT INTO refusals (person, refused_at) VALUES (:person, :refused_at)
ON CONFLICT (person) DO UPDATE SET refused_at = excluded.refused_at;

-- name: bind
-- A chat is bound to a group, in place of its binding so far.
INSERT INTO bindings (chat, chat_kind, group_id, answers, rest, session, added_at, added_by)
VALUES (:chat, :chat_kind, :group_id, :answers, :rest, :session, :added_at, :added_by)
ON CONFLICT (chat) DO UPDATE SET chat_kind = excluded.chat_kind, group_id = excluded.group_id,
    answers = excluded.answers, rest = excluded.rest, session = excluded.session, added_at = excluded.added_at,
    added_by = excluded.added_by;

-- name: unbind
-- A chat is not bound any more.
DELETE FROM bindings WHERE chat = :chat;

-- name: binding_of_chat
-- A chat's binding.
SELECT * FROM bindings WHERE chat = :chat;

-- name: all_bindings
-- All bindings.
SELECT * FROM bindings ORDER BY added_at, chat;

-- name: bindings_of_group
-- A group's bindings.
SELECT * FROM bindings WHERE group_id = :group_id ORDER BY added_at, chat;

-- name: drop_expired_codes
-- Pairing codes that nobody used in time.
DELETE FROM pairing_codes WHERE expires_at <= :now;

-- name: drop_oldest_codes
-- More codes than may wait at once: the oldest end.
DELETE FROM pairing_codes WHERE code_hash NOT IN
    (SELECT code_hash FROM pairing_codes ORDER BY created_at DESC, code_hash LIMIT :keep);

-- name: insert_code
-- A pairing code, hashed.
INSERT INTO pairing_codes (code_hash, group_id, added_by, created_at, expires_at)
VALUES (:code_hash, :group_id, :added_by, :created_at, :expires_at);

-- name: code_by_hash
-- A pairing code that has not expired.
SELECT * FROM pairing_codes WHERE code_hash = :code_hash AND expires_at > :now;

-- name: drop_code
-- A pairing code has been used.
DELETE FROM pairing_codes WHERE code_hash = :code_hash;

-- name: drop_old_guesses
-- Wrong codes that no lock-out counts any more.
DELETE FROM pairing_guesses WHERE guessed_at < :before;

-- name: count_guesses
-- Wrong codes of late: from one person, and in all.
SELECT coalesce(sum(person = :person), 0) AS by_person, count(*) AS in_all FROM pairing_guesses;

-- name: insert_guess
-- A wrong code.
INSERT INTO pairing_guesses (person, guessed_at) VALUES (:person, :guessed_at);

-- ---------------------------------------------------------------- flags, counters, overview

-- name: flag
-- One flag.
SELECT value FROM flags WHERE name = :name;

-- name: set_flag
-- A flag is set or lifted.
INSERT INTO flags (name, value, set_by, set_at) VALUES (:name, :value, :set_by, :set_at)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: add_model_calls
-- More model calls of a group on a day.
INSERT INTO model_calls (day, group_id, calls) VALUES (:day, :group_id, :calls)
ON CONFLICT (day, group_id) DO UPDATE SET calls = calls + excluded.calls;

-- name: model_calls_of_day
-- A day's model calls by group.
SELECT group_id, calls FROM model_calls WHERE day = :day ORDER BY group_id;

-- name: status
-- The counts that people look at; each is answered from a small partial index.
SELECT
    (SELECT count(*) FROM messages WHERE state = 'queued') AS queued,
    (SELECT count(*) FROM messages WHERE state = 'claimed') AS claimed,
    (SELECT count(*) FROM tasks WHERE state = 'running') AS running_tasks,
    (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')) AS outbox_waiting,
    (SELECT count(*) FROM outbox WHERE state = 'dead') AS outbox_dead,
    (SELECT count(*) FROM raw_updates WHERE state = 'dead') AS dead_letters,
    (SELECT received_at FROM messages WHERE state = 'queued' ORDER BY seq LIMIT 1) AS oldest_queued_at,
    (SELECT value FROM flags WHERE name = 'frozen') AS frozen;
