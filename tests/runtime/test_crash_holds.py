"""A group whose agents crash again and again is held back where everybody sees it, and let go when that is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.ids import GroupId, TaskId
from runtime.crash_holds import CrashHolds
from runtime.crash_loops import CRASHES, CrashLoops
from runtime.pauses import CRASH_LOOP, Pauses
from runtime.store.store import Store, open_store
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench

TASK = TaskId("task_1")


async def die(agent: ScriptedAgent) -> None:
    """End without a last word."""


class House:
    """Holds over one store."""

    def __init__(self, store: Store, first_hold_s: float = 60.0) -> None:
        self.pauses = Pauses(store)
        self._changed = asyncio.Event()
        self.pauses.when_changed(self._changed.set)
        self.alarms: list[str] = []
        loops = CrashLoops(first_hold_s)
        self.holds = CrashHolds(self.pauses, lambda key, text, group_id: self.alarms.append(key), loops)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        await self.pauses.load()
        async with asyncio.TaskGroup() as parts:
            running = parts.create_task(self.holds.run())
            await asyncio.sleep(0)
            yield
            running.cancel()

    async def crash(self, times: int) -> None:
        for _ in range(times):
            await self.holds.crashed(MAIN, TASK)

    def is_held(self) -> bool:
        return any(pause.cause == CRASH_LOOP for pause in self.pauses.of(MAIN))

    async def until_let_go(self) -> None:
        async with asyncio.timeout(5):
            while self.is_held():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


async def test_a_loop_is_a_pause_with_its_cause_and_its_mend(store: Store) -> None:
    """Who looks at the group reads why it is held back, and what lets it go; an owner is told once."""
    house = House(store)
    await house.crash(CRASHES - 1)
    assert not house.is_held()
    await house.crash(3)
    (reason,) = house.pauses.reasons(MAIN)
    assert reason.startswith("its agent crashed several times in a row")
    assert "`nightyard logs host`" in reason
    assert "`nightyard resume main`" in reason
    assert house.alarms == [f"crash_loop:{TASK}"]


async def test_an_attempt_that_works_lets_the_group_go(store: Store) -> None:
    """At once, and the next crash is the first again."""
    house = House(store)
    async with house.runs():
        await house.crash(CRASHES)
        house.holds.worked(MAIN)
        await house.until_let_go()
        await house.crash(CRASHES - 1)
        assert not house.is_held()


async def test_a_persons_resume_begins_anew(store: Store) -> None:
    """They say that it is mended: so many crashes as before make the next hold, and it is told again."""
    house = House(store)
    await house.crash(CRASHES)
    assert await house.pauses.resume(MAIN)
    await house.crash(CRASHES - 1)
    assert not house.is_held()
    await house.crash(1)
    assert house.is_held()
    assert len(house.alarms) == 2


async def test_a_hold_outlives_the_host_and_ends_by_itself(store: Store) -> None:
    """The next host holds the group for the shortest time, tells nobody again, and then lets it go."""
    await House(store).crash(CRASHES)
    house = House(store, first_hold_s=0.05)
    async with house.runs():
        assert house.is_held()
        await house.until_let_go()
    assert house.alarms == []


async def test_other_causes_and_groups_are_left_alone(store: Store) -> None:
    """The end of a loop lifts no person's pause."""
    house = House(store)
    await house.pauses.pause(MAIN, by="cli")
    await house.pauses.pause(GroupId("other"), by="cli")
    async with house.runs():
        await house.crash(CRASHES)
        house.holds.worked(MAIN)
        await house.until_let_go()
    assert len(house.pauses.all()) == 2


async def test_resume_has_a_crashing_agent_tried_at_once(tmp_path: Path) -> None:
    """What waited for the end of the hold is answered as soon as a person lets it go, also after a restart."""
    async with open_bench(tmp_path) as bench:
        bench.room.scripts = [die] * 6
        async with bench.host():
            await _crash_twice(bench)
            await bench.say("three")
            assert "crashed several times in a row" in (await bench.channel.texts(3))[2]
        async with bench.host():
            assert bench.pauses.of(MAIN)
            assert await bench.pauses.resume(MAIN)
            assert (await bench.channel.texts(4))[3] == "echo: three"
        assert len(bench.alarms) == 1


async def _crash_twice(bench: HostBench) -> None:
    await bench.say("one")
    await bench.channel.texts(1)
    await bench.say("two")
    await bench.channel.texts(2)
