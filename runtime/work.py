"""Tasks on their way: being claimed, then running. What is asked of one before it runs is done when it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable

from protocol.ids import ChatKey, TaskId
from runtime.chat_key import moved_key
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

    @property
    def is_stopped(self) -> bool:
        return self._stop is not None or self._is_interrupted

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


class Works:
    """All that are on their way."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._ended = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._works)

    @property
    def are_up(self) -> bool:
        """Whether the dispatcher runs; what is begun after is taken up by the next start."""
        return self._tasks is not None

    @property
    def starting(self) -> int:
        """How many have not taken their container's memory yet."""
        return sum(work.run is None or not work.run.has_container for work in self._works)

    def open(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    def close(self) -> None:
        self._tasks = None

    def spawn(self, doing: Coroutine[object, object, None]) -> None:
        """Do something beside; nothing is begun when the dispatcher goes."""
        if self._tasks is None:
            doing.close()
        else:
            self._tasks.create_task(doing)

    def add(self, work: Work) -> None:
        self._works.append(work)

    def remove(self, work: Work) -> None:
        self._works.remove(work)
        self._ended.set()

    def all(self) -> list[Work]:
        return list(self._works)

    def of_task(self, task_id: TaskId) -> list[Work]:
        return [work for work in self._works if work.task_id == task_id]

    def of_chat(self, chat: ChatKey) -> list[Work]:
        return [work for work in self._works if work.chat == chat]

    def chat_moved(self, former: ChatKey, chat: ChatKey) -> None:
        for work in self._works:
            work.chat = moved_key(work.chat, former, chat) if work.chat is not None else None

    def in_lane(self, lane: Lane) -> list[Work]:
        return [work for work in self._works if work.lane == lane]

    def stop(self, works: Iterable[Work], reason: str, *, tell: bool) -> tuple[TaskId, ...]:
        """Have tasks stopped; it is on its way on return, and no process is left 2 s later."""
        found = list(works)
        for work in found:
            self.spawn(work.stop(reason, tell=tell))
        return tuple(work.run.task_id for work in found if work.run is not None)

    def tell_when_settled(
        self, works: Iterable[Work], tell: Callable[[TaskRun], Coroutine[object, object, None]]
    ) -> None:
        """Have something said to each task, as soon as it runs."""
        for work in works:
            self.spawn(_when_settled(work, tell))

    async def idle(self) -> None:
        """Return when there is none."""
        while self._works:
            self._ended.clear()
            await self._ended.wait()


async def _when_settled(work: Work, tell: Callable[[TaskRun], Coroutine[object, object, None]]) -> None:
    await work.settled.wait()
    if work.run is not None:
        await tell(work.run)
