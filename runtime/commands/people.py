"""The commands about people: who I am here, who may come in, who was refused."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import PersonKey
from protocol.message import InboundMessage
from runtime.access import role_of
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.people.cards import agent_buttons
from runtime.people.command_words import parse_group, parse_limits, parse_role
from runtime.people.desk import People
from runtime.people.pairing import article
from runtime.people.words import (
    build_people,
    build_refusals,
    build_whoami,
)
from runtime.refusal import OperationRefused
from runtime.store.records import PersonLimits

PERSON_USAGE = (
    "/person · /person yes CODE [ROLE] [AGENT] · /person no CODE · /person role ID ROLE [AGENT] · "
    "/person link ID OTHER_ID · /person unlink ID · /person limit ID per_hour=50 … · /person remove ID"
)


def people_handlers(people: People) -> HandlerTable:
    """Return the handlers of this room's commands."""

    async def link(given: Given) -> Answer:
        inbound = given.message.inbound
        code, expires_at = await people.make_link_code(inbound.person, inbound.chat)
        until = expires_at.isoformat()[11:16]
        return Answer(
            text=f"Your code: `{code}` (until {until} UTC, once)\n\nSend it to me in a direct chat from your other "
            "account: from then on both are one person to me, with the rights that you have here. Give it to nobody "
            "else."
        )

    async def access(_: Given) -> Answer:
        return Answer(text=build_refusals(await people.refusals(20)))

    return {
        "whoami": lambda given: _whoami(people, given.message.inbound),
        "link": link,
        "person": lambda given: _person(people, given.command.rest.split(), given.message.inbound.person),
        "access": access,
    }


async def _whoami(people: People, inbound: InboundMessage) -> Answer:
    facts = await people.facts(inbound.person, inbound.chat)
    here = [
        (each.group_id, role)
        for each in facts.bindings
        if (role := role_of(inbound, facts.person, facts.roles.get(each.group_id))) is not None
    ]
    known = None if facts.person is None else await people.known(facts.person.person)
    used, _ = await people.used(known) if known is not None else ({}, {})
    keys = (known.person.person, *known.identities) if known is not None else ()
    text = build_whoami(
        person=inbound.person,
        role=role_of(inbound, facts.person),
        roles=known.roles if known else (),
        identities=[each for each in keys if each != inbound.person],
        chat=inbound.chat,
        here=here,
        used=used,
        limits=people.limits_of(facts),
    )
    return Answer(text=text)


async def _person(people: People, words: Sequence[str], by: PersonKey) -> Answer:
    match words:
        case [] | ["list"]:
            return Answer(text=build_people(*await people.everybody()))
        case ["yes", code, *rest]:
            return await _let_in(people, code, rest, by)
        case ["no", code]:
            await people.deny(code, by)
            return Answer(text="Refused. They are not answered any more, and you are not asked about them again.")
        case ["role", key, role, *group] if len(group) <= 1:
            given_role = parse_role(role)
            await people.set_role(PersonKey(key), given_role, parse_group(group), by)
            return Answer(text=f"`{key}` is {article(given_role)} {given_role}{_with(group)} now.")
        case ["link", key, identity]:
            await people.link(PersonKey(key), PersonKey(identity), by)
            return Answer(text=f"`{identity}` is `{key}` from now on.")
        case ["unlink", identity]:
            await people.unlink(PersonKey(identity), by)
            return Answer(text=f"`{identity}` is nobody known any more.")
        case ["remove", key]:
            await people.remove(PersonKey(key), by)
            return Answer(text=f"`{key}` may not speak to agents any more.")
        case ["limit", key, *limits] if limits:
            wanted = parse_limits(limits)
            await people.limit(PersonKey(key), wanted or PersonLimits(), by, clear=wanted is None)
            return Answer(text=f"The limits of `{key}` are set.")
        case _:
            raise OperationRefused("usage", f"what I understand: {PERSON_USAGE}")


async def _let_in(people: People, code: str, rest: Sequence[str], by: str) -> Answer:
    role = parse_role(rest[0]) if rest else None
    request = await people.request(code, "person")
    groups = people.choices(request.chat)
    if role is not None and role != "owner" and len(rest) == 1 and len(groups) > 1:
        buttons = agent_buttons(request.code, role, groups)
        return Answer(text=f"{article(role).capitalize()} {role} with which agent?", buttons=buttons)
    group = parse_group(rest[1:]) or (groups[0] if len(groups) == 1 else None)
    await people.approve(code, role, group, by)
    return Answer(text=f"`{request.person}` is in{_with(rest[1:])}. What they wrote is answered now.")


def _with(words: Sequence[str]) -> str:
    return f" with `{words[0].lower()}`" if words else ""
