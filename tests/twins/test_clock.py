"""A twin's time passes at its own speed."""

from __future__ import annotations

import asyncio
import time

import pytest

from twins.clock import Clock


def test_it_tells_the_time_and_is_put_forward() -> None:
    """A new clock agrees with this machine's; put forward by two days it is two days on."""
    clock = Clock()
    assert abs(clock.now() - time.time()) < 60
    before = clock.now()
    clock.advance(2 * 86400)
    assert 2 * 86400 <= clock.now() - before < 2 * 86400 + 60


@pytest.mark.parametrize("scale", [0.0, -1.0, 2_000_000.0])
def test_a_speed_that_is_none_is_refused(scale: float) -> None:
    """Neither standing still nor going back is a speed."""
    with pytest.raises(ValueError, match="real time"):
        Clock(scale)
    with pytest.raises(ValueError, match="real time"):
        Clock().scale = scale


def test_it_does_not_go_back() -> None:
    """A step back is refused; a change of speed leaves the time where it was."""
    clock = Clock(scale=1000)
    with pytest.raises(ValueError, match="forward only"):
        clock.advance(-1)
    before = clock.now()
    clock.scale = 0.001
    assert 0 <= clock.now() - before < 60_000
    assert clock.scale == 0.001


async def test_sleepers_wake_when_their_time_has_come() -> None:
    """Advancing wakes those whose time is over, and leaves the others asleep."""
    clock = Clock()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        minute = tasks.create_task(clock.sleep(60))
        day = tasks.create_task(clock.sleep(86400))
        await asyncio.sleep(0)
        clock.advance(61)
        await minute
        assert not day.done()
        clock.advance(86400)
        await day


async def test_a_faster_clock_wakes_sleepers_earlier() -> None:
    """An hour passes at once at a million times real time, also for who sleeps already."""
    clock = Clock()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        hour = tasks.create_task(clock.sleep(3600))
        await asyncio.sleep(0)
        clock.scale = 1_000_000
        await hour
        await clock.sleep(-1)
