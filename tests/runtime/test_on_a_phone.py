"""What people see on their phones while work goes on: the real channel at the twin, store, queue and delivery. Agents
are scripted, and waits are as long as a test wants them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from channels.telegram.channel import TelegramChannel
from protocol.ids import ChannelId, ChatKey, PersonKey
from protocol.transcript import ToolCall
from runtime.bursts import Holds
from runtime.progress.book import ProgressBook
from runtime.store.records import Binding, MessageState, QueueMode
from tests.channels.telegram.support import CHANNEL, QUICK, Phone
from tests.runtime.host_bench import MAIN, TIMEOUT_S, HostBench, ScriptedAgent, open_bench
from tests.runtime.test_steering import round_of_tools
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN

ADA = 1001
CHAT = ChatKey(f"telegram:{ADA}")
PERSON = PersonKey(CHAT)
FOREVER = Holds(burst_s=3600.0, piece_s=3600.0, longest_s=3600.0)
CALL = ToolCall(call_id="call_1", name="shell", arguments={"command": "make all"})


class There:
    """One life of a host with a Telegram account, and Ada's phone."""

    def __init__(self, bench: HostBench, phone: Phone) -> None:
        self.bench = bench
        self.phone = phone

    async def bind(self, mode: QueueMode) -> None:
        await self.bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN, mode=mode))

    async def until(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Return what the bot has said and shows now, as soon as it is as wanted."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                number = await self.phone.last_event()
                seen = [str(message.get("text", "")) for message in await self.phone.sees(ADA)]
                if holds(seen):
                    return seen
                await self.phone.get("log", after=number, wait_s=1)

    async def until_said(self, text: str, state: MessageState) -> None:
        """Wait until the store has a message of this text in this state."""
        async with asyncio.timeout(TIMEOUT_S):
            while (text, state) not in [
                (each.inbound.text, each.state) for each in await self.bench.store.recent_messages()
            ]:
                await self.phone.get("log", after=await self.phone.last_event(), wait_s=0.05)

    async def states(self) -> list[MessageState]:
        """Return how the messages stand, oldest first."""
        return [each.state for each in reversed(await self.bench.store.recent_messages())]


@asynccontextmanager
async def on_a_phone(bench: HostBench) -> AsyncIterator[There]:
    async def fetch_secret() -> str:
        return DEFAULT_TOKEN

    twin = TelegramTwin()
    await bench.store.save_person(PERSON, "Ada", "owner", "cli")
    async with twin.serve() as url, httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as http:
        telegram = TelegramChannel(CHANNEL, fetch_secret, url, QUICK)
        # A bench's house has a stage; here the product's own channel stands beside it.
        cast(dict[ChannelId, Any], bench.around.channels)[CHANNEL] = telegram
        async with bench.host() as dispatcher, asyncio.TaskGroup() as parts:
            running = [
                parts.create_task(telegram.run(bench.intake)),
                parts.create_task(bench.progress.run(dispatcher.show_progress)),
            ]
            there = There(bench, Phone(http))
            await there.bind("steer")
            yield there
            for part in running:
                part.cancel()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with asyncio.timeout(60), open_bench(tmp_path) as opened:
        yield opened


async def test_commands_do_not_wait_for_a_burst(bench: HostBench) -> None:
    """A chat that collects holds its messages; a command given meanwhile is carried out at once, and they wait on."""
    bench.holds = FOREVER
    async with on_a_phone(bench) as there:
        await there.bind("collect")
        await there.phone.type("one")
        await there.phone.type("/status")
        await there.phone.type("two")
        async with asyncio.timeout(TIMEOUT_S):
            while len(await there.states()) < 3 or not bench.commands:
                await there.phone.get("log", after=await there.phone.last_event(), wait_s=0.05)
        assert [each.inbound.text for each in bench.commands] == ["/status"]
        assert [state for state in await there.states() if state is not MessageState.COMMAND] == [
            MessageState.QUEUED,
            MessageState.QUEUED,
        ]
        assert bench.room.taken == 0


async def test_a_file_ends_the_wait_of_a_burst(bench: HostBench) -> None:
    """What has a file is answered at once, together with what was said before it."""
    bench.holds = FOREVER
    async with on_a_phone(bench) as there:
        await there.bind("collect")
        await there.phone.type("look at this")
        await there.phone.upload("a.txt", b"words", caption="here it is")
        (answer,) = await there.until(lambda seen: bool(seen))
        assert "look at this" in answer
        assert "here it is" in answer
        assert bench.room.taken == 1


@pytest.mark.parametrize("mode", ["steer", "collect", "follow_up"])
async def test_a_paste_is_one_question(bench: HostBench, mode: QueueMode) -> None:
    """The app cuts a text of 8,203 signs into three messages: one task answers all, as soon as the last is there."""

    async def read(agent: ScriptedAgent) -> None:
        prompt = agent.assignment.task.prompt
        is_whole = all(each in prompt for each in ("a" * 4_096, "b" * 4_096, "and the end"))
        await agent.answer(0, "whole" if is_whole else "in part")

    bench.room.scripts = [read]
    bench.holds = Holds(burst_s=0.5, piece_s=3600.0, longest_s=3600.0)
    async with on_a_phone(bench) as there:
        await there.bind(mode)
        await there.phone.type("a" * 4_096 + "b" * 4_096 + "and the end")
        assert await there.until(lambda seen: bool(seen)) == ["whole"]
        assert bench.room.taken == 1
        assert await there.states() == [MessageState.ANSWERED] * 3


async def test_long_work_says_for_how_long(bench: HostBench) -> None:
    """While nothing else happens the line tells time and steps by itself, as one message that is edited and goes."""

    async def build(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        await go_on.wait()
        await agent.tool_finished(2, CALL)
        await agent.answer(3, "built")

    go_on = asyncio.Event()
    bench.room.scripts = [build]
    bench.progress = ProgressBook(long_s=0.2, every_s=0.2)
    async with on_a_phone(bench) as there:
        await there.phone.type("build it")
        line = "still working, 0 min, step 2"
        (shown,) = await there.until(lambda seen: any(text.startswith(line) for text in seen))
        assert "make all" not in shown
        go_on.set()
        assert await there.until(lambda seen: seen == ["built"]) == ["built"]
        sent = await there.phone.calls("sendMessage")
        assert [call["arguments"].get("disable_notification", "false") for call in sent] == ["true", "false"]


async def test_a_waiting_message_is_mended(bench: HostBench) -> None:
    """What waits behind other work is answered in its new words."""

    async def work(agent: ScriptedAgent) -> None:
        await go_on.wait()
        await agent.answer(0, "first")

    go_on = asyncio.Event()
    bench.room.scripts = [work]
    async with on_a_phone(bench) as there:
        await there.bind("follow_up")
        await there.phone.type("one")
        waiting = await there.phone.type("two")
        await there.phone.type("two, mended", edit=waiting)
        await there.until_said("two, mended", MessageState.QUEUED)
        go_on.set()
        wanted = ["first", "echo: two, mended"]
        assert await there.until(lambda seen: len(seen) == 2) == wanted


async def test_a_working_agent_hears_of_an_edit(bench: HostBench) -> None:
    """It is told what the message says now, and what it said; the edit makes no task of its own."""

    async def listen(agent: ScriptedAgent) -> None:
        await round_of_tools(agent)
        begun.set()
        (message,) = await agent.told("buy bread")
        assert 'kind="edit"' in message.text
        assert "buy milk" in message.text
        await agent.steered(3, message)
        await agent.answer(4, "bread it is")

    begun = asyncio.Event()
    bench.room.scripts = [listen]
    async with on_a_phone(bench) as there:
        number = await there.phone.type("buy milk")
        async with asyncio.timeout(TIMEOUT_S):
            await begun.wait()
        await there.phone.type("buy bread", edit=number)
        assert await there.until(lambda seen: bool(seen)) == ["bread it is"]
        await bench.idle()
        assert bench.room.taken == 1


async def test_an_edit_of_what_was_answered_is_context(bench: HostBench) -> None:
    """It is not answered; the next task reads what the message says now, and what it said."""
    async with on_a_phone(bench) as there:
        number = await there.phone.type("buy milk")
        await there.until(lambda seen: len(seen) == 1)
        await bench.idle()
        await there.phone.type("buy bread", edit=number)
        await there.until_said("buy bread", MessageState.CONTEXT)
        await there.phone.type("thanks")
        await there.until(lambda seen: len(seen) == 2)
        prompt = bench.room.assignments[1].task.prompt
        assert 'kind="edit"' in prompt
        assert "buy milk" in prompt
        assert "buy bread" in prompt
        assert bench.room.taken == 2
