"""The commands of the house as a whole: stopping, beginning afresh, how things stand. Each is one of operations.py."""

from __future__ import annotations

from credproxy.admin_client.link import ProxyError
from protocol.ids import TaskId
from protocol.message import Button
from protocol.plain_text import escape
from runtime.access import reaches
from runtime.commands.asker import role_here
from runtime.commands.desk import Answer, Given, HandlerTable, answer_key
from runtime.commands.help import build_help
from runtime.commands.words import (
    build_freeze_answer,
    build_greeting,
    build_new_answer,
    build_status_answer,
    build_stop_answer,
    build_unfreeze_answer,
)
from runtime.operations import Operations, Stopped
from runtime.refusal import OperationRefused
from runtime.sessions.compaction import Compactor
from runtime.store.outbox_rows import is_put
from runtime.store.store import Store

DROP_WAITING = (Button(label="Drop what waits", value="/stop all"),)


def house_handlers(operations: Operations, compactor: Compactor, store: Store) -> HandlerTable:
    """Return the handlers of the commands that operations carry out."""

    async def stop(given: Given) -> Answer:
        chat, named = given.message.inbound.chat, given.command.rest.strip()
        if named and named.lower() != "all":
            return await stop_task(given, TaskId(named))
        summaries = await compactor.stop(chat, "stopped by a person")
        stopped = await (operations.stop_chat(chat) if named else stop_work(given))
        text = build_stop_answer(len(stopped.tasks) + summaries, stopped.messages, stopped.kept)
        return Answer(text=text, buttons=DROP_WAITING if stopped.kept else ())

    async def stop_work(given: Given) -> Stopped:
        """Stop what runs; what waits goes on, unless it is all that there is. A stop is carried out a second time when
        what came before it was filed late: it must not end then what it was said to have kept."""
        chat = given.message.inbound.chat
        stopped = await operations.stop_chat(chat, given.message.seq)
        if stopped.tasks or not stopped.kept or await store.read(is_put, answer_key(given.message)):
            return stopped
        return await operations.stop_chat(chat)

    async def stop_task(given: Given, task_id: TaskId) -> Answer:
        row, inbound = await store.task(task_id), given.message.inbound
        sees_all = inbound.chat_kind == "direct" and reaches(await role_here(store, given), "admin")
        is_theirs = row is not None and (
            row.chat == inbound.chat or (sees_all and row.group_id == given.message.group_id)
        )
        if not is_theirs:
            raise OperationRefused("unknown_task", f"There is no task `{escape(task_id[:40])}` here", "/tasks")
        stopped = await operations.stop_task(task_id)
        return Answer(text=build_stop_answer(len(stopped.tasks), 0))

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
        "stop": stop,
        "new": new,
        "status": status,
        "freeze": freeze,
        "unfreeze": unfreeze,
        "start": start,
        "help": show_help,
    }
