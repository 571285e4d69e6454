"""The door through which agents ask for schedules of their own: made under their group's limits, for chats where the
group may send, and with an owner's yes where what they read before may have been anybody's words.

A tool's question (`payload` of an Ask of the kind `schedule`) comes here as an AgentAsk; `asked` is a room of
`waiting_tasks.py`. Nothing here gives an agent more than a person in its chat has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal, Protocol

from protocol.codec import Json, ShapeError, from_json, to_json
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.record import Record
from runtime.approvals.records import Approval
from runtime.refusal import OperationRefused
from runtime.schedules.asking import Wish
from runtime.schedules.desk import ScheduleDesk
from runtime.schedules.records import Schedule
from runtime.schedules.words import history_text, list_text, made_text, schedule_name
from runtime.schedules.zones import zone_of
from runtime.store import schedule_rows
from runtime.store.store import Store
from runtime.waiting_tasks import Asked

KIND: Literal["schedule"] = "schedule"
MAX_PER_TASK = 5
"""Schedules that one task may make."""
MAX_BY_AGENT = 20
"""Schedules of a group's own making that may be there at once."""
SHOWN_RUNS = 10


class AgentAsk(Record):
    """What an agent asks: one action, and what it needs."""

    action: Literal["create", "list", "history", "pause", "resume", "run", "cancel"]
    when: str = ""
    text: str = ""
    to: str = ""
    """The name of a destination; empty: the chat of the task that asks, if it has one."""
    pre_check: str = ""
    schedule: int | None = None


class _Pending(Record):
    """Exactly what is made if an owner says yes: the payload of the approval."""

    group: str
    chat: str | None
    when: str
    text: str
    pre_check: str
    task: str
    call_id: str


class Guard(Protocol):
    """The part of `approvals.taint.Taints` that asks owners where something untrusted was read."""

    async def guard(
        self,
        kind: Literal["memory", "skill", "schedule"],
        *,
        task_id: TaskId,
        group_id: GroupId,
        payload: Json,
        summary: str,
        key: str = "",
    ) -> Approval | None: ...


Resume = Callable[..., Awaitable[bool]]
"""`waiting_tasks.WaitingTasks.resume`."""


