"""The verbs of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.control.verb import BY, VerbTable, verb
from runtime.schedules.asking import Wish
from runtime.schedules.desk import PastRun, ScheduleDesk
from runtime.schedules.records import Schedule
from runtime.schedules.timing_text import describe_timing
from runtime.schedules.words import run_line, schedule_name
from runtime.schedules.zones import zone_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AddArguments:
    when: str
    """`every day 08:00`, `in 20 min`, `on 2026-12-01 09:00`, `cron "0 8 * * 1-5"`."""
    text: str
    group: GroupId | None = None
    chat: str | None = None
    """Where the answers go, a chat's key or a destination's name; none: nowhere."""
    pre_check: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """The asker's own: the same one again is the same schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArguments:
    group: GroupId | None = None
    chat: ChatKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleArguments:
    schedule: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryArguments:
    schedule: int
    limit: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneArguments:
    person: PersonKey
    zone: str = ""
    """Empty: only look."""


def schedule_verbs(desk: ScheduleDesk) -> VerbTable:
    """Return the verbs that the schedule desk carries out."""

    async def add(given: AddArguments) -> Json:
        group_id = given.group or desk.default_group
        wish = Wish(
            words=given.when,
            text=given.text,
            group_id=group_id,
            chat=await desk.place(group_id, given.chat) if given.chat else None,
            made_by=BY,
            subject=group_id,
            pre_check=given.pre_check,
            options=given.options,
            limits=given.limits,
        )
        key = f"{BY}:{given.key}" if given.key else ""
        return view_schedule(await desk.add(desk.plan(wish), key))

    async def show_all(given: ListArguments) -> Json:
        found = await desk.schedules(given.group, given.chat)
        return {"schedules": [view_schedule(each) for each in found]}

    async def show(given: ScheduleArguments) -> Json:
        schedule = await desk.find(given.schedule)
        return {
            **view_schedule(schedule),
            "runs": [_view_run(schedule, each) for each in await desk.history(schedule, 1)],
        }

    async def pause(given: ScheduleArguments) -> Json:
        return view_schedule(await desk.pause(await desk.find(given.schedule), BY))

    async def resume(given: ScheduleArguments) -> Json:
        return view_schedule(await desk.resume(await desk.find(given.schedule), BY))

    async def remove(given: ScheduleArguments) -> Json:
        await desk.remove(await desk.find(given.schedule), BY)
        return {"schedule": given.schedule}

    async def run(given: ScheduleArguments) -> Json:
        started = await desk.run_now(await desk.find(given.schedule))
        return {"schedule": given.schedule, "run": started.run_id}

    async def zone(given: ZoneArguments) -> Json:
        if given.zone:
            await desk.set_zone(given.person, given.zone)
        return {"person": given.person, "zone": await desk.zone_of_person(given.person)}

    async def history(given: HistoryArguments) -> Json:
        schedule = await desk.find(given.schedule)
        runs = await desk.history(schedule, given.limit)
        return {**view_schedule(schedule), "runs": [_view_run(schedule, each) for each in runs]}

    return {
        "schedule_add": verb(AddArguments, add),
        "schedule_list": verb(ListArguments, show_all),
        "schedule_show": verb(ScheduleArguments, show),
        "schedule_pause": verb(ScheduleArguments, pause),
        "schedule_resume": verb(ScheduleArguments, resume),
        "schedule_remove": verb(ScheduleArguments, remove),
        "schedule_run": verb(ScheduleArguments, run),
        "schedule_history": verb(HistoryArguments, history),
        "schedule_zone": verb(ZoneArguments, zone),
    }


def view_schedule(schedule: Schedule) -> dict[str, Json]:
    text = schedule.text
    return {
        "schedule": schedule.schedule_id,
        "group": schedule.group_id,
        "chat": schedule.chat,
        "state": schedule.state,
        "name": schedule_name(schedule),
        "text": text.prompt if text else "",
        "pre_check": text.pre_check if text else "",
        "when": describe_timing(schedule.timing, schedule.zone, zone_of(schedule.zone)),
        "zone": schedule.zone,
        "next_due_at": schedule.next_due_at.isoformat() if schedule.next_due_at else None,
        "next_due_local": _local(schedule),
        "jitter_s": schedule.jitter_s,
        "missed": schedule.missed,
        "overlap": schedule.overlap,
        "session": schedule.session,
        "retries": schedule.retries,
        "limits": dict(schedule.limits),
        "failures": schedule.failures,
        "made_by": schedule.made_by,
        "made_at": schedule.made_at,
    }


def _local(schedule: Schedule) -> str:
    if schedule.next_due_at is None:
        return ""
    return f"{schedule.next_due_at.astimezone(zone_of(schedule.zone)):%Y-%m-%d %H:%M}"


def _view_run(schedule: Schedule, past: PastRun) -> Json:
    run = past.run
    return {
        "run": run.run_id,
        "due_at": run.due_at.isoformat(),
        "origin": run.origin,
        "state": run.state,
        "reason": run.reason,
        "gone_by": run.gone_by,
        "number": run.number,
        "task": run.task_id,
        "delivery": past.delivery,
        "ended_at": run.ended_at,
        "line": run_line(run, past.delivery, zone_of(schedule.zone)),
    }
