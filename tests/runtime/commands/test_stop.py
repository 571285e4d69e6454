"""/stop from wherever somebody is: in the chat itself, and from another account of theirs."""

from __future__ import annotations

import asyncio

from protocol.ids import TaskId
from tests.runtime.people.conftest import ADA, BEN, BEN_KEY, YARD, TelegramHouse, code_in

CAY = 1003


async def link_cay(there: TelegramHouse) -> None:
    """Have Ben let in, and his other account linked."""
    there.twin.world.add_person(CAY, "Ben on another phone")
    await there.pair()
    await there.let_ben_in()
    await there.phone.type("/link", person=BEN)
    code = code_in(await there.reads(BEN, "from your other account"))
    await there.phone.type(code, person=CAY)
    await there.reads(CAY, "are one person")


async def begin(there: TelegramHouse, chat: int, person: int) -> TaskId:
    """Have somebody ask for something that takes long; return its task."""
    there.house.agent.working.clear()
    await there.phone.type("slow", chat=chat, person=person)
    async with asyncio.timeout(10):
        await there.house.agent.working.wait()
    (task,) = await there.house.store.running_tasks()
    return task.task_id


async def ended(there: TelegramHouse, task_id: TaskId) -> str:
    """Return how a task ended, as soon as it has."""
    async with asyncio.timeout(10):
        while (row := await there.house.store.task(task_id)) is not None and row.ended_at is None:
            await there.phone.get("log", after=await there.phone.last_event(), wait_s=0.05)
    assert row is not None
    return row.state


async def test_a_linked_account_stops_what_its_person_asked(there: TelegramHouse) -> None:
    """Where nothing runs, /stop reaches what the same person asked the same agent elsewhere, and says where."""
    await link_cay(there)
    task_id = await begin(there, BEN, BEN)
    await there.phone.type("/stop", person=CAY)
    told = await there.reads(CAY, "Stopped what you had asked for elsewhere")
    assert BEN_KEY in told["text"]
    assert await ended(there, task_id) == "stopped"


async def test_a_linked_account_stops_a_task_by_its_name(there: TelegramHouse) -> None:
    """/stop TASK reaches one's own task from any account of one's own."""
    await link_cay(there)
    task_id = await begin(there, BEN, BEN)
    await there.phone.type(f"/stop {task_id}", person=CAY)
    await there.reads(CAY, "Stopped.")
    assert await ended(there, task_id) == "stopped"


async def test_nobody_stops_what_others_asked(there: TelegramHouse) -> None:
    """Another person's task goes on, whether it is named or not; so does one's own while one speaks among many."""
    await link_cay(there)
    await there.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many")
    task_id = await begin(there, ADA, ADA)
    await there.phone.type("/stop", person=BEN)
    await there.reads(BEN, "Nothing was running here.")
    await there.phone.type(f"/stop {task_id}", person=BEN)
    await there.reads(BEN, "There is no task")
    await there.phone.type("/stop", chat=YARD, person=ADA)
    await there.reads(YARD, "Nothing was running here.")
    assert [task.task_id for task in await there.house.store.running_tasks()] == [task_id]
    await there.phone.type("/stop")
    await there.reads(ADA, "Stopped.")


async def test_a_stop_that_is_carried_out_again_stops_nothing_new(there: TelegramHouse) -> None:
    """A stop may be carried out twice: what was begun elsewhere after the first time goes on."""
    await link_cay(there)
    elsewhere = await begin(there, BEN, BEN)
    await there.phone.type("/stop", person=CAY)
    await there.reads(CAY, "elsewhere")
    assert await ended(there, elsewhere) == "stopped"
    again = await begin(there, BEN, BEN)
    (stop,) = [
        each
        for each in await there.house.store.recent_messages()
        if (each.inbound.text, each.inbound.person) == ("/stop", f"telegram:{CAY}")
    ]
    await there.house.commands.perform(stop)
    assert [task.task_id for task in await there.house.store.running_tasks()] == [again]
    await there.phone.type("/stop", person=BEN)
    assert await ended(there, again) == "stopped"
