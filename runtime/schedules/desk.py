"""What may be asked of schedules, by whoever may ask it: make, list, show, pause, resume, remove, run now, look back.

Chat, control socket and agents come here; who of them may do what is theirs to know. Rows are
`store/schedule_rows.py`'s, the clock is `keeper.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.config import TERMINAL, ParsedSettings
from runtime.group import Groups
from runtime.refusal import OperationRefused
from runtime.schedules.asking import Wish, build_schedule
from runtime.schedules.calendar import next_due
from runtime.schedules.keeper import SubmissionRoom
from runtime.schedules.records import NewSchedule, PlannedRun, Run, Schedule, ScheduleId
from runtime.schedules.words import delivery_text
from runtime.schedules.zones import find_zone, zone_of
from runtime.store import schedule_rows
from runtime.store.store import Store

MAX_HISTORY = 50
STOP_REASON = "its schedule was removed"


class Surroundings(Protocol):
    """What may change while the host runs."""

    @property
    def settings(self) -> ParsedSettings: ...
    @property
    def groups(self) -> Groups: ...


class AddressBook(Protocol):
    """The part of `people.destinations.Destinations` that says where groups may send."""

    def may_send(self, group_id: GroupId, chat: ChatKey) -> bool: ...
    async def resolve(self, group_id: GroupId, name: str) -> ChatKey: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run, and how far its answer came."""

    run: Run
    delivery: str
    """`delivered` (with the platform's receipt), `on its way`, `not delivered`, or empty: there was no answer."""


