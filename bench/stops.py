"""How long /stop takes: to be confirmed in its chat, and until no agent works any more."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from bench.installation import Installation
from bench.report import Metric, at_most, figure
from protocol.control import Say

WAIT_S = 60.0


async def stop_all_one_by_one(running: Installation, names: Sequence[str]) -> list[Metric]:
    """Say /stop to each agent, which works, while the others do too."""
    confirmed = [await _confirmed_ms(running, name) for name in names]
    began = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        while (await _status(running))["agents"]["working"]:  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.02)
    return [
        figure("stop_confirmed_median", statistics.median(confirmed), "ms"),
        at_most("stop_confirmed_slowest", max(confirmed), "ms", 1_000),
        at_most("stop_last_gone", time.monotonic() - began, "s", 2.0),
    ]


async def _confirmed_ms(running: Installation, name: str) -> float:
    async with running.control.chat(name) as conversation:
        began = time.monotonic()
        await conversation.say(Say(text="/stop"))
        async with asyncio.timeout(WAIT_S):
            async for shown in conversation.shown():
                if shown.kind == "message" and shown.text.startswith("Stopped"):
                    return (time.monotonic() - began) * 1000
    raise RuntimeError("the host closed the chat")


async def _status(running: Installation) -> Any:
    return await running.control.request("status")
