"""A store on disk, a clock that is set by hand, and agents that end their tasks as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from channels.channel import Channel
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, SubmissionId
from protocol.message import OutboundMessage, Receipt
from protocol.task import ModelRoute, TaskResult, TaskStatus
from runtime.config import ParsedSettings, parse_settings
from runtime.group import Group, Groups
from runtime.people.destinations import Destinations
from runtime.schedules.asking import Wish
from runtime.schedules.desk import ScheduleDesk
from runtime.schedules.keeper import ScheduleKeeper
from runtime.schedules.records import Run, Schedule
from runtime.schedules.zones import zone_of
from runtime.store import schedule_rows, submission_rows
from runtime.store.records import Binding, MessageState, NewOutbound
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.submissions import NewSubmission, Submission, Submissions
from runtime.task_ends import TaskEnds

MAIN = GroupId("main")
CHAT = ChatKey("telegram:100")
OWNER_CHAT = ChatKey("telegram:7")
ANNA = PersonKey("telegram:7")
START = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
"""A Monday."""


class Killed(Exception):
    """The host dies here."""


@dataclass
class House:
    """What schedules and submissions ask of the running host."""

    settings: ParsedSettings = field(default_factory=lambda: parse_settings("time_zone: Europe/Berlin\n"))
    groups: Groups = field(
        default_factory=lambda: Groups(
            ready={
                MAIN: Group(group_id=MAIN, instructions="", model=ModelRoute(route="r", api="anthropic", model="m"))
            },
            suspended={},
        )
    )
    channels: Mapping[ChannelId, Channel] = field(default_factory=dict)


class Queue:
    """Takes submissions, and cancels those that have not begun."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.arrived = asyncio.Event()

    def submitted(self, submission: StoredSubmission) -> None:
        """It is in the store: the bench finds it there."""
        self.arrived.set()

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        return await self._store.write(submission_rows.cancel, submission.submission_id, reason) is not None


class MortalRoom:
    """Submissions with a host that can be told to die around the next one."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions
        self.dies = ""

    async def submit(self, new: NewSubmission) -> Submission:
        if self.dies == "before":
            raise Killed
        submission = await self._submissions.submit(new)
        if self.dies == "after":
            raise Killed
        return submission

    async def get(self, submission_id: SubmissionId) -> Submission:
        if self.dies == "noting":
            raise Killed
        return await self._submissions.get(submission_id)

    async def cancel(self, submission_id: SubmissionId, reason: str) -> Submission:
        return await self._submissions.cancel(submission_id, reason)


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = START
        self.house = House()
        self.owner_chats: tuple[ChatKey, ...] = (OWNER_CHAT,)
        self.held: set[GroupId] = set()
        self.queue = Queue(store)
        self.submissions = Submissions(store, self.house, self.queue, TaskEnds())
        self.room = MortalRoom(self.submissions)
        self.destinations = Destinations(store)
        self.wakes = 0
        self._told: list[tuple[ChatKey, str]] = []
        self.keeper = self.new_keeper()
        self.desk = ScheduleDesk(
            store,
            self.room,
            self.house,
            addresses=self.destinations,
            wake=self._woken,
            clock=lambda: self.now,
        )

    def new_keeper(self) -> ScheduleKeeper:
        """Another host's keeper over the same store."""
        self.room.dies = ""
        self.keeper = ScheduleKeeper(
            self.store,
            self.room,
            owner_chats=self._owner_chats,
            is_held=lambda group_id: group_id in self.held,
            zone_of=zone_of,
            wake_delivery=self._woken,
            clock=lambda: self.now,
        )
        return self.keeper

    async def _owner_chats(self) -> tuple[ChatKey, ...]:
        return self.owner_chats

    def _woken(self) -> None:
        self.wakes += 1

    async def add(self, words: str, **more: object) -> Schedule:
        wish = Wish(words=words, group_id=MAIN, chat=CHAT, made_by=f"person:{ANNA}", subject=ANNA)
        return await self.desk.add(self.desk.plan(replace(wish, **more)))  # type: ignore[arg-type]  # the test's words

    async def at(self, moment: datetime | timedelta) -> float:
        """Have the clock show a time (or so much later), and the keeper look."""
        self.now = self.now + moment if isinstance(moment, timedelta) else moment
        return await self.keeper.look()

    async def queued(self) -> tuple[StoredSubmission, ...]:
        return await self.store.read(submission_rows.waiting_submissions, 100)

    async def work(self, status: TaskStatus = TaskStatus.REPLY, code: str = "", reason: str = "") -> list[str]:
        """End everything that is queued so; return the prompts."""
        prompts = []
        for submission in await self.queued():
            claim = await self.store.write(submission_rows.claim, submission.submission_id)
            prompts.append(submission.new.prompt)
            result = TaskResult(status=status, text="done", code=code, reason=reason)
            outbound = [NewOutbound(step="reply", message=OutboundMessage(chat=CHAT, text="done"))]
            await self.store.finish_task(
                claim.task.task_id,
                result,
                outbound=outbound if status is TaskStatus.REPLY else (),
                message_state=MessageState.ANSWERED,
            )
        return prompts

    async def runs(self, schedule: Schedule) -> list[Run]:
        """All runs, oldest due first."""
        found = await self.store.read(schedule_rows.runs_of, schedule.schedule_id, 500)
        return sorted(found, key=lambda run: (run.due_at, run.number))

    async def states(self, schedule: Schedule) -> list[str]:
        """Each run in a few words: `07:30 done`, `08:00 skipped overlap`."""
        return [f"{run.due_at:%H:%M} {run.state} {run.reason}".strip() for run in await self.runs(schedule)]

    async def told(self, chat: ChatKey = OWNER_CHAT) -> list[str]:
        """What a chat was sent, oldest first."""
        rows = await self.store.claim_outbox(100)
        for row in rows:
            await self.store.outbox_sent(row.outbox_id, Receipt(platform_message_ids=()))
        self._told += [(row.message.chat, row.message.text) for row in rows]
        if rows:
            return await self.told(chat)
        return [text for where, text in self._told if where == chat]


@asynccontextmanager
async def open_bench(folder: Path) -> AsyncIterator[Bench]:
    """Run a bench with Anna's chat bound to the agent main."""
    bench: Bench | None = None
    async with open_store(folder, clock=lambda: bench.now if bench else START) as store:
        bench = Bench(store)
        await store.save_person(ANNA, "Anna", "owner", "cli")
        await store.bind(Binding(chat=CHAT, chat_kind="many", group_id=MAIN))
        await store.bind(Binding(chat=OWNER_CHAT, chat_kind="direct", group_id=MAIN))
        yield bench
