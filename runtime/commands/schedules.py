"""/schedule: makes schedules in people's words, and looks after those of the chat.

In a chat people see the schedules whose answers come there. An owner or admin sees all in a direct chat, and may change
every one that they see; others may change those that they made.
"""

from __future__ import annotations

from datetime import UTC, datetime

from protocol.ids import GroupId, PersonKey
from protocol.message import Button
from runtime.access import role_of
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.people.roles import reaches
from runtime.refusal import OperationRefused
from runtime.schedules.asking import Wish, option_in
from runtime.schedules.desk import ScheduleDesk
from runtime.schedules.records import Schedule
from runtime.schedules.words import history_text, list_text, made_text, show_text
from runtime.schedules.zones import zone_of
from runtime.store.store import Store

USAGE = (
    "`/schedule every day 08:00 TEXT`, `/schedule in 20 min TEXT`, `/schedule on 2026-12-01 09:00 TEXT`, "
    '`/schedule cron "0 8 * * 1-5" TEXT`; `/schedule list`; `/schedule show|pause|resume|remove|run|history ID`; '
    "`/schedule zone Europe/Berlin` says by which clocks you live"
)
SHOWN_RUNS = 10


def schedule_handlers(desk: ScheduleDesk, store: Store) -> HandlerTable:
    """Return the handler of /schedule."""
    return {"schedule": _Handler(desk, store).perform}


class _Handler:
    def __init__(self, desk: ScheduleDesk, store: Store) -> None:
        self._desk = desk
        self._store = store

    async def perform(self, given: Given) -> Answer:
        word, _, rest = given.command.rest.partition(" ")
        match word.lower():
            case "" | "list":
                return await self._list(given)
            case "help":
                return Answer(text=USAGE)
            case "show":
                schedule = await self._visible(given, rest)
                return Answer(text=show_text(schedule, zone_of(schedule.zone)), buttons=_buttons(schedule))
            case "history":
                schedule = await self._visible(given, rest)
                runs = [(past.run, past.delivery) for past in await self._desk.history(schedule, SHOWN_RUNS)]
                return Answer(text=history_text(schedule, runs, zone_of(schedule.zone)))
            case "pause":
                schedule = await self._desk.pause(await self._changeable(given, rest), given.message.inbound.person)
                return Answer(text=f"Schedule {schedule.schedule_id} is paused.", buttons=_buttons(schedule))
            case "resume":
                schedule = await self._desk.resume(await self._changeable(given, rest), given.message.inbound.person)
                return Answer(text=f"It goes on: {made_text(schedule, zone_of(schedule.zone))}")
            case "remove" | "delete":
                schedule = await self._changeable(given, rest)
                await self._desk.remove(schedule, given.message.inbound.person)
                return Answer(text=f"Schedule {schedule.schedule_id} is removed.")
            case "run":
                schedule = await self._changeable(given, rest)
                await self._desk.run_now(schedule, datetime.fromisoformat(given.message.received_at))
                return Answer(text=f"Schedule {schedule.schedule_id} runs now.")
            case "zone":
                return await self._zone(given, rest.strip())
            case "add":
                return await self._add(given, rest)
            case _:
                return await self._add(given, given.command.rest)

    async def _list(self, given: Given) -> Answer:
        sees_all = await self._sees_all(given)
        found = await self._desk.schedules(chat=None if sees_all else given.message.inbound.chat)
        return Answer(text=list_text(found, self._desk.zones(found)))

    async def _zone(self, given: Given, name: str) -> Answer:
        person = given.message.inbound.person
        if name:
            await self._desk.set_zone(person, name)
        return Answer(text=f"Times that you write are those of {await self._desk.zone_of_person(person)}.")

    async def _add(self, given: Given, words: str) -> Answer:
        inbound = given.message.inbound
        wish = Wish(
            words=words,
            group_id=await self._group(given, words),
            chat=inbound.chat,
            made_by=f"person:{inbound.person}",
            subject=inbound.person,
        )
        planned = self._desk.plan(wish, await self._desk.zone_of_person(inbound.person))
        made = await self._desk.add(planned, key=given.message.message_id)
        return Answer(text=made_text(made, zone_of(made.zone)), buttons=_buttons(made))

    async def _group(self, given: Given, words: str) -> GroupId:
        """Return the agent of the chat that is meant: the one that `--agent` names, else the chat's default one."""
        inbound = given.message.inbound
        named = option_in(words, "agent", datetime.now(UTC))
        bound = await self._store.binding_of(inbound.chat, GroupId(named) if named else None)
        if bound is None:
            what = f"the agent {named[:40]!r} is not in this chat" if named else "this chat belongs to no agent"
            raise OperationRefused("unknown_chat", what, "/status")
        return bound.group_id

    async def _visible(self, given: Given, reference: str) -> Schedule:
        """Return a schedule that may be seen here: an unknown number and another chat's look the same."""
        schedule = await self._desk.find(reference.strip() or "?", removed=True)
        if schedule.chat == given.message.inbound.chat or await self._sees_all(given):
            return schedule
        raise OperationRefused("unknown_schedule", f"there is no schedule {reference.strip()[:20]!r}", "/schedule list")

    async def _changeable(self, given: Given, reference: str) -> Schedule:
        schedule = await self._visible(given, reference)
        if await self._made(given, schedule) or await self._is_admin(given, schedule.group_id):
            return schedule
        message = (
            f"the schedule {schedule.schedule_id} was made by somebody else: they, an admin or an owner may change it"
        )
        raise OperationRefused("not_yours", message, f"/schedule show {schedule.schedule_id}")

    async def _made(self, given: Given, schedule: Schedule) -> bool:
        """Say whether the sender made it, under whichever of their identities."""
        maker = await self._store.person(PersonKey(schedule.made_by.removeprefix("person:")))
        sender = await self._store.person(given.message.inbound.person)
        return maker is not None and sender is not None and maker.person == sender.person

    async def _sees_all(self, given: Given) -> bool:
        is_direct = given.message.inbound.chat_kind == "direct"
        return is_direct and await self._is_admin(given, None)

    async def _is_admin(self, given: Given, group_id: GroupId | None) -> bool:
        inbound = given.message.inbound
        facts = await self._store.sender_facts(inbound.person, inbound.chat)
        role = role_of(inbound, facts.person, facts.roles.get(group_id) if group_id else None)
        return role is not None and reaches(role, "admin")


def _buttons(schedule: Schedule) -> tuple[Button, ...]:
    number = schedule.schedule_id
    hold = {
        "active": (Button(label="Pause", value=f"/schedule pause {number}"),),
        "paused": (Button(label="Resume", value=f"/schedule resume {number}"),),
    }
    run = Button(label="Run now", value=f"/schedule run {number}")
    return (*hold.get(schedule.state, ()), run, Button(label="Remove", value=f"/schedule remove {number}"))
