"""Finished agents are let go when nobody waits for a container, and soon enough all the same."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocol.link import Finished
from runtime import farewell
from runtime.container_session import ContainerSession
from tests.runtime.container_house import ContainerHouse, first_event, open_house, until

pytestmark = pytest.mark.engine


@asynccontextmanager
async def finished(
    agent_image: str, *groups: str, **setup: Any
) -> AsyncIterator[tuple[ContainerHouse, list[ContainerSession]]]:
    """An agent of each group that has said its last word."""
    async with open_house(agent_image, **setup) as house:
        sessions = [await house.begin("answer('done')", house.kind(group)) for group in groups]
        for session in sessions:
            assert isinstance(await first_event(session), Finished)
        yield house, sessions


async def lives(house: ContainerHouse, session: ContainerSession) -> bool:
    state = await house.engine.inspect(session.container_id)
    return state is not None and state.is_running


async def test_an_agent_goes_at_once_when_nobody_waits(agent_image: str) -> None:
    """It is not at work any more when it is dismissed; then container, door and folder go."""
    async with finished(agent_image, "main") as (house, (session,)):
        session.dismiss(1)
        assert (house.containers.statistics().working, house.containers.statistics().removing) == (0, 1)
        began = time.monotonic()
        await until(lambda: house.containers.statistics().removing == 0)
        assert time.monotonic() - began < 10 * farewell.LONGEST_S
        assert not session.door.path.exists()
        assert await house.engine.inspect(session.container_id) is None


async def test_agents_stay_while_somebody_waits_for_a_container(agent_image: str) -> None:
    """They go when the others have theirs, the reaper leaves them alone meanwhile."""
    async with finished(agent_image, "main", "other") as (house, sessions):
        taking = asyncio.create_task(house.take(house.kind("third")))
        await asyncio.sleep(0)
        for session in sessions:
            session.dismiss(1)
        await until(lambda: house.containers.statistics().starting == 1)
        assert [await lives(house, session) for session in sessions] == [True, True]
        third = await taking
        await until(lambda: house.containers.statistics().removing == 0)
        assert [await lives(house, session) for session in (*sessions, third)] == [False, False, True]
        await third.end("the test is over")


async def test_an_agent_goes_before_the_next_of_its_group_works(agent_image: str) -> None:
    """Its group takes a container: it goes now, whoever else waits for one."""
    async with finished(agent_image, "main", "other") as (house, (main, other)):
        first = asyncio.create_task(house.take(house.kind("third")))
        await asyncio.sleep(0)
        main.dismiss(1)
        other.dismiss(1)
        second = asyncio.create_task(house.take(house.kind("main")))
        async with asyncio.timeout(10):
            while await lives(house, main):
                pass
        assert not (first.done() and second.done())
        assert await lives(house, other)
        for session in await asyncio.gather(first, second):
            await session.end("the test is over")


async def test_a_rush_without_end_holds_nobody_for_long(agent_image: str) -> None:
    """Somebody waits for a container all the time: a finished agent goes within five seconds."""
    async with finished(agent_image, "main") as (house, (session,)):
        is_over = asyncio.Event()

        async def rush(group: str) -> None:
            while not is_over.is_set():
                taken = await house.take(house.kind(group))
                await taken.end("the test goes on")

        async with asyncio.TaskGroup() as rushing:
            for group in ("one", "two"):
                rushing.create_task(rush(group))
            await until(lambda: house.containers.statistics().starting == 2)
            session.dismiss(1)
            began = time.monotonic()
            await until(lambda: not session.door.path.exists())
            assert 1.0 < time.monotonic() - began < 20.0
            is_over.set()


async def test_a_short_machine_keeps_no_finished_agent(agent_image: str) -> None:
    """Below twice the floors of the settings room comes first: it goes while others wait."""
    floor_mb = shutil.disk_usage("/tmp").free * 2 // 3 >> 20
    async with finished(agent_image, "main", free_disk_floor_mb=floor_mb) as (house, (session,)):
        taking = asyncio.create_task(house.take(house.kind("other")))
        await asyncio.sleep(0)
        session.dismiss(1)
        async with asyncio.timeout(10):
            while await lives(house, session):
                pass
        assert not taking.done()
        await (await taking).end("the test is over")


async def test_a_host_that_goes_takes_finished_agents_along(agent_image: str) -> None:
    """Nothing is left of an agent that was still to be let go."""
    async with finished(agent_image, "main") as (house, (session,)):
        await asyncio.gather(house.take(house.kind("one")), house.take(house.kind("two")))  # a rush
        session.dismiss(1)
        assert house.host is not None
        house.host.cancel()
        await asyncio.wait({house.host})
        assert await house.engine.inspect(session.container_id) is None
        assert not session.door.path.exists()
