"""Doors for programs without containers: real store, submissions, registry, desk; the work itself is scripted.

What an agent answers stands in its prompt: `say X` says X in pieces, `fail` fails, `slow` works until it is cancelled,
`json X` answers with a structure; anything else is echoed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.channel import Channel
from protocol.ids import ChannelId, DoorId, GroupId, SubmissionId
from protocol.task import ModelRoute, Task, TaskResult, TaskStatus
from runtime.approvals.approvals import Approvals
from runtime.approvals.policy_book import PolicyBook
from runtime.checked_result import checked_result
from runtime.config import ParsedSettings, Settings
from runtime.group import Group, Groups
from runtime.money.mirror import UsageMirror
from runtime.programs.desk import ProgramDesk
from runtime.programs.register import Programs
from runtime.programs.start import note_start
from runtime.store import submission_rows
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.submissions import Submissions
from runtime.task_ends import TaskEnds
from runtime.task_listeners import TaskListeners
from tests.runtime.judged import judged
from tests.runtime.money.support import Proxy

MAIN, SIDE = GroupId("main"), GroupId("side")


class Around:
    """Two groups, ready."""

    def __init__(self) -> None:
        route = ModelRoute(route="anthropic", api="anthropic", model="claude")
        groups = {
            group: Group(group_id=group, instructions="", model=route, skills=("tidy",)) for group in (MAIN, SIDE)
        }
        self.groups = Groups(ready=groups, suspended={})
        self.settings = ParsedSettings(settings=Settings())

    @property
    def channels(self) -> Mapping[ChannelId, Channel]:
        return {}


class Workshop:
    """Does what is submitted, one thing at a time and in order."""

    def __init__(
        self, store: Store, around: Around, fork: Path, ends: TaskEnds, listeners: TaskListeners, proxy: Proxy
    ) -> None:
        self._store = store
        self._around = around
        self.fork = fork
        self.route = "anthropic"
        """Through which models answer."""
        self.dark: tuple[str, ...] = ()
        """Models that are asked first, and do not answer."""
        self._ends = ends
        self._listeners = listeners
        self._proxy = proxy
        self._queue: asyncio.Queue[StoredSubmission] = asyncio.Queue()
        self._stops: dict[SubmissionId, asyncio.Event] = {}
        self.working = asyncio.Event()
        self.may_work = asyncio.Event()
        self.may_work.set()
        self.cancelled: list[str] = []
        self.was_cancelled = asyncio.Event()

    def submitted(self, submission: StoredSubmission) -> None:
        self._queue.put_nowait(submission)

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        self.cancelled.append(reason)
        self.was_cancelled.set()
        if (stop := self._stops.get(submission.submission_id)) is not None:
            stop.set()
            return True
        row = await self._store.write(submission_rows.cancel, submission.submission_id, reason)
        if row is not None:
            self._ends.tell(row)
        return row is not None

    async def run(self) -> None:
        for each in await self._store.read(submission_rows.waiting_submissions, 1_000):
            self._queue.put_nowait(each)
        while True:
            submission = await self._queue.get()
            await self.may_work.wait()
            stored = await self._store.read(submission_rows.submission, submission.submission_id)
            if stored is not None and stored.state == "queued":
                await self._do(submission)

    async def _do(self, submission: StoredSubmission) -> None:
        claim = await self._store.write(submission_rows.claim, submission.submission_id)
        row, prompt = claim.task, submission.new.prompt
        task = Task(
            task_id=row.task_id,
            group_id=row.group_id,
            submitter=row.submitter,
            session_id=None,
            prompt=prompt,
            result_schema=submission.new.result_schema,
        )
        await self._store.attempt_running(
            claim.attempt.attempt_id, door_id=DoorId("door_1"), container_id="c", spec=task
        )
        await note_start(self._store, self.fork, row, self._around.groups.ready[row.group_id])
        for model in self.dark:
            self._proxy.use(row.task_id, row.group_id, calls=2, tokens=0, model=model, route="anthropic")
        self._proxy.use(row.task_id, row.group_id, calls=1, cost=0.25, tokens=12, model="claude-9", route=self.route)
        stop = self._stops[submission.submission_id] = asyncio.Event()
        self.working.set()
        result = await self._answer(submission, prompt, stop)
        del self._stops[submission.submission_id]
        ended = checked_result(result, submission.new.result_schema)
        await self._store.finish_task(row.task_id, ended, attempt_id=claim.attempt.attempt_id)
        done = await self._store.task(row.task_id)
        assert done is not None
        self._ends.tell(done)

    async def _answer(self, submission: StoredSubmission, prompt: str, stop: asyncio.Event) -> TaskResult:
        word, _, rest = prompt.partition(" ")
        if word == "slow":
            await stop.wait()
            return TaskResult(status=TaskStatus.STOPPED, reason="cancelled")
        if word == "fail":
            return TaskResult(status=TaskStatus.FAILED, code="agent_crashed", reason="It crashed.")
        if word == "json":
            return TaskResult(status=TaskStatus.STRUCTURED, structured=judged(json.loads(rest)))
        if word == "abstain":
            why = "It is not written anywhere."
            given = {"abstain": rest, "why": why, "confidence": 0.5}
            return TaskResult(status=TaskStatus.STRUCTURED, structured=given)
        text = rest if word == "say" else f"echo: {prompt}"
        for piece in text.split(" "):
            self._listeners.tell(submission.submission_id, f"{piece} ")
            await asyncio.sleep(0)
        return TaskResult(status=TaskStatus.REPLY, text=text)


class Yard:
    """What a test may look at."""

    def __init__(self, store: Store, fork: Path) -> None:
        self.store = store
        self.fork = fork
        self.around = Around()
        self.ends = TaskEnds()
        self.listeners = TaskListeners()
        self.proxy = Proxy()
        self.work = Workshop(store, self.around, fork, self.ends, self.listeners, self.proxy)
        self.submissions = Submissions(store, self.around, self.work, self.ends)
        self.programs = Programs(store, lambda: self.around.groups, self._changed)
        self.changes = 0
        self.mirror = UsageMirror(store, self.proxy)
        self.is_stopping = False
        self.desk = ProgramDesk(
            store,
            self.submissions,
            self.programs,
            self.around,
            fork,
            settle=self.mirror.settle,
            is_stopping=lambda: self.is_stopping,
        )

    async def _changed(self) -> None:
        self.changes += 1

    async def begin_reviews(self) -> Approvals:
        """Make the group main a copilot: what programs get of it waits for an owner."""
        groups = {**self.around.groups.ready, MAIN: replace(self.around.groups.ready[MAIN], mode="copilot")}
        self.around.groups = Groups(ready=groups, suspended={})
        await PolicyBook(self.store, lambda: self.around.groups, lambda: "UTC").load()
        return Approvals(self.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group: self.fork)

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so, looking after each change of the store."""
        with self.store.watched() as grown:
            async with asyncio.timeout(10):
                while not await is_so():
                    await grown.wait()
                    grown.clear()


@asynccontextmanager
async def yard(folder: Path) -> AsyncIterator[Yard]:
    """Run the doors of a host in a folder."""
    skill = folder / "fork" / "skills" / "tidy"
    skill.mkdir(parents=True, exist_ok=True)
    (skill / "SKILL.md").write_text("---\ndescription: Tidies.\n---\nTidy.\n")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    async with open_store(home) as store:
        one = Yard(store, folder / "fork")
        async with asyncio.TaskGroup() as parts:
            working = parts.create_task(one.work.run())
            try:
                yield one
            finally:
                working.cancel()
