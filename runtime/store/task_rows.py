"""Rows of what is done: tasks, their attempts and steps, and the transcripts they add to.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from protocol.ids import (
    AttemptId,
    ChatKey,
    DoorId,
    GroupId,
    MessageId,
    PlatformMessageId,
    SessionId,
    SubmissionId,
    TaskId,
    mint,
)
from protocol.task import Task, TaskResult
from protocol.transcript import Entry, Step
from runtime.journal import JournalKind
from runtime.store import outbox_rows
from runtime.store.database import Transaction
from runtime.store.errors import AttemptOver, ClaimRefused, StepOutOfOrder, UnknownRow
from runtime.store.inbound_rows import message, read_message
from runtime.store.journal_rows import append
from runtime.store.payload_text import from_text, from_texts, to_text
from runtime.store.records import (
    AttemptRow,
    Claim,
    MessageState,
    NewOutbound,
    OwnSummary,
    StartOffer,
    StoredMessage,
    TaskEnding,
    TaskRow,
)

MAX_LABEL_CHARS = 100


def claim_messages(transaction: Transaction, message_ids: tuple[MessageId, ...]) -> Claim:
    return make_task(
        transaction, _claimable(transaction, message_ids), TaskId(mint("task")), AttemptId(mint("attempt"))
    )


def make_task(
    transaction: Transaction, messages: Sequence[StoredMessage], task_id: TaskId, attempt_id: AttemptId
) -> Claim:
    """Make a task of queued messages of one session that is not busy. Nothing is read again that is known here."""
    claim = draft_claim(transaction, messages, task_id, attempt_id)
    insert_claim(transaction, claim)
    return claim


def draft_claim(
    transaction: Transaction, messages: Sequence[StoredMessage], task_id: TaskId, attempt_id: AttemptId
) -> Claim:
    """Return the task that `make_task` makes of messages, with its first attempt, without storing any of it."""
    newest, now = messages[-1], transaction.now_text()
    if newest.group_id is None:
        raise ClaimRefused("they are for no group")
    context = transaction.all("waiting_context", session_id=newest.session_id, before=newest.seq)
    return Claim(
        task=TaskRow(
            task_id=task_id,
            group_id=newest.group_id,
            session_id=newest.session_id,
            submitter=f"person:{newest.inbound.person}",
            payer=newest.inbound.person,
            chat=newest.inbound.chat,
            reply_to=newest.inbound.platform_message_id,
            state="running",
            created_at=now,
        ),
        attempt=AttemptRow(attempt_id=attempt_id, task_id=task_id, number=1, state="starting", started_at=now),
        messages=tuple(replace(each, state=MessageState.CLAIMED, task_id=task_id) for each in messages),
        context=tuple(replace(read_message(row), task_id=task_id) for row in context),
    )


def insert_claim(transaction: Transaction, claim: Claim) -> None:
    """Store a drafted claim of messages that are stored."""
    row = insert_task(transaction, claim.task)
    for claimed in claim.messages:
        transaction.run("claim_message", message_id=claimed.message_id, task_id=row.task_id)
        append(transaction, JournalKind.MESSAGE_CLAIMED, message=claimed.message_id, task=row.task_id)
    take_context(transaction, claim)
    insert_attempt(transaction, claim.attempt)


def take_context(transaction: Transaction, claim: Claim) -> None:
    """Have the context that a claim takes along belong to its task."""
    if claim.context:
        row, before = claim.task, claim.messages[-1].seq
        transaction.run("show_context", task_id=row.task_id, session_id=row.session_id, before=before)


def insert_task(transaction: Transaction, row: TaskRow) -> TaskRow:
    """Store a task that begins, and return it."""
    put_task(transaction, row)
    note_task(transaction, row)
    return row


def put_task(transaction: Transaction, row: TaskRow, spec: Task | None = None) -> None:
    """Store a task's row; `note_task` follows. `spec`: as it is handed over, where that is known."""
    transaction.run(
        "insert_task",
        task_id=row.task_id,
        group_id=row.group_id,
        session_id=row.session_id,
        submitter=row.submitter,
        payer=row.payer,
        submission_id=row.submission_id,
        chat=row.chat,
        reply_to=row.reply_to,
        state=row.state,
        spec_id=_insert_spec(transaction, spec) if spec is not None else None,
        created_at=row.created_at,
    )


def note_task(transaction: Transaction, row: TaskRow) -> None:
    """Say in the journal that a task has begun."""
    append(
        transaction,
        JournalKind.TASK_STARTED,
        task=row.task_id,
        group=row.group_id,
        session=row.session_id,
        submission=row.submission_id,
    )


