"""Rows of what a failed task was to answer, made to wait once more.

Each function is one job: it runs inside a transaction of the writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.ids import TaskId
from protocol.task import TaskStatus
from runtime.journal import JournalKind
from runtime.store import archive_rows, task_rows
from runtime.store.database import Transaction
from runtime.store.journal_rows import append

RETRYABLE = (TaskStatus.FAILED, TaskStatus.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What waits again."""

    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRetried:
    why: Literal["unknown_task", "not_failed", "nothing_left", "not_ours"]
    state: str = ""


def retry(transaction: Transaction, task_id: TaskId, by: str) -> Retried | NotRetried:
    """Have what a task that failed or was stopped was to answer wait again, as it came; the task stays as it ended.
    What was handed in is its submitter's to hand in again."""
    row = task_rows.task(transaction, task_id)
    if row is None:
        return NotRetried(why="unknown_task")
    if row.state not in RETRYABLE:
        return NotRetried(why="not_failed", state=row.state)
    if row.submission_id is not None:
        return NotRetried(why="not_ours", state=row.submitter)
    retried = _retry_messages(transaction, task_id)
    if isinstance(retried, Retried):
        append(transaction, JournalKind.TASK_RETRIED, by, task=task_id)
    return retried


def _retry_messages(transaction: Transaction, task_id: TaskId) -> Retried | NotRetried:
    requeued = transaction.all("requeue_messages", task_id=task_id)
    if not requeued:
        return NotRetried(why="nothing_left")
    transaction.run("release_context", task_id=task_id)
    archive_rows.unpack_of_task(transaction, task_id)
    for row in requeued:
        append(transaction, JournalKind.MESSAGE_QUEUED, message=row["message_id"], task=task_id)
    return Retried(messages=len(requeued))
