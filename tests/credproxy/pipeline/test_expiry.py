"""Deadlines on one timer: each is kept, in any order, and what is over in time never hears of its own."""

from __future__ import annotations

import asyncio

import pytest

from credproxy.wire.expiry import Expiry, Limit, expiry_of


async def test_each_wait_ends_at_its_own_deadline() -> None:
    """Waits end in the order of their deadlines, whatever the order in which they began."""
    loop = asyncio.get_running_loop()
    expiry, began, ended = Expiry(loop), loop.time(), []

    async def wait(seconds: float) -> None:
        waiting: asyncio.Future[None] = loop.create_future()
        expiry.watch(waiting, began + seconds)
        with pytest.raises(TimeoutError):
            await waiting
        assert loop.time() - began >= seconds - 0.001
        ended.append(seconds)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for seconds in (0.06, 0.02, 0.04, 0.0, 0.02):
            group.create_task(wait(seconds))
    assert ended == [0.0, 0.02, 0.02, 0.04, 0.06]


async def test_forgotten_wait_is_left_alone() -> None:
    """A wait that came to its end in time is not touched when its deadline passes."""
    loop = asyncio.get_running_loop()
    expiry = Expiry(loop)
    done: asyncio.Future[None] = loop.create_future()
    other: asyncio.Future[None] = loop.create_future()
    expiry.watch(done, loop.time() + 0.01)
    expiry.watch(other, loop.time() + 0.02)
    expiry.forget(done)
    with pytest.raises(TimeoutError):
        await other
    assert not done.done()


async def test_limit_ends_what_takes_too_long() -> None:
    """What runs in a limit is cancelled at its deadline, which may be moved; the task goes on after it."""
    with pytest.raises(TimeoutError), Limit(60) as limit:
        limit.move(asyncio.get_running_loop().time() + 0.01)
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    with Limit(60):
        await asyncio.sleep(0)


async def test_limit_does_not_swallow_a_cancellation() -> None:
    """A task that is cancelled in a limit is cancelled, though the deadline passes at the same moment."""
    begun = asyncio.Event()

    async def work() -> None:
        with Limit(60) as limit:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                limit.expire()

    async with asyncio.timeout(5):
        task = asyncio.ensure_future(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_streams_of_one_loop_share_their_expiry() -> None:
    """There is one timer for a loop."""
    loop = asyncio.get_running_loop()
    assert expiry_of(loop) is expiry_of(loop)
