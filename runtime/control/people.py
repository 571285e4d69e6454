"""The verbs of people, chats and access: who may ask which agent where, and who was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.control.verb import BY, NoArguments, VerbTable, verb
from runtime.people.chats import Chats
from runtime.people.desk import People
from runtime.people.destinations import Destinations
from runtime.people.records import BindingChange, Destination
from runtime.people.views import view_destination
from runtime.store.records import PersonLimits, QueueMode, Rest, Role, SessionScope, When, Whom


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonArguments:
    person: PersonKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveArguments:
    who: str
    """A request's code, or a person's id."""
    role: Role | None = None
    group: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyArguments:
    who: str
    """A request's code, or the id of a person or chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleArguments:
    person: PersonKey
    role: Role | None = None
    """None: with the agent as everywhere."""
    group: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkArguments:
    person: PersonKey
    identity: PersonKey


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitArguments:
    person: PersonKey
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    model_calls_per_day: int | None = None
    cost_usd_per_day: float | None = None
    clear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArguments:
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingsArguments:
    group: GroupId | None = None
    chat: ChatKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindArguments:
    chat: str
    """A chat's key, or the code of its request."""
    group: GroupId
    kind: Literal["direct", "many"] | None = None
    """Only for a chat that nothing has come from."""
    when: When | None = None
    pattern: str | None = None
    sticky_minutes: int | None = None
    whom: Whom | None = None
    whom_names: tuple[str, ...] | None = None
    rest: Rest | None = None
    session: SessionScope | None = None
    mode: QueueMode | None = None
    default: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbindArguments:
    chat: ChatKey
    group: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArguments:
    group: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationArguments:
    group: GroupId
    name: str
    chat: ChatKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedArguments:
    group: GroupId
    name: str


def people_verbs(people: People, chats: Chats, destinations: Destinations) -> VerbTable:
    """Return the verbs of this room."""

    async def limit(given: LimitArguments) -> Json:
        limits = PersonLimits(
            per_minute=given.per_minute,
            per_hour=given.per_hour,
            per_day=given.per_day,
            model_calls_per_day=given.model_calls_per_day,
            cost_usd_per_day=given.cost_usd_per_day,
        )
        return await people.limit(given.person, limits, BY, clear=given.clear)

    async def bind(given: BindArguments) -> Json:
        change = BindingChange(
            when=given.when,
            pattern=given.pattern,
            sticky_minutes=given.sticky_minutes,
            whom=given.whom,
            whom_names=given.whom_names,
            rest=given.rest,
            session=given.session,
            mode=given.mode,
            default=given.default,
        )
        return await chats.bind(given.chat, given.group, change, BY, kind=given.kind)

    async def destination_list(given: GroupArguments) -> Json:
        found = destinations.of(given.group)
        if given.group is not None and not found:
            people.chosen_group(given.group, "")
        return {"destinations": [view_destination(each) for each in found]}

    async def destination_add(given: DestinationArguments) -> Json:
        group, chat = people.chosen_group(given.group, given.chat), people.checked_chat(given.chat)
        added = await destinations.add(Destination(group_id=group, name=given.name, chat=chat, added_by=BY))
        return view_destination(added)

    async def destination_remove(given: NamedArguments) -> Json:
        await destinations.remove(given.group, given.name)
        return {"group": given.group, "name": given.name}

    return {
        "person_list": verb(NoArguments, lambda _: people.list_all()),
        "person_show": verb(PersonArguments, lambda given: people.show(given.person)),
        "person_approve": verb(ApproveArguments, lambda given: people.approve(given.who, given.role, given.group, BY)),
        "person_role": verb(RoleArguments, lambda given: people.set_role(given.person, given.role, given.group, BY)),
        "person_link": verb(LinkArguments, lambda given: people.link(given.person, given.identity, BY)),
        "person_unlink": verb(PersonArguments, lambda given: people.unlink(given.person, BY)),
        "person_remove": verb(PersonArguments, lambda given: people.remove(given.person, BY)),
        "person_limit": verb(LimitArguments, limit),
        "access_log": verb(LogArguments, lambda given: people.access_log(given.limit)),
        "access_deny": verb(DenyArguments, lambda given: people.deny(given.who, BY)),
        "bindings": verb(BindingsArguments, lambda given: chats.list_all(given.group, given.chat)),
        "bind": verb(BindArguments, bind),
        "unbind": verb(UnbindArguments, lambda given: chats.unbind(given.chat, given.group, BY)),
        "destination_list": verb(GroupArguments, destination_list),
        "destination_add": verb(DestinationArguments, destination_add),
        "destination_remove": verb(NamedArguments, destination_remove),
    }
