"""Tries a failed task again: what it was to answer waits once more, and becomes a new task when its turn comes."""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import TaskId
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store.retry_rows import NotRetried, Retried, retry
from runtime.store.store import Store


async def retry_task(store: Store, wake: Callable[[], None], task_id: TaskId, by: str) -> Retried:
    """Have a new task made of the same messages; return what waits again. OperationRefused
    where there is nothing to try. `wake`: has the dispatcher look at the store."""
    retried = await insist(lambda: store.write(retry, task_id, by), "a second try")
    if isinstance(retried, NotRetried):
        raise _refusal(task_id, retried)
    wake()
    return retried


def _refusal(task_id: TaskId, refused: NotRetried) -> OperationRefused:
    match refused.why:
        case "unknown_task":
            return OperationRefused(refused.why, f"there is no task {task_id[:60]!r}", "nightyard status")
        case "not_failed":
            text = f"{task_id} has not failed: it is {refused.state}"
            return OperationRefused(refused.why, text, "nightyard trace " + task_id)
        case "nothing_left":
            text = f"what {task_id} was to answer waits already, or has been answered since"
            return OperationRefused(refused.why, text, "nightyard trace " + task_id)
        case "not_ours":
            text = f"{task_id} was handed in by {refused.state}, which hands it in again if it wants to"
            return OperationRefused(refused.why, text, "nightyard trace " + task_id)
