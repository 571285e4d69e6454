"""What each task has used, against what its lease allows. Pure: the audit keeps the sums over restarts."""

from __future__ import annotations

from credproxy.audit.task_use import TaskUse
from protocol.ids import TaskId
from protocol.task import Limits


class Ledger:
    """The sums of the tasks that have a lease now."""

    def __init__(self) -> None:
        self._tasks: dict[TaskId, TaskUse] = {}

    def open(self, task_id: TaskId, stored: TaskUse) -> None:
        """Take up a task with what the audit knows of it; a task that is open already goes on."""
        self._tasks.setdefault(task_id, stored)

    def find(self, task_id: TaskId) -> TaskUse | None:
        return self._tasks.get(task_id)

    def close(self, task_id: TaskId) -> None:
        self._tasks.pop(task_id, None)


def find_limit(use: TaskUse, limits: Limits) -> tuple[str, str] | None:
    """Return code and sentence of a limit that is reached, None if another model call may begin."""
    if use.model_calls >= limits.model_calls:
        return "limit_calls", f"This task has used up its {limits.model_calls} model calls."
    if use.input_tokens >= limits.input_tokens:
        return "limit_input_tokens", f"This task has used up its {limits.input_tokens} input tokens."
    if use.output_tokens >= limits.output_tokens:
        return "limit_output_tokens", f"This task has used up its {limits.output_tokens} output tokens."
    if limits.cost_usd is not None and use.cost_usd >= limits.cost_usd:
        return "limit_cost", f"This task has used up its {limits.cost_usd:.2f} US dollars."
    return None
