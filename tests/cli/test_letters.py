"""`letters`, as it is typed: what failed is listed, explained, tried again with success, and closed."""

from __future__ import annotations

import asyncio
import json

from channels.terminal.decode import Saying, encode_saying
from client.control import ControlClient
from protocol.ids import ChannelId, ChatKey, GroupId, TaskId
from protocol.message import OutboundMessage
from protocol.task import TaskResult, TaskStatus
from runtime.store.records import MessageState
from tests.cli.conftest import Run
from tests.scripted_house import House

CHAT, TERMINAL, MAIN = ChatKey("terminal:main"), ChannelId("terminal"), GroupId("main")
FAILED = TaskResult(status=TaskStatus.FAILED, code="agent_crashed", reason="It crashed.")


def saying(event_id: str, text: str) -> bytes:
    said_at = "2026-01-31T09:00:00Z"
    return encode_saying(Saying(event_id=event_id, chat=CHAT, sender="Ada", said_at=said_at, text=text))


async def failed_task(house: House) -> TaskId:
    update = await house.store.store_raw(TERMINAL, "event-1", saying("event-1", "make tea"))
    assert update is not None
    inbound = house.channel.decode(update.raw)
    assert inbound is not None
    filed = await house.store.file_message(update.raw_id, inbound, state=MessageState.QUEUED, group_id=MAIN)
    claim = await house.store.claim_messages([filed.message.message_id])
    await house.store.finish_task(claim.task.task_id, FAILED, message_state=MessageState.DEAD)
    return claim.task.task_id


async def dead_delivery(house: House) -> str:
    await house.store.put_outbound("notice:1", OutboundMessage(chat=CHAT, text="a word for you"))
    (row,) = await house.store.claim_outbox()
    await house.store.outbox_dead(row.outbox_id, "the terminal's folder was gone")
    return f"out_{row.outbox_id}"


async def dead_update(house: House) -> str:
    update = await house.store.store_raw(TERMINAL, "event-2", saying("event-2", "hello again"))
    assert update is not None
    await house.store.file_dead_letter(update.raw_id, "not a saying of this version")
    return f"raw_{update.raw_id}"


async def told(house: House, *words: str) -> None:
    """Wait until the chat was shown all of these words, in any order."""
    left = set(words)
    async with asyncio.timeout(30), ControlClient(house.home.control_socket).chat("main") as chat:
        async for shown in chat.shown():
            left -= {each for each in left if each in shown.text}
            if not left:
                return


async def test_each_kind_is_explained_and_tried_again(nightyard: Run, house: House) -> None:
    """A task, a delivery and an update are listed and explained; tried again, the task's message waits once more, the
    delivery reaches its chat, and the update is read and answered. The chain stays whole."""
    task, delivery, update = await failed_task(house), await dead_delivery(house), await dead_update(house)
    listed = (await nightyard("letters")).out
    assert [listed.index(each) for each in (task, delivery, update)]
    for letter, what, why in (
        (task, "make tea", "It crashed. (agent_crashed)"),
        (delivery, "a word for you", "the terminal's folder was gone (after 1 try)"),
        (update, "event event-2 of terminal", "not a saying of this version"),
    ):
        shown = await nightyard("letters", "show", letter)
        assert shown.code == 0, shown.err
        assert f"  {what}" in shown.out
        assert f"  {why}\n" in shown.out
    assert f"./nightyard trace {task}" in (await nightyard("letters", "show", task)).out
    for letter in (delivery, update):
        assert (await nightyard("letters", "retry", letter)).out == f"{letter} is tried again.\n"
    await told(house, "a word for you", "**You** said hello again")
    assert (await nightyard("retry", task)).out == f"{task} is tried again.\n"
    (again,) = [each for each in await house.store.recent_messages() if each.inbound.text == "make tea"]
    assert again.state is MessageState.QUEUED
    assert house.agent.woken == 1
    assert (await nightyard("letters")).out == "No dead letters: everything has found its end.\n"
    ended = json.loads((await nightyard("letters", "--all", "--json")).out)["letters"]
    assert {each["letter"]: (each["state"], each["ended_by"]) for each in ended} == dict.fromkeys(
        (task, delivery, update), ("retried", "cli")
    )
    assert (await nightyard("journal", "verify")).out.startswith("journal: whole, ")


async def test_letters_are_closed_one_by_one_and_all_at_once(nightyard: Run, house: House) -> None:
    """A closed letter is open no more, says who closed it, and cannot be tried again; `--all` closes the rest."""
    task, delivery, update = await failed_task(house), await dead_delivery(house), await dead_update(house)
    assert (await nightyard("letters", "close", task)).out == f"{task} is closed.\n"
    listed = (await nightyard("letters", "-n", "1")).out
    assert task not in listed
    assert "1 older ones are open too: -n 2 shows them." in listed
    refused = await nightyard("letters", "retry", task)
    assert refused.code == 1
    assert "closed already, by cli" in refused.err
    assert (await nightyard("letters", "close", "--all")).out == "Closed: 2.\n"
    everything = (await nightyard("letters", "--all")).out
    assert everything.count("closed by cli") == 3
    assert all(each in everything for each in (delivery, update))
