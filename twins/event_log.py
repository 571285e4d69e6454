"""What happened in a twin, as facts that tests and the phone page read and wait for."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twins.clock import Clock

MAX_EVENTS = 10_000
LONGEST_WAIT_S = 60.0

Json = dict[str, Any]


class EventLog:
    """The newest facts, numbered from 1; everything that changes a twin is noted here, so waiters look again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._events: deque[Json] = deque(maxlen=MAX_EVENTS)
        self._waiting: set[asyncio.Future[None]] = set()

    def note(self, event: str, **facts: Any) -> Json:
        """Write down what happened, and let all waiters look again."""
        entry = {"number": next(self._numbers), "at": self._clock.now(), "event": event, **facts}
        self._events.append(entry)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        return entry

    def read(self, after: int = 0, event: str | None = None) -> list[Json]:
        """Return what was noted after that number, oldest first; with `event`, only such events."""
        newest_first = itertools.takewhile(lambda entry: entry["number"] > after, reversed(self._events))
        return [entry for entry in newest_first if event in (None, entry["event"])][::-1]

    async def until(self, condition: Callable[[], bool], wait_s: float) -> bool:
        """Return whether the condition holds, as soon as it does, at the latest after so many real seconds. It is
        looked at again after each note."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while not condition():
            left_s = deadline - loop.time()
            if left_s <= 0:
                return False
            noted: asyncio.Future[None] = loop.create_future()
            self._waiting.add(noted)
            try:
                await asyncio.wait((noted,), timeout=left_s)
            finally:
                self._waiting.discard(noted)
        return True

    async def answer(self, query: Mapping[str, str]) -> Json:
        """Answer `GET /twin/log?after=&event=&wait_s=`; raise ValueError for what is no number."""
        after, event = int(query.get("after", "0")), query.get("event")
        await self.until(lambda: bool(self.read(after, event)), min(float(query.get("wait_s", "0")), LONGEST_WAIT_S))
        return {"events": self.read(after, event)}
