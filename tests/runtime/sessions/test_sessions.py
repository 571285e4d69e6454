"""Conversations as a whole, over a real store: listed, taken up again, summed up, written out, ended, and cheap."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId
from protocol.summary import SUMMARY_BEGINS, SUMMARY_PROMPT, build_summary, is_summary
from protocol.transcript import Entry
from runtime.refusal import OperationRefused
from runtime.sessions.compaction import Compactor
from runtime.sessions.desk import SessionDesk
from runtime.sessions.keeper import SessionKeeper
from runtime.store import session_rows
from runtime.store.store import Store
from runtime.task_builder import recent_entries
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench

CHAT = ChatKey("stage:1")
TIMEOUT_S = 10


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with asyncio.timeout(60), open_bench(tmp_path, groups={"main": "session: {idle_hours: 4}\n"}) as opened:
        yield opened


def desk_of(bench: HostBench) -> tuple[SessionDesk, Compactor]:
    compactor = Compactor(bench.store, bench.submissions, bench.delivery.wake)
    bench.desk.ends.subscribe(compactor.task_ended)
    return SessionDesk(bench.store, bench.home, compactor, lambda: UTC), compactor


async def talk(bench: HostBench, *texts: str) -> None:
    """Say these one after the other, each answered before the next."""
    for text in texts:
        count = len(bench.channel.sent)
        await bench.say(text)
        await bench.channel.texts(count + 1)
        await bench.idle()


async def test_an_earlier_conversation_goes_on(bench: HostBench) -> None:
    """After /new the old one is listed with its first words; taken up, the agent sees it again, and the newer stays."""
    async with bench.host():
        desk, _ = desk_of(bench)
        await talk(bench, "about the garden", "and the roses")
        await bench.store.new_session(MAIN, CHAT)
        await talk(bench, "about the kitchen")
        lines = await desk.list(MAIN, CHAT)
        assert [(line.first_words, line.messages, line.is_current) for line in lines] == [
            ("about the kitchen", 1, True),
            ("about the garden", 2, False),
        ]
        taken = await desk.resume(MAIN, CHAT, "2")
        assert taken.first_words == "about the garden"
        await talk(bench, "where were we?")
        seen = " ".join(entry.text for entry in bench.room.assignments[-1].transcript)
        assert "about the garden" in seen
        assert "kitchen" not in seen
        assert [line.ended_by for line in await desk.list(MAIN, CHAT)] == ["resumed", ""]


@pytest.mark.parametrize("reference", ["0", "3", "session_nothere", "", "9" * 30])
async def test_only_a_conversation_of_the_chat_can_be_taken_up(bench: HostBench, reference: str) -> None:
    """A number or id that is none of this chat's is refused, one of another chat's like one that is not there."""
    async with bench.host():
        desk, _ = desk_of(bench)
        await talk(bench, "mine")
        other = await bench.say("theirs", chat="stage:2")
        message = await bench.store.message(other)
        assert message is not None and message.session_id is not None
        for wanted in (reference, message.session_id):
            with pytest.raises(OperationRefused, match="no conversation"):
                await desk.resume(MAIN, CHAT, wanted)


async def test_a_summary_stands_for_what_came_before(bench: HostBench) -> None:
    """One call sums up; then the agent sees the summary alone, the chat is told, and the originals are there."""

    async def sum_up(agent: ScriptedAgent) -> None:
        await agent.turn(0, "They grow roses; open: water them.")
        await agent.reply("They grow roses; open: water them.")

    async with bench.host(), asyncio.TaskGroup() as parts:
        desk, compactor = desk_of(bench)
        running = parts.create_task(compactor.run())
        await talk(bench, "I grow roses", "water them on Friday")
        bench.room.scripts = [sum_up]
        turns = await desk.compact(MAIN, CHAT, "person:stage:ada", "key")
        assert turns == 4
        await bench.channel.until(lambda: any("Summed up" in message.text for message in bench.channel.sent))
        assert len(bench.channel.sent) == 3, "two answers and the notice: the summary itself is not said"
        await talk(bench, "what is open?")
        transcript = bench.room.assignments[-1].transcript
        assert [is_summary(entry) for entry in transcript] == [True]
        assert "water them" in transcript[0].text
        path, name = await desk.export(MAIN, CHAT)
        text = path.read_text("utf-8")
        assert "I grow roses" in text and "water them on Friday" in text
        assert SUMMARY_PROMPT[:40] not in text and "## What came before, summed up" in text
        assert " UTC" in text.splitlines()[2]
        assert name.startswith("conversation-main-")
        running.cancel()


async def test_a_summary_that_failed_changes_nothing(bench: HostBench) -> None:
    """Stopped, the conversation stays as it was and the chat is told; meanwhile no second one is begun."""

    async def hang(agent: ScriptedAgent) -> None:
        await agent.wait_for_stop()

    async with bench.host(), asyncio.TaskGroup() as parts:
        desk, compactor = desk_of(bench)
        running = parts.create_task(compactor.run())
        await talk(bench, "one", "two")
        session = await bench.store.current_session(MAIN, CHAT)
        assert session is not None
        bench.room.scripts = [hang]
        await desk.compact(MAIN, CHAT, "person:stage:ada", "key")
        with pytest.raises(OperationRefused, match="already"):
            await desk.compact(MAIN, CHAT, "person:stage:ada", "key2")
        assert await compactor.stop(CHAT, "stopped by a person") == 1
        await bench.channel.until(lambda: any("was not summed up" in message.text for message in bench.channel.sent))
        assert not await bench.store.read(session_rows.is_compacting, session)
        before = await bench.store.transcript_of(session)
        assert not any(is_summary(entry) for entry in before)
        running.cancel()


async def test_a_summary_whose_end_nobody_heard_is_found(bench: HostBench) -> None:
    """A host that dies between a summary's end and its place in the conversation leaves it to the next."""
    async with bench.host():
        desk, _ = desk_of(bench)
        await talk(bench, "one", "two")
        await desk.compact(MAIN, CHAT, "cli", "key")
        await bench.idle()
        async with asyncio.timeout(TIMEOUT_S):
            while not (await bench.store.read(session_rows.open_compactions))[0].task_id:
                await bench.idle()
    async with bench.host(), asyncio.TaskGroup() as parts:
        _, compactor = desk_of(bench)
        running = parts.create_task(compactor.run())
        await bench.channel.until(lambda: any("Summed up" in message.text for message in bench.channel.sent))
        running.cancel()


