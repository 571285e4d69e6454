"""Who waits for calm waits for everybody."""

from __future__ import annotations

import asyncio
import time

from runtime.calm import Calm


async def test_calm_is_when_nobody_waits() -> None:
    """Of two who wait for a container the last one decides."""
    calm, waited = Calm(), []

    async def wait() -> None:
        await calm.wait()
        waited.append("calm")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        with calm.disturbed():
            with calm.disturbed():
                group.create_task(wait())
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert waited == []
    assert waited == ["calm"]


async def test_settled_is_some_time_after() -> None:
    """At once if only one has waited; after a rush when so much time has gone by since."""
    calm = Calm()
    async with asyncio.timeout(5):
        await calm.settle(60.0)
        with calm.disturbed():
            pass
        await calm.settle(60.0)
        with calm.disturbed(), calm.disturbed():
            pass
        began = time.monotonic()
        await calm.settle(0.05)
    assert time.monotonic() - began >= 0.04
