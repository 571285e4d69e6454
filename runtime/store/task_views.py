"""What a task's beginning and its end need, gathered in one question each: every hop to the reader costs the person.

Each function is one job of the reader.
"""

from __future__ import annotations

from collections.abc import Collection

from protocol.ids import PersonKey, TaskId
from runtime.store.database import Transaction
from runtime.store.people_rows import people_with
from runtime.store.records import TaskBeginning, TaskEnding, TaskRow
from runtime.store.task_rows import attempts_of, messages_of, steps_of, task, transcript_of


def beginning_of(transaction: Transaction, row: TaskRow, people: Collection[PersonKey]) -> TaskBeginning:
    return TaskBeginning(
        transcript=transcript_of(transaction, row.session_id) if row.session_id else (),
        people=people_with(transaction, people, row.group_id),
    )


def ending_of(transaction: Transaction, task_id: TaskId) -> TaskEnding:
    row = task(transaction, task_id)
    return TaskEnding(
        steps=steps_of(transaction, task_id),
        spec=row.spec if row else None,
        attempts=attempts_of(transaction, task_id),
        messages=messages_of(transaction, task_id),
    )