async def test_nothing_is_summed_up_that_is_short(bench: HostBench) -> None:
    """A conversation of one question costs no call."""
    async with bench.host():
        desk, _ = desk_of(bench)
        await talk(bench, "hi")
        with pytest.raises(OperationRefused, match="nothing to sum up"):
            await desk.compact(MAIN, CHAT, "cli", "key")
        assert len(bench.room.assignments) == 1


def test_a_summary_stays_when_old_turns_go() -> None:
    """However long the conversation grew since, the summary of what came before is shown."""
    turns = [Entry(role="user", text="x" * 90), Entry(role="assistant", text="y" * 90)] * 5
    kept = recent_entries([build_summary("short"), *turns], 600)
    assert is_summary(kept[0])
    assert len(kept) < 1 + len(turns)
    assert not kept[0].text.startswith(SUMMARY_BEGINS * 2)


async def test_a_conversation_ends_by_itself_and_says_so_once(bench: HostBench) -> None:
    """Left alone for four hours a fresh one begins; whoever speaks next is told in one line, and only once."""
    async with bench.host():
        await talk(bench, "good morning")
        old = await bench.store.current_session(MAIN, CHAT)
        keeper = SessionKeeper(bench.store, bench.around)
        now = datetime.now(UTC)
        next_at = await keeper.end_due(now)
        assert next_at is not None and timedelta(hours=3) < next_at - now <= timedelta(hours=4)
        await keeper.end_due(now + timedelta(hours=5))
        assert await bench.store.current_session(MAIN, CHAT) != old
        assert len(bench.channel.sent) == 1, "nobody is woken for it"
        await bench.say("good evening")
        await bench.channel.texts(3)
        await talk(bench, "again")
        assert sum("A fresh conversation" in message.text for message in bench.channel.sent) == 1
        assert all("good morning" not in entry.text for entry in bench.room.assignments[-1].transcript)


async def test_a_conversation_that_is_busy_does_not_end(bench: HostBench) -> None:
    """While somebody works or waits in it, a conversation is not ended under them."""
    async with bench.host():
        await talk(bench, "good morning")
    message = await bench.file("still to come")
    keeper = SessionKeeper(bench.store, bench.around)
    await keeper.end_due(datetime.now(UTC) + timedelta(hours=50))
    assert await bench.store.current_session(MAIN, CHAT) == message.session_id


async def fill(store: Store, bench: HostBench, count: int) -> None:
    for number in range(count):
        await bench.file(f"hello {number}", chat=f"stage:{number}")


async def test_a_thousand_conversations_leave_nothing_in_memory(bench: HostBench) -> None:
    """A thousand chats with a conversation each, listed and looked through for ends, cost the host less than 1 MB."""
    async with bench.host():
        keeper = SessionKeeper(bench.store, bench.around)
        await fill(bench.store, bench, 10)
        await keeper.end_due(datetime.now(UTC))
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await fill(bench.store, bench, 1_000)
        await keeper.end_due(datetime.now(UTC))
        await bench.store.read(session_rows.sessions_of, GroupId("main"), ChatKey("stage:500"), 10)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < 1_000_000