def _claimable(transaction: Transaction, message_ids: tuple[MessageId, ...]) -> list[StoredMessage]:
    found = [message(transaction, message_id) for message_id in dict.fromkeys(message_ids)]
    messages = sorted((each for each in found if each is not None), key=lambda each: each.seq)
    if not messages or len(messages) != len(found):
        raise ClaimRefused("there are none, or some are not in the store")
    if any(each.state is not MessageState.QUEUED for each in messages):
        raise ClaimRefused("some of them are not queued any more")
    if len({(each.session_id, each.inbound.chat) for each in messages}) > 1:
        raise ClaimRefused("they are of several sessions or chats")
    busy = transaction.one("running_task_of_session", session_id=messages[0].session_id)
    if busy is not None:
        raise ClaimRefused(f"their session is busy with {busy['task_id']}")
    return messages


def begin_attempt(transaction: Transaction, task_id: TaskId) -> AttemptRow:
    if _head(transaction, task_id)["state"] != "running":
        raise UnknownRow("running task", task_id)
    before = attempts_of(transaction, task_id)
    if before and before[-1].state != "ended":
        attempt_ended(transaction, before[-1].attempt_id, "superseded")
    return start_attempt(transaction, task_id, AttemptId(mint("attempt")), number=len(before) + 1)


def start_attempt(transaction: Transaction, task_id: TaskId, attempt_id: AttemptId, number: int) -> AttemptRow:
    now = transaction.now_text()
    row = AttemptRow(attempt_id=attempt_id, task_id=task_id, number=number, state="starting", started_at=now)
    insert_attempt(transaction, row)
    return row


def insert_attempt(transaction: Transaction, row: AttemptRow, place: StartOffer | None = None) -> None:
    """Store an attempt that begins; `place`: where it runs already."""
    transaction.run(
        "insert_attempt",
        attempt_id=row.attempt_id,
        task_id=row.task_id,
        number=row.number,
        state=row.state if place is None else "running",
        door_id=place.door_id if place else None,
        container_id=place.container_id if place else "",
        nonce_hash=place.nonce_hash if place else "",
        started_at=row.started_at,
    )
    append(transaction, JournalKind.ATTEMPT_STARTED, attempt=row.attempt_id, task=row.task_id)
    if place is not None:
        _note_running(transaction, row, place.door_id)


def attempt_running(
    transaction: Transaction,
    attempt_id: AttemptId,
    *,
    door_id: DoorId,
    container_id: str,
    container_name: str,
    nonce_hash: str,
    spec: Task | None,
) -> None:
    attempt = _known_attempt(transaction, attempt_id)
    if attempt.state == "ended":
        raise AttemptOver(attempt_id, attempt.end_reason)
    place = {"door_id": door_id, "container_id": container_id, "container_name": container_name}
    run_attempt(transaction, attempt, nonce_hash=nonce_hash, **place)
    if spec is not None and _head(transaction, attempt.task_id)["spec_id"] is None:
        transaction.run("set_spec", task_id=spec.task_id, spec_id=_insert_spec(transaction, spec))


def run_attempt(
    transaction: Transaction,
    attempt: AttemptRow,
    *,
    door_id: str,
    container_id: str,
    container_name: str = "",
    nonce_hash: str,
) -> None:
    """Record where an attempt that has not ended runs."""
    transaction.run(
        "run_attempt",
        attempt_id=attempt.attempt_id,
        door_id=door_id,
        container_id=container_id,
        container_name=container_name,
        nonce_hash=nonce_hash,
    )
    _note_running(transaction, attempt, door_id)


def _note_running(transaction: Transaction, attempt: AttemptRow, door_id: str) -> None:
    append(transaction, JournalKind.ATTEMPT_RUNNING, attempt=attempt.attempt_id, task=attempt.task_id, door=door_id)


def _insert_spec(transaction: Transaction, spec: Task) -> int:
    """Keep a task as it is handed over; return the number of its text."""
    return transaction.insert("insert_payload", subject=spec.group_id, body=to_text(spec))


def attempt_ended(transaction: Transaction, attempt_id: AttemptId, reason: str) -> None:
    _end_attempt(transaction, _known_attempt(transaction, attempt_id), reason)


def _end_attempt(transaction: Transaction, attempt: AttemptRow, reason: str) -> None:
    ids = {"attempt": attempt.attempt_id, "task": attempt.task_id}
    if transaction.run("end_attempt", attempt_id=attempt.attempt_id, reason=reason, ended_at=transaction.now_text()):
        append(transaction, JournalKind.ATTEMPT_ENDED, reason, **ids)


def store_step(transaction: Transaction, attempt_id: AttemptId, seq: int, step: Step) -> int:
    attempt = _known_attempt(transaction, attempt_id)
    if seq <= attempt.stored_seq:
        return attempt.stored_seq
    if attempt.state == "ended":
        raise AttemptOver(attempt_id, attempt.end_reason)
    expected = next_step_index(transaction, attempt.task_id)
    if step.index != expected:
        raise StepOutOfOrder(attempt.task_id, step.index, expected)
    insert_step(transaction, attempt, step)
    transaction.run("advance_attempt", attempt_id=attempt_id, seq=seq)
    return seq


