"""The commands about conversations: listing them, taking one up again, summing up, writing out; and /resume, which
lifts a pause first, where there is one.
"""

from __future__ import annotations

from runtime.commands.asker import demand, group_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.commands.pauses import lift, pauses_text
from runtime.pauses import Pauses
from runtime.sessions.desk import SessionDesk
from runtime.sessions.words import (
    build_compacting,
    build_resumed,
    build_sessions,
    line_of,
    session_buttons,
)
from runtime.store.store import Store


def session_handlers(desk: SessionDesk, pauses: Pauses, store: Store) -> HandlerTable:
    """Return the handlers of this room's commands."""

    async def sessions(given: Given) -> Answer:
        group_id = await group_here(store, given)
        lines = await desk.list(group_id, given.message.inbound.chat)
        return Answer(text=build_sessions(lines, desk.now(), desk.zone), buttons=session_buttons(lines))

    async def resume(given: Given) -> Answer:
        """A number or id goes on with a conversation; alone it lifts a pause if there is one, and lists otherwise."""
        reference = given.command.rest.strip()
        group_id = await group_here(store, given)
        if not reference and pauses.of(group_id):
            await demand(store, given, "admin", f"let {group_id} go on; {pauses_text(pauses.of(group_id))}")
            return Answer(text=await lift(pauses, group_id))
        if not reference:
            return await sessions(given)
        line = await desk.resume(group_id, given.message.inbound.chat, reference)
        return Answer(text=build_resumed(line_of(line, desk.now(), desk.zone)))

    async def compact(given: Given) -> Answer:
        inbound, group_id = given.message.inbound, await group_here(store, given)
        by = f"person:{inbound.person}"
        turns = await desk.compact(group_id, inbound.chat, by, given.message.message_id)
        return Answer(text=build_compacting(turns))

    async def export(given: Given) -> Answer:
        path, name = await desk.export(await group_here(store, given), given.message.inbound.chat)
        return Answer(text="This conversation:", file_path=str(path), file_name=name)

    return {"sessions": sessions, "resume": resume, "compact": compact, "export": export}
