"""/stop: ends what runs in a chat; where nothing does, what the same person has asked for in another one."""

from __future__ import annotations

from protocol.ids import ChatKey, PersonKey, TaskId
from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.asker import role_here
from runtime.commands.desk import Answer, Given, HandlerTable, answer_key
from runtime.commands.words import build_stop_answer, build_stopped_elsewhere
from runtime.operations import Operations, Stopped
from runtime.people.roles import reaches
from runtime.refusal import OperationRefused
from runtime.sessions.compaction import Compactor
from runtime.store import people_rows, question_rows
from runtime.store.outbox_rows import is_put
from runtime.store.records import TaskRow
from runtime.store.store import Store

DROP_WAITING = (Button(label="Drop what waits", value="/stop all"),)


def stop_handlers(operations: Operations, compactor: Compactor, store: Store) -> HandlerTable:
    """Return the handler of /stop."""

    async def stop(given: Given) -> Answer:
        chat, named = given.message.inbound.chat, given.command.rest.strip()
        if named and named.lower() != "all":
            return await stop_task(given, TaskId(named))
        summaries = await compactor.stop(chat, "stopped by a person")
        stopped = await (operations.stop_chat(chat) if named else stop_work(given))
        tasks = len(stopped.tasks) + summaries
        if not tasks and not stopped.messages and (elsewhere := await stop_elsewhere(given)):
            return Answer(text=build_stopped_elsewhere(elsewhere))
        text = build_stop_answer(tasks, stopped.messages, stopped.kept)
        return Answer(text=text, buttons=DROP_WAITING if stopped.kept else ())

    async def stop_work(given: Given) -> Stopped:
        """Stop what runs; what waits goes on, unless it is all that there is. A stop is carried out a second time when
        what came before it was filed late: it must not end then what it was said to have kept."""
        chat = given.message.inbound.chat
        stopped = await operations.stop_chat(chat, given.message.seq)
        if stopped.tasks or not stopped.kept or await is_second_time(given):
            return stopped
        return await operations.stop_chat(chat)

    async def stop_elsewhere(given: Given) -> tuple[ChatKey, ...]:
        """Stop what a person has asked the same agent in other chats, under any of their identities: this may be the
        only device that they have at hand. Return those chats."""
        inbound, found = given.message.inbound, dict[ChatKey, None]()
        if inbound.chat_kind != "direct" or await is_second_time(given):
            return ()
        for row in await tasks_of(await keys_of(given)):
            if row.group_id == given.message.group_id and row.chat is not None:
                await operations.stop_task(row.task_id)
                found[row.chat] = None
        return tuple(found)

    async def stop_task(given: Given, task_id: TaskId) -> Answer:
        row, inbound = await store.task(task_id), given.message.inbound
        is_theirs = row is not None and row.chat == inbound.chat
        if row is not None and inbound.chat_kind == "direct" and not is_theirs:
            sees_all = row.group_id == given.message.group_id and reaches(await role_here(store, given), "admin")
            is_theirs = sees_all or row.submitter in submitters(await keys_of(given))
        if not is_theirs:
            raise OperationRefused("unknown_task", f"There is no task `{escape(task_id[:40])}` here", "/tasks")
        stopped = await operations.stop_task(task_id)
        return Answer(text=build_stop_answer(len(stopped.tasks), 0))

    async def keys_of(given: Given) -> tuple[PersonKey, ...]:
        inbound = given.message.inbound
        person = (await store.sender_facts(inbound.person, inbound.chat)).person
        return await store.read(people_rows.keys_of, person.person) if person is not None else (inbound.person,)

    async def tasks_of(keys: tuple[PersonKey, ...]) -> list[TaskRow]:
        open_ones = (*await store.running_tasks(), *await store.read(question_rows.suspended_tasks))
        return [row for row in open_ones if row.submitter in submitters(keys)]

    async def is_second_time(given: Given) -> bool:
        return await store.read(is_put, answer_key(given.message))

    return {"stop": stop}


def submitters(keys: tuple[PersonKey, ...]) -> frozenset[str]:
    """Return the names under which a person's tasks are submitted."""
    return frozenset(f"person:{key}" for key in keys)