def next_step_index(transaction: Transaction, task_id: TaskId) -> int:
    """Return the index that the next step of a task must have."""
    row = transaction.one("next_step_index", task_id=task_id)
    return int(row["next_index"]) if row is not None else 0


def insert_step(transaction: Transaction, attempt: AttemptRow, step: Step) -> None:
    """Add a step whose index is the task's next. Messages that the task was told of are its own from here on."""
    head = _head(transaction, attempt.task_id)
    payload = to_text(step)
    transaction.run(
        "insert_step",
        task_id=attempt.task_id,
        step_index=step.index,
        attempt_id=attempt.attempt_id,
        kind=step.kind,
        label=step_label(step),
        payload_id=transaction.insert("insert_payload", subject=head["group_id"], body=payload),
        stored_at=transaction.now_text(),
    )
    append(transaction, JournalKind.STEP_STORED, payload, attempt=attempt.attempt_id, task=attempt.task_id)
    for message_id in step.message_ids:
        told = {"message_id": message_id, "task_id": attempt.task_id, "session_id": head["session_id"]}
        if transaction.run("claim_told_message", **told):
            append(transaction, JournalKind.MESSAGE_CLAIMED, message=message_id, task=attempt.task_id)


def step_label(step: Step) -> str:
    """Return what a step is in a few words: the tool's name, or what the model's turn brought."""
    if step.call is not None:
        return step.call.name[:MAX_LABEL_CHARS]
    if step.output is not None:
        return f"{'error' if step.output.is_error else 'output'}, {len(step.output.text)} characters"
    if step.kind == "steered":
        return f"{len(step.message_ids)} messages"
    if step.entry is not None:
        return f"{len(step.entry.text)} characters, {len(step.entry.calls)} tool calls"
    return ""


def steps_of(transaction: Transaction, task_id: TaskId) -> tuple[Step, ...]:
    return tuple(from_text(Step, row["body"]) for row in transaction.all("steps_of_task", task_id=task_id))


def transcript_of(transaction: Transaction, session_id: SessionId) -> tuple[Entry, ...]:
    rows = transaction.all("transcript_of_session", session_id=session_id)
    return from_texts(Entry, (row["body"] for row in rows))


def task(transaction: Transaction, task_id: TaskId) -> TaskRow | None:
    row = transaction.one("task_by_id", task_id=task_id)
    return read_task(row) if row else None


def messages_of(transaction: Transaction, task_id: TaskId) -> tuple[StoredMessage, ...]:
    return tuple(read_message(row) for row in transaction.all("messages_of_task", task_id=task_id))


def attempts_of(transaction: Transaction, task_id: TaskId) -> tuple[AttemptRow, ...]:
    return tuple(_attempt(row) for row in transaction.all("attempts_of_task", task_id=task_id))


def running_tasks(transaction: Transaction) -> tuple[TaskRow, ...]:
    return tuple(read_task(row) for row in transaction.all("running_tasks"))


def open_attempts(transaction: Transaction) -> tuple[AttemptRow, ...]:
    return tuple(_attempt(row) for row in transaction.all("open_attempts"))


def finish_task(
    transaction: Transaction,
    task_id: TaskId,
    result: TaskResult,
    *,
    attempt_id: AttemptId | None,
    seq: int | None,
    outbound: tuple[NewOutbound, ...],
    entries: tuple[Entry, ...],
    summary: OwnSummary | None = None,
    message_state: MessageState,
    end_reason: str,
    known: TaskEnding | None = None,
) -> bool:
    """`known`: what this transaction has read of the task; it is not read again."""
    head = _head(transaction, task_id)
    if head["state"] not in ("running", "suspended"):
        return False
    group_id = GroupId(head["group_id"])
    _end_task(transaction, task_id, group_id, result)
    for message_id in _claimed_messages(transaction, task_id, known):
        _end_message(transaction, message_id, task_id, message_state, end_reason or result.status)
    if head["session_id"] is not None:
        first = _add_entries(transaction, head["session_id"], task_id, group_id, entries)
        if summary is not None:
            _add_summary(transaction, head["session_id"], task_id, group_id, summary, first)
    for new in outbound:
        outbox_rows.put_outbound(transaction, f"{task_id}/{new.step}", new.message, task_id, group_id)
    if head["submission_id"] is not None:
        from runtime.store.result_rows import review_result  # late: few results are reviewed

        review_result(transaction, task_id, result)
    if attempt_id is not None and seq is not None:
        transaction.run("advance_attempt", attempt_id=attempt_id, seq=seq)
    open_attempt = _open_attempt(transaction, task_id, known)
    if open_attempt is not None:
        _end_attempt(transaction, open_attempt, "finished")
    return True


