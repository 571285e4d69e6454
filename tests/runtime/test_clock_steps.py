"""Clocks that are set: waits are on the monotonic clock, and what a wall clock measured is kept within bounds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.store.store import open_store
from tests.runtime.host_bench import ScriptedAgent, open_bench
from tests.runtime.test_recovery import lost, reconnect


class Clock:
    """A wall clock that is set."""

    def __init__(self) -> None:
        self.step = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.step


def stepped_home(path: Path) -> Path:
    home = path / "stepped"
    home.mkdir()
    return home


@pytest.mark.parametrize("step", [timedelta(days=-3), timedelta(days=3)])
async def test_a_task_taken_up_after_a_step_of_the_clock_is_finished(tmp_path: Path, step: timedelta) -> None:
    """An attempt that seems to have begun in the future, or long ago, still says its last word; its messages are told
    nothing wrong, and what comes after is answered in order."""
    clock, stored = Clock(), asyncio.Event()
    async with open_bench(tmp_path) as bench, open_store(stepped_home(tmp_path), clock=clock) as stepped:
        bench.store = stepped

        async def work_on(agent: ScriptedAgent) -> None:
            await agent.turn(0, "working")
            stored.set()
            await lost(agent)
            await reconnect(agent, bench)
            await agent.answer(1, "still here")

        bench.room.scripts = [work_on]
        clock.step = step
        async with bench.host():
            await bench.say("work")
            async with asyncio.timeout(5):
                await stored.wait()
        clock.step = timedelta()
        async with bench.host():
            assert await bench.channel.texts(1) == ["still here"]
            await bench.idle()
            await bench.say("and now?")
            assert (await bench.channel.texts(2))[1] == "echo: and now?"
            check = await bench.store.verify_journal()
            assert check.broken_at is None


async def test_a_burst_is_measured_by_the_monotonic_clock(tmp_path: Path) -> None:
    """The store's clock jumps between two pieces of a burst: they are answered together all the same."""
    clock = Clock()
    async with open_bench(tmp_path) as bench, open_store(stepped_home(tmp_path), clock=clock) as stepped:
        bench.store = stepped
        async with bench.host():
            await bench.say("one", mode="collect")
            clock.step = timedelta(hours=-1)
            await bench.say("two", mode="collect")
            assert await bench.channel.texts(1) == ["echo: one | two"]
