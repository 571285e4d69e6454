"""A task's last step stored, the task ended and its answer taken for delivery in one transaction: one wait for the disk
where there would be three.

Each function is one job: it runs inside a transaction of the writer.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import TaskId
from runtime.store.database import Transaction
from runtime.store.outbox_rows import claim_outbox
from runtime.store.records import LastStep, OutboxRow, TaskEnd, TaskEnding
from runtime.store.task_rows import finish_task, store_step
from runtime.store.task_views import ending_of


def end_task(
    transaction: Transaction,
    task_id: TaskId,
    last_step: LastStep | None,
    build: Callable[[TaskEnding], TaskEnd],
    deliveries: int,
) -> tuple[OutboxRow, ...]:
    if last_step is not None:
        store_step(transaction, last_step.attempt_id, last_step.seq, last_step.step)
    ending = ending_of(transaction, task_id)
    end = build(ending)
    finish_task(
        transaction,
        task_id,
        end.result,
        attempt_id=ending.attempts[-1].attempt_id if ending.attempts else None,
        seq=end.seq,
        outbound=end.outbound,
        entries=end.entries,
        summary=end.summary,
        message_state=end.message_state,
        end_reason=end.end_reason,
        known=ending,
    )
    return claim_outbox(transaction, deliveries) if deliveries > 0 else ()
