"""How long from a message to the model and back, and how long an engine's own start takes in the same run."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import docker

from bench.installation import ROOT, Installation, installation
from bench.report import Metric, at_most, figure, percentile, publish
from bench.yardstick import Yardstick
from cli.engine import engine_address
from cli.image import ensure_image
from client.control import Conversation
from protocol.control import Say

ROUNDS = 25
GROUPS_AT_ONCE = 20
REPLY_TIMEOUT_S = 60.0
REFERENCE_START_MS = 128.0
"""The engine's own start on the machine where the targets were set (Docker 20.10, 122-135 ms). On a machine that is
slower than that, a target in ms is longer by as much, so that a verdict is about the product and not about the machine;
on a faster one it is what was set."""
MESSAGE = "hi"
_MESSAGE = re.compile(rf">\s*{MESSAGE}\s*<")
SETTLE_S = 0.5
"""Between readiness and the message: a person does not write in the moment in which an engine is busy with the end of a
start. A home that has just been made has its agents' code compiled in this time, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One message's times, in ms since it was sent."""

    to_model: float
    to_reply: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    trips: Sequence[Trip]
    first_request_bytes: int
    """Of the first "hi", in a session without a past."""

    def to_model(self, percent: float) -> float:
        return percentile([trip.to_model for trip in self.trips], percent)

    def to_reply(self, percent: float) -> float:
        return percentile([trip.to_reply for trip in self.trips], percent)

    def after_model(self, percent: float) -> float:
        return percentile([trip.to_reply - trip.to_model for trip in self.trips], percent)


async def run(rounds: int = ROUNDS) -> None:
    """Measure and publish."""
    yardstick = Yardstick(ensure_image(ROOT))
    starts: list[float] = []

    async def start_one_between(_: Installation) -> None:
        starts.append(await asyncio.to_thread(yardstick.start_one))

    async with installation(settings=spares(0)) as fresh:
        cold = await trips_of(fresh, rounds, start_one_between)
    async with installation(settings=spares(900)) as spared:
        warm = await trips_of(spared, rounds, await_spare)
    names = [f"group-{number}" for number in range(GROUPS_AT_ONCE)]
    many_starts = await asyncio.to_thread(yardstick.start_many, GROUPS_AT_ONCE)
    async with installation(groups=names, settings=spares(0)) as crowd:
        last_reply = await _all_at_once(crowd, names)
    publish("latency", _metrics(starts, cold, warm, warm.first_request_bytes, many_starts, last_reply), extra=_engine())


def _metrics(
    starts: Sequence[float], cold: Trips, warm: Trips, body_bytes: int, many_starts: float, last_reply: float
) -> list[Metric]:
    start = percentile(starts, 50)
    start_95 = percentile(starts, 95)
    slower = slower_than_reference(start)
    return [
        figure("engine_first_line_p50", start, "ms"),
        figure("engine_first_line_p95", start_95, "ms"),
        at_most("cold_to_model_p50", cold.to_model(50), "ms", 1.3 * start, "1.3 x engine"),
        at_most("cold_to_model_p95", cold.to_model(95), "ms", 1.3 * start_95, "1.3 x engine"),
        at_most("cold_model_to_reply_p50", cold.after_model(50), "ms", 8 * slower, "8 ms at the reference's speed"),
        figure("cold_to_reply_p50", cold.to_reply(50), "ms"),
        at_most("warm_to_model_p50", warm.to_model(50), "ms", 5 * slower, "5 ms at the reference's speed"),
        at_most("warm_to_model_p95", warm.to_model(95), "ms", 10 * slower, "10 ms at the reference's speed"),
        at_most("warm_to_reply_p50", warm.to_reply(50), "ms", 10 * slower, "10 ms at the reference's speed"),
        at_most("warm_to_reply_p95", warm.to_reply(95), "ms", 20 * slower, "20 ms at the reference's speed"),
        at_most("request_bytes_for_hi", body_bytes, "B", 5 * 1024),
        figure("engine_20_starts", many_starts, "ms"),
        at_most("twenty_cold_groups", last_reply, "ms", 1.3 * many_starts, "1.3 x engine"),
    ]


def slower_than_reference(start_ms: float) -> float:
    """Return how many times as long as on the reference a start takes here, 1 where it does not take longer."""
    return max(start_ms / REFERENCE_START_MS, 1.0)


async def trips_of(running: Installation, rounds: int, between: Callable[[Installation], Awaitable[None]]) -> Trips:
    """Return what each of so many messages to the agent main took, `between` awaited before each."""
    trips = []
    async with running.control.chat("main") as conversation:
        await _trip(running, conversation)  # the first one pays for imports and caches
        first_request_bytes = _question(running)["bytes"]
        for _ in range(rounds):
            await between(running)
            trips.append(await _trip(running, conversation))
    return Trips(trips=trips, first_request_bytes=first_request_bytes)


async def _trip(running: Installation, conversation: Conversation) -> Trip:
    running.twin("DELETE", "/twin/log")
    sent = time.monotonic()
    replied = await _say_and_wait(conversation)
    return Trip(to_model=(_question(running)["arrived"] - sent) * 1000, to_reply=(replied - sent) * 1000)


def _question(running: Installation) -> Any:
    """Return the first of the model's requests that holds the message: programs also ask of their own accord."""
    return next(asked for asked in running.twin("GET", "/twin/log") if _MESSAGE.search(asked["said"]))


async def _say_and_wait(conversation: Conversation) -> float:
    await conversation.say(Say(text=MESSAGE))
    async with asyncio.timeout(REPLY_TIMEOUT_S):
        async for shown in conversation.shown():
            if shown.kind in ("message", "notice"):
                if shown.text.strip() != "ok":
                    raise RuntimeError(f"the agent did not answer: {shown.text}")
                return time.monotonic()
    raise RuntimeError("the host closed the chat")


async def _all_at_once(running: Installation, names: Sequence[str]) -> float:
    async with AsyncExitStack() as stack:
        conversations = [await stack.enter_async_context(running.control.chat(name)) for name in names]
        await asyncio.sleep(SETTLE_S)
        began = time.monotonic()
        ends = await asyncio.gather(*(_say_and_wait(conversation) for conversation in conversations))
    return (max(ends) - began) * 1000


async def await_spare(running: Installation) -> None:
    """Return when a container waits and the engine has settled."""
    async with asyncio.timeout(REPLY_TIMEOUT_S):
        while True:
            status: Any = await running.control.request("status")
            if status["agents"]["waiting"] >= 1 and status["agents"]["starting"] == 0:
                break
            await asyncio.sleep(0.05)
    await asyncio.sleep(SETTLE_S)


def spares(idle_s: float) -> str:
    """Return the settings that keep a spare for so long, 0: none."""
    return f"containers:\n  spare_idle_s: {idle_s}\n"


def _engine() -> dict[str, str]:
    engine: Any = docker.APIClient(base_url=engine_address(), version="auto")
    return {"engine": str(engine.version()["Version"])}
