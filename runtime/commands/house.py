"""The commands of the house as a whole: beginning afresh, how things stand, freezing, help. /stop is `stop.py`'s."""

from __future__ import annotations

from credproxy.admin_client.link import ProxyError
from runtime.commands.asker import role_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.commands.help import build_help
from runtime.commands.words import (
    build_freeze_answer,
    build_greeting,
    build_new_answer,
    build_status_answer,
    build_unfreeze_answer,
)
from runtime.operations import Operations
from runtime.store.store import Store


def house_handlers(operations: Operations, store: Store) -> HandlerTable:
    """Return the handlers of the commands that operations carry out."""

    async def new(given: Given) -> Answer:
        chat = given.message.inbound.chat
        await operations.new(chat)
        return Answer(text=build_new_answer((await operations.chat_status(chat)).is_working))

    async def status(given: Given) -> Answer:
        return Answer(text=build_status_answer(await operations.chat_status(given.message.inbound.chat)))

    async def freeze(given: Given) -> Answer:
        frozen = await operations.freeze(given.message.inbound.person)
        return Answer(text=build_freeze_answer(len(frozen.tasks), frozen.egress))

    async def unfreeze(given: Given) -> Answer:
        try:
            return Answer(text=build_unfreeze_answer(await operations.unfreeze(given.message.inbound.person)))
        except ProxyError as error:
            return Answer(text=f"Still frozen: {error}. What helps: ./nightyard status")

    async def start(given: Given) -> Answer:
        known = await operations.chat_status(given.message.inbound.chat)
        return Answer(text=build_greeting(known.group, await help_for(given, ""), is_rehearsal=known.is_rehearsal))

    async def show_help(given: Given) -> Answer:
        return Answer(text=await help_for(given, given.command.rest))

    async def help_for(given: Given, about: str) -> str:
        is_direct = given.message.inbound.chat_kind == "direct"
        return build_help(await role_here(store, given), is_direct=is_direct, about=about.strip())

    return {
        "new": new,
        "status": status,
        "freeze": freeze,
        "unfreeze": unfreeze,
        "start": start,
        "help": show_help,
    }