class AgentDoor:
    """One for the whole host."""

    def __init__(self, store: Store, desk: ScheduleDesk, guard: Guard, resume: Resume) -> None:
        self._store = store
        self._desk = desk
        self._guard = guard
        self._resume = resume

    async def asked(self, asked: Asked) -> str | None:
        """Do what an agent asks and return what it is told; None: an owner is asked first. Raises OperationRefused."""
        try:
            ask = from_json(AgentAsk, asked.ask.payload, "schedule")
        except ShapeError as error:
            raise OperationRefused("wrong_request", f"the request for a schedule is not understood: {error}") from error
        task = asked.task
        match ask.action:
            case "create":
                return await self.create(ask, task.group_id, task.task_id, task.chat, asked.ask.call_id)
            case "list":
                found = await self._desk.schedules(task.group_id)
                return list_text(found, self._desk.zones(found))
            case "history":
                schedule = await self._own(ask, task.group_id)
                runs = [(past.run, past.delivery) for past in await self._desk.history(schedule, SHOWN_RUNS)]
                return history_text(schedule, runs, zone_of(schedule.zone))
            case "pause":
                schedule = await self._desk.pause(await self._made(ask, task.group_id), f"group:{task.group_id}")
                return f"Schedule {schedule.schedule_id} is paused."
            case "resume":
                schedule = await self._desk.resume(await self._made(ask, task.group_id), f"group:{task.group_id}")
                return f"Schedule {schedule.schedule_id} goes on."
            case "run":
                if task.submitter.startswith("schedule:"):
                    message = "the run of a schedule begins no other run: nobody would end that"
                    raise OperationRefused("run_of_a_run", message)
                schedule = await self._made(ask, task.group_id)
                await self._desk.run_now(schedule)
                return f"Schedule {schedule.schedule_id} runs as soon as nothing else of it does."
            case "cancel":
                schedule = await self._made(ask, task.group_id)
                await self._desk.remove(schedule, f"group:{task.group_id}")
                return f"Schedule {schedule.schedule_id} is removed."

    async def create(
        self, ask: AgentAsk, group_id: GroupId, task_id: TaskId, chat: ChatKey | None, call_id: str
    ) -> str | None:
        """Make a schedule; None where an owner is asked first: what they say comes to `decided`."""
        place = await self._desk.destination(group_id, ask.to) if ask.to else chat
        pending = _Pending(
            group=group_id,
            chat=place,
            when=ask.when,
            text=ask.text,
            pre_check=ask.pre_check,
            task=task_id,
            call_id=call_id,
        )
        planned = self._desk.plan(_wish(pending, is_tainted=False))
        await self._check_caps(pending)
        approval = await self._guard.guard(
            KIND,
            task_id=task_id,
            group_id=group_id,
            payload=to_json(pending),
            summary=f"The agent {group_id} wants to do something at times: {ask.when[:100]}",
            key=f"{task_id}:{call_id}",
        )
        if approval is None:
            return made_words(await self._desk.add(planned, key=_key(pending)))
        return None if approval.is_open else await self._answer(approval)

    async def decided(self, approval: Approval) -> None:
        """Make what an owner approved, and let the asking task know. May be told of the same decision twice."""
        pending = from_json(_Pending, approval.payload, "approval")
        answer = await self._answer(approval)
        await self._resume(TaskId(pending.task), pending.call_id, answer, is_error=not approval.is_approved)

    async def _answer(self, approval: Approval) -> str:
        if not approval.is_approved:
            return "The owner did not allow this schedule. Do not ask for it again, and do not try another way."
        pending = from_json(_Pending, approval.payload, "approval")
        try:
            return made_words(await self._desk.add(self._desk.plan(_wish(pending, is_tainted=True)), key=_key(pending)))
        except OperationRefused as refused:  # it was right when it was asked for: its time may have gone by
            return f"The owner allowed it, but it can not be made any more: {refused.message}."

    async def _check_caps(self, pending: _Pending) -> None:
        group_id, task_id = GroupId(pending.group), TaskId(pending.task)
        count = partial(schedule_rows.made_by_agents, group_id=group_id, task_id=task_id, but=_key(pending))
        made = await self._store.read(count)
        if made.by_task >= MAX_PER_TASK:
            raise OperationRefused("too_many", f"one task makes at most {MAX_PER_TASK} schedules")
        if made.by_group >= MAX_BY_AGENT:
            message = f"agents of {group_id} have made {MAX_BY_AGENT} schedules that are still there: cancel some first"
            raise OperationRefused("too_many", message)

    async def _own(self, ask: AgentAsk, group_id: GroupId) -> Schedule:
        """Return a schedule of the agent's group; another group's is as unknown as none."""
        schedule = await self._desk.find(ask.schedule if ask.schedule is not None else "?")
        if schedule.group_id != group_id:
            raise OperationRefused("unknown_schedule", f"there is no schedule {schedule.schedule_id}")
        return schedule

    async def _made(self, ask: AgentAsk, group_id: GroupId) -> Schedule:
        """Return a schedule that an agent of the group made: what people made is theirs to change."""
        schedule = await self._own(ask, group_id)
        if schedule.made_by != f"group:{group_id}":
            message = f"the schedule {schedule.schedule_id} was made by a person: tell them what you would change"
            raise OperationRefused("not_yours", message)
        return schedule


def made_words(schedule: Schedule) -> str:
    """Return what an agent is told of a schedule that it made."""
    return f"{made_text(schedule, zone_of(schedule.zone))} ({schedule_name(schedule)})"


def _key(pending: _Pending) -> str:
    return f"{pending.task}:{pending.call_id}"


def _wish(pending: _Pending, *, is_tainted: bool) -> Wish:
    group_id = GroupId(pending.group)
    return Wish(
        words=pending.when,
        text=pending.text,
        pre_check=pending.pre_check,
        group_id=group_id,
        chat=ChatKey(pending.chat) if pending.chat is not None else None,
        made_by=f"group:{group_id}",
        subject=group_id,
        trust="untrusted" if is_tainted else "agent",
    )
