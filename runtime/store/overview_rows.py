"""Rows looked at across tables: flags, counters, counts, and all that happened to one message or task.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import json

from protocol.ids import TaskId
from runtime.journal import JournalKind
from runtime.store import inbound_rows, outbox_rows, task_rows
from runtime.store.database import Transaction
from runtime.store.journal_rows import append, journal_of
from runtime.store.records import OutboxRow, StepSummary, StoredMessage, StoreStatus, Trace

FROZEN = "frozen"


def is_frozen(transaction: Transaction) -> bool:
    row = transaction.one("flag", name=FROZEN)
    return bool(row and row["value"])


def set_frozen(transaction: Transaction, frozen: bool, by: str) -> None:
    if is_frozen(transaction) != frozen:
        transaction.run("set_flag", name=FROZEN, value=int(frozen), set_by=by, set_at=transaction.now_text())
        append(transaction, JournalKind.FROZEN if frozen else JournalKind.UNFROZEN, by)


def needed_files(transaction: Transaction) -> frozenset[str]:
    """Names in groups' inboxes and outboxes that a waiting message, a running task or an open delivery needs."""
    names = set()
    for row in transaction.all("messages_with_files"):
        # A long text of a message is a file of this name, once its task is built.
        names.add(f"{row['message_id']}.txt")
        names.update(file["stored_name"] for file in json.loads(row["body"])["inbound"].get("attachments") or ())
    # And so is a submission's.
    names |= {f"{row['submission_id']}.txt" for row in transaction.all("open_submissions")}
    for row in transaction.all("open_outbox"):
        message = json.loads(row["body"])
        paths = [message.get("file_path"), *(file["path"] for file in message.get("more_files") or ())]
        names.update(path.rpartition("/")[2] for path in paths if path)
    return frozenset(names)


def trace(transaction: Transaction, reference: str) -> Trace | None:
    row = transaction.one("message_by_id", message_id=reference) or transaction.one(
        "message_by_platform_id", platform_message_id=reference
    )
    if row is None:
        return _trace_task(transaction, TaskId(reference), ())
    message = inbound_rows.read_message(row)
    if message.task_id is not None:
        return _trace_task(transaction, message.task_id, (message,))
    return Trace(
        messages=(message,),
        task=None,
        attempts=(),
        steps=(),
        outbox=_notices_for(transaction, message),
        journal=journal_of(transaction, (message.message_id,), None),
    )


def _trace_task(transaction: Transaction, task_id: TaskId, asked: tuple[StoredMessage, ...]) -> Trace | None:
    task = task_rows.task(transaction, task_id)
    if task is None:
        return None
    messages = task_rows.messages_of(transaction, task_id) or asked
    return Trace(
        messages=messages,
        task=task,
        attempts=task_rows.attempts_of(transaction, task_id),
        steps=_summaries(transaction, task_id),
        outbox=(
            *(notice for message in messages for notice in _notices_for(transaction, message)),
            *outbox_rows.outbox_of(transaction, task_id),
        ),
        journal=journal_of(transaction, tuple(message.message_id for message in messages), task_id),
    )


def _notices_for(transaction: Transaction, message: StoredMessage) -> tuple[OutboxRow, ...]:
    rows = transaction.all("outbox_of_message", message_id=message.message_id)
    return tuple(outbox_rows.read_outbox(row) for row in rows)


def _summaries(transaction: Transaction, task_id: TaskId) -> tuple[StepSummary, ...]:
    return tuple(
        StepSummary(index=row["step_index"], kind=row["kind"], stored_at=row["stored_at"], label=row["label"])
        for row in transaction.all("step_summaries", task_id=task_id)
    )


def recent_messages(transaction: Transaction, limit: int) -> tuple[StoredMessage, ...]:
    return tuple(inbound_rows.read_message(row) for row in transaction.all("recent_messages", limit=limit))


def status(transaction: Transaction) -> StoreStatus:
    row = transaction.one("status")
    assert row is not None  # the query always gives one
    return StoreStatus(
        queued=row["queued"],
        claimed=row["claimed"],
        running_tasks=row["running_tasks"],
        outbox_waiting=row["outbox_waiting"],
        outbox_dead=row["outbox_dead"],
        dead_letters=row["dead_letters"],
        approvals=row["approvals"],
        oldest_queued_at=row["oldest_queued_at"],
        frozen=bool(row["frozen"]),
        file_bytes=_file_bytes(transaction),
    )


def _file_bytes(transaction: Transaction) -> int:
    log = transaction.path.with_name(f"{transaction.path.name}-wal")
    return sum(path.stat().st_size for path in (transaction.path, log) if path.exists())
