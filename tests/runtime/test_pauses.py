"""Groups that are held back: nothing starts, nothing is lost, each cause is lifted by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.ids import GroupId
from runtime.crash_loops import CRASHES
from runtime.pauses import BUDGET, PERSON, Pauses
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def test_a_paused_group_keeps_its_messages_and_says_so(bench: HostBench) -> None:
    """Each message is told once; let go, all are answered in order."""
    async with bench.host():
        assert await bench.pauses.pause(MAIN, by="cli", reason="it is being mended")
        message_id = await bench.say("one")
        (text,) = await bench.channel.texts(1)
        assert "main is paused (it is being mended)" in text
        assert "/resume" in text
        assert (await bench.state_of(message_id))[0] == "queued"
        assert bench.pauses.reasons(MAIN) == ("it is being mended",)
        assert await bench.pauses.resume(MAIN)
        assert bench.pauses.reasons(MAIN) == ()
        assert (await bench.channel.texts(2))[1] == "echo: one"


async def test_a_pause_survives_a_restart(bench: HostBench) -> None:
    """And holds before anything starts."""
    async with bench.host():
        await bench.pauses.pause(MAIN, by="cli")
    async with bench.host():
        await bench.say("one")
        (text,) = await bench.channel.texts(1)
        assert text.startswith("⏸ main is paused;")
        assert bench.room.taken == 0


async def test_what_runs_goes_on(bench: HostBench) -> None:
    """A pause stops nothing that has begun."""
    go_on = asyncio.Event()

    async def slow(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await go_on.wait()
        await agent.answer(0, "done")

    bench.room.scripts = [slow]
    async with bench.host():
        await bench.say("one")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        await bench.pauses.pause(MAIN, by="cli")
        go_on.set()
        assert await bench.channel.texts(1) == ["done"]


async def test_another_group_is_not_held(tmp_path: Path) -> None:
    """Only the group that is named."""
    async with open_bench(tmp_path, groups={"main": "", "other": ""}) as bench, bench.host():
        await bench.pauses.pause(GroupId("other"), by="cli")
        await bench.say("one")
        assert await bench.channel.texts(1) == ["echo: one"]


async def test_each_cause_is_lifted_by_itself(bench: HostBench) -> None:
    """What a spent budget holds, a person's resume does not let go; a cause holds once."""
    pauses = Pauses(bench.store)
    assert await pauses.pause(MAIN, by="cli")
    assert await pauses.pause(MAIN, by="budget", cause=BUDGET, reason="today's money is spent")
    assert not await pauses.pause(MAIN, by="somebody")
    assert [each.cause for each in pauses.of(MAIN)] == [PERSON, BUDGET]
    assert await pauses.resume(MAIN)
    assert not await pauses.resume(MAIN)
    assert [each.reason for each in pauses.all()] == ["today's money is spent"]
    assert await pauses.resume(MAIN, causes=(BUDGET,))
    assert pauses.of(MAIN) == ()
    again = Pauses(bench.store)
    await again.load()
    assert again.all() == ()


async def test_an_agent_that_always_crashes_is_held_back_and_an_owner_told(bench: HostBench) -> None:
    """Two messages' attempts make the loop; the third message waits with a word, and one alarm is raised."""

    async def die(agent: ScriptedAgent) -> None:
        """End without a last word."""

    bench.room.scripts = [die] * 6
    async with bench.host():
        await bench.say("one")
        await bench.channel.texts(1)
        await bench.say("two")
        await bench.channel.texts(2)
        taken = bench.room.taken
        assert taken >= CRASHES
        waiting = await bench.say("three")
        assert "crashed several times in a row" in (await bench.channel.texts(3))[2]
        assert (await bench.state_of(waiting))[0] == "queued"
        assert bench.room.taken == taken
        assert len(bench.alarms) == 1
        assert "crashes again and again" in bench.alarms[0][1]