def _claimed_messages(transaction: Transaction, task_id: TaskId, known: TaskEnding | None) -> tuple[MessageId, ...]:
    if known is not None:
        return tuple(each.message_id for each in known.messages if each.state is MessageState.CLAIMED)
    return tuple(MessageId(row["message_id"]) for row in transaction.all("claimed_messages", task_id=task_id))


def _open_attempt(transaction: Transaction, task_id: TaskId, known: TaskEnding | None) -> AttemptRow | None:
    if known is not None:
        return next((each for each in known.attempts if each.state != "ended"), None)
    row = transaction.one("open_attempt_of_task", task_id=task_id)
    return _attempt(row) if row is not None else None


def _end_task(transaction: Transaction, task_id: TaskId, group_id: GroupId, result: TaskResult) -> None:
    payload = to_text(result)
    transaction.run(
        "end_task",
        task_id=task_id,
        state=result.status,
        code=result.code,
        result_id=transaction.insert("insert_payload", subject=group_id, body=payload),
        ended_at=transaction.now_text(),
    )
    append(transaction, JournalKind.TASK_ENDED, payload, task=task_id, group=group_id)


def _end_message(
    transaction: Transaction, message_id: MessageId, task_id: TaskId, state: MessageState, reason: str
) -> None:
    now = transaction.now_text()
    transaction.run("end_message", message_id=message_id, state=state, reason=reason, ended_at=now)
    append(transaction, JournalKind(f"message_{state}"), reason, message=message_id, task=task_id)


def _add_entries(
    transaction: Transaction, session_id: SessionId, task_id: TaskId, group_id: GroupId, entries: tuple[Entry, ...]
) -> int:
    """Add turns to a conversation; return the place of the first."""
    found = transaction.one("next_position", session_id=session_id)
    position = found["next_position"] if found else 0
    for offset, entry in enumerate(entries):
        transaction.run(
            "insert_entry",
            session_id=session_id,
            position=position + offset,
            task_id=task_id,
            role=entry.role,
            payload_id=transaction.insert("insert_payload", subject=group_id, body=to_text(entry)),
        )
    return position


def _add_summary(
    transaction: Transaction,
    session_id: SessionId,
    task_id: TaskId,
    group_id: GroupId,
    summary: OwnSummary,
    first: int,
) -> None:
    """Have a summary of the task's own stand for all turns before its place."""
    text = to_text(summary.entry)
    transaction.run(
        "insert_own_summary",
        summary_id=f"task:{task_id}",
        session_id=session_id,
        task_id=task_id,
        from_position=max(0, first + summary.from_offset),
        payload_id=transaction.insert("insert_payload", subject=group_id, body=text),
        at=transaction.now_text(),
    )
    append(transaction, JournalKind.SESSION_COMPACTED, text, session=session_id, group=group_id)


def _head(transaction: Transaction, task_id: TaskId) -> sqlite3.Row:
    row = transaction.one("task_head", task_id=task_id)
    if row is None:
        raise UnknownRow("task", task_id)
    return row


def _known_attempt(transaction: Transaction, attempt_id: AttemptId) -> AttemptRow:
    row = transaction.one("attempt_by_id", attempt_id=attempt_id)
    if row is None:
        raise UnknownRow("attempt", attempt_id)
    return _attempt(row)


def read_task(row: sqlite3.Row) -> TaskRow:
    """Make the record of a task's row that is joined with its texts."""
    return TaskRow(
        task_id=TaskId(row["task_id"]),
        group_id=GroupId(row["group_id"]),
        session_id=SessionId(row["session_id"]) if row["session_id"] is not None else None,
        submitter=row["submitter"],
        chat=ChatKey(row["chat"]) if row["chat"] is not None else None,
        reply_to=PlatformMessageId(row["reply_to"]) if row["reply_to"] is not None else None,
        state=row["state"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        spec=from_text(Task, row["spec"]) if row["spec"] is not None else None,
        result=from_text(TaskResult, row["result"]) if row["result"] is not None else None,
        submission_id=SubmissionId(row["submission_id"]) if row["submission_id"] is not None else None,
        payer=row["payer"],
    )


def _attempt(row: sqlite3.Row) -> AttemptRow:
    return AttemptRow(
        attempt_id=AttemptId(row["attempt_id"]),
        task_id=TaskId(row["task_id"]),
        number=row["number"],
        state=row["state"],
        started_at=row["started_at"],
        door_id=DoorId(row["door_id"]) if row["door_id"] is not None else None,
        container_id=row["container_id"],
        container_name=row["container_name"],
        nonce_hash=row["nonce_hash"],
        stored_seq=row["stored_seq"],
        ended_at=row["ended_at"],
        end_reason=row["end_reason"],
    )
