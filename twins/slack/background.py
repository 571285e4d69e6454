"""What the twin does by itself while it serves: deliveries that wait, messages that come later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from twins.clock import Clock


class Background:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Work until the block is left, then give up what is under way; what the block raises is raised as it is."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    yield
                finally:
                    for task in list(self._running):
                        task.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do this beside everything else."""
        assert self._tasks is not None, "the twin serves"
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def later(self, twin_s: float, act: Callable[[], None]) -> None:
        """Do this when so much of the twin's time has passed."""
        self.spawn(self._wait_and_act(twin_s, act))

    async def _wait_and_act(self, twin_s: float, act: Callable[[], None]) -> None:
        await self._clock.sleep(twin_s)
        act()
