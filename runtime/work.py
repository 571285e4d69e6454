"""A task on its way: being claimed, then running. What is asked of it before it runs is done when it does."""

from __future__ import annotations

import asyncio

from protocol.ids import ChatKey, TaskId
from runtime.session_queue import Lane
from runtime.task_run import TaskRun


class Work:
    """One task, for its dispatcher."""

    def __init__(self, chat: ChatKey | None, *, lane: Lane | None = None, task_id: TaskId | None = None) -> None:
        """`task_id`: where it is known before it runs."""
        self.chat = chat
        self.lane = lane
        self.run: TaskRun | None = None
        self.settled = asyncio.Event()
        """Set when it runs, or turned out to be none."""
        self._task_id = task_id
        self._stop: tuple[str, bool] | None = None
        self._is_interrupted = False

    @property
    def task_id(self) -> TaskId | None:
        return self.run.task_id if self.run is not None else self._task_id

    async def interrupt(self) -> None:
        """End its container, not the task."""
        self._is_interrupted = True
        if self.run is not None:
            await self.run.interrupt()

    async def stop(self, reason: str, *, tell: bool) -> None:
        self._stop = (reason, tell)
        if self.run is not None:
            await self.run.stop(reason, tell=tell)

    async def begin(self, run: TaskRun) -> None:
        """Run the task that came of the claim; stopped before it began, it ends at once."""
        self.run = run
        self.settled.set()
        if self._stop is not None:
            await run.stop(self._stop[0], tell=self._stop[1])
        if self._is_interrupted:
            await run.interrupt()
        await run.run()
