"""Doing what is due in each chat."""

from __future__ import annotations

import asyncio

from channels.rounds import AT_ONCE, Rounds
from tests.channels.showing import Stage, running


async def test_a_slow_chat_holds_up_no_other() -> None:
    """While one chat's platform does not answer, the others have their turns, and none has two at once."""
    stage, left = Stage(), {1: 1, 2: 20, 3: 20}
    stage.held[1] = asyncio.Event()

    async def act(place: int) -> None:
        await stage.send_typing(place)
        left[place] -= 1

    rounds: Rounds[int] = Rounds(lambda: [(0.0, place) for place, more in left.items() if more], act, per_s=1e6)
    async with running(rounds.run):
        await stage.until(lambda: stage.count("typing", 2) == stage.count("typing", 3) == 20)
        assert stage.count("typing", 1) == 1
        stage.held.pop(1).set()
        async with asyncio.timeout(10):
            await rounds.until_still(1)
    assert left == {1: 0, 2: 0, 3: 0}


async def test_so_many_at_once_and_no_more() -> None:
    """Calls that only show work leave connections to those that answer."""
    stage = Stage()
    for place in range(AT_ONCE + 5):
        stage.held[place] = asyncio.Event()
    todo = set(range(AT_ONCE + 5))

    async def act(place: int) -> None:
        await stage.send_typing(place)
        todo.discard(place)

    rounds: Rounds[int] = Rounds(lambda: [(0.0, place) for place in sorted(todo)], act, per_s=1e6)
    async with running(rounds.run):
        await stage.until(lambda: len(stage.calls) == AT_ONCE)
        stage.held[0].set()
        await stage.until(lambda: len(stage.calls) == AT_ONCE + 1)
        assert stage.calls[-1][1] == AT_ONCE


async def test_no_more_in_a_second_than_allowed() -> None:
    """The calls of all chats together keep their distance."""
    stage, todo = Stage(), set(range(10))

    async def act(place: int) -> None:
        todo.discard(place)
        await stage.send_typing(place)

    rounds: Rounds[int] = Rounds(lambda: [(0.0, place) for place in sorted(todo)], act, per_s=100.0)
    began_at = asyncio.get_running_loop().time()
    async with running(rounds.run):
        await stage.until(lambda: len(stage.calls) == 10)
    assert asyncio.get_running_loop().time() - began_at >= 0.09
    assert [place for _, place, _ in stage.calls] == list(range(10))


async def test_asleep_while_nothing_is_due() -> None:
    """Nothing is looked at again before it is due, or somebody says that something has changed."""
    looks: list[list[tuple[float, int]]] = []
    due: list[tuple[float, int]] = []
    stage = Stage()

    def look() -> list[tuple[float, int]]:
        looks.append(list(due))
        return looks[-1]

    async def act(place: int) -> None:
        due.clear()
        await stage.send_typing(place)

    rounds: Rounds[int] = Rounds(look, act)
    async with running(rounds.run):
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(looks) == 1
        due.append((asyncio.get_running_loop().time() + 0.02, 5))
        rounds.wake()
        await stage.until(lambda: stage.count("typing", 5) == 1)
        assert len(looks) <= 4
