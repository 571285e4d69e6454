"""One chat's jobs: in order, turns held, patience ended by who is in a hurry."""

from __future__ import annotations

import asyncio

import pytest

from runtime.chat_lane import ChatLane


async def test_jobs_are_done_in_order_around_a_turn() -> None:
    """A turn comes after what was before it, and holds up what is behind it until it is over."""
    lane, done = ChatLane(), []

    async def first() -> None:
        done.append("first")

    async def last() -> None:
        done.append("last")

    lane.jobs.append(first)
    turn = lane.hold_turn()
    lane.jobs.append(last)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(lane.run())
        await turn.come.wait()
        assert done == ["first"]
        turn.over.set()
    assert done == ["first", "last"]


async def test_long_work_is_cut_off_for_who_is_in_a_hurry() -> None:
    """The work under way and the next are left; calm again, work is waited for."""
    lane, started = ChatLane(), asyncio.Event()
    turn, other = lane.hold_turn(), lane.hold_turn()

    async def work() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    async def quick() -> str:
        return "done"

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        working = group.create_task(lane.patiently(work))
        await started.wait()
        lane.hurry(turn)
        lane.hurry(other)
        assert await working is None
        assert await lane.patiently(quick) is None
        lane.calm(turn)
        lane.calm(other)
        assert await lane.patiently(quick) == "done"


async def test_a_timeout_of_the_work_itself_is_its_own() -> None:
    """Nobody is in a hurry: what the work raises goes on."""

    async def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await ChatLane().patiently(work)
