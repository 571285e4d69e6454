"""Waiting without a round of the loop: who waits goes on at once, and a task sees a future like any other."""

from __future__ import annotations

import asyncio

import pytest

from credproxy.wire.expiry import expiry_of
from credproxy.wire.waiting import Waiter


async def begin(waiter: Waiter, seen: list[str]) -> asyncio.Task[None]:
    """Return a task that waits."""

    async def wait() -> None:
        await waiter
        seen.append("went on")

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)  # it begins
    return task


async def told_by_the_loop(tell: object) -> None:
    """Call something as the loop calls a transport's protocol: outside any task."""
    done = asyncio.get_running_loop().create_future()

    def call() -> None:
        tell()  # type: ignore[operator]  # whatever it returns
        done.set_result(None)

    asyncio.get_running_loop().call_soon(call)
    await done


async def test_who_waits_goes_on_before_the_call_returns() -> None:
    """Told by the loop, the task runs inside the call; a second word is heard by nobody."""
    waiter, seen = Waiter(asyncio.get_running_loop()), list[str]()
    for _again in range(3):
        task = await begin(waiter, seen)
        seen.clear()

        def tell(task: asyncio.Task[None] = task) -> None:
            waiter.go_on()
            assert seen == ["went on"]
            assert task.done()
            waiter.go_on()

        await told_by_the_loop(tell)
        assert seen == ["went on"]


async def test_told_by_another_task_it_goes_on_in_the_next_round() -> None:
    """One task never runs inside another."""
    waiter, seen = Waiter(asyncio.get_running_loop()), list[str]()
    task = await begin(waiter, seen)
    waiter.go_on()
    assert seen == []
    await task
    assert seen == ["went on"]


async def test_cancelled_and_failed_waits_raise() -> None:
    """A cancelled task ends cancelled, one whose deadline passes gets TimeoutError, and the waiter serves again."""
    loop = asyncio.get_running_loop()
    waiter, seen = Waiter(loop), list[str]()
    task = await begin(waiter, seen)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waiter.go_on()
    task = await begin(waiter, seen)
    expiry_of(loop).watch(waiter, loop.time() + 0.01)
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await task
    task = await begin(waiter, seen)
    waiter.go_on()
    await task
    assert seen == ["went on"]


async def test_word_and_cancellation_at_once() -> None:
    """A task that is cancelled after the word was given, before it could go on, is cancelled all the same."""
    waiter, seen = Waiter(asyncio.get_running_loop()), list[str]()
    task = await begin(waiter, seen)
    waiter.go_on()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []
