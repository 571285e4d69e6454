"""What is heard of a call while discord.py is still busy with it.

The SDK sleeps inside a call: after an answer that used up a limit until that is full again, and after a 429 before it
tries again. Its public `http_trace` tells of each answer at once, so that who waits for the call need not wait for the
sleep. A call is never cancelled for taking long: cancelled in the sleep of a global 429, the SDK sends nothing ever
again.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from types import SimpleNamespace

import aiohttp


class Paused(Exception):
    """Discord asks for a pause; the SDK tries again by itself after it."""

    def __init__(self, seconds: float, *, is_global: bool) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.is_global = is_global


class Hearing:
    """What one call has brought so far."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """The body of the answer, as soon as it is there; or what `fail` gave. A new one after each pause."""
        self.status = 0
        self.left: int | None = None
        """Calls that may still be made in the limit's time; None: not told."""
        self.full_again_s = 0.0

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # nobody may be waiting any more

    def answered(self, body: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(body)

    def paused(self, body: bytes) -> None:
        """Note a 429: who waits is told at once, who asks again waits for what the SDK's next try brings."""
        try:
            told = json.loads(body)
            pause = Paused(float(told["retry_after"]), is_global=bool(told.get("global")))
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # not Discord's own: the SDK takes it for a ban and ends the call
        self.fail(pause)
        self.answer = asyncio.get_running_loop().create_future()


_hearing: ContextVar[Hearing | None] = ContextVar("hearing", default=None)
"""The call of the task that runs."""


def listen_with(hearing: Hearing) -> None:
    """Have what the running task's calls bring be noted there."""
    _hearing.set(hearing)


def build_trace() -> aiohttp.TraceConfig:
    """Return the trace that a client is made with."""
    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(_heard_head)
    trace.on_response_chunk_received.append(_heard_body)
    return trace


async def _heard_head(
    session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestEndParams
) -> None:
    del session, context
    hearing = _hearing.get()
    if hearing is None:
        return
    headers = told.response.headers
    hearing.status = told.response.status
    hearing.left = _whole(headers.get("X-RateLimit-Remaining"))
    hearing.full_again_s = seconds_in(headers.get("X-RateLimit-Reset-After"))


async def _heard_body(
    session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceResponseChunkReceivedParams
) -> None:
    del session, context
    hearing = _hearing.get()
    if hearing is not None and 200 <= hearing.status < 300:
        hearing.answered(told.chunk)
    elif hearing is not None and hearing.status == 429:
        hearing.paused(told.chunk)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def seconds_in(text: str | None) -> float:
    """Return the seconds that a header says; 0 for what is none."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
