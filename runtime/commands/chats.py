"""The commands about chats: which agent answers where, and how."""

from __future__ import annotations

from protocol.ids import GroupId
from protocol.message import Button
from runtime.access import role_of
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.people.cards import shown_code
from runtime.people.chats import Chats
from runtime.people.command_words import parse_settings
from runtime.people.desk import People
from runtime.people.records import BindingChange
from runtime.people.roles import reaches
from runtime.people.words import build_chats, build_settings, settings_buttons
from runtime.refusal import OperationRefused

CHAT_USAGE = "/chat · /chat yes CODE AGENT · /chat new CODE NAME · /chat no CODE"


def chat_handlers(people: People, chats: Chats) -> HandlerTable:
    """Return the handlers of this room's commands."""

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

    return {"chat": chat, "settings": settings}
