"""Tells the rooms of the host that a task has ended, once its end is on disk.

What ended while nobody listened (a restart) a room finds by its own rows: this is the bell, not the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from runtime.store.records import TaskRow

log = logging.getLogger(__name__)


class TaskEnds:
    """One for the whole host."""

    def __init__(self) -> None:
        self._calls: list[Callable[[TaskRow], None]] = []

    def subscribe(self, call: Callable[[TaskRow], None]) -> None:
        """Have `call` called with each task that ends, any task, with its result. It returns at once."""
        self._calls.append(call)

    def tell(self, row: TaskRow) -> None:
        """Say that a task has ended."""
        for call in self._calls:
            try:
                call(row)
            except Exception:  # a room's bug is not the task's, nor another room's
                log.exception(
                    "a room failed at a task's end", extra={"action": "task_end_broke", "task_id": row.task_id}
                )