class ScheduleDesk:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        submissions: SubmissionRoom,
        around: Surroundings,
        *,
        addresses: AddressBook,
        wake: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._submissions = submissions
        self._around = around
        self._addresses = addresses
        self._wake = wake
        self._clock = clock

    @property
    def default_group(self) -> GroupId:
        """Who is meant where nobody is named: the terminal's agent."""
        return GroupId(self._around.settings.settings.channels[TERMINAL].group)

    async def place(self, group_id: GroupId, name: str) -> ChatKey:
        """Return the chat that a key or the name of a destination says; OperationRefused for a name that is none."""
        return ChatKey(name) if ":" in name else await self.destination(group_id, name)

    async def destination(self, group_id: GroupId, name: str) -> ChatKey:
        """Return the chat of a destination's name; OperationRefused for whatever is none."""
        return await self._addresses.resolve(group_id, name)

    def plan(self, wish: Wish, zone: str = "") -> NewSchedule:
        """Return what a wish comes to; `zone`: of the person who wishes, else the settings' one. Nothing is kept yet.
        Raises OperationRefused."""
        self._around.groups.checked(wish.group_id)
        return build_schedule(wish, self._clock(), zone or self._around.settings.settings.time_zone, find_zone)

    async def zone_of_person(self, person: PersonKey) -> str:
        """Return the zone that somebody lives by: their own, else the settings' one."""
        own = await self._store.read(schedule_rows.zone_of_person, person)
        return own or self._around.settings.settings.time_zone

    async def set_zone(self, person: PersonKey, name: str) -> None:
        """Have the times that somebody writes be those of a zone; OperationRefused for a name that is none. Schedules
        that are there keep theirs."""
        find_zone(name)
        await self._store.write(schedule_rows.set_person_zone, person, name)

    async def add(self, new: NewSchedule, key: str = "") -> Schedule:
        """Keep a schedule, one for each key. Refused where its group has too many, or is not in its chat."""
        await self._check_chat(new)
        due = next_due(new.timing, self._clock(), find_zone(new.zone))
        if due is None:
            raise OperationRefused("wrong_when", "nothing of it is due any more", "docs/schedules.md")
        made = await self._store.write(schedule_rows.add_schedule, new, due, key)
        if made is None:
            most = schedule_rows.MAX_PER_GROUP
            message = f"the group {new.group_id} has {most} schedules, and more are not kept"
            raise OperationRefused("too_many", message, "/schedule list, /schedule remove ID")
        self._wake()
        return made

    async def _check_chat(self, new: NewSchedule) -> None:
        if new.chat is None or self._addresses.may_send(new.group_id, new.chat):
            return
        if await self._store.binding_of(new.chat, new.group_id) is None:
            message = f"the agent {new.group_id} is not in the chat {new.chat[:80]!r}, and may not send there"
            raise OperationRefused("unknown_chat", message, f"./nightyard group show {new.group_id}")

    async def schedules(self, group_id: GroupId | None = None, chat: ChatKey | None = None) -> tuple[Schedule, ...]:
        """Return those that were not removed, of one group or chat, or all; OperationRefused for an unknown group."""
        found: list[Schedule] = []
        while True:
            after = found[-1].schedule_id if found else None
            page = await self._store.read(schedule_rows.schedules, group_id, after)
            found += page
            if len(page) < schedule_rows.AT_ONCE:
                if group_id is not None and not found:  # one that is gone may still have some
                    self._around.groups.checked(group_id)
                return tuple(each for each in found if chat is None or each.chat == chat)

    async def find(self, reference: int | str, *, removed: bool = False) -> Schedule:
        """Return a schedule by its number, `3` or `#3`; raise OperationRefused. `removed`: also one that was."""
        text = str(reference).strip().removeprefix("#")
        found = None
        if text.isdecimal() and len(text) <= 15:
            found = await self._store.read(schedule_rows.schedule, ScheduleId(int(text)))
        if found is None or (found.state == "removed" and not removed):
            raise OperationRefused("unknown_schedule", f"there is no schedule {text[:20]!r}", "/schedule list")
        return found

    async def history(self, schedule: Schedule, limit: int = 10) -> tuple[PastRun, ...]:
        """Return the newest runs, newest first."""
        runs = await self._store.read(schedule_rows.runs_of, schedule.schedule_id, max(1, min(limit, MAX_HISTORY)))
        return tuple([PastRun(run=run, delivery=await self._delivery(run)) for run in runs])

    async def _delivery(self, run: Run) -> str:
        if run.task_id is None:
            return ""
        return delivery_text(await self._store.read(schedule_rows.delivery_of, run.task_id))

    async def pause(self, schedule: Schedule, by: str) -> Schedule:
        """Hold a schedule: nothing of it is due until it is resumed. What works of it goes on."""
        if schedule.state == "active":
            await self._store.write(schedule_rows.set_state, schedule, "paused", None, by)
            self._wake()
        self._refuse_done(schedule)
        return await self.find(schedule.schedule_id)

    async def resume(self, schedule: Schedule, by: str) -> Schedule:
        """Let a paused schedule go on with the next due time from now: what went by meanwhile was not wanted."""
        self._refuse_done(schedule)
        if schedule.state == "paused":
            due = next_due(schedule.timing, self._clock(), zone_of(schedule.zone))
            if due is None:
                message = f"the time of the schedule {schedule.schedule_id} went by while it was paused"
                raise OperationRefused("schedule_over", message, f"/schedule run {schedule.schedule_id}")
            await self._store.write(schedule_rows.set_state, schedule, "active", due, by)
            self._wake()
        return await self.find(schedule.schedule_id)

    def _refuse_done(self, schedule: Schedule) -> None:
        if schedule.state == "done":
            message = f"the schedule {schedule.schedule_id} has run, and nothing of it is due any more"
            raise OperationRefused("schedule_done", message, f"/schedule run {schedule.schedule_id}")

    async def remove(self, schedule: Schedule, by: str) -> None:
        """End a schedule for good. What works of it is stopped."""
        await self._store.write(schedule_rows.set_state, schedule, "removed", None, by)
        for run in await self._store.read(schedule_rows.open_runs, schedule.schedule_id):
            if run.submission_id is not None:
                await self._submissions.cancel(run.submission_id, STOP_REASON)
        self._wake()

    async def run_now(self, schedule: Schedule, at: datetime | None = None) -> Run:
        """Have it run as soon as no other run of it works, whatever its times are; also a paused one, or one that is
        done. `at`: when that was asked for; the same time again is the same run. Raises OperationRefused where one that
        was asked for waits already."""
        asked_at = at or self._clock()
        planned = PlannedRun(due_at=asked_at, start_at=asked_at, origin="manual", state="waiting")
        run = await self._store.write(schedule_rows.add_run, schedule, planned)
        if run is None:
            message = f"a run of the schedule {schedule.schedule_id} waits already"
            raise OperationRefused("run_waits", message, f"/schedule history {schedule.schedule_id}")
        self._wake()
        return run

    def zones(self, schedules: Sequence[Schedule]) -> dict[str, tzinfo]:
        """Return the zones of some schedules by name."""
        return {schedule.zone: zone_of(schedule.zone) for schedule in schedules}
