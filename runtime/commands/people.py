"""The commands about people and chats: who I am here, who may come in, which agent a chat has."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import GroupId, PersonKey
from protocol.message import Button
from runtime.access import article, reaches, role_of
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.people.cards import agent_buttons, shown_code
from runtime.people.chats import Chats
from runtime.people.command_words import parse_group, parse_limits, parse_role, parse_settings
from runtime.people.desk import People
from runtime.people.records import BindingChange
from runtime.people.words import (
    build_chats,
    build_people,
    build_refusals,
    build_settings,
    build_whoami,
    settings_buttons,
)
from runtime.refusal import OperationRefused
from runtime.store.records import PersonLimits

PERSON_USAGE = (
    "/person · /person yes CODE [ROLE] [AGENT] · /person no CODE · /person role ID ROLE [AGENT] · "
    "/person link ID OTHER_ID · /person unlink ID · /person limit ID per_hour=50 … · /person remove ID"
)
CHAT_USAGE = "/chat · /chat yes CODE AGENT · /chat new CODE NAME · /chat no CODE"


def people_handlers(people: People, chats: Chats) -> HandlerTable:
    """Return the handlers of this room's commands."""

    async def whoami(given: Given) -> Answer:
        inbound = given.message.inbound
        facts = await people.facts(inbound.person, inbound.chat)
        here = [
            (each.group_id, role)
            for each in facts.bindings
            if (role := role_of(inbound, facts.person, facts.roles.get(each.group_id))) is not None
        ]
        known = None if facts.person is None else await people.known(facts.person.person)
        used, _ = await people.used(known) if known is not None else ({}, {})
        text = build_whoami(
            person=inbound.person,
            role=role_of(inbound, facts.person),
            roles=known.roles if known else (),
            identities=[each for each in (known.person.person, *known.identities) if each != inbound.person]
            if known
            else (),
            chat=inbound.chat,
            here=here,
            used=used,
            limits=people.limits_of(facts),
        )
        return Answer(text=text)

    async def link(given: Given) -> Answer:
        inbound = given.message.inbound
        code, expires_at = await people.make_link_code(inbound.person, inbound.chat)
        until = expires_at.isoformat()[11:16]
        return Answer(
            text=f"Your code: `{code}` (until {until} UTC, once)\n\nSend it to me in a direct chat from your other "
            "account: from then on both are one person to me, with the rights that you have here. Give it to nobody "
            "else."
        )

    async def person(given: Given) -> Answer:
        by, words = given.message.inbound.person, given.command.rest.split()
        match words:
            case [] | ["list"]:
                return Answer(text=build_people(*await people.everybody()))
            case ["yes", code, *rest]:
                return await let_in(code, rest, by)
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

    async def let_in(code: str, rest: Sequence[str], by: str) -> Answer:
        role = parse_role(rest[0]) if rest else None
        request = await people.request(code, "person")
        groups = people.choices(request.chat)
        if role is not None and role != "owner" and len(rest) == 1 and len(groups) > 1:
            buttons = agent_buttons(request.code, role, groups)
            return Answer(text=f"{article(role).capitalize()} {role} with which agent?", buttons=buttons)
        group = parse_group(rest[1:]) or (groups[0] if len(groups) == 1 else None)
        await people.approve(code, role, group, by)
        return Answer(text=f"`{request.person}` is in{_with(rest[1:])}. What they wrote is answered now.")

    async def chat(given: Given) -> Answer:
        by, words = given.message.inbound.person, given.command.rest.split()
        match words:
            case [] | ["list"]:
                return Answer(text=build_chats(await chats.everywhere()))
            case ["yes", code, group]:
                await chats.bind(code, GroupId(group.lower()), BindingChange(), by)
                return Answer(text=f"`{group.lower()}` answers there now. /settings there shows how.")
            case ["new", code]:
                return await offer_name(code)
            case ["new", code, name]:
                await chats.connect_new(code, name, by)
                return Answer(text=f"Made the agent `{name}`, which answers there now. /settings there shows how.")
            case ["no", code]:
                await people.deny(code, by)
                return Answer(text="Refused. I say nothing there, and you are not asked about that chat again.")
            case _:
                raise OperationRefused("usage", f"what I understand: {CHAT_USAGE}")

    async def offer_name(code: str) -> Answer:
        request = await people.request(code, "chat")
        name = people.free_name(request.chat)
        return Answer(
            text=f"What is it called? Write `/chat new {shown_code(request.code)} NAME`, or take this one:",
            buttons=(Button(label=name, value=f"/chat new {request.code} {name}"),),
        )

    async def settings(given: Given) -> Answer:
        inbound = given.message.inbound
        facts = await people.facts(inbound.person, inbound.chat)
        may_change = {
            each.group_id: reaches(role, "admin")
            for each in facts.bindings
            if (role := role_of(inbound, facts.person, facts.roles.get(each.group_id))) is not None
        }
        if given.command.rest:
            group_id, change = parse_settings(given.command.rest, tuple(may_change))
            if not may_change[group_id]:
                raise OperationRefused("role", f"only an owner, or an admin of {group_id}, may change that")
            chat = next(each.chat for each in facts.bindings if each.group_id == group_id)
            await chats.bind(chat, group_id, change, inbound.person)
        now = await chats.of_chat(inbound.chat)
        changeable = [each for each in now if may_change.get(each.group_id)]
        buttons = settings_buttons(changeable, alone=len(now) == 1)
        return Answer(text=build_settings(now), buttons=buttons)

    async def access(_: Given) -> Answer:
        return Answer(text=build_refusals(await people.refusals(20)))

    return {
        "whoami": whoami,
        "link": link,
        "person": person,
        "chat": chat,
        "settings": settings,
        "access": access,
    }


def _with(words: Sequence[str]) -> str:
    return f" with `{words[0].lower()}`" if words else ""
