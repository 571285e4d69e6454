"""Edits and deletions that reach a working agent, or what was handed to it and not seen yet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from protocol.codec import to_json
from protocol.ids import ChatKey
from protocol.message import InboundMessage
from runtime.store.records import Binding, MessageState
from tests.runtime.host_bench import CHANNEL, MAIN, HostBench, ScriptedAgent, open_bench, said
from tests.runtime.test_steering import round_of_tools, until_working

CHAT = ChatKey("stage:1")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        await opened.store.save_person(said("").person, "Ada", "member", "cli")
        await opened.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
        yield opened


async def take_in(bench: HostBench, inbound: InboundMessage) -> None:
    await bench.intake.accept(CHANNEL, inbound.event_id, json.dumps(to_json(inbound)).encode())


def change(inbound: InboundMessage, kind: Literal["edit", "delete"], text: str = "") -> InboundMessage:
    return replace(inbound, kind=kind, text=text, event_id=f"{inbound.event_id}-{kind}")


async def test_a_working_agent_hears_of_an_edit(bench: HostBench) -> None:
    """It is told between its steps, with what was said before; the next task is not shown it again."""

    async def listen(agent: ScriptedAgent) -> None:
        await round_of_tools(agent)
        await agent.say("working")
        (message,) = await agent.told("buy bread")
        assert 'kind="edit"' in message.text
        assert "buy milk" in message.text
        await agent.steered(3, message)
        await agent.answer(4, "bread it is")

    bench.room.scripts = [listen]
    async with bench.host():
        first = said("buy milk", chat=CHAT)
        await take_in(bench, first)
        await until_working(bench)
        await take_in(bench, change(first, "edit", "buy bread"))
        assert await bench.channel.texts(1) == ["bread it is"]
        await bench.idle()
        await take_in(bench, said("thanks", chat=CHAT))
        await bench.channel.texts(2)
        assert "buy bread" not in bench.room.assignments[1].task.prompt


async def test_an_edit_that_came_too_late_is_context(bench: HostBench) -> None:
    """What the agent was told and its model has not seen is shown to the next task, and makes none of its own."""

    async def hear_and_not_listen(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("buy bread")
        await agent.answer(0, "milk it was")

    bench.room.scripts = [hear_and_not_listen]
    async with bench.host():
        first = said("buy milk", chat=CHAT)
        await take_in(bench, first)
        await until_working(bench)
        await take_in(bench, change(first, "edit", "buy bread"))
        await bench.channel.texts(1)
        await bench.idle()
        assert bench.room.taken == 1
        await take_in(bench, said("thanks", chat=CHAT))
        await bench.channel.texts(2)
        assert "buy bread" in bench.room.assignments[1].task.prompt


async def test_a_working_agent_hears_that_its_message_was_taken_back(bench: HostBench) -> None:
    """It is told between its steps, with what was said; to stop it is a person's word to give."""

    async def listen(agent: ScriptedAgent) -> None:
        await round_of_tools(agent)
        await agent.say("working")
        (message,) = await agent.told("buy milk")
        assert 'kind="delete"' in message.text
        await agent.steered(3, message)
        await agent.answer(4, "then not")

    bench.room.scripts = [listen]
    async with bench.host():
        first = said("buy milk", chat=CHAT)
        await take_in(bench, first)
        await until_working(bench)
        await take_in(bench, change(first, "delete"))
        assert await bench.channel.texts(1) == ["then not"]
        await bench.idle()
        assert bench.room.taken == 1


async def test_that_an_answered_message_was_taken_back_is_context(bench: HostBench) -> None:
    """It makes no task; the next one reads which message it was."""
    async with bench.host():
        first = said("buy milk", chat=CHAT)
        await take_in(bench, first)
        await bench.channel.texts(1)
        await bench.idle()
        await take_in(bench, change(first, "delete"))
        await take_in(bench, said("thanks", chat=CHAT))
        await bench.channel.texts(2)
        prompt = bench.room.assignments[1].task.prompt
        assert 'kind="delete"' in prompt
        assert "buy milk" in prompt
        assert bench.room.taken == 2


async def test_what_was_taken_back_is_not_answered(bench: HostBench) -> None:
    """A message that waits behind the task goes with its deletion, also out of the agent's ears."""

    async def wait_for_a_word(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("never mind", "go on")
        await agent.answer(0, "done")

    bench.room.scripts = [wait_for_a_word]
    async with bench.host():
        await take_in(bench, said("buy milk", chat=CHAT))
        await until_working(bench)
        second = said("never mind", chat=CHAT)
        await take_in(bench, second)
        await take_in(bench, change(second, "delete"))
        await take_in(bench, said("go on", chat=CHAT))
        assert await bench.channel.texts(2) == ["done", "echo: go on"]
        await bench.idle()
        (taken_back,) = [
            each for each in await bench.store.recent_messages() if each.inbound.event_id == second.event_id
        ]
        assert (taken_back.state, taken_back.inbound.text) == (MessageState.REFUSED, "")


async def test_a_waiting_message_is_answered_in_its_new_words(bench: HostBench) -> None:
    """What waits behind the task is the next one, as it was said last."""

    async def work(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.told("buy eggs", "buy rice")
        await agent.answer(0, "done")

    bench.room.scripts = [work]
    async with bench.host():
        await take_in(bench, said("buy milk", chat=CHAT))
        await until_working(bench)
        second = said("buy eggs", chat=CHAT)
        await take_in(bench, second)
        await take_in(bench, change(second, "edit", "buy rice"))
        assert await bench.channel.texts(2) == ["done", "echo: buy rice"]
