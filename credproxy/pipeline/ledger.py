"""What each task has used, against what its lease allows. Pure: the audit keeps the sums over restarts."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import TaskId
from protocol.task import Limits, Usage


@dataclass(slots=True)
class TaskUse:
    """Running sums of one task, over all its attempts."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    is_cost_known: bool = True
    """False once a call's price was not known."""

    def add(self, input_tokens: int, output_tokens: int, cost_usd: float | None) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.cost_usd += cost_usd or 0.0
        self.is_cost_known = self.is_cost_known and cost_usd is not None

    def usage(self) -> Usage:
        return Usage(
            model_calls=self.model_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd if self.is_cost_known else None,
        )


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
